/* NumPy's .npy files (see npy.h). */
#include "npy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MAGIC = 10, LARGEST_HEADER = 4096 }; /* magic: 6 bytes, version, length */

bool npy_write_header(FILE *stream, const int64_t *shape, int dimensions)
{
    char header[NPY_HEADER + 1];
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(NPY_HEADER - MAGIC);
    header[9] = 0;
    int used = MAGIC + snprintf(header + MAGIC, sizeof header - MAGIC,
                                "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < dimensions; i++)
        used += snprintf(header + used, sizeof header - (size_t)used, i ? ", %lld" : "%lld",
                         (long long)shape[i]);
    used +=
        snprintf(header + used, sizeof header - (size_t)used, dimensions > 1 ? "), }" : ",), }");
    memset(header + used, ' ', (size_t)(NPY_HEADER - used));
    header[NPY_HEADER - 1] = '\n';
    return fwrite(header, NPY_HEADER, 1, stream) == 1;
}

static bool wrong(const char *path, const char *why)
{
    cli_error("%s: %s", path, why);
    return false;
}

/* Reads the shape behind "(": rows, and the product of the other dimensions. */
static bool read_shape(const char *text, npy_matrix *matrix)
{
    size_t dimensions = 0;
    matrix->rows = matrix->columns = 1;
    for (; *text && *text != ')'; text += *text == ',') {
        char *end;
        while (*text == ' ')
            text++;
        if (*text == ')')
            break;
        if (*text < '0' || *text > '9')
            return false;
        unsigned long long size = strtoull(text, &end, 10);
        while (*end == ' ')
            end++;
        if ((*end != ',' && *end != ')') || size == 0 || size > ((size_t)1 << 40))
            return false;
        if (dimensions++ == 0)
            matrix->rows = (size_t)size;
        else if (__builtin_mul_overflow(matrix->columns, (size_t)size, &matrix->columns))
            return false;
        text = end;
    }
    return *text == ')' && dimensions > 0;
}

/* Reads what stands before the values. *wide: they are float64. */
static bool read_header(npy_matrix *matrix, FILE *stream, const char *path, bool *wide)
{
    unsigned char start[MAGIC];
    char text[LARGEST_HEADER + 1];
    if (fread(start, MAGIC, 1, stream) != 1 || memcmp(start, "\x93NUMPY", 6) != 0)
        return wrong(path, "not a .npy file");
    const size_t length = start[8] | (size_t)start[9] << 8;
    if (start[6] != 1 || length > LARGEST_HEADER || fread(text, 1, length, stream) != length)
        return wrong(path, "not a .npy file of version 1, or cut short");
    text[length] = '\0';
    const char *shape = strstr(text, "'shape': (");
    *wide = strstr(text, "'<f8'") != NULL;
    if ((!*wide && !strstr(text, "'<f4'")) || !strstr(text, "'fortran_order': False"))
        return wrong(path, "not an array of float32 or float64 in C order");
    if (!shape || !read_shape(shape + strlen("'shape': ("), matrix))
        return wrong(path, "its shape is empty or cannot be read");
    return true;
}

/* Whether exactly the values are left of the file; *count receives how many. */
static bool check_length(const npy_matrix *matrix, FILE *stream, bool wide, size_t *count)
{
    size_t bytes;
    long here = ftell(stream);
    if (here < 0 || fseek(stream, 0, SEEK_END))
        return false;
    long end = ftell(stream);
    return end >= here && !__builtin_mul_overflow(matrix->rows, matrix->columns, count) &&
           !__builtin_mul_overflow(*count, wide ? sizeof(double) : sizeof(float), &bytes) &&
           bytes == (size_t)(end - here) && !fseek(stream, here, SEEK_SET);
}

static bool read_values(npy_matrix *matrix, FILE *stream, bool wide, size_t count)
{
    matrix->values = cli_allocate(count, sizeof *matrix->values);
    if (!wide)
        return fread(matrix->values, sizeof *matrix->values, count, stream) == count;
    for (size_t i = 0; i < count; i++) {
        double value;
        if (fread(&value, sizeof value, 1, stream) != 1)
            return false;
        matrix->values[i] = (float)value;
    }
    return true;
}

bool npy_read(npy_matrix *matrix, const char *path)
{
    bool wide;
    size_t count;
    *matrix = (npy_matrix){0};
    FILE *stream = fopen(path, "rb");
    if (!stream) {
        cli_error("cannot open %s: %s", path, strerror(errno));
        return false;
    }
    bool good = read_header(matrix, stream, path, &wide);
    if (good && !check_length(matrix, stream, wide, &count))
        good = wrong(path, "its length is not that of its shape");
    if (good && !read_values(matrix, stream, wide, count))
        good = wrong(path, "cannot be read to its end");
    fclose(stream);
    return good;
}

void npy_free(npy_matrix *matrix)
{
    free(matrix->values);
    *matrix = (npy_matrix){0};
}
