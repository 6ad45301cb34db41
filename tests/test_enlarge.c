/* tier: quick
 * Resizing has the bits of its definition, one output level after the other, whichever vectors the
 * processor has: enlarged and reduced, narrow and wide, whole and cut out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/memory.h"
#include "image/image.h"

enum { MOST = 320, BITS = 22 };

static uint8_t input[3 * MOST * MOST], rows[3 * MOST * MOST], expected[3 * MOST * MOST];

static void fill_input(void)
{
    uint64_t seed = 4;

    for (size_t i = 0; i < sizeof input; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        input[i] = i % 7 == 0 ? 255 : (uint8_t)(seed >> 40); /* with the extreme levels beside */
    }
}

/* Output `at` of an axis from `in` to `out` levels that stand `step` apart: a triangle as wide as
 * the reduction, weights with 22 fractional bits. */
static uint8_t one_level(const uint8_t *from, size_t step, int32_t in, int32_t out, int32_t at)
{
    const double scale = (double)in / out, reach = fmax(1.0, scale), centre = (at + 0.5) * scale;
    const int32_t low = (int32_t)fmax(0.0, (double)(int32_t)(centre - reach + 0.5));
    const int32_t high = (int32_t)fmin(in, (double)(int32_t)(centre + reach + 0.5));
    int64_t sum = 1 << (BITS - 1);
    double whole = 0.0;

    for (int32_t k = low; k < high; ++k)
        whole += fmax(0.0, 1.0 - fabs((k - centre + 0.5) / reach));
    for (int32_t k = low; k < high; ++k) {
        double weight = fmax(0.0, 1.0 - fabs((k - centre + 0.5) / reach)) / whole;

        sum += from[(size_t)k * step] * (int64_t)(0.5 + weight * (1 << BITS));
    }
    sum >>= BITS;
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* The same without vectors: across into `rows`, then down. */
static void define(int32_t in, int32_t side, int32_t left, int32_t size)
{
    const size_t bytes = 3 * (size_t)size;

    for (int32_t y = 0; y < in; ++y)
        for (int32_t i = 0; i < 3 * size; ++i)
            rows[(size_t)y * bytes + (size_t)i] =
                one_level(input + 3 * (size_t)in * (size_t)y + i % 3, 3, in, side, left + i / 3);
    for (int32_t y = 0; y < size; ++y)
        for (size_t i = 0; i < bytes; ++i)
            expected[(size_t)y * bytes + i] = one_level(rows + i, bytes, in, side, left + y);
}

static void check_resize(int32_t in, int32_t side, int32_t left, int32_t size)
{
    image source = {input, in, in}, result = {NULL, size, size};
    const size_t bytes = 3 * (size_t)size * (size_t)size;

    result.data = malloc(bytes); /* no more, so that a write beyond it shows under a sanitizer */
    source.data = malloc(3 * (size_t)in * (size_t)in);
    memcpy(source.data, input, 3 * (size_t)in * (size_t)in);
    CHECK(image_resize(&memory_default, &source, side, side, left, left, &result) == HMT_OK);
    define(in, side, left, size);
    CHECK(memcmp(result.data, expected, bytes) == 0);
    free(source.data);
    free(result.data);
}

int main(void)
{
    static const int32_t ins[] = {1, 2, 3, 5, 6, 7, 16, 100, 223, 224};
    static const int32_t sides[] = {8, 11, 16, 33, 43, 64, 225, 256, 300};

    fill_input();
    for (size_t i = 0; i < sizeof ins / sizeof *ins; ++i)
        for (size_t k = 0; k < sizeof sides / sizeof *sides; ++k) {
            check_resize(ins[i], sides[k], 0, sides[k]);
            check_resize(ins[i], sides[k], sides[k] / 8, sides[k] * 7 / 8 - sides[k] / 8);
        }
    return test_finish();
}
