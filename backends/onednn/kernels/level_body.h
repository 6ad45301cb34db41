/*
 * One level's table; TABLE, LEVEL, LANES and ROWS come from the level_*.c file that includes this.
 */
#include "kernels.h"

#include "first_body.h"
#include "first_gradient_body.h"
#include "first_integer_body.h"
#include "first_tiles_body.h"
#include "gemm_body.h"
#include "integer_body.h"
#include "linear_body.h"
#include "linear_gradient_body.h"
#include "linear_panels_body.h"
#include "norm_body.h"
#include "pool_body.h"
#include "sgd_body.h"
#include "winograd_body.h"
#include "winograd_integer_body.h"

/* Levels that multiply pairs of 16 bits no faster than float32 keep to that. */
#ifndef INTEGERS_FASTER
#define INTEGERS_FASTER 0
#endif

const kernels TABLE = {
    .name = LEVEL,
    .lanes = LANES,
    .panel = 2 * LANES,
    .integers_faster = INTEGERS_FASTER,
    .panels_faster = LANES < 16, /* with more these were not measured */
    .large_tiles_from = LANES < 16 ? 32 : 64,
    .gemm = gemm,
    .linear = linear,
    .linear_panels = linear_panels,
    .linear_gradient = linear_gradient,
    .quantise = quantise,
    .sgd = sgd,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_spread = winograd_spread,
    .winograd_kernels = winograd_kernels,
    .winograd_gradient = winograd_gradient,
    .first_row = first_row,
    .first_spectra = first_spectra,
    .first_row_tiles = first_row_tiles,
    .first_gradient = first_gradient,
    .first_gradient_tiles = first_gradient_tiles,
    .first_row_integer = first_row_integer,
    .max_pool = max_pool,
    .max_pool_winners = max_pool_winners,
    .max_pool_gradient = max_pool_gradient,
    .norm_moments = norm_moments,
    .norm_apply = norm_apply,
    .norm_sums = norm_sums,
    .norm_gradient = norm_gradient,
    .winograd_input_counts = winograd_input_counts,
    .winograd_kernel_counts = winograd_kernel_counts,
    .winograd_product = winograd_product,
};
