/*
 * Going on from a checkpoint (see checkpoint.h): everything in it is compared with the trainer
 * before anything is set.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/checkpoint.h"
#include "api/context.h"
#include "api/trainer.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/json.h"

/* An opened checkpoint. */
typedef struct checkpoint {
    file_reader reader;
    tensors_index index;
    float *values; /* room for the largest parameter, where there is a trainer */
} checkpoint;

static void checkpoint_close(checkpoint *file)
{
    tensors_close(&file->index);
    file_reader_close(&file->reader);
}

static hmt_status checkpoint_open(const hmt_allocator *allocator, const char *path,
                                  checkpoint *file)
{
    hmt_status status = file_reader_open(path, &file->reader);

    if (status == HMT_OK)
        status = tensors_open_file(allocator, &file->reader, NULL, &file->index);
    if (status == HMT_OK && tensors_metadata(&file->index, CHECKPOINT_STATE) == NULL)
        status = status_fail(HMT_ERROR_FORMAT, "%s: is no checkpoint, it has no %s", path,
                             CHECKPOINT_STATE);
    if (status != HMT_OK)
        checkpoint_close(file);
    return status;
}

static hmt_status read_state(const tensors_index *index, uint64_t *steps)
{
    const tensors_pair *pair = tensors_metadata(index, CHECKPOINT_STATE);
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
    if (version < 1 || version > CHECKPOINT_VERSION)
        return status_fail(HMT_ERROR_FORMAT, "%s: checkpoint version %lld, this library reads %d",
                           index->what, (long long)version, CHECKPOINT_VERSION);
    if (done < 0)
        return status_fail(HMT_ERROR_FORMAT, "%s: " CHECKPOINT_STATE " has no number of steps",
                           index->what);
    *steps = (uint64_t)done;
    return HMT_OK;
}

/* A member of a recipe: parts of its text. */
typedef struct member {
    const char *key, *value;
    size_t key_size, value_size;
} member;

/* The member that begins at *at, which moves behind it. false: there is none. The text is JSON as
 * recipe.c writes it; of another text the parts mean little, but lie within it. */
static bool next_member(const char **at, member *m)
{
    size_t depth = 0;
    bool inside = false;
    const char *c = strchr(*at, '"');

    if (c == NULL)
        return false;
    m->key = c + 1;
    m->key_size = strcspn(m->key, "\"");
    c = strchr(m->key, ':');
    if (c == NULL)
        return false;
    m->value = ++c;
    for (; *c != '\0' && (inside || depth > 0 || (*c != ',' && *c != '}')); ++c) {
        inside = inside != (*c == '"');
        depth += !inside && *c == '[';
        depth -= !inside && *c == ']' && depth > 0;
    }
    m->value_size = (size_t)(c - m->value);
    *at = c;
    return true;
}

static bool find_member(const char *recipe, const member *wanted, member *found)
{
    while (next_member(&recipe, found))
        if (found->key_size == wanted->key_size &&
            memcmp(found->key, wanted->key, wanted->key_size) == 0)
            return true;
    return false;
}

/* A value in words. */
static void describe_value(const member *m, char text[96])
{
    static const char *const losses[] = {"smooth-huber", "mse", "l1", "smooth-l1"};
    const bool is_loss = m->key_size == 4 && memcmp(m->key, "loss", 4) == 0;
    const size_t number = (size_t)(m->value_size == 1 ? m->value[0] - '0' : 9);

    if (is_loss && number < sizeof losses / sizeof losses[0])
        snprintf(text, 96, "%s", losses[number]);
    else
        snprintf(text, 96, "%.*s", (int)(m->value_size < 90 ? m->value_size : 90), m->value);
}

/* Adds to `text` what `one` has and `other` has not; with `was` also what is different there. */
static void compare(const char *one, const char *other, bool was, char text[480])
{
    member m, against;

    for (const char *at = one; next_member(&at, &m);) {
        const bool there = find_member(other, &m, &against);
        char old[96] = "not set", now[96] = "not set";
        const size_t used = strlen(text);

        if (there && (!was || (m.value_size == against.value_size &&
                               memcmp(m.value, against.value, m.value_size) == 0)))
            continue;
        describe_value(&m, was ? old : now);
        if (there)
            describe_value(&against, now);
        snprintf(text + used, 480 - used, "%s%.*s was %s, is %s now", used > 0 ? "; " : "",
                 (int)m.key_size, m.key, old, now);
    }
}

static hmt_status check_recipe(const tensors_index *index, const char *ours)
{
    const tensors_pair *pair = tensors_metadata(index, CHECKPOINT_RECIPE);
    char differences[480] = "";

    if (pair != NULL && strcmp(pair->value, ours) == 0)
        return HMT_OK;
    if (pair != NULL) {
        compare(pair->value, ours, true, differences);
        compare(ours, pair->value, false, differences);
    }
    return status_fail(HMT_ERROR_ARGUMENT, "%s: was saved with other trainer options: %s",
                       index->what, differences[0] != '\0' ? differences : "it names none");
}

/* Reads the tensor of parameter `param` under `name`, which is float32 and of its shape, into
 * file->values. */
static hmt_status read_tensor(const checkpoint *file, const char *name, const graph_param *param)
{
    const tensors_entry *entry = tensors_find(&file->index, name);

    if (entry != NULL && entry->dtype == TENSORS_F32 && entry->count == (uint64_t)param->count)
        return tensors_read(&file->index, entry, file->values);
    return status_fail(HMT_ERROR_FORMAT, "%s: has no tensor %s of %lld float32 elements",
                       file->index.what, name, (long long)param->count);
}

static hmt_status check_params(const hmt_model *model, const checkpoint *file)
{
    for (int32_t i = 0; i < model->graph.param_count; ++i) {
        const graph_param *param = &model->graph.params[i];
        hmt_status status = read_tensor(file, param->name, param);

        if (status != HMT_OK)
            return status;
        if (memcmp(file->values, model->values[i], (size_t)param->count * sizeof(float)) != 0)
            return status_fail(HMT_ERROR_ARGUMENT,
                               "%s: the model's %s is not that of the checkpoint; load the model "
                               "from the checkpoint first",
                               file->index.what, param->name);
    }
    return HMT_OK;
}

static hmt_status set_value(hmt_trainer *trainer, size_t i, hmt_slot slot, const float *values)
{
    const hmt_plan_weight *weight = &trainer->train.lowered->plan.weights[i];
    hmt_status status =
        trainer->model->context->backend->weights_set(trainer->weights, weight, slot, values);

    return status == HMT_OK ? devices_set(trainer->devices, weight, slot, values) : status;
}

/* Momentum may have any sign; a variance that goes on from here may not. */
static hmt_status check_slot(const graph_param *param, hmt_slot slot, const char *name,
                             const checkpoint *file)
{
    graph_param as = *param;

    if (slot == HMT_SLOT_MOMENTUM)
        as.role = GRAPH_ROLE_WEIGHT;
    return model_check_values(&as, name, file->values, file->index.what);
}

/* Checks one slot of every weight that has it, or sets it. */
static hmt_status each_slot(hmt_trainer *trainer, const checkpoint *file, hmt_slot slot, bool set)
{
    const hmt_plan *plan = &trainer->train.lowered->plan;
    char name[CHECKPOINT_NAME];

    for (size_t i = 0; i < plan->weight_count; ++i) {
        const graph_param *param = &trainer->model->graph.params[plan->weights[i].param];
        hmt_status status;

        if (!checkpoint_has(trainer, i, slot))
            continue;
        checkpoint_name(name, slot, param->name);
        status = read_tensor(file, name, param);
        if (status == HMT_OK)
            status = set ? set_value(trainer, i, slot, file->values)
                         : check_slot(param, slot, name, file);
        if (status != HMT_OK)
            return status;
    }
    return HMT_OK;
}

/* Momentum and values, all checked before any is set. */
static hmt_status set_slots(hmt_trainer *trainer, const checkpoint *file)
{
    hmt_status status = HMT_OK;

    for (int set = 0; set < 2; ++set) {
        for (int slot = HMT_SLOT_VALUE; slot <= HMT_SLOT_MOMENTUM && status == HMT_OK; ++slot)
            status = each_slot(trainer, file, (hmt_slot)slot, set != 0);
        if (status == HMT_OK) /* before anything is set, and after all was read again */
            status = file_reader_check(&file->reader);
    }
    return status;
}

static hmt_status make_room(const hmt_model *model, checkpoint *file)
{
    int64_t largest = 1;
    void *block;
    hmt_status status;

    for (int32_t i = 0; i < model->graph.param_count; ++i)
        if (model->graph.params[i].count > largest)
            largest = model->graph.params[i].count;
    status = memory_uninitialised(&model->context->allocator, (size_t)largest, sizeof(float),
                                  "a checkpoint", &block);
    if (status == HMT_OK)
        file->values = block;
    return status;
}

hmt_status hmt_trainer_resume(hmt_trainer *trainer, const char *path)
{
    FLOAT_MODE_DEFAULT;
    checkpoint file = {.index = {.count = 0}};
    uint64_t steps = 0;
    hmt_status status;

    status_clear();
    if (trainer == NULL || path == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_resume: trainer or path is NULL");
    if (context_check_busy(trainer->busy, "trainer") != HMT_OK)
        return HMT_ERROR_STATE;
    if (trainer->steps > 0)
        return status_fail(HMT_ERROR_STATE, "hmt_trainer_resume: the trainer has made %llu steps",
                           (unsigned long long)trainer->steps);
    if (trainer->model->context->backend->weights_set == NULL)
        return status_fail(HMT_ERROR_UNSUPPORTED, "backend %s cannot set what a checkpoint holds",
                           trainer->model->context->backend->name);
    status = checkpoint_open(&trainer->model->context->allocator, path, &file);
    if (status != HMT_OK)
        return status;
    status = read_state(&file.index, &steps);
    if (status == HMT_OK)
        status = check_recipe(&file.index, trainer->recipe.text);
    if (status == HMT_OK)
        status = make_room(trainer->model, &file);
    if (status == HMT_OK)
        status = check_params(trainer->model, &file);
    if (status == HMT_OK)
        status = set_slots(trainer, &file);
    if (status == HMT_OK)
        trainer->steps = trainer->home_steps = steps;
    memory_free(&trainer->model->context->allocator, file.values);
    checkpoint_close(&file);
    return status;
}

hmt_status hmt_checkpoint_note(const hmt_context *context, const char *path, char *note,
                               size_t capacity, size_t *length)
{
    checkpoint file = {.index = {.count = 0}};
    const tensors_pair *pair;
    size_t size, kept;
    hmt_status status;

    status_clear();
    if (path == NULL || (note == NULL && capacity > 0))
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_checkpoint_note: path or note is NULL");
    status = checkpoint_open(context_allocator(context), path, &file);
    if (status != HMT_OK)
        return status;
    pair = tensors_metadata(&file.index, CHECKPOINT_NOTE);
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
