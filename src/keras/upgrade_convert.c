/* Elements of old weights in the layout of Keras 3. A variable's sources are read whole; they are as large as itself. */
#include <string.h>

#include "base/dtype.h"
#include "keras/upgrade_parts.h"

static uint64_t bytes_of(const cn_variable* variable) {
    return (uint64_t)variable->count * cornu_dtype_size(variable->dtype); /* held by the file */
}

static void copy_element(char* dst, int64_t to, const char* src, int64_t from, size_t size) {
    memcpy(dst + (size_t)to * size, src + (size_t)from * size, size);
}

/* Walks dst in order and src by strides. */
static void permute(const cn_conversion* how, const cn_variable* variable, const cn_variable* source, const char* src, char* dst) {
    int64_t strides[CORNU_MAX_DIMS], step[CORNU_MAX_DIMS], index[CORNU_MAX_DIMS] = {0};
    int64_t stride = 1, at = 0;
    size_t size = cornu_dtype_size(variable->dtype);

    for (int d = source->ndim - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= source->dims[d];
    }
    for (int d = 0; d < variable->ndim; d++) {
        step[d] = how->flip[d] ? -strides[how->axis[d]] : strides[how->axis[d]];
        if (how->flip[d]) at += (variable->dims[d] - 1) * strides[how->axis[d]];
    }
    for (int64_t i = 0; i < variable->count; i++) {
        copy_element(dst, i, src, at, size);
        for (int d = variable->ndim - 1; d >= 0; d--) {
            at += step[d];
            if (++index[d] < variable->dims[d]) break;
            at -= step[d] * variable->dims[d];
            index[d] = 0;
        }
    }
}

/* Part k of the result along its last axis. */
static void place_part(const cn_variable* variable, int k, int parts, const char* src, char* dst) {
    int64_t last = variable->dims[variable->ndim - 1], width = last / parts;
    int64_t rows = last ? variable->count / last : 0;
    size_t size = cornu_dtype_size(variable->dtype);

    for (int64_t r = 0; r < rows; r++)
        memcpy(dst + (size_t)(r * last + k * width) * size, src + (size_t)(r * width) * size, (size_t)width * size);
}

/* [rows, gates * units], each gate's [rows, units] from the same of src. */
static void cudnn(const cn_conversion* how, const cn_variable* variable, const char* src, char* dst) {
    int64_t rows = variable->dims[0], columns = variable->dims[1], units = columns / how->gates;
    size_t size = cornu_dtype_size(variable->dtype);

    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < columns; c++) {
            int64_t gate = c / units, j = c % units, row = j, column = i;
            if (how->kind == CN_CONVERT_CUDNN_KERNEL) {
                int64_t p = i + rows * j;
                row = p / units;
                column = p % units;
            }
            copy_element(dst, i * columns + c, src, row * columns + gate * units + column, size);
        }
    }
}

static cornu_status sum_halves(const cn_variable* variable, const char* src, char* dst) {
    int64_t n = variable->count;
    cornu_status st = CORNU_OK;
    double* wide = cn_alloc((size_t)n * 2 * sizeof *wide);

    if (!wide) return CN_NO_MEMORY((uint64_t)n * 2 * sizeof *wide);
    CN_STEP(cn_dtype_convert(CORNU_FLOAT64, wide, variable->dtype, src, 2 * n));
    for (int64_t i = 0; i < n; i++) wide[i] += wide[n + i];
    CN_STEP(cn_dtype_convert(variable->dtype, dst, CORNU_FLOAT64, wide, n));
done:
    cn_free(wide);
    return st;
}

static cornu_status convert_part(const cn_variable* variable, int k, const char* src, char* dst) {
    const cn_origin* origin = variable->origin;
    const cn_conversion* how = origin->conversion;

    switch (how->kind) {
        case CN_CONVERT_PERMUTE: permute(how, variable, origin->from[k], src, dst); break;
        case CN_CONVERT_CONCAT: place_part(variable, k, origin->from_count, src, dst); break;
        case CN_CONVERT_CUDNN_KERNEL:
        case CN_CONVERT_CUDNN_RECURRENT: cudnn(how, variable, src, dst); break;
        case CN_CONVERT_SUM_HALVES: return sum_halves(variable, src, dst);
        case CN_CONVERT_RESHAPE: memcpy(dst, src, (size_t)bytes_of(variable)); break;
    }
    return CORNU_OK;
}

cornu_status cn_convert_read(const cn_document* doc, const cn_variable* variable, void* dst) {
    const cn_origin* origin = variable->origin;
    cornu_status st = CORNU_OK;
    char* src = NULL;

    (void)doc;
    if (!origin->conversion) return cn_document_read(origin->doc, origin->from[0], dst);
    for (int k = 0; k < origin->from_count; k++) {
        const cn_variable* source = origin->from[k];
        src = cn_alloc((size_t)bytes_of(source));
        if (!src) CN_STEP(CN_NO_MEMORY(bytes_of(source)));
        CN_STEP(cn_document_read(origin->doc, source, src));
        CN_STEP(convert_part(variable, k, src, dst));
        cn_free(src);
        src = NULL;
    }
done:
    cn_free(src);
    return st;
}
