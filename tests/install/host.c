/* A host program outside the tree: what install_test.sh builds against an installed copy. */
#include <stdio.h>
#include <stdlib.h>

#include <hmtnet/hmtnet.h>

int main(void)
{
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_session *session = NULL;
    hmt_prediction prediction;
    float *image = (float *)calloc(3 * 224 * 224, sizeof *image);
    int failed;

    hmt_model_config_init(&config);
    config.width = 0.0625;
    failed = image == NULL || hmt_version_number() != HMT_VERSION_NUMBER ||
             hmt_model_create(NULL, &config, 1, &model) != HMT_OK ||
             hmt_session_create(model, NULL, &session) != HMT_OK ||
             hmt_infer(session, image, 1, &prediction) != HMT_OK;
    printf("%s: %s\n", hmt_version(), failed ? hmt_last_error() : prediction.gender.name);
    hmt_session_free(session);
    hmt_model_free(model);
    free(image);
    return failed;
}
