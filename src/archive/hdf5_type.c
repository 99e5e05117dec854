/* Datatypes and dataspaces.
 *
 *   datatype: class 4 bits, version 4 bits, flags 3 bytes, size 4, properties of the class
 *
 * Of a compound only h5py's complex numbers {r, i} are read, of an enum h5py's bool {FALSE, TRUE} and else its
 * integers, of variable length only strings. Other types are unsupported, which is no damage: their bytes are not
 * parsed. */
#include "archive/hdf5_read.h"

enum { FIXED_POINT, FLOATING, TIME, STRING, BITFIELD, OPAQUE, COMPOUND, REFERENCE, ENUM, VLEN, ARRAY, COMPLEX };

typedef struct type_head {
    unsigned kind;
    unsigned version;
    uint32_t flags;
    uint64_t size;
} type_head;

static cornu_status parse_head(cn_h5_cursor* c, type_head* out) {
    unsigned first = cn_h5_u8(c);

    out->kind = first & 15;
    out->version = first >> 4;
    out->flags = (uint32_t)cn_h5_uint(c, 3);
    out->size = cn_h5_u32(c);
    if (c->bad) return CN_FAIL(BAD_FILE, "a datatype is cut off");
    if (out->version < 1 || out->version > 5) return CN_FAIL(BAD_FILE, "datatype of version %u", out->version);
    if (out->kind > COMPLEX) return CN_FAIL(BAD_FILE, "datatype of class %u", out->kind);
    if (out->size == 0) return CN_FAIL(BAD_FILE, "datatype of 0 bytes");
    return CORNU_OK;
}

static cornu_status parse_fixed_point(cn_h5_cursor* c, const type_head* head, cn_h5_type* out) {
    static const cornu_dtype dtypes[2][4] = {{CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64},
                                             {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64}};
    unsigned shift = cn_h5_u16(c);
    unsigned precision = cn_h5_u16(c);
    int row = (head->flags & 8) != 0;

    if (c->bad) return CN_FAIL(BAD_FILE, "an integer datatype is cut off");
    out->big_endian = head->flags & 1;
    for (int i = 0; i < 4; i++)
        if (head->size == 1u << i) out->dtype = dtypes[row][i];
    if (shift != 0 || precision != head->size * 8) out->dtype = (cornu_dtype)0;
    if (out->dtype == 0) out->unsupported = "an integer type of unusual size";
    return CORNU_OK;
}

static cornu_status parse_floating(cn_h5_cursor* c, const type_head* head, cn_h5_type* out) {
    /* size, sign, exponent at, exponent bits, mantissa bits, bias */
    static const struct {
        cornu_dtype dtype;
        unsigned size, sign, at, exponent, mantissa;
        uint32_t bias;
    } rows[] = {{CORNU_FLOAT16, 2, 15, 10, 5, 10, 15},
                {CORNU_BFLOAT16, 2, 15, 7, 8, 7, 127},
                {CORNU_FLOAT32, 4, 31, 23, 8, 23, 127},
                {CORNU_FLOAT64, 8, 63, 52, 11, 52, 1023}};
    unsigned shift = cn_h5_u16(c), precision = cn_h5_u16(c);
    unsigned at = cn_h5_u8(c), exponent = cn_h5_u8(c), mantissa_at = cn_h5_u8(c), mantissa = cn_h5_u8(c);
    uint32_t bias = cn_h5_u32(c);
    unsigned sign = head->flags >> 8 & 0xFF;

    if (c->bad) return CN_FAIL(BAD_FILE, "a floating-point datatype is cut off");
    out->big_endian = head->flags & 1;
    out->may_be_bfloat = head->size == 2 && !(head->flags & 0x40);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (head->size == rows[i].size && sign == rows[i].sign && at == rows[i].at && exponent == rows[i].exponent &&
            mantissa == rows[i].mantissa && bias == rows[i].bias)
            out->dtype = rows[i].dtype;
    /* Bit 6 is the VAX order; 2 in bits 4 and 5 is the implied leading one. */
    if (shift != 0 || precision != head->size * 8 || mantissa_at != 0 || (head->flags & 0x40) ||
        (head->flags >> 4 & 3) != 2)
        out->dtype = (cornu_dtype)0;
    if (out->dtype == 0) out->unsupported = "a floating-point type that is not IEEE's";
    return CORNU_OK;
}

/* A type that contains no other. */
static cornu_status parse_atom(cn_h5_cursor* c, const type_head* head, cn_h5_type* out) {
    if (head->kind == FIXED_POINT) return parse_fixed_point(c, head, out);
    if (head->kind == FLOATING) return parse_floating(c, head, out);
    out->unsupported = "a type inside a type that is no number";
    return CORNU_OK;
}

static cornu_status parse_inner(cn_h5_cursor* c, cn_h5_type* out) {
    type_head head;

    *out = (cn_h5_type){0};
    CN_TRY(parse_head(c, &head));
    out->size = head.size;
    return parse_atom(c, &head, out);
}

/* The name of a compound's or enum's member; before version 3 it is padded to 8 bytes. NULL when cut off. */
static const char* member_name(cn_h5_cursor* c, unsigned version) {
    const char* name = (const char*)c->data + c->at;
    const uint8_t* end = c->bad || c->at == c->size ? NULL : memchr(name, 0, (size_t)(c->size - c->at));
    uint64_t size;

    if (!end) {
        c->bad = true;
        return NULL;
    }
    size = (uint64_t)(end - (const uint8_t*)name) + 1;
    if (version < 3) size = (size + 7) / 8 * 8;
    cn_h5_skip(c, size);
    return c->bad ? NULL : name;
}

static unsigned bytes_for(uint64_t value) {
    unsigned bytes = 1;
    while (bytes < 8 && value >> (8 * bytes)) bytes++;
    return bytes;
}

static cornu_status set_complex(const cn_h5_type* part, uint64_t size, cn_h5_type* out) {
    if (part->dtype == CORNU_FLOAT32 && size == 8) out->dtype = CORNU_COMPLEX64;
    if (part->dtype == CORNU_FLOAT64 && size == 16) out->dtype = CORNU_COMPLEX128;
    out->big_endian = part->big_endian;
    if (out->dtype == 0) out->unsupported = "a complex type of unusual parts";
    return CORNU_OK;
}

static cornu_status parse_compound(cn_h5_cursor* c, const type_head* head, cn_h5_type* out) {
    static const char* const names[2] = {"r", "i"};
    cn_h5_type part[2];

    out->unsupported = "a compound type";
    if ((head->flags & 0xFFFF) != 2) return CORNU_OK;
    for (int i = 0; i < 2; i++) {
        const char* name = member_name(c, head->version);
        uint64_t offset = cn_h5_uint(c, head->version < 3 ? 4 : bytes_for(head->size));
        if (!name) return CN_FAIL(BAD_FILE, "a compound datatype is cut off");
        if (head->version == 1) cn_h5_skip(c, 28); /* dims of a member */
        CN_TRY(parse_inner(c, &part[i]));
        if (strcmp(name, names[i]) != 0 || part[i].dtype == 0 || offset != part[0].size * (uint64_t)i) return CORNU_OK;
    }
    if (part[0].dtype != part[1].dtype || part[0].big_endian != part[1].big_endian) return CORNU_OK;
    out->unsupported = NULL;
    return set_complex(&part[0], head->size, out);
}

static cornu_status parse_enum(cn_h5_cursor* c, const type_head* head, cn_h5_type* out) {
    unsigned count = head->flags & 0xFFFF;
    const char* names[2] = {"", ""};
    const uint8_t* values;
    uint64_t size = out->size;

    CN_TRY(parse_inner(c, out));
    if (out->size != size)
        return CN_FAIL(BAD_FILE, "an enum of %" PRIu64 " bytes over a type of %" PRIu64, size, out->size);
    if (count != 2 || (out->dtype != CORNU_INT8 && out->dtype != CORNU_UINT8)) return CORNU_OK;
    for (int i = 0; i < 2; i++) names[i] = member_name(c, head->version);
    values = cn_h5_bytes(c, 2);
    if (!values) return CN_FAIL(BAD_FILE, "an enum datatype is cut off");
    if (strcmp(names[0], "FALSE") == 0 && strcmp(names[1], "TRUE") == 0 && values[0] == 0 && values[1] == 1)
        out->dtype = CORNU_BOOL;
    return CORNU_OK;
}

static void set_string(const type_head* head, uint32_t padding, uint32_t charset, cn_h5_type* out) {
    out->dtype = CORNU_STRING;
    out->string_kind = head->kind == VLEN ? CN_H5_VLEN : CN_H5_FIXED;
    out->padding = (cn_h5_padding)(padding & 3);
    out->utf8 = charset == 1;
}

static cornu_status parse_vlen(cn_h5_cursor* c, const type_head* head, cn_h5_type* out) {
    if ((head->flags & 15) != 1) {
        out->unsupported = "a variable-length type that is no string";
        return CORNU_OK;
    }
    if (head->size != 8 + (uint64_t)c->offset_bytes)
        return CN_FAIL(BAD_FILE, "a variable-length string type of %" PRIu64 " bytes", head->size);
    set_string(head, head->flags >> 4 & 15, head->flags >> 8 & 15, out);
    return CORNU_OK;
}

cornu_status cn_h5_parse_type(cn_h5_cursor* c, cn_h5_type* out) {
    static const char* const unsupported[] = {
        [TIME] = "a time type",           [BITFIELD] = "a bit field type", [OPAQUE] = "an opaque type",
        [REFERENCE] = "a reference type", [ARRAY] = "an array type",       [COMPLEX] = "a complex type"};
    type_head head;
    cn_h5_type part;

    *out = (cn_h5_type){0};
    CN_TRY(parse_head(c, &head));
    out->size = head.size;
    switch (head.kind) {
        case FIXED_POINT:
        case FLOATING: return parse_atom(c, &head, out);
        case STRING: set_string(&head, head.flags & 15, head.flags >> 4 & 15, out); return CORNU_OK;
        case COMPOUND: return parse_compound(c, &head, out);
        case ENUM: return parse_enum(c, &head, out);
        case VLEN: return parse_vlen(c, &head, out);
        case COMPLEX: CN_TRY(parse_inner(c, &part)); return set_complex(&part, head.size, out);
        default: break;
    }
    out->unsupported = unsupported[head.kind];
    out->may_be_bfloat = head.kind == OPAQUE && head.size == 2;
    return CORNU_OK;
}

cornu_status cn_h5_parse_space(cn_h5_cursor* c, cn_h5_array* out) {
    unsigned version = cn_h5_u8(c), rank = cn_h5_u8(c);
    unsigned kind;

    (void)cn_h5_u8(c); /* flags: largest dims follow, which reading does not need */
    kind = version == 2 ? cn_h5_u8(c) : rank > 0;
    if (version == 1) cn_h5_skip(c, 5);
    if (c->bad || version < 1 || version > 2 || kind > 2)
        return CN_FAIL(BAD_FILE, "dataspace of version %u, type %u", version, kind);
    if (rank > CN_LIMIT_HDF5_RANK)
        return CN_FAIL(BAD_FILE, "%u dimensions; at most %d are read", rank, CN_LIMIT_HDF5_RANK);
    if (kind != 1 && rank != 0) return CN_FAIL(BAD_FILE, "a dataspace without dimensions has rank %u", rank);
    out->ndim = (int)rank;
    out->empty_space = kind == 2;
    for (unsigned i = 0; i < rank; i++) {
        uint64_t dim = cn_h5_length(c);
        if (dim > INT64_MAX) return CN_FAIL(BAD_FILE, "dimension %u is %" PRIu64, i, dim);
        out->dims[i] = (int64_t)dim;
    }
    if (c->bad) return CN_FAIL(BAD_FILE, "a dataspace of rank %u is cut off", rank);
    if (!cn_dims_count(out->dims, out->ndim, &out->count))
        return CN_FAIL(BAD_FILE, "a dataspace of more than 2^63 elements");
    if (out->empty_space) out->count = 0;
    return CORNU_OK;
}

void cn_h5_array_set_type(cn_h5_array* array, const cn_h5_type* type) {
    array->dtype = type->dtype;
    array->string_kind = type->string_kind;
    array->utf8 = type->utf8;
    array->element_bytes = type->size;
    array->big_endian = type->big_endian;
}

static void swap_words(uint8_t* p, uint64_t words, size_t width) {
    for (uint64_t i = 0; i < words; i++, p += width)
        for (size_t j = 0; j < width / 2; j++) {
            uint8_t byte = p[j];
            p[j] = p[width - 1 - j];
            p[width - 1 - j] = byte;
        }
}

void cn_h5_to_host(const cn_h5_array* array, void* data, uint64_t count) {
    const uint16_t probe = 1;
    const bool host_big = *(const uint8_t*)&probe == 0;
    const bool is_complex = array->dtype == CORNU_COMPLEX64 || array->dtype == CORNU_COMPLEX128;
    uint8_t* bytes = data;

    if (array->dtype == CORNU_BOOL)
        for (uint64_t i = 0; i < count; i++) bytes[i] = bytes[i] != 0;
    if (array->big_endian == host_big || array->element_bytes == 1) return;
    if (is_complex) swap_words(data, count * 2, (size_t)array->element_bytes / 2);
    else swap_words(data, count, (size_t)array->element_bytes);
}
