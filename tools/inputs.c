/* Matching arrays with inputs. Three ways are tried, each of which has to use every array: all arrays have the inputs'
 * names; all are input_0, input_1, ...; or some of each. */
#include "inputs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "image.h"
#include "values.h"

cornu_port cli_input_port(cornu_session* session, int index) {
    cornu_port port;
    memset(&port, 0, sizeof port);
    port.size = sizeof port;
    if (cornu_session_input(session, index, &port) != CORNU_OK) memset(&port, 0, sizeof port);
    if (port.name == NULL) port.name = "";
    return port;
}

static int find_array(const cli_inputs* in, const char* name) {
    for (int i = 0; i < in->array_count; i++) {
        if (strcmp(in->arrays[i].name, name) == 0) return i;
    }
    return -1;
}

/* Finds the array of each input; use[i] becomes its number or -1. Returns whether nothing is missing and no array is
 * left. */
static int match(cornu_session* session, const cli_inputs* in, int by_name, int by_number, int* use) {
    char* used = cli_alloc((size_t)in->array_count, 1);
    int complete = 1;
    for (int i = 0; i < in->count; i++) {
        const cornu_port port = cli_input_port(session, i);
        char* number = cli_format("input_%d", i);
        use[i] = by_name ? find_array(in, port.name) : -1;
        if (use[i] < 0 && by_number) use[i] = find_array(in, number);
        if (use[i] < 0 && !port.optional) complete = 0;
        if (use[i] >= 0 && used[use[i]]++) complete = 0;
        free(number);
    }
    for (int i = 0; i < in->array_count; i++) complete &= used[i] != 0;
    free(used);
    return complete;
}

/* "'a', 'b'" grown by one name. */
static void add_name(char** list, const char* name, const char* other) {
    char* longer = other != NULL ? cli_format("%s%s'%s' (or '%s')", *list, **list ? ", " : "", name, other)
                                 : cli_format("%s%s'%s'", *list, **list ? ", " : "", name);
    free(*list);
    *list = longer;
}

static int say_mismatch(cornu_session* session, const char* path, const cli_inputs* in, const int* use) {
    char* missing = cli_format("%s", "");
    char* extra = cli_format("%s", "");
    char* wanted = cli_format("%s", "");
    for (int i = 0; i < in->count; i++) {
        const cornu_port port = cli_input_port(session, i);
        char* number = cli_format("input_%d", i);
        const char* other = strcmp(port.name, number) != 0 ? number : NULL;
        add_name(&wanted, port.name, other);
        if (use[i] < 0 && !port.optional) add_name(&missing, port.name, other);
        free(number);
    }
    for (int i = 0; i < in->array_count; i++) {
        int used = 0;
        for (int j = 0; j < in->count; j++) used |= use[j] == i;
        if (!used) add_name(&extra, in->arrays[i].name, NULL);
    }
    const int code = cli_usage("'%s' does not fit the model's inputs:%s%s%s%s%s%s; the model takes %s", path,
                               *missing ? " missing " : "", missing, *missing && *extra ? ";" : "",
                               *extra ? " no input is called " : "", extra,
                               *missing || *extra ? "" : " one array is meant for two inputs", wanted);
    free(missing);
    free(extra);
    free(wanted);
    return code;
}

static int match_arrays(cornu_session* session, const char* path, cli_inputs* in) {
    int* use = cli_alloc((size_t)in->count, sizeof *use);
    int code = CLI_DONE;

    if (in->array_count == 1 && in->arrays[0].name[0] == '\0') {
        use[0] = 0;
        if (in->count != 1) {
            code = cli_usage("'%s' holds one array without a name, but the model has %d inputs; a .npz can hold them",
                             path, in->count);
        }
    } else if (!match(session, in, 1, 0, use) && !match(session, in, 0, 1, use) && !match(session, in, 1, 1, use)) {
        code = say_mismatch(session, path, in, use);
    }
    for (int i = 0; code == CLI_DONE && i < in->count; i++) {
        if (use[i] >= 0) in->tensors[i] = in->arrays[use[i]].tensor;
    }
    free(use);
    return code;
}

static int is_complex(cornu_dtype dtype) { return dtype == CORNU_COMPLEX64 || dtype == CORNU_COMPLEX128; }

/* Dtypes of another class are refused; between numbers the library converts. All first axes must agree. */
static int check_tensors(cornu_session* session, const char* path, cli_inputs* in) {
    const char* first = NULL;
    in->rows = -1;
    for (int i = 0; i < in->count; i++) {
        const cornu_tensor* tensor = &in->tensors[i];
        const cornu_port port = cli_input_port(session, i);
        if (tensor->dtype == 0) continue;
        if ((tensor->dtype == CORNU_STRING) != (port.dtype == CORNU_STRING) ||
            (is_complex(tensor->dtype) && !is_complex(port.dtype))) {
            return cli_usage("'%s': the array for input '%s' is %s; %s is needed", path, port.name,
                             cornu_dtype_name(tensor->dtype), cornu_dtype_name(port.dtype));
        }
        if (tensor->ndim < 1) continue;
        if (in->rows >= 0 && tensor->dims[0] != in->rows) {
            return cli_usage("'%s': the array for input '%s' has %" PRId64 " rows, that for '%s' has %" PRId64
                             "; all must have the same number",
                             path, port.name, tensor->dims[0], first, in->rows);
        }
        if (in->rows < 0) first = port.name;
        in->rows = tensor->dims[0];
    }
    return CLI_DONE;
}

/* A picture becomes [1, height, width, channels] float32 of 0..255, in the size the model wants. */
static int read_picture(cornu_session* session, const char* path, cli_inputs* in) {
    const cornu_port port = in->count == 1 ? cli_input_port(session, 0) : (cornu_port){0};
    const int64_t channels = port.ndim == 4 ? port.dims[3] : 0;
    cli_image image;

    if (in->count != 1) return cli_usage("'%s' is a picture, but the model has %d inputs", path, in->count);
    if (port.dtype == CORNU_STRING || (channels != 1 && channels != 3 && channels != 4)) {
        char* shape = port.ndim >= 0 ? cli_shape_text(port.dims, port.ndim) : cli_format("of any shape");
        const int code = cli_usage(
            "'%s' is a picture, but the model's input '%s' is %s %s; a picture needs (batch, "
            "height, width, channels) with 1, 3 or 4 channels; a .npy holds anything else",
            path, port.name, cornu_dtype_name(port.dtype), shape);
        free(shape);
        return code;
    }
    const int code = cli_image_read(path, &image);
    if (code != CLI_DONE) return code;
    cli_image_convert(&image, (int)channels);
    const int height = port.dims[1] > 0 && port.dims[1] < 65536 ? (int)port.dims[1] : image.height;
    const int width = port.dims[2] > 0 && port.dims[2] < 65536 ? (int)port.dims[2] : image.width;
    if (width != image.width || height != image.height) {
        cli_say("'%s' is resized from %d x %d to %d x %d pixels (nearest)", path, image.width, image.height, width,
                height);
        cli_image_resize(&image, width, height);
    }
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    in->pixels = cli_alloc(count, sizeof *in->pixels);
    for (size_t i = 0; i < count; i++) in->pixels[i] = image.pixels[i];
    in->tensors[0] = cornu_tensor_of(CORNU_FLOAT32, in->pixels, 4, 1, height, width, (int)channels);
    free(image.pixels);
    return CLI_DONE;
}

static int read_arrays(cornu_session* session, const char* path, cli_inputs* in) {
    const cornu_status st = cornu_arrays_load(path, &in->arrays, &in->array_count);
    return st == CORNU_OK ? match_arrays(session, path, in) : cli_fail(st, CLI_READING);
}

int cli_inputs_read(cornu_session* session, const char* path, cli_inputs* out) {
    memset(out, 0, sizeof *out);
    out->count = cornu_session_input_count(session);
    out->tensors = cli_alloc((size_t)out->count, sizeof *out->tensors);
    const int code = cli_is_image(path) ? read_picture(session, path, out) : read_arrays(session, path, out);
    return code == CLI_DONE ? check_tensors(session, path, out) : code;
}

void cli_inputs_free(cli_inputs* inputs) {
    cornu_arrays_free(inputs->arrays, inputs->array_count);
    free(inputs->tensors);
    free(inputs->pixels);
    memset(inputs, 0, sizeof *inputs);
}
