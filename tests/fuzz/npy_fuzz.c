/* Reads any bytes as .npy and as .npz; what can be read is written and read again, to the same elements. */
#include <stdlib.h>
#include <string.h>

#include "archive/npy.h"
#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static void compare(const cornu_tensor* a, const cornu_tensor* b) {
    int64_t count = cornu_tensor_count(a);

    if (a->dtype != b->dtype || a->ndim != b->ndim || memcmp(a->dims, b->dims, sizeof a->dims) != 0) abort();
    if (a->dtype != CORNU_STRING) {
        if (memcmp(a->data, b->data, (size_t)count * cornu_dtype_size(a->dtype)) != 0) abort();
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const cornu_string* x = (const cornu_string*)a->data + i;
        const cornu_string* y = (const cornu_string*)b->data + i;
        if (x->size != y->size || memcmp(x->data, y->data, x->size) != 0) abort();
    }
}

static void round_trip(const cornu_tensor* tensor) {
    cn_sink* sink;
    cn_source* source;
    cornu_tensor back;
    cornu_status st;
    uint64_t size;
    void* bytes;

    if (cn_sink_open_memory(&sink) != CORNU_OK) abort();
    st = cn_npy_write(sink, tensor);
    /* bytes of |S need not be UTF-8 */
    if (st != CORNU_OK && tensor->dtype != CORNU_STRING) abort();
    if (st == CORNU_OK) {
        if (cn_sink_commit(sink) != CORNU_OK) abort();
        bytes = cn_sink_take_memory(sink, &size);
        if (cn_source_take_memory(bytes, size, "again", &source) != CORNU_OK) abort();
        if (cn_npy_read(source, &back) != CORNU_OK) abort();
        compare(tensor, &back);
        cornu_tensor_release(&back);
        cn_source_close(source);
    }
    cn_sink_close(sink);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    cn_source* source;
    cornu_tensor tensor;
    cn_npz_array* arrays;
    size_t count;

    if (cn_source_open_memory(data, size, "fuzz", &source) != CORNU_OK) return 0;
    if (cn_npy_sniff(source)) {
        if (cn_npy_read(source, &tensor) == CORNU_OK) {
            round_trip(&tensor);
            cornu_tensor_release(&tensor);
        }
    } else if (cn_npz_read(source, &arrays, &count) == CORNU_OK) {
        for (size_t i = 0; i < count; i++) round_trip(&arrays[i].tensor);
        cn_npz_free(arrays, count);
    }
    cn_source_close(source);
    return 0;
}
