/* Maps over faces (see maps.h). */
#include "maps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "heatmap.h"
#include "random.h"

const char *const maps_task_taps[HMT_TASK_COUNT] = {"relu3", "relu5", "relu5"};

int maps_add_tap(maps *m, const char *name)
{
    int i = 0;
    while (i < m->tap_count && strcmp(m->taps[i], name))
        i++;
    if (i == m->tap_count) {
        if (i == MAPS_MOST_TAPS)
            return -1;
        snprintf(m->taps[i], MAPS_NAME, "%s", name);
        m->tap_count++;
    }
    return i;
}

bool maps_add(maps *m, map_method method, int tap, int task)
{
    if (m->column_count == MAPS_MOST_COLUMNS)
        return false;
    m->columns[m->column_count++] = (map_column){method, tap, task};
    return true;
}

/* Reads the taps' shapes; those without a map are refused. *largest: floats of the largest. */
static bool check_taps(maps *m, size_t *largest)
{
    *largest = m->batch * NETWORK_FLOATS;
    for (int i = 0; i < m->tap_count; i++) {
        int64_t *shape = m->shapes[i];
        if (hmt_session_tap_shape(m->net.session, m->taps[i], shape) != HMT_OK) {
            cli_library_error("cannot read layer %s", m->taps[i]);
            return false;
        }
        if (shape[2] * shape[3] == 1) {
            cli_error("layer %s has no map: its values do not belong to places", m->taps[i]);
            return false;
        }
        size_t floats = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
        *largest = floats > *largest ? floats : *largest;
    }
    return true;
}

static bool uses(const maps *m, map_method method)
{
    for (int i = 0; i < m->column_count; i++)
        if (m->columns[i].method == method)
            return true;
    return false;
}

bool maps_prepare(maps *m, const char *model, const device_settings *device)
{
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    const char *names[MAPS_MOST_TAPS];
    size_t largest;
    for (int i = 0; i < m->tap_count; i++)
        names[i] = m->taps[i];
    m->batch = 1 + (uses(m, MAP_SALIENCY) ? m->noise : 0);
    session.batch = (int32_t)m->batch;
    session.taps = names;
    session.tap_count = (size_t)m->tap_count;
    session.gradients = uses(m, MAP_SALIENCY)   ? HMT_GRADIENTS_INPUT
                        : uses(m, MAP_GRAD_CAM) ? HMT_GRADIENTS_TAPS
                                                : HMT_GRADIENTS_NONE;
    if (!network_load(&m->net, model, device) || !network_prepare(&m->net, &session) ||
        !check_taps(m, &largest))
        return false;
    m->images = cli_allocate(m->batch * NETWORK_FLOATS, sizeof(float));
    m->values = cli_allocate(largest, sizeof(float));
    m->gradient = cli_allocate(largest, sizeof(float));
    m->predictions = cli_allocate(m->batch, sizeof *m->predictions);
    m->face = cli_allocate(m->size * m->size, 3);
    m->picture = cli_allocate(m->size * m->size, 3);
    return true;
}

void maps_free(maps *m)
{
    network_close(&m->net);
    free(m->images);
    free(m->values);
    free(m->gradient);
    free(m->predictions);
    free(m->face);
    free(m->picture);
}

/* A normally distributed number, by Box and Muller. */
static float normal(uint64_t index)
{
    const double scale = 1.0 / 9007199254740992.0; /* 2^-53 */
    double u = ((double)(random_mix(1, 2 * index) >> 11) + 0.5) * scale;
    double v = (double)(random_mix(1, 2 * index + 1) >> 11) * scale;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

/* Copies of the photo with noise of a tenth of the range of its levels. */
static void add_noise(maps *m)
{
    for (size_t copy = 1; copy < m->batch; copy++)
        for (size_t i = 0; i < NETWORK_FLOATS; i++) {
            float range = 1.0f / m->net.config.deviation[i / (NETWORK_SIDE * NETWORK_SIDE)];
            m->images[copy * NETWORK_FLOATS + i] =
                m->images[i] + 0.1f * range * normal(copy * NETWORK_FLOATS + i);
        }
}

/* The face as the network sees it, at the size of a picture. */
static bool draw_face(maps *m)
{
    const size_t area = NETWORK_SIDE * NETWORK_SIDE;
    uint8_t *rgb = cli_allocate(area, 3);
    hmt_pixels small = {rgb, NETWORK_SIDE, NETWORK_SIDE, 0, HMT_PIXEL_RGB, 0}, resized = {0};
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++) {
            float level =
                m->images[c * area + i] * m->net.config.deviation[c] + m->net.config.mean[c];
            rgb[3 * i + c] = (uint8_t)(fminf(fmaxf(level, 0.0f), 1.0f) * 255.0f + 0.5f);
        }
    bool good = hmt_resize(m->net.context, &small, (int32_t)m->size, &resized) == HMT_OK;
    if (good)
        memcpy(m->face, resized.data, m->size * m->size * 3);
    else
        cli_library_error("cannot resize a face");
    hmt_pixels_free(m->net.context, &resized);
    free(rgb);
    return good;
}

/* The class whose logit is explained: what the photo itself is predicted to be. */
static int32_t label_of(const maps *m, int task)
{
    return task == HMT_TASK_GENDER ? m->predictions[0].gender.label
           : task == HMT_TASK_RACE ? m->predictions[0].race.label
                                   : 0;
}

static hmt_status saliency_map(maps *m, int task, heatmap *map)
{
    *map = heatmap_create(NETWORK_SIDE, NETWORK_SIDE);
    hmt_status status = hmt_session_gradient(m->net.session, (hmt_task)task, label_of(m, task),
                                             NULL, m->gradient, m->batch * NETWORK_FLOATS);
    for (size_t i = m->batch > 1 ? 1 : 0; status == HMT_OK && i < m->batch; i++)
        heatmap_add_saliency(map, m->gradient + i * NETWORK_FLOATS, 3);
    heatmap_blur(map, m->blur);
    heatmap_scale(map, 0.995, 1);
    return status;
}

static hmt_status tap_map(maps *m, const map_column *c, heatmap *map)
{
    const int64_t *shape = m->shapes[c->tap];
    const size_t channels = (size_t)shape[1], count = (size_t)(shape[0] * shape[2] * shape[3]);
    const char *tap = m->taps[c->tap];
    *map = heatmap_create((size_t)shape[2], (size_t)shape[3]);
    hmt_status status = HMT_OK;
    if (c->method == MAP_GRAD_CAM)
        status = hmt_session_gradient(m->net.session, (hmt_task)c->task, label_of(m, c->task), tap,
                                      m->gradient, channels * count);
    if (status == HMT_OK)
        status = hmt_session_tap_read(m->net.session, tap, m->values, channels * count);
    if (c->method == MAP_GRAD_CAM)
        heatmap_grad_cam(map, m->values, m->gradient, channels);
    else if (!m->strongest)
        heatmap_mean(map, m->values, channels);
    else
        heatmap_strongest(map, m->values, channels);
    heatmap_scale(map, 1.0, c->method == MAP_GRAD_CAM);
    return status;
}

bool maps_draw(maps *m, int column)
{
    const map_column *c = &m->columns[column];
    heatmap map, large;
    hmt_status status =
        c->method == MAP_SALIENCY ? saliency_map(m, c->task, &map) : tap_map(m, c, &map);
    if (status != HMT_OK)
        cli_library_error("computing failed");
    large = c->method == MAP_SALIENCY ? heatmap_resize(&map, m->size, m->size)
                                      : heatmap_spread(&map, 0, NETWORK_SIDE, m->size);
    heatmap_overlay(&large, m->face, m->opacity, m->picture);
    heatmap_free(&map);
    heatmap_free(&large);
    return status == HMT_OK;
}

int maps_photo(maps *m, const char *path, char *message, size_t capacity)
{
    if (!network_photo(&m->net, path, m->images, message, capacity))
        return 0;
    add_noise(m);
    if (hmt_infer(m->net.session, m->images, m->batch, m->predictions) != HMT_OK) {
        cli_library_error("computing failed");
        return -1;
    }
    return draw_face(m) ? 1 : -1;
}
