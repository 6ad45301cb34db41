/*
 * Runs a fuzz target without a fuzzer: on the inputs given, or its seeds, and on mutations of each.
 *
 *     replay_TARGET [--mutations N] [FILE | FOLDER]...
 *     replay_TARGET --seeds FOLDER      writes the seeds into a folder, for libFuzzer
 *
 * A child process does the work, so that whatever ends it, the input is known: it is left in the
 * file crash-TARGET-INPUT-MUTATION.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"
#include "mutate.h"

enum { LARGEST = 1 << 20, HANGS = 60 /* seconds for one input, also in a sanitizer's build */ };

/* What the child has come to, in memory that both see. */
typedef struct progress {
    size_t input, mutation, size;
    uint8_t data[LARGEST + MUTATE_ROOM];
} progress;

static progress *now;

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);

    alarm(HANGS);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void run_all(const fuzz_input *inputs, size_t count, size_t mutations)
{
    for (now->input = 0; now->input < count; ++now->input)
        for (now->mutation = 0; now->mutation <= mutations; ++now->mutation) {
            const fuzz_input *input = &inputs[now->input];
            const uint64_t number = (uint64_t)now->input << 32 | now->mutation;

            now->size = input->size;
            if (now->mutation == 0)
                memcpy(now->data, input->data, input->size);
            else
                now->size = mutate(input, &inputs[number % count], number, now->data);
            run(now->data, now->size);
        }
}

/* Takes a file in, or every file of a folder. */
static void take(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char *inner;
    size_t size;

    if (folder == NULL) {
        fuzz_seed_file(path, "", 0);
        return;
    }
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.') {
            size = strlen(path) + strlen(entry->d_name) + 2;
            inner = malloc(size);
            FUZZ_CHECK(inner != NULL);
            snprintf(inner, size, "%s/%s", path, entry->d_name);
            take(inner);
            free(inner);
        }
    closedir(folder);
}

static int write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    const int good = file != NULL && fwrite(data, 1, size, file) == size;

    if (file == NULL || fclose(file) != 0 || !good) {
        fprintf(stderr, "replay: cannot write %s\n", path);
        return 1;
    }
    return 0;
}

static int write_seeds(const char *folder)
{
    size_t count;
    const fuzz_input *inputs = fuzz_inputs(&count);
    char path[4096];
    int failed = 0;

    mkdir(folder, 0777);
    for (size_t i = 0; i < count && !failed; ++i) {
        snprintf(path, sizeof path, "%s/seed-%03zu", folder, i);
        failed = write_file(path, inputs[i].data, inputs[i].size);
    }
    return failed;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    char crash[256];
    size_t mutations = 0, count;
    const fuzz_input *inputs;
    int status, at = 1;
    pid_t child;

    if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
        return write_seeds(argv[2]);
    if (argc > 2 && strcmp(argv[1], "--mutations") == 0) {
        mutations = (size_t)strtoull(argv[2], NULL, 10);
        at = 3;
    }
    for (; at < argc; ++at)
        take(argv[at]);
    inputs = fuzz_inputs(&count);
    now = mmap(NULL, sizeof *now, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(now != MAP_FAILED);
    fuzz_path(""); /* the folder is this process's to remove */
    child = fork();
    if (child == 0) {
        run_all(inputs, count, mutations);
        return 0;
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    if (status == 0) {
        printf("%zu inputs, %zu mutations of each\n", count, mutations);
        return 0;
    }
    snprintf(crash, sizeof crash, "crash-%s-%zu-%zu", name != NULL ? name + 1 : argv[0], now->input,
             now->mutation);
    if (write_file(crash, now->data, now->size) == 0)
        fprintf(stderr, "replay: the input that did it: %s, %zu bytes\n", crash, now->size);
    return 1;
}
