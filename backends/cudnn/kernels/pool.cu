// Max and average pooling. Cells beyond the padded input do not exist; cells of the padding never
// win a maximum, and count as zeros in a mean unless exclude_padding. One thread for each element
// that is written; the backward kernels gather, so that nothing is added up in a race.
#include "launch.h"

#include "element.h"

// The cells of x that an output position sees: rows [top, bottom), columns [left, right).
struct view {
    int32_t top, bottom, left, right;
    int32_t padded; // cells with those of the padding
};

__device__ __forceinline__ int32_t clip(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : (v > high ? high : v);
}

__device__ __forceinline__ view view_of(const hmt_window &window, extent in, int32_t oy, int32_t ox)
{
    const int32_t top = oy * window.stride[0] - window.pad[0];
    const int32_t left = ox * window.stride[1] - window.pad[1];
    const int32_t bottom = clip(top + window.kernel[0], top, in.h + window.pad[0]);
    const int32_t right = clip(left + window.kernel[1], left, in.w + window.pad[1]);

    return {clip(top, 0, in.h), clip(bottom, 0, in.h), clip(left, 0, in.w), clip(right, 0, in.w),
            (bottom - top) * (right - left)};
}

// How many cells a mean is taken over.
__device__ __forceinline__ float divisor(const hmt_window &window, view v)
{
    const int32_t inside = (v.bottom - v.top) * (v.right - v.left);
    const int32_t cells = window.exclude_padding ? inside : v.padded;

    return static_cast<float>(cells > 0 ? cells : 1);
}

// An element's coordinates.
struct spot {
    int32_t n, y, x, c;
};

__device__ __forceinline__ spot spot_of(uint32_t i, extent e)
{
    const int32_t c = static_cast<int32_t>(i % e.c);

    i /= e.c;
    return {static_cast<int32_t>(i / e.w / e.h), static_cast<int32_t>(i / e.w % e.h),
            static_cast<int32_t>(i % e.w), c};
}

__device__ __forceinline__ uint32_t index_of(spot s, extent e)
{
    return ((static_cast<uint32_t>(s.n) * e.h + s.y) * e.w + s.x) * e.c + s.c;
}

// NaN counts as largest; of equal cells the first is.
__device__ __forceinline__ bool beats(float value, float best)
{
    return value > best || (value != value && best == best);
}

__device__ __forceinline__ bool equal(float a, float b)
{
    return a == b || (a != a && b != b);
}

template <typename T>
__global__ void max_pool(const T *x, extent in, T *y, extent out, hmt_window window, uint32_t count)
{
    const uint32_t i = thread_index();

    if (i >= count)
        return;
    const spot o = spot_of(i, out);
    const view v = view_of(window, in, o.y, o.x);
    float best = 0.0f;
    bool any = false;

    for (int32_t r = v.top; r < v.bottom; ++r)
        for (int32_t k = v.left; k < v.right; ++k) {
            const float value = element_value(x[index_of({o.n, r, k, o.c}, in)]);

            if (!any || beats(value, best))
                best = value;
            any = true;
        }
    element_set(&y[i], best);
}

// Whether the cell (r,k), which holds the window's maximum, is the first that does.
template <typename T>
__device__ __forceinline__ bool is_first(const T *x, extent in, view v, spot cell, float maximum)
{
    for (int32_t r = v.top; r <= cell.y; ++r)
        for (int32_t k = v.left; k < v.right; ++k) {
            if (r == cell.y && k == cell.x)
                return true;
            if (equal(element_value(x[index_of({cell.n, r, k, cell.c}, in)]), maximum))
                return false;
        }
    return true;
}

// The outputs [first, last] along one axis whose windows may see a cell.
struct range {
    int32_t first, last;
};

__device__ __forceinline__ range outputs_of(int32_t cell, int32_t kernel, int32_t stride,
                                            int32_t pad, int32_t size)
{
    const int32_t low = cell + pad - kernel + 1;

    return {low > 0 ? (low + stride - 1) / stride : 0, clip((cell + pad) / stride, 0, size - 1)};
}

template <typename T>
__global__ void max_pool_backward(const T *dy, const T *x, const T *y, T *dx, extent in, extent out,
                                  hmt_window window, uint32_t count)
{
    const uint32_t i = thread_index();

    if (i >= count)
        return;
    const spot cell = spot_of(i, in);
    const float value = element_value(x[i]);
    const range rows = outputs_of(cell.y, window.kernel[0], window.stride[0], window.pad[0], out.h);
    const range columns =
        outputs_of(cell.x, window.kernel[1], window.stride[1], window.pad[1], out.w);
    float sum = 0.0f;

    for (int32_t oy = rows.first; oy <= rows.last; ++oy)
        for (int32_t ox = columns.first; ox <= columns.last; ++ox) {
            const uint32_t o = index_of({cell.n, oy, ox, cell.c}, out);
            const float maximum = element_value(y[o]);

            if (equal(value, maximum) &&
                is_first(x, in, view_of(window, in, oy, ox), cell, maximum))
                sum += element_value(dy[o]);
        }
    element_set(&dx[i], sum);
}

template <typename A, typename B>
__global__ void average_pool(const A *x, extent in, B *y, extent out, hmt_window window,
                             uint32_t count)
{
    const uint32_t i = thread_index();

    if (i >= count)
        return;
    const spot o = spot_of(i, out);
    const view v = view_of(window, in, o.y, o.x);
    float sum = 0.0f;

    for (int32_t r = v.top; r < v.bottom; ++r)
        for (int32_t k = v.left; k < v.right; ++k)
            sum += element_value(x[index_of({o.n, r, k, o.c}, in)]);
    element_set(&y[i], sum / divisor(window, v));
}

template <typename A, typename B>
__global__ void average_pool_backward(const A *dy, B *dx, extent in, extent out, hmt_window window,
                                      uint32_t count)
{
    const uint32_t i = thread_index();

    if (i >= count)
        return;
    const spot cell = spot_of(i, in);
    const range rows = outputs_of(cell.y, window.kernel[0], window.stride[0], window.pad[0], out.h);
    const range columns =
        outputs_of(cell.x, window.kernel[1], window.stride[1], window.pad[1], out.w);
    float sum = 0.0f;

    for (int32_t oy = rows.first; oy <= rows.last; ++oy)
        for (int32_t ox = columns.first; ox <= columns.last; ++ox)
            sum += element_value(dy[index_of({cell.n, oy, ox, cell.c}, out)]) /
                   divisor(window, view_of(window, in, oy, ox));
    element_set(&dx[i], sum);
}

static uint32_t count_of(extent e)
{
    return static_cast<uint32_t>(e.n) * e.c * e.h * e.w;
}

void kernel_max_pool(map x, extent in, map y, extent out, const hmt_window *window,
                     cudaStream_t stream)
{
    const uint32_t count = count_of(out);

    WITH_TYPE(y.type, HMT_LAUNCH(max_pool<T>, grid_for(count), THREADS, stream, at<T>(x), in,
                                 at<T>(y), out, *window, count));
}

void kernel_max_pool_backward(map dy, map x, map y, map dx, extent in, extent out,
                              const hmt_window *window, cudaStream_t stream)
{
    const uint32_t count = count_of(in);

    WITH_TYPE(dx.type, HMT_LAUNCH(max_pool_backward<T>, grid_for(count), THREADS, stream, at<T>(dy),
                                  at<T>(x), at<T>(y), at<T>(dx), in, out, *window, count));
}

void kernel_average_pool(map x, extent in, map y, extent out, const hmt_window *window,
                         cudaStream_t stream)
{
    const uint32_t count = count_of(out);

    if (x.type == y.type)
        WITH_TYPE(y.type, HMT_LAUNCH((average_pool<T, T>), grid_for(count), THREADS, stream,
                                     at<T>(x), in, at<T>(y), out, *window, count));
    else
        HMT_LAUNCH((average_pool<__nv_bfloat16, float>), grid_for(count), THREADS, stream,
                   at<__nv_bfloat16>(x), in, at<float>(y), out, *window, count);
}

void kernel_average_pool_backward(map dy, map dx, extent in, extent out, const hmt_window *window,
                                  cudaStream_t stream)
{
    const uint32_t count = count_of(in);

    WITH_TYPE(dx.type, HMT_LAUNCH((average_pool_backward<T, T>), grid_for(count), THREADS, stream,
                                  at<T>(dy), at<T>(dx), in, out, *window, count));
}
