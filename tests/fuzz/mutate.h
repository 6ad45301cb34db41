/* Deterministic mutations of an input, for replay.c. */
#ifndef HMT_TESTS_MUTATE_H
#define HMT_TESTS_MUTATE_H

#include "fuzz.h"

enum { MUTATE_ROOM = 4096 }; /* bytes by which a mutation may make its input longer */

/* Writes mutation `number` of `from` to `out`, which has room for from->size + MUTATE_ROOM bytes,
 * and returns its size; `other` is another input, to take pieces from. */
size_t mutate(const fuzz_input *from, const fuzz_input *other, uint64_t number, uint8_t *out);

#endif
