/*
 * The conformance suite: what every backend must pass. To test one of your own, link
 * conformance_*.c, fill.c and the library's static archive, with the linker's --wrap options that
 * CMakeLists.txt gives it, and call conformance_run().
 */
#ifndef HMT_TESTS_CONFORMANCE_H
#define HMT_TESTS_CONFORMANCE_H

#include <stdbool.h>

#include "conformance_rig.h"

/*
 * Tolerances, as a share of the largest absolute value of the tensor compared:
 * - values (maps, logits, parameters after a step): 2e-4, which leaves room for Winograd;
 * - losses: 1e-4 of their sum;
 * - gradients: single elements 1e-2, and 2e-3 in L2 norm. A bias is measured against its weight's
 *   gradient too, since in front of a batch norm its own is rounding noise; any gradient against
 *   1e-3 of the network's largest;
 * - gradients of whole networks: 5e-1 and 5e-2, and 1e-2 for the parameters after them: among their
 *   million elements a relu or max pool may flip on a tie of the last bit. In a batch of 6 one flip
 *   moves single elements of its layer's gradient by a third of the largest, and shows in every
 * layer before it. The golden files hold networks to more;
 * - gradients against finite differences: 3e-2.
 */
#define CONFORMANCE_VALUES 2e-4
#define CONFORMANCE_LOSSES 1e-4
#define CONFORMANCE_GRADIENT 1e-2
#define CONFORMANCE_GRADIENT_L2 2e-3
#define CONFORMANCE_NETWORK_GRADIENT 5e-1
#define CONFORMANCE_NETWORK_GRADIENT_L2 5e-2
#define CONFORMANCE_NETWORK_PARAMETERS 1e-2
#define CONFORMANCE_GRADIENT_FLOOR 1e-3
#define CONFORMANCE_DIFFERENCES 3e-2
/*
 * In a lower precision a tolerance is UNITS roundings of the precision, or the above if that is
 * more, and beside it SHARE times the noise: how far the reference strays when it rounds as that
 * precision does (conformance_noise.h).
 */
#define CONFORMANCE_UNITS 4.0
#define CONFORMANCE_SHARE 1.5

typedef enum conformance_mode {
    CONFORMANCE_COMPARE,   /* every step kind and network against the reference */
    CONFORMANCE_GRADIENTS, /* gradients against finite differences of the reference's losses */
    CONFORMANCE_SPEED      /* GFLOP/s of each step of HMTNet; nothing can fail */
} conformance_mode;

typedef struct conformance_options {
    conformance_mode mode;
    const char *filter;      /* NULL, or a part of the names of the cases to run */
    int32_t threads;         /* for the backend under test; at least 1 */
    double width;            /* SPEED: of HMTNet */
    int32_t batch;           /* SPEED */
    bool verbose;            /* each case, with its largest errors */
    hmt_precision precision; /* of the backend under test; CONFORMANCE_... say what it may cost */
} conformance_options;
#define CONFORMANCE_OPTIONS_INIT                                                                   \
    {                                                                                              \
        CONFORMANCE_COMPARE, NULL, 1, 1.0, 8, false, HMT_PRECISION_FLOAT32                         \
    }

/* Counts of one backend's run. */
typedef struct conformance {
    const hmt_backend *backend;
    conformance_options options;
    const char *name; /* of the case that is running */
    int passed, failed;
    double worst;     /* largest error of the case, as a share of its tolerance */
    bool case_failed; /* the case's first failure is printed in full */
    bool seen[64];    /* by hmt_step_kind: a plan had such a step */
} conformance;

/* Runs the suite on a backend, printing failures; returns how many there were. */
int conformance_run(const hmt_backend *backend, const conformance_options *options);
/* The same, counts added to those of `c`. */
void conformance_count(const hmt_backend *backend, const conformance_options *options,
                       conformance *c);

/* conformance_cases.c: small networks, so that each kind of step is met in many shapes. */
typedef struct conformance_case {
    char name[96];
    int32_t batch;
    hmt_loss loss;
    float delta;
    uint32_t trained_tasks;
    bool network;   /* a whole network: the wider tolerances of gradients hold */
    int32_t tested; /* node whose value is compared element by element */
} conformance_case;

/* Builds case `index` into an empty graph; false if there are no more. */
bool conformance_build(int index, graph *g, conformance_case *out);

/* conformance_check.c: one network on the backend under test and on the reference. */
void conformance_network(conformance *c, const graph *g, const conformance_case *k, bool in_place);
/* conformance_gradient.c */
void conformance_differences(conformance *c, const graph *g, const conformance_case *k);
/* conformance_speed.c */
void conformance_speed(conformance *c);

/* Records one result. `error` over `tolerance` fails; so does NaN. */
void conformance_result(conformance *c, const char *what, const char *of, double error,
                        double tolerance);
/* Records a status that should have been HMT_OK. */
void conformance_status(conformance *c, const char *what, hmt_status status);

#endif
