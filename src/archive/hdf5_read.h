/* What the files of the HDF5 reader share. Addresses count from the file's base, as HDF5 stores them.
 *
 * Every structure that is parsed is first claimed: [address, address + size). The claims may not add up to more than
 * the file, so that any walk ends, and at the end no two may overlap. */
#ifndef CN_ARCHIVE_HDF5_READ_H
#define CN_ARCHIVE_HDF5_READ_H

#include <inttypes.h>
#include <string.h>

#include "archive/hdf5.h"
#include "archive/limits.h"
#include "base/buf.h"
#include "base/size.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_H5_UNDEFINED UINT64_MAX /* the address of what is not there */
#define CN_H5_FILTERS 8            /* most filters of a pipeline */

/* Numbers of object header messages. */
enum {
    CN_H5_MSG_NIL = 0x00,
    CN_H5_MSG_DATASPACE = 0x01,
    CN_H5_MSG_LINK_INFO = 0x02,
    CN_H5_MSG_DATATYPE = 0x03,
    CN_H5_MSG_OLD_FILL = 0x04,
    CN_H5_MSG_FILL = 0x05,
    CN_H5_MSG_LINK = 0x06,
    CN_H5_MSG_EXTERNAL = 0x07,
    CN_H5_MSG_LAYOUT = 0x08,
    CN_H5_MSG_GROUP_INFO = 0x0A,
    CN_H5_MSG_FILTERS = 0x0B,
    CN_H5_MSG_ATTRIBUTE = 0x0C,
    CN_H5_MSG_SHARED_TABLE = 0x0F,
    CN_H5_MSG_CONTINUATION = 0x10,
    CN_H5_MSG_SYMBOL_TABLE = 0x11,
    CN_H5_MSG_ATTRIBUTE_INFO = 0x15,
    CN_H5_MSG_LAST = 0x18,
    CN_H5_FLAG_SHARED = 0x02,
    CN_H5_FLAG_MUST_KNOW = 0x80
};

/* ---- cursor: its failure sticks ---- */

typedef struct cn_h5_cursor {
    const uint8_t* data;
    uint64_t size;
    uint64_t at;
    unsigned offset_bytes; /* width of addresses in this file: 2, 4 or 8 */
    unsigned length_bytes;
    bool bad; /* something was read beyond the end: everything since was 0 */
} cn_h5_cursor;

static inline const uint8_t* cn_h5_bytes(cn_h5_cursor* c, uint64_t size) {
    if (c->bad || size > c->size - c->at) {
        c->bad = true;
        return NULL;
    }
    c->at += size;
    return c->data + (c->at - size);
}

static inline void cn_h5_skip(cn_h5_cursor* c, uint64_t size) { (void)cn_h5_bytes(c, size); }

/* A little-endian number of width bytes, at most 8. */
static inline uint64_t cn_h5_uint(cn_h5_cursor* c, unsigned width) {
    const uint8_t* p = cn_h5_bytes(c, width);
    uint64_t value = 0;
    for (unsigned i = 0; p && i < width; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static inline uint8_t cn_h5_u8(cn_h5_cursor* c) { return (uint8_t)cn_h5_uint(c, 1); }
static inline uint16_t cn_h5_u16(cn_h5_cursor* c) { return (uint16_t)cn_h5_uint(c, 2); }
static inline uint32_t cn_h5_u32(cn_h5_cursor* c) { return (uint32_t)cn_h5_uint(c, 4); }
static inline uint64_t cn_h5_length(cn_h5_cursor* c) { return cn_h5_uint(c, c->length_bytes); }
/* CN_H5_UNDEFINED when all bits are set. */
static inline uint64_t cn_h5_address(cn_h5_cursor* c) {
    uint64_t value = cn_h5_uint(c, c->offset_bytes);
    return c->offset_bytes < 8 && value >> (8 * c->offset_bytes) == 0 &&
                   value == ((uint64_t)1 << (8 * c->offset_bytes)) - 1
               ? CN_H5_UNDEFINED
               : value;
}
/* Whether the next bytes are the text, which is passed over. */
static inline bool cn_h5_expect(cn_h5_cursor* c, const char* text) {
    size_t size = strlen(text);
    const uint8_t* p = cn_h5_bytes(c, size);
    return p && memcmp(p, text, size) == 0;
}
/* The next size bytes as a cursor of their own. */
static inline cn_h5_cursor cn_h5_part(cn_h5_cursor* c, uint64_t size) {
    cn_h5_cursor part = *c;
    part.data = cn_h5_bytes(c, size);
    part.size = part.data ? size : 0;
    part.at = 0;
    part.bad = !part.data;
    return part;
}

/* ---- reader: the state of one walk ---- */

/* uint64_t -> pointer; keys are addresses, never CN_H5_UNDEFINED. Zero-initialise. */
typedef struct cn_h5_map {
    uint64_t* keys;
    void** values;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
} cn_h5_map;

void* cn_h5_map_get(const cn_h5_map* map, uint64_t key);
cornu_status cn_h5_map_add(cn_h5_map* map, uint64_t key, void* value);
void cn_h5_map_deinit(cn_h5_map* map);

typedef struct cn_h5_claim {
    uint64_t address;
    uint64_t size;
    const char* what; /* "object header", or the path of a dataset */
} cn_h5_claim;

typedef struct cn_h5_reader {
    cn_source* source;
    uint64_t base; /* of the file in the source: size of the user block */
    uint64_t size; /* bytes of the file after base */
    unsigned offset_bytes;
    unsigned length_bytes;
    cn_arena* arena;  /* of the result */
    cn_arena scratch; /* dies after each object */
    cn_arena heaps;   /* global heap collections, die with the reader */
    cn_h5_map collections;
    cn_h5_map objects; /* object headers that were reached */
    cn_h5_map types;   /* committed datatypes: address -> cn_h5_type */
    cn_buf claims;     /* cn_h5_claim */
    uint64_t claimed;  /* bytes of all claims */
    uint64_t path_bytes;
    uint64_t string_bytes; /* of variable-length strings */
    uint64_t unstored;     /* bytes that datasets declare beyond what is stored */
    const char* path;      /* of the object being read */
} cn_h5_reader;

void cn_h5_reader_init(cn_h5_reader* r, cn_source* source, cn_arena* arena);
void cn_h5_reader_deinit(cn_h5_reader* r);

/* Copies size bytes at address to arena. what names the structure in messages. */
cornu_status cn_h5_fetch(cn_h5_reader* r, cn_arena* arena, uint64_t address, uint64_t size, const char* what,
                         cn_h5_cursor* out);
/* what must live as long as the reader. */
cornu_status cn_h5_claim_bytes(cn_h5_reader* r, uint64_t address, uint64_t size, const char* what);
/* Both. */
cornu_status cn_h5_take(cn_h5_reader* r, uint64_t address, uint64_t size, const char* what, cn_h5_cursor* out);
/* CORNU_BAD_FILE when two claims overlap. Sorts them. */
cornu_status cn_h5_check_claims(cn_h5_reader* r);
/* Bob Jenkins's lookup3, as HDF5 uses it. */
uint32_t cn_h5_checksum(const uint8_t* data, size_t size);
/* Compares the checksum in the last four bytes of a structure. */
cornu_status cn_h5_verify(const cn_h5_cursor* c, const char* what);

/* ---- datatypes, dataspaces ---- */

typedef enum cn_h5_padding { CN_H5_NUL_ENDED = 0, CN_H5_NUL_PADDED = 1, CN_H5_SPACE_PADDED = 2 } cn_h5_padding;

typedef struct cn_h5_type {
    cornu_dtype dtype;       /* 0: unsupported */
    const char* unsupported; /* why; static */
    cn_h5_string_kind string_kind;
    cn_h5_padding padding;
    bool utf8;
    bool big_endian;
    bool may_be_bfloat; /* two bytes, opaque or float: bfloat16 if an attribute says so */
    uint64_t size;      /* bytes of an element, never 0 */
} cn_h5_type;

cornu_status cn_h5_parse_type(cn_h5_cursor* c, cn_h5_type* out);
/* Sets empty_space, ndim, dims and count. */
cornu_status cn_h5_parse_space(cn_h5_cursor* c, cn_h5_array* out);
void cn_h5_array_set_type(cn_h5_array* array, const cn_h5_type* type);
/* count elements from file to host order, in place. */
void cn_h5_to_host(const cn_h5_array* array, void* data, uint64_t count);

/* ---- objects ---- */

typedef struct cn_h5_message {
    uint16_t type;
    uint8_t flags;
    cn_h5_cursor body;
    uint64_t address; /* of the body in the file */
    struct cn_h5_message* next;
} cn_h5_message;

typedef struct cn_h5_filter {
    uint16_t id;
    uint32_t value; /* element bytes of the shuffle filter */
} cn_h5_filter;

typedef struct cn_h5_chunk {
    uint64_t index; /* row-major number in the grid of chunks */
    uint64_t address;
    uint64_t size;        /* bytes stored */
    uint32_t filter_mask; /* bit i: filter i was skipped */
} cn_h5_chunk;

typedef struct cn_h5_object {
    cn_h5_node node; /* first: a node is cast to its object */
    uint64_t address;
    int depth;
    bool skip;                           /* a committed datatype: not part of the tree */
    cn_h5_node** by_name;                /* children sorted by name */
    cn_h5_padding padding;               /* of strings */
    const uint8_t* fill;                 /* one element in file order, NULL for zeros */
    uint64_t chunk_dims[CORNU_MAX_DIMS]; /* elements */
    uint64_t grid[CORNU_MAX_DIMS];       /* chunks along each dim */
    uint64_t chunk_total;                /* chunks of the whole grid */
    uint64_t chunk_bytes;                /* of a whole chunk, unfiltered */
    cn_h5_chunk* chunks;                 /* sorted by index */
    uint64_t chunk_count;
    cn_h5_filter filters[CN_H5_FILTERS];
    int filter_count;
} cn_h5_object;

/* The messages of an object header, continuation blocks included, in scratch memory. */
cornu_status cn_h5_read_header(cn_h5_reader* r, uint64_t address, cn_h5_message** out);
/* The message of that type, NULL for none. */
cn_h5_message* cn_h5_find_message(cn_h5_message* list, uint16_t type);
/* The datatype in body, or the committed one that it points to when shared. */
cornu_status cn_h5_read_type(cn_h5_reader* r, cn_h5_cursor* body, bool shared, cn_h5_type* out);
/* Fills node and, for groups, makes the children, whose own contents are not read yet. */
cornu_status cn_h5_read_object(cn_h5_reader* r, cn_h5_object* object);

/* Reads all links of a group and makes its children. */
cornu_status cn_h5_read_group(cn_h5_reader* r, cn_h5_object* group, cn_h5_message* messages);
cornu_status cn_h5_read_attributes(cn_h5_reader* r, cn_h5_object* object, cn_h5_message* messages);
/* Reads layout, fill value and filters of a dataset whose array is known. */
cornu_status cn_h5_read_layout(cn_h5_reader* r, cn_h5_object* dataset, cn_h5_message* messages);

/* size bytes of elements as they are in the file, filters undone. Thread-safe. */
cornu_status cn_h5_read_raw(cn_source* source, uint64_t base, const cn_h5_object* dataset, void* dst);

/* ---- trees and heaps ---- */

/* An entry of a leaf of a version 1 B-tree: its key and the address of its child. */
typedef cornu_status (*cn_h5_tree_entry)(cn_h5_reader* r, void* user, cn_h5_cursor key, uint64_t child);

/* type 0: groups, 1: chunks. */
cornu_status cn_h5_walk_tree(cn_h5_reader* r, uint64_t root, unsigned type, unsigned key_bytes, cn_h5_tree_entry entry,
                             void* user);
typedef struct cn_h5_records {
    cn_buf bytes;
    unsigned record_bytes;
    uint64_t count;
} cn_h5_records;

/* All records of a version 2 B-tree in no order, appended to out->bytes (deinit by the caller, also on failure). */
cornu_status cn_h5_read_records(cn_h5_reader* r, uint64_t root, unsigned type, cn_h5_records* out);

/* The data segment of a local heap. */
cornu_status cn_h5_read_local_heap(cn_h5_reader* r, uint64_t address, cn_h5_cursor* out);
/* The bytes of an object in a global heap collection; they live as long as the reader. */
cornu_status cn_h5_global_object(cn_h5_reader* r, uint64_t address, uint32_t index, cn_h5_cursor* out);
/* The string that an element of a variable-length string type points to, copied to arena. */
cornu_status cn_h5_vlen_string(cn_h5_reader* r, cn_h5_cursor* element, cn_arena* arena, cornu_string* out);
/* count strings of any kind from size bytes of elements. */
cornu_status cn_h5_decode_strings(cn_h5_reader* r, const cn_h5_array* array, cn_h5_padding padding,
                                  cn_h5_cursor elements, cn_arena* arena, const cornu_string** out);

typedef struct cn_h5_fractal_block {
    uint64_t offset; /* in the heap's own space */
    const uint8_t* data;
    uint64_t size;
    uint64_t address;
} cn_h5_fractal_block;

typedef struct cn_h5_fractal {
    unsigned id_bytes;
    unsigned offset_width; /* bytes of an offset in a heap id */
    unsigned length_width;
    bool checksums;       /* of direct blocks */
    uint64_t address;     /* of its header */
    uint64_t huge_tree;   /* addresses of huge objects */
    unsigned table_width; /* blocks of a row */
    unsigned heap_bits;   /* log2 of the heap's largest size */
    uint64_t start_block; /* bytes of a block of row 0, a power of two */
    uint64_t max_direct;  /* bytes of the largest direct block, a power of two */
    cn_buf blocks;        /* cn_h5_fractal_block in order of offset */
    cn_h5_records huge;   /* read at the first use */
    bool huge_read;
} cn_h5_fractal;

/* Reads all direct blocks to scratch memory. Deinit also after a failure. */
cornu_status cn_h5_fractal_open(cn_h5_reader* r, uint64_t address, cn_h5_fractal* out);
/* The object of a heap id, in scratch memory. */
cornu_status cn_h5_fractal_get(cn_h5_reader* r, cn_h5_fractal* heap, cn_h5_cursor* id, cn_h5_cursor* out);
void cn_h5_fractal_deinit(cn_h5_fractal* heap);

#ifdef __cplusplus
}
#endif

#endif
