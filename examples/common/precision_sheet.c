/* The best and the worst predictions (see precision_sheet.h). */
#include "precision_sheet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "board.h"
#include "cli.h"
#include "thumbnail.h"

enum { COLUMNS = 8, ROWS = 2, CELL = 96 }; /* rows of the best, and as many of the worst */

typedef struct scored {
    size_t index;
    double error; /* predicted - rated */
} scored;

static int by_error(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    double from = fabs(x->error), to = fabs(y->error);
    if (from != to)
        return from < to ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

size_t precision_order(const evaluation *e, size_t *order)
{
    scored *list = cli_allocate(e->count, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++) {
        hmt_outcome o = evaluation_outcome(e, i);
        if (!isnan(o.score) && !isnan(o.predicted_score))
            list[count++] = (scored){i, (double)o.predicted_score - (double)o.score};
    }
    qsort(list, count, sizeof *list, by_error);
    for (size_t i = 0; i < count; i++)
        order[i] = list[i].index;
    free(list);
    return count;
}

static void put(board *b, const evaluation *e, size_t index, size_t column, size_t row,
                uint8_t *rgb)
{
    hmt_outcome o = evaluation_outcome(e, index);
    hmt_sample sample = HMT_SAMPLE_INIT;
    char label[40];
    hmt_dataset_sample(e->set, e->samples[index], &sample);
    snprintf(label, sizeof label, "%.2f, rated %.2f", (double)o.predicted_score, (double)o.score);
    board_label(b, column, row, label);
    if (thumbnail(sample.path, CELL, rgb))
        board_put(b, column, row, rgb);
}

bool precision_sheet(const char *path, const evaluation *e)
{
    static const char *const head[BOARD_LINES] = {"from the best", "to the worst"};
    size_t *order = cli_allocate(e->count, sizeof *order);
    uint8_t *rgb = cli_allocate(CELL * CELL, 3);
    size_t count = precision_order(e, order), half = (size_t)ROWS * COLUMNS;
    if (half > count / 2)
        half = count / 2;
    board b = board_create(COLUMNS, 2 * ROWS, CELL);
    board_head(&b, 0, head);
    for (size_t i = 0; i < half; i++) {
        put(&b, e, order[i], i % COLUMNS, i / COLUMNS, rgb);
        put(&b, e, order[count - half + i], i % COLUMNS, ROWS + i / COLUMNS, rgb);
    }
    bool good = board_save(&b, path);
    board_free(&b);
    free(rgb);
    free(order);
    return good;
}
