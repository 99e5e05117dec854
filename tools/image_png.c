/* PNG through libpng. Values are taken as they stand: no gamma, 16 bits of colour become their high 8. */
#include <stdlib.h>

#include "cli.h"
#include "image.h"

#ifdef CORNU_CLI_PNG
#include <png.h>
#include <setjmp.h>

#define LARGEST_SIDE 65535
#define LARGEST_AREA (1u << 28)

/* Lives outside of the function that calls setjmp, so that its values are known after a longjmp. */
typedef struct reading {
    png_structp png;
    png_infop info;
    FILE* file;
    png_bytepp rows;
    char error[128];
} reading;

static void keep_error(png_structp png, png_const_charp message) {
    reading* r = png_get_error_ptr(png);
    snprintf(r->error, sizeof r->error, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void ignore_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

/* Everything becomes 8 bits of gray or RGB, with alpha where the file has it or names a transparent colour. */
static void set_transforms(reading* r) {
    const int color_type = png_get_color_type(r->png, r->info);
    /* PIL cuts these off at 255, or with one channel hands out values up to 65535: neither is what a user expects. */
    if (color_type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(r->png, r->info) == 16) {
        png_error(r->png, "it has 16 bits of gray; 8 bits are allowed, or a .npy with the values wanted");
    }
    if (png_get_bit_depth(r->png, r->info) == 16) png_set_strip_16(r->png);
    if (color_type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
    if (color_type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(r->png);
    if (png_get_valid(r->png, r->info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

static void read_pixels(reading* r, cli_image* out) {
    png_set_user_limits(r->png, LARGEST_SIDE, LARGEST_SIDE);
    png_init_io(r->png, r->file);
    png_read_info(r->png, r->info);
    set_transforms(r);
    const size_t height = png_get_image_height(r->png, r->info);
    const size_t row_bytes = png_get_rowbytes(r->png, r->info);
    out->width = (int)png_get_image_width(r->png, r->info);
    out->height = (int)height;
    out->channels = png_get_channels(r->png, r->info);
    if ((size_t)out->width * height > LARGEST_AREA) png_error(r->png, "it has more than 268435456 pixels");
    out->pixels = cli_alloc(height, row_bytes);
    r->rows = cli_alloc(height, sizeof *r->rows);
    for (size_t i = 0; i < height; i++) r->rows[i] = out->pixels + i * row_bytes;
    png_read_image(r->png, r->rows);
}

/* Must be all that happens between setjmp and the end of reading. Returns 0 after an error. */
static int read_guarded(reading* r, cli_image* out) {
    if (setjmp(png_jmpbuf(r->png)) != 0) return 0;
    read_pixels(r, out);
    return 1;
}

const char* cli_png_read(const char* path, cli_image* out) {
    static reading r; /* the error must outlive the call */
    const char* wrong = NULL;

    r = (reading){0};
    r.file = fopen(path, "rb");
    if (r.file == NULL) return "it cannot be opened";
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, keep_error, ignore_warning);
    r.info = r.png != NULL ? png_create_info_struct(r.png) : NULL;
    if (r.info == NULL) wrong = "libpng cannot be used";
    else if (!read_guarded(&r, out)) wrong = r.error;
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    fclose(r.file);
    return wrong;
}

#else

const char* cli_png_read(const char* path, cli_image* out) {
    (void)path;
    (void)out;
    return "this program was built without libpng";
}

#endif
