/* Attributes: messages in the object header, or, of objects that have many, in a fractal heap.
 *
 *   version 1: version, reserved, sizes of name, type, space 2 each; the three, each padded to 8; data
 *   version 2: version, flags (1: type shared, 2: space shared), the same without padding
 *   version 3: one byte more after the sizes, the character set of the name */
#include <stdlib.h>

#include "archive/hdf5_read.h"

typedef struct list {
    cn_h5_object* object;
    cn_h5_attribute** end;
    size_t count;
} list;

static cornu_status read_data(cn_h5_reader* r, cn_h5_attribute* attribute, const cn_h5_type* type, cn_h5_cursor* c) {
    cn_h5_array* array = &attribute->array;
    const uint8_t* bytes;
    uint64_t size;
    void* copy;

    if (!cn_size_mul((uint64_t)array->count, array->element_bytes, &size) || size > CN_LIMIT_HDF5_ATTRIBUTE_BYTES)
        return CN_FAIL(BAD_FILE, "attribute '%.200s': %" PRId64 " elements of %" PRIu64 " bytes are too large",
                       attribute->name, array->count, array->element_bytes);
    if (array->dtype == CORNU_STRING)
        return cn_h5_decode_strings(r, array, type->padding, *c, r->arena, &attribute->strings);
    bytes = cn_h5_bytes(c, size);
    if (!bytes) return CN_FAIL(BAD_FILE, "attribute '%.200s': %" PRIu64 " bytes are not there", attribute->name, size);
    if (type->unsupported) return CORNU_OK;
    copy = cn_arena_alloc(r->arena, (size_t)size);
    if (!copy) return CN_NO_MEMORY(size);
    memcpy(copy, bytes, (size_t)size);
    cn_h5_to_host(array, copy, (uint64_t)array->count);
    attribute->data = copy;
    return CORNU_OK;
}

static cornu_status read_attribute(cn_h5_reader* r, list* attributes, cn_h5_cursor c) {
    cn_h5_attribute* attribute = cn_arena_alloc(r->arena, sizeof *attribute);
    unsigned version = cn_h5_u8(&c), flags = cn_h5_u8(&c);
    uint64_t sizes[3];
    cn_h5_cursor parts[3];
    const char* name;
    cn_h5_type type;

    if (!attribute) return CN_NO_MEMORY(sizeof *attribute);
    if (version < 1 || version > 3) return CN_FAIL(BAD_FILE, "attribute message of version %u", version);
    for (int i = 0; i < 3; i++) sizes[i] = cn_h5_u16(&c);
    if (version == 3) cn_h5_skip(&c, 1);
    for (int i = 0; i < 3; i++) {
        parts[i] = cn_h5_part(&c, sizes[i]);
        if (version == 1) cn_h5_skip(&c, (8 - sizes[i] % 8) % 8);
    }
    name = (const char*)parts[0].data;
    if (c.bad || sizes[0] == 0 || !memchr(name, 0, sizes[0]))
        return CN_FAIL(BAD_FILE, "an attribute message is cut off, or its name does not end");
    attribute->name = cn_arena_strdup(r->arena, name);
    if (!attribute->name) return CN_NO_MEMORY(sizes[0]);
    if (version > 1 && (flags & 2))
        return CN_FAIL(UNSUPPORTED, "attribute '%.200s': a shared dataspace is refused", name);
    CN_TRY(cn_h5_read_type(r, &parts[1], version > 1 && (flags & 1), &type));
    CN_TRY(cn_h5_parse_space(&parts[2], &attribute->array));
    cn_h5_array_set_type(&attribute->array, &type);
    CN_TRY(read_data(r, attribute, &type, &c));
    if (type.unsupported) attribute->array.dtype = (cornu_dtype)0;
    *attributes->end = attribute;
    attributes->end = &attribute->next;
    attributes->count++;
    return CORNU_OK;
}

typedef struct dense_record {
    uint64_t order;
    cn_h5_cursor id;
} dense_record;

static int by_order(const void* a, const void* b) {
    const dense_record* x = a;
    const dense_record* y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* Records of the tree: heap id 8, flags 1, creation order 4, hash 4. */
static cornu_status read_dense(cn_h5_reader* r, list* attributes, uint64_t heap_address, uint64_t tree) {
    cornu_status st = CORNU_OK;
    cn_h5_records records = {{0}, 17, 0};
    cn_h5_fractal heap = {0};
    dense_record* sorted;
    cn_h5_cursor c;

    CN_STEP(cn_h5_fractal_open(r, heap_address, &heap));
    CN_STEP(cn_h5_read_records(r, tree, 8, &records));
    sorted = cn_arena_array(&r->scratch, (size_t)records.count, sizeof *sorted);
    CN_STEP(sorted ? CORNU_OK : CN_NO_MEMORY(records.count * sizeof *sorted));
    c = (cn_h5_cursor){(const uint8_t*)records.bytes.data, records.bytes.size, 0, 8, 8, false};
    for (uint64_t i = 0; i < records.count; i++) {
        sorted[i].id = cn_h5_part(&c, 8);
        if (cn_h5_u8(&c) & CN_H5_FLAG_SHARED) CN_STEP(CN_FAIL(UNSUPPORTED, "a shared attribute is refused"));
        sorted[i].order = cn_h5_u32(&c);
        cn_h5_skip(&c, 4);
    }
    if (records.count > 1) qsort(sorted, (size_t)records.count, sizeof *sorted, by_order);
    for (uint64_t i = 0; i < records.count; i++) {
        cn_h5_cursor message;
        CN_STEP(cn_h5_fractal_get(r, &heap, &sorted[i].id, &message));
        CN_STEP(read_attribute(r, attributes, message));
    }
done:
    cn_buf_deinit(&records.bytes);
    cn_h5_fractal_deinit(&heap);
    return st;
}

static cornu_status read_attribute_info(cn_h5_reader* r, list* attributes, cn_h5_cursor body) {
    unsigned version = cn_h5_u8(&body), flags = cn_h5_u8(&body);
    uint64_t heap, tree;

    if (flags & 1) cn_h5_skip(&body, 2);
    heap = cn_h5_address(&body);
    tree = cn_h5_address(&body);
    if (body.bad || version != 0)
        return CN_FAIL(BAD_FILE, "an attribute info message (version %u) is cut off", version);
    return heap == CN_H5_UNDEFINED ? CORNU_OK : read_dense(r, attributes, heap, tree);
}

static int compare_names(const void* a, const void* b) {
    const char* const* x = a;
    const char* const* y = b;
    return strcmp(*x, *y);
}

static cornu_status check_names(cn_h5_reader* r, const list* attributes) {
    const char** names;
    size_t i = 0;

    if (attributes->count < 2) return CORNU_OK;
    names = cn_arena_array(&r->scratch, attributes->count, sizeof *names);
    if (!names) return CN_NO_MEMORY(attributes->count * sizeof *names);
    for (const cn_h5_attribute* a = attributes->object->node.attributes; a; a = a->next) names[i++] = a->name;
    qsort((void*)names, attributes->count, sizeof *names, compare_names);
    for (i = 1; i < attributes->count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return CN_FAIL(BAD_FILE, "two attributes are named '%.200s'", names[i]);
    return CORNU_OK;
}

cornu_status cn_h5_read_attributes(cn_h5_reader* r, cn_h5_object* object, cn_h5_message* messages) {
    list attributes = {object, &object->node.attributes, 0};

    for (cn_h5_message* message = messages; message; message = message->next) {
        if (message->type == CN_H5_MSG_ATTRIBUTE) CN_TRY(read_attribute(r, &attributes, message->body));
        if (message->type == CN_H5_MSG_ATTRIBUTE_INFO) CN_TRY(read_attribute_info(r, &attributes, message->body));
    }
    return check_names(r, &attributes);
}
