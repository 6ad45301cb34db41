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

/* An image's block of channels: the first, counted through all images, and how many there are. */
typedef struct layout_block {
    int64_t channel, count;
} layout_block;

static inline layout_block layout_block_of(const layout *l, int64_t block)
{
    const int64_t first = block % l->blocks * l->lanes, left = l->channels - first;

    return (layout_block){block / l->blocks * l->channels + first,
                          left < l->lanes ? left : l->lanes};
}

/* Appends a loop over a buffer of this layout, which is its state, that writes another. */
void layout_loop(exec *e, exec_shared_loop *loop, const layout *l, int32_t from, int32_t to);

#endif
