/*
 * Data sets that tests make: files below a folder of their own, and what is read from them. One
 * test program includes it once.
 */
#ifndef HMT_TESTS_DATASET_FILES_H
#define HMT_TESTS_DATASET_FILES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hmtnet/data.h>

#include "check.h"

static char root[256];

static inline void make_root(void)
{
    snprintf(root, sizeof root, "/tmp/hmtnet-dataset-%ld", (long)getpid());
    CHECK(mkdir(root, 0777) == 0);
}

static inline void remove_root(void)
{
    char command[300];

    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK(system(command) == 0);
}

/* Writes a file below the root, with the folders it needs. */
static inline const char *put_bytes(const char *name, const char *text, size_t size)
{
    static char path[600];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *c = path + strlen(root) + 1; (c = strchr(c, '/')) != NULL; *c++ = '/') {
        *c = '\0';
        mkdir(path, 0777);
    }
    file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(text, 1, size, file) == size);
    if (file != NULL)
        fclose(file);
    return path;
}

static inline const char *put(const char *name, const char *text)
{
    return put_bytes(name, text, strlen(text));
}

static inline hmt_dataset *read_set(hmt_dataset_kind kind, const char *name)
{
    char path[600];
    hmt_dataset *set = NULL;

    snprintf(path, sizeof path, "%s/%s", root, name);
    CHECK_STATUS(hmt_dataset_read(NULL, kind, path, NULL, &set), HMT_OK);
    return set;
}

static inline hmt_sample sample_of(const hmt_dataset *set, size_t index)
{
    hmt_sample sample = HMT_SAMPLE_INIT;

    CHECK_STATUS(hmt_dataset_sample(set, index, &sample), HMT_OK);
    return sample;
}

static inline size_t side(const hmt_dataset *set, const char *split, int32_t test, size_t *indices,
                          size_t room)
{
    size_t count = 0;

    CHECK_STATUS(hmt_dataset_split(set, split, 1, test, indices, room, &count), HMT_OK);
    return count;
}

/* The call fails with a message that has `text`. */
static inline void refused(hmt_dataset_kind kind, const char *name, hmt_status status,
                           const char *text)
{
    char path[600];
    hmt_dataset *set = NULL;

    snprintf(path, sizeof path, "%s/%s", root, name);
    CHECK_STATUS(hmt_dataset_read(NULL, kind, path, NULL, &set), status);
    CHECK(set == NULL && strstr(hmt_last_error(), text) != NULL);
    if (strstr(hmt_last_error(), text) == NULL)
        printf("    said: %s\n", hmt_last_error());
}

#endif
