/*
 * What a program computes with: the options that every program has for it, and the context made
 * from them.
 */
#ifndef EXAMPLES_DEVICE_H
#define EXAMPLES_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <hmtnet/hmtnet.h>

#include "cli.h"

typedef struct device_settings {
    const char *backend, *module; /* NULL: not given */
    int64_t device, threads;
    int precision; /* hmt_precision */
} device_settings;

/* Their rows in a program's table of options. */
/* clang-format off */
#define DEVICE_OPTIONS(settings)                                                                   \
    {"threads", 't', CLI_INTEGER, &(settings).threads, "N",                                        \
     "threads to compute with (default: all processors)", 0, 1024},                                \
    {"backend", 0, CLI_TEXT, &(settings).backend, "NAME",                                          \
     "onednn, reference, or a module such as cudnn (default:\nthe best of the built-in ones)",    \
     0, 0},                                                                                        \
    {"device", 0, CLI_INTEGER, &(settings).device, "N",                                            \
     "number of the backend's device (default 0)", 0, 1024},                                       \
    {"module", 0, CLI_TEXT, &(settings).module, "PATH",                                            \
     "the backend's module, or the folder it is in", 0, 0},                                        \
    {"precision", 0, CLI_CHOICE, &(settings).precision, "auto|float32|tf32|bfloat16",              \
     "to compute in; a CPU has float32 (default auto)", 0, 0}
/* clang-format on */

/* The name of the device that a context with these settings opened. */
const char *device_name(const device_settings *settings, const hmt_context *context,
                        char name[128]);

/* Makes the context. log may be NULL. false: a message has been printed. */
bool device_open(const device_settings *settings, hmt_log_fn log, hmt_context **context);

#endif
