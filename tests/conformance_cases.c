/*
 * The suite's small networks. Each reads a map made by a 3x3 convolution ("probe", whose gradient
 * shows every element of the map's), does one thing to it, and ends in a classifier and a
 * regression, so that the map under test has two readers. The case's number picks the channels, the
 * batch and the loss, all odd sizes.
 */
#include <stdio.h>
#include <string.h>

#include "conformance.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { TAIL_NONE, TAIL_RELU, TAIL_NORM, TAIL_NORM_RELU, TAIL_COUNT };

static const char *const tail_names[TAIL_COUNT] = {"", ", relu", ", norm", ", norm, relu"};

/* What may follow the thing under test. */
static int32_t tail(graph *g, int32_t x, int kind)
{
    if (kind == TAIL_NORM || kind == TAIL_NORM_RELU)
        x = graph_batch_norm(g, "norm", x, true);
    if (kind == TAIL_RELU || kind == TAIL_NORM_RELU)
        x = graph_relu(g, "relu", x);
    return x;
}

/* An input of two channels and the probe behind it: (channels, height, width). */
static int32_t probe(graph *g, int64_t channels, int64_t height, int64_t width)
{
    int32_t x = graph_input(g, "input", 2, height, width);

    return graph_conv(g, "probe", x, channels, 3, 1, 1, 1, true);
}

/* ---------------------------------------------------------------------------- convolutions ------
 */

static const struct {
    int in, out, kernel, stride, pad, groups, bias, height, width;
} convs[] = {
    {1, 1, 1, 1, 0, 1, 1, 3, 3},    {3, 5, 3, 1, 1, 1, 1, 7, 5},    {5, 12, 3, 2, 1, 1, 0, 7, 5},
    {12, 17, 1, 1, 0, 1, 1, 7, 5},  {17, 3, 5, 2, 1, 1, 1, 13, 13}, {12, 12, 3, 1, 1, 12, 1, 7, 5},
    {12, 24, 3, 2, 1, 4, 0, 9, 9},  {6, 9, 3, 1, 1, 3, 1, 7, 5},    {16, 32, 3, 1, 1, 1, 1, 13, 13},
    {3, 12, 7, 2, 0, 1, 1, 31, 29}, {8, 8, 5, 1, 2, 1, 0, 7, 5},    {5, 12, 6, 1, 0, 1, 1, 6, 6},
    {4, 6, 3, 1, 0, 2, 1, 3, 3},    {3, 5, 1, 2, 0, 1, 1, 7, 5},    {3, 4, 2, 2, 1, 1, 1, 7, 5},
    {17, 17, 3, 1, 2, 1, 1, 7, 5},  {3, 5, 3, 3, 1, 1, 0, 10, 11},  {32, 16, 3, 1, 1, 1, 1, 28, 30},
    {12, 5, 1, 1, 0, 1, 0, 1, 1},   {15, 23, 3, 1, 1, 1, 1, 9, 7},
};

static void conv_case(int index, graph *g, conformance_case *k)
{
    int kind = index % TAIL_COUNT;
    int32_t x;

    index /= TAIL_COUNT;
    if (kind >= TAIL_NORM && k->batch < 4) /* of two values a norm leaves only the signs */
        k->batch = 4;
    x = probe(g, convs[index].in, convs[index].height, convs[index].width);
    x = graph_conv(g, "conv", x, convs[index].out, convs[index].kernel, convs[index].stride,
                   convs[index].pad, convs[index].groups, convs[index].bias);
    k->tested = tail(g, x, kind);
    snprintf(k->name, sizeof k->name, "conv %d->%d k%d s%d p%d g%d%s on %dx%d%s", convs[index].in,
             convs[index].out, convs[index].kernel, convs[index].stride, convs[index].pad,
             convs[index].groups, convs[index].bias ? "" : " no bias", convs[index].height,
             convs[index].width, tail_names[kind]);
}

/* ---------------------------------------------------------------------------- linear ------------
 */

static const struct {
    int in, height, width, out, bias, relu, flatten;
} linears[] = {
    {1, 1, 1, 1, 1, 0, 0},   {5, 7, 5, 12, 1, 1, 0},   {17, 3, 3, 17, 0, 0, 1},
    {300, 1, 1, 5, 1, 1, 0}, {3, 13, 13, 48, 1, 0, 1}, {12, 2, 3, 1, 0, 1, 1},
    {4, 2, 2, 3, 1, 1, 1},
};

/* The last with so many images that a backend may take them in parts. */
static void linear_case(int index, graph *g, conformance_case *k)
{
    int32_t x;

    x = probe(g, linears[index].in, linears[index].height, linears[index].width);
    if (linears[index].flatten)
        x = graph_flatten(g, "flatten", x);
    x = graph_linear(g, "linear", x, linears[index].out, linears[index].bias);
    k->tested = tail(g, x, linears[index].relu ? TAIL_RELU : TAIL_NONE);
    if (index == COUNT(linears) - 1)
        k->batch = 131;
    snprintf(k->name, sizeof k->name, "linear %dx%dx%d->%d%s%s%s", linears[index].in,
             linears[index].height, linears[index].width, linears[index].out,
             linears[index].bias ? "" : " no bias", linears[index].flatten ? ", flattened" : "",
             linears[index].relu ? ", relu" : "");
}

/* ---------------------------------------------------------------------------- pools -------------
 */

static const struct {
    int kernel, stride, pad, ceil;
} pools[] = {{2, 2, 0, 0}, {3, 2, 0, 0}, {3, 2, 0, 1}, {3, 1, 1, 0},
             {3, 3, 0, 1}, {3, 2, 1, 1}, {5, 1, 2, 0}, {2, 1, 0, 0}};

static const struct {
    int channels, height, width;
} maps[] = {{1, 7, 5}, {3, 12, 12}, {17, 13, 13}, {5, 8, 11}, {9, 3, 3}};

static void pool_case(int index, graph *g, conformance_case *k)
{
    static const char *const kinds[] = {"max pool", "average pool", "average pool inside"};
    int kind = index % 3, pool = index / 3 % COUNT(pools), map = index / 3 / COUNT(pools);
    int32_t x;

    x = probe(g, maps[map].channels, maps[map].height, maps[map].width);
    if (kind == 0)
        x = graph_max_pool(g, "pool", x, pools[pool].kernel, pools[pool].stride, pools[pool].pad,
                           pools[pool].ceil);
    else
        x = graph_average_pool(g, "pool", x, pools[pool].kernel, pools[pool].stride,
                               pools[pool].pad, pools[pool].ceil, kind == 2);
    k->tested = tail(g, x, map % 2 ? TAIL_RELU : TAIL_NONE);
    snprintf(k->name, sizeof k->name, "%s k%d s%d p%d%s on %dx%dx%d%s", kinds[kind],
             pools[pool].kernel, pools[pool].stride, pools[pool].pad,
             pools[pool].ceil ? " ceil" : "", maps[map].channels, maps[map].height, maps[map].width,
             map % 2 ? ", relu" : "");
}

/* ---------------------------------------------------------------------------- batch norms -------
 */

static const int norm_channels[] = {1, 3, 5, 12, 17};

static void norm_case(int index, graph *g, conformance_case *k)
{
    bool relu = index % 2, affine = index / 2 % 2, small = index / 4 % 2, alone = index / 8 % 2;
    int channels = index / 16;
    int32_t x;

    channels = norm_channels[channels];
    x = probe(g, channels, small ? 1 : 7, small ? 1 : 5);
    if (alone) /* nothing before it that it could be folded into */
        x = graph_average_pool(g, "pool", x, 1, 1, 0, false, false);
    x = graph_batch_norm(g, "norm", x, affine);
    k->tested = tail(g, x, relu ? TAIL_RELU : TAIL_NONE);
    k->batch = small ? 5 : k->batch;
    snprintf(k->name, sizeof k->name, "batch norm of %d channels on %s%s%s%s", channels,
             small ? "1x1" : "7x5", affine ? "" : ", not affine", alone ? ", alone" : "",
             relu ? ", relu" : "");
}

/* A batch norm and a max pool that alone reads its result or has another reader beside it, which
 * backends compute together, too. */
static void norm_pool_case(int index, graph *g, conformance_case *k)
{
    const int pool = index % COUNT(pools), map = index / COUNT(pools);
    const bool relu = (pool + map) % 3 > 0, affine = (pool + map) % 5 > 0;
    const bool shared = (pool + map) % 4 == 3;
    int32_t x = probe(g, maps[map].channels, maps[map].height, maps[map].width), read[2];

    x = graph_batch_norm(g, "norm", x, affine);
    x = read[0] = tail(g, x, relu ? TAIL_RELU : TAIL_NONE);
    x = graph_max_pool(g, "pool", x, pools[pool].kernel, pools[pool].stride, pools[pool].pad,
                       pools[pool].ceil);
    if (shared) {
        read[0] = graph_global_pool(g, "beside", read[0]);
        read[1] = graph_global_pool(g, "mean", x);
        x = graph_add(g, "join", read, 2);
    }
    if ((pool + map) % 4 == 1) { /* a reader that hands no gradient back */
        graph_head_add(g, HMT_TASK_RACE, graph_linear(g, "beside", read[0], 3, true), 3);
        k->trained_tasks = HMT_TASKS_GENDER | HMT_TASKS_ATTRACTIVENESS;
    }
    k->tested = graph_linear(g, "linear", x, 12, true);
    k->batch = k->batch < 4 ? 4 : k->batch;
    snprintf(k->name, sizeof k->name, "batch norm%s%s, max pool k%d s%d p%d%s%s on %dx%dx%d",
             affine ? "" : ", not affine", relu ? ", relu" : "", pools[pool].kernel,
             pools[pool].stride, pools[pool].pad, pools[pool].ceil ? " ceil" : "",
             shared ? ", shared" : "", maps[map].channels, maps[map].height, maps[map].width);
}

/* ---------------------------------------------------------------------------- combinations ------
 */

/* The probe's map and three others of its shape. */
static void sources(graph *g, int32_t map[4], int64_t channels)
{
    map[0] = probe(g, channels, 7, 5);
    map[1] = graph_relu(g, "source1", map[0]);
    map[2] = graph_conv(g, "source2", map[1], channels, 3, 1, 1, 1, true);
    map[3] = graph_batch_norm(g, "source3", map[2], true);
}

static int32_t residual(graph *g)
{
    int32_t x = graph_relu(g, "relu1", probe(g, 12, 7, 5)), in[2];

    in[1] = x;
    x = graph_conv(g, "conv1", x, 12, 3, 1, 1, 1, false);
    x = graph_relu(g, "relu2", graph_batch_norm(g, "norm1", x, true));
    x = graph_conv(g, "conv2", x, 12, 3, 1, 1, 1, false);
    in[0] = graph_batch_norm(g, "norm2", x, true);
    return graph_relu(g, "relu3", graph_add(g, "add", in, 2));
}

/* Combines, in order of index: sums, averages and concatenations of 2, 3 and 4 maps, with and
 * without relu; then an average whose factor can move into the convolution behind it, a residual
 * block, and the aggregator as HMTNet has it. */
static void combination_case(int index, graph *g, conformance_case *k)
{
    static const char *const kinds[] = {"add", "average", "concat"};
    int32_t map[4], x;
    int count = 2 + index / 3 % 3;
    bool relu = index / 9 % 2;

    if (index < 18) {
        sources(g, map, 5);
        x = index % 3 == 0   ? graph_add(g, "join", map, count)
            : index % 3 == 1 ? graph_average(g, "join", map, count)
                             : graph_concat(g, "join", map, count);
        k->tested = tail(g, x, relu ? TAIL_RELU : TAIL_NONE);
        snprintf(k->name, sizeof k->name, "%s of %d%s", kinds[index % 3], count,
                 relu ? ", relu" : "");
    } else if (index < 20) {
        sources(g, map, 12);
        x = graph_average(g, "join", map + 1, 3);
        x = graph_max_pool(g, "pool", x, 2, 1, 0, false);
        x = graph_conv(g, "conv", x, 17, index == 18 ? 1 : 3, 1, 0, 1, true);
        k->tested = graph_relu(g, "relu", graph_batch_norm(g, "norm", x, true));
        snprintf(k->name, sizeof k->name, "aggregator, pool, conv k%d", index == 18 ? 1 : 3);
    } else if (index == 20) {
        k->tested = residual(g);
        snprintf(k->name, sizeof k->name, "residual block");
    } else {
        x = graph_global_pool(g, "mean", graph_relu(g, "relu", probe(g, 17, 7, 5)));
        k->tested = x;
        snprintf(k->name, sizeof k->name, "global pool");
    }
}

/* ---------------------------------------------------------------------------- dropout, losses ---
 */

static void dropout_case(int index, graph *g, conformance_case *k)
{
    static const float drop[] = {0.0f, 0.2f, 0.5f};
    bool relu = index / 3 % 2;
    int32_t x;

    x = tail(g, probe(g, 5, 7, 5), relu ? TAIL_RELU : TAIL_NONE);
    x = graph_dropout(g, "dropout", x, drop[index % 3]);
    k->tested = graph_linear(g, "linear", x, 12, true);
    snprintf(k->name, sizeof k->name, "dropout %.1f%s", (double)drop[index % 3],
             relu ? " after relu" : "");
}

static void loss_case(int index, graph *g, conformance_case *k)
{
    static const char *const names[] = {"smooth huber", "mse", "l1", "smooth l1"};
    static const uint32_t tasks[] = {HMT_TASKS_ALL, HMT_TASKS_ATTRACTIVENESS, HMT_TASKS_GENDER};

    k->tested = graph_relu(g, "relu", probe(g, 3, 7, 5));
    k->loss = (hmt_loss)(index % 4);
    k->trained_tasks = tasks[index / 4];
    k->batch = 5;
    snprintf(k->name, sizeof k->name, "loss %s, trained tasks %u", names[index % 4],
             (unsigned)k->trained_tasks);
}

/* ---------------------------------------------------------------------------- first layers ------
 */

static const struct {
    int in, out, kernel, stride, pad, height, width;
} firsts[] = {
    {3, 17, 7, 2, 0, 51, 67},  {1, 8, 3, 1, 1, 9, 31},   {4, 33, 5, 2, 2, 24, 70},
    {3, 12, 11, 4, 2, 47, 90}, {2, 40, 3, 3, 0, 23, 25}, {5, 16, 3, 1, 1, 9, 9},
    {3, 5, 12, 4, 0, 36, 44},  {3, 20, 8, 2, 3, 40, 61},
};

/* A convolution that reads the images, and a max pool that alone reads its result or has another
 * reader beside it: what backends compute together. */
static void first_case(int index, graph *g, conformance_case *k)
{
    static const struct {
        int kernel, stride, pad, ceil;
    } behind[] = {{3, 2, 0, 0}, {2, 2, 0, 0}, {3, 2, 1, 0}, {3, 2, 0, 1}, {3, 1, 1, 0}, {0}};
    const int pool = index % COUNT(behind), first = index / COUNT(behind);
    const bool relu = (first + pool) % 3 > 0, shared = (first + pool) % 4 == 3;
    int32_t x =
        graph_input(g, "input", firsts[first].in, firsts[first].height, firsts[first].width);
    int32_t maps[2];

    x = graph_conv(g, "first", x, firsts[first].out, firsts[first].kernel, firsts[first].stride,
                   firsts[first].pad, 1, first % 2);
    x = maps[0] = tail(g, x, relu ? TAIL_RELU : TAIL_NONE);
    if (behind[pool].kernel > 0)
        x = graph_max_pool(g, "pool", x, behind[pool].kernel, behind[pool].stride, behind[pool].pad,
                           behind[pool].ceil);
    if (shared) {
        maps[0] = graph_global_pool(g, "beside", maps[0]);
        maps[1] = graph_global_pool(g, "mean", x);
        x = graph_add(g, "join", maps, 2);
    }
    k->tested = graph_linear(g, "linear", x, 12, true);
    snprintf(k->name, sizeof k->name, "first conv %d->%d k%d s%d p%d on %dx%d%s%s, pool %d",
             firsts[first].in, firsts[first].out, firsts[first].kernel, firsts[first].stride,
             firsts[first].pad, firsts[first].height, firsts[first].width, relu ? ", relu" : "",
             shared ? ", shared" : "", pool);
}

/* So many images that a backend may take several as one part of the batch. */
static void batch_case(int index, graph *g, conformance_case *k)
{
    const int size = index > 0 ? 5 : 3, stride = index > 0 ? 2 : 1;

    k->batch = 37;
    k->tested =
        graph_conv(g, "first", graph_input(g, "input", 3, 13, 15), 9, size, stride, 1, 1, true);
    snprintf(k->name, sizeof k->name, "first conv 3->9 k%d s%d on 13x15, batch %d", size, stride,
             k->batch);
}

/* ---------------------------------------------------------------------------- many tiles --------
 */

/* A map so wide, and of such a height, that a backend which cuts it into tiles meets many of one
 * kind before the first of another. */
static void wide_case(int index, graph *g, conformance_case *k)
{
    (void)index;
    k->batch = 1;
    k->tested = graph_conv(g, "conv", probe(g, 3, 7, 1601), 3, 3, 1, 1, 1, true);
    snprintf(k->name, sizeof k->name, "conv 3->3 on 7x1601");
}

/* ---------------------------------------------------------------------------- all ---------------
 */

static void add_heads(graph *g, int32_t x, int32_t classes)
{
    graph_head_add(g, HMT_TASK_GENDER, graph_linear(g, "logits", x, classes, true), classes);
    graph_head_add(g, HMT_TASK_ATTRACTIVENESS, graph_linear(g, "score", x, 1, true), 0);
}

bool conformance_build(int index, graph *g, conformance_case *out)
{
    static const struct {
        void (*build)(int index, graph *g, conformance_case *k);
        int count;
    } groups[] = {{conv_case, COUNT(convs) * TAIL_COUNT},
                  {linear_case, COUNT(linears)},
                  {pool_case, 3 * COUNT(pools) * COUNT(maps)},
                  {norm_case, 16 * COUNT(norm_channels)},
                  {norm_pool_case, COUNT(pools) * COUNT(maps)},
                  {combination_case, 22},
                  {dropout_case, 6},
                  {loss_case, 12},
                  {first_case, COUNT(firsts) * 6},
                  {wide_case, 1},
                  {batch_case, 2}};
    static const int32_t classes[] = {2, 3, 17};
    int group = 0, number = index;

    while (group < COUNT(groups) && number >= groups[group].count)
        number -= groups[group++].count;
    if (group == COUNT(groups))
        return false;
    *out = (conformance_case){.batch = 1 + index % 5,
                              .loss = (hmt_loss)(index % 4),
                              .delta = 0.6f,
                              .trained_tasks = HMT_TASKS_ALL};
    groups[group].build(number, g, out);
    add_heads(g, out->tested, classes[index % 3]);
    return true;
}
