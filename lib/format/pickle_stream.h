/*
 * A pickle's stream as opcodes with what stands behind each: for pickle.c alone.
 */
#ifndef HMT_FORMAT_PICKLE_STREAM_H
#define HMT_FORMAT_PICKLE_STREAM_H

#include <hmtnet/hmtnet.h>

/* The opcodes, by the names that Python's pickletools has for them. */
typedef enum pickle_opcode {
    MARK = '(',
    STOP = '.',
    POP = '0',
    POP_MARK = '1',
    DUP = '2',
    BINBYTES = 'B',
    SHORT_BINBYTES = 'C',
    BINFLOAT = 'G',
    BININT = 'J',
    BININT1 = 'K',
    BININT2 = 'M',
    NONE = 'N',
    BINPERSID = 'Q',
    REDUCE = 'R',
    BINSTRING = 'T',
    SHORT_BINSTRING = 'U',
    BINUNICODE = 'X',
    EMPTY_LIST = ']',
    APPEND = 'a',
    BUILD = 'b',
    GLOBAL = 'c',
    DICT = 'd',
    APPENDS = 'e',
    BINGET = 'h',
    LONG_BINGET = 'j',
    LIST = 'l',
    BINPUT = 'q',
    LONG_BINPUT = 'r',
    SETITEM = 's',
    TUPLE = 't',
    EMPTY_TUPLE = ')',
    SETITEMS = 'u',
    EMPTY_DICT = '}',
    PROTO = 0x80,
    NEWOBJ = 0x81,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,
    LONG4 = 0x8b,
    SHORT_BINUNICODE = 0x8c,
    BINUNICODE8 = 0x8d,
    BINBYTES8 = 0x8e,
    EMPTY_SET = 0x8f,
    ADDITEMS = 0x90,
    FROZENSET = 0x91,
    NEWOBJ_EX = 0x92,
    STACK_GLOBAL = 0x93,
    MEMOIZE = 0x94,
    FRAME = 0x95,
    BYTEARRAY8 = 0x96
} pickle_opcode;

/* One opcode with its operand. */
typedef struct pickle_instruction {
    uint8_t code;
    size_t at;        /* its offset */
    uint64_t number;  /* UINT..., INT4 sign-extended, FLOAT8's bits */
    const char *text; /* BYTES..., and the first of LINES2 */
    size_t size;
    const char *line; /* the second of LINES2 */
    size_t line_size;
} pickle_instruction;

/* Where it is read. */
typedef struct pickle_stream {
    const unsigned char *data;
    size_t at, size;
    const char *what;
} pickle_stream;

/* The next opcode with its operand, which lies within the stream. HMT_ERROR_FORMAT, and
 * _UNSUPPORTED for an opcode of protocol 0 or 1, or of an extension registry. */
hmt_status pickle_fetch(pickle_stream *s, pickle_instruction *in);

#endif
