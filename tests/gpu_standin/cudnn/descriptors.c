/*
 * descriptors.c - creating, setting, getting and destroying backend descriptors. Values are kept as
 * given; a descriptor that is set into another one is kept by its address and must live as long as
 * it is looked at.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "descriptor.h"

static struct descriptor *alive(cudnnBackendDescriptor_t handle)
{
    if (standin_alive(STANDIN_CUDNN_DESCRIPTOR, handle))
        return handle;
    standin_complain("%p is no descriptor, or was destroyed", handle);
    return NULL;
}

static int index_of(const struct descriptor *d, cudnnBackendAttributeName_t name)
{
    for (int i = 0; i < d->table->count; i++)
        if (d->table->attributes[i].name == name)
            return i;
    return -1;
}

const struct value *value_of(const struct descriptor *d, cudnnBackendAttributeName_t name)
{
    int i = index_of(d, name);
    return i >= 0 && d->values[i].count > 0 ? &d->values[i] : NULL;
}

struct descriptor *child_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t i)
{
    return pointer_of(d, name, i);
}

void *pointer_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t i)
{
    const struct value *value = value_of(d, name);
    return value != NULL && i < value->count ? ((void **)value->data)[i] : NULL;
}

int64_t integer_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t i,
                   int64_t fallback)
{
    const struct value *value = value_of(d, name);
    return value != NULL && i < value->count ? ((int64_t *)value->data)[i] : fallback;
}

int choice_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int fallback)
{
    const struct value *value = value_of(d, name);
    return value != NULL ? *(int *)value->data : fallback;
}

int flag_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int fallback)
{
    const struct value *value = value_of(d, name);
    return value != NULL ? *(bool *)value->data : fallback;
}

double number_of(const struct descriptor *d, cudnnBackendAttributeName_t name, double fallback)
{
    const struct value *value = value_of(d, name);
    return value != NULL ? *(double *)value->data : fallback;
}

static cudnnStatus_t create(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    const struct attribute_table *table = attribute_table_of(type);
    struct descriptor *d;

    if (out == NULL)
        return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    *out = NULL;
    if (table == NULL) {
        standin_complain("the stand-in has no descriptors of type %d", (int)type);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    d->table = table;
    standin_born(STANDIN_CUDNN_DESCRIPTOR, d, (size_t)type);
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *out)
{
    cudnnStatus_t status = dnn_begin("cudnnBackendCreateDescriptor");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? create(type, out) : status);
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle)
{
    cudnnStatus_t planned = dnn_begin("cudnnBackendDestroyDescriptor");
    struct descriptor *d = alive(handle);

    if (d == NULL)
        return dnn_end(CUDNN_STATUS_BAD_PARAM);
    for (int i = 0; i < ATTRIBUTES_MAX; i++)
        free(d->values[i].data);
    standin_died(d);
    free(d);
    return dnn_end(planned);
}

static int is_operation(const struct descriptor *d)
{
    switch (d->table->type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return 1;
    default:
        return 0;
    }
}

/* Descriptors that are set into others are finalised and of the right type. */
static cudnnStatus_t check_children(const struct attribute *attribute, int64_t count,
                                    const void *elements)
{
    for (int64_t i = 0; i < count; i++) {
        const struct descriptor *child = alive(((void *const *)elements)[i]);
        if (child == NULL)
            return CUDNN_STATUS_BAD_PARAM;
        if (attribute->child == ANY_OPERATION ? !is_operation(child)
                                              : (int)child->table->type != attribute->child) {
            standin_complain("a descriptor of type %s does not belong there", child->table->name);
            return CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE;
        }
        if (!child->finalized) {
            standin_complain("the %s is not finalised", child->table->name);
            return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_type(const struct attribute *attribute, cudnnBackendAttributeType_t type)
{
    if (type == attribute->type || ((attribute->flags & FLOATING) && type == CUDNN_TYPE_FLOAT))
        return CUDNN_STATUS_SUCCESS;
    standin_complain("attribute %d has type %d, not %d", (int)attribute->name, (int)attribute->type,
                     (int)type);
    return CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE;
}

static cudnnStatus_t keep(struct value *value, const struct attribute *attribute,
                          cudnnBackendAttributeType_t type, int64_t count, const void *elements)
{
    size_t bytes = attribute_size(attribute->type) * (size_t)count;
    void *data = malloc(bytes);

    if (data == NULL)
        return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    if (type == attribute->type)
        memcpy(data, elements, bytes);
    else
        *(double *)data = *(const float *)elements;
    free(value->data);
    value->data = data;
    value->count = count;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t set(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t count, const void *elements)
{
    struct descriptor *d = alive(handle);
    const struct attribute *attribute;
    cudnnStatus_t status;
    int i;

    if (d == NULL || elements == NULL)
        return CUDNN_STATUS_BAD_PARAM;
    if (d->finalized) {
        standin_complain("the %s is finalised: attribute %d comes too late", d->table->name,
                         (int)name);
        return CUDNN_STATUS_BAD_PARAM;
    }
    if ((i = index_of(d, name)) < 0 || (d->table->attributes[i].flags & READ_ONLY)) {
        standin_complain("a descriptor of type %s has no attribute %d to set", d->table->name,
                         (int)name);
        return CUDNN_STATUS_BAD_PARAM;
    }
    attribute = &d->table->attributes[i];
    if ((status = check_type(attribute, type)) != CUDNN_STATUS_SUCCESS)
        return status;
    if (count < attribute->least || count > attribute->most) {
        standin_complain("attribute %d takes %lld to %lld elements, not %lld", (int)name,
                         (long long)attribute->least, (long long)attribute->most, (long long)count);
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR &&
        (status = check_children(attribute, count, elements)) != CUDNN_STATUS_SUCCESS)
        return status;
    return keep(&d->values[i], attribute, type, count, elements);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *elements)
{
    cudnnStatus_t status = dnn_begin("cudnnBackendSetAttribute");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? set(handle, name, type, count, elements)
                                                  : status);
}

/* All required attributes are there, and what they point to lives. */
static cudnnStatus_t check_complete(const struct descriptor *d)
{
    for (int i = 0; i < d->table->count; i++) {
        const struct attribute *attribute = &d->table->attributes[i];
        if ((attribute->flags & REQUIRED) && d->values[i].count == 0) {
            standin_complain("the %s lacks attribute %d", d->table->name, (int)attribute->name);
            return CUDNN_STATUS_BAD_PARAM;
        }
        if (attribute->type == CUDNN_TYPE_BACKEND_DESCRIPTOR && d->values[i].count > 0 &&
            check_children(attribute, d->values[i].count, d->values[i].data) !=
                CUDNN_STATUS_SUCCESS)
            return CUDNN_STATUS_BAD_PARAM;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize(cudnnBackendDescriptor_t handle)
{
    struct descriptor *d = alive(handle);
    cudnnStatus_t status;

    if (d == NULL)
        return CUDNN_STATUS_BAD_PARAM;
    if (d->finalized) {
        standin_complain("the %s is finalised already", d->table->name);
        return CUDNN_STATUS_BAD_PARAM;
    }
    status = check_complete(d);
    if (status == CUDNN_STATUS_SUCCESS)
        status = descriptor_finalize(d);
    d->finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t handle)
{
    cudnnStatus_t status = dnn_begin("cudnnBackendFinalize");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? finalize(handle) : status);
}

/* Fills descriptors that the caller has made with the engine configurations that were found, or
 * with the engine of one. */
static cudnnStatus_t fill(const struct descriptor *from, int child, const int *engines,
                          int64_t count, void *elements)
{
    for (int64_t i = 0; i < count; i++) {
        struct descriptor *d = alive(((void **)elements)[i]);
        if (d == NULL || (int)d->table->type != child) {
            standin_complain("element %lld must be a descriptor that was made for it",
                             (long long)i);
            return CUDNN_STATUS_BAD_PARAM;
        }
        d->problem = from->problem;
        d->device = from->device;
        d->engine = engines[i];
        d->finalized = 1;
    }
    return CUDNN_STATUS_SUCCESS;
}

static void copy_out(const void *data, size_t size, int64_t there, int64_t wanted, int64_t *count,
                     void *elements)
{
    if (count != NULL)
        *count = there;
    if (elements != NULL && wanted > 0 && there > 0)
        memcpy(elements, data, size * (size_t)(wanted < there ? wanted : there));
}

static cudnnStatus_t get_found(const struct descriptor *d, cudnnBackendAttributeName_t name,
                               int64_t wanted, int64_t *count, void *elements)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t number;

    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        if (count != NULL)
            *count = d->engine_count;
        return elements == NULL
                   ? CUDNN_STATUS_SUCCESS
                   : fill(d, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, d->engines,
                          wanted < d->engine_count ? wanted : d->engine_count, elements);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        if (count != NULL)
            *count = 1;
        return elements == NULL ? CUDNN_STATUS_SUCCESS
                                : fill(d, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &d->engine,
                                       wanted < 1 ? wanted : 1, elements);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        copy_out(notes, sizeof *notes, engine_notes(d->engine, &d->problem, notes), wanted, count,
                 elements);
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
    case CUDNN_ATTR_ENGINE_KNOB_INFO:
        copy_out(NULL, 0, 0, wanted, count, elements);
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        number = d->engine;
        break;
    case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT:
        number = engine_count();
        break;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        number = (int64_t)engine_workspace(d->engine, &d->problem);
        break;
    default:
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    copy_out(&number, sizeof number, 1, wanted, count, elements);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t wanted, int64_t *count,
                         void *elements)
{
    const struct descriptor *d = alive(handle);
    cudnnStatus_t status;
    int i;

    if (d == NULL || wanted < 0)
        return CUDNN_STATUS_BAD_PARAM;
    if (!d->finalized) {
        standin_complain("the %s is not finalised", d->table->name);
        return CUDNN_STATUS_NOT_INITIALIZED;
    }
    if ((i = index_of(d, name)) < 0) {
        standin_complain("a descriptor of type %s has no attribute %d", d->table->name, (int)name);
        return CUDNN_STATUS_BAD_PARAM;
    }
    if ((status = check_type(&d->table->attributes[i], type)) != CUDNN_STATUS_SUCCESS)
        return status;
    status = get_found(d, name, wanted, count, elements);
    if (status != CUDNN_STATUS_NOT_SUPPORTED)
        return status;
    if (type != d->table->attributes[i].type || d->values[i].count == 0)
        return CUDNN_STATUS_BAD_PARAM;
    copy_out(d->values[i].data, attribute_size(type), d->values[i].count, wanted, count, elements);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const handle,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t wanted,
                                       int64_t *count, void *elements)
{
    cudnnStatus_t status = dnn_begin("cudnnBackendGetAttribute");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? get(handle, name, type, wanted, count, elements)
                                                  : status);
}
