/*
 * The table of networks, and what their configs have in common: defaults, checks, channel counts.
 */
#include "models/models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "core/utf8.h"

/* One line for each network: its name in files, and its builder. */
static const struct {
    hmt_network network;
    hmt_status (*build)(const hmt_model_config *config, graph *g);
} networks[] = {
    {HMT_NETWORK_HMTNET, models_build_hmtnet},
};

void models_config_defaults(hmt_model_config *config)
{
    static const hmt_preprocess_options preprocess = HMT_PREPROCESS_OPTIONS_INIT;

    memset(config, 0, sizeof *config);
    config->struct_size = sizeof *config;
    config->network = HMT_NETWORK_HMTNET;
    config->wiring = HMT_WIRING_RELEASED;
    config->aggregator = HMT_AGGREGATOR_AVERAGE;
    config->width = 1.0;
    config->gender_classes = config->race_classes = 2;
    strcpy(config->gender_labels[0], "female");
    strcpy(config->gender_labels[1], "male");
    strcpy(config->race_labels[0], "asian");
    strcpy(config->race_labels[1], "caucasian");
    config->score_min = 1.0f;
    config->score_max = 5.0f;
    config->score_mean = 3.0f;
    memcpy(config->mean, preprocess.mean, sizeof config->mean);
    memcpy(config->deviation, preprocess.deviation, sizeof config->deviation);
    config->resize = preprocess.resize;
}

/* Checks the classes of one task and gives those without a name their number for one. */
static hmt_status complete_labels(const char *task, int32_t classes, char labels[][HMT_MAX_LABEL])
{
    if (classes < 2 || classes > HMT_MAX_CLASSES)
        return status_fail(HMT_ERROR_ARGUMENT, "config: %s_classes is %d, not in 2..%d", task,
                           classes, HMT_MAX_CLASSES);
    for (int32_t i = 0; i < classes; ++i) {
        if (memchr(labels[i], '\0', HMT_MAX_LABEL) == NULL)
            return status_fail(HMT_ERROR_ARGUMENT, "config: %s label %d has no terminating zero",
                               task, i);
        if (!utf8_is_printable(labels[i], strlen(labels[i])))
            return status_fail(HMT_ERROR_ARGUMENT,
                               "config: expected UTF-8 without control characters as the name of "
                               "%s class %d, found \"%s\"",
                               task, i, labels[i]);
        if (labels[i][0] == '\0')
            snprintf(labels[i], HMT_MAX_LABEL, "class %d", i);
    }
    return HMT_OK;
}

hmt_status models_config_check(hmt_model_config *config)
{
    hmt_status status;

    if (config->network != HMT_NETWORK_HMTNET)
        return status_fail(HMT_ERROR_ARGUMENT, "config: no network has the number %d",
                           (int)config->network);
    if (config->wiring != HMT_WIRING_RELEASED && config->wiring != HMT_WIRING_PAPER)
        return status_fail(HMT_ERROR_ARGUMENT, "config: no wiring has the number %d",
                           (int)config->wiring);
    if (config->aggregator != HMT_AGGREGATOR_AVERAGE &&
        config->aggregator != HMT_AGGREGATOR_CONCATENATE)
        return status_fail(HMT_ERROR_ARGUMENT, "config: no aggregator has the number %d",
                           (int)config->aggregator);
    if (!(config->width > 0.0 && config->width <= 4.0))
        return status_fail(HMT_ERROR_ARGUMENT, "config: width is %g, not in (0, 4]", config->width);
    status = complete_labels("gender", config->gender_classes, config->gender_labels);
    if (status == HMT_OK)
        status = complete_labels("race", config->race_classes, config->race_labels);
    if (status != HMT_OK)
        return status;
    if (!isfinite(config->score_min) || !isfinite(config->score_max) ||
        !isfinite(config->score_mean) || config->score_min > config->score_max)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "config: scores from %g to %g with mean %g make no range",
                           config->score_min, config->score_max, config->score_mean);
    for (int i = 0; i < 3; ++i)
        if (!isfinite(config->mean[i]) || !isfinite(config->deviation[i]) ||
            !(config->deviation[i] > 0.0f))
            return status_fail(HMT_ERROR_ARGUMENT,
                               "config: normalisation of channel %d is (level - %g) / %g", i,
                               config->mean[i], config->deviation[i]);
    if (config->trained > HMT_TASKS_ALL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "config: trained is %u, not a set of HMT_TASKS_... bits",
                           (unsigned)config->trained);
    if (config->resize < 224 || config->resize > 4096)
        return status_fail(HMT_ERROR_ARGUMENT, "config: resize is %d, not in 224..4096",
                           config->resize);
    return HMT_OK;
}

hmt_status models_build(const hmt_model_config *config, graph *g)
{
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; ++i)
        if (networks[i].network == config->network)
            return networks[i].build(config, g);
    return status_fail(HMT_ERROR_ARGUMENT, "config: no network has the number %d",
                       (int)config->network);
}

int64_t models_channels(const hmt_model_config *config, int64_t channels)
{
    int64_t scaled = (int64_t)floor((double)channels * config->width + 0.5);
    return scaled > 1 ? scaled : 1;
}
