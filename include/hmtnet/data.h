/*
 * data.h - what a program that trains and evaluates networks needs beside <hmtnet/hmtnet.h>: data
 * sets, augmentation, a loader that works ahead, and metrics.
 *
 * A host that only infers needs none of it. The conventions of hmtnet.h hold here too.
 *
 *     1  Data sets      read labels and splits as they were published
 *     2  Augmentation   section 4.2 of the paper, reproducible for every sample
 *     3  Loaders        decoded, augmented batches, prepared ahead on worker threads
 *     4  Metrics        errors, correlations, accuracies, by group, with intervals, over runs
 */
#ifndef HMTNET_DATA_H
#define HMTNET_DATA_H

#include <hmtnet/hmtnet.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hmt_dataset hmt_dataset;
typedef struct hmt_loader hmt_loader;

/* ------------------------------------------------------------------------------------------------------
 * 1  Data sets
 * ------------------------------------------------------------------------------------------------------
 */

/** How a data set lies on the disk. docs/datasets.md shows each layout. */
typedef enum hmt_dataset_kind {
    HMT_DATASET_CSV = 0, /**< one table: path, gender, race, score, in any order; empty: unknown.
                              Cells are separated by commas, semicolons or tabs */
    HMT_DATASET_SCUT_FBP5500 = 1, /**< either release: labels from the file names (mty12.jpg, or
                                       AM12.jpg), train_test_files with its 60/40 split and five
                                       folds */
    HMT_DATASET_SCUT_FBP = 2, /**< 500 faces of Asian women: images, and the mean ratings as CSV */
    HMT_DATASET_MEBEAUTY = 3  /**< folders gender/ethnicity/, and lists of paths and scores */
} hmt_dataset_kind;

/** One labelled photo of a data set. */
typedef struct hmt_sample {
    size_t struct_size;
    const char *path;  /**< of the image file, to be opened as it is; the data set's */
    const char *name;  /**< as the data set's own files name it; the data set's */
    int32_t gender;    /**< class index; -1: not known */
    int32_t race;      /**< likewise */
    float score;       /**< in the data set's units; NaN: not known */
    const char *table; /**< the file that the labels come from; the data set's */
    size_t line;       /**< its line in that file, from 1 */
} hmt_sample;
#define HMT_SAMPLE_INIT                                                                            \
    {                                                                                              \
        sizeof(hmt_sample), NULL, NULL, -1, -1, 0, NULL, 0                                         \
    }

typedef struct hmt_dataset_options {
    size_t struct_size;
    const hmt_model_config *classes; /**< classes must be those of this config, else the call fails;
                                          NULL: those that occur, sorted by name */
    int32_t scores_only; /**< non-zero: of a table only paths and scores are read, and it may have
                              no scores; other kinds are read as usual */
    int32_t reserved;    /**< 0 */
} hmt_dataset_options;
#define HMT_DATASET_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(hmt_dataset_options), NULL, 0, 0                                                    \
    }

/**
 * Reads a data set's tables. Images are not opened.
 * @param path  the table for HMT_DATASET_CSV, else the data set's folder
 * @return HMT_ERROR_NOT_FOUND or _IO (a file; the message names it), _FORMAT (file and line),
 * _LIMIT, _MEMORY, _ARGUMENT
 */
HMT_API hmt_status hmt_dataset_read(const hmt_context *context, hmt_dataset_kind kind,
                                    const char *path, const hmt_dataset_options *options,
                                    hmt_dataset **dataset);
/** A data set may be shared by threads that read it. Loaders made from it keep it alive. */
HMT_API void hmt_dataset_free(hmt_dataset *dataset);

/**
 * What a person should know about the files that were read, though it is no error: labels that are
 * taken for nothing (NaN, N/A, null) or for a class of another spelling, classes that differ by a
 * typo, photos that stand twice or with labels that contradict each other, photos of a list that
 * are absent, which list was taken. One line each, "FILE:LINE: ...", with the first place.
 * @return warning `index`, the data set's; NULL if there are no more. At most 32
 */
HMT_API const char *hmt_dataset_warning(const hmt_dataset *dataset, size_t index);

/** Number of samples. 0 for NULL. */
HMT_API size_t hmt_dataset_count(const hmt_dataset *dataset);
/** Sample `index`. sample->struct_size must be set. @return HMT_ERROR_ARGUMENT */
HMT_API hmt_status hmt_dataset_sample(const hmt_dataset *dataset, size_t index, hmt_sample *sample);
/** Sets the fields of a config that the data decide: classes and their names, which heads can be
 * trained, and the scores' range and mean over `indices` (count of them; NULL: all). Labels that
 * never occur leave theirs as they are. */
HMT_API hmt_status hmt_dataset_describe(const hmt_dataset *dataset, const size_t *indices,
                                        size_t count, hmt_model_config *config);

/** Splits that a data set comes with, such as "60-40", "fold1" .. "fold5", "test". */
HMT_API size_t hmt_dataset_split_count(const hmt_dataset *dataset);
/** Name of split `index`; NULL if there is none. The data set's. */
HMT_API const char *hmt_dataset_split_name(const hmt_dataset *dataset, size_t index);
/**
 * The samples of one side of a split, in the published order.
 * @param split    a name as above; or "random:K/N" (e.g. "random:1/5"), fold K of N drawn from
 *                 `seed` and the sample names alone, for data sets without published folds
 * @param test     non-zero: the test side
 * @param indices  receives up to capacity sample indices; may be NULL if capacity is 0
 * @param count    receives how many there are
 * @return HMT_ERROR_NOT_FOUND (split), _ARGUMENT
 */
HMT_API hmt_status hmt_dataset_split(const hmt_dataset *dataset, const char *split, uint64_t seed,
                                     int32_t test, size_t *indices, size_t capacity, size_t *count);

/* ------------------------------------------------------------------------------------------------------
 * 2  Augmentation
 * ------------------------------------------------------------------------------------------------------
 */

/** What is done to a photo at random before it is trained on (paper, section 4.2): resize, a crop
 * at a random place, turned about its middle (bilinear; what lies outside the photo is black) and
 * mirrored, then the colours in the order below, as torchvision's ColorJitter defines each. */
typedef struct hmt_augment_options {
    size_t struct_size;
    int32_t resize;      /**< shorter side, pixels: 256, or the paper's 227; at least crop_size */
    int32_t crop_size;   /**< side of the crop, pixels */
    int32_t random_crop; /**< 0: from the centre */
    double rotation;     /**< degrees: uniform in [-rotation, rotation]; 0 .. 180 */
    double brightness;   /**< factor uniform in [1 - b, 1 + b]; 0 .. 1; torchvision's ColorJitter */
    double contrast;     /**< likewise */
    double saturation;   /**< likewise */
    double hue;          /**< shift uniform in [-hue, hue] turns; 0 .. 0.5 */
    double flip;         /**< probability of a mirror image */
    float mean[3];       /**< as in hmt_preprocess_options */
    float deviation[3];
} hmt_augment_options;
/** The paper's, which says what but not how much: crop 224 of 256, 30 degrees, colours by 0.2 (hue
 * 0.05), mirrored half the time. */
#define HMT_AUGMENT_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(hmt_augment_options), 256, 224, 1, 30, 0.2, 0.2, 0.2, 0.05, 0.5,                    \
            {0.485f, 0.456f, 0.406f},                                                              \
        {                                                                                          \
            0.229f, 0.224f, 0.225f                                                                 \
        }                                                                                          \
    }

/**
 * Augments one image into a tensor.
 * @param seed    all of the randomness: the same image, options and seed give the same bits
 * @param tensor  receives (1,3,crop_size,crop_size); @param count  how many floats it has room for
 * @return HMT_ERROR_ARGUMENT, _LIMIT (resized it would have more than 100 million pixels), _MEMORY
 */
HMT_API hmt_status hmt_augment(const hmt_context *context, const hmt_pixels *pixels,
                               const hmt_augment_options *options, uint64_t seed, float *tensor,
                               size_t count);
/** The same as a picture to look at. @param augmented  receives RGB pixels, crop_size x crop_size;
 * release them with hmt_pixels_free() */
HMT_API hmt_status hmt_augment_pixels(const hmt_context *context, const hmt_pixels *pixels,
                                      const hmt_augment_options *options, uint64_t seed,
                                      hmt_pixels *augmented);

/* ------------------------------------------------------------------------------------------------------
 * 3  Loaders
 * ------------------------------------------------------------------------------------------------------
 */

typedef struct hmt_loader_options {
    size_t struct_size;
    size_t batch;                             /**< images of a batch, at least 1 */
    const hmt_augment_options *augment;       /**< NULL: hmt_preprocess() with preprocess below */
    const hmt_preprocess_options *preprocess; /**< for augment NULL; NULL: its defaults. One crop */
    const size_t *indices; /**< samples to load, e.g. from hmt_dataset_split(); copied; NULL: all */
    size_t index_count;    /**< how many they are */
    int32_t shuffle;       /**< non-zero: another order in every epoch */
    int32_t drop_last;     /**< non-zero: an epoch's samples that fill no batch are left out */
    int32_t skip_bad; /**< non-zero: a photo that cannot be read is left out, and the context's log
                         told once: shuffled, the next readable one of the list takes its place;
                         else its place is black and has no labels */
    uint64_t seed;    /**< of order and augmentation */
    int32_t workers;  /**< threads that decode and augment; 0: one for every four processors that
                         this process may use */
    uint64_t ahead_bytes; /**< of batches prepared ahead, at least one more than are lent; 0: 256
                             MiB at most */
    uint64_t keep_bytes;  /**< of resized photos kept in memory; 0: none */
    int32_t lend;         /**< batches that stay valid, the newest among them, e.g. 2 for
                             hmt_trainer_stage(); 0: 1; at most 8 */
    int32_t reserved;     /**< zero; room for later versions */
    const hmt_decode_options
        *decode; /**< how photos are decoded, min_side aside, which follows from
                    the size they are resized to; copied. NULL: the defaults */
} hmt_loader_options;
#define HMT_LOADER_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(hmt_loader_options), 32, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL       \
    }

/**
 * Starts the worker threads, with all signals blocked in them.
 * @param context  for its allocator and log; NULL: malloc's. The loader keeps both alive
 * @return HMT_ERROR_ARGUMENT, _MEMORY, _STATE (no thread started)
 */
HMT_API hmt_status hmt_loader_create(const hmt_context *context, const hmt_dataset *dataset,
                                     const hmt_loader_options *options, hmt_loader **loader);
/** Ends the workers, at any moment, and releases everything. */
HMT_API void hmt_loader_free(hmt_loader *loader);

/** Batches of an epoch. */
HMT_API uint64_t hmt_loader_batches(const hmt_loader *loader);

/**
 * Goes to batch `batch` of epoch `epoch` (both from 0): the next hmt_loader_next() gives it. What a
 * batch holds depends on seed, epoch and place alone, not on threads or on what was loaded before.
 * @return HMT_ERROR_ARGUMENT
 */
HMT_API hmt_status hmt_loader_seek(hmt_loader *loader, uint64_t epoch, uint64_t batch);

/**
 * The next batch; waits for it. Its arrays are the loader's, valid until the next call, or the one
 * after so many as lend says.
 * @param batch    receives images and labels; count 0 at the end of the epoch, after which the next
 *                 epoch begins
 * @param samples  receives (count) sample indices; may be NULL
 * @return HMT_ERROR_NOT_FOUND, _IO, _FORMAT, _LIMIT, _UNSUPPORTED, _MEMORY: a photo could not be
 * read; the message begins with the file and line that names it
 */
HMT_API hmt_status hmt_loader_next(hmt_loader *loader, hmt_batch *batch, const size_t **samples);

/* ------------------------------------------------------------------------------------------------------
 * 4  Metrics
 * ------------------------------------------------------------------------------------------------------
 */

/** One face: what is known of it and what was predicted. */
typedef struct hmt_outcome {
    int32_t gender, race;                     /**< labels; -1: not known */
    float score;                              /**< label; NaN: not known */
    int32_t predicted_gender, predicted_race; /**< -1: not predicted */
    float predicted_score;                    /**< NaN: not predicted */
} hmt_outcome;

/** A figure with its confidence interval; all three NaN where there is nothing to say. */
typedef struct hmt_figure {
    double value;
    double low, high; /**< equal to value without a bootstrap; NaN where fewer than two faces, or
                         most resamples, give none */
} hmt_figure;

/** How well predictions fit labels. */
typedef struct hmt_metrics {
    size_t struct_size;
    uint64_t count;                 /**< outcomes taken in */
    uint64_t known[HMT_TASK_COUNT]; /**< with label and prediction of the task */
    hmt_figure mae, rmse, bias;     /**< of scores; bias: mean of predicted - label */
    hmt_figure pearson;             /**< correlation, [-1, 1]: the paper's PC */
    hmt_figure spearman;            /**< rank correlation, ties share their mean rank */
    hmt_figure accuracy[2];         /**< gender, race: share of right classes, [0, 1] */
    uint64_t confusion[2][HMT_MAX_CLASSES][HMT_MAX_CLASSES]; /**< [task][label][predicted] */
} hmt_metrics;

typedef struct hmt_metrics_options {
    size_t struct_size;
    uint32_t tasks;       /**< HMT_TASKS_... bits */
    int32_t gender, race; /**< only outcomes with these labels; -1: any */
    int32_t resamples;    /**< of the percentile bootstrap over faces; 0: no intervals */
    double confidence;    /**< of the intervals, (0, 1) */
    uint64_t seed;        /**< of the bootstrap: the same seed gives the same intervals */
} hmt_metrics_options;
#define HMT_METRICS_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(hmt_metrics_options), HMT_TASKS_ALL, -1, -1, 0, 0.95, 1                             \
    }

/** Measures `count` outcomes. metrics->struct_size must be set. @return HMT_ERROR_ARGUMENT,
 * _MEMORY */
HMT_API hmt_status hmt_metrics_measure(const hmt_context *context, const hmt_outcome *outcomes,
                                       size_t count, const hmt_metrics_options *options,
                                       hmt_metrics *metrics);

/** A figure over several runs: seeds, or the folds of a cross validation. */
typedef struct hmt_spread {
    double mean;      /**< NaN where no run has the figure */
    double deviation; /**< of the sample, with count - 1; NaN for fewer than two runs */
    uint64_t count;   /**< runs that have the figure */
} hmt_spread;

typedef struct hmt_metrics_summary {
    size_t struct_size;
    hmt_spread mae, rmse, bias, pearson, spearman, accuracy[2]; /**< as in hmt_metrics */
} hmt_metrics_summary;

/**
 * Mean and deviation of each figure's value over runs, each run counting the same however many
 * faces it has. Folds of one data set share most of their training photos, and seeds all of their
 * test photos: the deviation says how much such runs differ, not how far the mean would move with
 * other photos.
 * @param runs     (count) measured by hmt_metrics_measure(); count >= 1
 * @param summary  its struct_size must be set
 * @return HMT_ERROR_ARGUMENT
 */
HMT_API hmt_status hmt_metrics_summarise(const hmt_metrics *const *runs, size_t count,
                                         hmt_metrics_summary *summary);

#ifdef __cplusplus
}
#endif

#endif /* HMTNET_DATA_H */
