/* Graphs are made of descriptors: each is created, given attributes and finalized, and then read by the next.
 *
 *     x, w -> convolution -> (+ residual) -> (+ bias) -> (relu) -> y
 *
 *     Only in this order are there plans that need no compiler; residual and relu only with a bias.
 *
 *     graph -> heuristics -> configurations of engines -> those whose notes are acceptable -> plans */
#include "backend/cuda/cudnn_graph.h"

#include <string.h>

#include "base/dtype.h"

#define ALIGNMENT 16 /* of all memory, promised */
#define MOST_DIMS 5
#define MOST_OPERATIONS 4
#define MOST_CONFIGURATIONS 24

/* ---- descriptors ---- */

static cornu_status create(cn_dnn_graph* g, int kind, cn_dnn_descriptor* out) {
    if (g->part_count == CN_DNN_PARTS)
        return CN_FAIL(UNSUPPORTED, "a graph of cuDNN has more than %d parts", CN_DNN_PARTS);
    CN_TRY(CN_DNN_OK(g->calls->BackendCreateDescriptor(kind, out)));
    g->parts[g->part_count++] = *out;
    return CORNU_OK;
}

static cornu_status set(const cn_dnn_graph* g, cn_dnn_descriptor d, int attribute, int type, int64_t count,
                        const void* values) {
    return CN_DNN_OK(g->calls->BackendSetAttribute(d, attribute, type, count, values));
}

static cornu_status set_part(const cn_dnn_graph* g, cn_dnn_descriptor d, int attribute, cn_dnn_descriptor part) {
    return set(g, d, attribute, CN_DNN_TYPE_BACKEND_DESCRIPTOR, 1, &part);
}

static cornu_status finalize(const cn_dnn_graph* g, cn_dnn_descriptor d) {
    return CN_DNN_OK(g->calls->BackendFinalize(d));
}

int cn_dnn_data_type(int dtype) {
    return dtype == CORNU_FLOAT16    ? CN_DNN_DATA_HALF
           : dtype == CORNU_BFLOAT16 ? CN_DNN_DATA_BFLOAT16
                                     : CN_DNN_DATA_FLOAT;
}

/* A tensor as cuDNN counts it: batch, channels, then space; where each of them lies is said by strides. */
typedef struct shape {
    int ndim;
    int64_t dims[MOST_DIMS], strides[MOST_DIMS];
} shape;

/* Memory with the channels last: strides of [n, c, cells...]. */
static shape channels_last(int64_t n, int64_t c, const int64_t* space, int spatial) {
    shape s = {.ndim = spatial + 2};
    int64_t step = c;

    s.dims[0] = n;
    s.dims[1] = c;
    s.strides[1] = 1;
    for (int d = spatial - 1; d >= 0; d--) {
        s.dims[2 + d] = space[d];
        s.strides[2 + d] = step;
        step *= space[d];
    }
    s.strides[0] = step;
    return s;
}

static cornu_status make_tensor(cn_dnn_graph* g, int64_t id, int type, const shape* s, cn_dnn_descriptor* out) {
    int64_t alignment = ALIGNMENT;
    bool is_virtual = id >= CN_DNN_VIRTUAL, by_value = id == CN_DNN_SCALE;

    CN_TRY(create(g, CN_DNN_BACKEND_TENSOR_DESCRIPTOR, out));
    CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_DATA_TYPE, CN_DNN_TYPE_DATA_TYPE, 1, &type));
    CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_DIMENSIONS, CN_DNN_TYPE_INT64, s->ndim, s->dims));
    CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_STRIDES, CN_DNN_TYPE_INT64, s->ndim, s->strides));
    CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_UNIQUE_ID, CN_DNN_TYPE_INT64, 1, &id));
    CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_BYTE_ALIGNMENT, CN_DNN_TYPE_INT64, 1, &alignment));
    if (is_virtual) CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_IS_VIRTUAL, CN_DNN_TYPE_BOOLEAN, 1, &is_virtual));
    if (by_value) CN_TRY(set(g, *out, CN_DNN_ATTR_TENSOR_IS_BY_VALUE, CN_DNN_TYPE_BOOLEAN, 1, &by_value));
    return finalize(g, *out);
}

static cornu_status make_graph(const cn_dnn_target* target, cn_dnn_graph* g, const cn_dnn_descriptor* operations,
                               int count) {
    CN_TRY(create(g, CN_DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &g->graph));
    CN_TRY(set(g, g->graph, CN_DNN_ATTR_OPERATIONGRAPH_OPS, CN_DNN_TYPE_BACKEND_DESCRIPTOR, count, operations));
    if (target->handle)
        CN_TRY(set(g, g->graph, CN_DNN_ATTR_OPERATIONGRAPH_HANDLE, CN_DNN_TYPE_HANDLE, 1, &target->handle));
    return finalize(g, g->graph);
}

/* ---- convolutions ---- */

/* Lists of operations; each reads what the one before wrote. */
typedef struct chain {
    cn_dnn_graph* g;
    cn_dnn_descriptor operations[MOST_OPERATIONS];
    int count, left; /* those that follow: the last writes y, the others what nobody sees */
    int type;
    shape y;
    cn_dnn_descriptor last; /* what was written last */
} chain;

static cornu_status make_next(chain* c, cn_dnn_descriptor* out) {
    bool is_last = c->left == 1;
    return make_tensor(c->g, is_last ? CN_DNN_Y : CN_DNN_VIRTUAL + c->left, is_last ? c->type : CN_DNN_DATA_FLOAT,
                       &c->y, out);
}

static cornu_status add_convolution(chain* c, const cn_conv_args* a, int spatial, cn_dnn_descriptor x,
                                    cn_dnn_descriptor w) {
    cn_dnn_graph* g = c->g;
    cn_dnn_descriptor kind, *operation = &c->operations[c->count], y;
    int64_t count = spatial, after[3];
    int first = 3 - spatial, sums = CN_DNN_DATA_FLOAT, mode = CN_DNN_CROSS_CORRELATION;
    float one = 1, zero = 0;

    for (int d = 0; d < 3; d++) {
        after[d] =
            (a->y_dims[d] - 1) * a->strides[d] + (a->k_dims[d] - 1) * a->dilation[d] + 1 - a->x_dims[d] - a->pad[d];
        if (after[d] < 0) after[d] = 0; /* cells that no window reaches */
    }
    CN_TRY(create(g, CN_DNN_BACKEND_CONVOLUTION_DESCRIPTOR, &kind));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CN_DNN_TYPE_INT64, 1, &count));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_COMP_TYPE, CN_DNN_TYPE_DATA_TYPE, 1, &sums));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_CONV_MODE, CN_DNN_TYPE_CONVOLUTION_MODE, 1, &mode));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_PRE_PADDINGS, CN_DNN_TYPE_INT64, spatial, a->pad + first));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_POST_PADDINGS, CN_DNN_TYPE_INT64, spatial, after + first));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_FILTER_STRIDES, CN_DNN_TYPE_INT64, spatial, a->strides + first));
    CN_TRY(set(g, kind, CN_DNN_ATTR_CONVOLUTION_DILATIONS, CN_DNN_TYPE_INT64, spatial, a->dilation + first));
    CN_TRY(finalize(g, kind));
    CN_TRY(make_next(c, &y));
    CN_TRY(create(g, CN_DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, operation));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, kind));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y));
    CN_TRY(set(g, *operation, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CN_DNN_TYPE_FLOAT, 1, &one));
    CN_TRY(set(g, *operation, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CN_DNN_TYPE_FLOAT, 1, &zero));
    CN_TRY(finalize(g, *operation));
    c->last = y;
    c->left--;
    c->count++;
    return CORNU_OK;
}

/* b: the other operand, NULL for functions of one. */
static cornu_status add_pointwise(chain* c, int mode, cn_dnn_descriptor b) {
    cn_dnn_graph* g = c->g;
    cn_dnn_descriptor kind, *operation = &c->operations[c->count], y;
    int precision = CN_DNN_DATA_FLOAT, nan = CN_DNN_PROPAGATE_NAN; /* relu of NaN is NaN; the library would make it 0 */

    CN_TRY(create(g, CN_DNN_BACKEND_POINTWISE_DESCRIPTOR, &kind));
    CN_TRY(set(g, kind, CN_DNN_ATTR_POINTWISE_MODE, CN_DNN_TYPE_POINTWISE_MODE, 1, &mode));
    CN_TRY(set(g, kind, CN_DNN_ATTR_POINTWISE_MATH_PREC, CN_DNN_TYPE_DATA_TYPE, 1, &precision));
    if (!b) CN_TRY(set(g, kind, CN_DNN_ATTR_POINTWISE_NAN_PROPAGATION, CN_DNN_TYPE_NAN_PROPOGATION, 1, &nan));
    CN_TRY(finalize(g, kind));
    CN_TRY(make_next(c, &y));
    CN_TRY(create(g, CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, operation));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_POINTWISE_XDESC, c->last));
    if (b) CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_POINTWISE_BDESC, b));
    CN_TRY(set_part(g, *operation, CN_DNN_ATTR_OPERATION_POINTWISE_YDESC, y));
    CN_TRY(finalize(g, *operation));
    c->last = y;
    c->left--;
    c->count++;
    return CORNU_OK;
}

static cornu_status make_conv(const cn_dnn_target* target, const cn_conv_args* a, bool bias, bool residual, bool relu,
                              cn_dnn_graph* g) {
    static const int64_t ones[3] = {1, 1, 1};
    const bool flat =
        a->x_dims[0] == 1 && a->k_dims[0] == 1 && a->y_dims[0] == 1 && a->pad[0] == 0; /* else the slice is padding */
    const int spatial = flat ? 2 : 3, first = 3 - spatial, type = cn_dnn_data_type(a->dtype);
    chain c = {.g = g,
               .left = 1 + bias + residual + relu,
               .type = type,
               .y = channels_last(a->batch, a->filters, a->y_dims + first, spatial)};
    shape x = channels_last(a->batch, a->channels, a->x_dims + first, spatial),
          w = channels_last(a->filters, a->channels / a->groups, a->k_dims + first, spatial);
    shape b = channels_last(1, a->filters, ones, spatial);
    cn_dnn_descriptor x_tensor, w_tensor, other;

    CN_TRY(make_tensor(g, CN_DNN_X, type, &x, &x_tensor));
    CN_TRY(make_tensor(g, CN_DNN_W, type, &w, &w_tensor));
    CN_TRY(add_convolution(&c, a, spatial, x_tensor, w_tensor));
    if (residual) {
        CN_TRY(make_tensor(g, CN_DNN_RESIDUAL, type, &c.y, &other));
        CN_TRY(add_pointwise(&c, CN_DNN_POINTWISE_ADD, other));
    }
    if (bias) {
        CN_TRY(make_tensor(g, CN_DNN_BIAS, type, &b, &other));
        CN_TRY(add_pointwise(&c, CN_DNN_POINTWISE_ADD, other));
    }
    if (relu) CN_TRY(add_pointwise(&c, CN_DNN_POINTWISE_RELU_FWD, NULL));
    return make_graph(target, g, c.operations, c.count);
}

cornu_status cn_dnn_conv_graph(const cn_dnn_target* target, const cn_conv_args* a, bool bias, bool residual, bool relu,
                               cn_dnn_graph* out) {
    cornu_status st;

    *out = (cn_dnn_graph){.calls = target->calls};
    st = make_conv(target, a, bias, residual, relu, out);
    if (st != CORNU_OK) cn_dnn_graph_deinit(out);
    return st;
}

/* ---- attention ---- */

static shape dense4(int64_t a, int64_t b, int64_t c, int64_t d) {
    return (shape){4, {a, b, c, d}, {b * c * d, c * d, d, 1}};
}

static cornu_status make_attention(const cn_dnn_target* target, const cn_dnn_attention* a, cn_dnn_graph* g) {
    int type = cn_dnn_data_type(a->dtype);
    shape q = dense4(a->batch, a->heads, a->queries, a->depth), k = dense4(a->batch, a->kv_heads, a->keys, a->depth);
    shape v = dense4(a->batch, a->kv_heads, a->keys, a->width), y = dense4(a->batch, a->heads, a->queries, a->width),
          one = dense4(1, 1, 1, 1);
    cn_dnn_descriptor operation, tensors[5];

    CN_TRY(make_tensor(g, CN_DNN_Q, type, &q, &tensors[0]));
    CN_TRY(make_tensor(g, CN_DNN_K, type, &k, &tensors[1]));
    CN_TRY(make_tensor(g, CN_DNN_V, type, &v, &tensors[2]));
    CN_TRY(make_tensor(g, CN_DNN_SCALE, CN_DNN_DATA_FLOAT, &one, &tensors[3]));
    CN_TRY(make_tensor(g, CN_DNN_Y, type, &y, &tensors[4]));
    CN_TRY(create(g, CN_DNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, &operation));
    CN_TRY(set_part(g, operation, CN_DNN_ATTR_OPERATION_SDPA_FWD_QDESC, tensors[0]));
    CN_TRY(set_part(g, operation, CN_DNN_ATTR_OPERATION_SDPA_FWD_KDESC, tensors[1]));
    CN_TRY(set_part(g, operation, CN_DNN_ATTR_OPERATION_SDPA_FWD_VDESC, tensors[2]));
    CN_TRY(set_part(g, operation, CN_DNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, tensors[3]));
    CN_TRY(set_part(g, operation, CN_DNN_ATTR_OPERATION_SDPA_FWD_ODESC, tensors[4]));
    CN_TRY(finalize(g, operation));
    return make_graph(target, g, &operation, 1);
}

cornu_status cn_dnn_attention_graph(const cn_dnn_target* target, const cn_dnn_attention* a, cn_dnn_graph* out) {
    cornu_status st;

    *out = (cn_dnn_graph){.calls = target->calls};
    st = make_attention(target, a, out);
    if (st != CORNU_OK) cn_dnn_graph_deinit(out);
    return st;
}

/* ---- plans ---- */

static bool is_acceptable(int note) {
    switch (note) {
        case CN_DNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        case CN_DNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CN_DNN_NUMERICAL_NOTE_FFT:
        case CN_DNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CN_DNN_NUMERICAL_NOTE_WINOGRAD:
        case CN_DNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
        case CN_DNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
        case CN_DNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return false;
        default: return true;
    }
}

/* Whether the engine of a configuration is one to be used, by what it says of itself. */
static cornu_status check_engine(const cn_cudnn_calls* calls, cn_dnn_descriptor engine, cn_dnn_descriptor configuration,
                                 bool compiled, bool* is) {
    int notes[CN_DNN_NUMERICAL_NOTE_TYPE_COUNT], behaviour[CN_DNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t count = 0;

    *is = true;
    CN_TRY(CN_DNN_OK(calls->BackendGetAttribute(configuration, CN_DNN_ATTR_ENGINECFG_ENGINE,
                                                CN_DNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine)));
    CN_TRY(CN_DNN_OK(calls->BackendGetAttribute(engine, CN_DNN_ATTR_ENGINE_NUMERICAL_NOTE, CN_DNN_TYPE_NUMERICAL_NOTE,
                                                CN_DNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes)));
    for (int64_t i = 0; i < count && i < CN_DNN_NUMERICAL_NOTE_TYPE_COUNT; i++) *is = *is && is_acceptable(notes[i]);
    CN_TRY(CN_DNN_OK(calls->BackendGetAttribute(engine, CN_DNN_ATTR_ENGINE_BEHAVIOR_NOTE, CN_DNN_TYPE_BEHAVIOR_NOTE,
                                                CN_DNN_BEHAVIOR_NOTE_TYPE_COUNT, &count, behaviour)));
    for (int64_t i = 0; i < count && i < CN_DNN_BEHAVIOR_NOTE_TYPE_COUNT; i++) {
        *is = *is && (compiled || behaviour[i] != CN_DNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
    }
    return CORNU_OK;
}

static cornu_status make_plan(const cn_dnn_target* target, cn_dnn_graph* g, cn_dnn_descriptor configuration,
                              cn_dnn_descriptor* plan, int64_t* workspace) {
    int64_t count;

    CN_TRY(create(g, CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, plan));
    if (target->handle)
        CN_TRY(set(g, *plan, CN_DNN_ATTR_EXECUTION_PLAN_HANDLE, CN_DNN_TYPE_HANDLE, 1, &target->handle));
    else CN_TRY(set_part(g, *plan, CN_DNN_ATTR_EXECUTION_PLAN_DEVICEPROP, target->device));
    CN_TRY(set_part(g, *plan, CN_DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration));
    CN_TRY(finalize(g, *plan));
    return CN_DNN_OK(g->calls->BackendGetAttribute(*plan, CN_DNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CN_DNN_TYPE_INT64,
                                                   1, &count, workspace));
}

/* Makes a plan of a configuration, which it takes over, unless it cannot be made or wants too much memory. */
static cornu_status try_configuration(const cn_dnn_target* target, const cn_dnn_limits* limits, cn_dnn_graph* g,
                                      cn_dnn_descriptor configuration) {
    cn_dnn_descriptor engine, plan = NULL;
    int64_t workspace = -1;
    int parts = g->part_count;
    bool is = false;
    cornu_status st;

    g->parts[g->part_count++] = configuration;
    st = create(g, CN_DNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    if (st == CORNU_OK) st = check_engine(g->calls, engine, configuration, limits->compiled, &is);
    if (st == CORNU_OK && is) st = make_plan(target, g, configuration, &plan, &workspace);
    if (st == CORNU_OK && workspace >= 0 && (uint64_t)workspace <= limits->workspace_bytes) {
        g->workspace_bytes[g->plan_count] = (uint64_t)workspace;
        g->plans[g->plan_count++] = plan;
        return CORNU_OK;
    }
    while (g->part_count > parts) (void)g->calls->BackendDestroyDescriptor(g->parts[--g->part_count]);
    return st == CORNU_NO_MEMORY || st == CORNU_DEVICE_LOST ? st
                                                            : CORNU_OK; /* one engine's failure is not the others' */
}

/* Those of one kind of heuristics. */
static cornu_status ask(const cn_dnn_target* target, const cn_dnn_limits* limits, int mode, cn_dnn_graph* g) {
    const cn_cudnn_calls* calls = g->calls;
    cn_dnn_descriptor heuristics, configurations[MOST_CONFIGURATIONS] = {0};
    int64_t count = 0;
    int made = 0;
    cornu_status st = CORNU_OK;

    CN_TRY(create(g, CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
    CN_TRY(set_part(g, heuristics, CN_DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g->graph));
    CN_TRY(set(g, heuristics, CN_DNN_ATTR_ENGINEHEUR_MODE, CN_DNN_TYPE_HEUR_MODE, 1, &mode));
    if (!target->handle) CN_TRY(set_part(g, heuristics, CN_DNN_ATTR_ENGINEHEUR_DEVICEPROP, target->device));
    CN_TRY(finalize(g, heuristics));
    for (; made < MOST_CONFIGURATIONS; made++) {
        CN_STEP(CN_DNN_OK(calls->BackendCreateDescriptor(CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR, &configurations[made])));
    }
    CN_STEP(CN_DNN_OK(calls->BackendGetAttribute(heuristics, CN_DNN_ATTR_ENGINEHEUR_RESULTS,
                                                 CN_DNN_TYPE_BACKEND_DESCRIPTOR, made, &count, configurations)));
    for (int i = 0; i < made && i < count && g->plan_count < limits->plans; i++) {
        cn_dnn_descriptor configuration = configurations[i];
        configurations[i] = NULL;
        CN_STEP(try_configuration(target, limits, g, configuration));
    }
done:
    for (int i = 0; i < made; i++) {
        if (configurations[i]) (void)calls->BackendDestroyDescriptor(configurations[i]);
    }
    return st;
}

cornu_status cn_dnn_find_plans(const cn_dnn_target* target, const cn_dnn_limits* limits, cn_dnn_graph* graph) {
    cornu_status st = ask(target, limits, CN_DNN_HEUR_MODE_A, graph);

    if (st != CORNU_OK && st != CORNU_UNSUPPORTED) return st;
    if (graph->plan_count > 0) return CORNU_OK;
    st = ask(target, limits, CN_DNN_HEUR_MODE_FALLBACK, graph);
    return st == CORNU_UNSUPPORTED ? CORNU_OK : st;
}

cornu_status cn_dnn_execute(const cn_dnn_graph* graph, cn_dnn_handle_t handle, int plan, const cn_dnn_binding* bindings,
                            int count, void* workspace) {
    const cn_cudnn_calls* calls = graph->calls;
    cn_dnn_descriptor pack = NULL;
    int64_t ids[CN_DNN_VIRTUAL];
    const void* addresses[CN_DNN_VIRTUAL];
    int bound = 0;
    cornu_status st = CORNU_OK;

    for (int i = 0; i < count && bound < CN_DNN_VIRTUAL; i++) {
        if (!bindings[i].address) continue;
        ids[bound] = bindings[i].id;
        addresses[bound++] = bindings[i].address;
    }
    CN_STEP(CN_DNN_OK(calls->BackendCreateDescriptor(CN_DNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack)));
    CN_STEP(CN_DNN_OK(
        calls->BackendSetAttribute(pack, CN_DNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CN_DNN_TYPE_INT64, bound, ids)));
    CN_STEP(CN_DNN_OK(calls->BackendSetAttribute(pack, CN_DNN_ATTR_VARIANT_PACK_DATA_POINTERS, CN_DNN_TYPE_VOID_PTR,
                                                 bound, addresses)));
    CN_STEP(CN_DNN_OK(
        calls->BackendSetAttribute(pack, CN_DNN_ATTR_VARIANT_PACK_WORKSPACE, CN_DNN_TYPE_VOID_PTR, 1, &workspace)));
    CN_STEP(CN_DNN_OK(calls->BackendFinalize(pack)));
    CN_STEP(CN_DNN_OK(calls->BackendExecute(handle, graph->plans[plan], pack)));
done:
    if (pack) (void)calls->BackendDestroyDescriptor(pack);
    return st;
}

void cn_dnn_graph_deinit(cn_dnn_graph* graph) {
    while (graph->part_count > 0) (void)graph->calls->BackendDestroyDescriptor(graph->parts[--graph->part_count]);
    *graph = (cn_dnn_graph){0};
}
