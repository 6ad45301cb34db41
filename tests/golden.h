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
 * numbers are float64's, so these are the whole error of a precision's arithmetic. A relu or max
 * pool that flips on a tie moves a few elements of a gradient a lot, its norm less, and most
 * tensors hardly: the median over tensors shows what is wrong everywhere.
 */
typedef struct golden_tolerances {
    double values;       /* inference; float32's is for direct convolutions, Winograd needs 2e-4 */
    double losses;       /* of each step, relative */
    double losses_later; /* a single task's, once parameters have moved: it can be a tenth of the
                          * total and yet inherit what a flip did to all parameters */
    double gradient;     /* single elements */
    double gradient_l2;  /* the norm, relative: of each tensor */
    double gradient_median; /* the same, the median over tensors */
    double state;           /* parameters and statistics after the steps */
} golden_tolerances;

/* FLOAT32's for AUTO. */
const golden_tolerances *golden_tolerances_of(hmt_precision precision);

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
    golden_tolerances allowed;
    double slack; /* factor on all tolerances */
    bool verbose; /* print every comparison */
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
/* Compares with a digest of a tensor and returns the error of its norm; errors are measured against
 * its largest value, or `floor` if that is more. quantity_l2 may be NULL: then the norm counts with
 * the elements. */
double golden_digest(golden *f, const char *quantity, const char *quantity_l2, const char *of,
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
