/* wrap: sched_getaffinity pthread_create
 * tier: quick
 * Loaders: batches do not depend on the number of workers or on what was loaded before; photos that
 * cannot be read are named or left out; a loader ends at any moment and holds no more than it may.
 */
#define _GNU_SOURCE /* cpu_set_t */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "check.h"
#include "data/photos.h"

enum { PHOTOS = 11, BATCH = 3, CROP = 32, FLOATS = 3 * CROP * CROP };

static const char *const files[] = {"baseline.jpg", "progressive.jpg", "exif_6.jpg", "rgba8.png"};
static char table[256], broken[256];

/* A table of photos that are there; with `broken` two more that are not. */
static void write_table(const char *path, bool with_broken)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    fputs("path,gender,race,score\n", file);
    for (int i = 0; i < PHOTOS; ++i) {
        if (with_broken && (i == 4 || i == 7))
            fprintf(file, "%s/no-such-%d.jpg,a,x,1\n", "/nowhere", i);
        fprintf(file, "%s/tests/data/images/%s,%s,%s,%d\n", HMT_SOURCE_DIR, files[i % 4],
                i % 2 ? "a" : "b",
                i % 3 == 0   ? ""
                : i % 3 == 1 ? "x"
                             : "y",
                i);
    }
    fclose(file);
}

static hmt_dataset *read_table(const char *path)
{
    hmt_dataset *set = NULL;

    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, NULL, &set), HMT_OK);
    return set;
}

static hmt_augment_options small(void)
{
    hmt_augment_options o = HMT_AUGMENT_OPTIONS_INIT;

    o.resize = CROP + 4;
    o.crop_size = CROP;
    return o;
}

static hmt_loader *make(const hmt_dataset *set, hmt_loader_options *o)
{
    static hmt_augment_options augment;
    hmt_loader *loader = NULL;

    augment = small();
    o->batch = BATCH;
    o->augment = &augment;
    CHECK_STATUS(hmt_loader_create(NULL, set, o, &loader), HMT_OK);
    return loader;
}

/* Everything that an epoch gave, as one number, and how many images. */
typedef struct digest {
    uint64_t hash;
    size_t images;
} digest;

static void add(digest *d, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;

    for (size_t i = 0; i < size; ++i)
        d->hash = (d->hash ^ b[i]) * 1099511628211u;
}

static void add_batch(digest *d, const hmt_batch *batch, const size_t *samples)
{
    add(d, batch->images, batch->count * FLOATS * sizeof(float));
    add(d, batch->gender, batch->count * sizeof *batch->gender);
    add(d, batch->race, batch->count * sizeof *batch->race);
    add(d, batch->score, batch->count * sizeof *batch->score);
    add(d, samples, batch->count * sizeof *samples);
    d->images += batch->count;
}

static digest take_epoch(hmt_loader *loader)
{
    digest d = {14695981039346656037u, 0};
    hmt_batch batch = HMT_BATCH_INIT;
    const size_t *samples;

    for (;;) {
        CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
        if (batch.count == 0)
            return d;
        add_batch(&d, &batch, samples);
    }
}

static void workers_do_not_matter(const hmt_dataset *set)
{
    digest first[3] = {{0, 0}};

    for (int workers = 1; workers <= 4; ++workers)
        for (int keep = 0; keep < 2; ++keep) {
            hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
            hmt_loader *loader;

            o.shuffle = 1;
            o.workers = workers;
            o.seed = 5;
            o.keep_bytes = keep ? 20000 : 0; /* room for some */
            loader = make(set, &o);
            CHECK(hmt_loader_batches(loader) == 4);
            for (int epoch = 0; epoch < 3; ++epoch) {
                digest d = take_epoch(loader);

                if (workers == 1 && !keep)
                    first[epoch] = d;
                CHECK(d.images == PHOTOS && d.hash == first[epoch].hash);
            }
            hmt_loader_free(loader);
        }
    CHECK(first[0].hash != first[1].hash && first[1].hash != first[2].hash);
}

/* As many batches as are lent keep their values while the workers go on, also over the end of an
 * epoch, and the batches are those that a loader with one at a time gives. */
static void lent_batches_stay(const hmt_dataset *set)
{
    for (int lend = 1; lend <= 3; ++lend) {
        hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
        hmt_batch held[3] = {HMT_BATCH_INIT, HMT_BATCH_INIT, HMT_BATCH_INIT};
        digest before[3] = {{0, 0}}, plain = {0, 0}, lent = {0, 0};
        hmt_loader *loader;
        const size_t *samples[3];

        o.workers = 3;
        o.ahead_bytes = 1; /* as few buffers as can be */
        o.shuffle = 1;
        loader = make(set, &o);
        for (int epoch = 0; epoch < 2; ++epoch)
            plain.hash ^= take_epoch(loader).hash + (uint64_t)epoch;
        hmt_loader_free(loader);
        o.lend = lend;
        loader = make(set, &o);
        for (int epoch = 0, n = 0; epoch < 2; ++epoch) {
            digest d = {14695981039346656037u, 0};

            for (;; ++n) {
                const int at = n % lend;

                CHECK_STATUS(hmt_loader_next(loader, &held[at], &samples[at]), HMT_OK);
                if (held[at].count == 0)
                    break;
                add_batch(&d, &held[at], samples[at]);
                before[at] = (digest){1, 0};
                add_batch(&before[at], &held[at], samples[at]);
                usleep(2000); /* for workers that would overwrite what is lent */
                for (int k = 0; k < lend && k <= n; ++k) {
                    digest now = {1, 0};

                    if (held[k].count > 0)
                        add_batch(&now, &held[k], samples[k]);
                    CHECK(held[k].count == 0 || now.hash == before[k].hash);
                }
            }
            lent.hash ^= d.hash + (uint64_t)epoch;
        }
        CHECK(plain.hash == lent.hash);
        hmt_loader_free(loader);
    }
}

/* In the same place of two epochs the same photo is augmented in two ways. */
static void epochs_augment_anew(const hmt_dataset *set)
{
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_loader *loader = make(set, &o);
    digest a = take_epoch(loader), b = take_epoch(loader);

    CHECK(a.hash != b.hash);
    CHECK_STATUS(hmt_loader_seek(loader, 0, 0), HMT_OK);
    CHECK(take_epoch(loader).hash == a.hash);
    hmt_loader_free(loader);
}

/* What is kept stays within its bound, and is used. */
static void no_more_is_kept_than_may_be(const hmt_dataset *set)
{
    static float tensor[FLOATS];
    const hmt_augment_options augment = small();
    const uint64_t bound = 3 * (CROP + 4) * (CROP + 12) * 2;
    photos p = {.dataset = set, .augment = &augment, .decode = HMT_DECODE_OPTIONS_INIT};
    size_t kept = 0;

    CHECK_STATUS(photos_open(&p, bound), HMT_OK);
    for (size_t i = 0; i < PHOTOS; ++i)
        CHECK_STATUS(photos_tensor(&p, i, 1, tensor), HMT_OK);
    for (size_t i = 0; i < PHOTOS; ++i)
        kept += p.kept[i].data != NULL;
    CHECK(p.bytes > 0 && p.bytes <= bound && kept >= 1 && kept <= 2);
    photos_close(&p);
}

static int count_calls(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)what, (void)done, (void)total;
    return ++*(int *)user;
}

/* Its workers decode with the options given, and never call the host's progress callback. */
static void decoding_has_its_limits(const hmt_dataset *set)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_decode_options decoding = HMT_DECODE_OPTIONS_INIT;
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_context *context = NULL;
    hmt_loader *loader = NULL;
    int calls = 0;

    about.backend = "reference";
    about.progress = count_calls;
    about.progress_user = &calls;
    CHECK_STATUS(hmt_context_create(&about, &context), HMT_OK);
    o.batch = BATCH;
    o.decode = &decoding;
    decoding.max_pixels = 10;
    CHECK_STATUS(hmt_loader_create(context, set, &o, &loader), HMT_OK);
    decoding.max_pixels = 0; /* copied */
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "max_pixels, 10:") != NULL);
    hmt_loader_free(loader);
    CHECK_STATUS(hmt_loader_create(context, set, &o, &loader), HMT_OK);
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
    CHECK(calls == 0);
    hmt_loader_free(loader);
    decoding.min_side = -1;
    CHECK_STATUS(hmt_loader_create(context, set, &o, &loader), HMT_ERROR_ARGUMENT);
    hmt_context_free(context);
}

static void seeking_is_going_through(const hmt_dataset *set)
{
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    const size_t *samples;
    digest through[8], d;
    hmt_loader *loader;

    o.shuffle = 1;
    o.workers = 2;
    loader = make(set, &o);
    for (int i = 0; i < 8; ++i) { /* two epochs of four batches */
        through[i] = (digest){1, 0};
        CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
        add_batch(&through[i], &batch, samples);
        if (i % 4 == 3) {
            CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
            CHECK(batch.count == 0);
        }
    }
    for (int i = 7; i >= 0; i -= 2) {
        d = (digest){1, 0};
        CHECK_STATUS(hmt_loader_seek(loader, (uint64_t)i / 4, (uint64_t)i % 4), HMT_OK);
        CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
        add_batch(&d, &batch, samples);
        CHECK(d.hash == through[i].hash);
    }
    CHECK_STATUS(hmt_loader_seek(loader, 0, 4), HMT_OK); /* the end of the first epoch */
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
    CHECK(batch.count == 0);
    d = (digest){1, 0};
    CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
    add_batch(&d, &batch, samples);
    CHECK(d.hash == through[4].hash);
    CHECK_STATUS(hmt_loader_seek(loader, 0, 5), HMT_ERROR_ARGUMENT);
    hmt_loader_free(loader);
}

/* Each sample once in an epoch, whole batches only, a list in its own order. */
static void every_sample_comes_once(const hmt_dataset *set)
{
    static const size_t chosen[] = {9, 2, 4, 4, 0};
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    int seen[PHOTOS] = {0}, at = 0;
    const size_t *samples;
    hmt_loader *loader;

    o.shuffle = 1;
    loader = make(set, &o);
    while (hmt_loader_next(loader, &batch, &samples) == HMT_OK && batch.count > 0)
        for (size_t i = 0; i < batch.count; ++i) {
            hmt_sample sample = HMT_SAMPLE_INIT;

            ++seen[samples[i]];
            CHECK_STATUS(hmt_dataset_sample(set, samples[i], &sample), HMT_OK);
            CHECK(sample.gender == batch.gender[i] && sample.race == batch.race[i] &&
                  sample.score == batch.score[i]);
        }
    for (int i = 0; i < PHOTOS; ++i)
        CHECK(seen[i] == 1);
    hmt_loader_free(loader);
    o = (hmt_loader_options)HMT_LOADER_OPTIONS_INIT;
    o.indices = chosen;
    o.index_count = 5;
    o.drop_last = 1;
    loader = make(set, &o);
    CHECK(hmt_loader_batches(loader) == 1);
    CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
    for (size_t i = 0; i < batch.count; ++i)
        CHECK(samples[i] == chosen[at++]);
    CHECK(at == 3);
    CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
    CHECK(batch.count == 0);
    hmt_loader_free(loader);
}

typedef struct notes {
    pthread_mutex_t lock;
    int count;
    char last[512];
} notes;

static void note(void *user, hmt_log_level level, const char *message)
{
    notes *n = user;

    pthread_mutex_lock(&n->lock);
    n->count += level == HMT_LOG_WARNING;
    snprintf(n->last, sizeof n->last, "%s", message);
    pthread_mutex_unlock(&n->lock);
}

static void what_cannot_be_read_is_named_or_left_out(void)
{
    hmt_dataset *set = read_table(broken);
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    notes n = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmt_context *context = NULL;
    char where[300];

    snprintf(where, sizeof where, "%s:6: ", broken);
    about.log = note;
    about.log_user = &n;
    CHECK_STATUS(hmt_context_create(&about, &context), HMT_OK);
    for (int mode = 0; mode < 3; ++mode) { /* stop; left out, in order; left out, shuffled */
        hmt_augment_options augment = small();
        hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
        hmt_batch batch = HMT_BATCH_INIT;
        const size_t *samples;
        hmt_loader *loader = NULL;
        size_t images = 0, black = 0, missing = 0;

        o.batch = 4;
        o.augment = &augment;
        o.workers = 3;
        o.skip_bad = mode > 0;
        o.shuffle = mode == 2;
        n.count = 0;
        CHECK_STATUS(hmt_loader_create(context, set, &o, &loader), HMT_OK);
        if (mode == 0) {
            CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
            CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_ERROR_NOT_FOUND);
            CHECK(strstr(hmt_last_error(), where) != NULL &&
                  strstr(hmt_last_error(), "no-such-4.jpg") != NULL);
            CHECK(n.count == 0);
        }
        for (int epoch = 0; mode > 0 && epoch < 2; ++epoch)
            while (hmt_loader_next(loader, &batch, &samples) == HMT_OK && batch.count > 0)
                for (size_t i = 0; i < batch.count; ++i, ++images) {
                    black += isnan(batch.score[i]) && batch.gender[i] < 0 &&
                             batch.images[i * FLOATS] == 0.0f;
                    missing += samples[i] == 4 || samples[i] == 8;
                }
        if (mode > 0) {
            CHECK(images == 2 * (PHOTOS + 2) && n.count == 2);
            CHECK(black == (mode == 1 ? 4 : 0) && missing == (mode == 1 ? 4 : 0));
            CHECK(strstr(n.last, "no-such-") != NULL);
        }
        hmt_loader_free(loader);
    }
    hmt_context_free(context);
    hmt_dataset_free(set);
}

/* An allocator that counts, and fails when told to. */
typedef struct counter {
    pthread_mutex_t lock;
    size_t live, most, calls, fail_at;
} counter;

static void *count_allocate(void *user, size_t size, size_t alignment)
{
    counter *c = user;
    size_t *block = NULL;
    bool fails;

    pthread_mutex_lock(&c->lock);
    fails = ++c->calls == c->fail_at;
    if (!fails) {
        c->live += size;
        c->most = c->live > c->most ? c->live : c->most;
    }
    pthread_mutex_unlock(&c->lock);
    if (fails || posix_memalign((void **)&block, alignment < 64 ? 64 : alignment, size + 64) != 0)
        return NULL;
    *block = size;
    return (char *)block + 64;
}

static void count_release(void *user, void *pointer)
{
    counter *c = user;
    size_t *block = (size_t *)(void *)((char *)pointer - 64);

    pthread_mutex_lock(&c->lock);
    c->live -= *block;
    pthread_mutex_unlock(&c->lock);
    free(block);
}

static hmt_context *counting(counter *c)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    about.backend = "reference";
    about.allocator = (hmt_allocator){count_allocate, count_release, c};
    CHECK_STATUS(hmt_context_create(&about, &context), HMT_OK);
    return context;
}

static void memory_stays_within_its_bounds(const hmt_dataset *set)
{
    counter c = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hmt_context *context = counting(&c);
    hmt_augment_options augment = small();
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_loader *loader = NULL;
    size_t before = c.live, held;

    o.batch = BATCH;
    o.augment = &augment;
    o.workers = 2;
    o.ahead_bytes = 1; /* two batches all the same */
    o.keep_bytes = 3 * (CROP + 4) * (CROP + 4) * 2;
    CHECK_STATUS(hmt_loader_create(context, set, &o, &loader), HMT_OK);
    for (int epoch = 0; epoch < 3; ++epoch)
        CHECK(take_epoch(loader).images == PHOTOS);
    pthread_mutex_lock(&c.lock);
    held = c.live - before;
    pthread_mutex_unlock(&c.lock);
    /* Two batches, what is kept, and at most a few photos in the workers' hands. */
    CHECK(held < 2 * BATCH * FLOATS * sizeof(float) + o.keep_bytes + 2 * 2000000);
    hmt_loader_free(loader);
    CHECK(c.live == before);
    hmt_context_free(context);
    CHECK(c.live == 0);
}

/* The first allocations are those of creation, the rest those of the workers. */
static void failing_allocations_are_reported(const hmt_dataset *set)
{
    int refused = 0, reported[2] = {0, 0};

    for (size_t fail_at = 1; fail_at < 120; ++fail_at) {
        counter c = {.lock = PTHREAD_MUTEX_INITIALIZER};
        hmt_context *context = counting(&c);
        hmt_augment_options augment = small();
        hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
        hmt_batch batch = HMT_BATCH_INIT;
        hmt_loader *loader = NULL;
        hmt_status status;

        o.batch = BATCH;
        o.augment = &augment;
        o.workers = 1;
        o.keep_bytes = 10000;
        o.skip_bad = fail_at % 2; /* a lack of memory makes no photo bad */
        c.fail_at = c.calls + fail_at;
        status = hmt_loader_create(context, set, &o, &loader);
        CHECK(status == HMT_OK || status == HMT_ERROR_MEMORY);
        refused += status != HMT_OK;
        for (int i = 0; status == HMT_OK && i < 4; ++i)
            status = hmt_loader_next(loader, &batch, NULL);
        reported[o.skip_bad] += loader != NULL && status == HMT_ERROR_MEMORY;
        CHECK(status == HMT_OK || status == HMT_ERROR_MEMORY);
        hmt_loader_free(loader);
        hmt_context_free(context);
        CHECK(c.live == 0);
    }
    CHECK(refused > 5 && reported[0] > 10 && reported[1] > 10);
}

static void it_ends_at_any_moment(const hmt_dataset *set)
{
    for (int i = 0; i < 60; ++i) {
        hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
        hmt_batch batch = HMT_BATCH_INIT;
        hmt_loader *loader;

        o.workers = 1 + i % 4;
        o.shuffle = i & 1;
        loader = make(set, &o);
        for (int k = 0; k < i % 7; ++k)
            CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
        if (i % 5 == 0)
            CHECK_STATUS(hmt_loader_seek(loader, 3, 1), HMT_OK);
        hmt_loader_free(loader);
    }
}

static pthread_t handled_by;
static volatile sig_atomic_t handled;

static void handle(int number)
{
    (void)number;
    handled_by = pthread_self();
    handled = 1;
}

/* While this thread blocks a signal, no worker may take it. */
static void signals_are_left_to_the_host(const hmt_dataset *set)
{
    struct sigaction action, before;
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    sigset_t one;
    hmt_loader *loader;

    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    sigaction(SIGUSR1, &action, &before);
    o.workers = 3;
    loader = make(set, &o);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &one, NULL);
    kill(getpid(), SIGUSR1);
    CHECK(take_epoch(loader).images == PHOTOS);
    CHECK(!handled);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    CHECK(handled && pthread_equal(handled_by, pthread_self()));
    hmt_loader_free(loader);
    sigaction(SIGUSR1, &before, NULL);
}

/* Processors that the process may run on; 0: those that it may. */
static int allowed;

int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (allowed == 0)
        return __real_sched_getaffinity(pid, size, set);
    memset(set, 0, size);
    for (int i = 0; i < allowed; ++i)
        CPU_SET(i, set);
    return 0;
}

/* Threads started so far. */
static int started;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *user);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *user);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *user)
{
    ++started;
    return __real_pthread_create(thread, how, run, user);
}

static void as_many_workers_as_processors_allow(const hmt_dataset *set)
{
    static const struct {
        int allowed, workers;
    } cases[] = {{1, 1}, {4, 1}, {5, 2}, {64, 16}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
        const int before = started;
        hmt_loader *loader;

        allowed = cases[i].allowed;
        loader = make(set, &o);
        allowed = 0;
        CHECK(started - before == cases[i].workers);
        hmt_loader_free(loader);
    }
}

static void wrong_options_are_refused(const hmt_dataset *set)
{
    static const size_t stranger = PHOTOS;
    hmt_preprocess_options five = HMT_PREPROCESS_OPTIONS_INIT;
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_loader *loader = NULL;

    o.batch = 0;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_ERROR_ARGUMENT);
    o.batch = PHOTOS + 1;
    o.drop_last = 1;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_ERROR_ARGUMENT);
    o = (hmt_loader_options)HMT_LOADER_OPTIONS_INIT;
    o.indices = &stranger;
    o.index_count = 1;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_ERROR_ARGUMENT);
    o = (hmt_loader_options)HMT_LOADER_OPTIONS_INIT;
    five.crop = HMT_CROP_FIVE;
    o.preprocess = &five;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_ERROR_ARGUMENT);
    o = (hmt_loader_options)HMT_LOADER_OPTIONS_INIT;
    o.workers = -1;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_ERROR_ARGUMENT);
    o = (hmt_loader_options)HMT_LOADER_OPTIONS_INIT;
    for (o.lend = -1; o.lend <= 9; o.lend += 10)
        CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_ERROR_ARGUMENT);
    CHECK(loader == NULL && hmt_loader_batches(NULL) == 0);
    hmt_loader_free(NULL);
}

int main(void)
{
    hmt_dataset *set;

    snprintf(table, sizeof table, "/tmp/hmtnet-loader-%ld.csv", (long)getpid());
    snprintf(broken, sizeof broken, "/tmp/hmtnet-loader-%ld-broken.csv", (long)getpid());
    write_table(table, false);
    write_table(broken, true);
    set = read_table(table);
    workers_do_not_matter(set);
    epochs_augment_anew(set);
    lent_batches_stay(set);
    no_more_is_kept_than_may_be(set);
    decoding_has_its_limits(set);
    seeking_is_going_through(set);
    every_sample_comes_once(set);
    what_cannot_be_read_is_named_or_left_out();
    memory_stays_within_its_bounds(set);
    failing_allocations_are_reported(set);
    it_ends_at_any_moment(set);
    signals_are_left_to_the_host(set);
    as_many_workers_as_processors_allow(set);
    wrong_options_are_refused(set);
    hmt_dataset_free(set);
    remove(table);
    remove(broken);
    return test_finish();
}
