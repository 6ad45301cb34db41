/* wrap: open openat close closedir read pread write fstat fstatat fchmod fchown fsync linkat */
/* wrap: renameat unlinkat mmap readlinkat flock faccessat */
/*
 * Models on a disk that fails: each call of saving and loading is made to fail in turn. A status
 * and a sentence each time, the file on disk as it was or whole and new, no temporary file and no
 * descriptor left, the model usable afterwards.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "faults.h"

static char directory[] = "/tmp/hmtnet_model_faults_XXXXXX";
static char path[256];

static int count_files(void)
{
    DIR *folder = opendir(directory);
    int count = 0;

    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    if (folder != NULL)
        closedir(folder);
    return count;
}

static float score_bias(const hmt_model *model)
{
    size_t index = 0;
    float value = -1.0f;

    CHECK_STATUS(hmt_model_param_find(model, "fc8.bias", &index), HMT_OK);
    CHECK_STATUS(hmt_model_param_read(model, index, &value, 1), HMT_OK);
    return value;
}

static hmt_model *make(float mean)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = 0.03;
    config.score_mean = mean;
    CHECK_STATUS(hmt_model_create(NULL, &config, 1, &model), HMT_OK);
    return model;
}

static void arm(enum call call, int after, int error)
{
    fault.call = call;
    fault.after = after;
    fault.error = error;
    fault.times = 1;
    fault.fired = false;
    fault.armed = true;
    open_descriptors = 0;
}

/* The score bias of the model on disk; the file must be whole. */
static float on_disk(void)
{
    hmt_model *model = NULL;
    float value;

    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &model), HMT_OK);
    value = score_bias(model);
    hmt_model_free(model);
    return value;
}

static void saving(void)
{
    hmt_model *old = make(2.0f), *new = make(4.0f);

    for (int call = 0; call < CALLS; ++call)
        for (int after = 0;; ++after) {
            hmt_status status;
            float value;

            CHECK_STATUS(hmt_model_save(old, path, HMT_DTYPE_F32), HMT_OK);
            arm((enum call)call, after, call == WRITE ? ENOSPC : EIO);
            status = hmt_model_save(new, path, HMT_DTYPE_BF16);
            fault.armed = false;
            if (!fault.fired) {
                CHECK_STATUS(status, HMT_OK);
                break;
            }
            value = on_disk();
            CHECK(status == HMT_OK || hmt_last_error()[0] != '\0' || value == 2.0f ||
                  value == 4.0f);
            if (status == HMT_OK)
                CHECK(value == 4.0f);
            else if (call != FSYNC && call != CLOSE &&
                     call != OPEN) /* the last sync comes after the rename */
                CHECK(value == 2.0f);
            CHECK(count_files() == 1 || call == UNLINK);
            CHECK(open_descriptors == 0);
            CHECK_STATUS(hmt_model_save(new, path, HMT_DTYPE_F32), HMT_OK); /* usable */
            CHECK(on_disk() == 4.0f);
        }
    hmt_model_free(old);
    hmt_model_free(new);
}

static void loading(void)
{
    hmt_model *model = make(4.0f), *loaded;
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;

    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    hmt_model_free(model);
    for (o.map = 0; o.map < 2; ++o.map)
        for (int call = 0; call < CALLS; ++call)
            for (int after = 0;; ++after) {
                hmt_status status;

                loaded = NULL;
                arm((enum call)call, after, EIO);
                status = hmt_model_load(NULL, path, &o, &loaded);
                fault.armed = false;
                CHECK(open_descriptors == 0);
                if (status == HMT_OK)
                    CHECK(score_bias(loaded) == 4.0f);
                else
                    CHECK(status == HMT_ERROR_IO && strstr(hmt_last_error(), path) != NULL &&
                          loaded == NULL);
                hmt_model_free(loaded);
                if (!fault.fired)
                    break;
            }
}

int main(void)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    saving();
    loading();
    remove(path);
    CHECK(rmdir(directory) == 0);
    return test_finish();
}
