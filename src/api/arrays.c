/* cornu_arrays_*: numpy's files, by archive/npy. */
#include <string.h>

#include "archive/npy.h"
#include "archive/zip.h"

#include "base/alloc.h"

static bool ends_with(const char* text, const char* end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* One array without a name. */
static cornu_status load_npy(cn_source* source, cornu_array** out, int* out_count) {
    cornu_status st = CORNU_OK;
    cornu_array* arrays = cn_alloc_zero(1, sizeof *arrays);
    char* name = cn_strdup("");

    if (!arrays || !name) CN_STEP(CN_NO_MEMORY(sizeof *arrays));
    CN_STEP(cn_npy_read(source, &arrays->tensor));
    arrays->name = name;
    *out = arrays;
    *out_count = 1;
    arrays = NULL;
    name = NULL;
done:
    cn_free(name);
    cn_free(arrays);
    return st;
}

static cornu_status load_npz(cn_source* source, cornu_array** out, int* out_count) {
    cornu_status st = CORNU_OK;
    cn_npz_array* members = NULL;
    size_t count = 0;
    cornu_array* arrays = NULL;

    CN_STEP(cn_npz_read(source, &members, &count));
    arrays = cn_alloc_zero(count, sizeof *arrays);
    if (!arrays) CN_STEP(CN_NO_MEMORY(count * sizeof *arrays));
    for (size_t i = 0; i < count; i++) {
        char* name = cn_strdup(members[i].name);
        if (!name) CN_STEP(CN_NO_MEMORY(strlen(members[i].name)));
        arrays[i].name = name;
    }
    for (size_t i = 0; i < count; i++) {
        arrays[i].tensor = members[i].tensor; /* handed over */
        members[i].tensor.owner = NULL;
        members[i].tensor.data = NULL;
    }
    *out = arrays;
    *out_count = (int)count;
    arrays = NULL;
done:
    cornu_arrays_free(arrays, arrays ? (int)count : 0);
    cn_npz_free(members, count);
    return st;
}

cornu_status cornu_arrays_load(const char* path, cornu_array** out, int* out_count) {
    cornu_status st = CORNU_OK;
    cn_source* source = NULL;

    if (!out || !out_count) return CN_FAIL(BAD_ARGUMENT, "cornu_arrays_load: out or out_count is NULL");
    *out = NULL;
    *out_count = 0;
    if (!path) return CN_FAIL(BAD_ARGUMENT, "cornu_arrays_load: path is NULL");
    CN_STEP(cn_source_open_file(path, &source));
    if (cn_npy_sniff(source)) CN_STEP(load_npy(source, out, out_count));
    else if (cn_zip_sniff(source)) CN_STEP(load_npz(source, out, out_count));
    else CN_STEP(CN_FAIL(BAD_FILE, "%s: neither .npy nor .npz: it begins as neither does", path));
done:
    cn_source_close(source);
    return st;
}

void cornu_arrays_free(cornu_array* arrays, int count) {
    if (!arrays) return;
    for (int i = 0; i < count; i++) {
        cornu_tensor_release(&arrays[i].tensor);
        cn_free((void*)(uintptr_t)arrays[i].name);
    }
    cn_free(arrays);
}

static cornu_status check_arrays(const char* path, const cornu_array* arrays, int count) {
    for (int i = 0; i < count; i++) {
        const cornu_tensor* tensor = &arrays[i].tensor;
        int64_t elements = cornu_tensor_count(tensor);
        if (elements < 0 || tensor->device != CORNU_HOST || (elements > 0 && !tensor->data))
            return CN_FAIL(BAD_ARGUMENT, "%s: array %d is no valid host tensor", path, i);
        if (!arrays[i].name && count > 1) return CN_FAIL(BAD_ARGUMENT, "%s: array %d has no name", path, i);
    }
    return CORNU_OK;
}

static cornu_status write_npz(cn_sink* sink, const cornu_array* arrays, int count) {
    cornu_status st = CORNU_OK;
    cn_npz_array* members = cn_alloc_zero((size_t)count, sizeof *members);

    if (!members) return CN_NO_MEMORY((size_t)count * sizeof *members);
    for (int i = 0; i < count; i++) {
        members[i].name = arrays[i].name && *arrays[i].name ? arrays[i].name : "arr_0";
        members[i].tensor = arrays[i].tensor;
    }
    CN_STEP(cn_npz_write(sink, members, (size_t)count));
done:
    cn_free(members);
    return st;
}

cornu_status cornu_arrays_save(const char* path, const cornu_array* arrays, int count, int overwrite) {
    cornu_status st = CORNU_OK;
    cn_sink* sink = NULL;
    bool npy;

    if (!path || count < 0 || (count > 0 && !arrays))
        return CN_FAIL(BAD_ARGUMENT, "cornu_arrays_save: path or arrays is NULL, or count is negative");
    npy = ends_with(path, ".npy");
    if (!npy && !ends_with(path, ".npz"))
        return CN_FAIL(BAD_ARGUMENT, "%s: the path ends with neither .npy nor .npz", path);
    if (npy && count != 1)
        return CN_FAIL(BAD_ARGUMENT, "%s: a .npy holds one array, not %d; .npz holds any number", path, count);
    CN_TRY(check_arrays(path, arrays, count));
    CN_STEP(cn_sink_open(path, overwrite != 0, &sink));
    CN_STEP(npy ? cn_npy_write(sink, &arrays[0].tensor) : write_npz(sink, arrays, count));
    CN_STEP(cn_sink_commit(sink));
done:
    cn_sink_close(sink);
    return st;
}
