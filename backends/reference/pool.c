/*
 * Max and average pooling, forward and backward. Cells beyond the padded input do not exist; cells
 * of the padding never win a maximum, and count as zeros in a mean unless exclude_padding.
 */
#include "internal.h"

#include <string.h>

/* The cells of x that one output position sees: rows [top, bottom), columns [left, right). */
typedef struct view {
    int64_t top, bottom, left, right;
    int64_t padded; /* cells with those of the padding */
} view;

static int64_t clip(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : (value > high ? high : value);
}

static view view_of(const hmt_window *window, int64_t h, int64_t w, int64_t oy, int64_t ox)
{
    int64_t top = oy * window->stride[0] - window->pad[0];
    int64_t left = ox * window->stride[1] - window->pad[1];
    int64_t bottom = clip(top + window->kernel[0], top, h + window->pad[0]);
    int64_t right = clip(left + window->kernel[1], left, w + window->pad[1]);
    view v = {clip(top, 0, h), clip(bottom, 0, h), clip(left, 0, w), clip(right, 0, w),
              (bottom - top) * (right - left)};

    return v;
}

/* Index of the first largest cell of a map, -1 if the view is empty. NaN counts as largest. */
static int64_t largest(const float *map, int64_t w, view v)
{
    int64_t best = -1;

    for (int64_t y = v.top; y < v.bottom; ++y)
        for (int64_t x = v.left; x < v.right; ++x) {
            float value = map[y * w + x];

            if (best < 0 || value > map[best] || (value != value && map[best] == map[best]))
                best = y * w + x;
        }
    return best;
}

void reference_max_pool(const reference_operands *o)
{
    const reference_tensor *x = &o->in[0], *y = &o->out[0];
    float *to = y->at;

    for (int64_t map = 0; map < x->n * x->c; ++map) {
        const float *from = x->at + map * x->h * x->w;

        for (int64_t oy = 0; oy < y->h; ++oy)
            for (int64_t ox = 0; ox < y->w; ++ox) {
                int64_t at = largest(from, x->w, view_of(&o->step->window, x->h, x->w, oy, ox));

                *to++ = at < 0 ? 0.0f : from[at];
            }
    }
}

void reference_max_pool_backward(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0], *x = &o->in[1];
    const float *from = dy->at;

    memset(o->out[0].at, 0, (size_t)reference_count(x) * sizeof(float));
    for (int64_t map = 0; map < x->n * x->c; ++map) {
        const float *values = x->at + map * x->h * x->w;
        float *dx = o->out[0].at + map * x->h * x->w;

        for (int64_t oy = 0; oy < dy->h; ++oy)
            for (int64_t ox = 0; ox < dy->w; ++ox, ++from) {
                int64_t at = largest(values, x->w, view_of(&o->step->window, x->h, x->w, oy, ox));

                if (at >= 0)
                    dx[at] += *from;
            }
    }
}

/* How many cells a mean is taken over. */
static double divisor(const hmt_window *window, view v)
{
    int64_t inside = (v.bottom - v.top) * (v.right - v.left);
    int64_t cells = window->exclude_padding ? inside : v.padded;

    return cells > 0 ? (double)cells : 1.0;
}

void reference_average_pool(const reference_operands *o)
{
    const reference_tensor *x = &o->in[0], *y = &o->out[0];
    float *to = y->at;

    for (int64_t map = 0; map < x->n * x->c; ++map) {
        const float *from = x->at + map * x->h * x->w;

        for (int64_t oy = 0; oy < y->h; ++oy)
            for (int64_t ox = 0; ox < y->w; ++ox) {
                view v = view_of(&o->step->window, x->h, x->w, oy, ox);
                double sum = 0.0;

                for (int64_t r = v.top; r < v.bottom; ++r)
                    for (int64_t c = v.left; c < v.right; ++c)
                        sum += from[r * x->w + c];
                *to++ = (float)(sum / divisor(&o->step->window, v));
            }
    }
}

void reference_average_pool_backward(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0], *dx = &o->out[0];
    const float *from = dy->at;

    memset(dx->at, 0, (size_t)reference_count(dx) * sizeof(float));
    for (int64_t map = 0; map < dx->n * dx->c; ++map) {
        float *to = dx->at + map * dx->h * dx->w;

        for (int64_t oy = 0; oy < dy->h; ++oy)
            for (int64_t ox = 0; ox < dy->w; ++ox, ++from) {
                view v = view_of(&o->step->window, dx->h, dx->w, oy, ox);
                float share = (float)(*from / divisor(&o->step->window, v));

                for (int64_t r = v.top; r < v.bottom; ++r)
                    for (int64_t c = v.left; c < v.right; ++c)
                        to[r * dx->w + c] += share;
            }
    }
}
