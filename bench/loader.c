/*
 * loader - how many photos a second the loader prepares, beside what training consumes.
 *
 *     loader TABLE.csv [WORKERS]
 *
 * Goes three times through a table with the paper's augmentation: decoding each photo, keeping them
 * meanwhile, and from what was kept. Also says how long one worker's processor works on a photo.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <hmtnet/data.h>

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int fail(void)
{
    fprintf(stderr, "loader: %s\n", hmt_last_error());
    return 1;
}

/* Runs through one epoch. */
static int epoch(hmt_loader *loader, const char *what)
{
    double wall = seconds(CLOCK_MONOTONIC), work = seconds(CLOCK_PROCESS_CPUTIME_ID);
    hmt_batch batch = HMT_BATCH_INIT;
    size_t photos = 0;
    do {
        if (hmt_loader_next(loader, &batch, NULL) != HMT_OK)
            return fail();
        photos += batch.count;
    } while (batch.count > 0);
    wall = seconds(CLOCK_MONOTONIC) - wall;
    work = seconds(CLOCK_PROCESS_CPUTIME_ID) - work;
    printf("%-22s %8.1f photos/s  %6.2f ms of a processor for each\n", what, (double)photos / wall,
           1e3 * work / (double)photos);
    return 0;
}

int main(int argc, char **argv)
{
    const hmt_augment_options paper = HMT_AUGMENT_OPTIONS_INIT;
    hmt_loader_options options = HMT_LOADER_OPTIONS_INIT;
    hmt_dataset *set = NULL;
    hmt_loader *loader = NULL;
    int status = 1;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "Usage: loader TABLE.csv [WORKERS]\n");
        return 2;
    }
    options.augment = &paper;
    options.shuffle = options.drop_last = 1;
    options.workers = argc > 2 ? atoi(argv[2]) : 1;
    if (hmt_dataset_read(NULL, HMT_DATASET_CSV, argv[1], NULL, &set) != HMT_OK)
        return fail();
    printf("libhmtnet %s, %zu photos, %d workers, batches of %zu\n", hmt_version(),
           hmt_dataset_count(set), (int)options.workers, options.batch);
    for (int keep = 0; keep < 2; keep++) {
        options.keep_bytes = keep ? (uint64_t)2 << 30 : 0;
        if (hmt_loader_create(NULL, set, &options, &loader) != HMT_OK) {
            status = fail();
            break;
        }
        status = epoch(loader, keep ? "decoded and kept" : "decoded") ||
                 (keep && epoch(loader, "from what was kept"));
        hmt_loader_free(loader);
    }
    hmt_dataset_free(set);
    return status;
}
