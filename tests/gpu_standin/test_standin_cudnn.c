/*
 * The stand-in for cuDNN: convolutions of odd shapes against their definition in double, for every
 * engine that the heuristics give, and each rule for descriptors.
 */
#include <stdbool.h>

#include <cudnn.h>

#include "standin_rig.h"

#define DNN(call) CHECK((call) == CUDNN_STATUS_SUCCESS)

enum { FORWARD, DATA, FILTER };

struct shape {
    int kind;
    int64_t n, c, h, w, k, r, s, stride[2], pre[2], post[2], dilation, groups;
    int bfloat16, bias, relu;
    int64_t oh, ow;
};

static cudnnHandle_t handle;
static cudaStream_t stream;
static cudnnBackendDescriptor_t made[64]; /* all of a case, freed together */
static int made_count;

static cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t d = NULL;
    DNN(cudnnBackendCreateDescriptor(type, &d));
    return made[made_count++] = d;
}

static void drop_all(void)
{
    while (made_count > 0)
        DNN(cudnnBackendDestroyDescriptor(made[--made_count]));
}

static cudnnStatus_t set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    return cudnnBackendSetAttribute(d, name, type, count, values);
}

static cudnnBackendDescriptor_t raw_tensor(int64_t uid, const int64_t *dims, const int64_t *strides,
                                           cudnnDataType_t type, int64_t alignment, bool is_virtual)
{
    cudnnBackendDescriptor_t d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    DNN(set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid));
    DNN(set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
    DNN(set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims));
    DNN(set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides));
    DNN(set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment));
    DNN(set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual));
    return d;
}

static cudnnBackendDescriptor_t tensor(int64_t uid, int64_t n, int64_t c, int64_t h, int64_t w,
                                       int bfloat16, bool is_virtual)
{
    const int64_t dims[] = {n, c, h, w}, strides[] = {c * h * w, 1, c * w, c};
    cudnnBackendDescriptor_t d = raw_tensor(
        uid, dims, strides, bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT, 16, is_virtual);
    DNN(cudnnBackendFinalize(d));
    return d;
}

static cudnnBackendDescriptor_t window(const struct shape *s)
{
    cudnnBackendDescriptor_t d = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const int64_t two = 2, dilations[] = {s->dilation, s->dilation};
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two));
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type));
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode));
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations));
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, s->stride));
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, s->pre));
    DNN(set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, s->post));
    DNN(cudnnBackendFinalize(d));
    return d;
}

static cudnnBackendDescriptor_t pointwise(cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                          cudnnBackendDescriptor_t b, cudnnBackendDescriptor_t y)
{
    cudnnBackendDescriptor_t what = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR),
                             d = make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    DNN(set(what, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode));
    DNN(set(what, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type));
    DNN(cudnnBackendFinalize(what));
    DNN(set(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
            &what));
    DNN(set(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x));
    if (b != NULL)
        DNN(set(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b));
    DNN(set(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y));
    DNN(cudnnBackendFinalize(d));
    return d;
}

static cudnnBackendDescriptor_t convolution(const struct shape *s, cudnnBackendDescriptor_t x,
                                            cudnnBackendDescriptor_t w, cudnnBackendDescriptor_t y)
{
    static const cudnnBackendAttributeName_t first[] = {
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA};
    static const cudnnBackendDescriptorType_t types[] = {
        CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
        CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
        CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR};
    cudnnBackendDescriptor_t d = make(types[s->kind]), how = window(s);
    /* In the enumeration alpha, beta and the convolution are followed by w, x, y; w, dx, dy; dw, x,
     * dy. */
    cudnnBackendDescriptor_t operands[] = {how, w, x, y};
    const float one = 1, zero = 0;
    DNN(set(d, first[s->kind], CUDNN_TYPE_FLOAT, 1, &one));
    DNN(set(d, (cudnnBackendAttributeName_t)(first[s->kind] + 1), CUDNN_TYPE_FLOAT, 1, &zero));
    for (int i = 0; i < 4; i++)
        DNN(set(d, (cudnnBackendAttributeName_t)(first[s->kind] + 2 + i),
                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operands[i]));
    return d;
}

static cudnnBackendDescriptor_t graph_of(int64_t count, cudnnBackendDescriptor_t *operations)
{
    cudnnBackendDescriptor_t d = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    DNN(set(d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
    DNN(set(d, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operations));
    return d;
}

/* ids: 1 x, 2 w, 3 y, 4 bias; 5 and 6 virtual. */
static cudnnBackendDescriptor_t graph(struct shape *s)
{
    cudnnBackendDescriptor_t operations[3], x, w, y, inner, last;
    int64_t count = 0;

    s->oh = (s->h + s->pre[0] + s->post[0] - (s->r - 1) * s->dilation - 1) / s->stride[0] + 1;
    s->ow = (s->w + s->pre[1] + s->post[1] - (s->s - 1) * s->dilation - 1) / s->stride[1] + 1;
    x = tensor(1, s->n, s->c, s->h, s->w, s->bfloat16, false);
    w = tensor(2, s->k, s->c / s->groups, s->r, s->s, s->bfloat16, false);
    y = tensor(3, s->n, s->k, s->oh, s->ow, s->bfloat16, false);
    last = s->bias || s->relu ? tensor(5, s->n, s->k, s->oh, s->ow, 0, true) : y;
    operations[count] = convolution(s, x, w, last);
    DNN(cudnnBackendFinalize(operations[count++]));
    if (s->bias) {
        inner = s->relu ? tensor(6, s->n, s->k, s->oh, s->ow, 0, true) : y;
        operations[count++] = pointwise(CUDNN_POINTWISE_ADD, last,
                                        tensor(4, 1, s->k, 1, 1, s->bfloat16, false), inner);
        last = inner;
    }
    if (s->relu)
        operations[count++] = pointwise(CUDNN_POINTWISE_RELU_FWD, last, NULL, y);
    return graph_of(count, operations);
}

/* The definition, with NHWC arrays. */
static void define(const struct shape *s, const double *x, const double *w, const double *y,
                   const double *bias, double *out)
{
    int64_t cg = s->c / s->groups, kg = s->k / s->groups;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t i = 0; i < s->oh; i++)
            for (int64_t j = 0; j < s->ow; j++)
                for (int64_t k = 0; k < s->k; k++) {
                    int64_t yi = ((n * s->oh + i) * s->ow + j) * s->k + k;
                    double sum = 0;
                    for (int64_t r = 0; r < s->r; r++)
                        for (int64_t q = 0; q < s->s; q++)
                            for (int64_t c = 0; c < cg; c++) {
                                int64_t h = i * s->stride[0] + r * s->dilation - s->pre[0];
                                int64_t v = j * s->stride[1] + q * s->dilation - s->pre[1];
                                int64_t xi = ((n * s->h + h) * s->w + v) * s->c + k / kg * cg + c;
                                int64_t wi = ((k * s->r + r) * s->s + q) * cg + c;
                                if (h < 0 || v < 0 || h >= s->h || v >= s->w)
                                    continue;
                                if (s->kind == FORWARD)
                                    sum += x[xi] * w[wi];
                                else if (s->kind == DATA)
                                    out[xi] += y[yi] * w[wi];
                                else
                                    out[wi] += y[yi] * x[xi];
                            }
                    if (s->kind == FORWARD) {
                        sum += s->bias ? bias[k] : 0;
                        out[yi] = s->relu && sum < 0 ? 0 : sum;
                    }
                }
}

struct operand {
    size_t count;
    float *values;
    double *exact;
    void *memory;
};

static struct operand operand(unsigned seed, int64_t count, int bfloat16)
{
    struct operand o = {.count = (size_t)count};
    o.values = malloc(o.count * sizeof *o.values);
    o.exact = malloc(o.count * sizeof *o.exact);
    for (size_t i = 0; i < o.count; i++) {
        o.values[i] = bfloat16 ? round_bfloat16(rig_number(seed, i)) : rig_number(seed, i);
        o.exact[i] = o.values[i];
    }
    o.memory = rig_upload(o.values, o.count, bfloat16, stream);
    return o;
}

static void drop_operand(struct operand *o)
{
    free(o->values);
    free(o->exact);
    OK(cudaFree(o->memory));
}

static unsigned notes_of(cudnnBackendDescriptor_t config)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendDescriptor_t engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0;
    unsigned bits = 0;
    DNN(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &count, &engine));
    DNN(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                 CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count,
                                 notes));
    for (int64_t i = 0; i < count; i++)
        bits |= 1u << notes[i];
    return bits;
}

static cudnnBackendDescriptor_t plan_of(cudnnBackendDescriptor_t config, cudnnStatus_t *status,
                                        int64_t *workspace)
{
    cudnnBackendDescriptor_t plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    DNN(set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle));
    DNN(set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
            &config));
    *status = cudnnBackendFinalize(plan);
    if (*status == CUDNN_STATUS_SUCCESS)
        DNN(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                     CUDNN_TYPE_INT64, 1, NULL, workspace));
    return plan;
}

static cudnnBackendDescriptor_t pack_of(int64_t count, const int64_t *ids, void *const *memory,
                                        void *workspace)
{
    cudnnBackendDescriptor_t pack = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    DNN(set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids));
    DNN(set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, memory));
    DNN(set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace));
    return pack;
}

/* The configurations that a mode gives, in descriptors made here. */
static int64_t ask(cudnnBackendDescriptor_t g, cudnnBackendHeurMode_t mode,
                   cudnnBackendDescriptor_t *configs, int64_t most)
{
    cudnnBackendDescriptor_t heuristics = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t count = 0;
    DNN(set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
    DNN(set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
            &g));
    if (cudnnBackendFinalize(heuristics) != CUDNN_STATUS_SUCCESS)
        return 0;
    for (int64_t i = 0; i < most; i++)
        configs[i] = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    DNN(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, configs));
    return count < most ? count : most;
}

#define NOTE(name) (1u << CUDNN_NUMERICAL_NOTE_##name)
static unsigned
    engines_run; /* a bit for each set of notes seen, to show that the collection was exercised */

/* Runs one configuration; 1 if it could be run. */
static int run_config(const struct shape *s, cudnnBackendDescriptor_t config,
                      struct operand *operands, struct operand *out, const double *wanted)
{
    const int64_t ids[] = {1, 2, 3, 4};
    void *const memory[] = {operands[0].memory, operands[1].memory, operands[2].memory,
                            operands[3].memory};
    void *workspace = NULL;
    int64_t bytes = 0;
    cudnnStatus_t status;
    unsigned notes = notes_of(config);
    cudnnBackendDescriptor_t plan = plan_of(config, &status, &bytes), pack;
    double limit = s->bfloat16                                 ? 5e-3
                   : notes & NOTE(DOWN_CONVERT_INPUTS)         ? 1e-2
                   : notes & NOTE(REDUCED_PRECISION_REDUCTION) ? 1e-2
                   : notes & NOTE(TENSOR_CORE)                 ? 1e-3
                                                               : 2e-6;
    double difference;

    if (status != CUDNN_STATUS_SUCCESS || bytes > 1 << 24)
        return 0;
    if (bytes > 0)
        OK(cudaMalloc(&workspace, (size_t)bytes));
    pack = pack_of(s->bias ? 4 : 3, ids, memory, workspace);
    DNN(cudnnBackendFinalize(pack));
    OK(cudaMemsetAsync(out->memory, 0xFF, out->count * (s->bfloat16 ? 2 : 4), stream));
    status = cudnnBackendExecute(handle, plan, pack);
    if (status == CUDNN_STATUS_SUCCESS) {
        rig_download(out->values, out->memory, out->count, s->bfloat16, stream);
        difference = rig_difference(out->values, wanted, out->count);
        CHECK(difference < limit);
        if (!(difference < limit))
            printf("  notes %x: %g\n", notes, difference);
        if ((notes & NOTE(TENSOR_CORE)) && !s->bfloat16)
            CHECK(difference > 1e-6); /* it did round */
        engines_run |= 1u << (notes & 15);
    }
    OK(cudaFree(workspace));
    return status == CUDNN_STATUS_SUCCESS;
}

static void check_shape(struct shape s)
{
    cudnnBackendDescriptor_t configs[16], g = graph(&s);
    struct operand operands[4] = {operand(1, s.n * s.c * s.h * s.w, s.bfloat16),
                                  operand(2, s.k * s.c / s.groups * s.r * s.s, s.bfloat16),
                                  operand(3, s.n * s.k * s.oh * s.ow, s.bfloat16),
                                  operand(4, s.k, s.bfloat16)};
    struct operand *out = &operands[s.kind == FORWARD ? 2 : s.kind == DATA ? 0 : 1];
    double *wanted = calloc(out->count, sizeof *wanted);
    int64_t count, ran = 0;

    define(&s, operands[0].exact, operands[1].exact, operands[2].exact, operands[3].exact, wanted);
    DNN(cudnnBackendFinalize(g));
    count = ask(g, CUDNN_HEUR_MODE_A, configs, 12);
    for (int64_t i = 0; i < count; i++)
        ran += run_config(&s, configs[i], operands, out, wanted);
    CHECK(ask(g, CUDNN_HEUR_MODE_FALLBACK, configs, 1) == 1 &&
          run_config(&s, configs[0], operands, out, wanted));
    CHECK(ran >= 1 || s.c < 4);
    for (int i = 0; i < 4; i++)
        drop_operand(&operands[i]);
    free(wanted);
    drop_all();
}

static void test_shapes(void)
{
    static const struct shape shapes[] = {
        /* kind n c h w  k r s  stride  pre  post dilation groups bf16 bias relu */
        {FORWARD, 2, 3, 11, 9, 5, 3, 2, {2, 1}, {1, 0}, {0, 2}, 1, 1, 0, 0, 0, 0, 0},
        {FORWARD, 3, 8, 7, 6, 12, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1, 1, 0, 0, 0, 0, 0},
        {FORWARD, 1, 12, 5, 5, 8, 2, 3, {1, 2}, {2, 0}, {1, 3}, 2, 2, 0, 0, 0, 0, 0},
        {FORWARD, 2, 8, 6, 6, 20, 1, 1, {1, 1}, {0, 0}, {0, 0}, 1, 1, 0, 1, 1, 0, 0},
        {FORWARD, 2, 4, 6, 6, 4, 5, 5, {3, 3}, {2, 2}, {2, 2}, 1, 1, 0, 1, 0, 0, 0},
        {FORWARD, 2, 4, 6, 6, 4, 5, 5, {3, 3}, {2, 2}, {2, 2}, 1, 1, 0, 0, 1, 0, 0},
        {FORWARD, 2, 16, 5, 4, 24, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1, 1, 1, 1, 1, 0, 0},
        {FORWARD, 1, 70, 20, 21, 50, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1, 1, 0, 0, 0, 0, 0},
        {DATA, 2, 3, 11, 9, 5, 3, 2, {2, 1}, {1, 0}, {0, 2}, 1, 1, 0, 0, 0, 0, 0},
        {DATA, 3, 8, 7, 6, 12, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1, 1, 0, 0, 0, 0, 0},
        {DATA, 1, 12, 5, 5, 8, 2, 3, {1, 2}, {2, 0}, {1, 3}, 2, 2, 0, 0, 0, 0, 0},
        {DATA, 2, 16, 5, 4, 24, 3, 3, {2, 2}, {1, 1}, {1, 1}, 1, 1, 1, 0, 0, 0, 0},
        {FILTER, 2, 3, 11, 9, 5, 3, 2, {2, 1}, {1, 0}, {0, 2}, 1, 1, 0, 0, 0, 0, 0},
        {FILTER, 3, 8, 7, 6, 12, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1, 1, 0, 0, 0, 0, 0},
        {FILTER, 1, 12, 5, 5, 8, 2, 3, {1, 2}, {2, 0}, {1, 3}, 2, 2, 0, 0, 0, 0, 0},
        {FILTER, 2, 16, 5, 4, 24, 3, 3, {2, 2}, {1, 1}, {1, 1}, 1, 1, 1, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check_shape(shapes[i]);
    CHECK(engines_run & 1u << 0);
    CHECK(engines_run & 1u << NOTE(TENSOR_CORE));
    CHECK(engines_run & 1u << (NOTE(TENSOR_CORE) | NOTE(DOWN_CONVERT_INPUTS)));
}

static const struct shape small = {FORWARD, 2,      8, 6, 6, 8, 3, 3, {1, 1},
                                   {1, 1},  {1, 1}, 1, 1, 0, 0, 0, 0, 0};

/* Rules for tensors: each value alone is refused, and nothing else. */
static void test_tensor_rules(void)
{
    const int64_t dims[] = {2, 3, 4, 5}, strides[] = {60, 1, 15, 3}, zero_dim[] = {2, 0, 4, 5},
                  zero_stride[] = {60, 1, 0, 3};
    const int64_t one = 1, three = 3, huge[] = {70000, 70000, 1, 1};
    const bool yes = true;
    cudnnBackendDescriptor_t d;

    DNN(cudnnBackendFinalize(raw_tensor(1, dims, strides, CUDNN_DATA_FLOAT, 16, false)));
    CHECK(cudnnBackendFinalize(raw_tensor(1, zero_dim, strides, CUDNN_DATA_FLOAT, 16, false)) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendFinalize(raw_tensor(1, dims, zero_stride, CUDNN_DATA_FLOAT, 16, false)) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendFinalize(raw_tensor(1, dims, strides, CUDNN_DATA_FLOAT, 12, false)) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendFinalize(raw_tensor(1, dims, strides, CUDNN_DATA_FLOAT, 2, false)) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendFinalize(raw_tensor(1, huge, strides, CUDNN_DATA_FLOAT, 16, false)) ==
          CUDNN_STATUS_BAD_PARAM);
    d = raw_tensor(1, dims, strides, CUDNN_DATA_FLOAT, 16, false);
    DNN(set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 3, strides));
    CHECK(cudnnBackendFinalize(d) == CUDNN_STATUS_BAD_PARAM);

    d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    CHECK(set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_FLOAT, 1, &one) ==
          CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    CHECK(set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 2, dims) == CUDNN_STATUS_BAD_PARAM);
    CHECK(set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, NULL) == CUDNN_STATUS_BAD_PARAM);
    CHECK(set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 1, &one) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendFinalize(d) == CUDNN_STATUS_BAD_PARAM); /* attributes are missing */
    d = tensor(1, 1, 2, 3, 4, 0, false);
    CHECK(set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &three) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes) ==
          CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendFinalize(d) == CUDNN_STATUS_BAD_PARAM);
    drop_all();
    CHECK(cudnnBackendDestroyDescriptor(d) == CUDNN_STATUS_BAD_PARAM);
}

/* Rules for operations and graphs. */
static void test_graph_rules(void)
{
    struct shape s = small;
    cudnnBackendDescriptor_t x = tensor(1, 2, 8, 6, 6, 0, false),
                             w = tensor(2, 8, 8, 3, 3, 0, false);
    cudnnBackendDescriptor_t y = tensor(3, 2, 8, 6, 6, 0, false),
                             tall = tensor(3, 2, 8, 7, 6, 0, false);
    cudnnBackendDescriptor_t odd = tensor(2, 8, 3, 3, 3, 0, false),
                             hidden = tensor(5, 2, 8, 6, 6, 0, true);
    cudnnBackendDescriptor_t twin = tensor(1, 2, 8, 6, 5, 0, false), raw, operations[2], configs[1];
    const int64_t dims[] = {2, 8, 6, 6}, planar[] = {288, 36, 6, 1};

    CHECK(cudnnBackendFinalize(convolution(&s, x, w, tall)) ==
          CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH);
    CHECK(cudnnBackendFinalize(convolution(&s, x, odd, y)) ==
          CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH);
    raw = raw_tensor(1, dims, planar, CUDNN_DATA_FLOAT, 16, false);
    operations[0] = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    CHECK(set(operations[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw) == CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    CHECK(set(operations[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x) == CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE);
    /* A layout that no engine knows. */
    DNN(cudnnBackendFinalize(raw));
    operations[0] = convolution(&s, raw, w, y);
    DNN(cudnnBackendFinalize(operations[0]));
    raw = graph_of(1, operations);
    DNN(cudnnBackendFinalize(raw));
    CHECK(ask(raw, CUDNN_HEUR_MODE_A, configs, 1) == 0 &&
          ask(raw, CUDNN_HEUR_MODE_FALLBACK, configs, 1) == 0);
    /* The output of the whole is virtual. */
    operations[0] = convolution(&s, x, w, hidden);
    DNN(cudnnBackendFinalize(operations[0]));
    CHECK(cudnnBackendFinalize(graph_of(1, operations)) == CUDNN_STATUS_BAD_PARAM);
    /* What lies between is not. */
    operations[0] = convolution(&s, x, w, y);
    DNN(cudnnBackendFinalize(operations[0]));
    operations[1] = pointwise(CUDNN_POINTWISE_RELU_FWD, y, NULL, tensor(7, 2, 8, 6, 6, 0, false));
    CHECK(cudnnBackendFinalize(graph_of(2, operations)) ==
          CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN);
    /* One id, two tensors. */
    s.w = 5;
    operations[0] = convolution(&s, twin, w, tensor(3, 2, 8, 6, 5, 0, true));
    DNN(cudnnBackendFinalize(operations[0]));
    operations[1] = pointwise(CUDNN_POINTWISE_RELU_FWD, tensor(3, 2, 8, 6, 5, 0, true), NULL,
                              tensor(1, 2, 8, 6, 5, 1, false));
    CHECK(cudnnBackendFinalize(graph_of(2, operations)) ==
          CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
    drop_all();
}

/* Rules for plans, packs and execution. */
static void test_execute_rules(void)
{
    struct shape s = small;
    cudnnBackendDescriptor_t g = graph(&s), configs[1], plan, pack;
    struct operand x = operand(1, 2 * 8 * 36, 0), w = operand(2, 8 * 8 * 9, 0),
                   y = operand(3, 2 * 8 * 36, 0);
    const int64_t ids[] = {1, 2, 3}, wrong[] = {1, 2, 9}, twice[] = {1, 2, 2};
    void *const memory[] = {x.memory, w.memory, y.memory}, *const same[] = {x.memory, w.memory,
                                                                            x.memory};
    void *const small_y[] = {x.memory, w.memory, (char *)y.memory + 1024};
    void *const odd_y[] = {x.memory, w.memory, (char *)y.memory + 8};
    cudnnStatus_t status;
    int64_t workspace = -1;
    cudaStream_t other;

    DNN(cudnnBackendFinalize(g));
    CHECK(ask(g, CUDNN_HEUR_MODE_FALLBACK, configs, 1) == 1);
    plan = plan_of(configs[0], &status, &workspace);
    CHECK(status == CUDNN_STATUS_SUCCESS && workspace == 0);
    pack = pack_of(3, ids, memory, NULL);
    CHECK(cudnnBackendExecute(handle, plan, pack) == CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    CHECK(cudnnBackendFinalize(pack_of(3, twice, memory, NULL)) ==
          CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
#define PACK(identifiers, pointers)                                                                \
    (pack = pack_of(3, identifiers, pointers, NULL), cudnnBackendFinalize(pack), pack)
    CHECK(cudnnBackendExecute(handle, plan, PACK(wrong, memory)) == CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendExecute(handle, plan, PACK(ids, same)) == CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendExecute(handle, plan, PACK(ids, small_y)) == CUDNN_STATUS_BAD_PARAM);
    CHECK(cudnnBackendExecute(handle, plan, PACK(ids, odd_y)) ==
          CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
    OK(cudaSetDevice(1));
    CHECK(cudnnBackendExecute(handle, plan, PACK(ids, memory)) == CUDNN_STATUS_BAD_PARAM);
    other = rig_stream();
    OK(cudaSetDevice(0));
    CHECK(cudnnSetStream(handle, other) == CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
    CHECK(cudnnSetStream(handle, NULL) == CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
    DNN(cudnnBackendExecute(handle, plan, PACK(ids, memory)));
    OK(cudaStreamSynchronize(stream));
    OK(cudaStreamDestroy(other));
    drop_operand(&x);
    drop_operand(&w);
    drop_operand(&y);
    drop_all();
}

/* Turing has neither bfloat16 nor TF32. */
static void test_capability(void)
{
    struct shape s = small;
    cudnnBackendDescriptor_t configs[12], g;
    int64_t count;

    CHECK(standin_set("STANDIN_CAPABILITY", "7.5") == 0);
    g = graph(&s);
    DNN(cudnnBackendFinalize(g));
    count = ask(g, CUDNN_HEUR_MODE_A, configs, 12);
    CHECK(count > 0);
    for (int64_t i = 0; i < count; i++)
        CHECK((notes_of(configs[i]) & NOTE(TENSOR_CORE)) == 0);
    drop_all();
    s.bfloat16 = 1;
    g = graph(&s);
    DNN(cudnnBackendFinalize(g));
    CHECK(ask(g, CUDNN_HEUR_MODE_A, configs, 12) == 0 &&
          ask(g, CUDNN_HEUR_MODE_FALLBACK, configs, 1) == 0);
    drop_all();
    CHECK(standin_set("STANDIN_CAPABILITY", "8.0") == 0);
}

static void test_rounding(void)
{
    CHECK(bfloat16_of(1.0f) == 0x3F80 && bfloat16_of(-2.0f) == 0xC000);
    CHECK(bfloat16_of(float_of(0x3F808000)) == 0x3F80); /* a tie goes to the even one, */
    CHECK(bfloat16_of(float_of(0x3F818000)) == 0x3F82); /* upwards too */
    CHECK(bfloat16_of(float_of(0x3F808001)) == 0x3F81 &&
          bfloat16_of(float_of(0x7F7FFFFF)) == 0x7F80);
    CHECK(bfloat16_of(NAN) != 0x7F80 && isnan(float_of_bfloat16(bfloat16_of(NAN))));
    CHECK(bits_of(round_tf32(float_of(0x3F801000))) == 0x3F800000 &&
          bits_of(round_tf32(float_of(0x3F803000))) == 0x3F804000);
}

int main(void)
{
    size_t before = standin_leaks(NULL);

    standin_set("STANDIN_QUIET", getenv("STANDIN_QUIET") != NULL ? getenv("STANDIN_QUIET") : "1");
    standin_set("STANDIN_DEVICES", "2");
    stream = rig_stream();
    DNN(cudnnCreate(&handle));
    DNN(cudnnSetStream(handle, stream));
    test_rounding();
    test_shapes();
    test_tensor_rules();
    test_graph_rules();
    test_execute_rules();
    test_capability();
    DNN(cudnnDestroy(handle));
    OK(cudaStreamDestroy(stream));
    CHECK(standin_leaks(stdout) == before);
    return test_finish();
}
