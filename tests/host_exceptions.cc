/*
 * A C++ host whose progress callbacks throw (callbacks_test.sh). The example of docs/hosting.md is
 * compiled in as example.hh.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <hmtnet/hmtnet.h>

#include "example.hh"

static int failures;
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::printf("%d: failed: %s (%s)\n", __LINE__, #condition, hmt_last_error());          \
            ++failures;                                                                            \
        }                                                                                          \
    } while (0)

static const std::size_t image = 3 * 224 * 224;

/* Throws when it is told `what` for the `at`th time. */
struct thrower {
    std::string what;
    int at, told;
};

static int throw_once(void *user, const char *what, std::uint64_t, std::uint64_t)
{
    thrower *t = static_cast<thrower *>(user);

    if (what == t->what && ++t->told == t->at)
        throw std::runtime_error(what);
    return 0;
}

static long live;

static void *allocate(void *, std::size_t size, std::size_t alignment)
{
    void *pointer = nullptr;

    if (posix_memalign(&pointer, alignment, size) != 0)
        return nullptr;
    ++live;
    return pointer;
}

static void release(void *, void *pointer)
{
    --live;
    std::free(pointer);
}

static hmt_context *context_with(hmt_progress_fn progress, void *user)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = nullptr;

    o.progress = progress;
    o.progress_user = user;
    o.allocator.allocate = allocate;
    o.allocator.release = release;
    o.threads = 2;
    CHECK(hmt_context_create(&o, &context) == HMT_OK);
    return context;
}

static hmt_model *small_model(hmt_context *context)
{
    hmt_model_config config;
    hmt_model *model = nullptr;

    hmt_model_config_init(&config);
    config.width = 0.03;
    CHECK(hmt_model_create(context, &config, 7, &model) == HMT_OK);
    return model;
}

template <typename call> static bool throws(call run)
{
    try {
        run();
    } catch (const std::runtime_error &) {
        return true;
    }
    return false;
}

/* An exception that leaves hmt_infer() leaves a session that can be used. */
static void through_inference(const std::vector<float> &images)
{
    thrower t = {"", 1, 0};
    hmt_context *context = context_with(throw_once, &t);
    hmt_model *model = small_model(context);
    hmt_session *session = nullptr;
    hmt_prediction before[2], after[2];
    long held;

    CHECK(hmt_session_create(model, nullptr, &session) == HMT_OK);
    CHECK(hmt_infer(session, images.data(), 2, before) == HMT_OK);
    held = live;
    t = thrower{"infer", 2, 0};
    CHECK(throws([&] { hmt_infer(session, images.data(), 2, after); }));
    CHECK(live == held);
    CHECK(hmt_infer(session, images.data(), 2, after) == HMT_OK);
    CHECK(before[0].score == after[0].score && before[1].score == after[1].score);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
    CHECK(live == 0);
}

/* One that leaves hmt_train_step() leaves a trainer as it was before the step. */
static double third_loss(const std::vector<float> &images, int at)
{
    static const std::int32_t labels[2] = {0, 1};
    static const float scores[2] = {1, 2};
    thrower t = {"", 1, 0};
    hmt_context *context = context_with(throw_once, &t);
    hmt_model *model = small_model(context);
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_trainer *trainer = nullptr;

    o.batch = 2;
    batch.count = 2;
    batch.images = images.data();
    batch.gender = batch.race = labels;
    batch.score = scores;
    CHECK(hmt_trainer_create(model, &o, &trainer) == HMT_OK);
    CHECK(hmt_train_step(trainer, &batch, nullptr) == HMT_OK);
    t = thrower{"train", at, 0};
    if (at > 0)
        CHECK(throws([&] { hmt_train_step(trainer, &batch, nullptr); }));
    CHECK(hmt_train_step(trainer, &batch, &losses) == HMT_OK);
    CHECK(losses.step == 2);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    CHECK(live == 0);
    return losses.total;
}

/* The documented way leaks nothing, wherever the exception comes from. */
static void through_the_guard(const char *path)
{
    std::string stop;
    progress_guard guard;
    hmt_context *context = context_with(progress_guard::call, &guard);
    hmt_model *model = small_model(context), *loaded = nullptr;
    hmt_session *session = nullptr;
    long held = live;

    guard.go_on = [&](const char *what) {
        if (stop == what)
            throw std::runtime_error(what);
        return true;
    };
    stop = "save";
    CHECK(throws([&] { guard.finish(hmt_model_save(model, path, HMT_DTYPE_F32)); }));
    stop = "";
    CHECK(guard.finish(hmt_model_save(model, path, HMT_DTYPE_F32)) == HMT_OK);
    stop = "load";
    CHECK(throws([&] { guard.finish(hmt_model_load(context, path, nullptr, &loaded)); }));
    stop = "prepare";
    CHECK(throws([&] { guard.finish(hmt_session_create(model, nullptr, &session)); }));
    CHECK(loaded == nullptr && session == nullptr && live == held);
    hmt_model_free(model);
    hmt_context_free(context);
    CHECK(live == 0);
}

int main(int argc, char **argv)
{
    std::vector<float> images(2 * image);

    for (std::size_t i = 0; i < images.size(); ++i)
        images[i] = static_cast<float>(i * 2654435761u % 1000) / 500.0f - 1.0f;
    through_inference(images);
    const double alone = third_loss(images, 0);
    CHECK(third_loss(images, 1) == alone);
    CHECK(third_loss(images, 2) == alone);
    if (argc > 1)
        through_the_guard(argv[1]);
    std::printf("%d failed\n", failures);
    return failures > 0;
}
