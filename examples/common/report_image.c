/* Pictures within a page (see report_image.h). */
#include "report_image.h"

#include <png.h>
#include <stdlib.h>

#include "cli.h"
#include "report_chart.h"

static void write_base64(FILE *to, const uint8_t *data, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                         (i + 2 < size ? data[i + 2] : 0);
        fputc(letters[three >> 18], to);
        fputc(letters[three >> 12 & 63], to);
        fputc(i + 1 < size ? letters[three >> 6 & 63] : '=', to);
        fputc(i + 2 < size ? letters[three & 63] : '=', to);
    }
}

void report_image(FILE *to, const uint8_t *rgb, uint32_t side, const char *alternative)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = side, .height = side, .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = 0;
    if (!png_image_write_to_memory(&image, NULL, &size, 0, rgb, 0, NULL))
        return;
    uint8_t *png = cli_allocate(size, 1);
    fputs("<img alt=\"", to);
    chart_text(to, alternative);
    fputs("\" src=\"data:image/png;base64,", to);
    if (png_image_write_to_memory(&image, png, &size, 0, rgb, 0, NULL))
        write_base64(to, png, size);
    fputs("\">", to);
    free(png);
}
