/*
 * The CPU kernels' level of 16 lanes, which few processors have, for any of them: the compiler
 * splits its vectors.
 */
#define TABLE kernels_wide
#define LEVEL "wide"
#define LANES 16
#define ROWS 14
#include "kernels_wide.h"
#include "onednn/kernels/level_body.h"
