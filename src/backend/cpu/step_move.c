/* Steps that move elements: any element size. A view (transpose, slice, broadcast, pad's inside) is a nest of loops whose innermost
 * one copies runs. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/dtype.h"

typedef struct copy {
    size_t size; /* of an element */
    int ndim;    /* loops around the innermost */
    int64_t dims[CORNU_MAX_DIMS], in[CORNU_MAX_DIMS], out[CORNU_MAX_DIMS]; /* elements */
    int64_t run, run_in, run_out; /* innermost loop: count and strides; 1 and 1 is a plain copy */
    int64_t in_base, out_base;
    bool fill;          /* the result is filled first */
    uint64_t fill_bits; /* one element */
    uint64_t bytes;     /* of the result */
} copy;

static void fill(const copy* c, char* out) {
    if (c->fill_bits == 0) {
        memset(out, 0, c->bytes);
        return;
    }
    for (uint64_t at = 0; at < c->bytes; at += c->size) memcpy(out + at, &c->fill_bits, c->size);
}

static void copy_run(const copy* c, const char* in, char* out) {
    if (c->run_in == 1 && c->run_out == 1) {
        memcpy(out, in, (size_t)c->run * c->size);
    } else if (c->size == 4) {
        for (int64_t i = 0; i < c->run; i++) memcpy(out + i * c->run_out * 4, in + i * c->run_in * 4, 4);
    } else {
        for (int64_t i = 0; i < c->run; i++) {
            memcpy(out + (size_t)(i * c->run_out) * c->size, in + i * c->run_in * (int64_t)c->size, c->size);
        }
    }
}

static void copy_nest(const copy* c, const char* in, char* out) {
    int64_t index[CORNU_MAX_DIMS] = {0}, from = c->in_base, to = c->out_base;
    int64_t size = (int64_t)c->size;

    for (;;) {
        int d = c->ndim - 1;
        copy_run(c, in + from * size, out + to * size);
        for (; d >= 0; d--) {
            from += c->in[d];
            to += c->out[d];
            if (++index[d] < c->dims[d]) break;
            from -= c->in[d] * c->dims[d];
            to -= c->out[d] * c->dims[d];
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

/* Both sides read in blocks: two axes that neither side has innermost together. */
static void copy_blocks(const copy* c, const char* in, char* out) {
    const float* x = (const float*)(const void*)in + c->in_base;
    float* y = (float*)(void*)out + c->out_base;
    int a = c->ndim - 1; /* dense in the input; the innermost run is dense in the result */
    int64_t outer = 1;

    for (int i = 0; i < a; i++) outer *= c->dims[i];
    for (int64_t o = 0; o < outer; o++) {
        int64_t from = 0, to = 0, rest = o;
        for (int i = a - 1; i >= 0; i--) {
            from += rest % c->dims[i] * c->in[i];
            to += rest % c->dims[i] * c->out[i];
            rest /= c->dims[i];
        }
        for (int64_t i0 = 0; i0 < c->dims[a]; i0 += 16) {
            int64_t i1 = i0 + 16 < c->dims[a] ? i0 + 16 : c->dims[a];
            for (int64_t j0 = 0; j0 < c->run; j0 += 16) {
                int64_t j1 = j0 + 16 < c->run ? j0 + 16 : c->run;
                for (int64_t i = i0; i < i1; i++) {
                    for (int64_t j = j0; j < j1; j++) y[to + i * c->out[a] + j] = x[from + i + j * c->run_in];
                }
            }
        }
    }
}

static cornu_status run_copy(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const copy* c = step->data;
    const char* in = cn_cpu_in(step, lane, 0);
    char* out = cn_cpu_out(step, lane);

    if (c->fill) fill(c, out);
    if (c->run == 0) return CORNU_OK;
    if (c->size == 4 && c->ndim > 0 && c->run_out == 1 && c->run_in > 1 && c->in[c->ndim - 1] == 1) copy_blocks(c, in, out);
    else copy_nest(c, in, out);
    return CORNU_OK;
}

static cornu_status run_reshape(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const copy* c = step->data;
    void* out = cn_cpu_out(step, lane);
    const void* in = cn_cpu_in(step, lane, 0);

    if (in != out) memcpy(out, in, c->bytes);
    return CORNU_OK;
}

static void dense(const cn_type* t, int64_t* strides) {
    int64_t stride = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= t->dims[i];
    }
}

/* Joins axes that are dense on both sides and makes the last one the run. */
static void finish(copy* c, const int64_t* dims, const int64_t* in, const int64_t* out, int ndim) {
    int at = -1;

    for (int i = 0; i < ndim; i++) {
        if (dims[i] == 1) continue;
        if (at >= 0 && c->in[at] == in[i] * dims[i] && c->out[at] == out[i] * dims[i]) c->dims[at] *= dims[i];
        else c->dims[++at] = dims[i];
        c->in[at] = in[i];
        c->out[at] = out[i];
    }
    c->ndim = at < 0 ? 0 : at;
    c->run = at < 0 ? 1 : c->dims[at];
    c->run_in = at < 0 ? 1 : c->in[at];
    c->run_out = at < 0 ? 1 : c->out[at];
}

/* Input strides of each axis of the region that is copied, its dims, and its place in the result. False: not a plain copy. */
static bool describe(const cn_node* node, const cn_type* x, const cn_type* y, copy* c, int64_t* dims, int64_t* in) {
    int64_t from[CORNU_MAX_DIMS], out[CORNU_MAX_DIMS];
    int lead = y->ndim - x->ndim;

    dense(x, from);
    dense(y, out);
    memcpy(dims, y->dims, sizeof y->dims);
    for (int i = 0; i < y->ndim; i++) {
        switch (node->op) {
            case CN_OP_transpose: in[i] = from[node->attr.perm.perm[i]]; break;
            case CN_OP_broadcast: in[i] = i < lead || x->dims[i - lead] == 1 ? 0 : from[i - lead]; break;
            case CN_OP_slice:
                in[i] = from[i] * node->attr.slice.step[i];
                c->in_base += from[i] * node->attr.slice.begin[i];
                break;
            default:
                in[i] = from[i];
                dims[i] = x->dims[i];
                c->out_base += out[i] * node->attr.pad.low[i];
                break;
        }
    }
    return true;
}

cornu_status cn_cpu_prepare_copy(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_type *x = cn_cpu_input_type(e, node, 0), *y = cn_cpu_type(e, node);
    int64_t dims[CORNU_MAX_DIMS], in[CORNU_MAX_DIMS], out[CORNU_MAX_DIMS];
    copy* c;

    if (node->op == CN_OP_pad && (node->attr.pad.mode != CN_PAD_CONSTANT || y->dtype == CORNU_STRING)) return CORNU_OK;
    if (cornu_dtype_size(y->dtype) > 8 || cn_type_count(y) == 0) return CORNU_OK;
    c = cn_cpu_data(e, step, sizeof *c);
    if (!c) return CN_NO_MEMORY(sizeof *c);
    c->size = cornu_dtype_size(y->dtype);
    c->bytes = cn_type_bytes(y);
    step->run = run_reshape;
    if (node->op == CN_OP_reshape) return CORNU_OK;
    step->run = run_copy;
    (void)describe(node, x, y, c, dims, in);
    dense(y, out);
    if (node->op == CN_OP_pad) {
        c->fill = true;
        cn_ref_store(y->dtype, &c->fill_bits, 0, node->attr.pad.value);
    }
    finish(c, dims, in, out, y->ndim);
    if (cn_type_count(x) == 0) c->run = 0;
    return CORNU_OK;
}

/* ---- concat ---- */

typedef struct concat {
    int64_t outer;
    uint64_t row;    /* bytes of the result for one outer index */
    uint64_t* parts; /* bytes of each input for one outer index */
} concat;

static cornu_status run_concat(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const concat* c = step->data;
    char* out = cn_cpu_out(step, lane);

    for (int k = 0; k < step->node->input_count; k++) {
        const char* in = cn_cpu_in(step, lane, k);
        for (int64_t o = 0; o < c->outer && c->parts[k]; o++) memcpy(out + (uint64_t)o * c->row, in + (uint64_t)o * c->parts[k], c->parts[k]);
        out += c->parts[k];
    }
    return CORNU_OK;
}

static uint64_t bytes_from(const cn_type* t, int axis) {
    uint64_t bytes = cornu_dtype_size(t->dtype);
    for (int i = axis; i < t->ndim; i++) bytes *= (uint64_t)t->dims[i];
    return bytes;
}

cornu_status cn_cpu_prepare_concat(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_type* y = cn_cpu_type(e, node);
    concat* c;

    if (cn_type_count(y) == 0) return CORNU_OK;
    c = cn_cpu_data(e, step, sizeof *c);
    if (!c) return CN_NO_MEMORY(sizeof *c);
    c->parts = cn_arena_array(&e->arena, (size_t)node->input_count, sizeof *c->parts);
    if (!c->parts) return CN_NO_MEMORY((size_t)node->input_count * sizeof *c->parts);
    c->outer = 1;
    for (int i = 0; i < node->attr.axis.axis; i++) c->outer *= y->dims[i];
    c->row = bytes_from(y, node->attr.axis.axis);
    for (int k = 0; k < node->input_count; k++) c->parts[k] = bytes_from(cn_cpu_input_type(e, node, k), node->attr.axis.axis);
    step->run = run_concat;
    return CORNU_OK;
}

/* ---- gather ---- */

typedef struct gather {
    int64_t outer, n, count; /* n: along the axis; count: indices */
    uint64_t bytes;          /* of what one index takes */
    cornu_dtype dtype;       /* of the indices */
} gather;

static cornu_status run_gather(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    const gather* c = step->data;
    const char* x = cn_cpu_in(step, lane, 0);
    const void* indices = cn_cpu_in(step, lane, 1);
    char* out = cn_cpu_out(step, lane);

    for (int64_t o = 0; o < c->outer; o++) {
        for (int64_t i = 0; i < c->count; i++, out += c->bytes) {
            int64_t at = cn_ref_load_int(c->dtype, indices, i);
            if (at < 0) at += c->n;
            if (at < 0 || at >= c->n) return cn_host_step(lane->host, &lane->run, step->node->output); /* which says what is wrong */
            memcpy(out, x + ((uint64_t)o * (uint64_t)c->n + (uint64_t)at) * c->bytes, c->bytes);
        }
    }
    return CORNU_OK;
}

cornu_status cn_cpu_prepare_gather(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    const cn_type *x = cn_cpu_input_type(e, node, 0), *indices = cn_cpu_input_type(e, node, 1);
    int axis = node->attr.gather.axis;
    gather* c;

    if (node->attr.gather.mode != CN_GATHER_CHECKED || cn_type_count(cn_cpu_type(e, node)) == 0) return CORNU_OK;
    c = cn_cpu_data(e, step, sizeof *c);
    if (!c) return CN_NO_MEMORY(sizeof *c);
    *c = (gather){1, x->dims[axis], cn_type_count(indices), bytes_from(x, axis + 1), indices->dtype};
    for (int i = 0; i < axis; i++) c->outer *= x->dims[i];
    step->run = run_gather;
    return CORNU_OK;
}
