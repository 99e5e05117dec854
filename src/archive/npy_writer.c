/* Writing .npy as numpy.save does, to the byte: the header is padded so that it could grow in place (a first dimension
 * of up to 21 digits) and so that the elements begin at a multiple of 64. */
#include <stdio.h>
#include <string.h>

#include "archive/npy.h"
#include "base/buf.h"
#include "base/dtype.h"
#include "base/size.h"

enum { ALIGN = 64, GROWTH_DIGITS = 21, MAGIC_BYTES = 6, BLOCK_UNITS = 16384 };

static char byte_order(void) {
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first ? '<' : '>';
}

/* The next code point of text, which moves on; false at what is no UTF-8. */
static bool next_code(const uint8_t** at, const uint8_t* end, uint32_t* out) {
    const uint8_t* s = *at;
    uint32_t c = s[0];
    int more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : -1;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    if (more < 0 || end - s <= more) return false;
    *out = more == 0 ? c : c & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80) return false;
        *out = *out << 6 | (s[i] & 0x3F);
    }
    *at = s + more + 1;
    return *out >= least[more] && *out <= 0x10FFFF && !(*out >= 0xD800 && *out < 0xE000);
}

/* Characters of the longest string, at least 1, as numpy has it. */
static cornu_status measure_strings(const cornu_tensor* tensor, int64_t count, uint64_t* width) {
    const cornu_string* strings = tensor->data;

    *width = 1;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t* at = (const uint8_t*)strings[i].data;
        const uint8_t* end = strings[i].size ? at + strings[i].size : at;
        uint64_t units = 0;
        uint32_t code;

        for (; at < end; units++)
            if (!next_code(&at, end, &code))
                return CN_FAIL(BAD_ARGUMENT, "string %lld of the tensor is no UTF-8", (long long)i);
        if (units > *width) *width = units;
    }
    return CORNU_OK;
}

static void add_header_text(cn_buf* out, const char* descr, const cornu_tensor* tensor) {
    cn_buf_format(out, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < tensor->ndim; i++)
        cn_buf_format(out, i == 0 ? "%lld" : ", %lld", (long long)tensor->dims[i]);
    cn_buf_text(out, tensor->ndim == 1 ? ",), }" : "), }");
    if (tensor->ndim > 0) {
        int digits = snprintf(NULL, 0, "%lld", (long long)tensor->dims[0]);
        cn_buf_format(out, "%*s", GROWTH_DIGITS - digits, "");
    }
}

/* Magic, version, size and text of the header. */
static cornu_status make_header(const char* descr, const cornu_tensor* tensor, cn_buf* out) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};
    size_t size, prefix = MAGIC_BYTES + 4, padding;
    uint8_t start[12] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

    add_header_text(&text, descr, tensor);
    CN_STEP(cn_buf_check(&text));
    padding = ALIGN - (prefix + text.size + 1) % ALIGN;
    size = text.size + padding + 1;
    /* 16 dimensions of 20 digits never reach version 2's 65536 bytes */
    start[8] = (uint8_t)size;
    start[9] = (uint8_t)(size >> 8);
    cn_buf_add(out, start, prefix);
    cn_buf_add(out, text.data, text.size);
    cn_buf_format(out, "%*s\n", (int)padding, "");
    CN_STEP(cn_buf_check(out));
done:
    cn_buf_deinit(&text);
    return st;
}

/* The strings as UCS-4, padded with NULs to width, in blocks. */
static cornu_status put_strings(cn_npy_put put, void* user, const cornu_tensor* tensor, int64_t count, uint64_t width) {
    const cornu_string* strings = tensor->data;
    cornu_status st = CORNU_OK;
    uint32_t* block = cn_alloc(BLOCK_UNITS * sizeof *block);
    size_t used = 0;

    if (!block) return CN_NO_MEMORY(BLOCK_UNITS * sizeof *block);
    for (int64_t i = 0; i < count; i++) {
        const uint8_t* at = (const uint8_t*)strings[i].data;
        const uint8_t* end = strings[i].size ? at + strings[i].size : at;

        for (uint64_t k = 0; k < width; k++) {
            block[used] = 0;
            if (at < end) (void)next_code(&at, end, &block[used]);
            if (++used < BLOCK_UNITS) continue;
            CN_STEP(put(user, block, used * sizeof *block));
            used = 0;
        }
    }
    if (used > 0) CN_STEP(put(user, block, used * sizeof *block));
done:
    cn_free(block);
    return st;
}

cornu_status cn_npy_put_to(cn_npy_put put, void* user, const cornu_tensor* tensor) {
    int64_t count = cornu_tensor_count(tensor);
    cornu_status st = CORNU_OK;
    cn_buf header = {0};
    uint64_t width = 0;
    char descr[32];

    if (count < 0 || tensor->device != CORNU_HOST || (count > 0 && !tensor->data) || !cornu_dtype_size(tensor->dtype))
        return CN_FAIL(BAD_ARGUMENT, "the tensor to write is not a valid one in host memory");
    if (tensor->dtype == CORNU_BFLOAT16) return CN_FAIL(UNSUPPORTED, "numpy has no bfloat16, so .npy cannot hold it");
    if (tensor->dtype == CORNU_STRING) {
        CN_TRY(measure_strings(tensor, count, &width));
        (void)snprintf(descr, sizeof descr, "%cU%llu", byte_order(), (unsigned long long)width);
    } else {
        char order = cornu_dtype_size(tensor->dtype) == 1 ? '|' : byte_order();
        (void)snprintf(descr, sizeof descr, "%c%s", order, cn_dtype_numpy(tensor->dtype));
    }
    CN_STEP(make_header(descr, tensor, &header));
    CN_STEP(put(user, header.data, header.size));
    if (tensor->dtype == CORNU_STRING) CN_STEP(put_strings(put, user, tensor, count, width));
    else if (count > 0) CN_STEP(put(user, tensor->data, (uint64_t)count * cornu_dtype_size(tensor->dtype)));
done:
    cn_buf_deinit(&header);
    return st;
}

static cornu_status put_to_sink(void* user, const void* data, uint64_t size) {
    return cn_sink_write(user, data, size);
}

cornu_status cn_npy_write(cn_sink* sink, const cornu_tensor* tensor) { return cn_npy_put_to(put_to_sink, sink, tensor); }
