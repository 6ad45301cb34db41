/*
 * Ridge regression (see ridge.h).
 *
 * With S = V diag(s) V' for the centred training rows, S = Z'Z (primal) or ZZ' (dual), the
 * prediction of row z is  mean(y) + b(z)' (c / (s + penalty))  where b(z) = V'z, c = V'Z'y in the
 * primal and b(z) = V'Zz, c = V'y in the dual form. Centring the features is, in the dual form,
 * centring the products twice.
 */
#include "ridge.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"

enum { BLOCK = 1024 }; /* columns turned into float64 at once */

/* Mean and 1 / (deviation * sqrt(columns)) of a feature over the training rows; 0 if it does not
 * vary. */
static void moments(const ridge *p, size_t column, const size_t *train, size_t count, double *mean,
                    double *factor)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)p->features[train[i] * p->columns + column];
    *mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        double off = (double)p->features[train[i] * p->columns + column] - *mean;
        squares += off * off;
    }
    double deviation = sqrt(squares / (double)count);
    *factor =
        deviation > 1e-8 * (1.0 + fabs(*mean)) ? 1.0 / (deviation * sqrt((double)p->columns)) : 0.0;
}

/* Columns first .. first + count - 1 of all rows, scaled: (rows,count), `step` apart. */
static void scale_block(const ridge *p, size_t first, size_t count, const size_t *train,
                        size_t train_count, double *block, size_t step)
{
    for (size_t k = 0; k < count; k++) {
        double mean, factor;
        moments(p, first + k, train, train_count, &mean, &factor);
        for (size_t i = 0; i < p->rows; i++)
            block[i * step + k] = ((double)p->features[i * p->columns + first + k] - mean) * factor;
    }
}

void ridge_scale(ridge *p, const size_t *train, size_t count)
{
    ridge_free(p);
    p->dual = p->columns > count;
    if (!p->dual) {
        p->matrix = cli_allocate(p->rows * p->columns, sizeof *p->matrix);
        scale_block(p, 0, p->columns, train, count, p->matrix, p->columns);
        return;
    }
    p->matrix = cli_allocate(p->rows * p->rows, sizeof *p->matrix);
    double *block = cli_allocate(p->rows * BLOCK, sizeof *block);
    for (size_t first = 0; first < p->columns; first += BLOCK) {
        const size_t width = p->columns - first < BLOCK ? p->columns - first : BLOCK;
        scale_block(p, first, width, train, count, block, BLOCK);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)p->rows, (int)width, 1.0, block,
                    BLOCK, 1.0, p->matrix, (int)p->rows);
    }
    for (size_t i = 0; i < p->rows; i++)
        for (size_t k = 0; k < i; k++)
            p->matrix[i * p->rows + k] = p->matrix[k * p->rows + i];
    free(block);
}

void ridge_free(ridge *p)
{
    free(p->matrix);
    p->matrix = NULL;
}

/* What both forms come to. */
typedef struct system_of {
    size_t size;         /* of the square matrix */
    double *square;      /* (size,size) symmetric; then its eigenvectors, a column each */
    double *eigenvalues; /* (size) */
    double *right;       /* (size) the training rows' side */
    double *test;        /* (test_count,size) */
    double mean;         /* of the targets */
} system_of;

static double mean_target(const ridge *p, const size_t *train, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += p->targets[train[i]];
    return sum / (double)count;
}

static void dual_system(const ridge *p, const size_t *train, size_t n, const size_t *test, size_t m,
                        system_of *s)
{
    double *means = cli_allocate(n, sizeof *means), all = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double *row = p->matrix + train[i] * p->rows;
        for (size_t k = 0; k < n; k++)
            means[i] += row[train[k]] / (double)n;
        all += means[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++)
            s->square[i * n + k] =
                p->matrix[train[i] * p->rows + train[k]] - means[i] - means[k] + all;
        s->right[i] = p->targets[train[i]] - s->mean;
    }
    for (size_t i = 0; i < m; i++) {
        const double *row = p->matrix + test[i] * p->rows;
        double mean = 0.0;
        for (size_t k = 0; k < n; k++)
            mean += row[train[k]] / (double)n;
        for (size_t k = 0; k < n; k++)
            s->test[i * n + k] = row[train[k]] - mean - means[k] + all;
    }
    free(means);
}

/* Rows `rows` minus the training rows' mean: (count,columns). */
static void centred(const ridge *p, const double *means, const size_t *rows, size_t count,
                    double *out)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < p->columns; k++)
            out[i * p->columns + k] = p->matrix[rows[i] * p->columns + k] - means[k];
}

static void primal_system(const ridge *p, const size_t *train, size_t n, const size_t *test,
                          size_t m, system_of *s)
{
    const size_t d = p->columns;
    double *means = cli_allocate(d, sizeof *means), *z = cli_allocate(n * d, sizeof *z);
    double *y = cli_allocate(n, sizeof *y);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < d; k++)
            means[k] += p->matrix[train[i] * d + k] / (double)n;
        y[i] = p->targets[train[i]] - s->mean;
    }
    centred(p, means, train, n, z);
    centred(p, means, test, m, s->test);
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)n, 1.0, z, (int)d, 0.0,
                s->square, (int)d);
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)n, (int)d, 1.0, z, (int)d, y, 1, 0.0, s->right, 1);
    free(means);
    free(z);
    free(y);
}

/* Everything in the eigenvectors' basis: the right side, and the test rows into `rows`. */
static bool diagonalise(system_of *s, size_t m, double *right, double *rows)
{
    const int n = (int)s->size;
    if (LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', n, s->square, n, s->eigenvalues) != 0) {
        cli_error("the eigenvalues of the features' products were not found");
        return false;
    }
    cblas_dgemv(CblasRowMajor, CblasTrans, n, n, 1.0, s->square, n, s->right, 1, 0.0, right, 1);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, n, n, 1.0, s->test, n, s->square,
                n, 0.0, rows, n);
    return true;
}

bool ridge_predict(const ridge *p, const size_t *train, size_t n, const size_t *test, size_t m,
                   const double *penalties, size_t penalty_count, double *predictions)
{
    system_of s = {.size = p->dual ? n : p->columns, .mean = mean_target(p, train, n)};
    s.square = cli_allocate(s.size * s.size, sizeof(double));
    s.eigenvalues = cli_allocate(s.size, sizeof(double));
    s.right = cli_allocate(s.size, sizeof(double));
    s.test = cli_allocate(m * s.size, sizeof(double));
    double *right = cli_allocate(s.size, sizeof *right), *weights = cli_allocate(s.size, 8);
    double *rows = cli_allocate(m * s.size, sizeof *rows);
    (p->dual ? dual_system : primal_system)(p, train, n, test, m, &s);
    bool good = diagonalise(&s, m, right, rows);
    for (size_t l = 0; good && l < penalty_count; l++) {
        for (size_t k = 0; k < s.size; k++)
            weights[k] = right[k] / (fmax(s.eigenvalues[k], 0.0) + penalties[l]);
        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)m, (int)s.size, 1.0, rows, (int)s.size,
                    weights, 1, 0.0, predictions + l * m, 1);
        for (size_t i = 0; i < m; i++)
            predictions[l * m + i] += s.mean;
    }
    free(s.square);
    free(s.eigenvalues);
    free(s.right);
    free(s.test);
    free(right);
    free(weights);
    free(rows);
    return good;
}
