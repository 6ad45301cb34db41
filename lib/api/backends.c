/* Tables of backends (see backends.h), and the public functions that list them. */
#include "api/backends.h"

#include <stdbool.h>
#include <string.h>

#include "api/module.h"
#include "api/options.h"
#include "builtin.h"
#include "core/status.h"

uint32_t backend_features(const hmt_backend *backend)
{
    return BACKEND_HAS(backend, features) ? backend->features : 0;
}

/* The first function that the table lacks and must have; NULL if there is none. */
static const char *find_hole(const hmt_backend *b)
{
    const struct {
        const char *name;
        bool there;
    } functions[] = {{"device_count", b->device_count != NULL},
                     {"device_info", b->device_info != NULL},
                     {"device_open", b->device_open != NULL},
                     {"device_close", b->device_close != NULL},
                     {"weights_create", b->weights_create != NULL},
                     {"weights_destroy", b->weights_destroy != NULL},
                     {"weights_get", b->weights_get != NULL},
                     {"exec_create", b->exec_create != NULL},
                     {"exec_destroy", b->exec_destroy != NULL},
                     {"exec_run", b->exec_run != NULL},
                     {"exec_read", b->exec_read != NULL},
                     {"memory", b->memory != NULL}};

    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; ++i)
        if (!functions[i].there)
            return functions[i].name;
    return NULL;
}

/* The abi is looked at first: in another interface the other fields may mean anything. */
hmt_status backend_check(const hmt_backend *backend, const char *what, hmt_status wrong)
{
    if (backend == NULL || backend->struct_size < offsetof(hmt_backend, name))
        return status_fail(wrong, "%s gives no table of functions", what);
    if (backend->abi != HMT_BACKEND_ABI)
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "%s was made for backend interface %u, this library has interface %u",
                           what, (unsigned)backend->abi, HMT_BACKEND_ABI);
    if (backend->struct_size < offsetof(hmt_backend, step_kernel) || backend->name == NULL)
        return status_fail(wrong, "%s gives a table that is nameless or smaller than hmt_backend",
                           what);
    if (find_hole(backend) != NULL)
        return status_fail(wrong, "%s lacks the function %s", what, find_hole(backend));
    return HMT_OK;
}

const hmt_backend *backend_at(const hmt_context *context, size_t index)
{
    const size_t own = context != NULL ? context->options.backend_count : 0;
    const size_t modules = context != NULL ? context->module_count : 0;
    size_t builtin = 0;

    if (index < own)
        return context->own[index];
    while (backends_builtin[builtin] != NULL)
        ++builtin;
    index -= own;
    if (index < builtin)
        return backends_builtin[index];
    index -= builtin;
    return index < modules ? context->modules[index] : NULL;
}

static hmt_status check_device(const hmt_backend *backend, int32_t device)
{
    const int32_t count = backend->device_count();

    if (count < 1)
        return status_fail(HMT_ERROR_NOT_FOUND, "backend %s finds no device on this machine",
                           backend->name);
    if (device < 0 || device >= count)
        return status_fail(HMT_ERROR_NOT_FOUND, "backend %s has %d devices, none has the number %d",
                           backend->name, count, device);
    return HMT_OK;
}

static hmt_status check_precision(const hmt_backend *backend, hmt_precision precision)
{
    static const struct {
        const char *name;
        uint32_t feature;
    } narrow[] = {{"TF32", HMT_FEATURE_TF32}, {"bfloat16", HMT_FEATURE_BFLOAT16}};
    const int index = (int)precision - HMT_PRECISION_TF32;

    if (precision == HMT_PRECISION_AUTO || precision == HMT_PRECISION_FLOAT32)
        return HMT_OK;
    return backend_features(backend) & narrow[index].feature
               ? HMT_OK
               : status_fail(HMT_ERROR_UNSUPPORTED, "backend %s cannot compute in %s, only in %s",
                             backend->name, narrow[index].name,
                             backend_features(backend) & HMT_FEATURE_TF32 ? "float32 and TF32"
                                                                          : "float32");
}

/* The backend of that name, or for NULL the first with a device that is no module. */
static const hmt_backend *find(const hmt_context *context, const char *name)
{
    const hmt_backend *backend;

    for (size_t i = 0; (backend = backend_at(context, i)) != NULL; ++i)
        if (name != NULL ? strcmp(backend->name, name) == 0 : backend->device_count() > 0)
            return backend;
    return NULL;
}

hmt_status backend_choose(hmt_context *context)
{
    const hmt_context_options *o = &context->options;
    const hmt_backend *backend = find(context, o->backend);
    hmt_status status = HMT_OK;

    if (backend == NULL && o->backend == NULL)
        return status_fail(HMT_ERROR_NOT_FOUND, "no backend has a device");
    if (o->list_modules)
        modules_list(context);
    if (backend == NULL) {
        backend = find(context, o->backend);
        if (backend == NULL)
            status = modules_find(context, o->backend, &backend);
    }
    if (status == HMT_OK)
        status = check_device(backend, o->device);
    if (status == HMT_OK)
        status = check_precision(backend, o->precision);
    if (status == HMT_OK)
        context->backend = backend;
    return status;
}

/* ---- listing ---- */

size_t hmt_backend_count(const hmt_context *context)
{
    size_t count = 0;

    while (backend_at(context, count) != NULL)
        ++count;
    return count;
}

static hmt_status find_index(const hmt_context *context, size_t index, const hmt_backend **backend)
{
    *backend = backend_at(context, index);
    return *backend != NULL
               ? HMT_OK
               : status_fail(HMT_ERROR_NOT_FOUND, "there are %zu backends, none has the number %zu",
                             hmt_backend_count(context), index);
}

hmt_status hmt_backend_get_info(const hmt_context *context, size_t index, hmt_backend_info *info)
{
    const hmt_backend *backend;
    hmt_backend_info all = HMT_BACKEND_INFO_INIT;
    hmt_status status;

    status_clear();
    status = options_check(info, "hmt_backend_info");
    if (status == HMT_OK)
        status = find_index(context, index, &backend);
    if (status != HMT_OK)
        return status;
    all.name = backend->name;
    all.description = backend->description;
    all.device_count = backend->device_count();
    return options_give(info, &all, sizeof all, "hmt_backend_info");
}

hmt_status hmt_device_get_info(const hmt_context *context, size_t index, int32_t device,
                               hmt_device_info *info)
{
    const hmt_backend *backend;
    hmt_device_info all = HMT_DEVICE_INFO_INIT;
    hmt_status status;

    status_clear();
    status = options_check(info, "hmt_device_info");
    if (status == HMT_OK)
        status = find_index(context, index, &backend);
    if (status == HMT_OK)
        status = check_device(backend, device);
    if (status == HMT_OK)
        status = backend->device_info(device, &all);
    return status == HMT_OK ? options_give(info, &all, sizeof all, "hmt_device_info") : status;
}
