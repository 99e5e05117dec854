/* JPEG through libjpeg, with its default transform and upsampling, as PIL uses it. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "image.h"

#ifdef CORNU_CLI_JPEG
#include <jpeglib.h>
#include <setjmp.h>

#define LARGEST_AREA (1u << 28)

/* Lives outside of the function that calls setjmp, so that its values are known after a longjmp. */
typedef struct reading {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    FILE* file;
    char error[JMSG_LENGTH_MAX];
    int truncated;
} reading;

static void keep_error(j_common_ptr common) {
    reading* r = common->client_data;
    common->err->format_message(common, r->error);
    longjmp(r->escape, 1);
}

/* A warning says that data are damaged or end early; the missing rest would be made up in gray. */
static void note_message(j_common_ptr common, int level) {
    reading* r = common->client_data;
    if (level >= 0 || r->truncated) return;
    common->err->format_message(common, r->error);
    r->truncated = 1;
}

/* One row of C, M, Y, K, which Adobe's programs store inverted, to RGB with PIL's rounding. */
static void convert_cmyk_row(const uint8_t* in, uint8_t* out, int width, int inverted) {
    for (int x = 0; x < width; x++, in += 4) {
        const int white = inverted ? in[3] : 255 - in[3];
        for (int i = 0; i < 3; i++) {
            const int ink = inverted ? 255 - in[i] : in[i];
            const int product = ink * white + 128;
            const int value = white - ((product + (product >> 8)) >> 8);
            out[3 * x + i] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

static void read_pixels(reading* r, cli_image* out, uint8_t** row) {
    struct jpeg_decompress_struct* jpeg = &r->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->client_data = r;
    jpeg_stdio_src(jpeg, r->file);
    jpeg_read_header(jpeg, TRUE);
    const int cmyk = jpeg->num_components == 4;
    jpeg->out_color_space = jpeg->num_components == 1 ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    out->width = (int)jpeg->output_width;
    out->height = (int)jpeg->output_height;
    out->channels = jpeg->num_components == 1 ? 1 : 3;
    if ((size_t)out->width * (size_t)out->height > LARGEST_AREA) {
        snprintf(r->error, sizeof r->error, "it has more than %u pixels", LARGEST_AREA);
        longjmp(r->escape, 1);
    }
    const size_t row_bytes = (size_t)out->width * (size_t)out->channels;
    out->pixels = cli_alloc((size_t)out->height, row_bytes);
    *row = cli_alloc((size_t)out->width, 4);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t* target = out->pixels + jpeg->output_scanline * row_bytes;
        jpeg_read_scanlines(jpeg, row, 1);
        if (cmyk) convert_cmyk_row(*row, target, out->width, jpeg->saw_Adobe_marker);
        else memcpy(target, *row, row_bytes);
    }
    jpeg_finish_decompress(jpeg);
}

/* Must be all that happens between setjmp and the end of reading. Returns 0 after an error. */
static int read_guarded(reading* r, cli_image* out, uint8_t** row) {
    if (setjmp(r->escape) != 0) return 0;
    read_pixels(r, out, row);
    return !r->truncated;
}

const char* cli_jpeg_read(const char* path, cli_image* out) {
    static reading r; /* the error must outlive the call */
    uint8_t* row = NULL;

    memset(&r, 0, sizeof r);
    r.file = fopen(path, "rb");
    if (r.file == NULL) return "it cannot be opened";
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = keep_error;
    r.errors.emit_message = note_message;
    const int good = read_guarded(&r, out, &row);
    jpeg_destroy_decompress(&r.jpeg);
    free(row);
    fclose(r.file);
    return good ? NULL : r.error;
}

#else

const char* cli_jpeg_read(const char* path, cli_image* out) {
    (void)path;
    (void)out;
    return "this program was built without libjpeg";
}

#endif
