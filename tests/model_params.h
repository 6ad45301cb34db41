/*
 * A model's parameters in tests: read, and compared with another model's. After check.h.
 */
#ifndef HMT_TESTS_MODEL_PARAMS_H
#define HMT_TESTS_MODEL_PARAMS_H

#include <math.h>

#include "check.h"

/* Parameter i, in malloc's memory. */
static inline float *read_param(const hmt_model *model, size_t i, hmt_param_info *info)
{
    float *values;

    *info = (hmt_param_info)HMT_PARAM_INFO_INIT;
    CHECK_STATUS(hmt_model_param_info(model, i, info), HMT_OK);
    values = malloc((size_t)info->count * sizeof *values);
    CHECK_STATUS(hmt_model_param_read(model, i, values, (size_t)info->count), HMT_OK);
    return values;
}

/* The largest difference between two models' parameters, relative to the parameter's largest value.
 */
static inline double params_difference(const hmt_model *a, const hmt_model *b)
{
    double worst = 0.0;

    CHECK(hmt_model_param_count(a) == hmt_model_param_count(b));
    for (size_t i = 0; i < hmt_model_param_count(a); ++i) {
        hmt_param_info info;
        float *x = read_param(a, i, &info), *y = read_param(b, i, &info);
        double largest = 1e-30, off = 0.0;

        for (int64_t k = 0; k < info.count; ++k) {
            largest = fmax(largest, fabs(x[k]));
            off = fmax(off, fabs((double)x[k] - y[k]));
        }
        worst = fmax(worst, off / largest);
        free(x);
        free(y);
    }
    return worst;
}

#endif
