/*
 * Saving checkpoints (see checkpoint.h). Parameters and averages lie in the model, what only the
 * trainer has comes from the backend, one tensor after another.
 */
#include <stdio.h>
#include <string.h>

#include "api/checkpoint.h"
#include "api/context.h"
#include "api/trainer.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/config_json.h"
#include "format/json.h"
#include "format/safetensors.h"

enum { STATE_SIZE = 96, MOST_NOTE = 1 << 20 };

static const char *const prefixes[] = {
    [HMT_SLOT_VALUE] = CHECKPOINT_TRAINED, [HMT_SLOT_MOMENTUM] = CHECKPOINT_MOMENTUM};

const char *checkpoint_param_of(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; ++i)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return name + strlen(prefixes[i]);
    return NULL;
}

bool checkpoint_has(const hmt_trainer *trainer, size_t i, hmt_slot slot)
{
    const hmt_plan_weight *weight = &trainer->train.lowered->plan.weights[i];

    return weight->trained &&
           (slot == HMT_SLOT_MOMENTUM
                ? graph_param_trainable(&trainer->model->graph.params[weight->param])
                : average_is_on(trainer));
}

void checkpoint_name(char name[CHECKPOINT_NAME], hmt_slot slot, const char *param)
{
    snprintf(name, CHECKPOINT_NAME, "%s%s", prefixes[slot], param);
}

/* What a tensor is: a slot of the plan's weight, or the model's parameter if weight is -1. */
typedef struct origin {
    int32_t weight;
    hmt_slot slot;
} origin;

/* What a checkpoint is written from. */
typedef struct contents {
    hmt_trainer *trainer;
    safetensors_tensor *tensors;    /* the model's parameters, then the trainer's slots */
    origin *origins;                /* by tensor */
    char (*names)[CHECKPOINT_NAME]; /* of the slots */
    size_t count;
    float *values; /* room for the largest */
} contents;

static void contents_clear(contents *c)
{
    const hmt_allocator *allocator = &c->trainer->model->context->allocator;

    memory_free(allocator, c->tensors);
    memory_free(allocator, c->origins);
    memory_free(allocator, c->names);
    memory_free(allocator, c->values);
}

static hmt_status contents_allocate(contents *c)
{
    static const char what[] = "a checkpoint's header";
    const hmt_model *model = c->trainer->model;
    const hmt_allocator *allocator = &model->context->allocator;
    const hmt_plan *plan = &c->trainer->train.lowered->plan;
    size_t params = (size_t)model->graph.param_count, slots = 0;
    int64_t largest = 1;
    void *block = NULL;
    hmt_status status;

    for (size_t i = 0; i < plan->weight_count; ++i)
        for (int slot = HMT_SLOT_VALUE; slot <= HMT_SLOT_MOMENTUM; ++slot)
            if (checkpoint_has(c->trainer, i, (hmt_slot)slot)) {
                const int64_t count = model->graph.params[plan->weights[i].param].count;

                ++slots;
                largest = count > largest ? count : largest;
            }
    status = memory_zeroed(allocator, params + slots, sizeof *c->tensors, what, &block);
    c->tensors = block;
    if (status == HMT_OK) {
        status = memory_zeroed(allocator, params + slots, sizeof *c->origins, what, &block);
        c->origins = status == HMT_OK ? block : NULL;
    }
    if (status == HMT_OK) {
        status = memory_zeroed(allocator, slots, sizeof *c->names, what, &block);
        c->names = status == HMT_OK ? block : NULL;
    }
    if (status == HMT_OK) {
        status =
            memory_uninitialised(allocator, (size_t)largest, sizeof(float), "momentum", &block);
        c->values = status == HMT_OK ? block : NULL;
    }
    return status;
}

static void add(contents *c, const char *name, int32_t param, origin from)
{
    const hmt_model *model = c->trainer->model;
    const graph_param *p = &model->graph.params[param];
    safetensors_tensor *tensor = &c->tensors[c->count];

    *tensor = (safetensors_tensor){.name = name,
                                   .dtype = TENSORS_F32,
                                   .rank = p->dimensions,
                                   .shape = {1, 1, 1, 1, 1, 1, 1, 1},
                                   .values = model->values[param]};
    memcpy(tensor->shape, p->shape, sizeof p->shape);
    c->origins[c->count++] = from;
}

static void describe(contents *c)
{
    const graph *g = &c->trainer->model->graph;
    const hmt_plan *plan = &c->trainer->train.lowered->plan;
    char(*name)[CHECKPOINT_NAME] = c->names;

    for (int32_t i = 0; i < g->param_count; ++i)
        add(c, g->params[i].name, i, (origin){-1, HMT_SLOT_VALUE});
    for (int slot = HMT_SLOT_MOMENTUM; slot >= HMT_SLOT_VALUE; --slot)
        for (size_t i = 0; i < plan->weight_count; ++i) {
            const int32_t param = plan->weights[i].param;

            if (!checkpoint_has(c->trainer, i, (hmt_slot)slot))
                continue;
            checkpoint_name(*name, (hmt_slot)slot, g->params[param].name);
            add(c, *name++, param, (origin){(int32_t)i, (hmt_slot)slot});
        }
}

/* safetensors_job.fetch: a device gives a whole tensor at its first piece. */
static hmt_status fetch(void *user, size_t index, uint64_t first, size_t count, float *room,
                        const float **values)
{
    contents *c = user;
    const hmt_trainer *trainer = c->trainer;
    const origin *from = &c->origins[index];

    (void)count, (void)room;
    if (from->weight < 0) {
        *values = c->tensors[index].values + first;
        return HMT_OK;
    }
    *values = c->values + first;
    if (first > 0)
        return HMT_OK;
    return trainer->model->context->backend->weights_get(
        trainer->weights, &trainer->train.lowered->plan.weights[from->weight], from->slot,
        c->values);
}

static hmt_status write(contents *c, const char *path, const char *config, const char *note)
{
    const hmt_context *context = c->trainer->model->context;
    char state[STATE_SIZE];
    const tensors_pair metadata[] = {
        {"format", "pt", 2},
        {CONFIG_JSON_KEY, config, strlen(config)},
        {CHECKPOINT_STATE, state,
         (size_t)snprintf(state, sizeof state, "{\"version\":%d,\"steps\":%llu}",
                          CHECKPOINT_VERSION, (unsigned long long)c->trainer->steps)},
        {CHECKPOINT_RECIPE, c->trainer->recipe.text, strlen(c->trainer->recipe.text)},
        {CHECKPOINT_NOTE, note, strlen(note)}};
    const safetensors_job job = {.tensors = c->tensors,
                                 .tensor_count = c->count,
                                 .metadata = metadata,
                                 .metadata_count = sizeof metadata / sizeof metadata[0],
                                 .fetch = fetch,
                                 .fetch_user = c,
                                 .progress = trainer_tell,
                                 .progress_user = c->trainer};
    file_writer writer = {0};
    hmt_status status = file_writer_open(&writer, &context->allocator, path);

    if (status == HMT_OK)
        status = safetensors_write(&writer, &context->allocator, &job);
    if (status == HMT_OK)
        status = file_writer_commit(&writer);
    file_writer_discard(&writer);
    return status;
}

hmt_status hmt_trainer_save(hmt_trainer *trainer, const char *path, const char *note)
{
    FLOAT_MODE_DEFAULT;
    contents c = {.trainer = trainer};
    const hmt_allocator *allocator;
    void *config = NULL;
    hmt_status status;

    status_clear();
    if (trainer == NULL || path == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_save: trainer or path is NULL");
    if (note == NULL)
        note = "";
    if (strlen(note) > MOST_NOTE || !json_utf8_valid(note, strlen(note)))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_trainer_save: the note is not UTF-8, or longer than %d bytes",
                           MOST_NOTE);
    allocator = &trainer->model->context->allocator;
    status = context_check_busy(trainer->busy, "trainer");
    if (status == HMT_OK)
        status = model_sync(trainer->model);
    for (int32_t i = 0; status == HMT_OK && i < trainer->model->graph.param_count; ++i)
        if (!trainer->model->allow_nonfinite)
            status = model_check_param(trainer->model, i, path);
    if (status == HMT_OK)
        status = contents_allocate(&c);
    if (status == HMT_OK)
        status = memory_zeroed(allocator, CONFIG_JSON_SIZE, 1, "a checkpoint's header", &config);
    if (status == HMT_OK)
        status = config_to_json(&trainer->model->config, config, CONFIG_JSON_SIZE);
    if (status == HMT_OK) {
        describe(&c);
        status = write(&c, path, config, note);
    }
    contents_clear(&c);
    memory_free(allocator, config);
    return status;
}
