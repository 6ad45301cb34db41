/*
 * Copies between layouts, of all channels of a tensor or of some: reorders, slices and
 * concatenation.
 */
#ifndef HMT_ONEDNN_COPY_H
#define HMT_ONEDNN_COPY_H

#include "exec.h"

/* Where the elements of a tensor of up to four dimensions lie, in floats: (n,c,h,w) at n*step[0] +
 * c/lanes*step[1] + c%lanes + h*step[2] + w*step[3]. */
typedef struct elements {
    int64_t size[4], step[4];
    int64_t lanes;  /* of a block of channels; else 1 */
    int64_t filled; /* channels and the zeros behind them */
} elements;

/* Those of a descriptor; 0 if its layout is not known. */
int copy_elements_of(const_dnnl_memory_desc_t md, elements *out);
/* Copies a whole tensor, on the calling thread; 0 if a layout is not known or they differ in size.
 */
int copy_whole(const_dnnl_memory_desc_t from_md, const float *from, const_dnnl_memory_desc_t to_md,
               float *to);

/* Appends a copy of `count` channels of one buffer to another. */
void copy_channels(exec *e, int32_t from, int64_t from_channel, int32_t to, int64_t to_channel,
                   int64_t count);

#endif
