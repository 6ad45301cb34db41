/*
 * The layouts that loops of ours know: dense maps, channels last, and blocks of 8 or 16 channels.
 * All are (rows, blocks, span, lanes): images, blocks of channels, positions, channels of a block.
 */
#ifndef HMT_ONEDNN_LAYOUT_H
#define HMT_ONEDNN_LAYOUT_H

#include "exec.h"

typedef struct layout {
    int64_t channels; /* those of the last block beyond it are zeros */
    int64_t rows, blocks, span, lanes;
} layout;

/* The layout of a descriptor of four dimensions; 0 if it is none of these. */
int layout_of(exec *e, const_dnnl_memory_desc_t md, layout *out);

/* Appends a loop that copies blocks of channels to dense maps; 0 if the buffers are not so. */
int layout_to_dense(exec *e, int32_t from, int32_t to);

#endif
