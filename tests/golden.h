/*
 * What the parts of golden_check share: one golden file, and the largest error of each quantity in
 * it.
 */
#ifndef HMT_TESTS_GOLDEN_H
#define HMT_TESTS_GOLDEN_H

#include <stdbool.h>

#include <cjson/cJSON.h>
#include <hmtnet/backend.h>

/*
 * Tolerances, relative to a tensor's largest absolute value unless it says otherwise. The golden
 * numbers are float64's, so these are the whole error of float32 arithmetic.
 * - VALUES: inference with direct convolutions; 2e-4 is what Winograd needs (--values);
 * - LOSSES: of each step, relative; a single task's, once parameters have moved, may be LATER: it
 *   can be a tenth of the total and yet inherit what a flip did to all parameters;
 * - GRADIENT, single elements: a relu or max pool that flips on a tie moves a few;
 * - GRADIENT_L2: the norm, relative;
 * - STATE: parameters and statistics after the steps.
 */
#define GOLDEN_VALUES 2e-5
#define GOLDEN_LOSSES 1e-4
#define GOLDEN_LOSSES_LATER 3e-4
#define GOLDEN_GRADIENT 3e-2
#define GOLDEN_GRADIENT_L2 5e-3
#define GOLDEN_STATE 2e-3

enum { GOLDEN_QUANTITIES = 16 };

typedef struct golden_quantity {
    const char *name;
    double tolerance;
    double worst;
    char of[80]; /* the tensor that it was found in */
} golden_quantity;

typedef struct golden {
    const cJSON *json;
    const hmt_backend *backend;
    hmt_context *context;
    double values; /* tolerance of inference */
    double slack;  /* factor on all tolerances, for lower precisions */
    bool verbose;  /* print every comparison */
    int failures;
    golden_quantity quantities[GOLDEN_QUANTITIES];
    int quantity_count;
} golden;

/* Members of a JSON object; a missing one ends in NULL, "", or `otherwise`. */
const cJSON *golden_get(const cJSON *object, const char *name);
const char *golden_text(const cJSON *object, const char *name);
double golden_number(const cJSON *object, const char *name, double otherwise);

/* Records an error in a quantity. */
void golden_note(golden *f, const char *quantity, const char *of, double error, double tolerance);
/* Whether a call succeeded; a failure is counted and its message printed. */
bool golden_ok(golden *f, const char *what, hmt_status status);
/* Compares with a digest of a tensor; errors are measured against its largest value, or `floor`
 * if that is more. quantity_l2 may be NULL: then the norm counts with the elements. */
void golden_digest(golden *f, const char *quantity, const char *quantity_l2, const char *of,
                   const float *values, int64_t count, const cJSON *digest, double floor,
                   double tolerance, double tolerance_l2);
/* Prints the quantities. */
void golden_print(const golden *f);

/* The file's network with every parameter from the fixed fill; NULL after a failure. */
hmt_model *golden_model(golden *f);
/* The file's input, (batch,3,224,224), to be freed. */
float *golden_input(const golden *f);

/* The three kinds of file. */
void golden_infer(golden *f);
void golden_train(golden *f);
void golden_losses(golden *f);

#endif
