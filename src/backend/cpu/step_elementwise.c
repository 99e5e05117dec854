/* Elementwise steps: a program of functions, run tile by tile so that intermediate values stay in the first cache. An operand that
 * is broadcast is spread into a tile of its own; one that is the same for every tile is spread once.
 *
 *     result [rows, inner]     tile = as many whole rows as fit in CN_TILE, or a part of one row */
#include <string.h>

#include "backend/cpu/cpu.h"

#define CN_TILE 1024 /* elements */

typedef struct operand {
    bool full;         /* same shape as the result */
    bool every_tile;   /* it changes from tile to tile */
    int64_t inner;     /* stride along the last axis: 0 or 1 */
    int64_t strides[CORNU_MAX_DIMS]; /* along the axes before the last */
} operand;

typedef struct program_op {
    cn_loop_ew fn;
    cn_act act;
    int arg[2];
} program_op;

typedef struct program {
    int inputs, count;
    operand operands[CN_FUSED_INPUTS];
    program_op ops[CN_FUSED_OPS];
    int slots[CN_FUSED_OPS]; /* tile that holds an op's value */
    int slot_count;
    int ndim; /* of the result without its last axis */
    int64_t dims[CORNU_MAX_DIMS];
    int64_t rows, inner, tile; /* tile: elements */
} program;

/* Joins neighbouring axes of the result along which every input is dense, so that rows are long. */
static void merge_axes(const cn_type* const* in, int n, const cn_type* out, program* p, int64_t strides[][CORNU_MAX_DIMS]) {
    int64_t dims[CORNU_MAX_DIMS];
    int at = -1;

    for (int k = 0; k < n; k++) {
        int64_t stride = 1;
        for (int i = out->ndim - 1, j = in[k]->ndim - 1; i >= 0; i--, j--) {
            strides[k][i] = j >= 0 && in[k]->dims[j] != 1 ? stride : 0;
            if (j >= 0) stride *= in[k]->dims[j];
        }
    }
    for (int i = 0; i < out->ndim; i++) {
        bool joins = at >= 0;
        if (out->dims[i] == 1) continue;
        for (int k = 0; k < n && joins; k++) joins = strides[k][at] == strides[k][i] * out->dims[i];
        if (!joins) at++;
        dims[at] = joins ? dims[at] * out->dims[i] : out->dims[i];
        for (int k = 0; k < n; k++) strides[k][at] = strides[k][i];
    }
    if (at < 0) {
        at = 0;
        dims[0] = 1;
        for (int k = 0; k < n; k++) strides[k][0] = 0;
    }
    p->ndim = at;
    memcpy(p->dims, dims, (size_t)at * sizeof dims[0]);
    p->inner = dims[at];
    p->rows = 1;
    for (int i = 0; i < at; i++) p->rows *= dims[i];
    p->tile = p->inner <= CN_TILE ? CN_TILE / p->inner * p->inner : CN_TILE;
}

static void set_operand(const program* p, const int64_t* strides, int64_t count, operand* o) {
    o->inner = strides[p->ndim];
    o->full = count == p->rows * p->inner;
    o->every_tile = p->inner > CN_TILE && o->inner != 0;
    for (int i = 0; i < p->ndim; i++) {
        o->strides[i] = strides[i];
        if (strides[i] != 0) o->every_tile = true;
    }
}

/* Spreads elements [from, from + n) of the result's order. */
static void spread(const program* p, const operand* o, const float* x, int64_t from, int64_t n, float* out) {
    int64_t row = from / p->inner, column = from % p->inner;

    while (n > 0) {
        int64_t part = p->inner - column < n ? p->inner - column : n, at = 0, rest = row;
        for (int i = p->ndim - 1; i >= 0; i--) {
            at += rest % p->dims[i] * o->strides[i];
            rest /= p->dims[i];
        }
        if (o->inner) {
            memcpy(out, x + at + column, (size_t)part * sizeof *out);
        } else {
            for (int64_t i = 0; i < part; i++) out[i] = x[at];
        }
        out += part;
        n -= part;
        column = 0;
        row++;
    }
}

static cornu_status run_program(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const program* p = step->data;
    float* y = cn_cpu_out(step, lane);
    int64_t count = p->rows * p->inner;
    const float* values[CN_FUSED_INPUTS + CN_FUSED_OPS];

    for (int64_t at = 0; at < count; at += p->tile) {
        int64_t n = count - at < p->tile ? count - at : p->tile;
        for (int k = 0; k < p->inputs; k++) {
            const operand* o = &p->operands[k];
            const float* x = cn_cpu_in(step, lane, k);
            float* tile = lane->scratch + k * CN_TILE;
            if (o->full) {
                values[k] = x + at;
                continue;
            }
            if (at == 0 || o->every_tile) spread(p, o, x, at, at == 0 && !o->every_tile ? p->tile : n, tile);
            values[k] = tile;
        }
        for (int i = 0; i < p->count; i++) {
            const program_op* op = &p->ops[i];
            float* out = i == p->count - 1 ? y + at : lane->scratch + (CN_FUSED_INPUTS + p->slots[i]) * CN_TILE;
            op->fn(n, values[op->arg[0]], values[op->arg[1]], &op->act, out);
            values[p->inputs + i] = out;
        }
    }
    return CORNU_OK;
}

/* Gives each op's value a tile that no value still needed lies in. */
static void assign_slots(program* p) {
    int last[CN_FUSED_OPS], busy[CN_FUSED_OPS];

    for (int i = 0; i < p->count; i++) {
        last[i] = i;
        for (int k = 0; k < 2; k++) {
            if (p->ops[i].arg[k] >= p->inputs) last[p->ops[i].arg[k] - p->inputs] = i;
        }
    }
    for (int i = 0; i < CN_FUSED_OPS; i++) busy[i] = -1;
    for (int i = 0; i < p->count; i++) {
        int slot = 0;
        while (busy[slot] >= i) slot++; /* a value read by op i itself may not be written by it: loops run in place, but not across */
        p->slots[i] = slot;
        busy[slot] = last[i];
        if (slot >= p->slot_count) p->slot_count = slot + 1;
    }
}

static bool add_op(const cn_cpu_executable* e, program* p, const cn_act* act, int a, int b) {
    p->ops[p->count++] = (program_op){e->loops->ew[act->fn], *act, {a, b}};
    return e->loops->ew[act->fn] != NULL;
}

cornu_status cn_cpu_prepare_elementwise(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_type* types[CN_FUSED_INPUTS];
    int64_t strides[CN_FUSED_INPUTS][CORNU_MAX_DIMS];
    bool known = true;
    program* p;

    if (!cn_cpu_is_float(e, node) || node->input_count > 2 + 4 * (node->op == CN_OP_fused)) return CORNU_OK;
    p = cn_cpu_data(e, step, sizeof *p);
    if (!p) return CN_NO_MEMORY(sizeof *p);
    p->inputs = node->input_count;
    if (node->op == CN_OP_ew) known = add_op(e, p, &node->attr.ew, 0, node->input_count - 1);
    for (int i = 0; node->op == CN_OP_fused && i < node->attr.fused.count; i++) {
        const cn_fused_op* op = &node->attr.fused.ops[i];
        known = add_op(e, p, &op->act, op->arg[0], op->arg[1]) && known;
    }
    if (!known) return CORNU_OK;
    for (int k = 0; k < node->input_count; k++) types[k] = cn_cpu_input_type(e, node, k);
    merge_axes(types, p->inputs, cn_cpu_type(e, node), p, strides);
    for (int k = 0; k < p->inputs; k++) set_operand(p, strides[k], cn_type_count(types[k]), &p->operands[k]);
    assign_slots(p);
    cn_cpu_need_scratch(e, (uint64_t)(CN_FUSED_INPUTS + p->slot_count) * CN_TILE * sizeof(float));
    step->run = run_program;
    return CORNU_OK;
}
