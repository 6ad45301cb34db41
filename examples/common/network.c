/* A model file opened for inference (see network.h). */
#include "network.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "photo.h"

bool network_load(network *net, const char *model, const device_settings *device)
{
    const hmt_preprocess_options preprocess = HMT_PREPROCESS_OPTIONS_INIT;
    memset(net, 0, sizeof *net);
    if (!device_open(device, NULL, &net->context))
        return false;
    net->config.struct_size = sizeof net->config;
    if (hmt_model_load(net->context, model, NULL, &net->model) != HMT_OK ||
        hmt_model_get_config(net->model, &net->config) != HMT_OK) {
        cli_library_error("cannot use the model %s", model);
        return false;
    }
    net->preprocess = preprocess;
    net->preprocess.resize = net->config.resize;
    memcpy(net->preprocess.mean, net->config.mean, sizeof net->config.mean);
    memcpy(net->preprocess.deviation, net->config.deviation, sizeof net->config.deviation);
    return true;
}

uint32_t network_tasks(const hmt_model_config *config)
{
    return config->trained ? config->trained : (uint32_t)HMT_TASKS_ALL;
}

bool network_prepare(network *net, const hmt_session_options *options)
{
    if (hmt_session_create(net->model, options, &net->session) == HMT_OK)
        return true;
    cli_library_error("cannot prepare the model");
    return false;
}

void network_close(network *net)
{
    hmt_session_free(net->session);
    hmt_model_free(net->model);
    hmt_context_free(net->context);
    memset(net, 0, sizeof *net);
}

bool network_photo(const network *net, const char *path, float *tensor, char *message,
                   size_t capacity)
{
    hmt_pixels pixels = {0};
    hmt_status status = hmt_decode_file(net->context, path, &photo_decoding, &pixels);
    if (status == HMT_OK)
        status = hmt_preprocess(net->context, &pixels, &net->preprocess, tensor, NETWORK_FLOATS);
    if (status != HMT_OK)
        snprintf(message, capacity, "%s", hmt_last_error());
    hmt_pixels_free(net->context, &pixels);
    return status == HMT_OK;
}

bool network_ran(hmt_status status)
{
    return status == HMT_OK || status == HMT_ERROR_NONFINITE;
}

const char *network_mean(const hmt_prediction *views, size_t count, hmt_prediction *mean)
{
    for (size_t i = 0; i < count; i++)
        if (views[i].status != HMT_OK)
            return "the model gives no finite answer for this photo: its weights are too large";
    return hmt_prediction_mean(views, count, mean) == HMT_OK ? NULL : hmt_last_error();
}
