/*
 * Which level's kernels run here.
 */
#include "kernels.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_avx512vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

#endif

const kernels *kernels_select(void)
{
    const kernels *best = &kernels_plain;
#if defined(__x86_64__)
    const char *most = getenv("HMT_CPU_LEVEL");
    int level = most == NULL                  ? 3
                : strcmp(most, "plain") == 0  ? 0
                : strcmp(most, "avx2") == 0   ? 1
                : strcmp(most, "avx512") == 0 ? 2
                                              : 3;

    if (level >= 1 && has_avx2())
        best = &kernels_avx2;
    if (level >= 2 && has_avx512())
        best = &kernels_avx512;
    if (level >= 3 && has_avx512vnni())
        best = &kernels_avx512vnni;
#endif
    return best;
}
