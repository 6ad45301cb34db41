/*
 * Mutations (see mutate.h): one to four small changes, drawn from their number alone. Half of them
 * are blind, half know digits, which is what headers and tables are damaged by.
 */
#include "mutate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/random.h"

/* What is being changed. */
typedef struct draft {
    uint8_t *data;
    size_t size, room;
    uint64_t seed, drawn;
} draft;

static size_t draw(draft *d, size_t below)
{
    return below > 0 ? (size_t)(random_split(d->seed, d->drawn++) % below) : 0;
}

/* Puts `count` bytes in the place of `old` ones at `at`, as far as there is room. */
static void replace(draft *d, size_t at, size_t old, const void *bytes, size_t count)
{
    if (d->size - old + count > d->room)
        return;
    memmove(d->data + at + count, d->data + at + old, d->size - at - old);
    memcpy(d->data + at, bytes, count);
    d->size += count - old;
}

static void flip_bit(draft *d)
{
    if (d->size > 0)
        d->data[draw(d, d->size)] ^= (uint8_t)(1u << draw(d, 8));
}

static void set_byte(draft *d)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, '"', ',', '{', '}', '[', ']', '\n'};

    if (d->size > 0)
        d->data[draw(d, d->size)] = bytes[draw(d, sizeof bytes)];
}

static void erase(draft *d)
{
    const size_t at = draw(d, d->size + 1), rest = d->size - at;

    replace(d, at, draw(d, 4) > 0 && rest > 16 ? draw(d, 16) : draw(d, rest + 1), "", 0);
}

/* A piece of another input, or of the same one, inserted or written over. */
static void splice(draft *d, const fuzz_input *other)
{
    uint8_t piece[256];
    const size_t most = other->size < sizeof piece ? other->size : sizeof piece;
    const size_t count = draw(d, most + 1), from = draw(d, other->size - count + 1);
    const size_t at = draw(d, d->size + 1), rest = d->size - at;

    memcpy(piece, other->data + from, count);
    replace(d, at, draw(d, 2) == 0 ? 0 : count < rest ? count : rest, piece, count);
}

/* Another number in the place of a run of digits; a step up or down, or one from the edges. */
static void edit_number(draft *d)
{
    static const char *const edges[] = {"0",
                                        "-1",
                                        "1",
                                        "2147483648",
                                        "4294967296",
                                        "9223372036854775807",
                                        "18446744073709551615",
                                        "1,1",
                                        "1e39",
                                        "1e-400",
                                        "0.5"};
    size_t at = draw(d, d->size + 1), end;
    unsigned long long value = 0;
    char text[32];

    while (at < d->size && !isdigit(d->data[at]))
        ++at;
    while (at > 0 && at < d->size && isdigit(d->data[at - 1]))
        --at;
    for (end = at; end < d->size && isdigit(d->data[end]); ++end)
        value = value * 10 + (unsigned)(d->data[end] - '0');
    if (draw(d, 2) == 0)
        snprintf(text, sizeof text, "%s", edges[draw(d, sizeof edges / sizeof edges[0])]);
    else
        snprintf(text, sizeof text, "%llu", value + draw(d, 17) - 8);
    replace(d, at, end - at, text, strlen(text));
}

size_t mutate(const fuzz_input *from, const fuzz_input *other, uint64_t number, uint8_t *out)
{
    draft d = {out, from->size, from->size + MUTATE_ROOM, number, 0};

    memcpy(out, from->data, from->size);
    for (size_t changes = 1 + draw(&d, 4); changes > 0; --changes)
        switch (draw(&d, 8)) {
        case 0:
            set_byte(&d);
            break;
        case 1:
            erase(&d);
            break;
        case 2:
            splice(&d, from);
            break;
        case 3:
            splice(&d, other);
            break;
        case 4:
        case 5:
            edit_number(&d);
            break;
        default:
            flip_bit(&d);
        }
    return draw(&d, 16) == 0 ? draw(&d, d.size + 1) : d.size;
}
