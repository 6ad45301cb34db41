/*
 * The bounded pipeline (see batches.h): a ring of `depth` batch buffers and a counter of samples.
 *
 * A worker takes the next sample number, waits until that sample's batch has a free buffer, fills
 * its place and counts it. All shared fields are under one mutex; the load itself runs outside it.
 */
#include "batches.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { ALIGNMENT = 64, KEPT_BYTES = 8 << 20 };

typedef struct slot {
    unsigned char *data;
    batches_item *items;
    size_t done; /* samples filled in */
} slot;

struct batches {
    batches_options options;
    size_t batch_count;
    slot *slots; /* (depth) batch b is in slot b % depth */
    pthread_t *threads;
    int started;

    pthread_mutex_t mutex;
    pthread_cond_t freed, filled;
    size_t next_sample; /* to be taken by a worker */
    size_t released;    /* batches given back by the caller */
    size_t taken;       /* batches given to the caller */
    bool stop;
};

static size_t batch_size(const batches *line, size_t batch)
{
    size_t first = batch * line->options.batch;
    size_t left = line->options.count - first;
    return left < line->options.batch ? left : line->options.batch;
}

/* Takes the next sample whose batch has a buffer. false: no more, or told to stop. */
static bool take(batches *line, size_t *sample)
{
    const batches_options *options = &line->options;
    pthread_mutex_lock(&line->mutex);
    bool any = !line->stop && line->next_sample < options->count;
    if (any) {
        *sample = line->next_sample++;
        size_t batch = *sample / options->batch;
        while (!line->stop && batch >= line->released + (size_t)options->depth)
            pthread_cond_wait(&line->freed, &line->mutex);
        any = !line->stop;
    }
    pthread_mutex_unlock(&line->mutex);
    return any;
}

static void *work(void *argument)
{
    batches *line = argument;
    const batches_options *options = &line->options;
    for (size_t sample; take(line, &sample);) {
        size_t batch = sample / options->batch, place = sample % options->batch;
        slot *slot = &line->slots[batch % (size_t)options->depth];
        batches_item *item = &slot->items[place];
        unsigned char *data = options->bytes ? slot->data + place * options->bytes : NULL;
        item->message[0] = '\0';
        item->good = options->load(options->user, sample, data, item->message);
        if (!item->good && data)
            memset(data, 0, options->bytes);
        pthread_mutex_lock(&line->mutex);
        if (++slot->done == batch_size(line, batch))
            pthread_cond_signal(&line->filled);
        pthread_mutex_unlock(&line->mutex);
    }
    return NULL;
}

/* Photos come and go: without this the C library gives their memory back to the system after each
 * one, and its pages are faulted in again for the next. Large photos still go back. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

static bool allocate(batches *line)
{
    const batches_options *options = &line->options;
    size_t bytes = options->batch * options->bytes;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    line->slots = calloc((size_t)options->depth, sizeof *line->slots);
    line->threads = calloc((size_t)options->workers, sizeof *line->threads);
    if (!line->slots || !line->threads)
        return false;
    for (int i = 0; i < options->depth; i++) {
        slot *slot = &line->slots[i];
        slot->items = calloc(options->batch, sizeof *slot->items);
        slot->data = bytes ? aligned_alloc(ALIGNMENT, bytes) : NULL;
        if (!slot->items || (bytes && !slot->data))
            return false;
    }
    return true;
}

batches *batches_start(const batches_options *options)
{
    batches *line = calloc(1, sizeof *line);
    if (!line) {
        cli_error("out of memory");
        return NULL;
    }
    line->options = *options;
    line->options.held = options->held ? options->held : 1;
    line->batch_count = (options->count + options->batch - 1) / options->batch;
    pthread_mutex_init(&line->mutex, NULL);
    pthread_cond_init(&line->freed, NULL);
    pthread_cond_init(&line->filled, NULL);
    keep_memory();
    bool memory = allocate(line);
    while (memory && line->started < options->workers &&
           pthread_create(&line->threads[line->started], NULL, work, line) == 0)
        line->started++;
    if (line->started == 0) {
        cli_error(memory ? "cannot start a thread" : "out of memory for a batch");
        batches_stop(line);
        return NULL;
    }
    return line;
}

bool batches_next(batches *line, batches_view *view)
{
    pthread_mutex_lock(&line->mutex);
    if (line->taken - line->released == (size_t)line->options.held) {
        line->slots[line->released % (size_t)line->options.depth].done = 0;
        line->released++;
        pthread_cond_broadcast(&line->freed);
    }
    bool any = line->taken < line->batch_count;
    if (any) {
        size_t batch = line->taken++, size = batch_size(line, batch);
        slot *slot = &line->slots[batch % (size_t)line->options.depth];
        while (slot->done < size)
            pthread_cond_wait(&line->filled, &line->mutex);
        *view = (batches_view){batch * line->options.batch, size, slot->data, slot->items};
    }
    pthread_mutex_unlock(&line->mutex);
    return any;
}

void batches_stop(batches *line)
{
    if (!line)
        return;
    pthread_mutex_lock(&line->mutex);
    line->stop = true;
    pthread_cond_broadcast(&line->freed);
    pthread_mutex_unlock(&line->mutex);
    for (int i = 0; i < line->started; i++)
        pthread_join(line->threads[i], NULL);
    for (int i = 0; line->slots && i < line->options.depth; i++) {
        free(line->slots[i].data);
        free(line->slots[i].items);
    }
    pthread_cond_destroy(&line->filled);
    pthread_cond_destroy(&line->freed);
    pthread_mutex_destroy(&line->mutex);
    free(line->threads);
    free(line->slots);
    free(line);
}
