/* tier: quick
 * A host's own threads: sessions and trainers compute on its executor with the same bits, whether
 * the pool runs all tasks at once, some, one after the other or none, and start no thread; many
 * sessions share one pool.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"

enum { IMAGE = 3 * 224 * 224, THREADS = 4, SESSIONS = 3, ROUNDS = 6, BATCH = 2 };

static float images[BATCH * IMAGE];

typedef void task_fn(void *user, int32_t index);

/* An executor with up to `most` threads besides the caller's, made for each call. */
typedef struct pool {
    int32_t most;
    bool runs; /* else nothing */
    atomic_int calls, begun, beside;
} pool;

typedef struct piece {
    task_fn *task;
    void *user;
    atomic_int next;
    int32_t count;
    pool *pool;
    pthread_t caller;
} piece;

static void *take(void *user)
{
    piece *p = user;

    for (int32_t i; (i = atomic_fetch_add(&p->next, 1)) < p->count;) {
        atomic_fetch_add(&p->pool->begun, 1);
        if (!pthread_equal(pthread_self(), p->caller))
            atomic_fetch_add(&p->pool->beside, 1);
        p->task(p->user, i);
    }
    return NULL;
}

static void run(void *user, int32_t count, task_fn *task, void *task_user)
{
    pool *own = user;
    piece p = {.task = task, .user = task_user, .count = count, .pool = own};
    pthread_t threads[THREADS];

    p.caller = pthread_self();
    atomic_fetch_add(&own->calls, 1);
    if (!own->runs)
        return;
    for (int32_t i = 0; i < own->most; ++i)
        if (pthread_create(&threads[i], NULL, take, &p) != 0)
            abort();
    take(&p);
    for (int32_t i = 0; i < own->most; ++i)
        pthread_join(threads[i], NULL);
}

static hmt_context *open_context(pool *on)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    o.threads = THREADS;
    if (on != NULL)
        o.executor = (hmt_executor){run, on};
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    return context;
}

static hmt_model *make_model(hmt_context *context)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = 0.125;
    CHECK_STATUS(hmt_model_create(context, &config, 2, &model), HMT_OK);
    return model;
}

static hmt_session *open_session(hmt_model *model)
{
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;

    o.batch = BATCH;
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    return session;
}

static float score(hmt_session *session)
{
    hmt_prediction found[BATCH] = {0};

    if (hmt_infer(session, images, BATCH, found) != HMT_OK) /* checks count on one thread only */
        return -1.0f;
    return found[1].score + found[0].gender.probabilities[0];
}

/* The loss of three steps. */
static double train(hmt_context *context)
{
    const int32_t labels[BATCH] = {0, 1};
    const float scores[BATCH] = {2, 4};
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_model *model = make_model(context);
    hmt_trainer *trainer = NULL;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_batch batch = HMT_BATCH_INIT;

    o.batch = BATCH;
    batch.count = BATCH;
    batch.images = images;
    batch.gender = batch.race = labels;
    batch.score = scores;
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    for (int i = 0; i < 3; ++i)
        CHECK_STATUS(hmt_train_step(trainer, &batch, &losses), HMT_OK);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    return losses.total;
}

static void on_pools(void)
{
    pool pools[] = {{.most = THREADS - 1, .runs = true},
                    {.most = 1, .runs = true},
                    {.most = 0, .runs = true},
                    {.most = 0, .runs = false}};
    hmt_context *context = open_context(NULL);
    hmt_model *model = make_model(context);
    hmt_session *session = open_session(model);
    const float expected = score(session);
    const double loss = train(context);

    CHECK(expected != -1.0f);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; ++i) {
        context = open_context(&pools[i]);
        model = make_model(context);
        session = open_session(model);
        for (int round = 0; round < ROUNDS; ++round)
            CHECK(score(session) == expected);
        CHECK(pools[i].calls >= ROUNDS);
        CHECK(pools[i].begun == (pools[i].runs ? pools[i].calls * THREADS : 0));
        CHECK((pools[i].beside > 0) == (pools[i].most > 0));
        CHECK(train(context) == loss);
        hmt_session_free(session);
        hmt_model_free(model);
        hmt_context_free(context);
    }
}

typedef struct user {
    hmt_session *session;
    float expected;
    bool same;
} user;

static void *use(void *argument)
{
    user *u = argument;

    u->same = true;
    for (int round = 0; round < ROUNDS; ++round)
        u->same = u->same && score(u->session) == u->expected;
    return NULL;
}

/* Sessions that run at the same time, on one pool that is too small for all. */
static void shared(void)
{
    pool one = {.most = 1, .runs = true};
    hmt_context *context = open_context(&one);
    hmt_model *model = make_model(context);
    pthread_t threads[SESSIONS];
    user users[SESSIONS];

    for (int i = 0; i < SESSIONS; ++i)
        users[i].session = open_session(model);
    users[0].expected = score(users[0].session);
    for (int i = 0; i < SESSIONS; ++i) {
        users[i].expected = users[0].expected;
        CHECK(pthread_create(&threads[i], NULL, use, &users[i]) == 0);
    }
    for (int i = 0; i < SESSIONS; ++i) {
        pthread_join(threads[i], NULL);
        CHECK(users[i].same);
        hmt_session_free(users[i].session);
    }
    hmt_model_free(model);
    hmt_context_free(context);
}

int main(void)
{
    for (int i = 0; i < BATCH * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u >> 8 & 0xffff) / 32768.0f - 1.0f;
    on_pools();
    shared();
    return test_finish();
}
