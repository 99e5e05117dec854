/* The reference: elements of any dtype, the table of ops, and evaluation of constant values. */
#include "backend/cpu/ref.h"

#include <string.h>

#include "backend/cpu/ref_ops.h"
#include "base/dtype.h"

double cn_ref_load(cornu_dtype dtype, const void* data, int64_t i) {
    switch (dtype) {
        case CORNU_FLOAT32: return (double)((const float*)data)[i];
        case CORNU_FLOAT64: return ((const double*)data)[i];
        case CORNU_FLOAT16: return (double)cn_half_to_float(((const uint16_t*)data)[i]);
        case CORNU_BFLOAT16: return (double)cn_bfloat_to_float(((const uint16_t*)data)[i]);
        case CORNU_UINT64: return (double)((const uint64_t*)data)[i];
        default: return (double)cn_ref_load_int(dtype, data, i);
    }
}

void cn_ref_store(cornu_dtype dtype, void* data, int64_t i, double value) {
    switch (dtype) {
        case CORNU_FLOAT32: ((float*)data)[i] = (float)value; break;
        case CORNU_FLOAT64: ((double*)data)[i] = value; break;
        case CORNU_FLOAT16: ((uint16_t*)data)[i] = cn_double_to_half(value); break;
        case CORNU_BFLOAT16: ((uint16_t*)data)[i] = cn_double_to_bfloat(value); break;
        case CORNU_BOOL: ((uint8_t*)data)[i] = value != 0; break;
        default: cn_ref_store_int(dtype, data, i, (int64_t)value); break;
    }
}

int64_t cn_ref_load_int(cornu_dtype dtype, const void* data, int64_t i) {
    switch (dtype) {
        case CORNU_INT8: return ((const int8_t*)data)[i];
        case CORNU_INT16: return ((const int16_t*)data)[i];
        case CORNU_INT32: return ((const int32_t*)data)[i];
        case CORNU_INT64: return ((const int64_t*)data)[i];
        case CORNU_UINT8: return ((const uint8_t*)data)[i];
        case CORNU_UINT16: return ((const uint16_t*)data)[i];
        case CORNU_UINT32: return ((const uint32_t*)data)[i];
        case CORNU_UINT64: return (int64_t)((const uint64_t*)data)[i];
        case CORNU_BOOL: return ((const uint8_t*)data)[i] != 0;
        default: return (int64_t)cn_ref_load(dtype, data, i);
    }
}

void cn_ref_store_int(cornu_dtype dtype, void* data, int64_t i, int64_t value) {
    switch (dtype) {
        case CORNU_INT8: ((int8_t*)data)[i] = (int8_t)value; break;
        case CORNU_INT16: ((int16_t*)data)[i] = (int16_t)value; break;
        case CORNU_INT32: ((int32_t*)data)[i] = (int32_t)value; break;
        case CORNU_INT64: ((int64_t*)data)[i] = value; break;
        case CORNU_UINT8: ((uint8_t*)data)[i] = (uint8_t)value; break;
        case CORNU_UINT16: ((uint16_t*)data)[i] = (uint16_t)value; break;
        case CORNU_UINT32: ((uint32_t*)data)[i] = (uint32_t)value; break;
        case CORNU_UINT64: ((uint64_t*)data)[i] = (uint64_t)value; break;
        case CORNU_BOOL: ((uint8_t*)data)[i] = value != 0; break;
        default: cn_ref_store(dtype, data, i, (double)value); break;
    }
}

typedef cornu_status (*ref_fn)(const cn_ref_step* step);

static const ref_fn functions[CN_OP_COUNT] = {
    [CN_OP_ew] = cn_ref_ew,
    [CN_OP_cast] = cn_ref_cast,
    [CN_OP_reshape] = cn_ref_reshape,
    [CN_OP_broadcast] = cn_ref_broadcast,
    [CN_OP_transpose] = cn_ref_transpose,
    [CN_OP_concat] = cn_ref_concat,
    [CN_OP_slice] = cn_ref_slice,
    [CN_OP_pad] = cn_ref_pad,
    [CN_OP_gather] = cn_ref_gather,
    [CN_OP_reduce] = cn_ref_reduce,
    [CN_OP_arg] = cn_ref_arg,
    [CN_OP_cumulative] = cn_ref_cumulative,
    [CN_OP_sort] = cn_ref_sort,
    [CN_OP_scatter] = cn_ref_scatter,
    [CN_OP_linalg] = cn_ref_linalg,
    [CN_OP_iota] = cn_ref_iota,
    [CN_OP_matmul] = cn_ref_matmul,
    [CN_OP_conv] = cn_ref_conv,
    [CN_OP_conv_transpose] = cn_ref_conv_transpose,
    [CN_OP_pool] = cn_ref_pool,
    [CN_OP_adaptive_pool] = cn_ref_pool,
    [CN_OP_resize] = cn_ref_resize,
    [CN_OP_softmax] = cn_ref_softmax,
    [CN_OP_log_softmax] = cn_ref_softmax,
    [CN_OP_batch_norm] = cn_ref_batch_norm,
    [CN_OP_layer_norm] = cn_ref_axes_norm,
    [CN_OP_rms_norm] = cn_ref_axes_norm,
    [CN_OP_group_norm] = cn_ref_group_norm,
    [CN_OP_fused] = cn_ref_fused,
    [CN_OP_rnn] = cn_ref_rnn,
    [CN_OP_attention] = cn_ref_attention,
    [CN_OP_random] = cn_ref_random,
};

bool cn_ref_has(cn_op op) { return (unsigned)op < CN_OP_COUNT && functions[op] != NULL; }

cornu_status cn_ref_run(const cn_ref_step* step) {
    if (!functions[step->op]) return CN_FAIL(UNSUPPORTED, "op %s has no reference", cn_op_info_of(step->op)->name);
    return functions[step->op](step);
}

/* ---- constant values ---- */

typedef struct evaluator {
    const cn_graph* g;
    cn_ref_variable variable;
    void* user;
    void** values; /* of each value: its elements, NULL until made */
} evaluator;

/* y = x z for z with one element a channel of the last axis: what large folded weights are made by. The same results as cn_ref_ew, in
 * less time. False: it is something else. */
static bool scale_channels(const cn_ref_step* s) {
    int64_t channels, rows;
    const float *x, *z;
    float* y = s->out;

    if (s->op != CN_OP_ew || s->attr->ew.fn != CN_EW_mul || s->type->dtype != CORNU_FLOAT32 || s->type->ndim < 1) return false;
    channels = s->type->dims[s->type->ndim - 1];
    if (!cn_type_equal(s->types[0], s->type) || cn_type_count(s->types[1]) != channels || channels == 0) return false;
    if (s->types[1]->ndim < 1 || s->types[1]->dims[s->types[1]->ndim - 1] != channels) return false;
    rows = cn_type_count(s->type) / channels;
    x = s->in[0];
    z = s->in[1];
    for (int64_t i = 0; i < rows; i++, x += channels, y += channels) {
        for (int64_t j = 0; j < channels; j++) y[j] = (float)((double)x[j] * (double)z[j]);
    }
    return true;
}

static cornu_status evaluate_node(evaluator* e, int i, void* out) {
    const cn_node* node = &e->g->nodes[i];
    const cn_type** types = NULL;
    const void** in = NULL;
    cn_ref_step step;
    cornu_status st = CORNU_OK;

    if (node->op == CN_OP_variable) return e->variable(e->user, node->attr.variable.slot, out);
    if (node->op == CN_OP_constant) {
        if (cn_type_bytes(&e->g->types[i])) memcpy(out, node->attr.constant.data, cn_type_bytes(&e->g->types[i]));
        return CORNU_OK;
    }
    types = cn_alloc_zero((size_t)node->input_count + 1, sizeof *types);
    in = cn_alloc_zero((size_t)node->input_count + 1, sizeof *in);
    if (!types || !in) {
        st = CN_NO_MEMORY((size_t)node->input_count * sizeof *in);
        goto done;
    }
    for (int k = 0; k < node->input_count; k++) {
        if (node->inputs[k] == CN_NONE) continue;
        types[k] = &e->g->types[node->inputs[k]];
        in[k] = e->values[node->inputs[k]];
    }
    step = (cn_ref_step){node->op, &node->attr, node->input_count, types, in, &e->g->types[i], out, 0, 0};
    if (!scale_channels(&step)) CN_STEP(cn_ref_run(&step));
done:
    cn_free(types);
    cn_free(in);
    return st;
}

cornu_status cn_ref_evaluate(const cn_graph* g, cn_id v, cn_ref_variable variable, void* user, void* out) {
    evaluator e = {g, variable, user, NULL};
    bool* needed = cn_alloc_zero((size_t)v + 1, sizeof *needed);
    cornu_status st = CORNU_OK;

    e.values = cn_alloc_zero((size_t)v + 1, sizeof *e.values);
    if (!needed || !e.values) {
        st = CN_NO_MEMORY(((size_t)v + 1) * sizeof *e.values);
        goto done;
    }
    needed[v] = true;
    for (cn_id i = v; i >= 0; i--) {
        for (int k = 0; needed[i] && k < g->nodes[i].input_count; k++) {
            if (g->nodes[i].inputs[k] != CN_NONE) needed[g->nodes[i].inputs[k]] = true;
        }
    }
    for (cn_id i = 0; i < v; i++) {
        if (!needed[i]) continue;
        e.values[i] = cn_alloc_aligned(cn_type_bytes(&g->types[i]));
        if (!e.values[i]) {
            st = CN_NO_MEMORY(cn_type_bytes(&g->types[i]));
            goto done;
        }
        CN_STEP(evaluate_node(&e, i, e.values[i]));
    }
    CN_STEP(evaluate_node(&e, v, out));
done:
    for (cn_id i = 0; e.values && i < v; i++) cn_free_aligned(e.values[i]);
    cn_free(e.values);
    cn_free(needed);
    return st;
}
