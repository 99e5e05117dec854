/* Matmul, convolution and pooling by oneDNN. Images are plain [N, spatial.., C] on both sides; weights are in whatever layout oneDNN
 * wants, made once by the weight store; scratchpads are the lane's. What oneDNN refuses is left to the other steps.
 *
 * Its failures carry no sentence and are no failure here: they mean "not this way". */
#include "backend/cpu/cpu.h"

#ifndef CORNU_HAVE_ONEDNN

void* cn_cpu_engine_create(void) { return NULL; }

void cn_cpu_engine_destroy(void* engine) { (void)engine; }

void cn_cpu_openmp_find(cn_cpu_openmp* out) { *out = (cn_cpu_openmp){NULL, NULL}; }

cornu_status cn_cpu_prepare_dnnl(cn_cpu_executable* e, cn_cpu_step* step) {
    (void)e;
    (void)step;
    return CORNU_OK;
}

#else

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

void* cn_cpu_engine_create(void) {
    dnnl_engine_t engine = NULL;
    return dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success ? engine : NULL;
}

void cn_cpu_engine_destroy(void* engine) {
    if (engine) (void)dnnl_engine_destroy(engine);
}

/* The runtime is oneDNN's dependency, not ours, and may be loaded where no global name shows it: it is asked for by file name. */
void cn_cpu_openmp_find(cn_cpu_openmp* out) {
    static const char* const names[] = {"libgomp.so.1", "libomp.so.5", "libiomp5.so"};
    cn_cpu_openmp found = {NULL, NULL};

    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found.set; i++) {
        void* library = dlopen(names[i], RTLD_NOLOAD | RTLD_LAZY);
        if (!library) continue;
        *(void**)&found.get = dlsym(library, "omp_get_max_threads");
        *(void**)&found.set = dlsym(library, "omp_set_num_threads");
        (void)dlclose(library); /* it stays loaded: oneDNN needs it */
    }
    *out = found.get && found.set ? found : (cn_cpu_openmp){NULL, NULL};
}

enum { ARG_SRC, ARG_WEIGHTS, ARG_BIAS, ARG_DST, ARG_SCRATCH, ARG_COUNT };

/* One lane's handles: memory objects hold an address, so lanes cannot share them. */
typedef struct handles {
    dnnl_stream_t stream;
    dnnl_memory_t memory[ARG_COUNT];
} handles;

typedef struct kernel {
    dnnl_primitive_t primitive;
    handles* lanes;
    int lane_count;
    void* weights;     /* packed, in the store; NULL: input 1 as it is */
    uint64_t residual; /* bytes of input 3 that the result starts from; 0: none */
    cn_loop_ew tail_fn; /* an activation that oneDNN lacks, over the result in place; or NULL */
    cn_act tail_act;
    int64_t count; /* elements of the result */
} kernel;

/* What is asked of oneDNN. */
typedef struct request {
    cn_cpu_executable* e;
    cn_cpu_step* step;
    dnnl_memory_desc_t src, weights, plain, bias, dst; /* weights: any layout; plain: as the variable lies */
    bool has_weights, has_bias, residual, packs;
    cn_act act;
} request;

static void destroy_kernel(void* data) {
    kernel* k = data;

    for (int i = 0; i < k->lane_count; i++) {
        for (int a = 0; a < ARG_COUNT; a++) {
            if (k->lanes[i].memory[a]) (void)dnnl_memory_destroy(k->lanes[i].memory[a]);
        }
        if (k->lanes[i].stream) (void)dnnl_stream_destroy(k->lanes[i].stream);
    }
    if (k->primitive) (void)dnnl_primitive_destroy(k->primitive);
}

static cornu_status run_kernel(const cn_cpu_step* step, const cn_cpu_lane* lane) {
    static const int names[ARG_COUNT] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    const kernel* k = step->data;
    const handles* h = &k->lanes[lane->index];
    float* out = cn_cpu_out(step, lane);
    void* address[ARG_COUNT] = {(void*)cn_cpu_in(step, lane, 0), k->weights ? k->weights : (void*)cn_cpu_in(step, lane, 1),
                                (void*)cn_cpu_in(step, lane, 2), out, lane->scratch};
    dnnl_exec_arg_t args[ARG_COUNT];
    int n = 0;

    if (k->residual && cn_cpu_in(step, lane, 3) != out) memcpy(out, cn_cpu_in(step, lane, 3), k->residual);
    for (int a = 0; a < ARG_COUNT; a++) {
        if (!h->memory[a]) continue;
        (void)dnnl_memory_set_data_handle_v2(h->memory[a], address[a], h->stream);
        args[n++] = (dnnl_exec_arg_t){names[a], h->memory[a]};
    }
    if (dnnl_primitive_execute(k->primitive, h->stream, n, args) != dnnl_success) {
        return CN_FAIL(DEVICE_ERROR, "layer '%s': oneDNN failed to run it", step->node->label);
    }
    if (k->tail_fn) k->tail_fn(k->count, out, out, &k->tail_act, out);
    return CORNU_OK;
}

/* ---- attributes ---- */

/* The eltwise post-op that is act; false when there is none. Its relu and clip make numbers of NaN, which would hide that a network has
 * gone wrong: relu is done as elu with a factor of 0, clips by our own loop. */
static bool post_op_of(const cn_act* act, dnnl_alg_kind_t* kind, float* alpha, float* beta) {
    *alpha = *beta = 0;
    switch (act->fn) {
        case CN_EW_relu: *kind = dnnl_eltwise_elu; return true; /* with alpha 0 */
        case CN_EW_leaky_relu: *kind = dnnl_eltwise_relu; *alpha = (float)act->p; return true;
        case CN_EW_silu: *kind = dnnl_eltwise_swish; *alpha = 1; return true;
        case CN_EW_affine: *kind = dnnl_eltwise_linear; *alpha = (float)act->p; *beta = (float)act->q; return true;
        case CN_EW_sigmoid: *kind = dnnl_eltwise_logistic; return true;
        default: return false;
    }
}

/* Scratchpad from the user, then residual, then activation. The activation that has no post-op is left in *tail. */
static dnnl_primitive_attr_t make_attributes(const request* q, cn_act* tail) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_alg_kind_t kind;
    float alpha, beta;
    bool ok;

    if (dnnl_primitive_attr_create(&attr) != dnnl_success) return NULL;
    ok = dnnl_post_ops_create(&ops) == dnnl_success;
    ok = ok && dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success;
    if (ok && q->residual) ok = dnnl_post_ops_append_sum(ops, 1.0f) == dnnl_success;
    *tail = q->act;
    if (ok && q->act.fn != CN_EW_copy && post_op_of(&q->act, &kind, &alpha, &beta)) {
        ok = dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, beta) == dnnl_success;
        tail->fn = CN_EW_copy;
    }
    ok = ok && dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success;
    if (ops) (void)dnnl_post_ops_destroy(ops);
    if (ok) return attr;
    (void)dnnl_primitive_attr_destroy(attr);
    return NULL;
}

/* ---- packed weights ---- */

typedef struct reorder {
    dnnl_memory_desc_t from, to;
} reorder;

/* A cn_derive: from the variable's layout to oneDNN's. */
static cornu_status pack(const void* user, const void* src, void* dst) {
    reorder r;
    dnnl_engine_t engine = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t from = NULL, to = NULL;
    cn_cpu_openmp omp;
    int threads;
    bool ok;

    memcpy(&r, user, sizeof r);
    cn_cpu_openmp_find(&omp);
    threads = cn_cpu_openmp_enter(&omp);
    ok = dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success && dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
    ok = ok && dnnl_memory_create(&from, &r.from, engine, (void*)src) == dnnl_success && dnnl_memory_create(&to, &r.to, engine, dst) == dnnl_success;
    ok = ok && dnnl_reorder_primitive_desc_create(&desc, &r.from, engine, &r.to, engine, NULL) == dnnl_success;
    ok = ok && dnnl_primitive_create(&primitive, desc) == dnnl_success;
    if (ok) {
        dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        ok = dnnl_primitive_execute(primitive, stream, 2, args) == dnnl_success && dnnl_stream_wait(stream) == dnnl_success;
    }
    if (primitive) (void)dnnl_primitive_destroy(primitive);
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    if (from) (void)dnnl_memory_destroy(from);
    if (to) (void)dnnl_memory_destroy(to);
    if (stream) (void)dnnl_stream_destroy(stream);
    if (engine) (void)dnnl_engine_destroy(engine);
    cn_cpu_openmp_leave(&omp, threads);
    return ok ? CORNU_OK : CN_FAIL(DEVICE_ERROR, "oneDNN failed to pack weights");
}

/* Everything that tells one blocked layout from another. */
static void layout_text(const dnnl_memory_desc_t* from, const dnnl_memory_desc_t* to, char* text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "onednn");

    for (int i = 0; i < to->ndims && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, " %lld/%lld/%lld/%lld", (long long)to->dims[i], (long long)to->padded_dims[i],
                               (long long)to->format_desc.blocking.strides[i], (long long)from->format_desc.blocking.strides[i]);
    }
    for (int i = 0; i < to->format_desc.blocking.inner_nblks && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, " %lldx%lld", (long long)to->format_desc.blocking.inner_blks[i], (long long)to->format_desc.blocking.inner_idxs[i]);
    }
    if (at < size) (void)snprintf(text + at, size - at, " %d", (int)to->extra.flags);
}

static cornu_status pack_weights(const request* q, dnnl_primitive_desc_t desc, kernel* k, bool* ok) {
    const dnnl_memory_desc_t* wanted = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    reorder r;
    char text[1024];

    *ok = wanted && wanted->format_kind == dnnl_blocked;
    if (!*ok) return CORNU_OK;
    if (dnnl_memory_desc_equal(wanted, &q->plain)) return CORNU_OK;
    memset(&r, 0, sizeof r);
    r.from = q->plain;
    r.to = *wanted;
    layout_text(&q->plain, wanted, text, sizeof text);
    return q->e->weights->derived(q->e->weights, cn_cpu_constant(q->e, q->step->node, 1), text, dnnl_memory_desc_get_size(wanted), pack, &r, sizeof r, &k->weights);
}

/* ---- primitives ---- */

static bool add_memory(handles* h, int arg, const dnnl_memory_desc_t* desc, dnnl_engine_t engine) {
    if (dnnl_memory_desc_get_size(desc) == 0) return true;
    return dnnl_memory_create(&h->memory[arg], desc, engine, DNNL_MEMORY_NONE) == dnnl_success;
}

static bool make_handles(const request* q, dnnl_primitive_desc_t desc, kernel* k) {
    const dnnl_memory_desc_t* scratch = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    const dnnl_memory_desc_t* weights = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    dnnl_engine_t engine = q->e->engine;
    bool ok = true;

    for (k->lane_count = 0; ok && k->lane_count < q->e->lane_count; k->lane_count++) {
        handles* h = &k->lanes[k->lane_count];
        ok = dnnl_stream_create(&h->stream, engine, dnnl_stream_default_flags) == dnnl_success;
        ok = ok && add_memory(h, ARG_SRC, &q->src, engine) && add_memory(h, ARG_DST, &q->dst, engine);
        if (ok && q->has_weights) ok = add_memory(h, ARG_WEIGHTS, weights, engine);
        if (ok && q->has_bias) ok = add_memory(h, ARG_BIAS, &q->bias, engine);
        if (ok && scratch) ok = add_memory(h, ARG_SCRATCH, scratch, engine);
    }
    if (ok && scratch) cn_cpu_need_scratch(q->e, dnnl_memory_desc_get_size(scratch));
    return ok;
}

/* Makes the step of a primitive that `op` describes. step->run stays NULL when oneDNN has no such primitive. */
static cornu_status finish(const request* q, const_dnnl_op_desc_t op) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_attr_t attr;
    cn_act tail;
    kernel* k = cn_cpu_data(q->e, q->step, sizeof *k);
    cornu_status st = CORNU_OK;
    bool ok;

    if (!k) return CN_NO_MEMORY(sizeof *k);
    k->lanes = cn_arena_array(&q->e->arena, (size_t)q->e->lane_count, sizeof *k->lanes);
    if (!k->lanes) return CN_NO_MEMORY(sizeof *k->lanes);
    attr = make_attributes(q, &tail);
    if (!attr) return CORNU_OK;
    ok = dnnl_primitive_desc_create(&desc, op, attr, q->e->engine, NULL) == dnnl_success;
    if (tail.fn != CN_EW_copy) {
        k->tail_fn = q->e->loops->ew[tail.fn];
        k->tail_act = tail;
        ok = ok && k->tail_fn;
    }
    k->count = cn_type_count(cn_cpu_type(q->e, q->step->node));
    k->residual = q->residual ? (uint64_t)k->count * sizeof(float) : 0;
    if (ok && q->packs) CN_STEP(pack_weights(q, desc, k, &ok));
    ok = ok && dnnl_primitive_create(&k->primitive, desc) == dnnl_success && make_handles(q, desc, k);
    if (ok) {
        q->step->run = run_kernel;
        q->step->destroy = destroy_kernel;
    } else {
        destroy_kernel(k);
    }
done:
    (void)dnnl_primitive_attr_destroy(attr);
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    return st;
}

/* [N, spatial.., C] as oneDNN's dims N, C, spatial.. */
static bool image_desc(const cn_type* t, dnnl_memory_desc_t* out) {
    static const dnnl_format_tag_t tags[] = {dnnl_nwc, dnnl_nhwc, dnnl_ndhwc};
    dnnl_dims_t dims = {t->dims[0], t->dims[t->ndim - 1]};

    for (int i = 1; i < t->ndim - 1; i++) dims[i + 1] = t->dims[i];
    return dnnl_memory_desc_init_by_tag(out, t->ndim, dims, dnnl_f32, tags[t->ndim - 3]) == dnnl_success;
}

/* Kernels [spatial.., C / groups, F] as dims (G), O, I, spatial..; of conv_transpose [spatial.., F, C] as O, I, spatial... */
static bool kernel_desc(const request* q, const cn_type* t, const cn_conv_attr* a, bool transpose, dnnl_memory_desc_t* plain, dnnl_memory_desc_t* any) {
    int s = a->spatial, n = 0;
    int64_t last = t->dims[s + 1], inner = t->dims[s], stride = last * inner;
    dnnl_dims_t dims = {0}, strides = {0};

    (void)q;
    if (a->groups > 1) {
        dims[n] = a->groups;
        strides[n++] = last / a->groups;
    }
    dims[n] = transpose ? inner : last / a->groups;
    strides[n++] = transpose ? last : 1;
    dims[n] = transpose ? last : inner;
    strides[n++] = transpose ? 1 : last;
    for (int i = s - 1; i >= 0; i--) {
        dims[n + i] = t->dims[i];
        strides[n + i] = stride;
        stride *= t->dims[i];
    }
    return dnnl_memory_desc_init_by_strides(plain, n + s, dims, dnnl_f32, strides) == dnnl_success &&
           dnnl_memory_desc_init_by_tag(any, n + s, dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

static bool vector_desc(int64_t n, dnnl_memory_desc_t* out) {
    dnnl_dims_t dims = {n};
    return dnnl_memory_desc_init_by_tag(out, 1, dims, dnnl_f32, dnnl_a) == dnnl_success;
}

static cornu_status prepare_conv(request* q) {
    cn_cpu_executable* e = q->e;
    const cn_node* node = q->step->node;
    const cn_conv_attr* a = &node->attr.conv;
    const cn_type *x = cn_cpu_input_type(e, node, 0), *w = cn_cpu_input_type(e, node, 1), *y = cn_cpu_type(e, node);
    bool transpose = node->op == CN_OP_conv_transpose;
    dnnl_dims_t strides = {0}, dilation = {0}, low = {0}, high = {0};
    dnnl_convolution_desc_t conv;
    const dnnl_memory_desc_t* bias = q->has_bias ? &q->bias : NULL;

    if (cn_cpu_constant(e, node, 1) < 0) return CORNU_OK;
    if (!image_desc(x, &q->src) || !image_desc(y, &q->dst) || !kernel_desc(q, w, a, transpose, &q->plain, &q->weights)) return CORNU_OK;
    if (q->has_bias && !vector_desc(y->dims[y->ndim - 1], &q->bias)) return CORNU_OK;
    for (int i = 0; i < a->spatial; i++) {
        int64_t reach = (w->dims[i] - 1) * a->dilation[i] + 1, from = transpose ? y->dims[i + 1] : x->dims[i + 1], to = transpose ? x->dims[i + 1] : y->dims[i + 1];
        strides[i] = a->strides[i];
        dilation[i] = a->dilation[i] - 1;
        low[i] = a->pad_lo[i];
        high[i] = (to - 1) * a->strides[i] + reach - from - a->pad_lo[i]; /* cells that are reached, not those that are there */
        if (low[i] < 0) return CORNU_OK;
    }
    q->act = a->act;
    q->has_weights = q->packs = true;
    if (transpose) {
        if (dnnl_dilated_deconvolution_forward_desc_init(&conv, dnnl_forward_inference, dnnl_deconvolution_direct, &q->src, &q->weights,
                                                         bias, &q->dst, strides, dilation, low, high) != dnnl_success) {
            return CORNU_OK;
        }
    } else if (dnnl_dilated_convolution_forward_desc_init(&conv, dnnl_forward_inference, dnnl_convolution_direct, &q->src, &q->weights, bias,
                                                          &q->dst, strides, dilation, low, high) != dnnl_success) {
        return CORNU_OK;
    }
    return finish(q, &conv);
}

static cornu_status prepare_pool(request* q) {
    cn_cpu_executable* e = q->e;
    const cn_node* node = q->step->node;
    const cn_pool_attr* a = &node->attr.pool;
    const cn_type *x = cn_cpu_input_type(e, node, 0), *y = cn_cpu_type(e, node);
    dnnl_dims_t low = {0}, high = {0}, none = {0}, strides = {0}, sizes = {0};
    dnnl_pooling_v2_desc_t pool;

    if (a->kind == CN_POOL_MAX) return CORNU_OK; /* its largest of NaN and numbers is a number */
    if (!image_desc(x, &q->src) || !image_desc(y, &q->dst)) return CORNU_OK;
    for (int i = 0; i < a->spatial; i++) {
        strides[i] = a->strides[i];
        sizes[i] = a->window[i];
        low[i] = a->pad_lo[i];
        high[i] = (y->dims[i + 1] - 1) * a->strides[i] + a->window[i] - x->dims[i + 1] - a->pad_lo[i];
        if (low[i] >= a->window[i] || high[i] >= a->window[i]) return CORNU_OK;
    }
    if (dnnl_pooling_v2_forward_desc_init(&pool, dnnl_forward_inference, dnnl_pooling_avg_exclude_padding, &q->src, &q->dst, strides, sizes, none, low, high) != dnnl_success) {
        return CORNU_OK;
    }
    return finish(q, &pool);
}

/* Dims and strides of a matmul operand of the result's rank; false when its leading dims do not broadcast plainly. */
static bool matrix_desc(const cn_type* t, bool transposed, int ndim, dnnl_memory_desc_t* out) {
    dnnl_dims_t dims = {0}, strides = {0};
    int64_t stride = 1;

    for (int i = t->ndim - 1, k = ndim - 1; k >= 0; i--, k--) {
        dims[k] = i >= 0 ? t->dims[i] : 1;
        strides[k] = stride;
        stride *= dims[k];
    }
    if (transposed) {
        int64_t d = dims[ndim - 1], s = strides[ndim - 1];
        dims[ndim - 1] = dims[ndim - 2], strides[ndim - 1] = strides[ndim - 2];
        dims[ndim - 2] = d, strides[ndim - 2] = s;
    }
    return dnnl_memory_desc_init_by_strides(out, ndim, dims, dnnl_f32, strides) == dnnl_success;
}

static cornu_status prepare_matmul(request* q) {
    cn_cpu_executable* e = q->e;
    const cn_node* node = q->step->node;
    const cn_matmul_attr* a = &node->attr.matmul;
    cn_type x = *cn_cpu_input_type(e, node, 0), w = *cn_cpu_input_type(e, node, 1), y = *cn_cpu_type(e, node);
    int64_t columns = y.dims[y.ndim - 1];
    dnnl_matmul_desc_t matmul;
    bool flat = w.ndim == 2 && !a->transpose_a;

    if (flat) { /* the leading axes are more rows */
        y = (cn_type){y.dtype, 2, {cn_type_count(&y) / columns, columns}};
        x = (cn_type){x.dtype, 2, {cn_type_count(&x) / x.dims[x.ndim - 1], x.dims[x.ndim - 1]}};
    }
    if (!matrix_desc(&x, a->transpose_a, y.ndim, &q->src) || !matrix_desc(&w, a->transpose_b, y.ndim, &q->plain) || !matrix_desc(&y, false, y.ndim, &q->dst)) return CORNU_OK;
    q->weights = q->plain;
    q->packs = flat && cn_cpu_constant(e, node, 1) >= 0;
    if (q->packs && dnnl_memory_desc_init_by_tag(&q->weights, 2, q->plain.dims, dnnl_f32, dnnl_format_tag_any) != dnnl_success) return CORNU_OK;
    if (q->has_bias) {
        cn_type row = {CORNU_FLOAT32, y.ndim, {0}};
        for (int i = 0; i < y.ndim; i++) row.dims[i] = i == y.ndim - 1 ? columns : 1;
        if (!matrix_desc(&row, false, y.ndim, &q->bias)) return CORNU_OK;
    }
    q->act = a->act;
    q->has_weights = true;
    if (dnnl_matmul_desc_init(&matmul, &q->src, &q->weights, q->has_bias ? &q->bias : NULL, &q->dst) != dnnl_success) return CORNU_OK;
    return finish(q, &matmul);
}

cornu_status cn_cpu_prepare_dnnl(cn_cpu_executable* e, cn_cpu_step* step) {
    const cn_node* node = step->node;
    request q;

    if (!e->engine || !cn_cpu_is_float(e, node)) return CORNU_OK;
    memset(&q, 0, sizeof q);
    q.e = e;
    q.step = step;
    q.act.fn = CN_EW_copy;
    q.has_bias = node->op != CN_OP_pool && cn_cpu_input_type(e, node, 2) != NULL;
    q.residual = node->op != CN_OP_pool && cn_cpu_input_type(e, node, 3) != NULL;
    if (node->op == CN_OP_pool) return prepare_pool(&q);
    return node->op == CN_OP_matmul ? prepare_matmul(&q) : prepare_conv(&q);
}

#endif
