/* The kernels for x86-64 with AVX-512 and its VNNI: products of 16-bit integers are added at once.
 */
#define TABLE kernels_avx512vnni
#define LEVEL "avx512vnni"
#define LANES 16
#define ROWS 14
#define LOAD_F16(p) ((vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(p))))
#define MADD_TO(sum, a, b) ((ints)_mm512_dpwssd_epi32((__m512i)(sum), (__m512i)(a), (__m512i)(b)))
#define LARGER(a, b) ((vec)_mm512_max_ps((a), (b)))
#define LARGER_INTS(a, b) ((ints)_mm512_max_epi32((__m512i)(a), (__m512i)(b)))
#define INTEGERS_FASTER 1
#define STREAM(p, v) _mm512_stream_ps((p), (v))
#define STREAM_END() _mm_sfence()
#include <immintrin.h>

#include "level_body.h"
