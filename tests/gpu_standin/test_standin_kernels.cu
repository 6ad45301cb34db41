/*
 * The layer that compiles kernels for the host: indices of blocks and threads in three dimensions, arguments by value, device
 * functions, templates, bfloat16, order and capture.
 */
#include <csignal>

#include "host_kernels.h"

extern "C" {
#include "standin_rig.h"
}

__device__ static __forceinline__ float twice(float value)
{
    return 2.0f * value;
}

struct extent {
    int width, height, depth;
};

/* Each cell gets its own number: wrong indices show as holes or doubles. */
__global__ static void number_cells(float *__restrict__ cells, extent e, float step)
{
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    int z = (int)(blockIdx.z * blockDim.z + threadIdx.z);

    if (x < e.width && y < e.height && z < e.depth)
        cells[(z * e.height + y) * e.width + x] = step * (float)((z * e.height + y) * e.width + x);
}

template <class Type> __global__ static void double_all(Type *values, size_t count)
{
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x)
        values[i] = Type(twice(float(values[i])));
}

static void test_grid(cudaStream_t stream)
{
    extent e = {19, 5, 3};
    size_t count = 19 * 5 * 3;
    float *cells, got[19 * 5 * 3];
    float step = 0.5f;
    int wrong = 0;

    OK(cudaMalloc((void **)&cells, count * sizeof *cells));
    HMT_LAUNCH(number_cells, dim3(2, 2, 3), dim3(10, 4, 1), stream, cells, e, step);
    OK(cudaPeekAtLastError());
    e.width = 1; /* arguments were copied */
    step = 9;
    HMT_LAUNCH((double_all<float>), 2, 32, stream, cells, count);
    OK(cudaGetLastError());
    rig_download(got, cells, count, 0, stream);
    for (size_t i = 0; i < count; i++)
        wrong += got[i] != (float)i;
    CHECK(wrong == 0);
    HMT_LAUNCH((double_all<float>), 0, 32, stream, cells, count);
    CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
    OK(cudaFree(cells));
}

static void test_bfloat16(cudaStream_t stream)
{
    const float values[] = {1.0f, -0.5f, 3.140625f};
    float got[3];
    void *memory = rig_upload(values, 3, 1, stream);

    HMT_LAUNCH((double_all<__nv_bfloat16>), 1, 2, stream, static_cast<__nv_bfloat16 *>(memory), size_t(3));
    OK(cudaGetLastError());
    rig_download(got, memory, 3, 1, stream);
    CHECK(got[0] == 2.0f && got[1] == -1.0f && got[2] == 6.28125f);
    OK(cudaFree(memory));
}

/* The arguments of a captured kernel are those of the capture. */
static void test_capture(cudaStream_t stream)
{
    const float values[] = {1.0f};
    void *memory = rig_upload(values, 1, 0, stream);
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    float got;

    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (size_t count = 0; count < 2; count++)
        HMT_LAUNCH((double_all<float>), 1, 1, stream, static_cast<float *>(memory), count);
    OK(cudaGetLastError());
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaGraphInstantiate(&exec, graph, 0));
    for (int i = 0; i < 3; i++)
        OK(cudaGraphLaunch(exec, stream));
    rig_download(&got, memory, 1, 0, stream);
    CHECK(got == 8.0f);
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    OK(cudaFree(memory));
}

struct alignas(16) four {
    float at[4];
};

__global__ static void copy_fours(const float *from, float *to)
{
    HMT_ALIGNED(from, sizeof(four));
    *reinterpret_cast<four *>(to) = *reinterpret_cast<const four *>(from);
}

static void copy_from(size_t first)
{
    const float values[8] = {};
    cudaStream_t stream = rig_stream();
    float *memory = static_cast<float *>(rig_upload(values, 8, 0, stream));

    HMT_LAUNCH(copy_fours, 1, 1, stream, memory + first, memory);
    OK(cudaStreamSynchronize(stream));
}

/* A vector access that a GPU refuses ends the process. */
static void test_alignment()
{
    char said[512];

    CHECK(rig_child([] { copy_from(4); }, said, sizeof said) == 0);
    CHECK(rig_child([] { copy_from(3); }, said, sizeof said) == SIGABRT);
    CHECK(strstr(said, "kernel copy_fours") != NULL && strstr(said, "16 bytes at a time") != NULL);
}

int main()
{
    cudaStream_t stream = rig_stream();

    standin_set("STANDIN_QUIET", "1");
    test_grid(stream);
    test_bfloat16(stream);
    test_capture(stream);
    test_alignment();
    OK(cudaStreamDestroy(stream));
    CHECK(standin_leaks(stdout) == 0);
    return test_finish();
}
