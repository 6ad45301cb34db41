/*
 * The floating-point environment that everything here computes in: to nearest, with subnormal
 * numbers, without traps. A host may have set another one for its thread.
 */
#ifndef HMT_CORE_FLOAT_MODE_H
#define HMT_CORE_FLOAT_MODE_H

#include <fenv.h>

/* The calling thread's environment is the default one until the end of the block, then what it was
 * before: rounding, traps, flush-to-zero and exception flags. */
#define FLOAT_MODE_DEFAULT                                                                         \
    __attribute__((cleanup(float_mode_restore), unused)) fenv_t float_mode_before =                \
        float_mode_take()

static inline fenv_t float_mode_take(void)
{
    fenv_t before;

    fegetenv(&before);
    fesetenv(FE_DFL_ENV);
    return before;
}

static inline void float_mode_restore(const fenv_t *before)
{
    fesetenv(before);
}

#endif
