/*
 * One level's table; TABLE, LEVEL, LANES and ROWS come from the level_*.c file that includes this.
 */
#include "kernels.h"

#include "gemm_body.h"
#include "integer_body.h"
#include "linear_body.h"
#include "winograd_body.h"
#include "winograd_integer_body.h"

/* Levels that multiply pairs of 16 bits no faster than float32 keep to that. */
#ifndef COUNTS_SPECTRA
#define COUNTS_SPECTRA 0
#endif

const kernels TABLE = {
    .name = LEVEL,
    .lanes = LANES,
    .panel = 2 * LANES,
    .gemm = gemm,
    .linear = linear,
    .quantise = quantise,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_spread = winograd_spread,
    .winograd_kernels = winograd_kernels,
    .winograd_gradient = winograd_gradient,
    .counts_spectra = COUNTS_SPECTRA,
    .winograd_input_counts = winograd_input_counts,
    .winograd_kernel_counts = winograd_kernel_counts,
    .winograd_product = winograd_product,
};
