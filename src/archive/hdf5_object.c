/* Object headers: a list of messages in one block and its continuations.
 *
 *   version 1: version 1, reserved, messages 2, references 4, size 4, 4 padding; messages: type 2, size 2, flags 1,
 *              3 reserved, body
 *   version 2: "OHDR", version 2, flags, [4 times 4], [2 counts 2], size 1..8; messages: type 1, size 2, flags 1,
 *              [creation order 2], body; checksum. Continuations begin with "OCHK". */
#include "archive/hdf5_read.h"

typedef struct block {
    uint64_t address; /* of a continuation */
    uint64_t size;
    struct block* next;
} block;

typedef struct header {
    bool version2;
    bool has_order; /* messages carry a creation order */
    cn_h5_message* first;
    cn_h5_message** end;
    block* pending; /* continuations still to be read */
} header;

static cornu_status add_continuation(cn_h5_reader* r, header* h, cn_h5_cursor body) {
    block* next = cn_arena_alloc(&r->scratch, sizeof *next);

    if (!next) return CN_NO_MEMORY(sizeof *next);
    next->address = cn_h5_address(&body);
    next->size = cn_h5_length(&body);
    if (body.bad) return CN_FAIL(BAD_FILE, "object header: a continuation message is cut off");
    next->next = h->pending;
    h->pending = next;
    return CORNU_OK;
}

/* Reads the messages between c.at and c.size; address is that of c.data. */
static cornu_status read_messages(cn_h5_reader* r, header* h, cn_h5_cursor c, uint64_t address) {
    const uint64_t prefix = h->version2 ? (h->has_order ? 6 : 4) : 8;

    while (c.size - c.at >= prefix) {
        cn_h5_message* message = cn_arena_alloc(&r->scratch, sizeof *message);
        uint64_t size;
        if (!message) return CN_NO_MEMORY(sizeof *message);
        message->type = h->version2 ? cn_h5_u8(&c) : cn_h5_u16(&c);
        size = cn_h5_u16(&c);
        message->flags = cn_h5_u8(&c);
        cn_h5_skip(&c, prefix - (h->version2 ? 4 : 5));
        message->address = address + c.at;
        message->body = cn_h5_part(&c, size);
        if (c.bad)
            return CN_FAIL(BAD_FILE, "object header: message of type %u, %" PRIu64 " bytes, ends outside of it",
                           message->type, size);
        if (message->type == CN_H5_MSG_CONTINUATION) {
            CN_TRY(add_continuation(r, h, message->body));
        } else if (message->type != CN_H5_MSG_NIL) {
            if (message->type > CN_H5_MSG_LAST && (message->flags & CN_H5_FLAG_MUST_KNOW))
                return CN_FAIL(UNSUPPORTED, "object header: message of type %u is unknown", message->type);
            *h->end = message;
            h->end = &message->next;
        }
    }
    return CORNU_OK;
}

static cornu_status read_version1(cn_h5_reader* r, header* h, uint64_t address) {
    cn_h5_cursor c;
    uint64_t size;

    CN_TRY(cn_h5_take(r, address, 16, "object header", &c));
    cn_h5_skip(&c, 8);
    size = cn_h5_u32(&c);
    CN_TRY(cn_h5_take(r, address + 16, size, "object header", &c));
    return read_messages(r, h, c, address + 16);
}

static cornu_status read_version2(cn_h5_reader* r, header* h, uint64_t address) {
    cn_h5_cursor c;
    uint64_t prefix = r->size - address, size;
    unsigned flags;

    if (prefix > 34) prefix = 34; /* the longest there is */
    CN_TRY(cn_h5_fetch(r, &r->scratch, address, prefix, "object header", &c));
    cn_h5_skip(&c, 4);
    if (cn_h5_u8(&c) != 2) return CN_FAIL(BAD_FILE, "object header at %" PRIu64 ": unknown version", address);
    flags = cn_h5_u8(&c);
    if (flags & 0x20) cn_h5_skip(&c, 16);
    if (flags & 0x10) cn_h5_skip(&c, 4);
    size = cn_h5_uint(&c, 1u << (flags & 3));
    prefix = c.at;
    if (c.bad || !cn_size_add(size, prefix + 4, &size))
        return CN_FAIL(BAD_FILE, "object header at %" PRIu64 " is cut off", address);
    CN_TRY(cn_h5_take(r, address, size, "object header", &c));
    CN_TRY(cn_h5_verify(&c, "object header"));
    h->version2 = true;
    h->has_order = (flags & 4) != 0;
    c.size -= 4;
    cn_h5_skip(&c, prefix);
    return read_messages(r, h, c, address);
}

static cornu_status read_continuation(cn_h5_reader* r, header* h, const block* at) {
    cn_h5_cursor c;

    CN_TRY(cn_h5_take(r, at->address, at->size, "object header continuation", &c));
    if (h->version2) {
        CN_TRY(cn_h5_verify(&c, "object header continuation"));
        c.size -= 4;
        if (!cn_h5_expect(&c, "OCHK"))
            return CN_FAIL(BAD_FILE, "object header continuation at %" PRIu64 ": no signature OCHK", at->address);
    }
    return read_messages(r, h, c, at->address);
}

cornu_status cn_h5_read_header(cn_h5_reader* r, uint64_t address, cn_h5_message** out) {
    header h = {0};
    cn_h5_cursor c;

    h.end = &h.first;
    CN_TRY(cn_h5_fetch(r, &r->scratch, address, 4, "object header", &c));
    if (memcmp(c.data, "OHDR", 4) == 0) {
        CN_TRY(read_version2(r, &h, address));
    } else if (c.data[0] == 1) {
        CN_TRY(read_version1(r, &h, address));
    } else {
        return CN_FAIL(BAD_FILE, "object header at %" PRIu64 ": neither OHDR nor version 1", address);
    }
    while (h.pending) {
        const block* next = h.pending;
        h.pending = next->next;
        CN_TRY(read_continuation(r, &h, next));
    }
    *out = h.first;
    return CORNU_OK;
}

cn_h5_message* cn_h5_find_message(cn_h5_message* list, uint16_t type) {
    while (list && list->type != type) list = list->next;
    return list;
}

/* ---- what an object is ---- */

/* The address of the committed datatype that a shared message points to. */
static cornu_status shared_address(cn_h5_cursor* body, uint64_t* out) {
    unsigned version = cn_h5_u8(body);
    unsigned kind = cn_h5_u8(body);

    if (version == 1) cn_h5_skip(body, 6);
    if (version < 1 || version > 3 || (version == 3 && kind != 2))
        return CN_FAIL(UNSUPPORTED,
                       "a message shared by a table (version %u, kind %u); only committed datatypes are "
                       "read",
                       version, kind);
    *out = cn_h5_address(body);
    if (body->bad) return CN_FAIL(BAD_FILE, "a shared message is cut off");
    return CORNU_OK;
}

static cornu_status add_committed(cn_h5_reader* r, uint64_t address, cn_h5_message* messages, cn_h5_type* out) {
    cn_h5_message* message = cn_h5_find_message(messages, CN_H5_MSG_DATATYPE);
    cn_h5_type* kept = cn_arena_alloc(&r->heaps, sizeof *kept);

    if (!kept) return CN_NO_MEMORY(sizeof *kept);
    if (!message || (message->flags & CN_H5_FLAG_SHARED))
        return CN_FAIL(BAD_FILE, "object at %" PRIu64 " is no committed datatype", address);
    CN_TRY(cn_h5_parse_type(&message->body, kept));
    *out = *kept;
    return cn_h5_map_add(&r->types, address, kept);
}

cornu_status cn_h5_read_type(cn_h5_reader* r, cn_h5_cursor* body, bool shared, cn_h5_type* out) {
    cn_h5_message* messages;
    uint64_t address = 0;
    const cn_h5_type* known;

    if (!shared) return cn_h5_parse_type(body, out);
    CN_TRY(shared_address(body, &address));
    known = cn_h5_map_get(&r->types, address);
    if (known) {
        *out = *known;
        return CORNU_OK;
    }
    if (cn_h5_map_get(&r->objects, address))
        return CN_FAIL(BAD_FILE, "object at %" PRIu64 " is used as a datatype but is none", address);
    CN_TRY(cn_h5_read_header(r, address, &messages));
    return add_committed(r, address, messages, out);
}

/* What an object consists of; each message may come once, other than links and attributes. */
static cornu_status check_messages(const cn_h5_message* list, uint32_t* seen) {
    const uint32_t repeatable = 1u << CN_H5_MSG_LINK | 1u << CN_H5_MSG_ATTRIBUTE;

    *seen = 0;
    for (; list; list = list->next) {
        uint32_t bit;
        if (list->type > CN_H5_MSG_LAST) continue;
        bit = 1u << list->type;
        if (list->type == CN_H5_MSG_EXTERNAL) return CN_FAIL(UNSUPPORTED, "data in external files is refused");
        if ((list->flags & CN_H5_FLAG_SHARED) && list->type != CN_H5_MSG_DATATYPE)
            return CN_FAIL(UNSUPPORTED, "a shared message of type %u is refused", list->type);
        if ((*seen & bit & ~repeatable) && list->type <= CN_H5_MSG_FILTERS)
            return CN_FAIL(BAD_FILE, "two messages of type %u in one object header", list->type);
        *seen |= bit;
    }
    return CORNU_OK;
}

static cornu_status read_dataset(cn_h5_reader* r, cn_h5_object* object, cn_h5_message* messages) {
    cn_h5_message* message = cn_h5_find_message(messages, CN_H5_MSG_DATATYPE);
    cn_h5_array* array = &object->node.array;
    cn_h5_type type;

    object->node.is_dataset = true;
    CN_TRY(cn_h5_read_type(r, &message->body, (message->flags & CN_H5_FLAG_SHARED) != 0, &type));
    CN_TRY(cn_h5_parse_space(&cn_h5_find_message(messages, CN_H5_MSG_DATASPACE)->body, array));
    if (type.may_be_bfloat) {
        const char* name = cn_h5_attribute_text(&object->node, "dtype");
        if (name && strcmp(name, "bfloat16") == 0) {
            type.dtype = CORNU_BFLOAT16;
            type.unsupported = NULL;
        }
    }
    cn_h5_array_set_type(array, &type);
    object->padding = type.padding;
    object->node.unsupported = type.unsupported;
    CN_TRY(cn_h5_read_layout(r, object, messages));
    if (object->node.unsupported) array->dtype = (cornu_dtype)0;
    return CORNU_OK;
}

cornu_status cn_h5_read_object(cn_h5_reader* r, cn_h5_object* object) {
    const uint32_t group =
        1u << CN_H5_MSG_SYMBOL_TABLE | 1u << CN_H5_MSG_LINK_INFO | 1u << CN_H5_MSG_LINK | 1u << CN_H5_MSG_GROUP_INFO;
    const uint32_t dataset = 1u << CN_H5_MSG_DATASPACE | 1u << CN_H5_MSG_DATATYPE | 1u << CN_H5_MSG_LAYOUT;
    cn_h5_message* messages;
    cn_h5_type type;
    uint32_t seen;

    if (cn_h5_map_get(&r->types, object->address)) {
        object->skip = true;
        return CORNU_OK;
    }
    if (cn_h5_map_get(&r->objects, object->address))
        return CN_FAIL(BAD_FILE, "the object at %" PRIu64 " has two names", object->address);
    CN_TRY(cn_h5_map_add(&r->objects, object->address, object));
    CN_TRY(cn_h5_read_header(r, object->address, &messages));
    CN_TRY(check_messages(messages, &seen));
    if ((seen & group) && (seen & dataset)) return CN_FAIL(BAD_FILE, "is both a group and a dataset");
    if (!(seen & group) && (seen & dataset) == 1u << CN_H5_MSG_DATATYPE) {
        object->skip = true;
        return add_committed(r, object->address, messages, &type);
    }
    if (!(seen & group) && (seen & dataset) != dataset)
        return CN_FAIL(BAD_FILE, "is neither a group nor a dataset: datatype, dataspace or layout is missing");
    CN_TRY(cn_h5_read_attributes(r, object, messages));
    return seen & group ? cn_h5_read_group(r, object, messages) : read_dataset(r, object, messages);
}
