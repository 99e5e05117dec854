/* Prints an HDF5 file as lines of text, one an object or attribute, in file order:
 *
 *   G path
 *   D path dtype [dims] crc        crc: of the elements, little-endian; "-" for a null dataspace's dims
 *   D path unsupported [dims]
 *   A path name dtype [dims] crc   strings: crc over size 4 (little-endian) and bytes of each
 */
#ifndef CN_TESTS_H5_DUMP_H
#define CN_TESTS_H5_DUMP_H

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "archive/hdf5.h"
#include "base/buf.h"

static void h5_dump_array(const cn_h5_array* array, const void* data, const cornu_string* strings, cn_buf* out) {
    uLong crc = crc32(0, NULL, 0);
    const unsigned char* bytes = (const unsigned char*)data;
    size_t left = (size_t)array->count * cornu_dtype_size(array->dtype);

    cn_buf_format(out, " %s", (int)array->dtype ? cornu_dtype_name(array->dtype) : "unsupported");
    cn_buf_text(out, array->empty_space ? " -" : " [");
    for (int i = 0; i < array->ndim; i++) cn_buf_format(out, i ? ",%" PRId64 : "%" PRId64, array->dims[i]);
    if (!array->empty_space) cn_buf_text(out, "]");
    for (int64_t i = 0; strings && i < array->count; i++) {
        size_t size = strings[i].size;
        unsigned char head[4] = {(unsigned char)size, (unsigned char)(size >> 8), (unsigned char)(size >> 16),
                                 (unsigned char)(size >> 24)};
        crc = crc32(crc, head, 4);
        crc = crc32(crc, (const unsigned char*)strings[i].data, (uInt)size);
    }
    while (!strings && bytes && left > 0) {
        uInt step = left > (1u << 30) ? 1u << 30 : (uInt)left;
        crc = crc32(crc, bytes, step);
        bytes += step;
        left -= step;
    }
    if ((int)array->dtype) cn_buf_format(out, " %08lx", crc);
    cn_buf_text(out, "\n");
}

/* budget: bytes of elements that may still be allocated; a dataset beyond it is passed over. */
static cornu_status h5_dump_dataset(const cn_h5* h5, const cn_h5_node* node, uint64_t* budget, cn_buf* out) {
    cornu_status st = CORNU_OK;
    cn_arena arena;
    const cornu_string* strings = NULL;
    void* data = NULL;
    uint64_t size = (uint64_t)node->array.count * cornu_dtype_size(node->array.dtype);
    char byte;

    memset(&arena, 0, sizeof arena);
    if (node->unsupported) {
        if (cn_h5_read(h5, node, &byte) != CORNU_UNSUPPORTED) st = CN_FAIL(BAD_ARGUMENT, "unsupported, but was read");
    } else {
        if (size > *budget || node->size > *budget) return CORNU_OK;
        *budget -= size > node->size ? size : node->size;
        if (node->array.dtype == CORNU_STRING) {
            st = cn_h5_read_strings(h5, node, &arena, &strings);
        } else {
            data = cn_alloc((size_t)size);
            st = data ? cn_h5_read(h5, node, data) : CN_NO_MEMORY(size);
        }
    }
    if (st == CORNU_OK) {
        cn_buf_format(out, "D %s", node->path);
        h5_dump_array(&node->array, data, strings, out);
    }
    cn_free(data);
    cn_arena_deinit(&arena);
    return st;
}

static cornu_status h5_dump_tree(const cn_h5* h5, uint64_t budget, cn_buf* out) {
    cornu_status st = CORNU_OK;
    cn_buf stack;
    const cn_h5_node* node = cn_h5_root(h5);

    memset(&stack, 0, sizeof stack);
    cn_buf_add(&stack, &node, sizeof node);
    CN_STEP(cn_buf_check(&stack));
    while (stack.size >= sizeof node) {
        stack.size -= sizeof node;
        memcpy(&node, stack.data + stack.size, sizeof node);
        if (node->is_dataset) CN_STEP(h5_dump_dataset(h5, node, &budget, out));
        if (!node->is_dataset) cn_buf_format(out, "G %s\n", node->path);
        for (const cn_h5_attribute* a = node->attributes; a; a = a->next) {
            cn_buf_format(out, "A %s %s", node->path, a->name);
            h5_dump_array(&a->array, a->data, a->strings, out);
        }
        for (size_t i = node->child_count; i > 0; i--) cn_buf_add(&stack, &node->children[i - 1], sizeof node);
        CN_STEP(cn_buf_check(&stack));
        CN_STEP(cn_buf_check(out));
    }
done:
    cn_buf_deinit(&stack);
    return st;
}

/* Opens, dumps and closes. */
static cornu_status h5_dump_source(cn_source* source, uint64_t budget, cn_buf* out) {
    cn_h5* h5 = NULL;
    cornu_status st = cn_h5_open(source, &h5);

    if (st == CORNU_OK) st = h5_dump_tree(h5, budget, out);
    cn_h5_close(h5);
    return st;
}

#endif
