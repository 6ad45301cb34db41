/*
 * gpu_kernels: sums over the rows of a map, batch norms and what else goes channel by channel,
 * through the stand-ins, against loops in double. Sizes reach every way that rows are divided:
 * with and without packs of four, few and many chunks, rows left over. Values are small whole
 * numbers, so sums are exact and one missing row shows.
 */
#include <stdbool.h>

#include "kernels.h"
#include "standin_rig.h"

static cudaStream_t stream;

typedef struct shape {
    int32_t rows, channels;
    int32_t first; /* where the maps begin in their memory: 1 is no place for packs */
} shape;

static const shape shapes[] = {
    {19, 8, 0},    {57, 3, 0},    {1, 1, 0},     {5, 4, 0},     {5, 3, 0},      {63, 12, 0},
    {64, 12, 0},   {512, 8, 0},   {535, 12, 0},  {535, 12, 1},  {535, 5, 0},    {1100, 96, 0},
    {32768, 4, 0}, {37771, 4, 0}, {37771, 3, 0}, {37771, 4, 1}, {100001, 4, 0}, {545, 4097, 0},
};

/* A map on the device and, as the device rounds it, on the host. */
typedef struct array {
    float *values;
    char *memory;
    map map;
    size_t count;
} array;

static array whole_numbers(const shape *s, storage type, unsigned seed)
{
    const size_t first = (size_t)s->first, count = (size_t)s->rows * (size_t)s->channels;
    array a = {.values = malloc((count + first) * sizeof(float)), .count = count};

    for (size_t i = 0; i < count + first; ++i)
        a.values[i] = floorf(8.0f * rig_number(seed, i));
    a.memory = rig_upload(a.values, count + first, type == STORAGE_BFLOAT16, stream);
    a.map = (map){a.memory + first * (type == STORAGE_BFLOAT16 ? 2 : 4), type};
    memmove(a.values, a.values + first, count * sizeof(float));
    return a;
}

static void forget(array *a)
{
    free(a->values);
    OK(cudaFree(a->memory));
}

/* What a kernel left in a map, as an array that the caller frees. */
static float *read_map(map m, size_t count)
{
    float *got = malloc(count * sizeof *got);

    rig_download(got, m.at, count, m.type == STORAGE_BFLOAT16, stream);
    return got;
}

/* A vector (channels) of the device. */
static float *new_vector(int32_t channels, unsigned seed, float *values)
{
    for (int32_t c = 0; c < channels; ++c)
        values[c] = 1.0f + 0.5f * rig_number(seed, (size_t)c);
    return rig_upload(values, (size_t)channels, 0, stream);
}

/* Exactly as much as the kernels ask for: the stand-ins find what is written behind it. */
static double *new_scratch(const shape *s)
{
    void *scratch;

    OK(cudaMalloc(&scratch, kernel_sums_scratch(s->rows, s->channels) * sizeof(double)));
    return scratch;
}

/* The largest difference from what was wanted, as a share of `unit`, infinite for NaN; frees what
 * was got. */
static double furthest(float *got, const double *wanted, size_t count, double unit)
{
    double most = 0.0;

    for (size_t i = 0; i < count; ++i)
        most = isnan(got[i]) ? INFINITY : fmax(most, fabs(got[i] - wanted[i]));
    free(got);
    return most / unit;
}

/* One rounding of a stored element of magnitude up to `largest`, and some of float arithmetic. */
static double roundings(storage type, double largest)
{
    return largest * (type == STORAGE_BFLOAT16 ? 0x1p-8 : 0x1p-20);
}

typedef struct vectors {
    float *host[4]; /* gamma, beta, mean, variance */
    norm_vectors device;
} vectors;

static vectors new_vectors(int32_t channels, int32_t relu)
{
    vectors v = {.device = {.epsilon = 1e-3f, .relu = relu}};
    float *at[4];

    for (int i = 0; i < 4; ++i) {
        v.host[i] = malloc((size_t)channels * sizeof(float));
        at[i] = new_vector(channels, 10 + (unsigned)i, v.host[i]);
    }
    v.device.gamma = at[0];
    v.device.beta = at[1];
    v.device.mean = at[2];
    v.device.variance = at[3];
    OK(cudaMalloc((void **)&v.device.slope, (size_t)channels * sizeof(float)));
    return v;
}

static void forget_vectors(vectors *v)
{
    for (int i = 0; i < 4; ++i)
        free(v->host[i]);
    OK(cudaFree((void *)(uintptr_t)v->device.gamma));
    OK(cudaFree((void *)(uintptr_t)v->device.beta));
    OK(cudaFree(v->device.mean));
    OK(cudaFree(v->device.variance));
    OK(cudaFree(v->device.slope));
}

static double slope_of(const vectors *v, int32_t c)
{
    return v->host[0][c] / sqrt((double)v->host[3][c] + (double)v->device.epsilon);
}

/* ---------------------------------------------------------------------------- sums -------------
 */

static void channel_sums(const shape *s, storage type)
{
    const size_t channels = (size_t)s->channels;
    array x = whole_numbers(s, type, 1);
    double *scratch = new_scratch(s), *wanted = calloc(channels, sizeof *wanted);
    float *sums;

    for (size_t i = 0; i < x.count; ++i)
        wanted[i % channels] += x.values[i];
    OK(cudaMalloc((void **)&sums, channels * sizeof *sums));
    kernel_channel_sums(x.map, s->rows, s->channels, sums, scratch, stream);
    OK(cudaGetLastError());
    CHECK(furthest(read_map((map){sums, STORAGE_FLOAT}, channels), wanted, channels, 1.0) == 0.0);
    OK(cudaFree(sums));
    OK(cudaFree(scratch));
    free(wanted);
    forget(&x);
}

static void moments(const shape *s, storage type)
{
    const size_t channels = (size_t)s->channels;
    array x = whole_numbers(s, type, 2);
    vectors v = new_vectors(s->channels, 0);
    double *scratch = new_scratch(s), *mean = calloc(channels, sizeof *mean);
    double *variance = calloc(channels, sizeof *variance);
    const float zero = 0.0f;
    float *bad = rig_upload(&zero, 1, 0, stream);

    for (size_t i = 0; i < x.count; ++i)
        mean[i % channels] += x.values[i] / (double)s->rows;
    for (size_t i = 0; i < x.count; ++i)
        variance[i % channels] += pow(x.values[i] - mean[i % channels], 2) / s->rows;
    kernel_moments(x.map, s->rows, s->channels, &v.device, scratch, (int32_t *)(void *)bad, stream);
    OK(cudaGetLastError());
    CHECK(furthest(read_map((map){v.device.mean, STORAGE_FLOAT}, channels), mean, channels, 8.0) <
          1e-7);
    CHECK(furthest(read_map((map){v.device.variance, STORAGE_FLOAT}, channels), variance, channels,
                   64.0) < 1e-7);
    CHECK(furthest(read_map((map){bad, STORAGE_FLOAT}, 1), (const double[]){0.0}, 1, 1.0) == 0.0);
    OK(cudaFree(bad));
    OK(cudaFree(scratch));
    free(mean);
    free(variance);
    forget_vectors(&v);
    forget(&x);
}

/* ---------------------------------------------------------------------------- norms ------------
 */

static void normalise(const shape *s, storage type, int32_t relu)
{
    array x = whole_numbers(s, type, 3), y = whole_numbers(s, type, 4);
    vectors v = new_vectors(s->channels, relu);
    double *wanted = malloc(x.count * sizeof *wanted), *scaled = malloc(x.count * sizeof *scaled);

    for (size_t i = 0; i < x.count; ++i) {
        const int32_t c = (int32_t)(i % (size_t)s->channels);

        scaled[i] = x.values[i] * slope_of(&v, c);
        wanted[i] = (x.values[i] - v.host[2][c]) * slope_of(&v, c) + v.host[1][c];
        wanted[i] = relu && wanted[i] < 0.0 ? 0.0 : wanted[i];
    }
    kernel_slope(s->channels, &v.device, stream);
    kernel_normalise(x.map, y.map, s->rows, s->channels, &v.device, stream);
    CHECK(furthest(read_map(y.map, y.count), wanted, y.count, roundings(type, 16.0)) < 1.0);
    kernel_scale_channels(x.map, x.map, s->rows, s->channels, v.device.slope, stream);
    OK(cudaGetLastError());
    CHECK(furthest(read_map(x.map, x.count), scaled, x.count, roundings(type, 16.0)) < 1.0);
    free(wanted);
    free(scaled);
    forget_vectors(&v);
    forget(&x);
    forget(&y);
}

/* relu: y hides part of dy. */
static void backward(const shape *s, storage type, bool relu)
{
    const size_t channels = (size_t)s->channels;
    array dy = whole_numbers(s, type, 5), x = whole_numbers(s, type, 6);
    array y = whole_numbers(s, type, 7), dx = whole_numbers(s, type, 8);
    vectors v = new_vectors(s->channels, relu);
    double *dbeta = calloc(channels, sizeof *dbeta), *dgamma = calloc(channels, sizeof *dgamma);
    double *wanted = malloc(x.count * sizeof *wanted), *scratch = new_scratch(s);
    float *sums[2], *coefficients;

    for (int i = 0; i < 2; ++i)
        OK(cudaMalloc((void **)&sums[i], channels * sizeof(float)));
    OK(cudaMalloc((void **)&coefficients, 4 * channels * sizeof(float)));
    for (size_t i = 0; i < x.count; ++i) {
        const size_t c = i % channels;

        wanted[i] = !relu || y.values[i] > 0.0f ? dy.values[i] : 0.0;
        dbeta[c] += wanted[i];
        dgamma[c] +=
            wanted[i] * (x.values[i] - v.host[2][c]) / v.host[0][c] * slope_of(&v, (int32_t)c);
    }
    for (size_t i = 0; i < x.count; ++i) {
        const size_t c = i % channels;
        const double slope = slope_of(&v, (int32_t)c);

        wanted[i] =
            slope * (wanted[i] - dbeta[c] / s->rows -
                     (x.values[i] - v.host[2][c]) * slope / v.host[0][c] * dgamma[c] / s->rows);
    }
    kernel_norm_backward(dy.map, x.map, relu ? y.map : (map){NULL, type}, dx.map, s->rows,
                         s->channels, &v.device, sums[0], sums[1], scratch, coefficients, stream);
    OK(cudaGetLastError());
    CHECK(furthest(read_map((map){sums[1], STORAGE_FLOAT}, channels), dbeta, channels, 1.0) == 0.0);
    CHECK(furthest(read_map((map){sums[0], STORAGE_FLOAT}, channels), dgamma, channels,
                   64.0 * s->rows) < 1e-6);
    CHECK(furthest(read_map(dx.map, dx.count), wanted, dx.count, roundings(type, 256.0)) < 1.0);
    for (int i = 0; i < 2; ++i)
        OK(cudaFree(sums[i]));
    OK(cudaFree(coefficients));
    OK(cudaFree(scratch));
    free(dbeta);
    free(dgamma);
    free(wanted);
    forget_vectors(&v);
    forget(&dy);
    forget(&x);
    forget(&y);
    forget(&dx);
}

int main(void)
{
    size_t leaks;

    leaks = standin_leaks(NULL);
    stream = rig_stream();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i)
        for (int type = STORAGE_FLOAT; type <= STORAGE_BFLOAT16; ++type) {
            const shape *s = &shapes[i];
            const int before = test_failures;

            channel_sums(s, (storage)type);
            moments(s, (storage)type);
            normalise(s, (storage)type, type == STORAGE_FLOAT);
            backward(s, (storage)type, false);
            backward(s, (storage)type, true);
            if (test_failures > before)
                printf("with %d rows of %d channels from element %d, type %d\n", (int)s->rows,
                       (int)s->channels, (int)s->first, type);
        }
    OK(cudaStreamDestroy(stream));
    CHECK(standin_leaks(stdout) == leaks);
    CHECK(standin_complaints() == 0);
    return test_finish();
}
