/*
 * Ridge regression on standardised features, for many penalties at once.
 *
 * Minimises |y - Zw|^2 + penalty |w|^2, where Z are the features minus their mean over the training
 * rows, divided by their deviation and by the square root of their number; the offset is free. With
 * more features than rows it is solved among the rows (the dual form). One eigendecomposition
 * serves all penalties. Uses LAPACK.
 */
#ifndef EXAMPLES_RIDGE_H
#define EXAMPLES_RIDGE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ridge {
    const float *features; /* (rows,columns), the caller's */
    const double *targets; /* (rows) likewise */
    size_t rows, columns;
    double *matrix; /* dual: products of rows (rows,rows); else the features scaled
                       (rows,columns) */
    bool dual;
} ridge;

/* Makes the matrix, with the deviations over the `count` training rows. */
void ridge_scale(ridge *problem, const size_t *train, size_t count);
void ridge_free(ridge *problem);

/* Fits the training rows and predicts the test rows: predictions (penalty_count,test_count). false:
 * LAPACK did not find the eigenvalues; a message has been printed. */
bool ridge_predict(const ridge *problem, const size_t *train, size_t train_count,
                   const size_t *test, size_t test_count, const double *penalties,
                   size_t penalty_count, double *predictions);

#endif
