/*
 * Spectra of a convolution's kernels, (point, panel of outputs, input, output in the panel).
 */
#ifndef HMT_ONEDNN_WINOGRAD_SPECTRA_H
#define HMT_ONEDNN_WINOGRAD_SPECTRA_H

#include "winograd_tiles.h"

/* The buffer of the spectra of a weight of the plan; w->stored receives how they are stored. */
int32_t winograd_spectra(exec *e, winograd *w, int32_t weight);
/* Bytes of a value of theirs. */
int64_t winograd_width(const winograd *w);

/* Describes weights (kh,kw,I,O) to the kernels. */
void winograd_outputs_last(winograd_kernel *k);

#endif
