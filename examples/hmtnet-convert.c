/*
 * hmtnet-convert - stores a model's weights in fewer or more bits, PyTorch checkpoints' among them.
 *
 * A smaller file is also smaller in memory and faster to compute from: see docs/models.md.
 */
#include <hmtnet/hmtnet.h>

#include "common/cli.h"

static int storage = HMT_DTYPE_I8, wiring = -1;
static const char *state_dict;

static const cli_option options[] = {
    {"storage", 's', CLI_CHOICE, &storage, "f32|f16|bf16|i8",
     "how weights are stored in OUTPUT (default i8)", 0, 0},
    {"wiring", 0, CLI_CHOICE, &wiring, "released|paper",
     "where the race branch begins, for an INPUT that does not say\n(default released)", 0, 0},
    {"state-dict", 0, CLI_TEXT, &state_dict, "NAME",
     "which state dict of a PyTorch checkpoint that has several", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-convert", "[OPTION]... INPUT OUTPUT",
    "Stores the weights of the model INPUT in 32, 16 or 8 bits in OUTPUT, which is replaced as a\n"
    "whole or not at all. Both may be the same file. INPUT is a safetensors file or a PyTorch\n"
    "checkpoint (a state dict as torch.save writes it).",
    options,
    "Bits that were left out do not come back: a model that is to be trained stays f32.\n\n"
    "Exit status: 0 written, 2 wrong usage or model, 3 OUTPUT could not be\n"
    "written.\n\n"
    "Examples: hmtnet-convert --storage i8 model.safetensors small.safetensors\n"
    "          hmtnet-convert --storage f32 hmtnet.pth hmtnet.safetensors"};

/* What the library finds in a file and leaves there. */
static void warn(void *user, hmt_log_level level, const char *message)
{
    (void)user;
    if (level <= HMT_LOG_WARNING)
        cli_error("%s", message);
}

/* Loads a model; a wiring that was asked for is that of a file which does not say its own. */
static hmt_status load(hmt_context *context, const char *path, hmt_model **model)
{
    hmt_load_options told = HMT_LOAD_OPTIONS_INIT;
    hmt_model_config config = {.struct_size = sizeof config};
    hmt_status status;

    told.state_dict = state_dict;
    status = hmt_model_load(context, path, &told, model);
    if (status != HMT_OK || wiring < 0)
        return status;
    status = hmt_model_get_config(*model, &config);
    hmt_model_free(*model);
    config.wiring = (hmt_wiring)wiring;
    told.config = &config;
    return status == HMT_OK ? hmt_model_load(context, path, &told, model) : status;
}

static int convert(hmt_context *context, const char *input, const char *output)
{
    hmt_model *model = NULL;
    int status = CLI_OK;

    if (load(context, input, &model) != HMT_OK) {
        cli_library_error("cannot load the model");
        return CLI_USAGE;
    }
    if (hmt_model_save(model, output, (hmt_dtype)storage) != HMT_OK) {
        cli_library_error("cannot save the model");
        status = CLI_OUTPUT;
    }
    hmt_model_free(model);
    return status;
}

int main(int argc, char **argv)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    int status = CLI_OK, first = cli_parse(&program, argc, argv, &status);

    if (first < 0)
        return cli_end(status);
    if (argc - first != 2) {
        cli_error("INPUT and OUTPUT are needed; --help shows how");
        return CLI_USAGE;
    }
    about.log = warn;
    if (hmt_context_create(&about, &context) != HMT_OK) {
        cli_library_error("cannot start");
        return CLI_USAGE;
    }
    status = convert(context, argv[first], argv[first + 1]);
    hmt_context_free(context);
    return cli_end(status);
}
