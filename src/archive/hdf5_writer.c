/* Writing HDF5 by libhdf5, as h5py does by default: superblock 0, old groups, contiguous data, late allocation.
 *
 * libhdf5 makes the structure, but the elements bypass it. Only the last element of a dataset is written through it,
 * which allocates the storage and makes the file reach that far; the elements then go straight to their place, a file's by
 * pwrite, those in memory into the core driver's own bytes, so that no copy of a large array is ever made.
 *
 * Invariants: between calls no id is open but the file's. Every call of libhdf5 is made under the one lock below,
 * because Debian's serial build has no lock of its own, with its printing of errors off meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "archive/hdf5.h"
#include "archive/sink_fs.h"
#include "base/buf.h"
#include "base/size.h"

enum { PIECE_BYTES = 8 << 20, CORE_STEP = 1 << 20 };

struct cn_h5_writer {
    hid_t file;  /* < 0: closed */
    char* path;  /* NULL: in memory */
    int fd;      /* of path, for the elements */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Silence of libhdf5 while the lock is held: its automatic printing is process-wide, so it is put back. */
typedef struct quiet {
    H5E_auto2_t print;
    void* user;
} quiet;

static void enter(quiet* q) {
    (void)pthread_mutex_lock(&lock);
    (void)H5open();
    (void)H5Eget_auto2(H5E_DEFAULT, &q->print, &q->user);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void leave(const quiet* q) {
    (void)H5Eclear2(H5E_DEFAULT);
    (void)H5Eset_auto2(H5E_DEFAULT, q->print, q->user);
    (void)pthread_mutex_unlock(&lock);
}

static const char* writer_name(const cn_h5_writer* w) { return w->path ? w->path : "HDF5 in memory"; }

/* The deepest sentence of libhdf5's error stack. */
static herr_t take_reason(unsigned n, const H5E_error2_t* error, void* user) {
    (void)n;
    if (error->desc && error->desc[0]) *(const char**)user = error->desc;
    return 0;
}

static cornu_status h5_failure(const cn_h5_writer* w, const char* path, const char* what) {
    const char* reason = "no reason given";

    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take_reason, &reason);
    return CN_FAIL(IO_ERROR, "%s: '%s' %s: %s", writer_name(w), path, what, reason);
}

/* ---- types ---- */

static bool host_is_big(void) {
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first == 0;
}

/* IEEE half: sign 15, exponent of 5 bits at 10 (bias 15), 10 bits of fraction at 0. */
static hid_t half_type(bool big) {
    hid_t type = H5Tcopy(big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);

    if (type >= 0 && (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 ||
                      H5Tset_ebias(type, 15) < 0)) {
        (void)H5Tclose(type);
        return -1;
    }
    return type;
}

/* h5py's bool: an enumeration of int8. */
static hid_t bool_type(void) {
    hid_t type = H5Tenum_create(H5T_STD_I8LE);
    const int8_t no = 0, yes = 1;

    if (type >= 0 && (H5Tenum_insert(type, "FALSE", &no) < 0 || H5Tenum_insert(type, "TRUE", &yes) < 0)) {
        (void)H5Tclose(type);
        return -1;
    }
    return type;
}

/* h5py's complex: a compound of r and i. */
static hid_t complex_type(hid_t part, size_t size) {
    hid_t type = H5Tcreate(H5T_COMPOUND, 2 * size);

    if (type >= 0 && (H5Tinsert(type, "r", 0, part) < 0 || H5Tinsert(type, "i", size, part) < 0)) {
        (void)H5Tclose(type);
        return -1;
    }
    return type;
}

/* Keras's bfloat16: two opaque bytes; an attribute of the dataset says what they are. */
static hid_t bfloat_type(void) {
    hid_t type = H5Tcreate(H5T_OPAQUE, 2);

    if (type >= 0 && H5Tset_tag(type, "") < 0) {
        (void)H5Tclose(type);
        return -1;
    }
    return type;
}

/* A type to close, of a dtype that is no string, in big- or little-endian order. */
static hid_t number_type(cornu_dtype dtype, bool big) {
    switch (dtype) {
    case CORNU_FLOAT16: return half_type(big);
    case CORNU_BFLOAT16: return bfloat_type();
    case CORNU_FLOAT32: return H5Tcopy(big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    case CORNU_FLOAT64: return H5Tcopy(big ? H5T_IEEE_F64BE : H5T_IEEE_F64LE);
    case CORNU_INT8: return H5Tcopy(big ? H5T_STD_I8BE : H5T_STD_I8LE);
    case CORNU_INT16: return H5Tcopy(big ? H5T_STD_I16BE : H5T_STD_I16LE);
    case CORNU_INT32: return H5Tcopy(big ? H5T_STD_I32BE : H5T_STD_I32LE);
    case CORNU_INT64: return H5Tcopy(big ? H5T_STD_I64BE : H5T_STD_I64LE);
    case CORNU_UINT8: return H5Tcopy(big ? H5T_STD_U8BE : H5T_STD_U8LE);
    case CORNU_UINT16: return H5Tcopy(big ? H5T_STD_U16BE : H5T_STD_U16LE);
    case CORNU_UINT32: return H5Tcopy(big ? H5T_STD_U32BE : H5T_STD_U32LE);
    case CORNU_UINT64: return H5Tcopy(big ? H5T_STD_U64BE : H5T_STD_U64LE);
    case CORNU_BOOL: return bool_type();
    case CORNU_COMPLEX64: return complex_type(big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE, 4);
    case CORNU_COMPLEX128: return complex_type(big ? H5T_IEEE_F64BE : H5T_IEEE_F64LE, 8);
    default: return -1;
    }
}

static hid_t string_type(const cn_h5_array* array) {
    bool fixed = array->string_kind == CN_H5_FIXED;
    hid_t type = H5Tcopy(H5T_C_S1);

    if (type >= 0 && (H5Tset_size(type, fixed ? (size_t)array->element_bytes : H5T_VARIABLE) < 0 ||
                      (fixed && H5Tset_strpad(type, H5T_STR_NULLPAD) < 0) ||
                      H5Tset_cset(type, array->utf8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII) < 0)) {
        (void)H5Tclose(type);
        return -1;
    }
    return type;
}

static hid_t make_space(int ndim, const int64_t* dims, bool null) {
    hsize_t sizes[CORNU_MAX_DIMS];

    if (null) return H5Screate(H5S_NULL);
    if (ndim == 0) return H5Screate(H5S_SCALAR);
    for (int i = 0; i < ndim; i++) sizes[i] = (hsize_t)dims[i];
    return H5Screate_simple(ndim, sizes, NULL);
}

static void close_type(hid_t id) {
    if (id >= 0) (void)H5Tclose(id);
}
static void close_space(hid_t id) {
    if (id >= 0) (void)H5Sclose(id);
}
static void close_dataset(hid_t id) {
    if (id >= 0) (void)H5Dclose(id);
}
static void close_property(hid_t id) {
    if (id >= 0) (void)H5Pclose(id);
}

/* ---- the file ---- */

static hid_t create_file(const char* path) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;

    if (access < 0) return -1;
    if (path || H5Pset_fapl_core(access, CORE_STEP, 0) >= 0)
        file = H5Fcreate(path ? path : "cornu.h5", path ? H5F_ACC_EXCL : H5F_ACC_TRUNC, H5P_DEFAULT, access);
    close_property(access);
    return file;
}

cornu_status cn_h5_writer_open(const char* path, cn_h5_writer** out) {
    cornu_status st = CORNU_OK;
    cn_h5_writer* w = cn_alloc_zero(1, sizeof *w);
    quiet q;

    *out = NULL;
    if (!w) return CN_NO_MEMORY(sizeof *w);
    w->file = -1;
    w->fd = -1;
    if (path && !(w->path = cn_strdup(path))) CN_STEP(CN_NO_MEMORY(strlen(path) + 1));
    enter(&q);
    w->file = create_file(path);
    if (w->file < 0) st = h5_failure(w, "", "cannot be created");
    leave(&q);
    if (st != CORNU_OK) {
        cn_free(w->path); /* the file is not ours: it stays */
        w->path = NULL;
        goto done;
    }
    if (path) w->fd = CN_FS(open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (path && w->fd < 0) CN_STEP(CN_FAIL_ERRNO(path, "cannot be opened again"));
    *out = w;
    w = NULL;
done:
    cn_h5_writer_close(w);
    return st;
}

/* Ends libhdf5's part; what was written by then is complete only if it says so. */
static cornu_status close_file(cn_h5_writer* w) {
    cornu_status st = CORNU_OK;
    quiet q;

    if (w->file < 0) return CORNU_OK;
    enter(&q);
    if (H5Fclose(w->file) < 0) st = h5_failure(w, "", "cannot be completed");
    leave(&q);
    w->file = -1;
    return st;
}

void cn_h5_writer_close(cn_h5_writer* w) {
    if (!w) return;
    if (w->file >= 0) {
        (void)close_file(w);
        if (w->path) (void)unlink(w->path);
    }
    if (w->fd >= 0) (void)close(w->fd);
    cn_free(w->path);
    cn_free(w);
}

static cornu_status check_open(const cn_h5_writer* w, const char* path) {
    if (w->file < 0) return CN_FAIL(BAD_ARGUMENT, "%s: is complete already", writer_name(w));
    if (path[0] == '/') return CN_FAIL(BAD_ARGUMENT, "%s: path '%s' begins with '/'", writer_name(w), path);
    return CORNU_OK;
}

/* The bytes of the file in memory; under the lock. */
static cornu_status take_image(const cn_h5_writer* w, void** out, uint64_t* out_size) {
    ssize_t size;

    if (H5Fflush(w->file, H5F_SCOPE_LOCAL) < 0) return h5_failure(w, "", "cannot be flushed");
    size = H5Fget_file_image(w->file, NULL, 0);
    if (size <= 0) return h5_failure(w, "", "cannot be copied");
    *out = cn_alloc((size_t)size);
    if (!*out) return CN_NO_MEMORY(size);
    if (H5Fget_file_image(w->file, *out, (size_t)size) != size) {
        cn_free(*out);
        *out = NULL;
        return h5_failure(w, "", "cannot be copied");
    }
    *out_size = (uint64_t)size;
    return CORNU_OK;
}

cornu_status cn_h5_writer_finish(cn_h5_writer* w, void** out, uint64_t* out_size) {
    cornu_status st = CORNU_OK;
    void* image = NULL;
    uint64_t size = 0;
    quiet q;

    if (out) *out = NULL;
    if (out_size) *out_size = 0;
    CN_TRY(check_open(w, ""));
    if (!w->path) {
        if (!out || !out_size) return CN_FAIL(BAD_ARGUMENT, "HDF5 in memory: nothing to hand its bytes to");
        enter(&q);
        st = take_image(w, &image, &size);
        leave(&q);
    }
    if (st == CORNU_OK) CN_STEP(close_file(w));
    if (w->fd >= 0) {
        int fd = w->fd;
        w->fd = -1;
        if (close(fd) != 0 && errno != EINTR) CN_STEP(CN_FAIL_ERRNO(w->path, "closing failed"));
    }
    if (st == CORNU_OK && out) {
        *out = image;
        *out_size = size;
        image = NULL;
    }
done:
    cn_free(image);
    return st;
}

/* ---- groups ---- */

/* Link properties of h5py: parents are made, the name says whether it is ASCII. */
static hid_t link_properties(const char* path) {
    hid_t id = H5Pcreate(H5P_LINK_CREATE);
    bool ascii = true;

    for (const char* at = path; *at; at++) ascii = ascii && !(*at & 0x80);
    if (id >= 0 && (H5Pset_create_intermediate_group(id, 1) < 0 || (!ascii && H5Pset_char_encoding(id, H5T_CSET_UTF8) < 0))) {
        (void)H5Pclose(id);
        return -1;
    }
    return id;
}

/* Whether every part of the path is there; H5Lexists needs the parents to be. */
static bool path_exists(hid_t file, char* path) {
    for (char* at = path;; at++) {
        char end = *at;
        bool there;

        if (end != '/' && end != '\0') continue;
        *at = '\0';
        there = H5Lexists(file, path, H5P_DEFAULT) > 0;
        *at = end;
        if (!there) return false;
        if (!end) return true;
    }
}

static cornu_status make_group(cn_h5_writer* w, const char* path, char* copy) {
    cornu_status st = CORNU_OK;
    bool there = path_exists(w->file, copy);
    hid_t properties = there ? -1 : link_properties(path);
    hid_t group = there ? H5Gopen2(w->file, path, H5P_DEFAULT)
                        : H5Gcreate2(w->file, path, properties, H5P_DEFAULT, H5P_DEFAULT);

    if (group < 0) st = h5_failure(w, path, "cannot be made a group");
    else (void)H5Gclose(group);
    close_property(properties);
    return st;
}

cornu_status cn_h5_writer_group(cn_h5_writer* w, const char* path) {
    cornu_status st;
    char* copy;
    quiet q;

    CN_TRY(check_open(w, path));
    if (!path[0]) return CORNU_OK; /* the root */
    copy = cn_strdup(path);
    if (!copy) return CN_NO_MEMORY(strlen(path) + 1);
    enter(&q);
    st = make_group(w, path, copy);
    leave(&q);
    cn_free(copy);
    return st;
}

/* ---- datasets ---- */

/* Writes the last element, zero, so that all of the storage exists, and says where it begins. */
static cornu_status allocate_storage(const cn_h5_writer* w, const char* path, hid_t dataset, hid_t type, hid_t space,
                                     const int64_t* dims, int ndim, uint64_t* offset) {
    const uint8_t zero[16] = {0};
    hsize_t last[CORNU_MAX_DIMS];
    hid_t one = H5Screate(H5S_SCALAR);
    herr_t result = one < 0 ? -1 : 0;
    haddr_t address;

    for (int i = 0; i < ndim; i++) last[i] = (hsize_t)dims[i] - 1;
    if (result >= 0 && ndim > 0) result = H5Sselect_elements(space, H5S_SELECT_SET, 1, last);
    if (result >= 0) result = H5Dwrite(dataset, type, one, space, H5P_DEFAULT, zero);
    close_space(one);
    if (result < 0) return h5_failure(w, path, "cannot be allocated");
    address = H5Dget_offset(dataset);
    if (address == HADDR_UNDEF) return h5_failure(w, path, "has no place");
    *offset = address;
    return CORNU_OK;
}

static cornu_status make_dataset(cn_h5_writer* w, const char* path, cornu_dtype dtype, int ndim, const int64_t* dims,
                                 bool filled, uint64_t* offset) {
    cornu_status st = CORNU_OK;
    hid_t properties = link_properties(path);
    hid_t type = number_type(dtype, host_is_big());
    hid_t space = make_space(ndim, dims, false);
    hid_t dataset = -1;

    if (properties >= 0 && type >= 0 && space >= 0)
        dataset = H5Dcreate2(w->file, path, type, space, properties, H5P_DEFAULT, H5P_DEFAULT);
    if (dataset < 0) st = h5_failure(w, path, "cannot be made a dataset");
    else if (filled) st = allocate_storage(w, path, dataset, type, space, dims, ndim, offset);
    close_dataset(dataset);
    close_space(space);
    close_type(type);
    close_property(properties);
    return st;
}

static cornu_status fill_memory(cn_h5_writer* w, const char* path, uint64_t offset, uint64_t size, cn_h5_fill fill, void* user) {
    void* handle = NULL;
    herr_t result;
    quiet q;

    enter(&q);
    result = H5Fget_vfd_handle(w->file, H5P_DEFAULT, &handle);
    leave(&q);
    /* The core driver's handle is the address of its pointer to the bytes, which reach behind the last element. */
    if (result < 0 || !handle) return CN_FAIL(IO_ERROR, "%s: '%s' cannot be reached", writer_name(w), path);
    for (uint64_t at = 0; at < size;) {
        uint64_t n = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;

        CN_TRY(fill(user, at, *(uint8_t**)handle + offset + at, n));
        at += n;
    }
    return CORNU_OK;
}

static cornu_status write_piece(const cn_h5_writer* w, uint64_t offset, const uint8_t* data, uint64_t size) {
    while (size > 0) {
        ssize_t n = CN_FS(pwrite(w->fd, data, (size_t)size, (off_t)offset));

        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return CN_FAIL_ERRNO(w->path, "writing failed");
        data += n;
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return CORNU_OK;
}

static cornu_status fill_file(cn_h5_writer* w, uint64_t offset, uint64_t size, cn_h5_fill fill, void* user) {
    cornu_status st = CORNU_OK;
    uint64_t most = size < PIECE_BYTES ? size : PIECE_BYTES;
    uint8_t* piece = cn_alloc((size_t)most);

    if (!piece) return CN_NO_MEMORY(most);
    for (uint64_t at = 0; at < size;) {
        uint64_t n = size - at < most ? size - at : most;

        CN_STEP(fill(user, at, piece, n));
        CN_STEP(write_piece(w, offset + at, piece, n));
        at += n;
    }
done:
    cn_free(piece);
    return st;
}

static cornu_status mark_bfloat(cn_h5_writer* w, const char* path) {
    const cornu_string text = {"bfloat16", 8};
    const cn_h5_array array = {.dtype = CORNU_STRING, .string_kind = CN_H5_VLEN, .utf8 = true, .count = 1};

    return cn_h5_writer_attribute(w, path, "dtype", &array, &text);
}

cornu_status cn_h5_writer_dataset(cn_h5_writer* w, const char* path, cornu_dtype dtype, int ndim, const int64_t* dims,
                                  cn_h5_fill fill, void* user) {
    uint64_t size, offset = 0;
    int64_t count;
    cornu_status st;
    quiet q;

    CN_TRY(check_open(w, path));
    if (!path[0] || ndim < 0 || ndim > CORNU_MAX_DIMS || !cn_dims_count(dims, ndim, &count) ||
        !cn_size_mul((uint64_t)count, cornu_dtype_size(dtype), &size) || size > INT64_MAX / 2)
        return CN_FAIL(BAD_ARGUMENT, "%s: the shape or path of dataset '%s' is invalid", writer_name(w), path);
    if (dtype == CORNU_STRING || cornu_dtype_size(dtype) == 0)
        return CN_FAIL(UNSUPPORTED, "%s: dataset '%s' of dtype %s cannot be written", writer_name(w), path,
                       cornu_dtype_name(dtype));
    enter(&q);
    st = make_dataset(w, path, dtype, ndim, dims, size > 0, &offset);
    leave(&q);
    if (st == CORNU_OK && size > 0)
        st = w->path ? fill_file(w, offset, size, fill, user) : fill_memory(w, path, offset, size, fill, user);
    if (st == CORNU_OK && dtype == CORNU_BFLOAT16) st = mark_bfloat(w, path);
    return st;
}

/* ---- attributes ---- */

/* What H5Awrite takes for strings: pointers for variable length, padded text for fixed. *out: cn_free. */
static cornu_status pack_strings(const cn_h5_writer* w, const char* name, const cn_h5_array* array,
                                 const cornu_string* strings, void** out) {
    bool fixed = array->string_kind == CN_H5_FIXED;
    uint64_t item = fixed ? array->element_bytes : sizeof(char*), size;
    uint8_t* packed;

    *out = NULL;
    if (!cn_size_mul((uint64_t)array->count, item, &size)) return CN_NO_MEMORY(SIZE_MAX);
    for (int64_t i = 0; i < array->count; i++) {
        if (fixed && strings[i].size > item)
            return CN_FAIL(BAD_ARGUMENT, "%s: string %lld of attribute '%s' is longer than %llu bytes", writer_name(w),
                           (long long)i, name, (unsigned long long)item);
        if (!fixed && strings[i].size > 0 && memchr(strings[i].data, '\0', strings[i].size))
            return CN_FAIL(BAD_ARGUMENT, "%s: string %lld of attribute '%s' holds a NUL", writer_name(w), (long long)i, name);
    }
    packed = cn_alloc_zero(1, (size_t)size);
    if (!packed) return CN_NO_MEMORY(size);
    for (int64_t i = 0; i < array->count; i++) {
        const char* text = strings[i].data ? strings[i].data : "";
        if (fixed && strings[i].size > 0) memcpy(packed + (uint64_t)i * item, text, strings[i].size);
        else if (!fixed) memcpy(packed + (uint64_t)i * item, &text, sizeof text);
    }
    *out = packed;
    return CORNU_OK;
}

static cornu_status make_attribute(cn_h5_writer* w, const char* path, const char* name, const cn_h5_array* array,
                                   const void* data) {
    cornu_status st = CORNU_OK;
    bool text = array->dtype == CORNU_STRING;
    hid_t object = H5Oopen(w->file, path[0] ? path : "/", H5P_DEFAULT);
    hid_t type = text ? string_type(array) : number_type(array->dtype, array->big_endian);
    hid_t memory = text ? string_type(array) : number_type(array->dtype, host_is_big());
    hid_t space = make_space(array->ndim, array->dims, array->empty_space);
    hid_t attribute = -1;

    if (object >= 0 && type >= 0 && memory >= 0 && space >= 0)
        attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || (array->count > 0 && !array->empty_space && H5Awrite(attribute, memory, data) < 0))
        st = h5_failure(w, path, "cannot be given an attribute");
    if (attribute >= 0) (void)H5Aclose(attribute);
    close_space(space);
    close_type(memory);
    close_type(type);
    if (object >= 0) (void)H5Oclose(object);
    return st;
}

cornu_status cn_h5_writer_attribute(cn_h5_writer* w, const char* path, const char* name, const cn_h5_array* array,
                                    const void* data) {
    bool text = array->dtype == CORNU_STRING, fixed = text && array->string_kind == CN_H5_FIXED;
    uint64_t item = fixed ? array->element_bytes : text ? 16 : cornu_dtype_size(array->dtype), size;
    cornu_status st;
    void* packed = NULL;
    int64_t count;
    quiet q;

    CN_TRY(check_open(w, path));
    if (item == 0 || (text && array->string_kind == CN_H5_NO_STRING) || array->ndim < 0 || array->ndim > CORNU_MAX_DIMS ||
        (!array->empty_space && (!cn_dims_count(array->dims, array->ndim, &count) || count != array->count)))
        return CN_FAIL(BAD_ARGUMENT, "%s: type or shape of attribute '%s' of '%s' is invalid", writer_name(w), name, path);
    if (!cn_size_mul((uint64_t)array->count, item, &size) || size > CN_H5_WRITER_ATTRIBUTE_BYTES)
        return CN_FAIL(UNSUPPORTED, "%s: attribute '%s' of '%s' is larger than HDF5 allows (%d bytes)", writer_name(w),
                       name, path, CN_H5_WRITER_ATTRIBUTE_BYTES);
    if (text && !array->empty_space) CN_TRY(pack_strings(w, name, array, data, &packed));
    enter(&q);
    st = make_attribute(w, path, name, array, packed ? packed : data);
    leave(&q);
    cn_free(packed);
    return st;
}
