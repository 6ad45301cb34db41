/*
 * Python pickles (protocols 2 to 5) as data: what the stream says, while nothing that it names is
 * imported, called or built. For hostile input: neither recursion nor memory beyond what the
 * stream's own length allows.
 */
#ifndef HMT_FORMAT_PICKLE_H
#define HMT_FORMAT_PICKLE_H

#include <stdbool.h>

#include <hmtnet/hmtnet.h>

enum { PICKLE_MAX_VALUES = 1 << 20 };

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL, /* integer: 0 or 1 */
    PICKLE_INT,
    PICKLE_LONG, /* text: what does not fit PICKLE_INT, two's complement, little endian */
    PICKLE_FLOAT,
    PICKLE_TEXT, /* str, bytes or bytearray */
    PICKLE_LIST, /* items; lists, tuples and sets alike */
    PICKLE_DICT, /* items: key, value, key, value */
    PICKLE_GLOBAL,
    PICKLE_CALL,      /* function with arguments; items as a dict's or list's, where it got some */
    PICKLE_PERSISTENT /* arguments: the id */
} pickle_kind;

typedef struct pickle_value pickle_value;

typedef struct pickle_item {
    const pickle_value *value;
    const struct pickle_item *next;
} pickle_item;

struct pickle_value {
    pickle_kind kind;
    size_t size; /* of the text, of a global's module; number of items */
    union {
        int64_t integer;
        double number;
        const char *text; /* in the stream, not terminated, not checked to be UTF-8 */
        struct {
            const char *module, *name;
        };
        struct {
            const pickle_item *first;
            pickle_item *last;
        };
    };
    size_t name_size;
    const pickle_value *function, *arguments;
};

typedef struct pickle {
    const hmt_allocator *allocator;
    pickle_value *values; /* (count): all that the stream made, in its order */
    size_t count;
    pickle_item *items;
    const pickle_value *root; /* what the stream stands for */
    size_t end;               /* where it ends, an offset in `data` */
} pickle;

/* Reads one pickle that begins at `begin` of the `size` bytes at `data`, which must outlive it.
 * What is wrong is said with `what` in front and its offset in `data`. HMT_ERROR_FORMAT,
 * _UNSUPPORTED (an opcode of protocol 0 or 1, or of an extension registry), _LIMIT (more than
 * PICKLE_MAX_VALUES), _MEMORY. On failure *out is zero. */
hmt_status pickle_read(const hmt_allocator *allocator, const unsigned char *data, size_t begin,
                       size_t size, const char *what, pickle *out);
/* Frees it and sets it to zero. */
void pickle_free(pickle *p);

/* NULL beyond the end, and for a value that has no items. */
const pickle_value *pickle_at(const pickle_value *value, size_t index);
bool pickle_text_is(const pickle_value *value, const char *text);
/* Is it this global, or a call of it? */
bool pickle_is_global(const pickle_value *value, const char *module, const char *name);

#endif
