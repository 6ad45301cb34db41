/* tier: quick
 * Everything runs on a thread with a stack of 64 KiB, with 1 and 2 threads to compute with:
 * loading, decoding, predicting, gradients, training and saving, a loader.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hmtnet/data.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK = 1 << 20 }; /* sanitizers' frames are larger */
#else
enum { STACK = 64 << 10 };
#endif

enum { IMAGE = 3 * 224 * 224, BATCH = 4 };

static const char *const model_file = HMT_SOURCE_DIR "/examples/models/hmtnet-quarter.safetensors";
static const char *const table = HMT_SOURCE_DIR "/examples/faces/faces.csv";
static const char *const photo = HMT_SOURCE_DIR "/examples/faces/female-asian-1.jpg";
static float images[BATCH * IMAGE];

static void look(hmt_model *model, int32_t batch, hmt_gradients gradients)
{
    static float gradient[BATCH * IMAGE];
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;
    hmt_prediction p[BATCH];

    o.batch = batch;
    o.gradients = gradients;
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images, (size_t)batch, p), HMT_OK);
    CHECK_STATUS(hmt_predict_file(session, photo, p), HMT_OK);
    if (gradients == HMT_GRADIENTS_INPUT)
        CHECK_STATUS(
            hmt_session_gradient(session, HMT_TASK_RACE, 0, NULL, gradient, (size_t)batch * IMAGE),
            HMT_OK);
    hmt_session_free(session);
}

static void train(hmt_context *context, hmt_model *model)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_loader_options l = HMT_LOADER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_dataset *faces = NULL;
    hmt_loader *loader = NULL;
    hmt_trainer *trainer = NULL;
    char path[] = "/tmp/hmtnet-stack-XXXXXX";
    int file = mkstemp(path);

    CHECK(file >= 0 && close(file) == 0);
    o.batch = l.batch = BATCH;
    l.workers = 1;
    CHECK_STATUS(hmt_dataset_read(context, HMT_DATASET_CSV, table, NULL, &faces), HMT_OK);
    CHECK_STATUS(hmt_loader_create(context, faces, &l, &loader), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
    batch.race = NULL;
    CHECK_STATUS(hmt_train_step(trainer, &batch, &losses), HMT_OK);
    CHECK_STATUS(hmt_trainer_save(trainer, path, NULL), HMT_OK);
    hmt_trainer_free(trainer);
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    CHECK_STATUS(hmt_trainer_resume(trainer, path), HMT_OK);
    hmt_trainer_free(trainer);
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_I8), HMT_OK);
    hmt_loader_free(loader);
    hmt_dataset_free(faces);
    unlink(path);
}

static void *everything(void *threads)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model *model = NULL;

    o.threads = *(int32_t *)threads;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK_STATUS(hmt_model_load(context, model_file, NULL, &model), HMT_OK);
    look(model, 1, HMT_GRADIENTS_NONE);
    look(model, BATCH, HMT_GRADIENTS_NONE);
    look(model, 1, HMT_GRADIENTS_INPUT);
    look(model, BATCH, HMT_GRADIENTS_INPUT);
    train(context, model);
    hmt_model_free(model);
    hmt_context_free(context);
    return NULL;
}

int main(void)
{
    for (size_t i = 0; i < BATCH * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    for (int32_t threads = 1; threads <= 2; ++threads) {
        pthread_attr_t small;
        pthread_t thread;

        CHECK(pthread_attr_init(&small) == 0);
        CHECK(pthread_attr_setstacksize(&small, STACK) == 0);
        CHECK(pthread_create(&thread, &small, everything, &threads) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        pthread_attr_destroy(&small);
    }
    return test_finish();
}
