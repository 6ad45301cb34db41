/* tier: quick
 * links: hmtnet_programs */
/* The maps that hmtnet-explain draws: their formulas by small numbers, where they lie on the photo,
 * and their colours. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../examples/common/colormap.h"
#include "../examples/common/heatmap.h"
#include "check.h"

enum { SIDE = 41 };

static bool near(float a, double b)
{
    return fabs((double)a - b) < 1e-5;
}

static void formulas(void)
{
    /* two channels of 1 x 3 */
    const float values[] = {1, 2, 3, 6, 0, -9}, gradient[] = {3, 3, -3, -1, -1, -1};
    heatmap map = heatmap_create(1, 3);

    heatmap_mean(&map, values, 2);
    CHECK(near(map.values[0], 3.5) && near(map.values[1], 1.0) && near(map.values[2], -3.0));
    heatmap_strongest(&map, values, 2); /* sums 6 and -3 */
    CHECK(near(map.values[0], 1.0) && near(map.values[2], 3.0));
    heatmap_grad_cam(&map, values, gradient, 2); /* weights 1 and -1 */
    CHECK(near(map.values[0], 0.0) && near(map.values[1], 2.0) && near(map.values[2], 12.0));
    memset(map.values, 0, 3 * sizeof(float));
    heatmap_add_saliency(&map, values, 2);
    heatmap_add_saliency(&map, gradient, 2);
    CHECK(near(map.values[0], 9.0) && near(map.values[1], 5.0) && near(map.values[2], 12.0));
    heatmap_free(&map);
}

static void scales(void)
{
    heatmap map = heatmap_create(1, 5);
    const float values[] = {1, 2, 3, 4, 101};

    memcpy(map.values, values, sizeof values);
    heatmap_scale(&map, 0.75, 0); /* 4 becomes 1, and so does what is above */
    CHECK(near(map.values[0], 0.0) && near(map.values[1], 1.0 / 3.0) && near(map.values[3], 1.0));
    CHECK(near(map.values[4], 1.0));
    memcpy(map.values, values, sizeof values);
    heatmap_scale(&map, 1.0, 1);
    CHECK(near(map.values[0], 1.0 / 101.0) && near(map.values[4], 1.0));
    for (int i = 0; i < 5; ++i)
        map.values[i] = 7.0f;
    heatmap_scale(&map, 1.0, 0);
    CHECK(near(map.values[0], 0.0) && near(map.values[4], 0.0));
    heatmap_free(&map);
}

static void blurs(void)
{
    heatmap map = heatmap_create(SIDE, SIDE);
    double sum = 0.0;

    map.values[20 * SIDE + 20] = 1.0f;
    heatmap_blur(&map, 2.0);
    for (int i = 0; i < SIDE * SIDE; ++i)
        sum += (double)map.values[i];
    CHECK(fabs(sum - 1.0) < 1e-4);
    CHECK(fabs((double)(map.values[20 * SIDE + 22] / map.values[20 * SIDE + 20]) - exp(-0.5)) <
          1e-4);
    CHECK(near(map.values[22 * SIDE + 20], (double)map.values[20 * SIDE + 18]));
    for (int i = 0; i < SIDE * SIDE; ++i)
        map.values[i] = 3.0f;
    heatmap_blur(&map, 4.0);
    CHECK(near(map.values[0], 3.0) && near(map.values[220], 3.0)); /* also at the edge */
    heatmap_free(&map);
}

static void sizes(void)
{
    heatmap map = heatmap_create(13, 13), small = heatmap_create(1, 2), large;

    small.values[1] = 1.0f;
    large = heatmap_resize(&small, 2, 8); /* cells' centres at 1.5 and 5.5 */
    CHECK(near(large.values[0], 0.0) && near(large.values[1], 0.0));
    CHECK(near(large.values[2], 0.125) && near(large.values[5], 0.875));
    CHECK(near(large.values[15], 1.0));
    heatmap_free(&large);
    heatmap_free(&small);
    /* relu5: 13 cells, 16 pixels apart around the middle of 224: the first at 15.5. */
    for (int y = 0; y < 13; ++y)
        for (int x = 0; x < 13; ++x)
            map.values[y * 13 + x] = (float)x;
    large = heatmap_spread(&map, 0, 224, 224);
    CHECK(near(large.values[0], 0.0) && near(large.values[223], 12.0));
    CHECK(near(large.values[15], 0.0) && near(large.values[16], 0.5 / 16.0));
    CHECK(near(large.values[100 * 224 + 111], 6.0 - 0.5 / 16.0));
    heatmap_free(&large);
    large = heatmap_spread(&map, 0, 224, 112); /* at half the size: the same places */
    CHECK(near(large.values[56], 6.0 + 1.0 / 16.0));
    heatmap_free(&large);
    heatmap_free(&map);
}

static void colours(void)
{
    uint8_t rgb[6];
    const uint8_t photo[6] = {10, 10, 10, 200, 200, 200};
    heatmap map = heatmap_create(1, 2);

    colormap_viridis(-1.0, rgb);
    CHECK(rgb[0] == 68 && rgb[1] == 1 && rgb[2] == 84);
    colormap_viridis(2.0, rgb);
    CHECK(rgb[0] == 253 && rgb[1] == 231 && rgb[2] == 37);
    colormap_viridis(0.5, rgb);
    CHECK(rgb[0] == 33 && rgb[1] == 145 && rgb[2] == 140);
    colormap_viridis((double)NAN, rgb);
    CHECK(rgb[0] == 68);
    map.values[1] = 1.0f;
    heatmap_overlay(&map, photo, 1.0, rgb);
    CHECK(rgb[0] == (10 + 68) / 2 && rgb[3] == 253 && rgb[5] == 37);
    heatmap_overlay(&map, photo, 0.0, rgb);
    CHECK(memcmp(rgb, photo, sizeof rgb) == 0);
    heatmap_free(&map);
}

int main(void)
{
    formulas();
    scales();
    blurs();
    sizes();
    colours();
    return test_finish();
}
