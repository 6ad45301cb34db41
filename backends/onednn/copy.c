/*
 * Copies between layouts; see copy.h. A piece of work is a channel of an image, or a row of pixels
 * where one side has the channels last.
 */
#include "copy.h"

#include <string.h>

typedef struct copy {
    elements from, to;
    int64_t from_channel, to_channel, count;
    int blocks; /* whole blocks of channels, alike on both sides */
    int pixels; /* row by row of pixels, else channel by channel */
} copy;

int copy_elements_of(const_dnnl_memory_desc_t md, elements *out)
{
    const dnnl_dims_t *dims = NULL, *padded = NULL, *strides = NULL, *blocks = NULL, *at = NULL;
    int32_t ndims = 0, inner = 0;

    if (md == NULL || dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &ndims) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_dims, &dims) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_padded_dims, &padded) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_strides, &strides) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &inner) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_blks, &blocks) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &at) != dnnl_success || ndims > 4 ||
        inner > 1 || (inner == 1 && (*at)[0] != 1))
        return 0;
    *out = (elements){.size = {1, 1, 1, 1}, .lanes = inner == 1 ? (*blocks)[0] : 1};
    for (int32_t i = 0; i < ndims; ++i) {
        out->size[i] = (*dims)[i];
        out->step[i] = (*strides)[i];
    }
    out->filled = ndims > 1 ? (*padded)[1] : 1;
    return 1;
}

static int64_t offset(const elements *l, int64_t image, int64_t channel)
{
    return image * l->step[0] + channel / l->lanes * l->step[1] + channel % l->lanes;
}

/* Whether a map's rows follow each other as its columns do. */
static int is_one_row(const elements *l)
{
    return l->size[2] == 1 || l->step[2] == l->size[3] * l->step[3];
}

/* One channel's map. */
static void copy_map(const copy *c, const float *from, float *to)
{
    const int64_t from_step = c->from.step[3], to_step = c->to.step[3];
    int64_t rows = c->to.size[2], columns = c->to.size[3];

    if (is_one_row(&c->from) && is_one_row(&c->to)) {
        columns *= rows;
        rows = 1;
    }
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t i = 0; i < columns; ++i)
            to[row * c->to.step[2] + i * to_step] = from[row * c->from.step[2] + i * from_step];
}

static void clear_map(const elements *l, float *to)
{
    for (int64_t row = 0; row < l->size[2]; ++row)
        for (int64_t i = 0; i < l->size[3]; ++i)
            to[row * l->step[2] + i * l->step[3]] = 0.0f;
}

/* Channels that are zeros after those copied: those of the last block. */
static int64_t zeros(const copy *c)
{
    const int64_t until = c->to_channel + c->count;

    return until == c->to.size[1] ? c->to.filled - until : 0;
}

static int64_t pieces(const copy *c)
{
    const int64_t of_image = c->blocks   ? divide_up(c->count, c->to.lanes)
                             : c->pixels ? c->to.size[2]
                                         : c->count;

    return c->to.size[0] * of_image;
}

static void copy_block(const copy *c, const float *from, float *to, int64_t i)
{
    const int64_t blocks = divide_up(c->count, c->to.lanes), image = i / blocks;
    const int64_t channel = i % blocks * c->to.lanes;

    memcpy(to + offset(&c->to, image, c->to_channel + channel),
           from + offset(&c->from, image, c->from_channel + channel),
           (size_t)(c->to.size[2] * c->to.size[3] * c->to.lanes) * sizeof *to);
}

static void copy_pixels(const copy *c, const float *from, float *to, int64_t i)
{
    const int64_t image = i / c->to.size[2], row = i % c->to.size[2], behind = zeros(c);

    from += row * c->from.step[2];
    to += row * c->to.step[2];
    for (int64_t at = 0; at < c->to.size[3]; ++at)
        for (int64_t channel = 0; channel < c->count + behind; ++channel)
            to[offset(&c->to, image, c->to_channel + channel) + at * c->to.step[3]] =
                channel >= c->count ? 0.0f
                                    : from[offset(&c->from, image, c->from_channel + channel) +
                                           at * c->from.step[3]];
}

static void copy_channel(const copy *c, const float *from, float *to, int64_t i)
{
    const int64_t image = i / c->count, channel = i % c->count;

    copy_map(c, from + offset(&c->from, image, c->from_channel + channel),
             to + offset(&c->to, image, c->to_channel + channel));
    if (channel == c->count - 1)
        for (int64_t k = 1; k <= zeros(c); ++k)
            clear_map(&c->to, to + offset(&c->to, image, c->to_channel + channel + k));
}

static void run(const copy *c, const float *from, float *to, span part)
{
    void (*piece)(const copy *, const float *, float *, int64_t) = c->blocks   ? copy_block
                                                                   : c->pixels ? copy_pixels
                                                                               : copy_channel;

    for (int64_t i = part.from; i < part.to; ++i)
        piece(c, from, to, i);
}

static int channels_last(const elements *l)
{
    return l->lanes == 1 && l->step[1] == 1 && l->size[1] > 1 && l->size[2] * l->size[3] > 1;
}

/* Chooses how; 0 if the sizes differ. */
static int plan(copy *c)
{
    const int64_t lanes = c->to.lanes;

    for (int i = 0; i < 4; ++i)
        if (i != 1 && c->from.size[i] != c->to.size[i])
            return 0;
    c->blocks = lanes > 1 && lanes == c->from.lanes && c->from_channel % lanes == 0 &&
                c->to_channel % lanes == 0 &&
                (c->count % lanes == 0 || (c->from_channel + c->count == c->from.size[1] &&
                                           c->to_channel + c->count == c->to.size[1]));
    c->pixels = channels_last(&c->from) || channels_last(&c->to);
    return c->from_channel + c->count <= c->from.size[1] &&
           c->to_channel + c->count <= c->to.size[1];
}

int copy_whole(const_dnnl_memory_desc_t from_md, const float *from, const_dnnl_memory_desc_t to_md,
               float *to)
{
    copy c = {.blocks = 0};

    if (!copy_elements_of(from_md, &c.from) || !copy_elements_of(to_md, &c.to))
        return 0;
    c.count = c.to.size[1];
    if (c.from.size[1] != c.count || !plan(&c))
        return 0;
    run(&c, from, to, (span){0, pieces(&c)});
    return 1;
}

/* Operands: from, to. */
static void loop(const exec *e, const op *o, const member *m)
{
    const copy *c = o->state;
    const int64_t floats = c->to.size[0] * c->count * c->to.size[2] * c->to.size[3];

    run(c, exec_data(e, o, 0), exec_data(e, o, 1), exec_share_pieces(m, pieces(c), floats));
}

void copy_channels(exec *e, int32_t from, int64_t from_channel, int32_t to, int64_t to_channel,
                   int64_t count)
{
    copy *c = exec_state(e, sizeof *c);

    if (c == NULL)
        return;
    *c = (copy){.from_channel = from_channel, .to_channel = to_channel, .count = count};
    if (!copy_elements_of(exec_md(e, from), &c->from) ||
        !copy_elements_of(exec_md(e, to), &c->to) || !plan(c)) {
        exec_note(e, e->device->host->fail(HMT_ERROR_BACKEND,
                                           "expected two layouts of one shape to copy between"));
        return;
    }
    exec_shared(e, loop, c);
    exec_operand(e, from);
    exec_operand(e, to);
}

void exec_reorder(exec *e, int32_t from, int32_t to)
{
    elements all = {.lanes = 1};

    (void)copy_elements_of(exec_md(e, from), &all);
    copy_channels(e, from, 0, to, 0, all.size[1]);
}
