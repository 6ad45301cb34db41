/* The kernels for x86-64 with AVX2, FMA and F16C: 16 registers of 8 floats. */
#define TABLE kernels_avx2
#define LEVEL "avx2"
#define LANES 8
#define ROWS 6
#define LOAD_F16(p) ((vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(p))))
#define MADD(a, b) ((ints)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define LARGER(a, b) ((vec)_mm256_max_ps((a), (b)))
#define STREAM(p, v) _mm256_stream_ps((p), (v))
#define STREAM_END() _mm_sfence()
#include <immintrin.h>

#include "level_body.h"
