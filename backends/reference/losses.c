/*
 * The losses of one task over the batch: the sum into hmt_run_task.loss_sum, and the gradient by
 * the logits (N,K) or predictions (N,1). Rows without a label count nothing. Also what stands in
 * for a loss where the gradient of single logits is wanted.
 */
#include "internal.h"

#include <string.h>

#include "objective/losses.h"

void reference_cross_entropy(const reference_operands *o)
{
    hmt_run_task *task = &o->run->tasks[o->step->task];
    int64_t classes = o->in[0].c;

    for (int64_t n = 0; n < o->in[0].n; ++n) {
        const float *logits = o->in[0].at + n * classes;
        float *gradient = o->out[0].at ? o->out[0].at + n * classes : NULL;
        int32_t label = task->labels ? task->labels[n] : -1;

        if (label >= 0 && label < classes)
            task->loss_sum +=
                losses_cross_entropy(logits, (int32_t)classes, label, (double)o->step->smoothing,
                                     (double)task->scale, gradient);
        else if (gradient)
            memset(gradient, 0, (size_t)classes * sizeof(float));
    }
}

void reference_regression_loss(const reference_operands *o)
{
    const hmt_plan_step *step = o->step;
    hmt_run_task *task = &o->run->tasks[step->task];

    for (int64_t n = 0; n < o->in[0].n; ++n) {
        bool known = task->targets && !isnan(task->targets[n]);
        double error = known ? (double)o->in[0].at[n] - (double)task->targets[n] : 0.0;

        if (known)
            task->loss_sum += losses_regression(step->loss, (double)step->delta, error);
        if (o->out[0].at)
            o->out[0].at[n] =
                known ? (float)((double)task->scale *
                                losses_regression_slope(step->loss, (double)step->delta, error))
                      : 0.0f;
    }
}

void reference_one_hot(const reference_operands *o)
{
    const hmt_run_task *task = &o->run->tasks[o->step->task];
    const reference_tensor *y = &o->out[0];

    memset(y->at, 0, (size_t)reference_count(y) * sizeof(float));
    for (int64_t n = 0; n < y->n; ++n) {
        int32_t label = task->labels ? task->labels[n] : -1;

        if (label >= 0 && label < y->c)
            y->at[n * y->c + label] = 1.0f;
    }
}
