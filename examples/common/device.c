/* What a program computes with (see device.h). */
#include "device.h"

#include <stdio.h>
#include <string.h>

bool device_open(const device_settings *settings, hmt_log_fn log, hmt_context **context)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    about.backend = settings->backend;
    about.module_path = settings->module;
    about.device = (int32_t)settings->device;
    about.threads = (int32_t)settings->threads;
    about.precision = (hmt_precision)settings->precision;
    about.log = log;
    if (hmt_context_create(&about, context) == HMT_OK)
        return true;
    cli_library_error("cannot start");
    return false;
}

const char *device_name(const device_settings *settings, const hmt_context *context, char name[128])
{
    snprintf(name, 128, "unknown device");
    for (size_t i = 0; i < hmt_backend_count(context); i++) {
        hmt_backend_info backend = HMT_BACKEND_INFO_INIT;
        hmt_device_info device = HMT_DEVICE_INFO_INIT;
        if (hmt_backend_get_info(context, i, &backend) != HMT_OK ||
            strcmp(backend.name, hmt_context_backend(context)) != 0)
            continue;
        if (hmt_device_get_info(context, i, (int32_t)settings->device, &device) == HMT_OK)
            snprintf(name, 128, "%s", device.name);
        break;
    }
    return name;
}
