/* Links of a group, in the three forms that HDF5 has had:
 *
 *   symbol table message -> B-tree -> "SNOD" nodes of entries {name offset, header, cache}, names in a local heap
 *   link messages in the object header
 *   link info message -> fractal heap of link messages, found by the records of a B-tree of type 5
 *
 * Only hard links are followed; every other kind leads out of what was checked, and refuses the file. */
#include <stdlib.h>

#include "archive/hdf5_read.h"

typedef struct builder {
    cn_h5_object* group;
    cn_h5_cursor names; /* local heap */
    cn_buf children;    /* cn_h5_node* */
} builder;

static cornu_status add_child(cn_h5_reader* r, builder* b, const uint8_t* name, uint64_t size, uint64_t address) {
    const cn_h5_node* parent = &b->group->node;
    const uint64_t before = strlen(parent->path) + (*parent->path != 0);
    cn_h5_object* child;
    cn_h5_node* node;
    char* path;

    if (size == 0 || size > CN_LIMIT_NAME_BYTES || memchr(name, 0, (size_t)size) || memchr(name, '/', (size_t)size))
        return CN_FAIL(BAD_FILE, "a link name of %" PRIu64 " bytes is empty, too long, or has a NUL or '/' in it",
                       size);
    if (b->group->depth >= CN_LIMIT_HDF5_DEPTH)
        return CN_FAIL(BAD_FILE, "more than %d groups inside each other", CN_LIMIT_HDF5_DEPTH);
    /* An object takes some 100 bytes of file, so that only a contrived file has paths this long. */
    r->path_bytes += before + size;
    if (r->path_bytes / 16 > r->size) return CN_FAIL(BAD_FILE, "the paths together are 16 times the file");
    child = cn_arena_alloc(r->arena, sizeof *child);
    path = cn_arena_alloc(r->arena, (size_t)(before + size + 1));
    if (!child || !path) return CN_NO_MEMORY(sizeof *child + before + size + 1);
    memcpy(path, parent->path, before > 0 ? (size_t)before - 1 : 0);
    if (before > 0) path[before - 1] = '/';
    memcpy(path + before, name, (size_t)size);
    node = &child->node;
    node->path = path;
    node->name = path + before;
    node->parent = &b->group->node;
    child->address = address;
    child->depth = b->group->depth + 1;
    cn_buf_add(&b->children, &node, sizeof node);
    return cn_buf_check(&b->children);
}

/* ---- old groups ---- */

static cornu_status read_symbol(cn_h5_reader* r, builder* b, cn_h5_cursor* c) {
    uint64_t offset = cn_h5_address(c);
    uint64_t address = cn_h5_address(c);
    uint32_t cache = cn_h5_u32(c);
    const uint8_t* end;
    uint64_t left;

    cn_h5_skip(c, 20);
    if (cache > 1) return CN_FAIL(UNSUPPORTED, "a soft link (kind %" PRIu32 ") is refused", cache);
    if (offset >= b->names.size) return CN_FAIL(BAD_FILE, "a link name at %" PRIu64 " lies outside its heap", offset);
    left = b->names.size - offset;
    if (left > CN_LIMIT_NAME_BYTES + 1) left = CN_LIMIT_NAME_BYTES + 1;
    end = memchr(b->names.data + offset, 0, (size_t)left);
    if (!end) return CN_FAIL(BAD_FILE, "a link name at %" PRIu64 " of its heap does not end", offset);
    return add_child(r, b, b->names.data + offset, (uint64_t)(end - (b->names.data + offset)), address);
}

static cornu_status read_symbols(cn_h5_reader* r, void* user, cn_h5_cursor key, uint64_t address) {
    builder* b = user;
    cn_h5_cursor c;
    unsigned count;

    (void)key;
    CN_TRY(cn_h5_take(r, address, 8, "symbol node", &c));
    if (!cn_h5_expect(&c, "SNOD") || cn_h5_u8(&c) != 1)
        return CN_FAIL(BAD_FILE, "symbol node at %" PRIu64 ": no signature SNOD of version 1", address);
    cn_h5_skip(&c, 1);
    count = cn_h5_u16(&c);
    CN_TRY(cn_h5_take(r, address + 8, count * (24 + 2 * (uint64_t)r->offset_bytes), "symbol node", &c));
    for (unsigned i = 0; i < count; i++) CN_TRY(read_symbol(r, b, &c));
    return CORNU_OK;
}

static cornu_status read_symbol_table(cn_h5_reader* r, builder* b, cn_h5_cursor body) {
    uint64_t tree = cn_h5_address(&body);
    uint64_t heap = cn_h5_address(&body);

    if (body.bad) return CN_FAIL(BAD_FILE, "a symbol table message is cut off");
    CN_TRY(cn_h5_read_local_heap(r, heap, &b->names));
    return cn_h5_walk_tree(r, tree, 0, r->length_bytes, read_symbols, b);
}

/* ---- new groups ---- */

static cornu_status read_link(cn_h5_reader* r, builder* b, cn_h5_cursor c) {
    unsigned version = cn_h5_u8(&c), flags = cn_h5_u8(&c);
    unsigned kind = flags & 8 ? cn_h5_u8(&c) : 0;
    const uint8_t* name;
    uint64_t size, address;

    if (flags & 4) cn_h5_skip(&c, 8);
    if (flags & 16) cn_h5_skip(&c, 1);
    size = cn_h5_uint(&c, 1u << (flags & 3));
    name = cn_h5_bytes(&c, size);
    if (c.bad || version != 1) return CN_FAIL(BAD_FILE, "a link message (version %u) is cut off", version);
    if (kind != 0)
        return CN_FAIL(UNSUPPORTED, "%s link '%.*s' is refused",
                       kind == 1 ? "soft" : (kind == 64 ? "external" : "user-defined"), size < 200 ? (int)size : 200,
                       (const char*)name);
    address = cn_h5_address(&c);
    if (c.bad) return CN_FAIL(BAD_FILE, "a link message is cut off");
    return add_child(r, b, name, size, address);
}

static int by_name(const void* a, const void* b) {
    const cn_h5_node* const* x = a;
    const cn_h5_node* const* y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void sort_children(cn_h5_node** children, size_t count) {
    if (count > 1) qsort(children, count, sizeof *children, by_name);
}

/* The records' order is that of a hash; names are sorted as HDF5 lists them. */
static cornu_status read_dense(cn_h5_reader* r, builder* b, uint64_t heap_address, uint64_t tree) {
    cornu_status st = CORNU_OK;
    cn_h5_records records = {{0}, 11, 0};
    cn_h5_fractal heap = {0};
    cn_h5_cursor c;

    CN_STEP(cn_h5_fractal_open(r, heap_address, &heap));
    CN_STEP(cn_h5_read_records(r, tree, 5, &records));
    c = (cn_h5_cursor){(const uint8_t*)records.bytes.data, records.bytes.size, 0, 8, 8, false};
    for (uint64_t i = 0; i < records.count; i++) {
        cn_h5_cursor record = cn_h5_part(&c, records.record_bytes), link;
        cn_h5_skip(&record, 4);
        CN_STEP(cn_h5_fractal_get(r, &heap, &record, &link));
        CN_STEP(read_link(r, b, link));
    }
    sort_children((cn_h5_node**)(void*)b->children.data, b->children.size / sizeof(cn_h5_node*));
done:
    cn_buf_deinit(&records.bytes);
    cn_h5_fractal_deinit(&heap);
    return st;
}

static cornu_status read_link_info(cn_h5_reader* r, builder* b, cn_h5_cursor body) {
    unsigned version = cn_h5_u8(&body), flags = cn_h5_u8(&body);
    uint64_t heap, tree;

    if (flags & 1) cn_h5_skip(&body, 8);
    heap = cn_h5_address(&body);
    tree = cn_h5_address(&body);
    if (body.bad || version != 0) return CN_FAIL(BAD_FILE, "a link info message (version %u) is cut off", version);
    return heap == CN_H5_UNDEFINED ? CORNU_OK : read_dense(r, b, heap, tree);
}

static cornu_status finish(cn_h5_reader* r, builder* b) {
    cn_h5_object* group = b->group;
    const size_t count = b->children.size / sizeof(cn_h5_node*);

    group->node.children = cn_arena_array(r->arena, count, sizeof *group->node.children);
    group->by_name = cn_arena_array(r->arena, count, sizeof *group->by_name);
    if (!group->node.children || !group->by_name) return CN_NO_MEMORY(2 * count * sizeof *group->by_name);
    group->node.child_count = count;
    if (count == 0) return CORNU_OK;
    memcpy(group->node.children, b->children.data, b->children.size);
    memcpy(group->by_name, b->children.data, b->children.size);
    sort_children(group->by_name, count);
    for (size_t i = 1; i < count; i++)
        if (strcmp(group->by_name[i - 1]->name, group->by_name[i]->name) == 0)
            return CN_FAIL(BAD_FILE, "two links are named '%.200s'", group->by_name[i]->name);
    return CORNU_OK;
}

cornu_status cn_h5_read_group(cn_h5_reader* r, cn_h5_object* group, cn_h5_message* messages) {
    cornu_status st = CORNU_OK;
    builder b = {0};

    b.group = group;
    for (cn_h5_message* message = messages; message; message = message->next) {
        if (message->type == CN_H5_MSG_SYMBOL_TABLE) CN_STEP(read_symbol_table(r, &b, message->body));
        if (message->type == CN_H5_MSG_LINK) CN_STEP(read_link(r, &b, message->body));
        if (message->type == CN_H5_MSG_LINK_INFO) CN_STEP(read_link_info(r, &b, message->body));
    }
    CN_STEP(finish(r, &b));
done:
    cn_buf_deinit(&b.children);
    return st;
}
