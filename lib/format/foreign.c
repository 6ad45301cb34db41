/* Files that are often taken for models (see foreign.h). */
#include "format/foreign.h"

#include <stdbool.h>
#include <string.h>

#include "core/status.h"

typedef struct kind {
    size_t at; /* where the bytes stand */
    size_t size;
    const char *bytes;
    const char *what, *advice;
} kind;

#define UNPACK "unpack it first"
#define EXPORT "save the weights as safetensors, or PyTorch's state dict"

static const kind kinds[] = {
    {0, 23, "version https://git-lfs", "a Git LFS pointer, not the file it stands for",
     "fetch that with git lfs pull"},
    {0, 2, "\x1f\x8b", "compressed by gzip", UNPACK},
    {0, 3, "BZh", "compressed by bzip2", UNPACK},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "compressed by xz", UNPACK},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK},
    {0, 4, "7z\xbc\xaf", "a 7z archive", UNPACK},
    {257, 5, "ustar", "a tar archive", UNPACK},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, TensorFlow)", EXPORT},
    {4, 4, "TFL3", "a TensorFlow Lite model", EXPORT},
    {0, 4, "GGUF", "a GGUF file", EXPORT},
    {0, 6, "\x93NUMPY", "a NumPy array", EXPORT},
    {0, 2, "\xff\xd8", "a JPEG photo", "give the model's file"},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG image", "give the model's file"},
};

static bool begins_html(const unsigned char *head, size_t size)
{
    static const char *const tags[] = {"<!doctype html", "<html"};
    size_t at = 0;

    if (size >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    while (at < size && strchr(" \t\r\n", head[at]) != NULL && head[at] != '\0')
        ++at;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; ++i) {
        size_t n = 0;

        while (tags[i][n] != '\0' && at + n < size &&
               (head[at + n] | (tags[i][n] >= 'a' ? 0x20 : 0)) == (unsigned char)tags[i][n])
            ++n;
        if (tags[i][n] == '\0')
            return true;
    }
    return false;
}

/* ONNX's and TensorFlow's models begin with a small version number, field 1, and a string. */
static bool begins_protobuf(const unsigned char *head, size_t size)
{
    return size >= 4 && head[0] == 0x08 && head[1] < 0x40 && (head[2] == 0x12 || head[2] == 0x3a) &&
           head[3] != 0;
}

static bool begins_pickle(const unsigned char *head, size_t size)
{
    return size >= 3 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && head[2] > 0x20;
}

static hmt_status refuse(const char *what, const char *is, const char *advice)
{
    return status_fail(HMT_ERROR_UNSUPPORTED, "%s: is %s: %s", what, is, advice);
}

hmt_status foreign_check(const unsigned char *head, size_t size, const char *what)
{
    if (size > 8 && head[8] == '{' && head[6] == 0 && head[7] == 0)
        return HMT_OK; /* a safetensors header of any length */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i)
        if (size >= kinds[i].at + kinds[i].size &&
            memcmp(head + kinds[i].at, kinds[i].bytes, kinds[i].size) == 0)
            return refuse(what, kinds[i].what, kinds[i].advice);
    if (begins_html(head, size))
        return refuse(what, "a web page, not the file it describes",
                      "download that, perhaps after logging in");
    if (begins_protobuf(head, size))
        return refuse(what, "a protocol buffer (ONNX, TensorFlow)", EXPORT);
    if (begins_pickle(head, size))
        return refuse(what, "a Python pickle that torch.save() has not written",
                      "save model.state_dict() with torch.save()");
    return HMT_OK;
}
