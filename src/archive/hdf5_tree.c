/* B-trees, walked with a stack of our own.
 *
 *   version 1: "TREE", type, level, entries 2, left O, right O, then key, child O, key, child, ..., key
 *   version 2: "BTHD", version 0, type, node bytes 4, record bytes 2, depth 2, split, merge, root O, records 2,
 *              records of all L, checksum
 *              "BTLF", version, type, records, checksum
 *              "BTIN", version, type, records, then one pointer more than records: address O, records, [of all],
 * checksum
 *
 * A child's level is its parent's less one, so that no walk is deeper than the root says; claims end any cycle. */
#include "archive/hdf5_read.h"

typedef struct pending {
    uint64_t address;
    uint64_t records; /* version 2 */
    unsigned level;   /* 0: a leaf */
    bool any_level;   /* the root of version 1, which says its level itself */
} pending;

static void push(cn_buf* stack, pending item) { cn_buf_add(stack, &item, sizeof item); }

static bool pop(cn_buf* stack, pending* out) {
    if (stack->size < sizeof *out) return false;
    stack->size -= sizeof *out;
    memcpy(out, stack->data + stack->size, sizeof *out);
    return true;
}

typedef struct old_tree {
    unsigned type;
    unsigned key_bytes;
    cn_h5_tree_entry entry;
    void* user;
} old_tree;

static cornu_status visit_old_node(cn_h5_reader* r, const old_tree* tree, cn_buf* stack, pending at) {
    const uint64_t prefix = 8 + 2 * (uint64_t)r->offset_bytes, pair = tree->key_bytes + (uint64_t)r->offset_bytes;
    cn_h5_cursor c;
    unsigned level, count;

    CN_TRY(cn_h5_take(r, at.address, prefix, "B-tree node", &c));
    if (!cn_h5_expect(&c, "TREE") || cn_h5_u8(&c) != tree->type)
        return CN_FAIL(BAD_FILE, "B-tree node at %" PRIu64 ": no signature TREE of type %u", at.address, tree->type);
    level = cn_h5_u8(&c);
    count = cn_h5_u16(&c);
    if (!at.any_level && level != at.level)
        return CN_FAIL(BAD_FILE, "B-tree node at %" PRIu64 ": level %u where %u was due", at.address, level, at.level);
    CN_TRY(cn_h5_take(r, at.address + prefix, count * pair + (count ? tree->key_bytes : 0), "B-tree node", &c));
    /* Popped in key order: inner nodes push their children from the last to the first. */
    for (unsigned i = 0; i < count; i++) {
        unsigned which = level > 0 ? count - 1 - i : i;
        cn_h5_cursor key;
        uint64_t child;
        c.at = which * pair;
        key = cn_h5_part(&c, tree->key_bytes);
        child = cn_h5_address(&c);
        if (level > 0) push(stack, (pending){child, 0, level - 1, false});
        else CN_TRY(tree->entry(r, tree->user, key, child));
    }
    return cn_buf_check(stack);
}

cornu_status cn_h5_walk_tree(cn_h5_reader* r, uint64_t root, unsigned type, unsigned key_bytes, cn_h5_tree_entry entry,
                             void* user) {
    const old_tree tree = {type, key_bytes, entry, user};
    cornu_status st = CORNU_OK;
    cn_buf stack = {0};
    pending at;

    push(&stack, (pending){root, 0, 0, true});
    CN_STEP(cn_buf_check(&stack));
    while (pop(&stack, &at)) CN_STEP(visit_old_node(r, &tree, &stack, at));
done:
    cn_buf_deinit(&stack);
    return st;
}

/* ---- version 2 ---- */

#define MAX_DEPTH 16 /* far beyond what 2^64 records need at the smallest fan-out that HDF5 makes */

typedef struct new_tree {
    unsigned type;
    uint64_t node_bytes;
    unsigned record_bytes;
    unsigned depth;
    unsigned count_width;                /* bytes of a node's number of records */
    unsigned total_width[MAX_DEPTH + 1]; /* bytes of the number of records below a node of that level */
} new_tree;

static unsigned width_of(uint64_t limit) {
    unsigned bytes = 1;
    while (bytes < 8 && limit >> (8 * bytes)) bytes++;
    return bytes;
}

static cornu_status size_levels(const cn_h5_reader* r, new_tree* tree) {
    const uint64_t overhead = 10; /* signature, version, type, checksum */
    uint64_t most, total;

    if (tree->node_bytes < overhead + tree->record_bytes || tree->record_bytes == 0)
        return CN_FAIL(BAD_FILE, "B-tree nodes of %" PRIu64 " bytes hold no record of %u", tree->node_bytes,
                       tree->record_bytes);
    most = total = (tree->node_bytes - overhead) / tree->record_bytes;
    tree->count_width = width_of(most);
    for (unsigned level = 1; level <= tree->depth; level++) {
        uint64_t pointer = r->offset_bytes + tree->count_width + (uint64_t)tree->total_width[level - 1];
        if (tree->node_bytes < overhead + 2 * pointer + tree->record_bytes)
            return CN_FAIL(BAD_FILE, "B-tree nodes of %" PRIu64 " bytes hold no pointers", tree->node_bytes);
        most = (tree->node_bytes - overhead - pointer) / (tree->record_bytes + pointer);
        if (!cn_size_mul(most + 1, total, &total) || !cn_size_add(total, most, &total)) total = UINT64_MAX;
        tree->total_width[level] = width_of(total);
    }
    return CORNU_OK;
}

static cornu_status read_tree_header(cn_h5_reader* r, uint64_t address, new_tree* tree, pending* root) {
    cn_h5_cursor c;

    CN_TRY(cn_h5_take(r, address, 22 + (uint64_t)r->offset_bytes + r->length_bytes, "B-tree header", &c));
    CN_TRY(cn_h5_verify(&c, "B-tree header"));
    if (!cn_h5_expect(&c, "BTHD") || cn_h5_u8(&c) != 0 || cn_h5_u8(&c) != tree->type)
        return CN_FAIL(BAD_FILE, "B-tree at %" PRIu64 ": no signature BTHD of version 0, type %u", address, tree->type);
    tree->node_bytes = cn_h5_u32(&c);
    if (cn_h5_u16(&c) != tree->record_bytes)
        return CN_FAIL(BAD_FILE, "B-tree at %" PRIu64 ": its records are not of %u bytes", address, tree->record_bytes);
    tree->depth = cn_h5_u16(&c);
    cn_h5_skip(&c, 2);
    root->address = cn_h5_address(&c);
    root->records = cn_h5_u16(&c);
    root->level = tree->depth;
    if (tree->depth > MAX_DEPTH) return CN_FAIL(BAD_FILE, "B-tree at %" PRIu64 ": depth %u", address, tree->depth);
    return size_levels(r, tree);
}

static cornu_status visit_new_node(cn_h5_reader* r, const new_tree* tree, cn_buf* stack, pending at,
                                   cn_h5_records* out) {
    const unsigned total_width = at.level > 0 ? tree->total_width[at.level - 1] : 0;
    const uint64_t pointer = r->offset_bytes + tree->count_width + (uint64_t)total_width;
    uint64_t size = 10 + at.records * tree->record_bytes + (at.level > 0 ? (at.records + 1) * pointer : 0);
    const uint8_t* records;
    cn_h5_cursor c;

    /* records has at most 8 bytes, record_bytes 2: compare before the products can overflow. */
    if (at.records > tree->node_bytes || size > tree->node_bytes)
        return CN_FAIL(BAD_FILE, "B-tree node at %" PRIu64 ": %" PRIu64 " records do not fit", at.address, at.records);
    CN_TRY(cn_h5_take(r, at.address, size, "B-tree node", &c));
    CN_TRY(cn_h5_verify(&c, "B-tree node"));
    if (!cn_h5_expect(&c, at.level > 0 ? "BTIN" : "BTLF") || cn_h5_u8(&c) != 0 || cn_h5_u8(&c) != tree->type)
        return CN_FAIL(BAD_FILE, "B-tree node at %" PRIu64 ": wrong signature, version or type", at.address);
    records = cn_h5_bytes(&c, at.records * tree->record_bytes);
    if (records) cn_buf_add(&out->bytes, records, (size_t)(at.records * tree->record_bytes));
    out->count += at.records;
    for (uint64_t i = 0; at.level > 0 && i <= at.records; i++) {
        pending child = {0};
        child.address = cn_h5_address(&c);
        child.records = cn_h5_uint(&c, tree->count_width);
        child.level = at.level - 1;
        cn_h5_skip(&c, total_width);
        push(stack, child);
    }
    CN_TRY(cn_buf_check(&out->bytes));
    return cn_buf_check(stack);
}

cornu_status cn_h5_read_records(cn_h5_reader* r, uint64_t root, unsigned type, cn_h5_records* out) {
    cornu_status st = CORNU_OK;
    new_tree tree = {0};
    cn_buf stack = {0};
    pending at = {0};

    tree.type = type;
    tree.record_bytes = out->record_bytes;
    CN_STEP(read_tree_header(r, root, &tree, &at));
    if (at.records > 0) push(&stack, at);
    CN_STEP(cn_buf_check(&stack));
    while (pop(&stack, &at)) CN_STEP(visit_new_node(r, &tree, &stack, at, out));
done:
    cn_buf_deinit(&stack);
    return st;
}
