/* The table of formats, and what to say of a file that is none of them. A new format is a file and a row here. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keras/parts.h"

static const cn_format* const formats[] = {
    &cn_format_keras,
    &cn_format_keras_dir,
    &cn_format_weights,
    &cn_format_h5,
    &cn_format_h5_weights,
    &cn_format_json,
    &cn_format_sharded,
    &cn_format_npz,
};
#define FORMAT_COUNT (sizeof formats / sizeof *formats)

const cn_format* cn_format_of(cornu_format id) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (formats[i]->id == id) return formats[i];
    }
    return NULL;
}

/* ---- loading: by content ---- */

/* Beginnings of files that are often mistaken for models. */
static const struct {
    const char* begin;
    size_t size;
    const char* what;
} known_foreign[] = {
    {"version https://git-lfs.github.com/spec/v1", 42, "this is a Git LFS pointer; fetch the real file (git lfs pull)"},
    {"\x93NUMPY", 6, "this is a numpy array (.npy), not a model"},
    {"\x80\x02", 2, "this is a Python pickle, which is never read"},
    {"\x80\x03", 2, "this is a Python pickle, which is never read"},
    {"\x80\x04", 2, "this is a Python pickle, which is never read"},
    {"\x80\x05", 2, "this is a Python pickle, which is never read"},
    {"\x1f\x8b", 2, "this is gzip-compressed data; unpack it first"},
    {"<!DOCTYPE", 9, "this is an HTML page, not a model; the download went wrong"},
    {"<html", 5, "this is an HTML page, not a model; the download went wrong"},
};

/* Whether the text begins with '{', blanks aside. */
static bool is_json(cn_document* doc) {
    char begin[64];
    uint64_t size = cn_source_size(doc->source), i = 0;

    if (size > sizeof begin) size = sizeof begin;
    if (cn_source_read(doc->source, 0, begin, size) != CORNU_OK) return false;
    while (i < size && (begin[i] == ' ' || begin[i] == '\n' || begin[i] == '\r' || begin[i] == '\t')) i++;
    return i < size && begin[i] == '{';
}

static cornu_status refuse_foreign(cn_document* doc) {
    char begin[64];
    uint64_t size = cn_source_size(doc->source);

    if (size > sizeof begin) size = sizeof begin;
    CN_TRY(cn_source_read(doc->source, 0, begin, size));
    for (size_t i = 0; i < sizeof known_foreign / sizeof *known_foreign; i++) {
        if (size >= known_foreign[i].size && memcmp(begin, known_foreign[i].begin, known_foreign[i].size) == 0)
            return CN_FAIL(BAD_FILE, "%s: %s", doc->name, known_foreign[i].what);
    }
    return CN_FAIL(BAD_FILE,
                   "%s: not a model file: it begins as neither a zip archive (.keras) nor HDF5 (.weights.h5) does",
                   doc->name);
}

static bool has_member(int dir_fd, const char* name) {
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static cornu_status sniff_directory(cn_document* doc, int dir_fd, const cn_format** out) {
    if (has_member(dir_fd, CN_MEMBER_CONFIG)) {
        *out = &cn_format_keras_dir;
        return CORNU_OK;
    }
    if (has_member(dir_fd, "saved_model.pb") || has_member(dir_fd, "saved_model.pbtxt"))
        return CN_FAIL(UNSUPPORTED, "%s: this is a TensorFlow SavedModel directory, which is not read yet", doc->name);
    if (has_member(dir_fd, "checkpoint") || has_member(dir_fd, "variables.index"))
        return CN_FAIL(UNSUPPORTED, "%s: this is a TensorFlow checkpoint directory, which is not read yet", doc->name);
    return CN_FAIL(BAD_FILE, "%s: a directory without " CN_MEMBER_CONFIG " is no Keras model", doc->name);
}

cornu_status cn_format_sniff(cn_document* doc, int dir_fd, const cn_format** out) {
    *out = NULL;
    if (!doc->source) return sniff_directory(doc, dir_fd, out);
    if (cn_source_size(doc->source) == 0) return CN_FAIL(BAD_FILE, "%s: the file is empty", doc->name);
    if (cn_zip_sniff(doc->source)) {
        *out = &cn_format_keras;
        return CORNU_OK;
    }
    if (cn_h5_sniff(doc->source)) {
        *out = &cn_format_weights;
        return CORNU_OK;
    }
    if (is_json(doc)) return cn_json_sniff(doc, out);
    return refuse_foreign(doc);
}
