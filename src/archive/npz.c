/* .npz: a zip whose members are NAME.npy. */
#include <string.h>

#include "archive/npy.h"
#include "archive/zip.h"
#include "base/alloc.h"
#include "base/buf.h"

static const char k_suffix[] = ".npy";
enum { SUFFIX_BYTES = sizeof k_suffix - 1, HEADER_ROOM = 1 << 16 };

void cn_npz_free(cn_npz_array* arrays, size_t count) {
    if (!arrays) return;
    for (size_t i = 0; i < count; i++) {
        cornu_tensor_release(&arrays[i].tensor);
        cn_free((void*)(uintptr_t)arrays[i].name); /* ours; const for the reader's sake */
    }
    cn_free(arrays);
}

static cornu_status read_member(cn_zip* zip, size_t i, const char* what, cn_npz_array* out) {
    const cn_zip_entry* entry = cn_zip_entry_at(zip, i);
    size_t size = strlen(entry->name);
    cn_source* source;
    cornu_status st;

    if (size <= SUFFIX_BYTES || strcmp(entry->name + size - SUFFIX_BYTES, k_suffix) != 0)
        return CN_FAIL(UNSUPPORTED, "%s: member '%s' of the .npz is no .npy", what, entry->name);
    out->name = cn_strndup(entry->name, size - SUFFIX_BYTES);
    if (!out->name) return CN_NO_MEMORY(size);
    CN_TRY(cn_zip_open_entry(zip, entry, &source));
    st = cn_npy_read(source, &out->tensor);
    cn_source_close(source);
    return st;
}

cornu_status cn_npz_read(cn_source* source, cn_npz_array** out, size_t* out_count) {
    cornu_status st = CORNU_OK;
    cn_npz_array* arrays = NULL;
    size_t count = 0;
    cn_zip* zip = NULL;

    *out = NULL;
    *out_count = 0;
    CN_STEP(cn_zip_open(source, &zip));
    count = cn_zip_count(zip);
    arrays = cn_alloc_zero(count, sizeof *arrays);
    if (!arrays) CN_STEP(CN_NO_MEMORY(count * sizeof *arrays));
    for (size_t i = 0; i < count; i++) CN_STEP(read_member(zip, i, cn_source_name(source), &arrays[i]));
    *out = arrays;
    *out_count = count;
    arrays = NULL;
done:
    cn_npz_free(arrays, count);
    cn_zip_close(zip);
    return st;
}

static cornu_status put_to_zip(void* user, const void* data, uint64_t size) {
    return cn_zip_writer_write(user, data, size);
}

/* At least the bytes of the member; a string takes at most 4 bytes a byte, padded to the longest. */
static uint64_t expected_size(const cornu_tensor* tensor) {
    int64_t count = cornu_tensor_count(tensor);
    uint64_t item = cornu_dtype_size(tensor->dtype);

    if (count < 0) return 0;
    if (tensor->dtype == CORNU_STRING) {
        const cornu_string* strings = tensor->data;
        item = 4;
        for (int64_t i = 0; i < count; i++)
            if (strings[i].size > item / 4) item = 4 * (uint64_t)strings[i].size;
    }
    return (uint64_t)count > (UINT64_MAX - HEADER_ROOM) / (item + 1) ? UINT64_MAX : (uint64_t)count * item + HEADER_ROOM;
}

cornu_status cn_npz_write(cn_sink* sink, const cn_npz_array* arrays, size_t count) {
    cornu_status st = CORNU_OK;
    cn_zip_writer* writer = NULL;
    cn_buf name = {0};

    CN_STEP(cn_zip_writer_open(sink, &writer));
    for (size_t i = 0; i < count; i++) {
        name.size = 0;
        cn_buf_text(&name, arrays[i].name);
        cn_buf_text(&name, k_suffix);
        CN_STEP(cn_buf_check(&name));
        CN_STEP(cn_zip_writer_begin(writer, name.data, -1, expected_size(&arrays[i].tensor)));
        CN_STEP(cn_npy_put_to(put_to_zip, writer, &arrays[i].tensor));
        CN_STEP(cn_zip_writer_end(writer));
    }
    CN_STEP(cn_zip_writer_finish(writer));
done:
    cn_buf_deinit(&name);
    cn_zip_writer_close(writer);
    return st;
}
