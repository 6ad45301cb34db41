/*
 * hmt_model_config to and from JSON, as it travels in a model file's metadata. The same text in
 * every locale.
 */
#ifndef HMT_FORMAT_CONFIG_JSON_H
#define HMT_FORMAT_CONFIG_JSON_H

#include <hmtnet/hmtnet.h>

enum {
    CONFIG_JSON_VERSION = 1, /* raised when an older library would misread a newer text */
    CONFIG_JSON_SIZE = 16384 /* enough for every valid config, with its terminating zero */
};

/* The metadata key that it stands under. */
#define CONFIG_JSON_KEY "hmtnet.config"

/* Writes the config and a terminating zero. HMT_ERROR_ARGUMENT names the field that has no JSON:
 * an unknown enumerator, a label that is not UTF-8 or not terminated, a number that is not finite;
 * HMT_ERROR_LIMIT if capacity is too small. */
hmt_status config_to_json(const hmt_model_config *config, char *buffer, size_t capacity);

/* Reads one and checks every value's range. All keys of version 1 must be there, once; unknown keys
 * are ignored. HMT_ERROR_FORMAT names the key; HMT_ERROR_UNSUPPORTED for a newer version or an
 * unknown network, wiring or aggregator. On failure *config is not changed. */
hmt_status config_from_json(const char *json, size_t length, hmt_model_config *config);

#endif
