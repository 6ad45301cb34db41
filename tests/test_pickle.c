/* tier: quick
 * links: torch_writer
 * What the pickle machine promises: it understands what a checkpoint has, names what is wrong and
 * where, and asks for memory that follows from the stream's length.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "core/memory.h"
#include "core/status.h"
#include "counter.h"
#include "format/pickle.h"
#include "torch_writer.h"

#define PICKLE(bytes) bytes, sizeof bytes - 1

static void pickles_are_checked(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        hmt_status status;
        const char *said;
    } cases[] = {
        {PICKLE("\x80\x02N."), HMT_OK, ""},
        {PICKLE("\x80\x05\x95\x01\0\0\0\0\0\0\0N."), HMT_OK, ""},
        {PICKLE("(K\x01K\x02t."), HMT_OK, ""},
        {PICKLE("(K\x01K\x02"
                "dN0."),
         HMT_OK, ""},
        {PICKLE("](K\x01K\x02"
                "e."),
         HMT_OK, ""},
        {PICKLE("]K\x01"
                "a."),
         HMT_OK, ""},
        {PICKLE("\x8f(K\x01\x90."), HMT_OK, ""},
        {PICKLE("}q\0(h\0h\0u."), HMT_OK, ""},
        {PICKLE("K\x07\x94h\0\x86."), HMT_OK, ""},
        {PICKLE("K\x07\x94\x86."), HMT_ERROR_FORMAT, "opcode 0x86 (byte 3): the stack has too"},
        {PICKLE("((K\x01"
                "1N."),
         HMT_OK, ""},
        {PICKLE("N2\x86."), HMT_OK, ""},
        {PICKLE("\x8c\x01m\x8c\x01n\x93)\x81."), HMT_OK, ""},
        {PICKLE("\x8c\x01m\x8c\x01n\x93)}\x92."), HMT_OK, ""},
        {PICKLE(""), HMT_ERROR_FORMAT, "f: the file ends within a pickle (byte 0)"},
        {PICKLE("N"), HMT_ERROR_FORMAT, "the file ends within a pickle (byte 1)"},
        {PICKLE("."), HMT_ERROR_FORMAT, "the stack has no value for it"},
        {PICKLE("(."), HMT_ERROR_FORMAT, "the stack has no value for it"},
        {PICKLE("0N."), HMT_ERROR_FORMAT, "the stack is empty"},
        {PICKLE("2."), HMT_ERROR_FORMAT, "opcode 0x32 (byte 0): the stack has no value for it"},
        {PICKLE("t."), HMT_ERROR_FORMAT, "the stack has no mark for it"},
        {PICKLE("1N."), HMT_ERROR_FORMAT, "the stack has no mark for it"},
        {PICKLE("(K\x01"
                "d."),
         HMT_ERROR_FORMAT, "a key without its value"},
        {PICKLE("}(K\x01u."), HMT_ERROR_FORMAT, "a key without its value"},
        {PICKLE("(N\x86."), HMT_ERROR_FORMAT, "too few values"},
        {PICKLE("}(Ns."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("(Ns."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("Ns."), HMT_ERROR_FORMAT, "too few values"},
        {PICKLE("NNs."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("N(NNu."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("](NNu."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("}N"
                "a."),
         HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("(e."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("h\0."), HMT_ERROR_FORMAT, "nothing has been kept under its number"},
        {PICKLE("Nq\x01h\0."), HMT_ERROR_FORMAT, "nothing has been kept"},
        {PICKLE("Nq\x02."), HMT_ERROR_FORMAT, "its number is larger than there are numbers"},
        {PICKLE("Nr\xff\xff\xff\xff."), HMT_ERROR_FORMAT, "its number is larger"},
        {PICKLE("j\xff\xff\xff\xff."), HMT_ERROR_FORMAT, "nothing has been kept"},
        {PICKLE("(q\0."), HMT_ERROR_FORMAT, "the stack has no value for it"},
        {PICKLE("NN\x93."), HMT_ERROR_FORMAT, "a global without a name"},
        {PICKLE("R."), HMT_ERROR_FORMAT, "the stack has no value"},
        {PICKLE("Q."), HMT_ERROR_FORMAT, "the stack has no value"},
        {PICKLE("b."), HMT_ERROR_FORMAT, "the stack has no value"},
        {PICKLE("X\xff\xff\xff\xff."), HMT_ERROR_FORMAT, "goes beyond the file's end"},
        {PICKLE("\x8d\xff\xff\xff\xff\xff\xff\xff\xffN."), HMT_ERROR_FORMAT, "beyond the file's"},
        {PICKLE("X\x01\0"), HMT_ERROR_FORMAT, "opcode 0x58 (byte 0) goes beyond the file's end"},
        {PICKLE("cos\nsystem."), HMT_ERROR_FORMAT, "beyond the file's end"},
        {PICKLE("\x80\x01N."), HMT_ERROR_FORMAT, "only protocols 2 to 5"},
        {PICKLE("I1\n."), HMT_ERROR_UNSUPPORTED, "opcode 0x49 (byte 0) is none of a pickle"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        unsigned char *copy = malloc(cases[i].size + 1); /* its own block: reads beyond are seen */
        pickle p;

        memcpy(copy, cases[i].bytes, cases[i].size);
        copy = realloc(copy, cases[i].size > 0 ? cases[i].size : 1);
        status_clear();
        CHECK_STATUS(pickle_read(&memory_default, copy, 0, cases[i].size, "f", &p),
                     cases[i].status);
        CHECK(strstr(hmt_last_error(), cases[i].said) != NULL);
        if (strstr(hmt_last_error(), cases[i].said) == NULL)
            printf("%zu: %s\n", i, hmt_last_error());
        CHECK((p.root != NULL) == (cases[i].status == HMT_OK));
        pickle_free(&p);
        free(copy);
    }
}

static void pickles_are_understood(void)
{
    static const char bytes[] = "\x80\x02(J\xfe\xff\xff\xffM\x01\x02\x8a\x02\xff\x7f\x8a\x01\xff"
                                "\x8a\x09\0\0\0\0\0\0\0\0\x01G\xbf\xf8\0\0\0\0\0\0"
                                "X\x02\0\0\0abU\x02"
                                "cdt.";
    static const int64_t integers[] = {-2, 513, 32767, -1};
    pickle p;

    CHECK_STATUS(
        pickle_read(&memory_default, (const unsigned char *)bytes, 0, sizeof bytes - 1, "f", &p),
        HMT_OK);
    CHECK(p.root->kind == PICKLE_LIST && p.root->size == 8 && p.end == sizeof bytes - 1);
    for (size_t i = 0; i < 4; ++i)
        CHECK(pickle_at(p.root, i)->kind == PICKLE_INT &&
              pickle_at(p.root, i)->integer == integers[i]);
    CHECK(pickle_at(p.root, 4)->kind == PICKLE_LONG && pickle_at(p.root, 4)->size == 9);
    CHECK(pickle_at(p.root, 5)->kind == PICKLE_FLOAT && pickle_at(p.root, 5)->number == -1.5);
    CHECK(pickle_text_is(pickle_at(p.root, 6), "ab") && pickle_text_is(pickle_at(p.root, 7), "cd"));
    CHECK(pickle_at(p.root, 8) == NULL && pickle_at(pickle_at(p.root, 0), 0) == NULL);
    pickle_free(&p);
}

/* Opcodes that cost memory, many times over. */
static void memory_is_bounded(void)
{
    static const char *const units[] = {"N", ")", "(", "}q\1", "K\1\x85", "h\1", "2"};
    enum { COUNT = 50000 };

    for (size_t u = 0; u < sizeof units / sizeof units[0]; ++u) {
        counter c = {0, 0, 0, -1};
        const hmt_allocator allocator = {counted_allocate, counted_release, &c};
        torch_bytes bytes = {NULL, 0, 0};
        pickle p;

        torch_put(&bytes, "\x80\x02Nq\1", 5);
        for (int i = 0; i < COUNT; ++i)
            torch_put(&bytes, units[u], strlen(units[u]));
        torch_put(&bytes, "N.", 2);
        status_clear();
        CHECK_STATUS(pickle_read(&allocator, bytes.data, 0, bytes.size, "f", &p), HMT_OK);
        CHECK(c.bytes <= 96 * bytes.size + 256);
        pickle_free(&p);
        CHECK(c.live == 0);
        torch_release(&bytes);
    }
}

static void too_many_values_are_refused(void)
{
    torch_bytes bytes = {NULL, 0, 0};
    pickle p;

    for (int i = 0; i < PICKLE_MAX_VALUES; ++i)
        torch_put(&bytes, ")", 1);
    torch_put(&bytes, ".", 1);
    CHECK_STATUS(pickle_read(&memory_default, bytes.data, 0, bytes.size, "f", &p), HMT_ERROR_LIMIT);
    pickle_free(&p);
    torch_release(&bytes);
}

int main(void)
{
    pickles_are_checked();
    pickles_are_understood();
    memory_is_bounded();
    too_many_values_are_refused();
    return test_finish();
}
