/* HDF5: a bounded reader of what Keras and h5py write, and a writer by libhdf5.
 *
 * Reading walks the whole file once and makes a tree; dataset bytes stay where they are. Every offset and size is
 * checked against the file, cycles, overlaps of dataset storage, duplicate names and soft, external or user-defined links are refused, and
 * memory is taken only for bytes that exist. */
#ifndef CN_ARCHIVE_HDF5_H
#define CN_ARCHIVE_HDF5_H

#include "archive/source.h"
#include "base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_h5_node cn_h5_node;
typedef struct cn_h5_attribute cn_h5_attribute;

typedef enum cn_h5_string_kind {
    CN_H5_NO_STRING = 0,
    CN_H5_FIXED = 1, /* fixed length, NUL- or space-padded */
    CN_H5_VLEN = 2
} cn_h5_string_kind;

/* An array of elements: of a dataset or an attribute. */
typedef struct cn_h5_array {
    cornu_dtype dtype;             /* CORNU_STRING for text; CORNU_BFLOAT16 for Keras's opaque(2) with its attribute */
    cn_h5_string_kind string_kind; /* for strings */
    bool utf8;                     /* for strings: the file says UTF-8, else ASCII */
    uint64_t element_bytes;        /* in the file; for fixed strings their length */
    bool big_endian;               /* elements must be swapped to be used */
    bool empty_space;              /* a null dataspace (no elements, no rank) */
    int ndim;
    int64_t dims[CORNU_MAX_DIMS];
    int64_t count; /* elements */
} cn_h5_array;

struct cn_h5_attribute {
    const char* name;
    cn_h5_array array;
    const void* data;            /* count elements, host byte order; NULL for strings and where dtype is 0 (unsupported) */
    const cornu_string* strings; /* count strings, for strings: data of each NUL-terminated, padding removed */
    cn_h5_attribute* next;       /* in file order */
};

typedef enum cn_h5_storage {
    CN_H5_NOT_STORED = 0,  /* no bytes were ever written: the fill value, zeros by default */
    CN_H5_CONTIGUOUS = 1,  /* size bytes at offset of the file */
    CN_H5_COMPACT = 2,     /* the same, inside the object header */
    CN_H5_CHUNKED = 3      /* read by cn_h5_read only */
} cn_h5_storage;

struct cn_h5_node {
    const char* name;      /* last part of the path; "" for the root */
    const char* path;      /* without a leading '/': "layers/dense/vars/0"; "" for the root */
    cn_h5_node* parent;    /* NULL for the root */
    bool is_dataset;       /* else a group */
    cn_h5_node** children; /* of a group, child_count of them, in file order (name order for old groups) */
    size_t child_count;
    cn_h5_attribute* attributes; /* list, NULL for none */
    cn_h5_array array;           /* of a dataset; dtype 0 when it is unsupported */
    const char* unsupported;     /* of a dataset: why its elements cannot be read; NULL when they can */
    cn_h5_storage storage;       /* of a dataset */
    uint64_t offset;             /* in the source, for contiguous and compact storage */
    uint64_t size;               /* bytes there, or that would be there: array.count * array.element_bytes */
};

typedef struct cn_h5 cn_h5;

/* Whether the bytes begin as an HDF5 file does (at 0, 512, 1024, ...). */
bool cn_h5_sniff(cn_source* source);
/* Reads the tree; source is borrowed until close. CORNU_BAD_FILE: damaged or not HDF5; CORNU_UNSUPPORTED: a link or a
 * storage that leads elsewhere (soft, external, user-defined links; virtual, external storage; shared message tables),
 * with the path of the object. A dataset or attribute of a type or filter that the reader lacks stays in the tree. */
cornu_status cn_h5_open(cn_source* source, cn_h5** out);
void cn_h5_close(cn_h5* h5);
/* NULL for NULL. */
const cn_h5_node* cn_h5_root(const cn_h5* h5);
/* The object at a path without leading '/', NULL when there is none; "" is the root. */
const cn_h5_node* cn_h5_find(const cn_h5* h5, const char* path);
const cn_h5_node* cn_h5_child(const cn_h5_node* group, const char* name);
/* The attribute of that name, NULL when there is none. */
const cn_h5_attribute* cn_h5_attribute_of(const cn_h5_node* node, const char* name);
/* The text of a scalar string attribute, NULL when there is none such. */
const char* cn_h5_attribute_text(const cn_h5_node* node, const char* name);
/* Copies a dataset's elements to dst in host byte order: array.count * cornu_dtype_size(array.dtype) bytes. Not for
 * strings. CORNU_UNSUPPORTED: the node says why. CORNU_BAD_FILE: a filter's output does not fit. Thread-safe. */
cornu_status cn_h5_read(const cn_h5* h5, const cn_h5_node* dataset, void* dst);
/* The strings of a string dataset (Keras never writes one in weights; legacy files may), allocated in arena. */
cornu_status cn_h5_read_strings(const cn_h5* h5, const cn_h5_node* dataset, cn_arena* arena, const cornu_string** out);

/* ---- writing, by libhdf5 (calls are serialised by a lock of ours; libhdf5's error printing is never touched outside it) ---- */

typedef struct cn_h5_writer cn_h5_writer;

/* Most bytes of an attribute's elements: an object header message of old files cannot hold more. */
#define CN_H5_WRITER_ATTRIBUTE_BYTES 64512

/* Gives the elements of a dataset in pieces: copies size bytes at offset of its data (host byte order) to dst. Called in order,
 * before cn_h5_writer_dataset returns, and without the lock; its failure is returned. */
typedef cornu_status (*cn_h5_fill)(void* user, uint64_t offset, void* dst, uint64_t size);

/* Starts a file in memory (path NULL) or at a path, which must not exist. Superblock 0, old groups, contiguous data, as h5py writes
 * by default. The elements are written by us, at the places that libhdf5 gives. One thread at a time on one writer. */
cornu_status cn_h5_writer_open(const char* path, cn_h5_writer** out);
/* Makes a group and its parents; an existing one is fine. */
cornu_status cn_h5_writer_group(cn_h5_writer* writer, const char* path);
/* Makes a dataset and its parent groups. bfloat16 is written as h5py does: opaque(2) with attribute dtype = "bfloat16". */
cornu_status cn_h5_writer_dataset(cn_h5_writer* writer, const char* path, cornu_dtype dtype, int ndim,
                                  const int64_t* dims, cn_h5_fill fill, void* user);
/* An attribute of the object at path; array says type, shape and kind of string, as reading it back would. data: elements in host order, or
 * NUL-terminated cornu_strings. CORNU_BAD_ARGUMENT: it does not fit its type; CORNU_UNSUPPORTED: above 63 KiB; CORNU_IO_ERROR: there already. */
cornu_status cn_h5_writer_attribute(cn_h5_writer* writer, const char* path, const char* name, const cn_h5_array* array,
                                    const void* data);
/* Ends the file (not synced). For one in memory *out (may be NULL for a path) takes over its bytes: cn_free. */
cornu_status cn_h5_writer_finish(cn_h5_writer* writer, void** out, uint64_t* out_size);
/* Frees the writer; a file that was not finished is removed. NULL is allowed. */
void cn_h5_writer_close(cn_h5_writer* writer);

#ifdef __cplusplus
}
#endif

#endif
