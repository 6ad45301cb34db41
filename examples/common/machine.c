/*
 * Measurements of the machine (see machine.h): plain threads that start together, best of several.
 *
 * The multiply-add loop keeps twelve independent sums in registers, enough to hide the latency of
 * two units; the instruction set is chosen at run time.
 */
#include "machine.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { SUMS = 12, ROUNDS = 4000000, ELEMENTS = 8 << 20, TRIES = 5, MOST_THREADS = 256 };

/* Runs `rounds` rounds; *flops is what one round computes. Returns a number that depends on all. */
typedef float (*spin_fn)(int rounds, float start, double *flops);

static float spin_plain(int rounds, float start, double *flops)
{
    float sums[SUMS][4];
    for (int i = 0; i < SUMS * 4; i++)
        sums[i / 4][i % 4] = start + (float)i;
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < SUMS; i++)
            for (int j = 0; j < 4; j++)
                sums[i][j] = sums[i][j] * start + start;
    for (int i = 1; i < SUMS * 4; i++)
        sums[0][0] += sums[i / 4][i % 4];
    *flops = 2.0 * SUMS * 4;
    return sums[0][0];
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static float spin_avx2(int rounds, float start, double *flops)
{
    __m256 sums[SUMS], factor = _mm256_set1_ps(start);
    for (int i = 0; i < SUMS; i++)
        sums[i] = _mm256_set1_ps(start + (float)i);
    for (int round = 0; round < rounds; round++)
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++)
            sums[i] = _mm256_fmadd_ps(sums[i], factor, factor);
    for (int i = 1; i < SUMS; i++)
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    *flops = 2.0 * SUMS * 8;
    return _mm256_cvtss_f32(sums[0]);
}

__attribute__((target("avx512f"))) static float spin_avx512(int rounds, float start, double *flops)
{
    __m512 sums[SUMS], factor = _mm512_set1_ps(start);
    for (int i = 0; i < SUMS; i++)
        sums[i] = _mm512_set1_ps(start + (float)i);
    for (int round = 0; round < rounds; round++)
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++)
            sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
    for (int i = 1; i < SUMS; i++)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    *flops = 2.0 * SUMS * 16;
    return _mm512_cvtss_f32(sums[0]);
}

static spin_fn choose_spin(void)
{
    if (__builtin_cpu_supports("avx512f"))
        return spin_avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? spin_avx2 : spin_plain;
}
#else
static spin_fn choose_spin(void)
{
    return spin_plain;
}
#endif

/* One thread's part of a measurement. */
typedef struct part {
    pthread_t thread;
    pthread_barrier_t *barrier;
    spin_fn spin;         /* NULL: the triad */
    float *a, *b, *c;     /* (ELEMENTS) arrays of the triad */
    double work;          /* floating-point operations or bytes of one try */
    double begin[TRIES];  /* seconds */
    double finish[TRIES]; /* seconds */
    volatile float keep;  /* so that no result is unused */
} part;

static void triad(part *mine)
{
    float *restrict a = mine->a;
    const float *restrict b = mine->b, *restrict c = mine->c, s = mine->keep;
    for (size_t i = 0; i < ELEMENTS; i++)
        a[i] = b[i] + s * c[i];
    mine->work = 12.0 * ELEMENTS;
}

static void *measure(void *argument)
{
    part *mine = argument;
    double flops = 0;
    for (size_t i = 0; mine->a && i < ELEMENTS; i++)
        mine->a[i] = mine->b[i] = mine->c[i] = 1;
    for (int i = 0; i < TRIES; i++) {
        pthread_barrier_wait(mine->barrier);
        mine->begin[i] = cli_seconds();
        if (mine->spin) {
            mine->keep = mine->spin(ROUNDS, 0.5f, &flops);
            mine->work = flops * ROUNDS;
        } else {
            mine->keep = 0.5f;
            triad(mine);
        }
        mine->finish[i] = cli_seconds();
    }
    return NULL;
}

/* Work per second of the best try, each from the first thread's begin to the last one's finish. */
static double best_rate(const part *parts, int count)
{
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double begin = parts[0].begin[i], finish = parts[0].finish[i], work = 0;
        for (int j = 0; j < count; j++) {
            begin = parts[j].begin[i] < begin ? parts[j].begin[i] : begin;
            finish = parts[j].finish[i] > finish ? parts[j].finish[i] : finish;
            work += parts[j].work;
        }
        if (finish > begin && work / (finish - begin) > best)
            best = work / (finish - begin);
    }
    return best;
}

/* Runs measure() on `threads` threads, this one among them. */
static double run(int threads, spin_fn spin)
{
    pthread_barrier_t barrier;
    int count = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    part *parts = cli_allocate((size_t)count, sizeof *parts);
    float *memory = spin ? NULL : cli_allocate((size_t)count * 3 * ELEMENTS, sizeof *memory);
    pthread_barrier_init(&barrier, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        float *mine = memory ? memory + (size_t)i * 3 * ELEMENTS : NULL;
        parts[i].barrier = &barrier;
        parts[i].spin = spin;
        parts[i].a = mine;
        parts[i].b = mine ? mine + ELEMENTS : NULL;
        parts[i].c = mine ? mine + 2 * ELEMENTS : NULL;
        if (i > 0 && pthread_create(&parts[i].thread, NULL, measure, &parts[i])) {
            cli_error("cannot start a thread");
            exit(CLI_USAGE); /* those that were started wait for ever */
        }
    }
    measure(&parts[0]);
    for (int i = 1; i < count; i++)
        pthread_join(parts[i].thread, NULL);
    double rate = best_rate(parts, count);
    pthread_barrier_destroy(&barrier);
    free(memory);
    free(parts);
    return rate;
}

double machine_peak(int threads)
{
    return 1e-9 * run(threads, choose_spin());
}

double machine_bandwidth(int threads)
{
    return 1e-9 * run(threads, NULL);
}

/* The value behind the first line of a /proc file that begins with `name`; false: none. */
static bool find_line(const char *path, const char *name, char *value, size_t room)
{
    char line[256];
    bool found = false;
    FILE *stream = fopen(path, "r");
    while (stream && !found && fgets(line, sizeof line, stream)) {
        char *colon = strchr(line, ':');
        found = colon && strncmp(line, name, strlen(name)) == 0;
        if (!found)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(value, room, "%s", colon + 1 + strspn(colon + 1, " \t"));
    }
    if (stream)
        fclose(stream);
    return found;
}

uint64_t machine_peak_memory(void)
{
    /* Not getrusage(): what that says includes the process that this one was started from. */
    char value[128];
    if (!find_line("/proc/self/status", "VmHWM", value, sizeof value))
        return 0;
    return strtoull(value, NULL, 10) * 1024;
}

const char *machine_processor(char name[128])
{
    if (!find_line("/proc/cpuinfo", "model name", name, 128))
        snprintf(name, 128, "unknown processor");
    return name;
}
