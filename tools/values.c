/* Elements of tensors, decoded one at a time. */
#include "values.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "text.h"

#define EDGE 3       /* elements shown at each end of an axis that is cut */
#define LONG_AXIS 20 /* longer axes are cut, where there are many elements */
#define MANY 1000
#define TOP_CLASSES 5

/* One element. kind: 'f' real, 'g' real of float32 or less, 'c' complex, 'i' signed, 'u' unsigned, 'b' bool, 's'
 * string. */
typedef struct element {
    char kind;
    double real, imaginary;
    int64_t i;
    uint64_t u;
    cornu_string s;
} element;

static double half_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const double fraction = bits & 1023;
    double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exponent - 25);
    if (exponent == 31) value = fraction > 0 ? (double)NAN : (double)INFINITY;
    return bits & 0x8000 ? -value : value;
}

static double bfloat_value(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static element element_at(const cornu_tensor* tensor, int64_t index) {
    const void* data = tensor->data;
    switch (tensor->dtype) {
        case CORNU_FLOAT32: return (element){.kind = 'g', .real = (double)((const float*)data)[index]};
        case CORNU_FLOAT64: return (element){.kind = 'f', .real = ((const double*)data)[index]};
        case CORNU_FLOAT16: return (element){.kind = 'g', .real = half_value(((const uint16_t*)data)[index])};
        case CORNU_BFLOAT16: return (element){.kind = 'g', .real = bfloat_value(((const uint16_t*)data)[index])};
        case CORNU_INT8: return (element){.kind = 'i', .i = ((const int8_t*)data)[index]};
        case CORNU_INT16: return (element){.kind = 'i', .i = ((const int16_t*)data)[index]};
        case CORNU_INT32: return (element){.kind = 'i', .i = ((const int32_t*)data)[index]};
        case CORNU_INT64: return (element){.kind = 'i', .i = ((const int64_t*)data)[index]};
        case CORNU_UINT8: return (element){.kind = 'u', .u = ((const uint8_t*)data)[index]};
        case CORNU_UINT16: return (element){.kind = 'u', .u = ((const uint16_t*)data)[index]};
        case CORNU_UINT32: return (element){.kind = 'u', .u = ((const uint32_t*)data)[index]};
        case CORNU_UINT64: return (element){.kind = 'u', .u = ((const uint64_t*)data)[index]};
        case CORNU_BOOL: return (element){.kind = 'b', .i = ((const uint8_t*)data)[index]};
        case CORNU_STRING: return (element){.kind = 's', .s = ((const cornu_string*)data)[index]};
        case CORNU_COMPLEX64:
            return (element){.kind = 'c',
                             .real = (double)((const float*)data)[2 * index],
                             .imaginary = (double)((const float*)data)[2 * index + 1]};
        case CORNU_COMPLEX128:
            return (element){.kind = 'c',
                             .real = ((const double*)data)[2 * index],
                             .imaginary = ((const double*)data)[2 * index + 1]};
    }
    return (element){.kind = 'u'};
}

char* cli_shape_text(const int64_t* dims, int ndim) {
    char* text = cli_alloc((size_t)ndim * 24 + 8, 1);
    size_t used = 1;
    text[0] = '(';
    for (int i = 0; i < ndim; i++) {
        if (i > 0) used += (size_t)sprintf(text + used, ", ");
        if (dims[i] < 0) used += (size_t)sprintf(text + used, "None");
        else used += (size_t)sprintf(text + used, "%" PRId64, dims[i]);
    }
    memcpy(text + used, ndim == 1 ? ",)" : ")", ndim == 1 ? 3 : 2);
    return text;
}

void cli_json_shape(cli_json* json, const char* key, const int64_t* dims, int ndim) {
    if (ndim < 0) {
        cli_json_text(json, key, NULL);
        return;
    }
    cli_json_open_flat_array(json, key);
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 0) cli_json_text(json, NULL, NULL);
        else cli_json_int(json, NULL, dims[i]);
    }
    cli_json_close(json);
}

static void json_element(cli_json* json, const char* key, const cornu_tensor* tensor, int64_t index) {
    const element e = element_at(tensor, index);
    switch (e.kind) {
        case 'i': cli_json_int(json, key, e.i); break;
        case 'u': cli_json_uint(json, key, e.u); break;
        case 'b': cli_json_bool(json, key, e.i != 0); break;
        case 's': cli_json_bytes(json, key, e.s.data, e.s.size); break;
        case 'c':
            cli_json_open_flat_array(json, key);
            cli_json_number(json, NULL, e.real, tensor->dtype == CORNU_COMPLEX64);
            cli_json_number(json, NULL, e.imaginary, tensor->dtype == CORNU_COMPLEX64);
            cli_json_close(json);
            break;
        default: cli_json_number(json, key, e.real, e.kind == 'g');
    }
}

/* Elements of one axis and those behind it; *index is the next element. At most CORNU_MAX_DIMS deep. */
static void json_axis(cli_json* json, const char* key, const cornu_tensor* tensor, int axis, int64_t* index) {
    if (axis == tensor->ndim) {
        json_element(json, key, tensor, (*index)++);
        return;
    }
    cli_json_open_flat_array(json, key);
    for (int64_t i = 0; i < tensor->dims[axis]; i++) json_axis(json, NULL, tensor, axis + 1, index);
    cli_json_close(json);
}

void cli_json_values(cli_json* json, const char* key, const cornu_tensor* tensor) {
    int64_t index = 0;
    json_axis(json, key, tensor, 0, &index);
}

static void print_string(cornu_string s, FILE* out) {
    char* text = cli_format("%.*s", (int)(s.size < 200 ? s.size : 200), s.data);
    char* clean = cli_clean_text(text, 0);
    fprintf(out, "'%s'%s", clean, s.size > 200 ? "..." : "");
    free(clean);
    free(text);
}

static void print_element(const cornu_tensor* tensor, int64_t index, FILE* out) {
    const element e = element_at(tensor, index);
    char text[40], second[40];
    switch (e.kind) {
        case 'i': fprintf(out, "%" PRId64, e.i); break;
        case 'u': fprintf(out, "%" PRIu64, e.u); break;
        case 'b': fputs(e.i != 0 ? "True" : "False", out); break;
        case 's': print_string(e.s, out); break;
        case 'c':
            cli_number_text(e.real, tensor->dtype == CORNU_COMPLEX64, text);
            cli_number_text(e.imaginary, tensor->dtype == CORNU_COMPLEX64, second);
            fprintf(out, "%s%s%sj", text, second[0] == '-' ? "" : "+", second);
            break;
        default: cli_number_text(e.real, e.kind == 'g', text); fputs(text, out);
    }
}

/* start is the first element of this axis, count the elements that it and those behind it hold. */
static void print_axis(const cornu_tensor* tensor, int axis, int64_t start, int64_t count, FILE* out) {
    if (axis == tensor->ndim) {
        print_element(tensor, start, out);
        return;
    }
    const int64_t size = tensor->dims[axis];
    const int64_t inner = size > 0 ? count / size : 0;
    const int cut = size > LONG_AXIS || (size > 2 * EDGE && cornu_tensor_count(tensor) > MANY);
    fputc('[', out);
    for (int64_t i = 0; i < size; i++) {
        if (i > 0 && axis + 1 < tensor->ndim) fprintf(out, "\n%*s", axis + 3, "");
        else if (i > 0) fputc(' ', out);
        if (cut && i == EDGE) {
            fputs("...", out);
            i = size - EDGE - 1;
            continue;
        }
        print_axis(tensor, axis + 1, start + i * inner, inner, out);
    }
    fputc(']', out);
}

void cli_print_values(const cornu_tensor* tensor, FILE* out) {
    fputs("  ", out);
    print_axis(tensor, 0, 0, cornu_tensor_count(tensor), out);
    fputc('\n', out);
}

int cli_print_top_classes(const cornu_tensor* tensor, FILE* out) {
    int64_t best[TOP_CLASSES];
    int n = 0;
    if (tensor->ndim != 2 || tensor->dims[0] != 1 || tensor->dims[1] < 2) return 0;
    const char kind = element_at(tensor, 0).kind;
    if (kind != 'f' && kind != 'g') return 0;
    for (int64_t i = 0; i < tensor->dims[1]; i++) {
        const double score = element_at(tensor, i).real;
        int at = n;
        if (isnan(score)) continue;
        while (at > 0 && element_at(tensor, best[at - 1]).real < score) at--;
        if (at == TOP_CLASSES) continue;
        if (n < TOP_CLASSES) n++;
        memmove(&best[at + 1], &best[at], sizeof best[0] * (size_t)(n - 1 - at));
        best[at] = i;
    }
    for (int i = 0; i < n; i++) {
        fprintf(out, "  class %-6" PRId64 " %.6f\n", best[i], element_at(tensor, best[i]).real);
    }
    return n > 0;
}
