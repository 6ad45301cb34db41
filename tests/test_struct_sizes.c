/* tier: quick
 * Every public struct with a struct_size, with every size from 0 to beyond its own: what ends
 * inside a field is refused, anything else is taken.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmtnet/data.h>

#include "api/layouts.h"
#include "check.h"

enum { SIDE = 8, BEYOND = 8, IMAGE = 3 * 224 * 224 };

static struct {
    hmt_context *context;
    hmt_model *model;
    hmt_session *session;
    hmt_trainer *trainer;
    hmt_dataset *set;
    hmt_loader *loader;
    char folder[32], table[64];
    uint8_t levels[SIDE * SIDE * 3];
    hmt_pixels pixels;
    float tensor[IMAGE];
} with;

/* One call for each struct. Its other arguments are such that it does little. */
static hmt_status context_options(void *s)
{
    hmt_context *made = NULL;
    hmt_status status = hmt_context_create(s, &made);

    hmt_context_free(made);
    return status;
}

static hmt_status decode_options(void *s)
{
    hmt_pixels pixels;

    return hmt_decode_memory(NULL, "x", 1, s, &pixels); /* no image */
}

static hmt_status preprocess_options(void *s)
{
    return hmt_preprocess(NULL, &with.pixels, s, with.tensor, IMAGE);
}

static hmt_status augment_options(void *s)
{
    return hmt_augment(NULL, &with.pixels, s, 1, with.tensor, 0); /* no room */
}

static hmt_status model_config(void *s)
{
    return hmt_model_get_config(with.model, s);
}

static hmt_status model_config_given(void *s)
{
    const hmt_dataset_options o = {.struct_size = sizeof o, .classes = s};
    hmt_dataset *set = NULL;
    hmt_status status = hmt_dataset_read(NULL, HMT_DATASET_CSV, with.table, &o, &set);

    hmt_dataset_free(set);
    return status;
}

static hmt_status load_options(void *s)
{
    hmt_model *model = NULL;

    return hmt_model_load_memory(with.context, "x", 1, s, &model); /* no model */
}

static hmt_status param_info(void *s)
{
    return hmt_model_param_info(with.model, 0, s);
}

static hmt_status session_options(void *s)
{
    hmt_session *made = NULL;
    hmt_status status = hmt_session_create(with.model, s, &made);

    hmt_session_free(made);
    return status;
}

static hmt_status memory(void *s)
{
    return hmt_session_memory(with.session, s);
}

static hmt_status trainer_options(void *s)
{
    hmt_trainer *made = NULL;

    return hmt_trainer_create(with.model, s, &made); /* the model has one */
}

static hmt_status batch(void *s)
{
    return hmt_train_step(with.trainer, s, NULL); /* without images */
}

static hmt_status batch_received(void *s)
{
    return hmt_loader_next(with.loader, s, NULL);
}

static hmt_status losses(void *s)
{
    const hmt_batch none = HMT_BATCH_INIT;

    return hmt_train_step(with.trainer, &none, s);
}

static hmt_status schedule(void *s)
{
    double rate;

    return hmt_schedule_rate(s, 1, &rate);
}

static hmt_status backend_info(void *s)
{
    return hmt_backend_get_info(NULL, 0, s);
}

static hmt_status device_info(void *s)
{
    return hmt_device_get_info(NULL, 0, 0, s);
}

static hmt_status sample(void *s)
{
    return hmt_dataset_sample(with.set, 0, s);
}

static hmt_status dataset_options(void *s)
{
    hmt_dataset *set = NULL;
    hmt_status status = hmt_dataset_read(NULL, HMT_DATASET_CSV, with.table, s, &set);

    hmt_dataset_free(set);
    return status;
}

static hmt_status loader_options(void *s)
{
    hmt_loader *made = NULL;
    hmt_status status = hmt_loader_create(NULL, with.set, s, &made);

    hmt_loader_free(made);
    return status;
}

static hmt_status metrics_options(void *s)
{
    const hmt_outcome outcome = {0, 0, 1, 0, 0, 1};
    hmt_metrics m = {.struct_size = sizeof m};

    return hmt_metrics_measure(NULL, &outcome, 1, s, &m);
}

static hmt_status metrics(void *s)
{
    const hmt_outcome outcome = {0, 0, 1, 0, 0, 1};

    return hmt_metrics_measure(NULL, &outcome, 1, NULL, s);
}

static hmt_status metrics_summary(void *s)
{
    const hmt_metrics m = {.struct_size = sizeof m};
    const hmt_metrics *runs = &m;

    return hmt_metrics_summarise(&runs, 1, s);
}

static void every_size(const char *name, size_t size, const void *defaults,
                       hmt_status (*call)(void *s))
{
    unsigned char *s = malloc(size + BEYOND); /* exactly: reading past a size is found by ASan */
    size_t refused = 0;

    for (size_t given = 0; s != NULL && given <= size + BEYOND; ++given) {
        const int torn = given < sizeof given || layouts_torn_field(name, given) != NULL;
        hmt_status status;

        memset(s, 0, size + BEYOND);
        memcpy(s, defaults, size);
        memcpy(s, &given, sizeof given);
        status = call(s);
        test_note((status == HMT_ERROR_ARGUMENT &&
                   strstr(hmt_last_error(), "struct_size") != NULL) == torn,
                  __FILE__, __LINE__, name);
        refused += torn != 0;
    }
    CHECK(s != NULL && refused >= sizeof(size_t) + 3);
    CHECK(refused + 2 < size + BEYOND); /* some are taken */
    free(s);
}

#define EVERY_SIZE(name, ...)                                                                      \
    do {                                                                                           \
        const hmt_##name defaults = __VA_ARGS__;                                                   \
        every_size("hmt_" #name, sizeof defaults, &defaults, name);                                \
    } while (0)

static void set_up(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_trainer_options training = HMT_TRAINER_OPTIONS_INIT;
    hmt_model_config config;
    FILE *file;

    o.threads = 1;
    CHECK_STATUS(hmt_context_create(&o, &with.context), HMT_OK);
    hmt_model_config_init(&config);
    config.width = 0.03;
    CHECK_STATUS(hmt_model_create(with.context, &config, 1, &with.model), HMT_OK);
    CHECK_STATUS(hmt_session_create(with.model, NULL, &with.session), HMT_OK);
    training.batch = 2;
    CHECK_STATUS(hmt_trainer_create(with.model, &training, &with.trainer), HMT_OK);
    strcpy(with.folder, "/tmp/hmtnet_sizes_XXXXXX");
    CHECK(mkdtemp(with.folder) != NULL);
    snprintf(with.table, sizeof with.table, "%s/table.csv", with.folder);
    file = fopen(with.table, "w");
    CHECK(file != NULL &&
          fputs("path,gender,race,score\na.jpg,female,,1\nb.jpg,male,,2\n", file) >= 0);
    CHECK(file != NULL && fclose(file) == 0);
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, with.table, NULL, &with.set), HMT_OK);
    CHECK_STATUS(hmt_loader_create(NULL, with.set, NULL, &with.loader), HMT_OK);
    with.pixels =
        (hmt_pixels){.data = with.levels, .width = SIDE, .height = SIDE, .format = HMT_PIXEL_RGB};
}

static void tear_down(void)
{
    hmt_loader_free(with.loader);
    hmt_dataset_free(with.set);
    unlink(with.table);
    rmdir(with.folder);
    hmt_trainer_free(with.trainer);
    hmt_session_free(with.session);
    hmt_model_free(with.model);
    hmt_context_free(with.context);
}

int main(void)
{
    hmt_model_config config;

    set_up();
    EVERY_SIZE(context_options, HMT_CONTEXT_OPTIONS_INIT);
    EVERY_SIZE(decode_options, HMT_DECODE_OPTIONS_INIT);
    EVERY_SIZE(preprocess_options, HMT_PREPROCESS_OPTIONS_INIT);
    EVERY_SIZE(augment_options, HMT_AUGMENT_OPTIONS_INIT);
    hmt_model_config_init(&config);
    every_size("hmt_model_config", sizeof config, &config, model_config);
    every_size("hmt_model_config", sizeof config, &config, model_config_given);
    EVERY_SIZE(load_options, HMT_LOAD_OPTIONS_INIT);
    EVERY_SIZE(param_info, HMT_PARAM_INFO_INIT);
    EVERY_SIZE(session_options, HMT_SESSION_OPTIONS_INIT);
    EVERY_SIZE(memory, HMT_MEMORY_INIT);
    EVERY_SIZE(trainer_options, HMT_TRAINER_OPTIONS_INIT);
    EVERY_SIZE(batch, HMT_BATCH_INIT);
    every_size("hmt_batch", sizeof(hmt_batch), &(hmt_batch)HMT_BATCH_INIT, batch_received);
    EVERY_SIZE(losses, HMT_LOSSES_INIT);
    EVERY_SIZE(schedule, HMT_SCHEDULE_INIT);
    EVERY_SIZE(backend_info, HMT_BACKEND_INFO_INIT);
    EVERY_SIZE(device_info, HMT_DEVICE_INFO_INIT);
    EVERY_SIZE(sample, HMT_SAMPLE_INIT);
    EVERY_SIZE(dataset_options, HMT_DATASET_OPTIONS_INIT);
    EVERY_SIZE(loader_options, HMT_LOADER_OPTIONS_INIT);
    EVERY_SIZE(metrics_options, HMT_METRICS_OPTIONS_INIT);
    EVERY_SIZE(metrics, {0});
    EVERY_SIZE(metrics_summary, {0});
    tear_down();
    return test_finish();
}
