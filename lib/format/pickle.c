/*
 * The pickle machine (see pickle.h), in two passes over the stream: the first looks at every opcode
 * and counts, the second runs them on arrays of exactly that size.
 */
#include "format/pickle.h"

#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "format/pickle_stream.h"

/* What the second pass needs at most. An item was pushed before, by an opcode of its own. */
typedef struct room {
    size_t pushes, puts;
} room;

static hmt_status measure(pickle_stream s, room *r)
{
    pickle_instruction in = {.code = MARK};

    *r = (room){0, 0};
    while (in.code != STOP) {
        hmt_status status = pickle_fetch(&s, &in);

        if (status != HMT_OK)
            return status;
        if (in.code == BINPUT || in.code == LONG_BINPUT || in.code == MEMOIZE)
            ++r->puts;
        else
            ++r->pushes;
        if (r->pushes > PICKLE_MAX_VALUES || r->puts > PICKLE_MAX_VALUES)
            return status_fail(HMT_ERROR_LIMIT, "%s: a pickle of more than %d values", s.what,
                               PICKLE_MAX_VALUES);
    }
    return HMT_OK;
}

/* The second pass's machine. A mark on the stack is NULL. */
typedef struct machine {
    pickle_stream in;
    pickle_instruction now;
    pickle *out;
    pickle_value **stack;
    pickle_value **memo; /* (puts + 1) */
    size_t depth, items, puts, memos;
    hmt_status status;
} machine;

static void fail(machine *m, const char *why)
{
    if (m->status == HMT_OK)
        m->status = status_fail(HMT_ERROR_FORMAT, "%s: pickle opcode 0x%02x (byte %zu): %s",
                                m->in.what, m->now.code, m->now.at, why);
}

static pickle_value *push(machine *m, pickle_kind kind)
{
    pickle_value *value = &m->out->values[m->out->count++];

    value->kind = kind;
    m->stack[m->depth++] = value;
    return value;
}

static pickle_value *push_text(machine *m, pickle_kind kind)
{
    pickle_value *value = push(m, kind);

    value->text = m->now.text;
    value->size = m->now.size;
    return value;
}

/* A value, no mark; NULL after a failure. */
static pickle_value *pop(machine *m)
{
    if (m->depth == 0 || m->stack[m->depth - 1] == NULL) {
        fail(m, "the stack has no value for it");
        return NULL;
    }
    return m->stack[--m->depth];
}

/* Where the values above the last mark begin; the mark itself lies below them. */
static size_t find_mark(machine *m)
{
    size_t at = m->depth;

    while (at > 0 && m->stack[at - 1] != NULL)
        --at;
    if (at == 0)
        fail(m, "the stack has no mark for it");
    return at;
}

static void append(machine *m, pickle_value *to, const pickle_value *value)
{
    pickle_item *item = &m->out->items[m->items++];

    *item = (pickle_item){value, NULL};
    if (to->size++ == 0)
        to->first = item;
    else
        to->last->next = item;
    to->last = item;
}

/* Takes the values from stack[begin] on. */
static void append_from(machine *m, pickle_value *to, size_t begin)
{
    for (size_t i = begin; i < m->depth; ++i)
        append(m, to, m->stack[i]);
    m->depth = begin;
}

/* A new value with the items above the last mark. */
static void collect(machine *m, pickle_kind kind)
{
    const size_t begin = find_mark(m);
    pickle_value *value;

    if (m->status != HMT_OK)
        return;
    if (kind == PICKLE_DICT && (m->depth - begin) % 2 != 0) {
        fail(m, "a key without its value");
        return;
    }
    value = &m->out->values[m->out->count++];
    value->kind = kind;
    append_from(m, value, begin);
    m->stack[m->depth - 1] = value; /* in the mark's place */
}

/* TUPLE1 to TUPLE3. */
static void collect_last(machine *m, size_t count)
{
    pickle_value *value;

    for (size_t i = 0; i < count; ++i)
        if (m->depth <= i || m->stack[m->depth - 1 - i] == NULL) {
            fail(m, "the stack has too few values for it");
            return;
        }
    value = &m->out->values[m->out->count++];
    value->kind = PICKLE_LIST;
    append_from(m, value, m->depth - count);
    m->stack[m->depth++] = value;
}

/* Adds `count` values from the top of the stack, or all above the last mark, to the container below
 * them. */
static void extend(machine *m, bool marked, size_t count, bool pairs)
{
    size_t begin, below;
    pickle_value *to;

    if (!marked && m->depth < count) {
        fail(m, "the stack has too few values for it");
        return;
    }
    begin = marked ? find_mark(m) : m->depth - count;
    if (m->status != HMT_OK)
        return;
    below = marked ? begin - 1 : begin; /* without the mark */
    to = below > 0 ? m->stack[below - 1] : NULL;
    for (size_t i = begin; i < m->depth; ++i)
        if (m->stack[i] == NULL)
            to = NULL;
    if (to == NULL ||
        (to->kind != PICKLE_CALL && to->kind != (pairs ? PICKLE_DICT : PICKLE_LIST))) {
        fail(m, "there is nothing that takes these items");
        return;
    }
    if (pairs && (m->depth - begin) % 2 != 0) {
        fail(m, "a key without its value");
        return;
    }
    append_from(m, to, begin);
    m->depth = below;
}

static void push_long(machine *m)
{
    pickle_value *value = push_text(m, PICKLE_LONG);
    uint64_t bits = 0;

    if (value->size > 8)
        return;
    if (value->size > 0 && (unsigned char)value->text[value->size - 1] >= 0x80)
        bits = UINT64_MAX;
    for (size_t i = value->size; i-- > 0;)
        bits = bits << 8 | (unsigned char)value->text[i];
    value->kind = PICKLE_INT;
    value->integer = (int64_t)bits;
}

static void push_global(machine *m)
{
    pickle_value *value = push(m, PICKLE_GLOBAL);

    value->module = m->now.text;
    value->size = m->now.size;
    value->name = m->now.line;
    value->name_size = m->now.line_size;
}

static void push_stack_global(machine *m)
{
    const pickle_value *name = pop(m), *module = pop(m);

    if (m->status != HMT_OK)
        return;
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT) {
        fail(m, "a global without a name");
        return;
    }
    m->now.text = module->text;
    m->now.size = module->size;
    m->now.line = name->text;
    m->now.line_size = name->size;
    push_global(m);
}

/* REDUCE and NEWOBJ, and NEWOBJ_EX without its keywords. */
static void push_call(machine *m)
{
    const pickle_value *arguments = pop(m), *function = pop(m);
    pickle_value *value;

    if (m->status != HMT_OK)
        return;
    value = push(m, PICKLE_CALL);
    value->function = function;
    value->arguments = arguments;
}

static void put(machine *m, uint64_t index)
{
    if (m->depth == 0 || m->stack[m->depth - 1] == NULL)
        fail(m, "the stack has no value for it");
    else if (index > m->puts)
        fail(m, "its number is larger than there are numbers");
    else
        m->memo[index] = m->stack[m->depth - 1];
    ++m->memos;
}

static void get(machine *m, uint64_t index)
{
    if (index > m->puts || m->memo[index] == NULL)
        fail(m, "nothing has been kept under its number");
    else
        m->stack[m->depth++] = m->memo[index];
}

static void check_protocol(machine *m)
{
    if (m->now.number < 2 || m->now.number > 5)
        fail(m, "only protocols 2 to 5 are known");
}

/* Opcodes that push what stands behind them. */
static bool run_literal(machine *m)
{
    switch (m->now.code) {
    case NONE:
        push(m, PICKLE_NONE);
        return true;
    case NEWTRUE:
    case NEWFALSE:
        push(m, PICKLE_BOOL)->integer = m->now.code == NEWTRUE;
        return true;
    case BININT:
    case BININT1:
    case BININT2:
        push(m, PICKLE_INT)->integer = (int64_t)m->now.number;
        return true;
    case LONG1:
    case LONG4:
        push_long(m);
        return true;
    case BINFLOAT:
        memcpy(&push(m, PICKLE_FLOAT)->number, &m->now.number, sizeof(double));
        return true;
    case BINUNICODE:
    case SHORT_BINUNICODE:
    case BINUNICODE8:
    case BINSTRING:
    case SHORT_BINSTRING:
    case BINBYTES:
    case SHORT_BINBYTES:
    case BINBYTES8:
    case BYTEARRAY8:
        push_text(m, PICKLE_TEXT);
        return true;
    case EMPTY_DICT:
        push(m, PICKLE_DICT);
        return true;
    case EMPTY_LIST:
    case EMPTY_TUPLE:
    case EMPTY_SET:
        push(m, PICKLE_LIST);
        return true;
    case GLOBAL:
        push_global(m);
        return true;
    default:
        return false;
    }
}

/* Opcodes that work on the stack. */
static void run_stack(machine *m)
{
    pickle_value *value;

    switch (m->now.code) {
    case PROTO:
        check_protocol(m);
        break;
    case FRAME:
        break;
    case MARK:
        m->stack[m->depth++] = NULL;
        break;
    case POP:
        if (m->depth == 0)
            fail(m, "the stack is empty");
        else
            --m->depth;
        break;
    case POP_MARK:
        m->depth = find_mark(m);
        m->depth -= m->depth > 0;
        break;
    case DUP:
        value = pop(m);
        if (value != NULL) {
            m->stack[m->depth++] = value;
            m->stack[m->depth++] = value;
        }
        break;
    case LIST:
    case TUPLE:
    case FROZENSET:
        collect(m, PICKLE_LIST);
        break;
    case DICT:
        collect(m, PICKLE_DICT);
        break;
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        collect_last(m, m->now.code - TUPLE1 + 1u);
        break;
    case APPEND:
        extend(m, false, 1, false);
        break;
    case APPENDS:
    case ADDITEMS:
        extend(m, true, 0, false);
        break;
    case SETITEM:
        extend(m, false, 2, true);
        break;
    case SETITEMS:
        extend(m, true, 0, true);
        break;
    case BINPUT:
    case LONG_BINPUT:
        put(m, m->now.number);
        break;
    case MEMOIZE:
        put(m, m->memos);
        break;
    case BINGET:
    case LONG_BINGET:
        get(m, m->now.number);
        break;
    case STACK_GLOBAL:
        push_stack_global(m);
        break;
    case NEWOBJ_EX:
        pop(m);
        push_call(m);
        break;
    case REDUCE:
    case NEWOBJ:
        push_call(m);
        break;
    case BUILD: /* a state for an object, which has none here */
        pop(m);
        break;
    case BINPERSID:
        value = pop(m);
        if (value != NULL)
            push(m, PICKLE_PERSISTENT)->arguments = value;
        break;
    default: /* STOP */
        m->out->root = pop(m);
        m->out->end = m->in.at;
        break;
    }
}

static hmt_status run(machine *m)
{
    do {
        m->status = pickle_fetch(&m->in, &m->now);
        if (m->status == HMT_OK && !run_literal(m))
            run_stack(m);
    } while (m->status == HMT_OK && m->now.code != STOP);
    return m->status;
}

hmt_status pickle_read(const hmt_allocator *allocator, const unsigned char *data, size_t begin,
                       size_t size, const char *what, pickle *out)
{
    machine m = {.in = {data, begin, size, what}, .out = out};
    void *values = NULL, *items = NULL, *stack = NULL, *memo = NULL;
    room r;
    hmt_status status = measure(m.in, &r);

    *out = (pickle){.allocator = allocator};
    if (status == HMT_OK)
        status = memory_zeroed(allocator, r.pushes, sizeof *out->values, "a pickle", &values);
    if (status == HMT_OK)
        status = memory_uninitialised(allocator, r.pushes, sizeof *out->items, "a pickle", &items);
    if (status == HMT_OK)
        status = memory_uninitialised(allocator, r.pushes, sizeof *m.stack, "a pickle", &stack);
    if (status == HMT_OK)
        status = memory_zeroed(allocator, r.puts + 1, sizeof *m.memo, "a pickle", &memo);
    out->values = values;
    out->items = items;
    m.stack = stack;
    m.memo = memo;
    m.puts = r.puts;
    if (status == HMT_OK)
        status = run(&m);
    memory_free(allocator, stack);
    memory_free(allocator, memo);
    if (status != HMT_OK)
        pickle_free(out);
    return status;
}

void pickle_free(pickle *p)
{
    if (p->allocator != NULL) {
        memory_free(p->allocator, p->values);
        memory_free(p->allocator, p->items);
    }
    *p = (pickle){.allocator = NULL};
}

static bool has_items(const pickle_value *value)
{
    return value->kind == PICKLE_LIST || value->kind == PICKLE_DICT || value->kind == PICKLE_CALL;
}

const pickle_value *pickle_at(const pickle_value *value, size_t index)
{
    const pickle_item *item;

    if (!has_items(value) || index >= value->size)
        return NULL;
    for (item = value->first; index > 0; --index)
        item = item->next;
    return item->value;
}

bool pickle_text_is(const pickle_value *value, const char *text)
{
    return value->kind == PICKLE_TEXT && value->size == strlen(text) &&
           memcmp(value->text, text, value->size) == 0;
}

bool pickle_is_global(const pickle_value *value, const char *module, const char *name)
{
    if (value->kind == PICKLE_CALL)
        value = value->function;
    return value->kind == PICKLE_GLOBAL && value->size == strlen(module) &&
           memcmp(value->module, module, value->size) == 0 && value->name_size == strlen(name) &&
           memcmp(value->name, name, value->name_size) == 0;
}
