/*
 * Which parameters a model has: a count of their changes, so that whoever read them while they were
 * changed learns of it, and whether they are whole. Nothing here waits, so a process made by fork()
 * cannot wait for ever.
 */
#include "api/model.h"
#include "core/status.h"

hmt_status model_fail_spoiled(void)
{
    return status_fail(HMT_ERROR_STATE,
                       "training ended with the model's parameters half changed, some of one step "
                       "and some of another; load it again");
}

hmt_status model_check_writable(const hmt_model *model)
{
    if (model->spoiled)
        return model_fail_spoiled();
    if (model->trainer == NULL)
        return HMT_OK;
    return status_fail(HMT_ERROR_STATE,
                       "the model's parameters belong to its trainer; free that first");
}

uint64_t model_generation(hmt_model *model)
{
    /* Adding nothing, as a plain load would let the reads before it slip behind it. */
    return atomic_fetch_add(&model->generation, 0);
}

void model_change_begin(hmt_model *model)
{
    atomic_fetch_add(&model->generation, 1);
}

void model_change_end(hmt_model *model)
{
    atomic_fetch_add(&model->generation, 1);
}

hmt_status model_fail_changing(void)
{
    return status_fail(HMT_ERROR_STATE,
                       "another thread changes the model's parameters, which are read here; wait "
                       "for its training step to return");
}

hmt_status model_read_begin(hmt_model *model, uint64_t *generation)
{
    *generation = model_generation(model);
    return *generation % 2 != 0 ? model_fail_changing() : model_sync(model);
}

hmt_status model_read_end(hmt_model *model, uint64_t generation)
{
    return model_generation(model) != generation ? model_fail_changing() : HMT_OK;
}
