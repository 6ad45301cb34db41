/*
 * hmt_model_config to and from JSON. The table `fields` names the keys; nothing else in the library
 * knows how a config looks in a file.
 */
#include "format/config_json.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "core/utf8.h"
#include "format/json.h"

/* Enumerators by their number. */
static const char *const networks[] = {"hmtnet"};
static const char *const wirings[] = {"released", "paper"};
static const char *const aggregators[] = {"average", "concatenate"};
static const char *const heads[] = {"gender", "race", "attractiveness"};
#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* ---- writing ---- */

typedef struct config_writer {
    json_writer json;
    hmt_status status;
} config_writer;

static void put_key(config_writer *w, const char *key)
{
    json_put(&w->json, ",\"");
    json_put(&w->json, key);
    json_put(&w->json, "\":");
}

static void put_choice(config_writer *w, const char *key, int value, const char *const *names,
                       size_t count)
{
    put_key(w, key);
    if (value < 0 || (size_t)value >= count)
        w->status = status_fail(HMT_ERROR_ARGUMENT, "config: %s has no value %d", key, value);
    else
        json_put_string(&w->json, names[value], strlen(names[value]));
}

static void put_number(config_writer *w, const char *key, double value, bool single)
{
    if (!isfinite(value))
        w->status = status_fail(HMT_ERROR_ARGUMENT, "config: %s is not finite", key);
    else if (single)
        json_put_float(&w->json, (float)value);
    else
        json_put_double(&w->json, value);
}

static void put_numbers(config_writer *w, const char *key, const float *values, size_t count)
{
    put_key(w, key);
    for (size_t i = 0; i < count; ++i) {
        json_put(&w->json, i == 0 ? "[" : ",");
        put_number(w, key, (double)values[i], true);
    }
    json_put(&w->json, "]");
}

static void put_labels(config_writer *w, const char *key, int32_t classes,
                       const char labels[][HMT_MAX_LABEL])
{
    put_key(w, key);
    if (classes < 2 || classes > HMT_MAX_CLASSES) {
        w->status = status_fail(HMT_ERROR_ARGUMENT, "config: %s: %d classes are not in 2..%d", key,
                                classes, HMT_MAX_CLASSES);
        return;
    }
    for (int32_t i = 0; i < classes; ++i) {
        const char *end = memchr(labels[i], '\0', HMT_MAX_LABEL);

        json_put(&w->json, i == 0 ? "[" : ",");
        if (end == NULL || !utf8_is_printable(labels[i], (size_t)(end - labels[i])))
            w->status = status_fail(HMT_ERROR_ARGUMENT, "config: %s: name %d %s", key, i,
                                    end == NULL ? "has no terminating zero"
                                                : "is not valid UTF-8, or has a control character");
        else
            json_put_string(&w->json, labels[i], (size_t)(end - labels[i]));
    }
    json_put(&w->json, "]");
}

/* Left out where nothing is known, as older versions did. */
static void put_trained(config_writer *w, uint32_t trained)
{
    const char *before = "[";

    if (trained == 0)
        return;
    put_key(w, "trained");
    for (size_t i = 0; i < LENGTH(heads); ++i)
        if (trained & 1u << i) {
            json_put(&w->json, before);
            json_put_string(&w->json, heads[i], strlen(heads[i]));
            before = ",";
        }
    json_put(&w->json, "]");
}

hmt_status config_to_json(const hmt_model_config *config, char *buffer, size_t capacity)
{
    config_writer w = {{buffer, capacity, 0}, HMT_OK};
    const float range[2] = {config->score_min, config->score_max};

    json_put(&w.json, "{\"version\":");
    json_put_int64(&w.json, CONFIG_JSON_VERSION);
    put_choice(&w, "network", (int)config->network, networks, LENGTH(networks));
    put_choice(&w, "wiring", (int)config->wiring, wirings, LENGTH(wirings));
    put_choice(&w, "aggregator", (int)config->aggregator, aggregators, LENGTH(aggregators));
    put_key(&w, "width");
    put_number(&w, "width", config->width, false);
    put_labels(&w, "gender_labels", config->gender_classes, config->gender_labels);
    put_labels(&w, "race_labels", config->race_classes, config->race_labels);
    put_numbers(&w, "score_range", range, 2);
    put_key(&w, "score_mean");
    put_number(&w, "score_mean", (double)config->score_mean, true);
    put_numbers(&w, "mean", config->mean, 3);
    put_numbers(&w, "deviation", config->deviation, 3);
    put_key(&w, "resize");
    json_put_int64(&w.json, config->resize);
    put_trained(&w, config->trained);
    json_put(&w.json, "}");
    if (w.status == HMT_OK && w.json.size >= capacity)
        w.status = status_fail(HMT_ERROR_LIMIT, "config: its JSON has %zu bytes, more than %zu",
                               w.json.size, capacity);
    if (w.status == HMT_OK)
        buffer[w.json.size] = '\0';
    return w.status;
}

/* ---- reading ---- */

static int read_choice(json_reader *json, const char *key, const char *const *names, size_t count)
{
    json_string name = json_text(json);

    for (size_t i = 0; i < count && json->status == HMT_OK; ++i)
        if (json_equals(name, names[i]))
            return (int)i;
    if (json->status == HMT_OK)
        json->status =
            status_fail(HMT_ERROR_UNSUPPORTED, "%s: this library knows no %s '%.*s'", json->what,
                        key, (int)(name.size < 64 ? name.size : 64), name.text);
    return 0;
}

static double read_number(json_reader *json, const char *key, double lowest, double highest)
{
    double value = json_double(json);

    if (json->status == HMT_OK && !(value >= lowest && value <= highest))
        json_fail(json, "%s is %g, not in %g..%g", key, value, lowest, highest);
    return value;
}

static void read_numbers(json_reader *json, const char *key, float *values, size_t count,
                         double lowest)
{
    size_t n = 0;

    json_enter(json, '[');
    for (; json_element(json); ++n) {
        double value = read_number(json, key, lowest, (double)FLT_MAX);
        if (n < count)
            values[n] = (float)value;
    }
    if (n != count)
        json_fail(json, "%s has %zu numbers in place of %zu", key, n, count);
}

static void read_labels(json_reader *json, const char *key, int32_t *classes,
                        char labels[][HMT_MAX_LABEL])
{
    char name[6 * HMT_MAX_LABEL];

    *classes = 0;
    memset(labels, 0, HMT_MAX_CLASSES * sizeof labels[0]);
    json_enter(json, '[');
    while (json_element(json)) {
        json_string label = json_text(json);
        size_t size = label.size <= sizeof name ? json_decode(label, name) : sizeof name;

        if (*classes == HMT_MAX_CLASSES)
            json_fail(json, "%s has more than %d names", key, HMT_MAX_CLASSES);
        else if (size >= HMT_MAX_LABEL)
            json_fail(json, "%s: name %d has more than %d bytes", key, *classes, HMT_MAX_LABEL - 1);
        else if (memchr(name, '\0', size) != NULL)
            json_fail(json, "%s: name %d has a zero byte", key, *classes);
        else if (!utf8_is_printable(name, size))
            json_fail(json, "%s: name %d has a control character", key, *classes);
        else
            memcpy(labels[(*classes)++], name, size);
    }
    if (json->status == HMT_OK && *classes < 2)
        json_fail(json, "%s has %d names, fewer than 2", key, *classes);
}

static void read_network(json_reader *json, const char *key, hmt_model_config *c)
{
    c->network = (hmt_network)read_choice(json, key, networks, LENGTH(networks));
}

static void read_wiring(json_reader *json, const char *key, hmt_model_config *c)
{
    c->wiring = (hmt_wiring)read_choice(json, key, wirings, LENGTH(wirings));
}

static void read_aggregator(json_reader *json, const char *key, hmt_model_config *c)
{
    c->aggregator = (hmt_aggregator)read_choice(json, key, aggregators, LENGTH(aggregators));
}

static void read_width(json_reader *json, const char *key, hmt_model_config *c)
{
    c->width = read_number(json, key, 0, 4);
    if (!(c->width > 0))
        json_fail(json, "%s is 0", key);
}

static void read_gender(json_reader *json, const char *key, hmt_model_config *c)
{
    read_labels(json, key, &c->gender_classes, c->gender_labels);
}

static void read_race(json_reader *json, const char *key, hmt_model_config *c)
{
    read_labels(json, key, &c->race_classes, c->race_labels);
}

static void read_range(json_reader *json, const char *key, hmt_model_config *c)
{
    float range[2] = {0, 0};

    read_numbers(json, key, range, 2, -(double)FLT_MAX);
    if (range[0] > range[1])
        json_fail(json, "%s begins at %g and ends at %g", key, (double)range[0], (double)range[1]);
    c->score_min = range[0];
    c->score_max = range[1];
}

static void read_score_mean(json_reader *json, const char *key, hmt_model_config *c)
{
    c->score_mean = (float)read_number(json, key, -(double)FLT_MAX, (double)FLT_MAX);
}

static void read_mean(json_reader *json, const char *key, hmt_model_config *c)
{
    read_numbers(json, key, c->mean, 3, -(double)FLT_MAX);
}

static void read_deviation(json_reader *json, const char *key, hmt_model_config *c)
{
    read_numbers(json, key, c->deviation, 3, (double)FLT_TRUE_MIN);
}

static void read_resize(json_reader *json, const char *key, hmt_model_config *c)
{
    int64_t value = json_int64(json);

    if (json->status == HMT_OK && (value < 224 || value > 4096))
        json_fail(json, "%s is not in 224..4096", key);
    else
        c->resize = (int32_t)value;
}

/* Heads that a newer version knows are passed over. */
static void read_trained(json_reader *json, const char *key, hmt_model_config *c)
{
    (void)key;
    json_enter(json, '[');
    while (json_element(json)) {
        json_string name = json_text(json);

        for (size_t i = 0; i < LENGTH(heads) && json->status == HMT_OK; ++i)
            if (json_equals(name, heads[i]))
                c->trained |= 1u << i;
    }
}

/* Read apart from the others and before them: a newer text may give them another meaning. */
static void pass_version(json_reader *json, const char *key, hmt_model_config *c)
{
    (void)key;
    (void)c;
    json_skip(json);
}

static const struct {
    const char *key;
    void (*read)(json_reader *json, const char *key, hmt_model_config *config);
} fields[] = {
    {"version", pass_version},       {"network", read_network},
    {"wiring", read_wiring},         {"aggregator", read_aggregator},
    {"width", read_width},           {"gender_labels", read_gender},
    {"race_labels", read_race},      {"score_range", read_range},
    {"score_mean", read_score_mean}, {"mean", read_mean},
    {"deviation", read_deviation},   {"resize", read_resize},
    {"trained", read_trained}, /* the last: it may be missing */
};
enum { NEEDED = LENGTH(fields) - 1 };

static hmt_status check_version(const char *text, size_t length)
{
    json_reader json;
    json_string key;
    int64_t version;

    json_begin(&json, text, length, "config");
    json_enter(&json, '{');
    while (json_member(&json, &key)) {
        if (!json_equals(key, "version")) {
            json_skip(&json);
            continue;
        }
        version = json_int64(&json);
        if (json.status == HMT_OK && version < 1)
            json_fail(&json, "version is below 1");
        if (json.status == HMT_OK && version > CONFIG_JSON_VERSION)
            json.status = status_fail(HMT_ERROR_UNSUPPORTED,
                                      "config: its version %lld is newer than %d, which this "
                                      "library reads",
                                      (long long)version, CONFIG_JSON_VERSION);
    }
    return json_end(&json);
}

hmt_status config_from_json(const char *text, size_t length, hmt_model_config *config)
{
    hmt_model_config c = {.struct_size = sizeof c};
    bool seen[LENGTH(fields)] = {false};
    json_reader json;
    json_string key;
    hmt_status status = check_version(text, length);

    if (status != HMT_OK)
        return status;
    json_begin(&json, text, length, "config");
    json_enter(&json, '{');
    while (json_member(&json, &key)) {
        size_t i = 0;

        while (i < LENGTH(fields) && !json_equals(key, fields[i].key))
            ++i;
        if (i == LENGTH(fields)) {
            json_skip(&json);
            continue;
        }
        if (seen[i])
            json_fail(&json, "%s stands twice", fields[i].key);
        seen[i] = true;
        fields[i].read(&json, fields[i].key, &c);
    }
    for (size_t i = 0; i < NEEDED; ++i)
        if (!seen[i])
            json_fail(&json, "%s is missing", fields[i].key);
    status = json_end(&json);
    if (status == HMT_OK)
        *config = c;
    return status;
}
