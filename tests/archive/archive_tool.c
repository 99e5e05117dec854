/* What compare_numpy.py and compare_h5_writer.py run: reads and writes archives by the library.
 *
 *     npycopy IN OUT      npzcopy IN OUT      zipcopy IN OUT      h5write OUT file|memory */
#include <stdio.h>
#include <string.h>

#include "archive/hdf5.h"
#include "archive/npy.h"
#include "archive/zip.h"
#include "base/alloc.h"

static cornu_status npy_copy(cn_source* source, cn_sink* sink) {
    cornu_tensor tensor;
    cornu_status st;

    CN_TRY(cn_npy_read(source, &tensor));
    st = cn_npy_write(sink, &tensor);
    cornu_tensor_release(&tensor);
    return st;
}

static cornu_status npz_copy(cn_source* source, cn_sink* sink) {
    cn_npz_array* arrays;
    size_t count;
    cornu_status st;

    CN_TRY(cn_npz_read(source, &arrays, &count));
    st = cn_npz_write(sink, arrays, count);
    cn_npz_free(arrays, count);
    return st;
}

static cornu_status copy_member(cn_zip* zip, const cn_zip_entry* entry, cn_zip_writer* writer) {
    cornu_status st = CORNU_OK;
    cn_source* source = NULL;
    char* bytes = cn_alloc((size_t)entry->size);

    if (!bytes) return CN_NO_MEMORY(entry->size);
    CN_STEP(cn_zip_open_entry(zip, entry, &source));
    CN_STEP(cn_source_read(source, 0, bytes, entry->size));
    CN_STEP(cn_zip_writer_begin(writer, entry->name, 1000000001, entry->size));
    CN_STEP(cn_zip_writer_write(writer, bytes, entry->size));
    CN_STEP(cn_zip_writer_end(writer));
done:
    cn_source_close(source);
    cn_free(bytes);
    return st;
}

static cornu_status zip_copy(cn_source* source, cn_sink* sink) {
    cornu_status st = CORNU_OK;
    cn_zip* zip = NULL;
    cn_zip_writer* writer = NULL;

    CN_STEP(cn_zip_open(source, &zip));
    CN_STEP(cn_zip_writer_open(sink, &writer));
    for (size_t i = 0; i < cn_zip_count(zip); i++) CN_STEP(copy_member(zip, cn_zip_entry_at(zip, i), writer));
    CN_STEP(cn_zip_writer_finish(writer));
done:
    cn_zip_writer_close(writer);
    cn_zip_close(zip);
    return st;
}

static cornu_status copy(const char* kind, const char* in, const char* out) {
    cornu_status st = CORNU_OK;
    cn_source* source = NULL;
    cn_sink* sink = NULL;

    CN_STEP(cn_source_open_file(in, &source));
    CN_STEP(cn_sink_open(out, true, &sink));
    if (!strcmp(kind, "npycopy")) CN_STEP(npy_copy(source, sink));
    else if (!strcmp(kind, "npzcopy")) CN_STEP(npz_copy(source, sink));
    else CN_STEP(zip_copy(source, sink));
    CN_STEP(cn_sink_commit(sink));
done:
    cn_sink_close(sink);
    cn_source_close(source);
    return st;
}

/* Byte k of every dataset is k % 7 (k % 2 for bool): what the script expects. */
static cornu_status fill(void* user, uint64_t offset, void* dst, uint64_t size) {
    const unsigned modulus = *(const unsigned*)user;

    for (uint64_t i = 0; i < size; i++) ((uint8_t*)dst)[i] = (uint8_t)((offset + i) % modulus);
    return CORNU_OK;
}

static cornu_status write_datasets(cn_h5_writer* w) {
    const int64_t dims[3] = {2, 3, 4}, none[2] = {0, 5}, large[2] = {3000, 1000};
    unsigned seven = 7, two = 2;

    for (int d = CORNU_FLOAT32; d < CORNU_STRING; d++) {
        char path[64];
        (void)snprintf(path, sizeof path, "all/%s", cornu_dtype_name((cornu_dtype)d));
        CN_TRY(cn_h5_writer_dataset(w, path, (cornu_dtype)d, 3, dims, fill, d == CORNU_BOOL ? &two : &seven));
    }
    CN_TRY(cn_h5_writer_dataset(w, "layers/dense/vars/0", CORNU_FLOAT32, 2, large, fill, &seven));
    CN_TRY(cn_h5_writer_dataset(w, "layers/dense/vars/1", CORNU_FLOAT32, 0, NULL, fill, &seven));
    CN_TRY(cn_h5_writer_dataset(w, "layers/dense/vars/10", CORNU_INT64, 2, none, fill, &seven));
    CN_TRY(cn_h5_writer_dataset(w, "layers/\xc3\xa9/vars/0", CORNU_INT8, 1, dims, fill, &seven));
    CN_TRY(cn_h5_writer_group(w, "layers/dropout/vars"));
    return cn_h5_writer_group(w, "layers/dropout/vars");
}

static cornu_status write_attributes(cn_h5_writer* w) {
    static char config[100001];
    const cornu_string texts[3] = {{"a", 1}, {"b\xc3\xa9", 3}, {"", 0}};
    const cornu_string long_text = {config, 100000};
    const double numbers[3] = {1.5, -2, 1e300};
    const int64_t number = -7;
    cn_h5_array vlen = {.dtype = CORNU_STRING, .string_kind = CN_H5_VLEN, .utf8 = true, .count = 1};
    cn_h5_array vlens = {.dtype = CORNU_STRING, .string_kind = CN_H5_VLEN, .utf8 = true, .ndim = 1, .dims = {3}, .count = 3};
    cn_h5_array fixed = {.dtype = CORNU_STRING, .string_kind = CN_H5_FIXED, .element_bytes = 5, .ndim = 1, .dims = {3}, .count = 3};
    cn_h5_array doubles = {.dtype = CORNU_FLOAT64, .ndim = 1, .dims = {3}, .count = 3};
    cn_h5_array big = {.dtype = CORNU_FLOAT64, .ndim = 1, .dims = {3}, .count = 3, .big_endian = true};
    cn_h5_array none = {.dtype = CORNU_FLOAT64, .ndim = 1, .dims = {0}, .count = 0};
    cn_h5_array null = {.dtype = CORNU_FLOAT32, .empty_space = true};
    cn_h5_array integer = {.dtype = CORNU_INT64, .count = 1};

    memset(config, 'x', 100000);
    CN_TRY(cn_h5_writer_attribute(w, "layers/dense/vars", "name", &vlen, texts));
    CN_TRY(cn_h5_writer_attribute(w, "", "model_config", &vlen, &long_text));
    CN_TRY(cn_h5_writer_attribute(w, "", "layer_names", &vlens, texts));
    CN_TRY(cn_h5_writer_attribute(w, "", "weight_names", &fixed, texts));
    CN_TRY(cn_h5_writer_attribute(w, "", "doubles", &doubles, numbers));
    CN_TRY(cn_h5_writer_attribute(w, "", "big", &big, numbers));
    CN_TRY(cn_h5_writer_attribute(w, "", "none", &none, NULL));
    CN_TRY(cn_h5_writer_attribute(w, "", "null", &null, NULL));
    return cn_h5_writer_attribute(w, "layers/dense/vars/1", "integer", &integer, &number);
}

static cornu_status write_h5(const char* path, bool memory) {
    cornu_status st = CORNU_OK;
    cn_h5_writer* w = NULL;
    cn_sink* sink = NULL;
    void* bytes = NULL;
    uint64_t size = 0;

    CN_STEP(cn_h5_writer_open(memory ? NULL : path, &w));
    CN_STEP(write_datasets(w));
    CN_STEP(write_attributes(w));
    CN_STEP(cn_h5_writer_finish(w, memory ? &bytes : NULL, memory ? &size : NULL));
    if (memory) {
        CN_STEP(cn_sink_open(path, true, &sink));
        CN_STEP(cn_sink_write(sink, bytes, size));
        CN_STEP(cn_sink_commit(sink));
    }
done:
    cn_sink_close(sink);
    cn_free(bytes);
    cn_h5_writer_close(w);
    return st;
}

int main(int argc, char** argv) {
    cornu_status st;

    if (argc != 4) return fprintf(stderr, "usage: see the source\n"), 2;
    st = !strcmp(argv[1], "h5write") ? write_h5(argv[2], !strcmp(argv[3], "memory")) : copy(argv[1], argv[2], argv[3]);
    if (st != CORNU_OK) fprintf(stderr, "%s: %s\n", cornu_status_name(st), cornu_last_error());
    return st == CORNU_OK ? 0 : 1;
}
