/* tier: quick
 * Backends in shared libraries of their own: found where they may be, refused with one sentence
 * where they cannot be used, listed; after each refusal the host goes on with the CPU. The modules
 * are made from module_*.c; modules_test.sh looks beside the library and at the environment of
 * set-user-ID programs.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "module_several.h"

static const char folder[] = HMT_MODULES;

static hmt_status open_module(const char *name, const char *path, hmt_context **context)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;

    o.backend = name;
    o.module_path = path;
    o.threads = 1;
    *context = NULL;
    return hmt_context_create(&o, context);
}

/* A host whose wish was refused opens the CPU. */
static void cpu_still_works(void)
{
    hmt_context *context = NULL;

    CHECK_STATUS(hmt_context_create(NULL, &context), HMT_OK);
    CHECK(hmt_context_backend(context)[0] != '\0');
    hmt_context_free(context);
}

static bool said(const char *words)
{
    const char *message = hmt_last_error();

    if (strstr(message, words) != NULL && strchr(message, '\n') == NULL)
        return true;
    printf("\"%s\" is not in \"%s\"\n", words, message);
    return false;
}

static void refused(const char *name, const char *path, hmt_status code, const char *words)
{
    hmt_context *context = NULL;

    CHECK_STATUS(open_module(name, path, &context), code);
    CHECK(said(words));
    CHECK(context == NULL);
    cpu_still_works();
}

static void used(const char *name, const char *path)
{
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_session *session = NULL;

    CHECK_STATUS(open_module(name, path, &context), HMT_OK);
    if (context == NULL)
        return;
    CHECK(strcmp(hmt_context_backend(context), name) == 0);
    hmt_model_config_init(&config);
    config.width = 0.02;
    CHECK_STATUS(hmt_model_create(context, &config, 1, &model), HMT_OK);
    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
}

static void places(void)
{
    char file[512], here[1024], elsewhere[] = "/tmp/hmtnet_modules_XXXXXX";

    snprintf(file, sizeof file, "%s/libhmtnet_good.so", folder);
    unsetenv("HMT_BACKEND_PATH");
    used("good", folder);
    used("good", file);
    used("good", folder); /* and once more */
    CHECK(getcwd(here, sizeof here) != NULL && chdir(folder) == 0);
    used("good", "libhmtnet_good.so"); /* here, not where the system looks for libraries */
    CHECK(chdir(here) == 0);
    setenv("HMT_BACKEND_PATH", folder, 1);
    used("good", NULL);
    setenv("HMT_BACKEND_PATH", file, 1);
    used("good", NULL);
    CHECK(mkdtemp(elsewhere) != NULL);
    used("good", elsewhere); /* not there, so it is looked for in the environment's place */
    setenv("HMT_BACKEND_PATH", "", 1);
    refused("good", elsewhere, HMT_ERROR_NOT_FOUND, "there is no module libhmtnet_good.so in /tmp");
    refused("good", "/nowhere/at/all", HMT_ERROR_NOT_FOUND, "/nowhere/at/all");
    refused("good", NULL, HMT_ERROR_NOT_FOUND, "there is no module libhmtnet_good.so");
    { /* this program is linked with the static library, which is beside nothing */
        hmt_context *context = NULL;

        CHECK_STATUS(open_module("good", NULL, &context), HMT_ERROR_NOT_FOUND);
        CHECK(strstr(hmt_last_error(), ".so in ") == NULL);
    }
    CHECK(chdir(folder) == 0);
    setenv("HMT_BACKEND_PATH", ".", 1); /* code is not loaded from where the process stands */
    refused("good", NULL, HMT_ERROR_NOT_FOUND, "HMT_BACKEND_PATH is not an absolute path");
    setenv("HMT_BACKEND_PATH", "libhmtnet_good.so", 1);
    refused("good", NULL, HMT_ERROR_NOT_FOUND, "HMT_BACKEND_PATH is not an absolute path");
    CHECK(chdir(here) == 0);
    {
        char fifo[128]; /* whoever opens it waits */

        snprintf(fifo, sizeof fifo, "%s/libhmtnet_good.so", elsewhere);
        CHECK(mkfifo(fifo, 0600) == 0);
        alarm(20);
        refused("good", elsewhere, HMT_ERROR_UNSUPPORTED, "it is not a regular file");
        refused("good", fifo, HMT_ERROR_UNSUPPORTED, "it is not a regular file");
        alarm(0);
        CHECK(unlink(fifo) == 0);
    }
    setenv("HMT_BACKEND_PATH", elsewhere, 1); /* the option comes before the environment */
    used("good", folder);
    rmdir(elsewhere);
    unsetenv("HMT_BACKEND_PATH");
}

/* A name that is none is not looked for, even where it would lead to a file. */
static void names(void)
{
    static const char *const bad[] = {"",      "../good", "Good",        "go od",
                                      "good/", "a.b",     "g\xc3\xb6od", "d/good"};
    char longest[128], outside[] = "/tmp/hmtnet_modules_XXXXXX", inner[64], link[96], file[512];

    CHECK(mkdtemp(outside) != NULL);
    snprintf(inner, sizeof inner, "%s/libhmtnet_d", outside);
    snprintf(link, sizeof link, "%s/good.so", inner);
    snprintf(file, sizeof file, "%s/libhmtnet_good.so", folder);
    CHECK(mkdir(inner, 0700) == 0 && symlink(file, link) == 0);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; ++i) {
        const char *name = i < sizeof bad / sizeof bad[0] ? bad[i] : longest;
        hmt_context *context = NULL;

        CHECK_STATUS(open_module(name, outside, &context), HMT_ERROR_NOT_FOUND);
        CHECK(said("no backend is called") && strstr(hmt_last_error(), "no module") == NULL);
    }
    cpu_still_works();
    CHECK(unlink(link) == 0 && rmdir(inner) == 0 && rmdir(outside) == 0);
}

static void bad_modules(void)
{
    char file[512], numbers[96];

    snprintf(numbers, sizeof numbers,
             "was made for backend interface %u, this library has interface %u",
             HMT_BACKEND_ABI + 5, HMT_BACKEND_ABI);
    refused("oldabi", folder, HMT_ERROR_UNSUPPORTED, numbers);
    refused("nosymbol", folder, HMT_ERROR_UNSUPPORTED, "has no function hmt_backend_module");
    refused("hole", folder, HMT_ERROR_UNSUPPORTED, "lacks the function exec_run");
    refused("othername", folder, HMT_ERROR_UNSUPPORTED,
            "is backend \"somebody\", not \"othername\"");
    refused("nodevice", folder, HMT_ERROR_NOT_FOUND, "backend nodevice finds no device");
    refused("absent", folder, HMT_ERROR_UNSUPPORTED, "libhmtnet_absent_library.so: cannot open");
    snprintf(file, sizeof file, "%s/libhmtnet_good.so", folder);
    refused("several", file, HMT_ERROR_UNSUPPORTED, "is backend \"good\", not \"several\"");
    refused("good", __FILE__, HMT_ERROR_UNSUPPORTED, "cannot load module"); /* no library */
}

/* The tables that a host hands over are looked at as closely. */
static void own_tables(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_backend table = {.struct_size = sizeof table, .abi = HMT_BACKEND_ABI, .name = "mine"};
    const hmt_backend *const list[] = {&table};
    hmt_context *context = NULL;

    o.backends = list;
    o.backend_count = 1;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_ERROR_ARGUMENT);
    CHECK(said("backend mine lacks the function device_count"));
}

typedef struct lines {
    int count;
    char text[16][512];
} lines;

static void keep_line(void *user, hmt_log_level level, const char *message)
{
    lines *l = user;

    if (level == HMT_LOG_WARNING && l->count < 16)
        snprintf(l->text[l->count++], sizeof l->text[0], "%s", message);
}

static size_t count_named(const hmt_context *context, const char *name, int32_t *devices)
{
    size_t found = 0;

    for (size_t i = 0; i < hmt_backend_count(context); ++i) {
        hmt_backend_info info = HMT_BACKEND_INFO_INIT;

        CHECK_STATUS(hmt_backend_get_info(context, i, &info), HMT_OK);
        if (strcmp(info.name, name) != 0)
            continue;
        ++found;
        *devices = info.device_count;
    }
    return found;
}

static void listing(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    lines logged = {.count = 0};
    int32_t devices = -1;
    size_t builtin = hmt_backend_count(NULL);

    o.module_path = folder;
    o.log = keep_line;
    o.log_user = &logged;
    CHECK_STATUS(hmt_context_create(&o, &context),
                 HMT_OK); /* without the wish: nothing is loaded */
    CHECK(hmt_backend_count(context) == builtin && logged.count == 0);
    hmt_context_free(context);

    o.list_modules = 1;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK(strcmp(hmt_context_backend(context), "onednn") == 0); /* a module is never the default */
    CHECK(count_named(context, "good", &devices) == 1 && devices == 1);
    CHECK(count_named(context, "several", &devices) == 1 && devices == SEVERAL_DEVICES);
    CHECK(count_named(context, "nodevice", &devices) == 1 && devices == 0);
    CHECK(hmt_backend_count(context) == builtin + 3);
    CHECK(logged.count == 5); /* oldabi, nosymbol, hole, othername, absent */
    hmt_context_free(context);

    o.list_modules = 0;
    o.backend = "several";
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK(hmt_backend_count(context) == builtin + 1);
    CHECK(count_named(context, "several", &devices) == 1);
    hmt_context_free(context);
    CHECK(hmt_backend_count(NULL) == builtin);
}

/* A wish for less than float32 is refused where it cannot be had, and handed on where it can. */
static void precisions(void)
{
    static const hmt_precision all[] = {HMT_PRECISION_AUTO, HMT_PRECISION_FLOAT32,
                                        HMT_PRECISION_TF32, HMT_PRECISION_BFLOAT16};
    static const char *const cpus[] = {"reference", "onednn", "good"};
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    o.module_path = folder;
    for (size_t i = 0; i < sizeof cpus / sizeof cpus[0]; ++i)
        for (size_t k = 0; k < 4; ++k) {
            o.backend = cpus[i];
            o.precision = all[k];
            CHECK_STATUS(hmt_context_create(&o, &context), k < 2 ? HMT_OK : HMT_ERROR_UNSUPPORTED);
            if (k < 2)
                hmt_context_free(context);
            else
                CHECK(said(k == 2 ? "cannot compute in TF32, only in float32"
                                  : "cannot compute in bfloat16, only in float32"));
        }
    o.backend = "several";
    o.precision = HMT_PRECISION_TF32;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    hmt_context_free(context);
    o.precision = HMT_PRECISION_BFLOAT16;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_ERROR_UNSUPPORTED);
    CHECK(said("cannot compute in bfloat16, only in float32 and TF32"));
    o.precision = (hmt_precision)9;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_ERROR_ARGUMENT);
    o.precision = (hmt_precision)-1;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_ERROR_ARGUMENT);
}

int main(void)
{
    places();
    names();
    bad_modules();
    own_tables();
    listing();
    precisions();
    return test_finish();
}
