/* What a program computes with (see device.h). */
#include "device.h"

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
