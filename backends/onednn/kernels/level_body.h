/*
 * One level's table; TABLE, LEVEL, LANES and ROWS come from the level_*.c file that includes this.
 */
#include "kernels.h"

#include "first_body.h"
#include "first_integer_body.h"
#include "gemm_body.h"
#include "integer_body.h"
#include "linear_body.h"
#include "pool_body.h"
#include "sgd_body.h"
#include "winograd_body.h"

const kernels TABLE = {
    .name = LEVEL,
    .lanes = LANES,
    .panel = 2 * LANES,
    .gemm = gemm,
    .linear = linear,
    .quantise = quantise,
    .sgd = sgd,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_spread = winograd_spread,
    .winograd_kernels = winograd_kernels,
    .winograd_gradient = winograd_gradient,
    .first_row = first_row,
    .madds_at_once = MADDS_AT_ONCE,
    .first_row_integer = first_row_integer,
    .max_pool = max_pool,
};
