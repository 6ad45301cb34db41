/*
 * Tables of results as text, Markdown and CSV: a line for each figure of each row, with what was
 * published beside the mean and deviation of the runs made here.
 */
#ifndef EXAMPLES_TABLES_H
#define EXAMPLES_TABLES_H

#include <stdio.h>

#include "experiments.h"

typedef enum table_form { TABLE_TEXT, TABLE_MARKDOWN, TABLE_CSV } table_form;

/* What the runs of a row came to; zero runs where nothing was trained. */
typedef struct table_row {
    const char *name;
    double published[FIGURE_COUNT];
    hmt_spread here[FIGURE_COUNT];
} table_row;

/* Writes a table; `remark` is one line on how the figures came about. */
void table_write(FILE *to, table_form form, const char *id, const char *title, const char *remark,
                 const table_row *rows, size_t count);

/* The figures of a row from a summary of its runs; tasks that were not trained have none. */
void table_fill(table_row *row, const hmt_metrics_summary *summary, const training_plan *plan);

#endif
