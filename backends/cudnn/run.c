/*
 * Running a phase: the first time operation by operation, the second time the same is captured as a
 * CUDA graph, which every later run replays. It is always operation by operation when times are
 * asked for, and in the backward pass of a group, whose communicators could not be aborted while a
 * graph holds their operations. A run ends when the device has finished: nothing of it goes on
 * after a failure either.
 */
#include "exec.h"

static hmt_status run_step(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    hmt_status status;

    if (e->member != NULL && group_updates(e, s))
        return group_update(e, step);
    status = operation_of(s->kind)->run(e, step);
    return status == HMT_OK ? status_launch(e->device, s->name) : status;
}

/* Puts a whole phase on the compute stream. */
static hmt_status enqueue(exec *e, hmt_phase phase)
{
    hmt_status status = io_enqueue_inputs(e, phase);

    for (size_t i = 0; i < e->plan->step_count && status == HMT_OK; ++i)
        if (e->plan->steps[i].phase == phase)
            status = run_step(e, (int32_t)i);
    if (status == HMT_OK && e->member != NULL && phase == HMT_PHASE_BACKWARD)
        status = group_finish(e);
    return status == HMT_OK ? io_enqueue_results(e, phase) : status;
}

/* The same, recorded. */
static hmt_status capture(exec *e, hmt_phase phase)
{
    cudaGraph_t graph = NULL;
    cudaError_t ended;
    hmt_status status = CUDA_CALL(e->device, NULL, cudaStreamBeginCapture, e->compute,
                                  cudaStreamCaptureModeThreadLocal);

    if (status != HMT_OK)
        return status;
    status = enqueue(e, phase);
    ended = cudaStreamEndCapture(e->compute, &graph); /* also after a failure: the stream is ours */
    if (status == HMT_OK)
        status = status_cuda(e->device, NULL, "cudaStreamEndCapture", ended);
    if (status == HMT_OK)
        status =
            CUDA_CALL(e->device, NULL, cudaGraphInstantiate, &e->phases[phase].graph, graph, 0);
    if (graph != NULL)
        (void)cudaGraphDestroy(graph);
    if (status != HMT_OK)
        (void)cudaGetLastError();
    return status;
}

static hmt_status start(exec *e, hmt_phase phase)
{
    struct phase *p = &e->phases[phase];
    hmt_status status = HMT_OK;

    if (!p->warm || (e->member != NULL && phase == HMT_PHASE_BACKWARD)) {
        status = enqueue(e, phase);
        p->warm = status == HMT_OK;
        return status;
    }
    if (p->graph == NULL) {
        device_exclusive_begin();
        status = capture(e, phase);
        device_exclusive_end();
    }
    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaGraphLaunch, p->graph, e->compute);
    return status;
}

void exec_forget(exec *e)
{
    for (int i = 0; i < PHASES; ++i) {
        if (e->phases[i].graph != NULL)
            (void)cudaGraphExecDestroy(e->phases[i].graph);
        e->phases[i].graph = NULL;
        e->phases[i].warm = false;
    }
}

static hmt_status time_step(exec *e, int32_t step, double *milliseconds)
{
    const device *d = e->device;
    float taken = 0.0f;
    hmt_status status = CUDA_CALL(d, NULL, cudaEventRecord, e->before, e->compute);

    if (status == HMT_OK)
        status = run_step(e, step);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventRecord, e->after, e->compute);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventSynchronize, e->after);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventElapsedTime, &taken, e->before, e->after);
    *milliseconds = (double)taken;
    return status;
}

static hmt_status start_timed(exec *e, const hmt_run *run)
{
    hmt_status status = io_enqueue_inputs(e, run->phase);

    for (size_t i = 0; i < e->plan->step_count && status == HMT_OK; ++i)
        if (e->plan->steps[i].phase == run->phase)
            status = time_step(e, (int32_t)i, &run->milliseconds[i]);
    if (status == HMT_OK && e->member != NULL && run->phase == HMT_PHASE_BACKWARD)
        status = group_finish(e);
    return status == HMT_OK ? io_enqueue_results(e, run->phase) : status;
}

hmt_status exec_run(void *prepared, hmt_run *run)
{
    exec *e = prepared;
    hmt_status status = group_check(e), finished;

    if (status == HMT_OK)
        status = device_enter(e->device);
    if (status == HMT_OK)
        status = io_begin(e, run);
    if (status == HMT_OK)
        status = run->milliseconds != NULL ? start_timed(e, run) : start(e, run->phase);
    if (status == HMT_OK)
        status = io_upload_staged(e); /* while the device computes */
    if (status != HMT_OK)
        status = group_end(e, status); /* so that nobody waits for us */
    finished = CUDA_CALL(e->device, NULL, cudaStreamSynchronize, e->compute);
    status = status != HMT_OK ? status : finished;
    if (status != HMT_OK)
        (void)cudaStreamSynchronize(e->copy);
    if (run->phase == HMT_PHASE_BACKWARD || status != HMT_OK)
        status = group_end(e, status);
    if (status == HMT_OK)
        io_end(e, run);
    return status;
}
