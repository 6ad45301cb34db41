/*
 * The losses, and the one-hot rows that stand in for them where the gradient of single logits is
 * wanted: a few numbers for each image, so plain loops.
 */
#include "objective/losses.h"

#include "exec.h"

/* Operands: logits (N,K), [gradient]. */
static void cross_entropy_loop(const exec *e, const op *o)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t rows = e->plan->tensors[s->in[0]].shape[0];
    const int32_t classes = (int32_t)e->plan->tensors[s->in[0]].shape[1];
    hmt_run_task *task = &e->run->tasks[s->task];
    const float *logits = exec_data(e, o, 0);
    float *gradient = o->count > 1 ? exec_data(e, o, 1) : NULL;

    for (int64_t n = 0; n < rows; ++n, logits += classes) {
        int32_t label = task->labels != NULL ? task->labels[n] : -1;

        if (label >= 0 && label < classes)
            task->loss_sum += losses_cross_entropy(logits, classes, label, (double)s->smoothing,
                                                   (double)task->scale, gradient);
        else
            for (int32_t k = 0; gradient != NULL && k < classes; ++k)
                gradient[k] = 0.0f;
        if (gradient != NULL)
            gradient += classes;
    }
}

/* Operands: predictions (N,1), [gradient]. */
static void regression_loop(const exec *e, const op *o)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t rows = e->plan->tensors[s->in[0]].shape[0];
    hmt_run_task *task = &e->run->tasks[s->task];
    const float *predictions = exec_data(e, o, 0);
    float *gradient = o->count > 1 ? exec_data(e, o, 1) : NULL;

    for (int64_t n = 0; n < rows; ++n) {
        int known = task->targets != NULL && !isnan(task->targets[n]);
        double error = known ? (double)predictions[n] - (double)task->targets[n] : 0.0;
        double slope = losses_regression_slope(s->loss, (double)s->delta, error);

        if (known)
            task->loss_sum += losses_regression(s->loss, (double)s->delta, error);
        if (gradient != NULL)
            gradient[n] = known ? (float)((double)task->scale * slope) : 0.0f;
    }
}

static void add_loss(exec *e, const hmt_plan_step *s, void (*loop)(const exec *e, const op *o))
{
    int32_t in = exec_input(e, s->in[0], exec_like(e, s->in[0], dnnl_nchw)), gradient = -1;

    if (s->out[0] >= 0)
        gradient = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nchw));
    exec_alone(e, loop);
    exec_operand(e, in);
    exec_operand(e, gradient);
}

void losses_cross_entropy_step(exec *e, const hmt_plan_step *s)
{
    add_loss(e, s, cross_entropy_loop);
}

void losses_regression_step(exec *e, const hmt_plan_step *s)
{
    add_loss(e, s, regression_loop);
}

/* Operands: y (N,K). */
static void one_hot_loop(const exec *e, const op *o)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t *shape = e->plan->tensors[s->out[0]].shape;
    const hmt_run_task *task = &e->run->tasks[s->task];
    float *y = exec_data(e, o, 0);

    for (int64_t n = 0; n < shape[0]; ++n, y += shape[1]) {
        int32_t label = task->labels != NULL ? task->labels[n] : -1;

        for (int64_t k = 0; k < shape[1]; ++k)
            y[k] = k == label ? 1.0f : 0.0f;
    }
}

void losses_one_hot(exec *e, const hmt_plan_step *s)
{
    int32_t y = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nchw));

    exec_alone(e, one_hot_loop);
    exec_operand(e, y);
}
