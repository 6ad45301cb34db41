/* Labels as the programs read them (see labels.h). */
#include "labels.h"

#include "cli.h"

hmt_dataset *labels_read(const hmt_context *context, hmt_dataset_kind kind, const char *path,
                         const hmt_dataset_options *options)
{
    hmt_dataset *set = NULL;
    if (hmt_dataset_read(context, kind, path, options, &set) != HMT_OK) {
        cli_error("%s", hmt_last_error());
        return NULL;
    }
    for (size_t i = 0; hmt_dataset_warning(set, i); i++)
        cli_error("%s", hmt_dataset_warning(set, i));
    return set;
}

bool labels_split(const hmt_dataset *set, const char *split, uint64_t seed, bool test,
                  size_t *indices, size_t *count)
{
    if (hmt_dataset_split(set, split, seed, test, indices, hmt_dataset_count(set), count) !=
        HMT_OK) {
        cli_library_error("cannot split the photos");
        return false;
    }
    if (*count == 0)
        cli_error("split %s has no photos for %s", split, test ? "test" : "training");
    return *count > 0;
}
