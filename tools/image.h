/* Pictures as input: PNG and JPEG, decoded, converted and resized as keras.utils.load_img does it with PIL. */
#ifndef CORNU_CLI_IMAGE_H
#define CORNU_CLI_IMAGE_H

#include <stdint.h>

typedef struct cli_image {
    int width, height;
    int channels;    /* 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA */
    uint8_t* pixels; /* [height, width, channels]; free() */
} cli_image;

/* Whether the file is a picture, by its first bytes or its name's ending. */
int cli_is_image(const char* path);
/* Reads a picture. Returns an exit code; the reason is said. */
int cli_image_read(const char* path, cli_image* out);
/* Converts to 1, 3 or 4 channels. */
void cli_image_convert(cli_image* image, int channels);
/* Resizes by taking the nearest pixel. */
void cli_image_resize(cli_image* image, int width, int height);

/* The decoders, which cli_image_read calls. They return NULL or what is wrong. */
const char* cli_png_read(const char* path, cli_image* out);
const char* cli_jpeg_read(const char* path, cli_image* out);

#endif
