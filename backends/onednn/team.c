/*
 * A team of threads; see team.h. One barrier does everything: workers wait in it for a job, all
 * meet in it during the job, and the caller waits in it for the job's end.
 */
#include "team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/float_mode.h"
#include "core/owner.h"

/* Nanoseconds that an executor's first task waits for the others: less each time in vain. */
enum { LONGEST_WAIT = 1000000, SHORTEST_WAIT = 20000 };

/* Looks at the barrier before a member sleeps: some 20 microseconds. No function here needs more
 * stack than the build allows (CMakeLists.txt); the rest is for sanitizers. */
enum { SPINS = 1000, STACK_BYTES = 1 << 18 };

struct team {
    const hmt_host *host;
    atomic_int threads; /* fewer once one has not started */
    int stop;
    team_job *job;
    void *user;
    owner owner;
    pthread_t *handles;
    member *members;
    int32_t started; /* threads besides the caller's */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the generation has */
    /* Of a host's executor, under the lock: tasks that are members, whether more may become one,
     * and how long the first waits for them. */
    pthread_cond_t gathered;
    int32_t joined;
    int closed;
    long patience;
    _Alignas(64) atomic_llong taken;
    atomic_int asked;
    _Alignas(64) atomic_int arrived;
    atomic_uint generation;
    atomic_int sleepers;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Until the barrier's generation is another. A sleeper is counted before it looks once more, and
 * the generation changes before sleepers are counted: one of both sees the other. */
static void wait(team *t, unsigned generation)
{
    for (int i = 0; i < SPINS; ++i) {
        if (atomic_load_explicit(&t->generation, memory_order_acquire) != generation)
            return;
        relax();
    }
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleepers, 1);
    while (atomic_load(&t->generation) == generation)
        pthread_cond_wait(&t->changed, &t->lock);
    atomic_fetch_sub(&t->sleepers, 1);
    pthread_mutex_unlock(&t->lock);
}

void team_barrier(const member *m)
{
    team *t = m->team;
    const unsigned generation = atomic_load_explicit(&t->generation, memory_order_relaxed);

    if (atomic_fetch_add(&t->arrived, 1) < t->threads - 1) {
        wait(t, generation);
        return;
    }
    atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&t->taken, 0, memory_order_relaxed);
    atomic_store_explicit(&t->asked, 0, memory_order_relaxed);
    atomic_store(&t->generation, generation + 1);
    if (atomic_load(&t->sleepers) > 0) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
    }
}

span team_share(const member *m, int64_t count)
{
    const int64_t threads = m->team->threads, whole = count / threads, rest = count % threads;
    const int64_t from = m->index * whole + (m->index < rest ? m->index : rest);

    return (span){from, from + whole + (m->index < rest)};
}

int team_take(const member *m, int64_t count, int64_t grain, span *next)
{
    next->from = atomic_fetch_add_explicit(&m->team->taken, grain, memory_order_relaxed);
    next->to = count - next->from < grain ? count : next->from + grain;
    return next->from < count;
}

int team_take_less(const member *m, int64_t count, int64_t least, int64_t most, span *next)
{
    const int64_t parts = 2 * m->team->threads;
    long long from = atomic_load_explicit(&m->team->taken, memory_order_relaxed);

    while (from < count) {
        const int64_t share = (count - from) / parts / least * least;
        const int64_t grain = share < least ? least : share < most ? share : most;

        next->from = from;
        next->to = count - from < grain ? count : from + grain;
        if (atomic_compare_exchange_weak_explicit(&m->team->taken, &from, next->to,
                                                  memory_order_relaxed, memory_order_relaxed))
            return 1;
    }
    return 0;
}

int team_first(const member *m)
{
    return atomic_exchange_explicit(&m->team->asked, 1, memory_order_relaxed) == 0;
}

/* ---- on a host's executor: whichever tasks run at once are the members ---- */

static void close_gate(team *t)
{
    t->closed = 1;
    t->threads = t->joined;
    t->patience = t->joined == t->host->threads     ? LONGEST_WAIT
                  : t->patience / 2 > SHORTEST_WAIT ? t->patience / 2
                                                    : SHORTEST_WAIT;
    pthread_cond_broadcast(&t->gathered);
}

static struct timespec from_now(long nanoseconds)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += nanoseconds;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* Makes the caller a member; NULL if the others have begun. */
static const member *join(team *t)
{
    struct timespec end;
    const member *m = NULL;

    pthread_mutex_lock(&t->lock);
    end = from_now(t->patience);
    if (!t->closed) {
        m = &t->members[t->joined++];
        if (t->joined == t->host->threads)
            close_gate(t);
        while (!t->closed && m->index > 0)
            pthread_cond_wait(&t->gathered, &t->lock);
        while (!t->closed)
            if (pthread_cond_timedwait(&t->gathered, &t->lock, &end) != 0 && !t->closed)
                close_gate(t);
    }
    pthread_mutex_unlock(&t->lock);
    return m;
}

static void execute(void *user, int32_t index)
{
    FLOAT_MODE_DEFAULT; /* not that of the pool's thread */
    team *t = user;
    const member *m = join(t);

    (void)index;
    if (m != NULL)
        t->job(t->user, m);
}

static void run_on_executor(team *t)
{
    const hmt_executor *executor = &t->host->executor;

    t->joined = t->closed = 0;
    atomic_store_explicit(&t->taken, 0, memory_order_relaxed);
    atomic_store_explicit(&t->asked, 0, memory_order_relaxed);
    executor->run(executor->user, t->host->threads, execute, t);
    if (t->joined == 0) /* it ran nothing */
        team_run_alone(t->job, t->user);
}

static int init_waiting(team *t)
{
    pthread_condattr_t monotonic;
    int error = pthread_condattr_init(&monotonic);

    if (error == 0) {
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        error = pthread_cond_init(&t->gathered, &monotonic);
        pthread_condattr_destroy(&monotonic);
    }
    return error == 0 && pthread_cond_init(&t->changed, NULL) == 0 &&
           pthread_mutex_init(&t->lock, NULL) == 0;
}

static void *work(void *user)
{
    FLOAT_MODE_DEFAULT; /* not that of the thread that made this one */
    const member *m = user;

    for (;;) {
        team_barrier(m); /* for a job */
        if (m->team->stop)
            return NULL;
        m->team->job(m->team->user, m);
        team_barrier(m);
    }
}

/* Threads that the host's signals do not reach. */
static hmt_status start(team *t)
{
    const int32_t wanted = t->threads - 1;
    pthread_attr_t attributes;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);

    if (error == 0) {
        (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        for (; t->started < wanted && error == 0; t->started += error == 0)
            error = pthread_create(&t->handles[t->started], &attributes, work,
                                   &t->members[t->started + 1]);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    if (error == 0)
        return HMT_OK;
    t->threads = t->started + 1; /* so that those which have started can be stopped */
    return t->host->fail(HMT_ERROR_MEMORY, "cannot start thread %d of %d: %s", (int)t->started + 2,
                         (int)wanted + 1, strerror(error));
}

hmt_status team_create(const hmt_host *host, team **out)
{
    const size_t count = (size_t)host->threads;
    const size_t bytes = sizeof(team) + count * (sizeof(member) + sizeof(pthread_t));
    team *t;
    void *block = host->allocator.allocate(host->allocator.user, bytes, _Alignof(team));
    hmt_status status;

    if (block == NULL)
        return host->fail(HMT_ERROR_MEMORY, "out of memory: %llu bytes for a team",
                          (unsigned long long)bytes);
    t = memset(block, 0, bytes);
    t->host = host;
    t->threads = host->threads;
    owner_take(&t->owner);
    t->handles = (pthread_t *)(void *)(t + 1);
    t->members = (member *)(void *)(t->handles + count);
    for (size_t i = 0; i < count; ++i)
        t->members[i] = (member){t, (int32_t)i};
    t->patience = LONGEST_WAIT;
    if (!init_waiting(t)) {
        owner_release(&t->owner);
        host->allocator.release(host->allocator.user, t);
        return host->fail(HMT_ERROR_MEMORY, "cannot make a mutex for a team");
    }
    status = host->executor.run != NULL ? HMT_OK : start(t);
    if (status == HMT_OK)
        *out = t;
    else
        team_free(t);
    return status;
}

void team_free(team *t)
{
    if (t == NULL)
        return;
    if (owner_is_here(&t->owner)) {
        t->stop = 1;
        if (t->started > 0)
            team_barrier(&t->members[0]);
        for (int32_t i = 0; i < t->started; ++i)
            pthread_join(t->handles[i], NULL);
        pthread_cond_destroy(&t->changed);
        pthread_cond_destroy(&t->gathered);
        pthread_mutex_destroy(&t->lock);
    }
    owner_release(&t->owner);
    t->host->allocator.release(t->host->allocator.user, t);
}

void team_run_alone(team_job *job, void *user)
{
    team alone = {.threads = 1}; /* nobody waits: no lock is needed */

    job(user, &(member){&alone, 0});
}

void team_run(team *t, team_job *job, void *user)
{
    if (t->host->threads == 1 || !owner_is_here(&t->owner)) {
        team_run_alone(job, user);
        return;
    }
    t->job = job;
    t->user = user;
    if (t->host->executor.run != NULL) {
        run_on_executor(t);
        return;
    }
    team_barrier(&t->members[0]);
    job(user, &t->members[0]);
    team_barrier(&t->members[0]);
}
