/*
 * Reads PyTorch checkpoints (see torch.h): picks the state dict out of the object in the file
 * (torch_file.h) and indexes its tensors.
 */
#include "format/torch.h"

#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "format/json.h"
#include "format/torch_file.h"

/* Names of state dicts, the likeliest first. */
static const char *const usual[] = {"state_dict", "model_state_dict", "model"};
enum { USUAL = sizeof usual / sizeof usual[0] };

/* ---- the state dict ---- */

/* A dict or an OrderedDict. */
static bool is_dict(const pickle_value *value)
{
    return value->kind == PICKLE_DICT ||
           (value->kind == PICKLE_CALL && pickle_is_global(value, "collections", "OrderedDict"));
}

/* The call that rebuilds a tensor: itself, or what it is a parameter of. NULL if it is none. */
static const pickle_value *tensor_of(const pickle_value *value)
{
    if (value->kind == PICKLE_CALL &&
        (pickle_is_global(value, "torch._utils", "_rebuild_parameter") ||
         pickle_is_global(value, "torch._utils", "_rebuild_parameter_with_state")))
        value = pickle_at(value->arguments, 0);
    if (value == NULL || value->kind != PICKLE_CALL ||
        (!pickle_is_global(value, "torch._utils", "_rebuild_tensor_v2") &&
         !pickle_is_global(value, "torch._utils", "_rebuild_tensor")))
        return NULL;
    return value;
}

/* The tensor of one of a dict's items, if it is a layer's: under a name with a dot in it. Others,
 * such as the best loss so far, are no part of a state dict. */
static const pickle_value *layer_tensor(const pickle_item *item)
{
    const pickle_value *key = item->value;

    if (key->kind != PICKLE_TEXT || memchr(key->text, '.', key->size) == NULL)
        return NULL;
    return tensor_of(item->next->value);
}

static size_t count_tensors(const pickle_value *dict)
{
    size_t count = 0;

    for (const pickle_item *i = dict->first; i != NULL && i->next != NULL; i = i->next->next)
        count += layer_tensor(i) != NULL;
    return count;
}

/* Adds a dict's name to a list, if there is room. */
static void list_name(char *list, size_t room, const pickle_value *key)
{
    const size_t used = strlen(list);
    const int size = (int)(key->size < 40 ? key->size : 40);

    if (key->kind == PICKLE_TEXT && used + (size_t)size + 3 < room)
        snprintf(list + used, room - used, "%s%.*s", used > 0 ? ", " : "", size, key->text);
}

/* How well a dict's name goes with a model's; the first is the best. */
static size_t rank_of(const pickle_value *key)
{
    size_t rank = 0;

    while (rank < USUAL && !pickle_text_is(key, usual[rank]))
        ++rank;
    return rank;
}

/* The dict of that name among the object's items, or the best one; NULL with none. *found counts
 * those with tensors, index->others names those that were not taken. */
static hmt_status choose_state(const torch_file *c, const char *wanted, tensors_index *index,
                               size_t *found, const pickle_item **chosen)
{
    size_t seen = 0;

    *chosen = NULL;
    *found = 0;
    for (const pickle_item *i = c->object.root->first; i != NULL && i->next != NULL;
         i = i->next->next) {
        const pickle_value *value = i->next->value;

        if (!is_dict(value))
            continue;
        seen += value->size; /* different dicts have no item in common: one stands there often */
        if (seen > PICKLE_MAX_VALUES)
            return status_fail(HMT_ERROR_LIMIT, "%s: the checkpoint names too many dicts", c->what);
        if (count_tensors(value) == 0)
            continue;
        ++*found;
        if (wanted != NULL ? pickle_text_is(i->value, wanted)
                           : *chosen == NULL || rank_of(i->value) < rank_of((*chosen)->value))
            *chosen = i;
    }
    for (const pickle_item *i = c->object.root->first; *found > 0 && i != NULL && i->next != NULL;
         i = i->next->next)
        if (i != *chosen && is_dict(i->next->value) && count_tensors(i->next->value) > 0)
            list_name(index->others, sizeof index->others, i->value);
    return HMT_OK;
}

/* The object itself if tensors are in it; else the one of its dicts that has some. An optimiser's
 * tensors lie deeper. */
static hmt_status find_state(const torch_file *c, const char *wanted, tensors_index *index,
                             const pickle_value **state)
{
    const pickle_value *root = c->object.root;
    const pickle_item *chosen;
    size_t found;
    hmt_status status;

    *state = root;
    if (!is_dict(root))
        return status_fail(HMT_ERROR_UNSUPPORTED, "%s: the checkpoint is no dict", c->what);
    if (wanted == NULL && count_tensors(root) > 0)
        return HMT_OK;
    status = choose_state(c, wanted, index, &found, &chosen);
    if (status != HMT_OK)
        return status;
    if (wanted != NULL && chosen == NULL)
        return status_fail(HMT_ERROR_NOT_FOUND,
                           "%s: the checkpoint has no state dict \"%.60s\"; it has: %s", c->what,
                           wanted, found > 0 ? index->others : "none but itself");
    if (found == 0)
        return status_fail(HMT_ERROR_UNSUPPORTED, "%s: the checkpoint has no state dict", c->what);
    if (wanted == NULL && found > 1 && rank_of(chosen->value) == USUAL)
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "%s: the checkpoint has %zu dicts with tensors, none called state_dict; "
                           "name one",
                           c->what, found);
    list_name(index->state_dict, sizeof index->state_dict, chosen->value);
    *state = chosen->next->value;
    return HMT_OK;
}

/* Bytes of the beginning, up to and with a dot, that the names of all tensors share, while each
 * still has a dot behind it: a layer's name and a parameter's stay. */
static size_t shared_prefix(const pickle_value *state)
{
    const pickle_value *first = NULL;
    size_t shared = 0;

    for (const pickle_item *i = state->first; i != NULL && i->next != NULL; i = i->next->next) {
        const pickle_value *key = i->value;
        size_t same = 0, dot = key->size;

        if (layer_tensor(i) == NULL)
            continue;
        while (key->text[dot - 1] != '.')
            --dot;
        if (first == NULL) {
            first = key;
            shared = dot;
        }
        while (same < shared && same + 1 < dot && key->text[same] == first->text[same])
            ++same;
        shared = same;
    }
    while (shared > 0 && first->text[shared - 1] != '.')
        --shared;
    return shared;
}

/* ---- tensors ---- */

static hmt_status refuse(const torch_file *c, const tensors_entry *entry, const char *why)
{
    return status_fail(HMT_ERROR_FORMAT, "%s: tensor '%s' %s", c->what, entry->name, why);
}

/* A list of extents or strides; false if it has another length than *rank, where that is known. */
static bool read_extents(const pickle_value *list, int32_t *rank, int64_t extents[TENSORS_MAX_RANK])
{
    int32_t n = 0;

    if (list->kind == PICKLE_CALL && pickle_is_global(list, "torch", "Size"))
        list = pickle_at(list->arguments, 0);
    if (list == NULL || list->kind != PICKLE_LIST || list->size > TENSORS_MAX_RANK ||
        (*rank >= 0 && list->size != (size_t)*rank))
        return false;
    for (const pickle_item *i = list->first; i != NULL; i = i->next, ++n) {
        if (i->value->kind != PICKLE_INT || i->value->integer < 0)
            return false;
        extents[n] = i->value->integer;
    }
    *rank = n;
    return true;
}

/* Elements, and from the first to behind the last one; false where they overflow. */
static bool measure(const tensors_entry *entry, uint64_t *count, uint64_t *extent)
{
    *count = 1;
    *extent = 1;
    for (int32_t i = 0; i < entry->rank; ++i)
        if (entry->shape[i] == 0) {
            *count = *extent = 0;
            return true;
        }
    for (int32_t i = 0; i < entry->rank; ++i) {
        uint64_t reach;

        if (__builtin_mul_overflow(*count, (uint64_t)entry->shape[i], count) ||
            __builtin_mul_overflow((uint64_t)entry->shape[i] - 1, (uint64_t)entry->stride[i],
                                   &reach) ||
            __builtin_add_overflow(*extent, reach, extent))
            return false;
    }
    return true;
}

/* Do the strides skip nothing, in the shape's order? */
static bool is_dense(const tensors_entry *entry)
{
    int64_t step = 1;

    for (int32_t i = entry->rank - 1; i >= 0; --i) {
        if (entry->shape[i] != 1 && entry->stride[i] != step)
            return false;
        step *= entry->shape[i];
    }
    return true;
}

/* What is said of a tensor beside its elements: its last argument, {"neg": True} or the like. */
static hmt_status read_metadata(const torch_file *c, const pickle_value *metadata,
                                tensors_entry *entry)
{
    for (const pickle_item *i = metadata != NULL && metadata->kind == PICKLE_DICT ? metadata->first
                                                                                  : NULL;
         i != NULL && i->next != NULL; i = i->next->next) {
        const pickle_value *value = i->next->value;

        if (value->kind == PICKLE_BOOL && value->integer == 0)
            continue;
        if (value->kind != PICKLE_BOOL || !pickle_text_is(i->value, "neg"))
            return status_fail(HMT_ERROR_UNSUPPORTED,
                               "%s: tensor '%s' is a view of an unknown kind", c->what,
                               entry->name);
        entry->negated = true;
    }
    return HMT_OK;
}

/* (storage, offset, shape, strides, requires_grad, hooks[, metadata]) */
static hmt_status read_tensor(const torch_file *c, const pickle_value *call, tensors_entry *entry)
{
    const pickle_value *id = pickle_at(call->arguments, 0), *first = pickle_at(call->arguments, 1);
    const pickle_value *shape = pickle_at(call->arguments, 2);
    const pickle_value *strides = pickle_at(call->arguments, 3), *key;
    const torch_storage *s;
    uint64_t extent, element;
    int32_t rank = -1;

    if (strides == NULL || id->kind != PICKLE_PERSISTENT || first->kind != PICKLE_INT ||
        first->integer < 0)
        return refuse(c, entry, "is not made from a storage");
    if (!read_extents(shape, &rank, entry->shape) || !read_extents(strides, &rank, entry->stride))
        return refuse(c, entry, "has a shape or strides that cannot be");
    entry->rank = rank;
    key = pickle_at(id->arguments, 2);
    s = torch_file_storage(c, key);
    if (s == NULL)
        return refuse(c, entry, "is made from a storage that is not in the file");
    if (!measure(entry, &entry->count, &extent) || (uint64_t)first->integer > s->count ||
        extent > s->count - (uint64_t)first->integer)
        return refuse(c, entry, "reaches beyond its storage");
    if (entry->count > extent)
        return status_fail(HMT_ERROR_UNSUPPORTED, "%s: tensor '%s' is expanded from fewer elements",
                           c->what, entry->name);
    element = tensors_dtype_size(s->dtype);
    entry->dtype = s->dtype;
    entry->strided = entry->count > 0 && !is_dense(entry);
    entry->offset = s->offset + (uint64_t)first->integer * element;
    entry->bytes = extent * element;
    return pickle_is_global(call, "torch._utils", "_rebuild_tensor_v2")
               ? read_metadata(c, pickle_at(call->arguments, 6), entry)
               : HMT_OK;
}

/* Where two tensors share bytes, one that is trained would change the other. */
static hmt_status check_overlaps(const torch_file *c, tensors_index *index)
{
    uint64_t end = 0;

    tensors_order_by_offset(index);
    for (size_t i = 0; i < index->count; ++i) {
        const tensors_entry *entry = index->order[i];

        if (entry->bytes == 0)
            continue;
        if (entry->offset < end)
            return status_fail(HMT_ERROR_UNSUPPORTED,
                               "%s: tensor '%s' shares elements with another one", c->what,
                               entry->name);
        end = entry->offset + entry->bytes;
    }
    return HMT_OK;
}

static hmt_status index_tensors(const torch_file *c, const pickle_value *state,
                                tensors_index *index)
{
    const size_t prefix = shared_prefix(state);
    size_t bytes = 0, n = 0;
    char *name;
    hmt_status status;

    for (const pickle_item *i = state->first; i != NULL && i->next != NULL; i = i->next->next)
        bytes += i->value->kind == PICKLE_TEXT ? i->value->size + 1 : 0;
    status = tensors_allocate(index, count_tensors(state), 0, bytes);
    name = index->names;
    for (const pickle_item *i = state->first; i != NULL && i->next != NULL && status == HMT_OK;
         i = i->next->next) {
        const pickle_value *key = i->value, *call = layer_tensor(i);
        tensors_entry *entry;

        if (call == NULL)
            continue;
        entry = &index->entries[n++];
        entry->name = name;
        memcpy(name, key->text + prefix, key->size - prefix);
        if (!json_utf8_valid(name, key->size - prefix) || strlen(name) != key->size - prefix)
            return status_fail(HMT_ERROR_FORMAT, "%s: a tensor's name is not UTF-8", c->what);
        name += key->size - prefix + 1;
        for (int k = 0; k < TENSORS_MAX_RANK; ++k)
            entry->shape[k] = 1;
        status = read_tensor(c, call, entry);
    }
    return status;
}

hmt_status torch_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                      const char *what, const char *state_dict, tensors_index *index)
{
    torch_file c;
    const pickle_value *state = NULL;
    hmt_status status = torch_file_open(allocator, data, size, what, &c);

    *index = (tensors_index){.allocator = allocator, .what = what, .data = data};
    if (status == HMT_OK)
        status = find_state(&c, state_dict, index, &state);
    if (status == HMT_OK)
        status = index_tensors(&c, state, index);
    if (status == HMT_OK)
        status = check_overlaps(&c, index);
    if (status == HMT_OK)
        status = tensors_order_by_name(index);
    torch_file_close(&c);
    if (status != HMT_OK)
        tensors_close(index);
    return status;
}
