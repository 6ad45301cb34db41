/*
 * What a model's file has beside its parameters: shared by loading and saving.
 */
#ifndef HMT_API_MODEL_FILE_H
#define HMT_API_MODEL_FILE_H

#include "graph/graph.h"

/* Scales of 8-bit weights are a tensor beside them, the weights' name with this behind it. */
#define SCALES "_scale"
enum { SCALES_NAME_SIZE = GRAPH_NAME + sizeof SCALES };

#endif
