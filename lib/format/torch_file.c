/*
 * Reads the file around a PyTorch checkpoint's pickle (see torch_file.h).
 */
#include "format/torch_file.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/sort.h"
#include "core/status.h"
#include "format/little_endian.h"
#include "format/torch.h"
#include "format/zip.h"

enum { SHOWN = 60 /* bytes of a name in a message */ };

/* The stream's first pickle is this long of ten bytes; then come the protocol's number, 1001, facts
 * about the machine, the object, the storages' keys, and the storages. */
static const unsigned char stream_magic[] = {0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                             0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
enum { STREAM_PROTOCOL = 1001 };

/* Classes of storages, and what lies in them. */
static const struct {
    const char *name;
    tensors_dtype dtype;
} storage_classes[] = {
    {"FloatStorage", TENSORS_F32},  {"HalfStorage", TENSORS_F16}, {"BFloat16Storage", TENSORS_BF16},
    {"DoubleStorage", TENSORS_F64}, {"LongStorage", TENSORS_I64}, {"IntStorage", TENSORS_I32},
    {"ShortStorage", TENSORS_I16},  {"CharStorage", TENSORS_I8},  {"ByteStorage", TENSORS_U8},
    {"BoolStorage", TENSORS_BOOL},
};

/* What else a pickle may name: calls of these are values that nobody looks at. */
static const struct {
    const char *module, *name;
} plain_globals[] = {
    {"collections", "OrderedDict"},
    {"collections", "defaultdict"},
    {"collections", "Counter"},
    {"builtins", "set"},
    {"__builtin__", "set"},
    {"builtins", "complex"},
    {"argparse", "Namespace"},
    {"_codecs", "encode"},
    {"numpy", "dtype"},
    {"numpy", "ndarray"},
    {"numpy.core.multiarray", "scalar"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"numpy._core.multiarray", "scalar"},
    {"numpy._core.multiarray", "_reconstruct"},
    {"torch", "Size"},
    {"torch", "device"},
    {"torch", "float32"},
    {"torch", "float16"},
    {"torch", "bfloat16"},
    {"torch", "float64"},
    {"torch", "int64"},
    {"torch._utils", "_rebuild_tensor"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch._utils", "_rebuild_parameter_with_state"},
};

/* Where the stream's second pickle begins; 0 if this is no stream. In front of the magic number
 * stands the pickle's protocol, and from 4 on the frame's length. */
static size_t find_stream(const unsigned char *data, size_t size)
{
    const size_t at = size > 2 && data[1] >= 4 ? 11 : 2;

    if (size < at + sizeof stream_magic + 1 || data[0] != 0x80 || data[1] < 2 || data[1] > 5 ||
        memcmp(data + at, stream_magic, sizeof stream_magic) != 0)
        return 0;
    return at + sizeof stream_magic + 1; /* its STOP */
}

bool torch_is(const unsigned char *data, size_t size)
{
    return zip_is(data, size) || find_stream(data, size) > 0;
}

static int shown(size_t size)
{
    return (int)(size < SHOWN ? size : SHOWN);
}

/* ---- what the pickle names ---- */

static bool find_class(const pickle_value *value, tensors_dtype *dtype)
{
    for (size_t i = 0; i < sizeof storage_classes / sizeof storage_classes[0]; ++i)
        if (value->kind == PICKLE_GLOBAL &&
            pickle_is_global(value, "torch", storage_classes[i].name)) {
            *dtype = storage_classes[i].dtype;
            return true;
        }
    return false;
}

static bool is_plain(const pickle_value *value)
{
    for (size_t i = 0; i < sizeof plain_globals / sizeof plain_globals[0]; ++i)
        if (pickle_is_global(value, plain_globals[i].module, plain_globals[i].name))
            return true;
    return false;
}

/* Refuses a pickle that would import anything else. */
static hmt_status check_globals(const torch_file *c)
{
    for (size_t i = 0; i < c->object.count; ++i) {
        const pickle_value *value = &c->object.values[i];
        tensors_dtype dtype;

        if (value->kind != PICKLE_GLOBAL || is_plain(value) || find_class(value, &dtype))
            continue;
        return status_fail(
            HMT_ERROR_UNSUPPORTED,
            "%s: the checkpoint holds or calls %.*s.%.*s, which no state dict needs: "
            "save model.state_dict() alone",
            c->what, shown(value->size), value->module, shown(value->name_size), value->name);
    }
    return HMT_OK;
}

/* ---- storages ---- */

/* A key, a text, and a storage. */
static int compare_key(const void *left, const void *right)
{
    const pickle_value *a = left, *b = ((const torch_storage *)right)->key;

    return sort_bytes(a->text, a->size, b->text, b->size);
}

static int by_key(const void *left, const void *right)
{
    return compare_key(((const torch_storage *)left)->key, right);
}

/* ("storage", class, key, location, elements[, view]) */
static hmt_status read_storage(const torch_file *c, const pickle_value *id, torch_storage *out)
{
    const pickle_value *kind = pickle_at(id, 0), *class = pickle_at(id, 1), *key = pickle_at(id, 2);
    const pickle_value *elements = pickle_at(id, 4), *view = pickle_at(id, 5);

    if (kind == NULL || class == NULL || key == NULL || elements == NULL ||
        !pickle_text_is(kind, "storage") || key->kind != PICKLE_TEXT ||
        elements->kind != PICKLE_INT || elements->integer < 0)
        return status_fail(HMT_ERROR_FORMAT,
                           "%s: the checkpoint names something that is no storage", c->what);
    if (!find_class(class, &out->dtype) || (view != NULL && view->kind != PICKLE_NONE))
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "%s: storage %.*s of the checkpoint is of an unknown kind", c->what,
                           shown(key->size), key->text);
    out->key = key;
    out->count = (uint64_t)elements->integer;
    return HMT_OK;
}

static hmt_status read_storages(torch_file *c)
{
    void *storages = NULL, *order = NULL;
    size_t count = 0;
    hmt_status status;

    for (size_t i = 0; i < c->object.count; ++i)
        count += c->object.values[i].kind == PICKLE_PERSISTENT;
    status = memory_zeroed(c->allocator, count, sizeof *c->storages, "a checkpoint", &storages);
    c->storages = storages;
    if (status == HMT_OK)
        status =
            memory_uninitialised(c->allocator, count, sizeof *c->order, "a checkpoint", &order);
    c->order = order;
    for (size_t i = 0; i < c->object.count && status == HMT_OK; ++i)
        if (c->object.values[i].kind == PICKLE_PERSISTENT) {
            torch_storage *next = &c->storages[c->count];

            status = read_storage(c, c->object.values[i].arguments, next);
            c->order[c->count++] = next;
        }
    if (status != HMT_OK)
        return status;
    sort_pointers(c->order, c->count, by_key);
    for (size_t i = 0; i < c->count; ++i) {
        const torch_storage *next = c->order[i];
        const torch_storage *last = c->distinct > 0 ? c->order[c->distinct - 1] : NULL;

        if (last == NULL || by_key(last, next) != 0)
            c->order[c->distinct++] = next;
        else if (last->dtype != next->dtype || last->count != next->count)
            return status_fail(HMT_ERROR_FORMAT, "%s: storage %.*s of the checkpoint has two sizes",
                               c->what, shown(next->key->size), next->key->text);
    }
    return HMT_OK;
}

/* The one storage with this key; NULL if there is none. */
static torch_storage *find_storage(const torch_file *c, const pickle_value *key)
{
    return (torch_storage *)sort_find(c->order, c->distinct, key, compare_key);
}

static hmt_status misplaced(const torch_file *c, const torch_storage *s)
{
    return status_fail(HMT_ERROR_FORMAT,
                       "%s: storage %.*s of the checkpoint should have %" PRIu64
                       " elements of %zu bytes, which are not there",
                       c->what, shown(s->key->size), s->key->text, s->count,
                       tensors_dtype_size(s->dtype));
}

/* Places a storage at `offset`, where `bytes` are. */
static bool place(torch_storage *s, uint64_t offset, uint64_t bytes)
{
    const size_t element = tensors_dtype_size(s->dtype);

    s->offset = offset;
    s->placed = s->count <= bytes / element;
    return s->placed;
}

/* ---- the two kinds of file ---- */

/* The pickle of a zip archive is its member data.pkl, in the one folder that all members are in. */
static const zip_member *find_pickle(const zip_directory *zip, size_t *folder_size)
{
    static const char name[] = "/data.pkl";
    const size_t size = sizeof name - 1;

    for (size_t i = 0; i < zip->count; ++i) {
        const zip_member *member = &zip->members[i];

        if (member->name_size > size &&
            memchr(member->name, '/', member->name_size - size) == NULL &&
            memcmp(member->name + member->name_size - size, name, size) == 0) {
            *folder_size = member->name_size - size;
            return member;
        }
    }
    return NULL;
}

static hmt_status check_stored(const torch_file *c, const zip_member *member)
{
    if (member->stored)
        return HMT_OK;
    return status_fail(HMT_ERROR_UNSUPPORTED,
                       "%s: the checkpoint's member %.*s is compressed or encrypted", c->what,
                       shown(member->name_size), member->name);
}

static hmt_status place_members(torch_file *c, const zip_directory *zip, const char *folder,
                                size_t folder_size)
{
    for (size_t i = 0; i < c->distinct; ++i) {
        torch_storage *s = (torch_storage *)c->order[i];
        char name[6 + 64]; /* "/data/KEY" */
        const zip_member *member = NULL;

        memcpy(name, "/data/", 6);
        if (s->key->size <= sizeof name - 6) {
            memcpy(name + 6, s->key->text, s->key->size);
            member = zip_find(zip, folder, folder_size, name, 6 + s->key->size);
        }
        if (member != NULL && !member->stored)
            return check_stored(c, member);
        if (member == NULL || !place(s, member->offset, member->size))
            return misplaced(c, s);
    }
    return HMT_OK;
}

static hmt_status read_zip(torch_file *c)
{
    static const char order_name[] = "/byteorder";
    zip_directory zip;
    size_t folder_size = 0;
    hmt_status status = zip_open(c->allocator, c->data, c->size, c->what, &zip);
    const zip_member *member, *order;

    if (status != HMT_OK)
        return status;
    member = find_pickle(&zip, &folder_size);
    if (member == NULL) {
        zip_close(&zip);
        return status_fail(HMT_ERROR_FORMAT,
                           "%s: a zip archive, but no PyTorch checkpoint: no "
                           "data.pkl in it",
                           c->what);
    }
    order = zip_find(&zip, member->name, folder_size, order_name, sizeof order_name - 1);
    if (order != NULL && (order->size != 6 || memcmp(c->data + order->offset, "little", 6) != 0))
        status =
            status_fail(HMT_ERROR_UNSUPPORTED, "%s: the checkpoint is not little endian", c->what);
    if (status == HMT_OK)
        status = check_stored(c, member);
    if (status == HMT_OK)
        status = pickle_read(c->allocator, c->data, (size_t)member->offset,
                             (size_t)(member->offset + member->size), c->what, &c->object);
    if (status == HMT_OK)
        status = check_globals(c);
    if (status == HMT_OK)
        status = read_storages(c);
    if (status == HMT_OK)
        status = place_members(c, &zip, member->name, folder_size);
    zip_close(&zip);
    return status;
}

/* Reads one of the stream's pickles at *at and moves behind it. */
static hmt_status next_pickle(const torch_file *c, size_t *at, pickle *p)
{
    hmt_status status = pickle_read(c->allocator, c->data, *at, c->size, c->what, p);

    if (status == HMT_OK)
        *at = p->end;
    return status;
}

/* The stream's protocol and the facts about the machine that wrote it. */
static hmt_status read_preface(const torch_file *c, size_t *at)
{
    pickle p;
    bool known = false;
    hmt_status status = next_pickle(c, at, &p);

    if (status != HMT_OK)
        return status;
    known = p.root->kind == PICKLE_INT && p.root->integer == STREAM_PROTOCOL;
    pickle_free(&p);
    if (known)
        status = next_pickle(c, at, &p);
    if (!known || status != HMT_OK)
        return known ? status
                     : status_fail(HMT_ERROR_UNSUPPORTED,
                                   "%s: a PyTorch stream of another protocol than %d", c->what,
                                   STREAM_PROTOCOL);
    known = false;
    for (const pickle_item *i = p.root->kind == PICKLE_DICT ? p.root->first : NULL;
         i != NULL && i->next != NULL; i = i->next->next)
        if (pickle_text_is(i->value, "little_endian"))
            known = i->next->value->kind == PICKLE_BOOL && i->next->value->integer == 1;
    pickle_free(&p);
    return known ? HMT_OK
                 : status_fail(HMT_ERROR_UNSUPPORTED, "%s: the checkpoint is not little endian",
                               c->what);
}

/* Behind the object stand the storages' keys, then for each the number of its elements, in eight
 * bytes, and the elements. */
static hmt_status place_stream(torch_file *c, size_t at)
{
    pickle keys;
    hmt_status status = next_pickle(c, &at, &keys);

    if (status != HMT_OK)
        return status;
    for (const pickle_item *i = keys.root->kind == PICKLE_LIST ? keys.root->first : NULL;
         i != NULL && status == HMT_OK; i = i->next) {
        torch_storage *s = i->value->kind == PICKLE_TEXT ? find_storage(c, i->value) : NULL;
        uint64_t count = 0;

        if (s == NULL || s->placed) {
            status = status_fail(HMT_ERROR_FORMAT,
                                 "%s: the checkpoint has a storage that no "
                                 "tensor uses, or one twice",
                                 c->what);
            break;
        }
        if (c->size - at >= 8)
            count = little_endian(c->data + at, 8);
        if (c->size - at < 8 || count != s->count || !place(s, at + 8, c->size - at - 8))
            status = misplaced(c, s);
        else
            at += 8 + (size_t)count * tensors_dtype_size(s->dtype);
    }
    pickle_free(&keys);
    return status;
}

static hmt_status read_stream(torch_file *c)
{
    size_t at = find_stream(c->data, c->size);
    hmt_status status = read_preface(c, &at);

    if (status == HMT_OK)
        status = next_pickle(c, &at, &c->object);
    if (status == HMT_OK)
        status = check_globals(c);
    if (status == HMT_OK)
        status = read_storages(c);
    return status == HMT_OK ? place_stream(c, at) : status;
}

hmt_status torch_file_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                           const char *what, torch_file *file)
{
    *file = (torch_file){.allocator = allocator, .data = data, .size = size, .what = what};
    return zip_is(data, size) ? read_zip(file) : read_stream(file);
}

void torch_file_close(torch_file *file)
{
    pickle_free(&file->object);
    memory_free(file->allocator, file->storages);
    memory_free(file->allocator, (void *)file->order);
}

const torch_storage *torch_file_storage(const torch_file *file, const pickle_value *key)
{
    const torch_storage *found = find_storage(file, key);

    return found != NULL && found->placed ? found : NULL;
}
