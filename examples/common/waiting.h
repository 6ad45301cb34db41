/*
 * How long OpenMP's threads, with which the library computes gradients by the images, wait actively
 * for each other.
 *
 * libgomp's spin for some milliseconds before they sleep. On a machine with other work to do that
 * takes the processor from the thread that is waited for: docs/performance.md has the figures.
 */
#ifndef EXAMPLES_WAITING_H
#define EXAMPLES_WAITING_H

/* Bounds the spinning, unless OMP_WAIT_POLICY or GOMP_SPINCOUNT already says how to wait. libgomp
 * reads those before main(), so this starts the program anew, once, with the same arguments. */
void waiting_bound(char **argv);

#endif
