/*
 * Checkpoints: a model file that holds the optimiser's momentum beside the parameters, and in its
 * metadata the steps done, the recipe, and the host's note.
 */
#include <stdio.h>
#include <string.h>

#include "api/checkpoint.h"
#include "api/context.h"
#include "api/trainer.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/config_json.h"
#include "format/json.h"
#include "format/safetensors.h"

#define MOMENTUM "momentum."
#define STATE_KEY "hmtnet.training" /* {"version":1,"steps":N} */
#define RECIPE_KEY "hmtnet.recipe"
#define NOTE_KEY "hmtnet.note"

enum {
    VERSION = 1,
    STATE_SIZE = 96,
    NAME_SIZE = GRAPH_NAME + sizeof MOMENTUM,
    MOST_NOTE = 1 << 20
};

const char *checkpoint_momentum_of(const safetensors_index *index, const char *name)
{
    const size_t prefix = sizeof MOMENTUM - 1;

    return safetensors_metadata(index, STATE_KEY) != NULL && strncmp(name, MOMENTUM, prefix) == 0
               ? name + prefix
               : NULL;
}

/* Whether weight `i` of the training plan has momentum: statistics have none. */
static bool has_momentum(const hmt_trainer *trainer, size_t i)
{
    const hmt_plan_weight *weight = &trainer->train.lowered->plan.weights[i];

    return weight->trained && graph_param_trainable(&trainer->model->graph.params[weight->param]);
}

/* ---- saving ---- */

/* What a checkpoint is written from. */
typedef struct contents {
    hmt_trainer *trainer;
    safetensors_tensor *tensors; /* the model's parameters, then momentum */
    int32_t *weight;             /* by tensor: the plan's weight whose momentum it is, or -1 */
    char (*names)[NAME_SIZE];    /* of the momentum */
    size_t count;
    float *momentum; /* room for the largest */
} contents;

static void contents_clear(contents *c)
{
    const hmt_allocator *allocator = &c->trainer->model->context->allocator;

    memory_free(allocator, c->tensors);
    memory_free(allocator, c->weight);
    memory_free(allocator, c->names);
    memory_free(allocator, c->momentum);
}

static hmt_status contents_allocate(contents *c)
{
    static const char what[] = "a checkpoint's header";
    const hmt_model *model = c->trainer->model;
    const hmt_allocator *allocator = &model->context->allocator;
    const hmt_plan *plan = &c->trainer->train.lowered->plan;
    size_t params = (size_t)model->graph.param_count, momenta = 0;
    int64_t largest = 1;
    void *block = NULL;
    hmt_status status;

    for (size_t i = 0; i < plan->weight_count; ++i)
        if (has_momentum(c->trainer, i)) {
            const int64_t count = model->graph.params[plan->weights[i].param].count;

            ++momenta;
            largest = count > largest ? count : largest;
        }
    status = memory_zeroed(allocator, params + momenta, sizeof *c->tensors, what, &block);
    c->tensors = block;
    if (status == HMT_OK) {
        status = memory_zeroed(allocator, params + momenta, sizeof *c->weight, what, &block);
        c->weight = status == HMT_OK ? block : NULL;
    }
    if (status == HMT_OK) {
        status = memory_zeroed(allocator, momenta, sizeof *c->names, what, &block);
        c->names = status == HMT_OK ? block : NULL;
    }
    if (status == HMT_OK) {
        status =
            memory_uninitialised(allocator, (size_t)largest, sizeof(float), "momentum", &block);
        c->momentum = status == HMT_OK ? block : NULL;
    }
    return status;
}

static void add(contents *c, const char *name, int32_t param, int32_t weight)
{
    const hmt_model *model = c->trainer->model;
    const graph_param *p = &model->graph.params[param];
    safetensors_tensor *tensor = &c->tensors[c->count];

    *tensor = (safetensors_tensor){.name = name,
                                   .dtype = SAFETENSORS_F32,
                                   .rank = p->dimensions,
                                   .shape = {1, 1, 1, 1, 1, 1, 1, 1},
                                   .values = model->values[param]};
    memcpy(tensor->shape, p->shape, sizeof p->shape);
    c->weight[c->count++] = weight;
}

static void describe(contents *c)
{
    const graph *g = &c->trainer->model->graph;
    const hmt_plan *plan = &c->trainer->train.lowered->plan;
    char(*name)[NAME_SIZE] = c->names;

    for (int32_t i = 0; i < g->param_count; ++i)
        add(c, g->params[i].name, i, -1);
    for (size_t i = 0; i < plan->weight_count; ++i) {
        if (!has_momentum(c->trainer, i))
            continue;
        snprintf(*name, sizeof *name, MOMENTUM "%s", g->params[plan->weights[i].param].name);
        add(c, *name++, plan->weights[i].param, (int32_t)i);
    }
}

/* safetensors_job.fetch: parameters lie in the model, momentum comes from the backend. */
static hmt_status fetch(void *user, size_t index, const float **values)
{
    contents *c = user;
    const hmt_trainer *trainer = c->trainer;

    *values = c->tensors[index].values;
    if (c->weight[index] < 0)
        return HMT_OK;
    *values = c->momentum;
    return trainer->model->context->backend->weights_get(
        trainer->weights, &trainer->train.lowered->plan.weights[c->weight[index]],
        HMT_SLOT_MOMENTUM, c->momentum);
}

static hmt_status write(contents *c, const char *path, const char *config, const char *note)
{
    const hmt_context *context = c->trainer->model->context;
    char state[STATE_SIZE];
    const safetensors_pair metadata[] = {
        {"format", "pt", 2},
        {CONFIG_JSON_KEY, config, strlen(config)},
        {STATE_KEY, state,
         (size_t)snprintf(state, sizeof state, "{\"version\":%d,\"steps\":%llu}", VERSION,
                          (unsigned long long)c->trainer->steps)},
        {RECIPE_KEY, c->trainer->recipe.text, strlen(c->trainer->recipe.text)},
        {NOTE_KEY, note, strlen(note)}};
    const safetensors_job job = {.tensors = c->tensors,
                                 .tensor_count = c->count,
                                 .metadata = metadata,
                                 .metadata_count = sizeof metadata / sizeof metadata[0],
                                 .fetch = fetch,
                                 .fetch_user = c,
                                 .progress = context->options.progress,
                                 .progress_user = context->options.progress_user};
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
    status = model_sync(trainer->model);
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

/* ---- going on ---- */

/* An opened checkpoint. */
typedef struct checkpoint {
    file_map map;
    safetensors_index index;
} checkpoint;

static void checkpoint_close(checkpoint *file)
{
    safetensors_close(&file->index);
    file_map_close(&file->map);
}

static hmt_status checkpoint_open(const hmt_allocator *allocator, const char *path,
                                  checkpoint *file)
{
    hmt_status status = file_map_open(path, &file->map);

    if (status == HMT_OK)
        status = safetensors_open(allocator, file->map.data, file->map.size, path, &file->index);
    if (status == HMT_OK && safetensors_metadata(&file->index, STATE_KEY) == NULL)
        status =
            status_fail(HMT_ERROR_FORMAT, "%s: is no checkpoint, it has no %s", path, STATE_KEY);
    if (status != HMT_OK)
        checkpoint_close(file);
    return status;
}

static hmt_status read_state(const safetensors_index *index, uint64_t *steps)
{
    const safetensors_pair *pair = safetensors_metadata(index, STATE_KEY);
    int64_t version = 0, done = -1;
    json_reader json;
    json_string key;

    json_begin(&json, pair->value, pair->value_size, index->what);
    json_enter(&json, '{');
    while (json_member(&json, &key))
        if (json_equals(key, "version"))
            version = json_int64(&json);
        else if (json_equals(key, "steps"))
            done = json_int64(&json);
        else
            json_skip(&json);
    if (json_end(&json) != HMT_OK)
        return json.status;
    if (version < 1 || version > VERSION)
        return status_fail(HMT_ERROR_FORMAT, "%s: checkpoint version %lld, this library reads %d",
                           index->what, (long long)version, VERSION);
    if (done < 0)
        return status_fail(HMT_ERROR_FORMAT, "%s: " STATE_KEY " has no number of steps",
                           index->what);
    *steps = (uint64_t)done;
    return HMT_OK;
}

static hmt_status check_recipe(const safetensors_index *index, const char *ours)
{
    const safetensors_pair *pair = safetensors_metadata(index, RECIPE_KEY);

    if (pair != NULL && strcmp(pair->value, ours) == 0)
        return HMT_OK;
    return status_fail(HMT_ERROR_ARGUMENT,
                       "%s: was saved with other trainer options: %s; this trainer's are %s",
                       index->what, pair != NULL ? pair->value : "none", ours);
}

/* The tensor of parameter `param` under `name`, float32 and of its shape. */
static hmt_status find_tensor(const safetensors_index *index, const char *name,
                              const graph_param *param, const float **values)
{
    const safetensors_entry *entry = safetensors_find(index, name);

    *values = entry != NULL ? safetensors_in_place(index, entry) : NULL;
    if (*values != NULL && entry->count == (uint64_t)param->count)
        return HMT_OK;
    return status_fail(HMT_ERROR_FORMAT, "%s: has no tensor %s of %lld float32 elements",
                       index->what, name, (long long)param->count);
}

static hmt_status check_params(const hmt_model *model, const safetensors_index *index)
{
    for (int32_t i = 0; i < model->graph.param_count; ++i) {
        const graph_param *param = &model->graph.params[i];
        const float *values;
        hmt_status status = find_tensor(index, param->name, param, &values);

        if (status != HMT_OK)
            return status;
        if (memcmp(values, model->values[i], (size_t)param->count * sizeof(float)) != 0)
            return status_fail(HMT_ERROR_ARGUMENT,
                               "%s: the model's %s is not that of the checkpoint; load the model "
                               "from the checkpoint first",
                               index->what, param->name);
    }
    return HMT_OK;
}

static hmt_status set_momentum(hmt_trainer *trainer, const safetensors_index *index)
{
    const hmt_model *model = trainer->model;
    const hmt_plan *plan = &trainer->train.lowered->plan;
    char name[NAME_SIZE];

    for (size_t i = 0; i < plan->weight_count; ++i) {
        const graph_param *param = &model->graph.params[plan->weights[i].param];
        const float *values;
        hmt_status status;

        if (!has_momentum(trainer, i))
            continue;
        snprintf(name, sizeof name, MOMENTUM "%s", param->name);
        status = find_tensor(index, name, param, &values);
        if (status == HMT_OK)
            status = model->context->backend->weights_set(trainer->weights, &plan->weights[i],
                                                          HMT_SLOT_MOMENTUM, values);
        if (status == HMT_OK)
            status = devices_set(trainer->devices, &plan->weights[i], HMT_SLOT_MOMENTUM, values);
        if (status != HMT_OK)
            return status;
    }
    return HMT_OK;
}

hmt_status hmt_trainer_resume(hmt_trainer *trainer, const char *path)
{
    checkpoint file = {.index = {.count = 0}};
    uint64_t steps = 0;
    hmt_status status;

    status_clear();
    if (trainer == NULL || path == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_resume: trainer or path is NULL");
    if (trainer->steps > 0)
        return status_fail(HMT_ERROR_STATE, "hmt_trainer_resume: the trainer has made %llu steps",
                           (unsigned long long)trainer->steps);
    if (trainer->model->context->backend->weights_set == NULL)
        return status_fail(HMT_ERROR_UNSUPPORTED, "backend %s cannot set momentum",
                           trainer->model->context->backend->name);
    status = checkpoint_open(&trainer->model->context->allocator, path, &file);
    if (status != HMT_OK)
        return status;
    status = read_state(&file.index, &steps);
    if (status == HMT_OK)
        status = check_recipe(&file.index, trainer->recipe.text);
    if (status == HMT_OK)
        status = check_params(trainer->model, &file.index);
    if (status == HMT_OK)
        status = set_momentum(trainer, &file.index);
    if (status == HMT_OK)
        trainer->steps = trainer->home_steps = steps;
    checkpoint_close(&file);
    return status;
}

hmt_status hmt_checkpoint_note(const hmt_context *context, const char *path, char *note,
                               size_t capacity, size_t *length)
{
    checkpoint file = {.index = {.count = 0}};
    const safetensors_pair *pair;
    size_t size, kept;
    hmt_status status;

    status_clear();
    if (path == NULL || (note == NULL && capacity > 0))
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_checkpoint_note: path or note is NULL");
    status = checkpoint_open(context_allocator(context), path, &file);
    if (status != HMT_OK)
        return status;
    pair = safetensors_metadata(&file.index, NOTE_KEY);
    size = pair != NULL ? pair->value_size : 0;
    kept = size < capacity ? size : capacity > 0 ? capacity - 1 : 0;
    if (kept > 0)
        memcpy(note, pair->value, kept);
    if (capacity > 0)
        note[kept] = '\0';
    if (length != NULL)
        *length = size;
    checkpoint_close(&file);
    return HMT_OK;
}
