/* Labels as the programs read them: with what is doubtful in the files said on standard error. */
#ifndef EXAMPLES_LABELS_H
#define EXAMPLES_LABELS_H

#include <hmtnet/data.h>

/* As hmt_dataset_read(). NULL: a message has been printed. */
hmt_dataset *labels_read(const hmt_context *context, hmt_dataset_kind kind, const char *path,
                         const hmt_dataset_options *options);

#endif
