/*
 * Convolutions, forward and backward, through conv_graph.h. Bias and relu are fused where cuDNN
 * offers that in the precision asked for, and follow in a kernel of ours where it does not. A
 * bias's gradient is a sum of ours.
 */
#include <stdio.h>
#include <string.h>

#include "choice.h"
#include "exec.h"

typedef struct conv_state {
    conv_graph graph;
    choice_key key;
    bool separate; /* bias and relu come behind */
    bool known;    /* the one candidate won before */
    void *operands[CONV_OPERANDS];
} conv_state;

static conv_kind kind_of(const hmt_plan_step *s)
{
    if (s->kind == HMT_STEP_CONV)
        return CONV_FORWARD;
    return s->kind == HMT_STEP_CONV_BACKWARD_DATA ? CONV_DATA : CONV_FILTER;
}

/* The tensors that play x and y of the forward convolution. */
static int32_t x_of(const hmt_plan_step *s)
{
    if (s->kind == HMT_STEP_CONV)
        return s->in[0];
    return s->kind == HMT_STEP_CONV_BACKWARD_DATA ? s->out[0] : s->in[1];
}

static int32_t y_of(const hmt_plan_step *s)
{
    return s->kind == HMT_STEP_CONV ? s->out[0] : s->in[0];
}

static conv_problem problem_of(const exec *e, const hmt_plan_step *s, bool fused)
{
    const bool forward = s->kind == HMT_STEP_CONV;

    return (conv_problem){.kind = kind_of(s),
                          .x = exec_extent(e, x_of(s)),
                          .y = exec_extent(e, y_of(s)),
                          .window = s->window,
                          .type = e->device->type,
                          .bias = forward && fused && s->weight[1] >= 0,
                          .relu = forward && fused && s->relu};
}

static choice_key key_of(const conv_problem *p)
{
    const hmt_window *w = &p->window;
    choice_key key;

    memset(&key, 0, sizeof key);
    key.kind = (int32_t)p->kind;
    memcpy(key.numbers,
           (const int32_t[]){p->x.n, p->x.c, p->x.h, p->x.w, p->y.c, p->y.h, p->y.w, w->kernel[0],
                             w->kernel[1], w->stride[0], w->stride[1], w->pad[0], w->pad[1],
                             w->groups, (int32_t)p->type, p->bias, p->relu},
           17 * sizeof(int32_t));
    return key;
}

static hmt_status build(exec *e, const hmt_plan_step *s, conv_state *c, bool fused)
{
    const conv_problem p = problem_of(e, s, fused);
    int32_t known;
    hmt_status status = HMT_OK;

    c->key = key_of(&p);
    known = choice_find(e->device, &c->key);
    c->known = known >= 0;
    if (c->known) {
        status = conv_graph_build(&c->graph, e->device, s->name, e->dnn, &p, known, 1);
        if (status != HMT_OK || c->graph.candidate_count > 0)
            return status;
        conv_graph_clear(&c->graph); /* the heuristics no longer give it */
        c->known = false;
    }
    return conv_graph_build(&c->graph, e->device, s->name, e->dnn, &p, -1, e->device->candidates);
}

static hmt_status none_left(const exec *e, const hmt_plan_step *s, const char *text)
{
    return e->device->host->fail(
        HMT_ERROR_UNSUPPORTED,
        "%s: no engine of cuDNN computes this convolution in the precision "
        "and workspace asked for%s",
        s->name, text);
}

/* Bias and relu become kernels of ours. */
static hmt_status separate(exec *e, const hmt_plan_step *s, conv_state *c)
{
    hmt_status status;

    conv_graph_clear(&c->graph);
    c->separate = true;
    status = build(e, s, c, false);
    if (status == HMT_OK && c->graph.candidate_count == 0)
        status = none_left(e, s, c->graph.text);
    return status;
}

static bool is_fused(const conv_state *c)
{
    return c->graph.problem.bias || c->graph.problem.relu;
}

hmt_status conv_prepare(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    conv_state *c;
    void *block;
    hmt_status status = device_host_memory(e->device, 1, sizeof *c, "a convolution", &block);

    if (status != HMT_OK)
        return status;
    c = e->states[step] = block;
    status = build(e, s, c, true);
    if (status == HMT_OK && c->graph.candidate_count == 0)
        status = is_fused(c) ? separate(e, s, c) : none_left(e, s, c->graph.text);
    for (int32_t i = 0; i < c->graph.candidate_count && status == HMT_OK; ++i)
        exec_workspace(e, c->graph.candidates[i].workspace);
    if (s->kind == HMT_STEP_CONV_BACKWARD_WEIGHTS && s->out[1] >= 0) {
        const extent y = exec_extent(e, y_of(s));

        exec_scratch(e, kernel_sums_scratch(exec_rows(y), y.c) * sizeof(double));
    }
    return status;
}

static void find_operands(const exec *e, const hmt_plan_step *s, conv_state *c)
{
    c->operands[CONV_X - 1] = exec_map(e, x_of(s)).at;
    c->operands[CONV_Y - 1] = exec_map(e, y_of(s)).at;
    c->operands[CONV_W - 1] = s->kind == HMT_STEP_CONV_BACKWARD_WEIGHTS
                                  ? exec_map(e, s->out[0]).at
                                  : exec_factor(e, s->weight[0]);
    c->operands[CONV_BIAS - 1] = s->kind == HMT_STEP_CONV ? exec_factor(e, s->weight[1]) : NULL;
}

/* ---------------------------------------------------------------------------- choosing ---------
 */

typedef struct trial {
    const exec *e;
    conv_graph *graph;
    cudnnBackendDescriptor_t packs[CONV_CANDIDATES];
    cudnnStatus_t refused; /* the last candidate's status that could not be run */
} trial;

static bool try_candidate(void *user, int32_t i)
{
    trial *t = user;
    const cudnnStatus_t status =
        cudnnBackendExecute(t->e->dnn, t->graph->candidates[i].plan, t->packs[i]);

    if (status != CUDNN_STATUS_SUCCESS)
        t->refused = status;
    return status == CUDNN_STATUS_SUCCESS;
}

/* *best -1: none of the candidates runs. */
static hmt_status measure(exec *e, conv_state *c, int32_t *best)
{
    trial t = {.e = e, .graph = &c->graph};
    hmt_status status = HMT_OK;

    for (int32_t i = 0; i < c->graph.candidate_count && status == HMT_OK; ++i)
        status = conv_graph_pack(&c->graph, c->operands, e->workspace, &t.packs[i]);
    if (status == HMT_OK)
        status = choice_measure(e->device, c->graph.where, e->compute, e->before, e->after,
                                c->graph.candidate_count, e->device->candidates, try_candidate, &t,
                                best);
    for (int32_t i = 0; i < c->graph.candidate_count; ++i)
        if (t.packs[i] != NULL)
            (void)cudnnBackendDestroyDescriptor(t.packs[i]);
    if (status == HMT_OK && *best < 0)
        snprintf(c->graph.text, sizeof c->graph.text, "; the last one: %s",
                 cudnnGetErrorString(t.refused));
    return status;
}

hmt_status conv_choose(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    conv_state *c = e->states[step];
    int32_t best = -1;
    hmt_status status;

    if (c->known)
        return HMT_OK;
    find_operands(e, s, c);
    status = measure(e, c, &best);
    if (status == HMT_OK && best < 0 && is_fused(c)) { /* offered, but not to be had */
        status = separate(e, s, c);
        conv_graph_bound(&c->graph, e->workspace_bytes);
        if (status == HMT_OK)
            status = measure(e, c, &best);
    }
    if (status != HMT_OK)
        return status;
    if (best < 0)
        return none_left(e, s, c->graph.text);
    choice_keep(e->device, &c->key, c->graph.candidates[best].name);
    conv_graph_choose(&c->graph, best);
    return HMT_OK;
}

hmt_status conv_link(exec *e, int32_t step)
{
    conv_state *c = e->states[step];

    exec_workspace(e, c->graph.candidates[0].workspace);
    if (c->graph.pack != NULL)
        (void)cudnnBackendDestroyDescriptor(c->graph.pack);
    c->graph.pack = NULL;
    find_operands(e, exec_step(e, step), c);
    return conv_graph_pack(&c->graph, c->operands, e->workspace, &c->graph.pack);
}

/* ---------------------------------------------------------------------------- running ----------
 */

hmt_status conv_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const conv_state *c = e->states[step];
    const extent y = exec_extent(e, y_of(s));
    hmt_status status = CUDNN_CALL(e->device, s->name, cudnnBackendExecute, e->dnn,
                                   c->graph.candidates[0].plan, c->graph.pack);

    if (status != HMT_OK)
        return status;
    if (s->kind == HMT_STEP_CONV && c->separate)
        kernel_bias(exec_map(e, s->out[0]), exec_rows(y), y.c, exec_values(e, s->weight[1]),
                    s->relu, e->compute);
    if (s->kind == HMT_STEP_CONV_BACKWARD_WEIGHTS && s->out[1] >= 0)
        kernel_channel_sums(exec_map(e, s->in[0]), exec_rows(y), y.c, exec_floats(e, s->out[1]),
                            (double *)(void *)e->scratch, e->compute);
    return HMT_OK;
}

void conv_release(exec *e, int32_t step)
{
    conv_state *c = e->states[step];

    conv_graph_clear(&c->graph);
    device_host_free(e->device, c);
}

const char *conv_kernel(const exec *e, int32_t step)
{
    const conv_state *c = e->states[step];

    return c->graph.candidates[0].kernel;
}
