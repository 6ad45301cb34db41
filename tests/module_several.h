/*
 * A module with several devices in plain memory (module_several.c): what a test can see and change.
 */
#ifndef HMT_TESTS_MODULE_SEVERAL_H
#define HMT_TESTS_MODULE_SEVERAL_H

#include <stdatomic.h>

#include <hmtnet/backend.h>

enum { SEVERAL_DEVICES = 4 };

typedef struct several_state {
    atomic_int calls;         /* of the module's functions that can fail */
    atomic_int fail_call;     /* number of the call that fails, from 1; 0: none */
    atomic_int failed;        /* calls that did */
    atomic_int fail_backward; /* number + 1 of the device whose next backward run fails */
    atomic_int lost;          /* number + 1 of the device that fails from now on */
    atomic_int
        views;       /* not 0: weights use the library's views, as a backend in the host's memory */
    atomic_int live; /* devices, weights and execs that have not been destroyed */
    atomic_int opened[SEVERAL_DEVICES];
    atomic_int staged, used; /* inputs handed over, and runs that found theirs */
    atomic_int pixels;       /* runs from 8-bit pixels */
    atomic_int joined;       /* execs of the last join */
    atomic_int summed;       /* tensors added up over the devices */
    atomic_int precision;    /* of the last device that was opened */
} several_state;

/* Exported by the module under this name. */
typedef several_state *(*several_state_fn)(void);
#define SEVERAL_STATE_SYMBOL "several_module_state"

#endif
