/*
 * Winograd's minimal filtering F(m,3), m = 2 to 6, in one dimension, after Lavin and Gray,
 * "Fast algorithms for convolutional neural networks" (CVPR 2016), section 4. Polynomials are taken
 * at 0, infinity and
 *   F(2,3): +-1
 *   F(3,3): +-a, c, with a = sqrt(1/2), c = 7/4: the error in float32 is that of F(2,3)
 *   F(4,3): +-a, +-b, with b = sqrt(2), in place of 1 and 2: all constants are then between 1/3 and
 *           5/2, and the error in float32 is a third
 *   F(5,3): +-1/2, +-1, d = 5/2: the error in float32 is that of F(6,3)
 *   F(6,3): +-1/2, +-1, +-2: the error in float32 is four times that of F(4,3) above. No three
 *           pairs that were searched, in steps of a tenth and at random around the best, were
 *           better by more than a tenth
 * N the product of a finite point's distances to the others,
 *   G row p = (1, p, p^2) / N, A^T column p = (1, p, .., p^(m-1)), infinity: (0,0,1) and (0,..,1),
 *   B^T row p = the coefficients of (x - q) (x - r) ... over the other finite points;
 * of F(6,3)'s point 0 both with the other sign.
 * Each function transforms one line: n = m + 2 values of `s` strides apart in place of a matrix.
 */
#ifndef HMT_ONEDNN_WINOGRAD_LINES_BODY_H
#define HMT_ONEDNN_WINOGRAD_LINES_BODY_H

#include "vectors.h"

#define POINT_A 0.70710678118654752f
#define POINT_B 1.41421356237309505f
#define POINT_C 1.75f
#define POINT_D 2.5f

/* The values at p and -p, of a polynomial's even and odd terms at p. */
KERNEL void pair(vec *to, const int s, vec even, vec odd)
{
    to[0] = even + odd;
    to[s] = even - odd;
}

/* B^T: n values to n. */
KERNEL void line_input(const int m, vec *to, const vec *x, const int s)
{
    if (m == 2) {
        to[0] = x[0] - x[2 * s];
        to[s] = x[s] + x[2 * s];
        to[2 * s] = x[2 * s] - x[s];
        to[3 * s] = x[s] - x[3 * s];
        return;
    }
    if (m == 3) { /* first by x - c, then by what is left */
        vec f0 = x[s] - POINT_C * x[0], f1 = x[2 * s] - POINT_C * x[s];
        vec f2 = x[3 * s] - POINT_C * x[2 * s], f3 = x[4 * s] - POINT_C * x[3 * s];

        to[0] = f2 - 0.5f * f0;
        pair(to + s, s, f2, POINT_A * f1);
        to[3 * s] = x[3 * s] - 0.5f * x[s];
        to[4 * s] = f3 - 0.5f * f1;
        return;
    }
    if (m == 5) { /* first by x - d, then as the other points ask */
        vec f0 = x[s] - POINT_D * x[0], f1 = x[2 * s] - POINT_D * x[s];
        vec f2 = x[3 * s] - POINT_D * x[2 * s], f3 = x[4 * s] - POINT_D * x[3 * s];
        vec f4 = x[5 * s] - POINT_D * x[4 * s], f5 = x[6 * s] - POINT_D * x[5 * s];

        to[0] = f4 - 1.25f * f2 + 0.25f * f0;
        pair(to + s, s, f4 - f2, 0.5f * (f3 - f1));
        pair(to + 3 * s, s, f4 - 0.25f * f2, f3 - 0.25f * f1);
        to[5 * s] = x[5 * s] - 1.25f * x[3 * s] + 0.25f * x[s];
        to[6 * s] = f5 - 1.25f * f3 + 0.25f * f1;
        return;
    }
    if (m == 6) { /* for each pair +-p: x (x^2 - q^2) (x^2 - r^2), times x or p */
        vec x1 = x[s], x2 = x[2 * s], x3 = x[3 * s], x4 = x[4 * s], x5 = x[5 * s], x6 = x[6 * s];
        vec even_half = x6 - 5.0f * x4 + 4.0f * x2, odd_half = x5 - 5.0f * x3 + 4.0f * x1;
        vec even_one = x6 - 4.25f * x4 + x2, odd_one = x5 - 4.25f * x3 + x1;
        vec even_two = x6 - 1.25f * x4 + 0.25f * x2, odd_two = x5 - 1.25f * x3 + 0.25f * x1;

        to[0] = (x[0] - x6) + 5.25f * (x4 - x2);
        pair(to + s, s, even_half, 0.5f * odd_half);
        pair(to + 3 * s, s, even_one, odd_one);
        pair(to + 5 * s, s, even_two, 2.0f * odd_two);
        to[7 * s] = (x[7 * s] - x1) + 5.25f * (x3 - x5);
        return;
    }
    vec x0 = x[0], x1 = x[s], x2 = x[2 * s], x3 = x[3 * s], x4 = x[4 * s], x5 = x[5 * s];
    vec even_a = x4 - 2.0f * x2, odd_a = x3 - 2.0f * x1;
    vec even_b = x4 - 0.5f * x2, odd_b = x3 - 0.5f * x1;

    to[0] = x0 + (x4 - 2.5f * x2);
    pair(to + s, s, even_a, POINT_A * odd_a);
    pair(to + 3 * s, s, even_b, POINT_B * odd_b);
    to[5 * s] = x1 + (x5 - 2.5f * x3);
}

/* A^T: n values to m. */
KERNEL void line_output(const int m, vec *to, const vec *x, const int s)
{
    vec sum = x[s] + x[2 * s], difference = x[s] - x[2 * s];

    if (m == 2) {
        to[0] = x[0] + sum;
        to[s] = difference - x[3 * s];
        return;
    }
    if (m == 3) {
        to[0] = x[0] + sum + x[3 * s];
        to[s] = POINT_A * difference + POINT_C * x[3 * s];
        to[2 * s] = 0.5f * sum + (POINT_C * POINT_C) * x[3 * s] + x[4 * s];
        return;
    }
    if (m == 5) { /* `sum` and `difference` of the points +-1/2 */
        vec sum_one = x[3 * s] + x[4 * s], difference_one = x[3 * s] - x[4 * s], d = x[5 * s];

        to[0] = x[0] + sum + sum_one + d;
        to[s] = 0.5f * difference + difference_one + 2.5f * d;
        to[2 * s] = 0.25f * sum + sum_one + 6.25f * d;
        to[3 * s] = 0.125f * difference + difference_one + 15.625f * d;
        to[4 * s] = 0.0625f * sum + sum_one + 39.0625f * d + x[6 * s];
        return;
    }
    if (m == 6) { /* `sum` and `difference` of the points +-1/2 */
        vec sum_one = x[3 * s] + x[4 * s], difference_one = x[3 * s] - x[4 * s];
        vec sum_two = x[5 * s] + x[6 * s], difference_two = x[5 * s] - x[6 * s];

        to[0] = x[0] + sum + sum_one + sum_two;
        to[s] = 0.5f * difference + difference_one + 2.0f * difference_two;
        to[2 * s] = 0.25f * sum + sum_one + 4.0f * sum_two;
        to[3 * s] = 0.125f * difference + difference_one + 8.0f * difference_two;
        to[4 * s] = 0.0625f * sum + sum_one + 16.0f * sum_two;
        to[5 * s] = 0.03125f * difference + difference_one + 32.0f * difference_two + x[7 * s];
        return;
    }
    vec sum_b = x[3 * s] + x[4 * s], difference_b = x[3 * s] - x[4 * s];

    to[0] = x[0] + sum + sum_b;
    to[s] = POINT_A * difference + POINT_B * difference_b;
    to[2 * s] = 0.5f * sum + 2.0f * sum_b;
    to[3 * s] = (0.5f * POINT_A) * difference + (2.0f * POINT_B) * difference_b + x[5 * s];
}

/* A: m values to n. */
KERNEL void line_spread(const int m, vec *to, const vec *y, const int s)
{
    if (m == 2) {
        to[0] = y[0];
        to[s] = y[0] + y[s];
        to[2 * s] = y[0] - y[s];
        to[3 * s] = -y[s];
        return;
    }
    if (m == 3) {
        vec even = y[0] + 0.5f * y[2 * s], odd = POINT_A * y[s];

        to[0] = y[0];
        pair(to + s, s, even, odd);
        to[3 * s] = y[0] + POINT_C * y[s] + (POINT_C * POINT_C) * y[2 * s];
        to[4 * s] = y[2 * s];
        return;
    }
    if (m == 5) {
        vec even_half = y[0] + 0.25f * y[2 * s] + 0.0625f * y[4 * s];
        vec odd_half = 0.5f * y[s] + 0.125f * y[3 * s];
        vec even_one = y[0] + y[2 * s] + y[4 * s], odd_one = y[s] + y[3 * s];

        to[0] = y[0];
        pair(to + s, s, even_half, odd_half);
        pair(to + 3 * s, s, even_one, odd_one);
        to[5 * s] =
            y[0] + 2.5f * y[s] + 6.25f * y[2 * s] + 15.625f * y[3 * s] + 39.0625f * y[4 * s];
        to[6 * s] = y[4 * s];
        return;
    }
    if (m == 6) {
        vec even_half = y[0] + 0.25f * y[2 * s] + 0.0625f * y[4 * s];
        vec odd_half = 0.5f * y[s] + 0.125f * y[3 * s] + 0.03125f * y[5 * s];
        vec even_one = y[0] + y[2 * s] + y[4 * s], odd_one = y[s] + y[3 * s] + y[5 * s];
        vec even_two = y[0] + 4.0f * y[2 * s] + 16.0f * y[4 * s];
        vec odd_two = 2.0f * y[s] + 8.0f * y[3 * s] + 32.0f * y[5 * s];

        to[0] = y[0];
        pair(to + s, s, even_half, odd_half);
        pair(to + 3 * s, s, even_one, odd_one);
        pair(to + 5 * s, s, even_two, odd_two);
        to[7 * s] = y[5 * s];
        return;
    }
    vec y0 = y[0], y1 = y[s], y2 = y[2 * s], y3 = y[3 * s];
    vec even_a = y0 + 0.5f * y2, odd_a = POINT_A * y1 + (0.5f * POINT_A) * y3;
    vec even_b = y0 + 2.0f * y2, odd_b = POINT_B * y1 + (2.0f * POINT_B) * y3;

    to[0] = y0;
    pair(to + s, s, even_a, odd_a);
    pair(to + 3 * s, s, even_b, odd_b);
    to[5 * s] = y3;
}

/* 1 / N of points +-a and +-b of F(4,3); of 0, a, -a and c of F(3,3); of 0, 1/2, -1/2, 1, -1 and d
 * of F(5,3); of +-1/2, +-1, +-2 of F(6,3). */
#define NORM_A (-1.0f / 1.5f)
#define NORM_B (1.0f / 6.0f)
#define NORM3_0 (2.0f / POINT_C)
#define NORM3_A (1.0f / (POINT_A - POINT_C))
#define NORM3_MINUS_A (1.0f / (-POINT_A - POINT_C))
#define NORM3_C (1.0f / (POINT_C * (POINT_C * POINT_C - 0.5f)))
#define NORM5_0 (-8.0f / 5.0f)
#define NORM5_HALF (4.0f / 3.0f)
#define NORM5_MINUS_HALF (8.0f / 9.0f)
#define NORM5_ONE (-4.0f / 9.0f)
#define NORM5_MINUS_ONE (-4.0f / 21.0f)
#define NORM5_D (4.0f / 315.0f)
#define NORM6_HALF (32.0f / 45.0f)
#define NORM6_ONE (-2.0f / 9.0f)
#define NORM6_TWO (1.0f / 90.0f)

/* G: 3 taps to n. */
KERNEL void line_kernel(const int m, vec *to, const vec *g, const int s)
{
    vec g0 = g[0], g1 = g[s], g2 = g[2 * s];

    if (m == 3) {
        vec even = g0 + 0.5f * g2, odd = POINT_A * g1;

        to[0] = NORM3_0 * g0;
        to[s] = NORM3_A * (even + odd);
        to[2 * s] = NORM3_MINUS_A * (even - odd);
        to[3 * s] = NORM3_C * (g0 + POINT_C * g1 + (POINT_C * POINT_C) * g2);
        to[4 * s] = g2;
        return;
    }
    if (m == 5) {
        vec even_half = g0 + 0.25f * g2, odd_half = 0.5f * g1, even_one = g0 + g2;

        to[0] = NORM5_0 * g0;
        to[s] = NORM5_HALF * (even_half + odd_half);
        to[2 * s] = NORM5_MINUS_HALF * (even_half - odd_half);
        to[3 * s] = NORM5_ONE * (even_one + g1);
        to[4 * s] = NORM5_MINUS_ONE * (even_one - g1);
        to[5 * s] = NORM5_D * (g0 + 2.5f * g1 + 6.25f * g2);
        to[6 * s] = g2;
        return;
    }
    to[0] = g0;
    if (m == 2) {
        to[s] = 0.5f * (g0 + g2) + 0.5f * g1;
        to[2 * s] = 0.5f * (g0 + g2) - 0.5f * g1;
        to[3 * s] = g2;
        return;
    }
    if (m == 6) {
        vec even_half = NORM6_HALF * (g0 + 0.25f * g2), odd_half = (0.5f * NORM6_HALF) * g1;
        vec even_one = NORM6_ONE * (g0 + g2), odd_one = NORM6_ONE * g1;
        vec even_two = NORM6_TWO * (g0 + 4.0f * g2), odd_two = (2.0f * NORM6_TWO) * g1;

        pair(to + s, s, even_half, odd_half);
        pair(to + 3 * s, s, even_one, odd_one);
        pair(to + 5 * s, s, even_two, odd_two);
        to[7 * s] = g2;
        return;
    }
    vec even_a = NORM_A * (g0 + 0.5f * g2), odd_a = (NORM_A * POINT_A) * g1;
    vec even_b = NORM_B * (g0 + 2.0f * g2), odd_b = (NORM_B * POINT_B) * g1;

    pair(to + s, s, even_a, odd_a);
    pair(to + 3 * s, s, even_b, odd_b);
    to[5 * s] = g2;
}

/* G^T: n values to 3 taps. */
KERNEL void line_gradient(const int m, vec *to, const vec *x, const int s)
{
    vec sum = x[s] + x[2 * s], difference = x[s] - x[2 * s];

    if (m == 2) {
        to[0] = x[0] + 0.5f * sum;
        to[s] = 0.5f * difference;
        to[2 * s] = 0.5f * sum + x[3 * s];
        return;
    }
    if (m == 3) {
        vec a = NORM3_A * x[s], minus_a = NORM3_MINUS_A * x[2 * s], c = NORM3_C * x[3 * s];

        to[0] = NORM3_0 * x[0] + (a + minus_a) + c;
        to[s] = POINT_A * (a - minus_a) + POINT_C * c;
        to[2 * s] = 0.5f * (a + minus_a) + (POINT_C * POINT_C) * c + x[4 * s];
        return;
    }
    if (m == 5) {
        vec half = NORM5_HALF * x[s], minus_half = NORM5_MINUS_HALF * x[2 * s];
        vec one = NORM5_ONE * x[3 * s], minus_one = NORM5_MINUS_ONE * x[4 * s];
        vec d = NORM5_D * x[5 * s];

        to[0] = NORM5_0 * x[0] + (half + minus_half) + (one + minus_one) + d;
        to[s] = 0.5f * (half - minus_half) + (one - minus_one) + 2.5f * d;
        to[2 * s] = 0.25f * (half + minus_half) + (one + minus_one) + 6.25f * d + x[6 * s];
        return;
    }
    if (m == 6) {
        vec half = NORM6_HALF * sum, odd_half = (0.5f * NORM6_HALF) * difference;
        vec one = NORM6_ONE * (x[3 * s] + x[4 * s]), odd_one = NORM6_ONE * (x[3 * s] - x[4 * s]);
        vec two = NORM6_TWO * (x[5 * s] + x[6 * s]);
        vec odd_two = (2.0f * NORM6_TWO) * (x[5 * s] - x[6 * s]);

        to[0] = x[0] + half + one + two;
        to[s] = odd_half + odd_one + odd_two;
        to[2 * s] = 0.25f * half + one + 4.0f * two + x[7 * s];
        return;
    }
    vec sum_b = x[3 * s] + x[4 * s], difference_b = x[3 * s] - x[4 * s];

    to[0] = x[0] + NORM_A * sum + NORM_B * sum_b;
    to[s] = (NORM_A * POINT_A) * difference + (NORM_B * POINT_B) * difference_b;
    to[2 * s] = (0.5f * NORM_A) * sum + (2.0f * NORM_B) * sum_b + x[5 * s];
}

#endif
