/*
 * Stochastic gradient descent with momentum and weight decay, for one element (paper, section 4.2).
 * The order of the operations is PyTorch's, so that runs can be compared: decay enters the
 * gradient, the rate is outside the momentum.
 */
#ifndef HMT_OBJECTIVE_SGD_H
#define HMT_OBJECTIVE_SGD_H

#include <hmtnet/backend.h>

#include "objective/inline.h"

/* v = momentum * v + (gradient + decay * p); p -= rate * v, or with Nesterov rate * (g + momentum *
 * v). */
OBJECTIVE_INLINE void sgd_update(float *p, float *v, float gradient, hmt_sgd sgd)
{
    float g = gradient + sgd.weight_decay * *p;
    float velocity = sgd.momentum * *v + g;

    *v = velocity;
    *p -= sgd.learning_rate * (sgd.nesterov ? g + sgd.momentum * velocity : velocity);
}

#endif
