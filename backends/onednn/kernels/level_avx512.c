/* The kernels for x86-64 with AVX-512 F, BW, DQ and VL: 32 registers of 16 floats. */
#define TABLE kernels_avx512
#define LEVEL "avx512"
#define LANES 16
#define ROWS 12
#include "level_body.h"
