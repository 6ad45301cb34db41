/*
 * A picture of what augmentation does: some photos of a data set, each as it is and as some epochs
 * would see it.
 */
#ifndef EXAMPLES_AUGMENT_SHEET_H
#define EXAMPLES_AUGMENT_SHEET_H

#include <stdbool.h>

#include <hmtnet/data.h>

/* The first `rows` of the `count` samples in indices; one that cannot be read stays empty. false: a
 * message has been printed. */
bool augment_sheet(const char *path, const hmt_dataset *set, const size_t *indices, size_t count,
                   const hmt_augment_options *options, uint64_t seed);

#endif
