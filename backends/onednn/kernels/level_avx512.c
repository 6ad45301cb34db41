/* The kernels for x86-64 with AVX-512 F, BW, DQ and VL: 32 registers of 16 floats. */
#define TABLE kernels_avx512
#define LEVEL "avx512"
#define LANES 16
#define ROWS 14
#define LOAD_F16(p) ((vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(p))))
#define MADD(a, b) ((ints)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define LARGER(a, b) ((vec)_mm512_max_ps((a), (b)))
#define STREAM(p, v) _mm512_stream_ps((p), (v))
#define STREAM_END() _mm_sfence()
#include <immintrin.h>

#include "level_body.h"
