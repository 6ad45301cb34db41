/*
 * The fields of every public struct with a struct_size, so that a size which would cut one in two
 * can be told from those that a header has had. tests/layouts_test.sh compares these lists with the
 * headers.
 */
#include "api/layouts.h"

#include <string.h>

#include <hmtnet/data.h>

typedef struct field {
    size_t offset, size;
    const char *name;
} field;

#define FIELD(type, name)                                                                          \
    {                                                                                              \
        offsetof(type, name), sizeof((type *)NULL)->name, #name                                    \
    }

static const field context_options[] = {
    FIELD(hmt_context_options, backend),      FIELD(hmt_context_options, device),
    FIELD(hmt_context_options, threads),      FIELD(hmt_context_options, allocator),
    FIELD(hmt_context_options, log),          FIELD(hmt_context_options, log_user),
    FIELD(hmt_context_options, progress),     FIELD(hmt_context_options, progress_user),
    FIELD(hmt_context_options, backends),     FIELD(hmt_context_options, backend_count),
    FIELD(hmt_context_options, precision),    FIELD(hmt_context_options, module_path),
    FIELD(hmt_context_options, list_modules), FIELD(hmt_context_options, reserved),
    FIELD(hmt_context_options, executor)};

static const field decode_options[] = {
    FIELD(hmt_decode_options, max_bytes),  FIELD(hmt_decode_options, max_pixels),
    FIELD(hmt_decode_options, min_side),   FIELD(hmt_decode_options, ignore_orientation),
    FIELD(hmt_decode_options, max_memory), FIELD(hmt_decode_options, allow_truncated),
    FIELD(hmt_decode_options, reserved)};

static const field preprocess_options[] = {
    FIELD(hmt_preprocess_options, resize),   FIELD(hmt_preprocess_options, crop_size),
    FIELD(hmt_preprocess_options, crop),     FIELD(hmt_preprocess_options, flip),
    FIELD(hmt_preprocess_options, seed),     FIELD(hmt_preprocess_options, mean),
    FIELD(hmt_preprocess_options, deviation)};

static const field model_config[] = {
    FIELD(hmt_model_config, network),        FIELD(hmt_model_config, wiring),
    FIELD(hmt_model_config, aggregator),     FIELD(hmt_model_config, width),
    FIELD(hmt_model_config, gender_classes), FIELD(hmt_model_config, race_classes),
    FIELD(hmt_model_config, gender_labels),  FIELD(hmt_model_config, race_labels),
    FIELD(hmt_model_config, score_min),      FIELD(hmt_model_config, score_max),
    FIELD(hmt_model_config, score_mean),     FIELD(hmt_model_config, mean),
    FIELD(hmt_model_config, deviation),      FIELD(hmt_model_config, resize),
    FIELD(hmt_model_config, trained),        FIELD(hmt_model_config, reserved)};

static const field load_options[] = {FIELD(hmt_load_options, config), FIELD(hmt_load_options, map),
                                     FIELD(hmt_load_options, allow_nonfinite),
                                     FIELD(hmt_load_options, state_dict)};

static const field param_info[] = {
    FIELD(hmt_param_info, name),      FIELD(hmt_param_info, dimensions),
    FIELD(hmt_param_info, shape),     FIELD(hmt_param_info, count),
    FIELD(hmt_param_info, trainable), FIELD(hmt_param_info, reserved)};

static const field session_options[] = {
    FIELD(hmt_session_options, batch),      FIELD(hmt_session_options, tasks),
    FIELD(hmt_session_options, five_crop),  FIELD(hmt_session_options, taps),
    FIELD(hmt_session_options, tap_count),  FIELD(hmt_session_options, profile),
    FIELD(hmt_session_options, keep_exact), FIELD(hmt_session_options, gradients),
    FIELD(hmt_session_options, reserved),   FIELD(hmt_session_options, decode)};

static const field memory[] = {FIELD(hmt_memory, parameters), FIELD(hmt_memory, packed),
                               FIELD(hmt_memory, arena), FIELD(hmt_memory, staging)};

static const field trainer_options[] = {FIELD(hmt_trainer_options, batch),
                                        FIELD(hmt_trainer_options, learning_rate),
                                        FIELD(hmt_trainer_options, momentum),
                                        FIELD(hmt_trainer_options, weight_decay),
                                        FIELD(hmt_trainer_options, alpha),
                                        FIELD(hmt_trainer_options, loss),
                                        FIELD(hmt_trainer_options, delta),
                                        FIELD(hmt_trainer_options, profile),
                                        FIELD(hmt_trainer_options, seed),
                                        FIELD(hmt_trainer_options, nesterov),
                                        FIELD(hmt_trainer_options, decay_weights_only),
                                        FIELD(hmt_trainer_options, label_smoothing),
                                        FIELD(hmt_trainer_options, accumulate),
                                        FIELD(hmt_trainer_options, rules),
                                        FIELD(hmt_trainer_options, rule_count),
                                        FIELD(hmt_trainer_options, device_count),
                                        FIELD(hmt_trainer_options, devices),
                                        FIELD(hmt_trainer_options, average),
                                        FIELD(hmt_trainer_options, average_every),
                                        FIELD(hmt_trainer_options, reserved)};

static const field batch[] = {FIELD(hmt_batch, count), FIELD(hmt_batch, images),
                              FIELD(hmt_batch, gender), FIELD(hmt_batch, race),
                              FIELD(hmt_batch, score)};

static const field losses[] = {FIELD(hmt_losses, total), FIELD(hmt_losses, task),
                               FIELD(hmt_losses, labelled), FIELD(hmt_losses, step)};

static const field schedule[] = {FIELD(hmt_schedule, kind),        FIELD(hmt_schedule, base),
                                 FIELD(hmt_schedule, factor),      FIELD(hmt_schedule, period),
                                 FIELD(hmt_schedule, warmup),      FIELD(hmt_schedule, total),
                                 FIELD(hmt_schedule, warmup_steps)};

static const field backend_info[] = {
    FIELD(hmt_backend_info, name), FIELD(hmt_backend_info, description),
    FIELD(hmt_backend_info, device_count), FIELD(hmt_backend_info, reserved)};

static const field device_info[] = {FIELD(hmt_device_info, name), FIELD(hmt_device_info, memory),
                                    FIELD(hmt_device_info, threads),
                                    FIELD(hmt_device_info, reserved)};

static const field sample[] = {FIELD(hmt_sample, path),   FIELD(hmt_sample, name),
                               FIELD(hmt_sample, gender), FIELD(hmt_sample, race),
                               FIELD(hmt_sample, score),  FIELD(hmt_sample, table),
                               FIELD(hmt_sample, line)};

static const field dataset_options[] = {FIELD(hmt_dataset_options, classes),
                                        FIELD(hmt_dataset_options, scores_only),
                                        FIELD(hmt_dataset_options, reserved)};

static const field augment_options[] = {
    FIELD(hmt_augment_options, resize),      FIELD(hmt_augment_options, crop_size),
    FIELD(hmt_augment_options, random_crop), FIELD(hmt_augment_options, rotation),
    FIELD(hmt_augment_options, brightness),  FIELD(hmt_augment_options, contrast),
    FIELD(hmt_augment_options, saturation),  FIELD(hmt_augment_options, hue),
    FIELD(hmt_augment_options, flip),        FIELD(hmt_augment_options, mean),
    FIELD(hmt_augment_options, deviation)};

static const field loader_options[] = {
    FIELD(hmt_loader_options, batch),       FIELD(hmt_loader_options, augment),
    FIELD(hmt_loader_options, preprocess),  FIELD(hmt_loader_options, indices),
    FIELD(hmt_loader_options, index_count), FIELD(hmt_loader_options, shuffle),
    FIELD(hmt_loader_options, drop_last),   FIELD(hmt_loader_options, skip_bad),
    FIELD(hmt_loader_options, seed),        FIELD(hmt_loader_options, workers),
    FIELD(hmt_loader_options, ahead_bytes), FIELD(hmt_loader_options, keep_bytes),
    FIELD(hmt_loader_options, lend),        FIELD(hmt_loader_options, reserved),
    FIELD(hmt_loader_options, decode)};

static const field metrics[] = {
    FIELD(hmt_metrics, count),    FIELD(hmt_metrics, known),    FIELD(hmt_metrics, mae),
    FIELD(hmt_metrics, rmse),     FIELD(hmt_metrics, bias),     FIELD(hmt_metrics, pearson),
    FIELD(hmt_metrics, spearman), FIELD(hmt_metrics, accuracy), FIELD(hmt_metrics, confusion)};

static const field metrics_options[] = {
    FIELD(hmt_metrics_options, tasks),      FIELD(hmt_metrics_options, gender),
    FIELD(hmt_metrics_options, race),       FIELD(hmt_metrics_options, resamples),
    FIELD(hmt_metrics_options, confidence), FIELD(hmt_metrics_options, seed)};

static const field metrics_summary[] = {
    FIELD(hmt_metrics_summary, mae),      FIELD(hmt_metrics_summary, rmse),
    FIELD(hmt_metrics_summary, bias),     FIELD(hmt_metrics_summary, pearson),
    FIELD(hmt_metrics_summary, spearman), FIELD(hmt_metrics_summary, accuracy)};

#define STRUCT(name)                                                                               \
    {                                                                                              \
        "hmt_" #name, name, sizeof name / sizeof name[0]                                           \
    }

static const struct {
    const char *name;
    const field *fields;
    size_t count;
} structs[] = {STRUCT(context_options), STRUCT(decode_options),  STRUCT(preprocess_options),
               STRUCT(model_config),    STRUCT(load_options),    STRUCT(param_info),
               STRUCT(session_options), STRUCT(memory),          STRUCT(trainer_options),
               STRUCT(batch),           STRUCT(losses),          STRUCT(schedule),
               STRUCT(backend_info),    STRUCT(device_info),     STRUCT(sample),
               STRUCT(dataset_options), STRUCT(augment_options), STRUCT(loader_options),
               STRUCT(metrics),         STRUCT(metrics_options), STRUCT(metrics_summary)};

const char *layouts_torn_field(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; ++i) {
        if (strcmp(structs[i].name, name) != 0)
            continue;
        for (size_t k = 0; k < structs[i].count; ++k) {
            const field *f = &structs[i].fields[k];

            if (size > f->offset && size < f->offset + f->size)
                return f->name;
        }
        return NULL;
    }
    return "?";
}
