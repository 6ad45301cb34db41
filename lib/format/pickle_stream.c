/* Reads a pickle's opcodes (see pickle_stream.h). */
#include "format/pickle_stream.h"

#include <string.h>

#include "core/status.h"
#include "format/little_endian.h"

/* What stands behind an opcode. */
typedef enum operand {
    UNKNOWN,
    NOTHING,
    UINT1, /* a number of so many bytes, little endian */
    UINT2,
    INT4,
    UINT4,
    UINT8,
    FLOAT8, /* big endian */
    BYTES1, /* bytes, and in front of them their number in so many bytes */
    BYTES4,
    BYTES8,
    LINES2 /* two lines */
} operand;

static const uint8_t operands[256] = {
    [MARK] = NOTHING,
    [STOP] = NOTHING,
    [POP] = NOTHING,
    [POP_MARK] = NOTHING,
    [DUP] = NOTHING,
    [BINBYTES] = BYTES4,
    [SHORT_BINBYTES] = BYTES1,
    [BINFLOAT] = FLOAT8,
    [BININT] = INT4,
    [BININT1] = UINT1,
    [BININT2] = UINT2,
    [NONE] = NOTHING,
    [BINPERSID] = NOTHING,
    [REDUCE] = NOTHING,
    [BINSTRING] = BYTES4,
    [SHORT_BINSTRING] = BYTES1,
    [BINUNICODE] = BYTES4,
    [EMPTY_LIST] = NOTHING,
    [APPEND] = NOTHING,
    [BUILD] = NOTHING,
    [GLOBAL] = LINES2,
    [DICT] = NOTHING,
    [APPENDS] = NOTHING,
    [BINGET] = UINT1,
    [LONG_BINGET] = UINT4,
    [LIST] = NOTHING,
    [BINPUT] = UINT1,
    [LONG_BINPUT] = UINT4,
    [SETITEM] = NOTHING,
    [TUPLE] = NOTHING,
    [EMPTY_TUPLE] = NOTHING,
    [SETITEMS] = NOTHING,
    [EMPTY_DICT] = NOTHING,
    [PROTO] = UINT1,
    [NEWOBJ] = NOTHING,
    [TUPLE1] = NOTHING,
    [TUPLE2] = NOTHING,
    [TUPLE3] = NOTHING,
    [NEWTRUE] = NOTHING,
    [NEWFALSE] = NOTHING,
    [LONG1] = BYTES1,
    [LONG4] = BYTES4,
    [SHORT_BINUNICODE] = BYTES1,
    [BINUNICODE8] = BYTES8,
    [BINBYTES8] = BYTES8,
    [EMPTY_SET] = NOTHING,
    [ADDITEMS] = NOTHING,
    [FROZENSET] = NOTHING,
    [NEWOBJ_EX] = NOTHING,
    [STACK_GLOBAL] = NOTHING,
    [MEMOIZE] = NOTHING,
    [FRAME] = UINT8,
    [BYTEARRAY8] = BYTES8,
};

static hmt_status cut_off(const pickle_stream *s, const pickle_instruction *in)
{
    return status_fail(HMT_ERROR_FORMAT,
                       "%s: the pickle's opcode 0x%02x (byte %zu) goes beyond the file's end",
                       s->what, in->code, in->at);
}

static hmt_status read_number(pickle_stream *s, size_t bytes, pickle_instruction *in)
{
    if (s->size - s->at < bytes)
        return cut_off(s, in);
    in->number = little_endian(s->data + s->at, bytes);
    s->at += bytes;
    return HMT_OK;
}

static hmt_status read_bytes(pickle_stream *s, size_t length_bytes, pickle_instruction *in)
{
    hmt_status status = read_number(s, length_bytes, in);

    if (status != HMT_OK)
        return status;
    if (in->number > s->size - s->at)
        return cut_off(s, in);
    in->text = (const char *)s->data + s->at;
    in->size = (size_t)in->number;
    s->at += in->size;
    return HMT_OK;
}

static hmt_status read_line(pickle_stream *s, const pickle_instruction *in, const char **text,
                            size_t *size)
{
    const unsigned char *begin = s->data + s->at;
    const unsigned char *end = memchr(begin, '\n', s->size - s->at);

    if (end == NULL)
        return cut_off(s, in);
    *text = (const char *)begin;
    *size = (size_t)(end - begin);
    s->at += *size + 1;
    return HMT_OK;
}

static hmt_status read_float(pickle_stream *s, pickle_instruction *in)
{
    hmt_status status = read_number(s, 8, in);

    in->number = __builtin_bswap64(in->number); /* as read: little endian */
    return status;
}

hmt_status pickle_fetch(pickle_stream *s, pickle_instruction *in)
{
    hmt_status status;

    *in = (pickle_instruction){.at = s->at};
    if (s->at >= s->size)
        return status_fail(HMT_ERROR_FORMAT, "%s: the file ends within a pickle (byte %zu)",
                           s->what, s->at);
    in->code = s->data[s->at++];
    switch ((operand)operands[in->code]) {
    case NOTHING:
        return HMT_OK;
    case UINT1:
        return read_number(s, 1, in);
    case UINT2:
        return read_number(s, 2, in);
    case INT4:
        status = read_number(s, 4, in);
        in->number = (uint64_t)(int64_t)(int32_t)(uint32_t)in->number;
        return status;
    case UINT4:
        return read_number(s, 4, in);
    case UINT8:
        return read_number(s, 8, in);
    case FLOAT8:
        return read_float(s, in);
    case BYTES1:
        return read_bytes(s, 1, in);
    case BYTES4:
        return read_bytes(s, 4, in);
    case BYTES8:
        return read_bytes(s, 8, in);
    case LINES2:
        status = read_line(s, in, &in->text, &in->size);
        return status == HMT_OK ? read_line(s, in, &in->line, &in->line_size) : status;
    case UNKNOWN:
        break;
    }
    return status_fail(HMT_ERROR_UNSUPPORTED,
                       "%s: opcode 0x%02x (byte %zu) is none of a pickle of protocol 2 to 5",
                       s->what, in->code, in->at);
}
