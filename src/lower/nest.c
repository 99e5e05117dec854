/* Nests of arguments: flattening as Keras's tree does, and reading them from a config. */
#include <string.h>

#include "lower/context.h"

cornu_status cn_lower_unmask(cn_lower* cx, cn_id tensor) {
    if (cn_lower_unmasked(cx, tensor)) return CORNU_OK;
    if (cx->unmasked_count == cx->unmasked_capacity) {
        int capacity = cx->unmasked_capacity ? cx->unmasked_capacity * 2 : 16;
        cn_id* list = cn_arena_array(&cx->arena, (size_t)capacity, sizeof *list);
        if (!list) return CN_NO_MEMORY((size_t)capacity * sizeof *list);
        if (cx->unmasked_count) memcpy(list, cx->unmasked, (size_t)cx->unmasked_count * sizeof *list);
        cx->unmasked = list;
        cx->unmasked_capacity = capacity;
    }
    cx->unmasked[cx->unmasked_count++] = tensor;
    return CORNU_OK;
}

bool cn_lower_unmasked(const cn_lower* cx, cn_id tensor) {
    for (int i = 0; i < cx->unmasked_count; i++) {
        if (cx->unmasked[i] == tensor) return true;
    }
    return false;
}

int* cn_arg_key_order(cn_lower* cx, const cn_arg* dict) {
    int* order = cn_arena_array(&cx->arena, (size_t)dict->count, sizeof *order);

    for (int i = 0; order && i < dict->count; i++) { /* insertion sort: dicts of tensors are small */
        int at = i;
        while (at > 0 && strcmp(dict->keys[order[at - 1]], dict->keys[i]) > 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return order;
}

static int count_leaves(const cn_arg* arg) {
    int n = arg->kind == CN_ARG_TENSOR || arg->kind == CN_ARG_NONE;
    for (int i = 0; i < arg->count; i++) n += count_leaves(&arg->items[i]); /* depth: of the JSON */
    return n;
}

static cornu_status collect(cn_lower* cx, const cn_arg* arg, cn_value* out, int* n) {
    int* order = NULL;

    if (arg->kind == CN_ARG_TENSOR || arg->kind == CN_ARG_NONE) {
        out[(*n)++] = arg->kind == CN_ARG_TENSOR ? arg->value : (cn_value){CN_NONE, CN_NONE};
        return CORNU_OK;
    }
    if (arg->kind == CN_ARG_DICT) {
        order = cn_arg_key_order(cx, arg);
        if (!order) return CN_NO_MEMORY((size_t)arg->count * sizeof *order);
    }
    for (int i = 0; i < arg->count; i++) CN_TRY(collect(cx, &arg->items[order ? order[i] : i], out, n));
    return CORNU_OK;
}

cornu_status cn_arg_flatten(cn_lower* cx, const cn_arg* arg, cn_value** out, int* count) {
    int n = count_leaves(arg);

    *count = 0;
    *out = cn_arena_array(&cx->arena, (size_t)n, sizeof **out);
    if (!*out) return CN_NO_MEMORY((size_t)n * sizeof **out);
    return collect(cx, arg, *out, count);
}
