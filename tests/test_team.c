/* tier: quick
 * The CPU backend's team of threads: all work is shared out once, barriers hold, waiting costs no
 * processor time, a child after fork() works alone, threads that do not start are a status.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "onednn/team.h"

enum { ITEMS = 1003, ROUNDS = 300, LEAST = 8, MOST = 96 };

static char sentence[256];

static void *allocate(void *user, size_t size, size_t alignment)
{
    void *block = NULL;

    (void)user;
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

static hmt_status fail(hmt_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return status;
}

typedef struct work {
    int32_t members;
    atomic_int taken[ITEMS], less[ITEMS], shared[ITEMS], first;
    int before[64]; /* written by each member, read by all behind a barrier */
    atomic_int wrong;
} work;

static void job(void *user, const member *m)
{
    work *w = user;
    span part;

    for (int round = 0; round < ROUNDS; ++round) {
        while (team_take(m, ITEMS, 7, &part))
            for (int64_t i = part.from; i < part.to; ++i)
                ++w->taken[i];
        if (team_first(m))
            ++w->first;
        w->before[m->index] = round + 1;
        team_barrier(m);
        for (int32_t i = 0; i < w->members; ++i)
            w->wrong += w->before[i] != round + 1;
        part = team_share(m, ITEMS);
        for (int64_t i = part.from; i < part.to; ++i)
            ++w->shared[i];
        while (team_take_less(m, ITEMS, LEAST, MOST, &part)) {
            w->wrong += part.from % LEAST != 0 || part.to > ITEMS || part.to - part.from > MOST ||
                        (part.to % LEAST != 0 && part.to != ITEMS);
            for (int64_t i = part.from; i < part.to; ++i)
                ++w->less[i];
        }
        team_barrier(m);
    }
}

/* The first piece is as large as it may be, and the last as small. */
static void become_less(void *user, const member *m)
{
    int *failed = user;
    span part = {0, 0}, last = {0, ITEMS};
    int pieces = 0;

    for (; team_take_less(m, ITEMS, LEAST, MOST, &part); ++pieces) {
        *failed += part.to - part.from > last.to - last.from;
        *failed += pieces == 0 && part.to - part.from != MOST;
        last = part;
    }
    *failed += last.to != ITEMS || last.to - last.from > LEAST || pieces < ITEMS / MOST + 2;
}

static void expect_all(const work *w, int times)
{
    for (int i = 0; i < ITEMS; ++i)
        CHECK(w->taken[i] == times && w->less[i] == times && w->shared[i] == times);
    CHECK(w->first == times && w->wrong == 0);
}

static void shares(const hmt_host *host, int32_t members)
{
    static work w;
    team *t = NULL;
    int failed = 0;

    CHECK_STATUS(team_create(host, &t), HMT_OK);
    memset(&w, 0, sizeof w);
    w.members = members;
    team_run(t, job, &w);
    team_run(t, job, &w);
    expect_all(&w, 2 * ROUNDS);
    memset(&w, 0, sizeof w);
    w.members = 1;
    team_run_alone(job, &w);
    expect_all(&w, ROUNDS);
    team_run_alone(become_less, &failed);
    CHECK(failed == 0);
    team_free(t);
}

static double processor_time(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void sleep_long(void *user, const member *m)
{
    (void)user;
    if (m->index == 0)
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    team_barrier(m);
}

/* Seven members wait for one that sleeps, and for the next job. */
static void waiting_is_asleep(const hmt_host *host)
{
    team *t = NULL;
    double before;

    CHECK_STATUS(team_create(host, &t), HMT_OK);
    before = processor_time();
    team_run(t, sleep_long, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    CHECK(processor_time() - before < 0.1);
    team_free(t);
}

static void child_is_alone(const hmt_host *host)
{
    static work w;
    team *t = NULL;
    int status = 0;
    pid_t child;

    CHECK_STATUS(team_create(host, &t), HMT_OK);
    w.members = 1;
    child = fork();
    if (child == 0) {
        alarm(60);
        team_run(t, job, &w);
        team_free(t);
        _exit(w.first == ROUNDS && w.wrong == 0 ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    team_free(t);
}

static void blocks_signals(void *user, const member *m)
{
    sigset_t blocked;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (m->index > 0 && !sigismember(&blocked, SIGTERM))
        ++*(atomic_int *)user;
}

static void signals_stay_with_the_host(const hmt_host *host)
{
    atomic_int wrong = 0;
    team *t = NULL;

    CHECK_STATUS(team_create(host, &t), HMT_OK);
    team_run(t, blocks_signals, &wrong);
    CHECK(wrong == 0);
    team_free(t);
}

/* Some of the threads start; those are stopped again. */
static void too_many_threads(hmt_host *host)
{
    struct rlimit before, few;
    team *t = NULL;

    host->threads = 4096;
    getrlimit(RLIMIT_AS, &before);
    few = before;
    few.rlim_cur = (rlim_t)512 << 20;
    if (setrlimit(RLIMIT_AS, &few) != 0)
        return;
    CHECK_STATUS(team_create(host, &t), HMT_ERROR_MEMORY);
    CHECK(t == NULL && strstr(sentence, "cannot start thread ") != NULL);
    setrlimit(RLIMIT_AS, &before);
}

int main(void)
{
    hmt_host host = {.allocator = {.allocate = allocate, .release = release}, .fail = fail};

    for (int32_t threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
        host.threads = threads;
        shares(&host, threads);
    }
    waiting_is_asleep(&host);
    signals_stay_with_the_host(&host);
    child_is_alone(&host);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    too_many_threads(&host);
#else
    (void)too_many_threads; /* sanitizers need more address space than the limit */
#endif
    return test_finish();
}
