/*
 * hmtnet-train's history file, read back for its learning curves.
 */
#ifndef EXAMPLES_REPORT_HISTORY_H
#define EXAMPLES_REPORT_HISTORY_H

#include <stdbool.h>

#include "report_chart.h"

typedef struct report_history {
    chart_point *training, *validation, *pearson; /* (training_count), (validation_count) twice */
    size_t training_count, validation_count;
} report_history;

/* false: a message has been printed; free it all the same. */
bool report_history_read(report_history *history, const char *path);
void report_history_free(report_history *history);

#endif
