#include "keras/build.h"

#include <string.h>
#include <unistd.h>

/* Larger files are built beside the target instead of in memory. */
#define BUILD_IN_MEMORY ((uint64_t)64 << 20)

/* h5py's strings of variable length take 16 bytes of the attribute each. */
enum { VLEN_BYTES = 16 };

cornu_status cn_build_open(cn_build* build, cn_document* doc, cn_save_job* job, uint64_t bytes, const char* name) {
    *build = (cn_build){doc, job, NULL, NULL, name, NULL, NULL};
    if (job->path && bytes > BUILD_IN_MEMORY) {
        build->temporary = cn_temporary_beside(job->path);
        if (!build->temporary) return CN_NO_MEMORY(strlen(job->path));
    }
    return cn_h5_writer_open(build->temporary, &build->writer);
}

void cn_build_close(cn_build* build) {
    if (build->writer && build->temporary) (void)unlink(build->temporary);
    cn_h5_writer_close(build->writer);
    cn_free(build->temporary);
    cn_free(build->whole);
    *build = (cn_build){0};
}

static cornu_status fill_elements(void* user, uint64_t offset, void* dst, uint64_t size) {
    cn_build* build = user;
    const cn_variable* variable = build->variable;
    uint64_t all = (uint64_t)variable->count * cornu_dtype_size(variable->dtype);

    if (cn_variable_is_plain(build->doc, variable)) {
        CN_TRY(cn_source_read(build->doc->weights_source, variable->node->offset + offset, dst, size));
    } else if (variable->value) {
        memcpy(dst, (const char*)variable->value + offset, (size_t)size);
    } else {
        if (!build->whole) {
            build->whole = cn_alloc((size_t)all);
            if (!build->whole) return CN_NO_MEMORY(all);
            CN_TRY(cn_document_read(build->doc, variable, build->whole));
        }
        memcpy(dst, (const char*)build->whole + offset, (size_t)size);
    }
    return cn_save_progress(build->job, size);
}

cornu_status cn_build_variable(cn_build* build, const char* path, const cn_variable* variable) {
    cornu_status st;

    build->variable = variable;
    st = cn_h5_writer_dataset(build->writer, path, variable->dtype, variable->ndim, variable->dims, fill_elements, build);
    cn_free(build->whole);
    build->whole = NULL;
    return st;
}

cornu_status cn_build_text(cn_build* build, const char* path, const char* name, const char* text, size_t size, bool utf8) {
    const cornu_string string = {text, size};
    const cn_h5_array array = {.dtype = CORNU_STRING, .string_kind = CN_H5_VLEN, .utf8 = utf8, .count = 1};

    return cn_h5_writer_attribute(build->writer, path, name, &array, &string);
}

static cornu_status write_names(cn_build* build, const char* path, const char* name, const cornu_string* strings, size_t count,
                                size_t fixed) {
    cn_h5_array array = {.dtype = CORNU_STRING, .string_kind = fixed ? CN_H5_FIXED : CN_H5_VLEN, .ndim = 1};

    array.element_bytes = fixed;
    array.dims[0] = array.count = (int64_t)count;
    return cn_h5_writer_attribute(build->writer, path, name, &array, strings);
}

static size_t longest_of(const cornu_string* strings, size_t count) {
    size_t longest = 1;

    for (size_t i = 0; i < count; i++) {
        if (strings[i].size > longest) longest = strings[i].size;
    }
    return longest;
}

/* As numpy's array_split: count / pieces each, the first count % pieces one more. */
static cornu_status write_pieces(cn_build* build, const char* path, const char* name, const cornu_string* strings, size_t count,
                                 size_t longest) {
    size_t pieces = 2, at = 0;
    cn_arena arena = {0};
    cornu_status st = CORNU_OK;

    while ((count + pieces - 1) / pieces * longest > CN_H5_WRITER_ATTRIBUTE_BYTES) pieces++;
    for (size_t i = 0; i < pieces; i++) {
        size_t n = count / pieces + (i < count % pieces);
        const char* numbered = cn_arena_format(&arena, "%s%zu", name, i);
        if (!numbered) CN_STEP(CN_NO_MEMORY(strlen(name)));
        CN_STEP(write_names(build, path, numbered, strings + at, n, longest));
        at += n;
    }
done:
    cn_arena_deinit(&arena);
    return st;
}

cornu_status cn_build_names(cn_build* build, const char* path, const char* name, const char* const* names, size_t count) {
    cornu_status st = CORNU_OK;
    cornu_string* strings = cn_alloc_zero(count + 1, sizeof *strings);
    size_t longest;

    if (!strings) return CN_NO_MEMORY(count * sizeof *strings);
    for (size_t i = 0; i < count; i++) strings[i] = (cornu_string){names[i], strlen(names[i])};
    longest = longest_of(strings, count);
    if (longest > CN_H5_WRITER_ATTRIBUTE_BYTES) {
        st = CN_FAIL(UNSUPPORTED, "%s: a name of %zu bytes in '%s' is longer than HDF5 allows in an attribute (%d)", build->name, longest,
                     name, CN_H5_WRITER_ATTRIBUTE_BYTES);
    } else if (count == 0) {
        const cn_h5_array none = {.dtype = CORNU_FLOAT64, .element_bytes = 8, .ndim = 1};
        st = cn_h5_writer_attribute(build->writer, path, name, &none, "");
    } else if (count > CN_H5_WRITER_ATTRIBUTE_BYTES / VLEN_BYTES || count * longest > CN_H5_WRITER_ATTRIBUTE_BYTES) {
        st = write_pieces(build, path, name, strings, count, longest);
    } else {
        st = write_names(build, path, name, strings, count, 0);
    }
    cn_free(strings);
    return st;
}

cornu_status cn_build_finish(cn_build* build, cn_source** out) {
    void* bytes = NULL;
    uint64_t size = 0;

    CN_TRY(cn_h5_writer_finish(build->writer, build->temporary ? NULL : &bytes, &size));
    if (build->temporary) return cn_source_open_file(build->temporary, out);
    return cn_source_take_memory(bytes, size, build->name, out);
}
