/*
 * Enlarging by the processor's vectors, 32 levels at a time: across, where a byte shuffle each
 * brings the two input levels to the output level's place, and down. The sums are those of
 * resize.c, to the bit.
 */
#include "image/filter.h"

enum { WINDOW = 16, NOTHING = 0x80 };

/* Output level `level` in lane `lane` of a vector whose half reads from byte `from` on. */
static void place(const filter *f, size_t level, int32_t from, size_t lane, across_block *b,
                  size_t vector)
{
    const size_t x = level / 3;
    const int32_t at = 3 * f->first[x] + (int32_t)(level % 3) - from;

    for (int k = 0; k < 2; ++k) {
        uint8_t *take = b->take[vector][k] + 4 * lane;

        for (int byte = 0; byte < 4; ++byte)
            take[byte] = NOTHING;
        if (k < f->count[x])
            take[0] = (uint8_t)(at + 3 * k);
        b->weight[vector][k][lane] = k < f->count[x] ? f->weight[x * (size_t)f->taps + k] : 0;
    }
}

size_t across_prepare(const filter *f, int32_t in, across_block *blocks, size_t count)
{
    const int32_t last = 3 * in - WINDOW; /* where the last window can begin */

    for (size_t x = 0; x < (ACROSS_LEVELS * count + 2) / 3; ++x)
        if (last < 0 || f->count[x] > 2)
            return 0;
    for (size_t b = 0; b < count; ++b)
        for (size_t group = 0; group < ACROSS_LEVELS / 4; ++group) {
            const size_t vector = group % 4, half = group / 4,
                         level = ACROSS_LEVELS * b + 4 * group;
            const int32_t first = 3 * f->first[level / 3];
            const int32_t from = first < last ? first : last;

            blocks[b].from[vector][half] = from;
            for (size_t i = 0; i < 4; ++i)
                place(f, level + i, from, 4 * half + i, &blocks[b], vector);
        }
    return count;
}

#if defined(__x86_64__)

#include <immintrin.h>

size_t across_count(int32_t width)
{
    return __builtin_cpu_supports("avx2") ? 3 * (size_t)width / ACROSS_LEVELS : 0;
}

__attribute__((target("avx2"))) static __m256i load(const void *at)
{
    return _mm256_loadu_si256(at);
}

/* Eight output levels as 32 bit numbers. */
__attribute__((target("avx2"))) static __m256i eight(const across_block *b, int vector,
                                                     const uint8_t *in)
{
    const __m128i low = _mm_loadu_si128((const void *)(in + b->from[vector][0]));
    const __m128i high = _mm_loadu_si128((const void *)(in + b->from[vector][1]));
    const __m256i levels = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    const __m256i one = _mm256_mullo_epi32(_mm256_shuffle_epi8(levels, load(b->take[vector][0])),
                                           load(b->weight[vector][0]));
    const __m256i two = _mm256_mullo_epi32(_mm256_shuffle_epi8(levels, load(b->take[vector][1])),
                                           load(b->weight[vector][1]));
    const __m256i sum =
        _mm256_add_epi32(_mm256_set1_epi32(FILTER_HALF), _mm256_add_epi32(one, two));

    return _mm256_srai_epi32(sum, FILTER_PRECISION);
}

__attribute__((target("avx2"))) void across_run(const across_block *blocks, size_t count,
                                                const uint8_t *in, uint8_t *out)
{
    for (const across_block *b = blocks; b < blocks + count; ++b, out += ACROSS_LEVELS) {
        const __m256i left = _mm256_packus_epi32(eight(b, 0, in), eight(b, 1, in));
        const __m256i right = _mm256_packus_epi32(eight(b, 2, in), eight(b, 3, in));

        _mm256_storeu_si256((void *)out, _mm256_packus_epi16(left, right));
    }
}

__attribute__((target("avx2"))) static __m256i eight_down(__m256i first, __m256i second,
                                                          const uint8_t *in, size_t bytes)
{
    const __m256i above = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)in));
    const __m256i below = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(in + bytes)));
    const __m256i sum =
        _mm256_add_epi32(_mm256_mullo_epi32(above, first), _mm256_mullo_epi32(below, second));

    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(FILTER_HALF)),
                             FILTER_PRECISION);
}

__attribute__((target("avx2"))) static size_t down_avx2(const int32_t *weight, const uint8_t *in,
                                                        size_t bytes, uint8_t *out)
{
    const __m256i first = _mm256_set1_epi32(weight[0]), second = _mm256_set1_epi32(weight[1]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packing goes by halves */
    size_t i = 0;

    for (; i + ACROSS_LEVELS <= bytes; i += ACROSS_LEVELS, in += ACROSS_LEVELS) {
        const __m256i left = _mm256_packus_epi32(eight_down(first, second, in, bytes),
                                                 eight_down(first, second, in + 8, bytes));
        const __m256i right = _mm256_packus_epi32(eight_down(first, second, in + 16, bytes),
                                                  eight_down(first, second, in + 24, bytes));
        const __m256i levels = _mm256_packus_epi16(left, right);

        _mm256_storeu_si256((void *)(out + i), _mm256_permutevar8x32_epi32(levels, order));
    }
    return i;
}

size_t enlarge_down(const int32_t *weight, const uint8_t *in, size_t bytes, uint8_t *out)
{
    return __builtin_cpu_supports("avx2") ? down_avx2(weight, in, bytes, out) : 0;
}

#else

size_t enlarge_down(const int32_t *weight, const uint8_t *in, size_t bytes, uint8_t *out)
{
    (void)weight, (void)in, (void)bytes, (void)out;
    return 0;
}

size_t across_count(int32_t width)
{
    (void)width;
    return 0;
}

void across_run(const across_block *blocks, size_t count, const uint8_t *in, uint8_t *out)
{
    (void)blocks, (void)count, (void)in, (void)out;
}

#endif
