/* Opening an HDF5 file: superblock, the walk over all objects, look-ups.
 *
 *   superblock 0, 1: signature, 4 versions, widths O and L, reserved, B-tree K 2 each, flags 4, [chunk K 2, reserved
 * 2], base O, free space O, end O, driver O, root entry {name O, header O, ...} superblock 2, 3: signature, version,
 * widths O and L, flags, base O, extension O, end O, root header O, checksum
 *
 * The walk keeps a stack of objects still to be read, so that no depth in the file is a depth of calls. */
#include <stdlib.h>

#include "archive/hdf5_read.h"

struct cn_h5 {
    cn_source* source;
    cn_arena arena; /* all nodes */
    uint64_t base;
    uint64_t size;
    unsigned offset_bytes;
    unsigned length_bytes;
    cn_h5_object* root;
};

static const char signature[] = "\211HDF\r\n\032\n";
#define SIGNATURE_SIZE 8

/* Where the superblock is, 0, 512, 1024, 2048, ...; CORNU_BAD_FILE when there is none. */
static cornu_status find_superblock(cn_source* source, uint64_t* out) {
    const uint64_t size = cn_source_size(source);
    uint8_t bytes[SIGNATURE_SIZE];

    for (uint64_t at = 0; cn_range_fits(at, SIGNATURE_SIZE, size); at = at ? at * 2 : 512) {
        CN_TRY(cn_source_read(source, at, bytes, SIGNATURE_SIZE));
        if (memcmp(bytes, signature, SIGNATURE_SIZE) == 0) {
            *out = at;
            return CORNU_OK;
        }
    }
    return CN_FAIL(BAD_FILE, "no HDF5 signature");
}

bool cn_h5_sniff(cn_source* source) {
    uint64_t at;
    return find_superblock(source, &at) == CORNU_OK;
}

/* ---- superblock ---- */

typedef struct superblock {
    uint64_t stored_base;
    uint64_t end;
    uint64_t extension;
    uint64_t driver;
    uint64_t root;
} superblock;

static cornu_status parse_superblock(cn_h5_reader* r, superblock* sb) {
    uint64_t head = r->size < 16 ? r->size : 16, size;
    unsigned version;
    cn_h5_cursor c;

    CN_TRY(cn_h5_fetch(r, &r->scratch, 0, head, "superblock", &c));
    cn_h5_skip(&c, SIGNATURE_SIZE);
    version = cn_h5_u8(&c);
    if (version > 3) return CN_FAIL(BAD_FILE, "superblock of version %u; 0 to 3 are read", version);
    if (version < 2) cn_h5_skip(&c, 4);
    r->offset_bytes = cn_h5_u8(&c);
    r->length_bytes = cn_h5_u8(&c);
    if ((r->offset_bytes != 2 && r->offset_bytes != 4 && r->offset_bytes != 8) ||
        (r->length_bytes != 2 && r->length_bytes != 4 && r->length_bytes != 8))
        return CN_FAIL(BAD_FILE, "superblock: addresses of %u and lengths of %u bytes", r->offset_bytes,
                       r->length_bytes);
    size = version < 2 ? (version ? 52u : 48u) + 6 * r->offset_bytes : 16 + 4 * r->offset_bytes;
    CN_TRY(cn_h5_take(r, 0, size, "superblock", &c));
    *sb = (superblock){0, 0, CN_H5_UNDEFINED, CN_H5_UNDEFINED, 0};
    if (version < 2) {
        cn_h5_skip(&c, version ? 28 : 24);
        sb->stored_base = cn_h5_address(&c);
        (void)cn_h5_address(&c); /* free space */
        sb->end = cn_h5_address(&c);
        sb->driver = cn_h5_address(&c);
        (void)cn_h5_address(&c); /* name of the root */
    } else {
        CN_TRY(cn_h5_verify(&c, "superblock"));
        cn_h5_skip(&c, 12);
        sb->stored_base = cn_h5_address(&c);
        sb->extension = cn_h5_address(&c);
        sb->end = cn_h5_address(&c);
    }
    sb->root = cn_h5_address(&c);
    return CORNU_OK;
}

/* Finds the superblock and sets base, size and widths. As HDF5 does, a file that was moved behind a user block counts
 * from where its superblock is. */
static cornu_status read_superblock(cn_h5_reader* r, uint64_t* root) {
    superblock sb = {0};
    cn_h5_message* messages;

    CN_TRY(find_superblock(r->source, &r->base));
    r->size = cn_source_size(r->source) - r->base;
    CN_TRY(parse_superblock(r, &sb));
    if (sb.end == CN_H5_UNDEFINED || sb.end < sb.stored_base || sb.end - sb.stored_base > r->size)
        return CN_FAIL(BAD_FILE, "is cut off: its superblock says %" PRIu64 " bytes, there are %" PRIu64,
                       sb.end - sb.stored_base, r->size);
    r->size = sb.end - sb.stored_base;
    if (r->claimed > r->size) return CN_FAIL(BAD_FILE, "superblock: the file ends inside of it");
    if (sb.driver != CN_H5_UNDEFINED) return CN_FAIL(UNSUPPORTED, "a file of several parts (driver information)");
    *root = sb.root;
    if (sb.extension == CN_H5_UNDEFINED) return CORNU_OK;
    CN_TRY(cn_h5_read_header(r, sb.extension, &messages));
    if (cn_h5_find_message(messages, CN_H5_MSG_SHARED_TABLE))
        return CN_FAIL(UNSUPPORTED, "tables of shared messages are refused");
    return CORNU_OK;
}

/* ---- the walk ---- */

static cornu_status read_next(cn_h5_reader* r, cn_buf* stack) {
    cn_h5_object* object;
    cornu_status st;

    stack->size -= sizeof object;
    memcpy(&object, stack->data + stack->size, sizeof object);
    r->path = object->node.path;
    st = cn_h5_read_object(r, object);
    cn_arena_deinit(&r->scratch);
    if (st != CORNU_OK) return cn_fail_within(st, "object '/%.500s'", object->node.path);
    for (size_t i = object->node.child_count; i > 0; i--) {
        cn_h5_node* child = object->node.children[i - 1];
        cn_buf_add(stack, &child, sizeof child); /* the node is the object's first member */
    }
    return cn_buf_check(stack);
}

static size_t drop_skipped(cn_h5_node** nodes, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!((const cn_h5_object*)(const void*)nodes[i])->skip) nodes[kept++] = nodes[i];
    return kept;
}

/* Takes committed datatypes out of the tree, which were only seen to be such after their group was made. */
static cornu_status drop_types(cn_h5_object* root) {
    cornu_status st = CORNU_OK;
    cn_buf stack = {0};
    cn_h5_object* object = root;

    do {
        (void)drop_skipped(object->by_name, object->node.child_count);
        object->node.child_count = drop_skipped(object->node.children, object->node.child_count);
        for (size_t i = 0; i < object->node.child_count; i++)
            cn_buf_add(&stack, &object->node.children[i], sizeof object);
        CN_STEP(cn_buf_check(&stack));
        if (stack.size == 0) break;
        stack.size -= sizeof object;
        memcpy(&object, stack.data + stack.size, sizeof object);
    } while (true);
done:
    cn_buf_deinit(&stack);
    return st;
}

static cornu_status walk(cn_h5_reader* r, cn_h5_object* root) {
    cornu_status st = CORNU_OK;
    cn_buf stack = {0};

    cn_buf_add(&stack, &root, sizeof root);
    CN_STEP(cn_buf_check(&stack));
    while (stack.size > 0) CN_STEP(read_next(r, &stack));
    if (root->node.is_dataset || root->skip) CN_STEP(CN_FAIL(BAD_FILE, "the root is no group"));
    CN_STEP(cn_h5_check_claims(r));
    if (r->types.count > 0) CN_STEP(drop_types(root));
done:
    cn_buf_deinit(&stack);
    return st;
}

static cornu_status read_tree(cn_h5* h5) {
    cornu_status st = CORNU_OK;
    cn_h5_reader r;
    uint64_t root = 0;

    cn_h5_reader_init(&r, h5->source, &h5->arena);
    h5->root = cn_arena_alloc(&h5->arena, sizeof *h5->root);
    if (!h5->root) CN_STEP(CN_NO_MEMORY(sizeof *h5->root));
    CN_STEP(read_superblock(&r, &root));
    cn_arena_deinit(&r.scratch);
    h5->root->node.name = "";
    h5->root->node.path = "";
    h5->root->address = root;
    CN_STEP(walk(&r, h5->root));
    h5->base = r.base;
    h5->size = r.size;
    h5->offset_bytes = r.offset_bytes;
    h5->length_bytes = r.length_bytes;
done:
    cn_h5_reader_deinit(&r);
    return st;
}

cornu_status cn_h5_open(cn_source* source, cn_h5** out) {
    cornu_status st;
    cn_h5* h5 = cn_alloc_zero(1, sizeof *h5);

    *out = NULL;
    if (!h5) return CN_NO_MEMORY(sizeof *h5);
    h5->source = source;
    st = read_tree(h5);
    if (st == CORNU_OK) {
        *out = h5;
        return CORNU_OK;
    }
    cn_h5_close(h5);
    return cn_fail_within(st, "%.1000s", cn_source_name(source));
}

void cn_h5_close(cn_h5* h5) {
    if (!h5) return;
    cn_arena_deinit(&h5->arena);
    cn_free(h5);
}

/* ---- look-ups ---- */

const cn_h5_node* cn_h5_root(const cn_h5* h5) { return h5 ? &h5->root->node : NULL; }

/* The child whose name is the first size bytes of name. */
static const cn_h5_node* find_child(const cn_h5_node* group, const char* name, size_t size) {
    const cn_h5_object* object = (const cn_h5_object*)(const void*)group;
    size_t low = 0, high = group->child_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cn_h5_node* child = object->by_name[middle];
        int order = strncmp(child->name, name, size);
        if (order == 0) order = child->name[size] != 0;
        if (order == 0) return child;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

const cn_h5_node* cn_h5_child(const cn_h5_node* group, const char* name) {
    return find_child(group, name, strlen(name));
}

const cn_h5_node* cn_h5_find(const cn_h5* h5, const char* path) {
    const cn_h5_node* node = &h5->root->node;

    while (node && *path) {
        size_t size = strcspn(path, "/");
        node = find_child(node, path, size);
        path += size;
        if (*path == '/' && *++path == 0) return NULL;
    }
    return node;
}

const cn_h5_attribute* cn_h5_attribute_of(const cn_h5_node* node, const char* name) {
    const cn_h5_attribute* attribute = node->attributes;
    while (attribute && strcmp(attribute->name, name) != 0) attribute = attribute->next;
    return attribute;
}

const char* cn_h5_attribute_text(const cn_h5_node* node, const char* name) {
    const cn_h5_attribute* attribute = cn_h5_attribute_of(node, name);
    if (!attribute || !attribute->strings || attribute->array.ndim != 0 || attribute->array.count != 1) return NULL;
    return attribute->strings[0].data;
}

/* ---- elements ---- */

static cornu_status check_readable(const cn_h5* h5, const cn_h5_node* d, bool strings) {
    const char* name = cn_source_name(h5->source);

    if (!d->is_dataset) return CN_FAIL(BAD_ARGUMENT, "%.1000s: '/%.500s' is no dataset", name, d->path);
    if (d->unsupported)
        return CN_FAIL(UNSUPPORTED, "%.1000s: dataset '/%.500s' has %s, which is not read", name, d->path,
                       d->unsupported);
    if (strings != (d->array.dtype == CORNU_STRING))
        return CN_FAIL(BAD_ARGUMENT, "%.1000s: dataset '/%.500s' holds %s", name, d->path,
                       strings ? "no strings" : "strings");
    return CORNU_OK;
}

cornu_status cn_h5_read(const cn_h5* h5, const cn_h5_node* dataset, void* dst) {
    cornu_status st;

    CN_TRY(check_readable(h5, dataset, false));
    st = cn_h5_read_raw(h5->source, h5->base, (const cn_h5_object*)(const void*)dataset, dst);
    if (st != CORNU_OK)
        return cn_fail_within(st, "%.1000s: dataset '/%.500s'", cn_source_name(h5->source), dataset->path);
    cn_h5_to_host(&dataset->array, dst, (uint64_t)dataset->array.count);
    return CORNU_OK;
}

cornu_status cn_h5_read_strings(const cn_h5* h5, const cn_h5_node* dataset, cn_arena* arena, const cornu_string** out) {
    const cn_h5_object* object = (const cn_h5_object*)(const void*)dataset;
    cornu_status st = CORNU_OK;
    cn_h5_reader r;
    cn_h5_cursor elements;
    void* raw = NULL;

    *out = NULL;
    CN_TRY(check_readable(h5, dataset, true));
    /* A string takes 16 bytes of memory and more, however few of its bytes are stored. */
    if ((uint64_t)dataset->array.count > h5->size)
        return CN_FAIL(BAD_FILE, "%.1000s: dataset '/%.500s' has more strings than the file has bytes",
                       cn_source_name(h5->source), dataset->path);
    cn_h5_reader_init(&r, h5->source, NULL);
    r.base = h5->base;
    r.size = h5->size;
    r.offset_bytes = h5->offset_bytes;
    r.length_bytes = h5->length_bytes;
    raw = cn_alloc((size_t)dataset->size);
    if (!raw) CN_STEP(CN_NO_MEMORY(dataset->size));
    CN_STEP(cn_h5_read_raw(h5->source, h5->base, object, raw));
    elements = (cn_h5_cursor){raw, dataset->size, 0, r.offset_bytes, r.length_bytes, false};
    CN_STEP(cn_h5_decode_strings(&r, &dataset->array, object->padding, elements, arena, out));
done:
    cn_free(raw);
    cn_h5_reader_deinit(&r);
    if (st != CORNU_OK)
        return cn_fail_within(st, "%.1000s: dataset '/%.500s'", cn_source_name(h5->source), dataset->path);
    return CORNU_OK;
}
