/* Labels as the programs read them: with what is doubtful in the files said on standard error. */
#ifndef EXAMPLES_LABELS_H
#define EXAMPLES_LABELS_H

#include <stdbool.h>

#include <hmtnet/data.h>

/* As hmt_dataset_read(). NULL: a message has been printed. */
hmt_dataset *labels_read(const hmt_context *context, hmt_dataset_kind kind, const char *path,
                         const hmt_dataset_options *options);

/* Receives the samples of one side of a split into `indices`, which has room for all of the data
 * set. false: a message has been printed; a side without photos is an error. */
bool labels_split(const hmt_dataset *set, const char *split, uint64_t seed, bool test,
                  size_t *indices, size_t *count);

#endif
