/* tier: quick
 * Messages keep their reason: however long a path or name in them is, what was wrong stands at the
 * end, the message is one line of UTF-8, and it fits.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hmtnet/data.h>

#include "check.h"
#include "core/message.h"
#include "core/status.h"
#include "core/utf8.h"

static void format(char *text, size_t size, const char *form, ...)
{
    va_list arguments;

    va_start(arguments, form);
    message_format(text, size, form, arguments);
    va_end(arguments);
}

static int ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), wanted = strlen(end);

    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

/* Each kind of conversion the same in a message that is cut as in one that is not. */
static void conversions(void)
{
    static const char form[] = "%d %5u|%-4d|%x %lld %llu %zu %ld %g %.3f %c %% %.3s %*d %.*s %p %s";
    char whole[4096], cut[512], longest[3000];

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
#define ARGUMENTS                                                                                  \
    -1, 2u, 3, 255u, -4000000000ll, 5ull, (size_t)6, 7l, 0.5, 1.5, 'c', "abcdef", 4, 8, 2, "xyz",  \
        (void *)whole
    snprintf(whole, sizeof whole, form, ARGUMENTS, "end");
    format(cut, sizeof cut, form, ARGUMENTS, "end");
    CHECK(strcmp(whole, cut) == 0);
    whole[strlen(whole) - 3] = '\0';
    format(cut, sizeof cut, form, ARGUMENTS, longest);
    CHECK(strncmp(whole, cut, strlen(whole)) == 0);
    CHECK(strlen(cut) < sizeof cut && strlen(cut) > sizeof cut - 32);
    CHECK(strstr(cut, "x...x") != NULL);
    format(cut, sizeof cut, "%s and %s: the reason is %d", longest, longest, 42);
    CHECK(ends_with(cut, ": the reason is 42"));
    CHECK(strstr(cut, "x and x") != NULL);
    for (size_t i = 0; i + 2 < sizeof longest; i += 2) /* no character is torn */
        memcpy(longest + i, "\xc3\xa9", 2);
    longest[sizeof longest - 2] = '\0';
    format(cut, sizeof cut, "%s: reason", longest);
    CHECK(ends_with(cut, "\xc3\xa9: reason"));
    CHECK(utf8_is_printable(cut, strlen(cut)));
}

/* A path of `length` bytes in `folder`, whose last part is `name`. */
static char *long_path(const char *folder, size_t length, const char *name, int make)
{
    char *path = malloc(length + 512);
    size_t used = (size_t)sprintf(path, "%s", folder);

    while (used + 200 + strlen(name) < length) {
        used +=
            (size_t)sprintf(path + used, "/%.*s", 199,
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        if (make)
            CHECK(mkdir(path, 0700) == 0);
    }
    sprintf(path + used, "/%s", name);
    return path;
}

static void expect(hmt_status status, hmt_status wanted, const char *end)
{
    CHECK_STATUS(status, wanted);
    CHECK(strlen(hmt_last_error()) < STATUS_SIZE);
    if (!ends_with(hmt_last_error(), end))
        printf("expected \"%s\" at the end of: %s\n", end, hmt_last_error());
    CHECK(ends_with(hmt_last_error(), end));
}

/* Every call that takes a path, of a file that is not there and of one whose path is too long. */
static void missing(const char *folder, size_t length, hmt_status status, const char *end)
{
    char *path = long_path(folder, length, "face.jpg", 0);
    hmt_model_config config;
    hmt_model *model = NULL, *loaded = NULL;
    hmt_session *session = NULL;
    hmt_trainer *trainer = NULL;
    hmt_dataset *set = NULL;
    hmt_prediction prediction;
    hmt_pixels pixels;

    hmt_model_config_init(&config);
    config.width = 0.03;
    CHECK_STATUS(hmt_model_create(NULL, &config, 1, &model), HMT_OK);
    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, NULL, &trainer), HMT_OK);
    expect(hmt_open(path, &session), status, end);
    expect(hmt_model_load(NULL, path, NULL, &loaded), status, end);
    expect(hmt_model_save(model, path, HMT_DTYPE_F32), status, end);
    expect(hmt_decode_file(NULL, path, NULL, &pixels), status, end);
    expect(hmt_predict_file(session, path, &prediction), status, end);
    expect(hmt_trainer_save(trainer, path, NULL), status, end);
    expect(hmt_trainer_resume(trainer, path), status, end);
    expect(hmt_checkpoint_note(NULL, path, NULL, 0, NULL), status, end);
    expect(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, NULL, &set), status, end);
    hmt_trainer_free(trainer);
    expect(hmt_model_import(model, path, NULL, 0), status, end);
    hmt_session_free(session);
    hmt_model_free(model);
    free(path);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL && fputs(text, file) >= 0);
    CHECK(file != NULL && fclose(file) == 0);
}

/* What is wrong inside a file that lies deep down: each reader names file, line and reason. */
static void damaged(const char *folder)
{
    char *path = long_path(folder, 3900, "garbage", 1);
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_model *model = NULL;
    hmt_dataset *set = NULL;
    hmt_loader *loader = NULL;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_pixels pixels;

    write_text(path, "GIF89a");
    expect(hmt_decode_file(NULL, path, NULL, &pixels), HMT_ERROR_UNSUPPORTED,
           "garbage: a GIF file is not supported: convert it to JPEG or PNG");
    write_text(path, "\x02\0\0\0\0\0\0\0[]");
    CHECK(hmt_model_load(NULL, path, NULL, &model) != HMT_OK);
    CHECK(strstr(hmt_last_error(), "/garbage: ") != NULL);
    write_text(path, "path,score\na.jpg,tall\n");
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, NULL, &set), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "/garbage:2: ") != NULL);
    write_text(path, "path,score\na.jpg,1\nb.jpg,2\n");
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, NULL, &set), HMT_OK);
    o.batch = 2;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_OK);
    expect(hmt_loader_next(loader, &batch, NULL), HMT_ERROR_NOT_FOUND,
           "a.jpg: No such file or directory");
    CHECK(strstr(hmt_last_error(), "/garbage:2: ") != NULL);
    hmt_loader_free(loader);
    hmt_dataset_free(set);
    free(path);
}

int main(void)
{
    char folder[] = "/tmp/hmtnet_messages_XXXXXX", command[64];

    CHECK(mkdtemp(folder) != NULL);
    conversions();
    missing(folder, 4000, HMT_ERROR_NOT_FOUND, "No such file or directory");
    missing(folder, 100000, HMT_ERROR_IO, "File name too long");
    damaged(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(system(command) == 0);
    return test_finish();
}
