/*
 * Updates, in the layout in which a parameter's master is stored: SGD in one pass over gradient,
 * momentum and value, and running statistics. Zero padding stays zero under both.
 */
#include "exec.h"
#include "objective/sgd.h"
#include "objective/statistics.h"

/* Operands: gradient, value, momentum. */
static void sgd_loop(const exec *e, const op *o, const member *m)
{
    const hmt_sgd sgd = e->run->groups[e->plan->steps[o->step].group];
    const float *gradient = exec_data(e, o, 0);
    float *restrict value = exec_data(e, o, 1), *restrict momentum = exec_data(e, o, 2);
    const span part = exec_share(m, exec_elements(e, o, 1));

    for (int64_t i = part.from; i < part.to; ++i)
        sgd_update(&value[i], &momentum[i], gradient[i], sgd);
}

/* The gradient is wanted in the master's layout; the master is there already, in the forward
 * step's. */
void update_sgd(exec *e, const hmt_plan_step *s)
{
    const hmt_plan_weight *weight = &e->plan->weights[s->weight[0]];
    int32_t gradient, value, momentum = -1;

    if (weight->dimensions == 1)
        gradient = exec_vector_input(e, s->in[0]);
    else
        gradient = exec_input(e, s->in[0], NULL);
    value = exec_master(e, s->weight[0], exec_md(e, gradient), &momentum);
    if (weight->dimensions != 1)
        gradient = exec_input(e, s->in[0], exec_md(e, value));
    exec_shared(e, sgd_loop, NULL);
    exec_operand(e, gradient);
    exec_operand(e, value);
    exec_operand(e, momentum);
}

/* Operands: mean, variance, running mean, running variance. */
static void statistics_loop(const exec *e, const op *o)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const float *mean = exec_data(e, o, 0), *variance = exec_data(e, o, 1);
    float *running_mean = exec_data(e, o, 2), *running_variance = exec_data(e, o, 3);
    const int64_t n = exec_elements(e, o, 0);

    for (int64_t i = 0; i < n; ++i)
        statistics_update(&running_mean[i], &running_variance[i], mean[i], variance[i], s->samples,
                          s->momentum);
}

void update_statistics(exec *e, const hmt_plan_step *s)
{
    int32_t operands[4];

    for (int i = 0; i < 2; ++i) {
        operands[i] = exec_vector_input(e, s->in[i]);
        operands[2 + i] = exec_master(e, s->weight[i], exec_md(e, operands[i]), NULL);
    }
    exec_alone(e, statistics_loop);
    for (int i = 0; i < 4; ++i)
        exec_operand(e, operands[i]);
}
