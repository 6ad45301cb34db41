/*
 * A bounded pipeline: worker threads prepare samples, the caller takes them in batches, in order.
 * What a sample is made into, floats or 8-bit crops, is between the load function and the caller.
 *
 * Memory is that of `depth` batches whatever the number of samples. One thread takes batches; the
 * load function runs on the workers, several at once, each sample once.
 */
#ifndef EXAMPLES_BATCHES_H
#define EXAMPLES_BATCHES_H

#include <stdbool.h>
#include <stddef.h>

enum { BATCHES_MESSAGE = 640 };

/* Prepares sample `index`: fills `data` (bytes) and returns true, or says in message why not. */
typedef bool (*batches_load)(void *user, size_t index, void *data, char *message);

typedef struct batches_options {
    size_t count; /* samples in all */
    size_t batch; /* samples of a batch; the last one may have fewer */
    size_t bytes; /* of a sample; may be 0 */
    int workers;  /* threads, at least 1 */
    int depth;    /* batches in memory: those taken, and those prepared ahead; above held */
    batches_load load;
    void *user; /* handed to load */
    int held;   /* views that stay valid, the newest among them; 0: 1 */
} batches_options;

typedef struct batches_item {
    bool good;                     /* otherwise its part of the data is zero */
    char message[BATCHES_MESSAGE]; /* why it is not; "" if it is */
} batches_item;

/* A batch as the caller sees it. */
typedef struct batches_view {
    size_t first, count; /* samples first .. first + count - 1 */
    void *data;          /* (count, bytes), aligned to 64 bytes */
    const batches_item *items;
} batches_view;

typedef struct batches batches;

/* NULL: no memory or no thread; a message has been printed. */
batches *batches_start(const batches_options *options);
/* Gives the oldest view back, if as many as may be are held, and waits for the next batch. false:
 * there is none. */
bool batches_next(batches *line, batches_view *view);
/* Ends the workers, also in the middle, and frees everything. NULL is allowed. */
void batches_stop(batches *line);

#endif
