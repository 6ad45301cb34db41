/* tier: quick
 * Forked children: sessions, trainers and loaders that they inherit work with one thread, new ones
 * with all, nothing waits for a thread that is not there; likewise in a child that is process 1 of
 * a new PID namespace, made by a parent that is process 1 of its own.
 */
#define _GNU_SOURCE /* unshare */
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "hmtnet/data.h"

enum { IMAGE = 3 * 224 * 224, BATCH = 2, SECONDS = 60 };

static float images[BATCH * IMAGE];

/* What a process has. */
typedef struct things {
    hmt_context *context;
    hmt_model *model;
    hmt_model *trained;
    hmt_session *session, *explainer;
    hmt_trainer *trainer;
    hmt_dataset *faces;
    hmt_loader *loader;
} things;

static void make(things *t, double width)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_session_options s = HMT_SESSION_OPTIONS_INIT;
    hmt_trainer_options r = HMT_TRAINER_OPTIONS_INIT;
    hmt_loader_options l = HMT_LOADER_OPTIONS_INIT;
    hmt_model_config config;

    memset(t, 0, sizeof *t);
    o.backend = "onednn";
    o.threads = 2;
    hmt_model_config_init(&config);
    config.width = width;
    s.batch = r.batch = BATCH;
    CHECK_STATUS(hmt_context_create(&o, &t->context), HMT_OK);
    CHECK_STATUS(hmt_model_create(t->context, &config, 1, &t->model), HMT_OK);
    CHECK_STATUS(hmt_model_create(t->context, &config, 1, &t->trained), HMT_OK);
    CHECK_STATUS(hmt_session_create(t->model, &s, &t->session), HMT_OK);
    s.gradients = HMT_GRADIENTS_INPUT;
    CHECK_STATUS(hmt_session_create(t->model, &s, &t->explainer), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(t->trained, &r, &t->trainer), HMT_OK);
    CHECK_STATUS(hmt_dataset_read(t->context, HMT_DATASET_CSV,
                                  HMT_SOURCE_DIR "/examples/faces/faces.csv", NULL, &t->faces),
                 HMT_OK);
    l.batch = BATCH;
    l.workers = 2;
    CHECK_STATUS(hmt_loader_create(t->context, t->faces, &l, &t->loader), HMT_OK);
}

static void unmake(things *t)
{
    hmt_loader_free(t->loader);
    hmt_dataset_free(t->faces);
    hmt_trainer_free(t->trainer);
    hmt_session_free(t->explainer);
    hmt_session_free(t->session);
    hmt_model_free(t->trained);
    hmt_model_free(t->model);
    hmt_context_free(t->context);
}

/* All of it once; what came out. */
typedef struct answers {
    double score, gradient, loss, pixels;
} answers;

static answers use(things *t)
{
    static float gradient[BATCH * IMAGE];
    hmt_prediction p[BATCH];
    hmt_batch batch = HMT_BATCH_INIT, read = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    answers a = {0};

    CHECK_STATUS(hmt_infer(t->session, images, BATCH, p), HMT_OK);
    a.score = (double)p[1].score;
    CHECK_STATUS(hmt_infer(t->explainer, images, BATCH, p), HMT_OK);
    CHECK_STATUS(
        hmt_session_gradient(t->explainer, HMT_TASK_RACE, 0, NULL, gradient, BATCH * IMAGE),
        HMT_OK);
    for (size_t i = 0; i < BATCH * IMAGE; ++i)
        a.gradient += (double)gradient[i] * (double)gradient[i];
    batch.count = BATCH;
    batch.images = images;
    batch.score = (const float[]){2.0f, 4.0f};
    CHECK_STATUS(hmt_train_step(t->trainer, &batch, &losses), HMT_OK);
    a.loss = losses.total;
    CHECK_STATUS(hmt_loader_next(t->loader, &read, NULL), HMT_OK);
    CHECK(read.count == BATCH);
    for (size_t i = 0; read.count == BATCH && i < BATCH * IMAGE; ++i)
        a.pixels += (double)read.images[i];
    return a;
}

static int same(const answers *a, const answers *b)
{
    return fabs(a->score - b->score) < 1e-5 &&
           fabs(a->gradient - b->gradient) < 1e-4 * b->gradient && fabs(a->loss - b->loss) < 1e-4 &&
           a->pixels == b->pixels;
}

/* Waits for a child, but not for ever: an alarm would not end process 1 of a namespace. */
static int wait_for(pid_t child)
{
    int status = -1;

    for (int i = 0; i < SECONDS * 100; ++i) {
        if (waitpid(child, &status, WNOHANG) == child)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return status;
}

/* The leak checker calls this before it looks: it needs a new thread, which a process that has made
 * a PID namespace, and its children there, cannot have. */
static int no_leak_check;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return no_leak_check;
}

/* Runs work in a child, all of whose checks must pass. */
static void in_child(void (*work)(void *), void *user, int flags)
{
    pid_t child;
    int status;

    if (flags != 0 && unshare(flags) != 0)
        return; /* not allowed here */
    no_leak_check = no_leak_check || flags != 0;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        test_checks = test_failures = 0;
        work(user);
        fflush(stdout);
        _exit(test_failures > 0);
    }
    status = child > 0 ? wait_for(child) : -1;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

typedef struct family {
    things *inherited;
    double width;
    answers expected, next;
} family;

/* The same batch of the loader, and the same step of the trainer, as the parent is about to take.
 */
static void child(void *user)
{
    family *f = user;
    answers a = use(f->inherited);
    things own;

    CHECK(same(&a, &f->next));
    unmake(f->inherited);
    make(&own, f->width);
    a = use(&own);
    CHECK(same(&a, &f->expected));
    unmake(&own);
}

static void generation(double width)
{
    things t, once;
    family f = {.inherited = &t, .width = width};
    answers a;

    make(&once, width);
    f.expected = use(&once);
    f.next = use(&once);
    unmake(&once);
    make(&t, width);
    a = use(&t);
    CHECK(same(&a, &f.expected));
    in_child(child, &f, 0);
    a = use(&t); /* which the child has not disturbed */
    CHECK(same(&a, &f.next));
    unmake(&t);
}

/* A child that has its parent's number. */
static void first_of_a_namespace(void *user)
{
    const double width = *(const double *)user;
    things t, once;
    family f = {.inherited = &t, .width = width};

    make(&once, width);
    f.expected = use(&once);
    f.next = use(&once);
    unmake(&once);
    make(&t, width);
    (void)use(&t);
    in_child(child, &f, getpid() == 1 ? CLONE_NEWPID : 0);
    unmake(&t);
}

int main(void)
{
    double width = 0.0625;

    for (size_t i = 0; i < BATCH * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    generation(width);
    in_child(first_of_a_namespace, &width, CLONE_NEWPID);
    return test_finish();
}
