/* What is common to all pictures: telling them apart, conversion of channels, size. */
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

typedef enum image_kind { NOT_IMAGE, PNG_IMAGE, JPEG_IMAGE, OTHER_IMAGE } image_kind;

static int has_ending(const char* path) {
    static const char* const endings[] = {".png", ".jpg", ".jpeg"};
    const size_t size = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);
        if (size > n && strcasecmp(path + size - n, endings[i]) == 0) return 1;
    }
    return 0;
}

static image_kind kind_of(const char* path) {
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    unsigned char first[8] = {0};
    FILE* file = fopen(path, "rb");
    const size_t n = file != NULL ? fread(first, 1, sizeof first, file) : 0;
    if (file != NULL) fclose(file);
    if (n == 8 && memcmp(first, png, 8) == 0) return PNG_IMAGE;
    if (n > 2 && first[0] == 0xFF && first[1] == 0xD8 && first[2] == 0xFF) return JPEG_IMAGE;
    return has_ending(path) ? OTHER_IMAGE : NOT_IMAGE;
}

int cli_is_image(const char* path) { return kind_of(path) != NOT_IMAGE; }

int cli_image_read(const char* path, cli_image* out) {
    const char* wrong = "it is neither a PNG nor a JPEG";
    memset(out, 0, sizeof *out);
    FILE* file = fopen(path, "rb");
    if (file == NULL) {
        cli_say("cannot read '%s': %s", path, strerror(errno));
        return CLI_USAGE;
    }
    fclose(file);
    const image_kind kind = kind_of(path);
    if (kind == PNG_IMAGE) wrong = cli_png_read(path, out);
    else if (kind == JPEG_IMAGE) wrong = cli_jpeg_read(path, out);
    if (wrong == NULL) return CLI_DONE;
    cli_say("cannot read the picture '%s': %s", path, wrong);
    free(out->pixels);
    out->pixels = NULL;
    return CLI_USAGE;
}

/* ITU-R 601-2, with PIL's integers and rounding. */
static uint8_t luma(const uint8_t* rgb) {
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

static void convert_pixel(const uint8_t* in, int in_channels, uint8_t* out, int channels) {
    const int color = in_channels >= 3;
    const int has_alpha = in_channels == 2 || in_channels == 4;
    if (channels == 1) {
        out[0] = color ? luma(in) : in[0];
        return;
    }
    for (int i = 0; i < 3; i++) out[i] = in[color ? i : 0];
    if (channels == 4) out[3] = has_alpha ? in[in_channels - 1] : 255;
}

void cli_image_convert(cli_image* image, int channels) {
    if (image->channels == channels) return;
    const size_t count = (size_t)image->width * (size_t)image->height;
    uint8_t* pixels = cli_alloc(count, (size_t)channels);
    for (size_t i = 0; i < count; i++) {
        convert_pixel(image->pixels + i * (size_t)image->channels, image->channels, pixels + i * (size_t)channels,
                      channels);
    }
    free(image->pixels);
    image->pixels = pixels;
    image->channels = channels;
}

/* Source index of each target index. Steps are added up and not multiplied, so that rounding is PIL's. */
static int* nearest_indices(int from, int to) {
    int* indices = cli_alloc((size_t)to, sizeof *indices);
    const double stride = (double)from / to;
    double at = stride * 0.5;
    for (int i = 0; i < to; i++, at += stride) indices[i] = at < from ? (int)at : from - 1;
    return indices;
}

void cli_image_resize(cli_image* image, int width, int height) {
    if (image->width == width && image->height == height) return;
    const size_t channels = (size_t)image->channels;
    uint8_t* pixels = cli_alloc((size_t)width * (size_t)height, channels);
    int* columns = nearest_indices(image->width, width);
    int* rows = nearest_indices(image->height, height);
    uint8_t* to = pixels;
    for (int y = 0; y < height; y++) {
        const uint8_t* row = image->pixels + (size_t)rows[y] * (size_t)image->width * channels;
        for (int x = 0; x < width; x++, to += channels) memcpy(to, row + (size_t)columns[x] * channels, channels);
    }
    free(columns);
    free(rows);
    free(image->pixels);
    *image = (cli_image){width, height, image->channels, pixels};
}
