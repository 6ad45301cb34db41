/*
 * HMTNet (paper, sections 3.1 and 3.2, figure 1, table 1): a batch-normalised VGG-M-Face trunk with
 * two feature aggregators, whose end is ANet, and the branches GNet and RNet. Layer and parameter
 * names are those of the checkpoint that the authors released. Sizes in comments: C x H x W at
 * width 1.
 */
#include <stdio.h>

#include "models/models.h"

/* conv -> batch norm -> relu; conv5 has bn53 and relu5. */
static int32_t block(graph *g, const hmt_model_config *config, int32_t in, int number,
                     int64_t channels, int32_t kernel, int32_t stride, int32_t pad)
{
    char conv[GRAPH_NAME], norm[GRAPH_NAME], relu[GRAPH_NAME];

    snprintf(conv, sizeof conv, "conv%d", number);
    snprintf(norm, sizeof norm, "bn%d", 48 + number);
    snprintf(relu, sizeof relu, "relu%d", number);
    in = graph_conv(g, conv, in, models_channels(config, channels), kernel, stride, pad, 1, true);
    return graph_relu(g, relu, graph_batch_norm(g, norm, in, true));
}

/*
 * GNet or RNet (table 1): conv 256 k3 -> conv 128 k3 -> max pool 3 -> conv k k1 s2, each conv with
 * batch norm and relu, then the average over the map gives one logit a class. `letter` is g or r:
 * gbranch.gconv1, gbranch.gbn1, ...
 */
static int32_t branch(graph *g, const hmt_model_config *config, int32_t in, char letter,
                      int32_t classes)
{
    static const struct {
        int64_t channels;
        int32_t kernel, stride;
    } layer[3] = {{256, 3, 1}, {128, 3, 1}, {0, 1, 2}};
    char name[GRAPH_NAME];

    for (int i = 0; i < 3; ++i) {
        int64_t channels = i < 2 ? models_channels(config, layer[i].channels) : classes;

        snprintf(name, sizeof name, "%cbranch.%cconv%d", letter, letter, i + 1);
        in = graph_conv(g, name, in, channels, layer[i].kernel, layer[i].stride, 0, 1, true);
        snprintf(name, sizeof name, "%cbranch.%cbn%d", letter, letter, i + 1);
        in = graph_batch_norm(g, name, in, true);
        snprintf(name, sizeof name, "%cbranch.%crelu%d", letter, letter, i + 1);
        in = graph_relu(g, name, in);
        if (i == 1) {
            snprintf(name, sizeof name, "%cbranch.%cpool", letter, letter);
            in = graph_max_pool(g, name, in, 3, 3, 0, false);
        }
    }
    snprintf(name, sizeof name, "%cbranch.%cmean", letter, letter);
    return graph_global_pool(g, name, in);
}

hmt_status models_build_hmtnet(const hmt_model_config *config, graph *g)
{
    bool average = config->aggregator == HMT_AGGREGATOR_AVERAGE;
    int32_t x, relu3, relu5, agg1, fc6, fc7, relu7;

    x = graph_input(g, "input", 3, 224, 224);
    x = block(g, config, x, 1, 96, 7, 2, 0);           /* 96 x 109 x 109 */
    x = graph_max_pool(g, "pool1", x, 3, 2, 0, false); /* 96 x 54 x 54 */
    x = block(g, config, x, 2, 256, 5, 2, 1);          /* 256 x 26 x 26 */
    x = graph_max_pool(g, "pool2", x, 3, 2, 0, true);  /* 256 x 13 x 13 */
    relu3 = block(g, config, x, 3, 512, 3, 1, 1);      /* 512 x 13 x 13 */
    x = block(g, config, relu3, 4, 512, 3, 1, 1);
    relu5 = block(g, config, x, 5, 512, 3, 1, 1);

    /* Aggregator 1 reads conv3 and bn4 before what follows them (section 3.2). */
    if (average) {
        const int32_t in[3] = {graph_find_node(g, "conv3"), relu3, relu5};
        agg1 = graph_average(g, "agg1", in, 3); /* 512 x 13 x 13 */
    } else {
        const int32_t in[2] = {graph_find_node(g, "bn52"), relu5};
        agg1 = graph_concat(g, "agg1", in, 2); /* 1024 x 13 x 13 */
    }

    x = graph_max_pool(g, "pool5", agg1, 3, 2, 0, false); /* 6 x 6 */
    fc6 =
        graph_conv(g, "fc6", x, models_channels(config, 4096), 6, 1, 0, 1, true); /* 4096 x 1 x 1 */
    x = graph_relu(g, "relu6", graph_batch_norm(g, "bn54", fc6, false));
    fc7 = graph_conv(g, "fc7", x, models_channels(config, 4096), 1, 1, 0, 1, true);
    relu7 = graph_relu(g, "relu7", graph_batch_norm(g, "bn55", fc7, true));
    {
        const int32_t in[3] = {fc6, fc7, relu7};
        x = graph_average(g, "agg2", in, 3);
    }
    x = graph_conv(g, "fc8", x, 1, 1, 1, 0, 1, true);
    graph_head_add(g, HMT_TASK_ATTRACTIVENESS, x, 0);

    x = branch(g, config, relu3, 'g', config->gender_classes);
    graph_head_add(g, HMT_TASK_GENDER, x, config->gender_classes);
    x = branch(g, config, config->wiring == HMT_WIRING_PAPER ? relu5 : agg1, 'r',
               config->race_classes);
    graph_head_add(g, HMT_TASK_RACE, x, config->race_classes);
    return graph_finish(g);
}
