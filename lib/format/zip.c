/*
 * Reads a zip archive's directory (see zip.h): the record at its end, then an entry for each
 * member, then the header in front of each member's content, which alone tells where that begins.
 */
#include "format/zip.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/sort.h"
#include "core/status.h"
#include "format/little_endian.h"

/* Signatures, and the sizes of what has no names in it. */
enum {
    LOCAL = 0x04034b50,
    ENTRY = 0x02014b50,
    END = 0x06054b50,
    END64 = 0x06064b50,
    LOCATOR64 = 0x07064b50,
    LOCAL_SIZE = 30,
    ENTRY_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR64_SIZE = 20,
    LONGEST_COMMENT = 65535,
    EXTRA64 = 1, /* the extra field with 64-bit sizes */
    ENCRYPTED = 1
};

typedef struct archive {
    const unsigned char *data;
    size_t size;
    const char *what;
    uint64_t entries, begin, end; /* the directory: members, offsets of its bytes */
} archive;

bool zip_is(const unsigned char *data, size_t size)
{
    return size >= 4 && little_endian(data, 4) == LOCAL;
}

static hmt_status damaged(const archive *a, const char *part, uint64_t at)
{
    return status_fail(HMT_ERROR_FORMAT, "%s: the zip archive's %s is damaged (byte %" PRIu64 ")",
                       a->what, part, at);
}

/* The record at the end stands before a comment of unknown length. */
static hmt_status find_end(const archive *a, size_t *at)
{
    const size_t furthest =
        a->size < END_SIZE + LONGEST_COMMENT ? a->size : END_SIZE + LONGEST_COMMENT;

    for (size_t back = END_SIZE; back <= furthest; ++back)
        if (little_endian(a->data + a->size - back, 4) == END &&
            little_endian(a->data + a->size - back + 20, 2) == back - END_SIZE) {
            *at = a->size - back;
            return HMT_OK;
        }
    return status_fail(HMT_ERROR_FORMAT, "%s: a zip archive without its directory: cut off?",
                       a->what);
}

/* The 64-bit record, where the archive has one: its locator stands before the record at `end`. */
static hmt_status read_end64(archive *a, size_t end)
{
    const unsigned char *locator = a->data + end - LOCATOR64_SIZE, *record;
    uint64_t at;

    if (end < LOCATOR64_SIZE || little_endian(locator, 4) != LOCATOR64)
        return HMT_OK;
    at = little_endian(locator + 8, 8);
    if (a->size < END64_SIZE || at > a->size - END64_SIZE ||
        little_endian(a->data + at, 4) != END64)
        return damaged(a, "64-bit directory", end - LOCATOR64_SIZE);
    record = a->data + at;
    a->entries = little_endian(record + 32, 8);
    a->end = little_endian(record + 40, 8);
    a->begin = little_endian(record + 48, 8);
    return HMT_OK;
}

static hmt_status find_directory(archive *a)
{
    size_t end = 0;
    hmt_status status = find_end(a, &end);
    const unsigned char *record = a->data + end;

    if (status != HMT_OK)
        return status;
    if (little_endian(record + 4, 2) != 0 || little_endian(record + 6, 2) != 0)
        return status_fail(HMT_ERROR_UNSUPPORTED, "%s: a zip archive of several volumes", a->what);
    a->entries = little_endian(record + 10, 2);
    a->end = little_endian(record + 12, 4); /* its size, at first */
    a->begin = little_endian(record + 16, 4);
    status = read_end64(a, end);
    if (status != HMT_OK)
        return status;
    if (a->begin > a->size || a->end > a->size - a->begin || a->entries > a->end / ENTRY_SIZE)
        return damaged(a, "directory", end);
    a->end += a->begin;
    return HMT_OK;
}

/* Sizes that an entry gives as all ones stand in an extra field, those only, in this order. */
static bool read_extra64(const unsigned char *extra, size_t size, uint64_t *wanted[3])
{
    while (size >= 4) {
        const uint64_t id = little_endian(extra, 2);
        size_t length = (size_t)little_endian(extra + 2, 2);

        if (length > size - 4)
            return false;
        extra += 4;
        size -= 4 + length;
        for (int i = 0; id == EXTRA64 && i < 3; ++i) {
            if (*wanted[i] != UINT32_MAX)
                continue;
            if (length < 8)
                return false;
            *wanted[i] = little_endian(extra, 8);
            extra += 8;
            length -= 8;
        }
        if (id == EXTRA64)
            return true;
        extra += length;
    }
    return true;
}

/* Where the content of the member begins whose header stands at `header`. */
static hmt_status find_content(const archive *a, uint64_t header, zip_member *member)
{
    uint64_t length;

    if (a->size < LOCAL_SIZE || header > a->size - LOCAL_SIZE ||
        little_endian(a->data + header, 4) != LOCAL)
        return damaged(a, "member", header);
    length = LOCAL_SIZE + little_endian(a->data + header + 26, 2) +
             little_endian(a->data + header + 28, 2);
    if (length > a->size - header || member->size > a->size - header - length)
        return damaged(a, "member", header);
    member->offset = header + length;
    return HMT_OK;
}

static hmt_status read_entry(const archive *a, uint64_t *at, zip_member *member)
{
    const unsigned char *entry = a->data + *at;
    uint64_t method, packed, header, *wide[] = {&member->size, &packed, &header};
    size_t extra, comment;

    if (a->end - *at < ENTRY_SIZE || little_endian(entry, 4) != ENTRY)
        return damaged(a, "directory", *at);
    method = little_endian(entry + 10, 2);
    packed = little_endian(entry + 20, 4);
    member->size = little_endian(entry + 24, 4);
    member->name_size = (size_t)little_endian(entry + 28, 2);
    extra = (size_t)little_endian(entry + 30, 2);
    comment = (size_t)little_endian(entry + 32, 2);
    header = little_endian(entry + 42, 4);
    member->name = (const char *)entry + ENTRY_SIZE;
    if (a->end - *at - ENTRY_SIZE < member->name_size + extra + comment ||
        !read_extra64(entry + ENTRY_SIZE + member->name_size, extra, wide))
        return damaged(a, "directory", *at);
    *at += ENTRY_SIZE + member->name_size + extra + comment;
    member->stored =
        method == 0 && packed == member->size && (little_endian(entry + 8, 2) & ENCRYPTED) == 0;
    member->size = packed;
    return find_content(a, header, member);
}

static int by_name(const void *left, const void *right)
{
    const zip_member *a = left, *b = right;

    return sort_bytes(a->name, a->name_size, b->name, b->name_size);
}

static hmt_status read_members(const archive *a, zip_directory *out)
{
    uint64_t at = a->begin;

    for (size_t i = 0; i < out->count; ++i) {
        hmt_status status = read_entry(a, &at, &out->members[i]);

        if (status != HMT_OK)
            return status;
        out->order[i] = &out->members[i];
    }
    sort_pointers(out->order, out->count, by_name);
    for (size_t i = 1; i < out->count; ++i)
        if (by_name(out->order[i - 1], out->order[i]) == 0)
            return status_fail(HMT_ERROR_FORMAT, "%s: the zip archive has two members %.*s",
                               a->what, (int)((const zip_member *)out->order[i])->name_size,
                               ((const zip_member *)out->order[i])->name);
    return HMT_OK;
}

hmt_status zip_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                    const char *what, zip_directory *out)
{
    archive a = {.data = data, .size = size, .what = what};
    void *members = NULL, *order = NULL;
    hmt_status status = find_directory(&a);

    *out = (zip_directory){.allocator = allocator};
    if (status == HMT_OK)
        status = memory_zeroed(allocator, (size_t)a.entries, sizeof *out->members,
                               "an archive's directory", &members);
    if (status == HMT_OK)
        status = memory_uninitialised(allocator, (size_t)a.entries, sizeof *out->order,
                                      "an archive's directory", &order);
    out->members = members;
    out->order = order;
    out->count = (size_t)a.entries;
    if (status == HMT_OK)
        status = read_members(&a, out);
    if (status != HMT_OK)
        zip_close(out);
    return status;
}

void zip_close(zip_directory *directory)
{
    if (directory->allocator != NULL) {
        memory_free(directory->allocator, directory->members);
        memory_free(directory->allocator, (void *)directory->order);
    }
    *directory = (zip_directory){.allocator = NULL};
}

/* A member's name in two parts. */
typedef struct path {
    const char *folder, *name;
    size_t folder_size, name_size;
} path;

/* The folder is compared first, then what is left of the member's name. */
static int compare_path(const void *key, const void *item)
{
    const path *p = key;
    const zip_member *member = item;
    const size_t shared = member->name_size < p->folder_size ? member->name_size : p->folder_size;
    const int order = sort_bytes(p->folder, p->folder_size, member->name, shared);

    return order != 0 ? order
                      : sort_bytes(p->name, p->name_size, member->name + shared,
                                   member->name_size - shared);
}

const zip_member *zip_find(const zip_directory *directory, const char *folder, size_t folder_size,
                           const char *name, size_t name_size)
{
    const path wanted = {folder, name, folder_size, name_size};

    return sort_find(directory->order, directory->count, &wanted, compare_path);
}
