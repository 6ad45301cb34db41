/*
 * Arrays in NumPy's file format .npy, version 1.0: little-endian float32 in C order is written,
 * float32 and float64 are read.
 */
#ifndef EXAMPLES_NPY_H
#define EXAMPLES_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { NPY_HEADER = 128, NPY_DIMENSIONS = 4 };

/* Writes a header of NPY_HEADER bytes; the values follow it. false: writing failed. */
bool npy_write_header(FILE *stream, const int64_t *shape, int dimensions);

/* An array read as float32 and seen as a matrix: its first dimension, and the product of the rest.
 */
typedef struct npy_matrix {
    float *values; /* (rows,columns) */
    size_t rows, columns;
} npy_matrix;

/* false: a message has been printed. The header is checked against the file's length before
 * memory is asked for. */
bool npy_read(npy_matrix *matrix, const char *path);
void npy_free(npy_matrix *matrix);

#endif
