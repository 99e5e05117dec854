/* Descriptors of cuDNN's graph interface on host execution: one table says which attributes each kind has, of which
 * type and how many. What an attribute means is looked at when the descriptor is finalized. */
#include <string.h>

#include <algorithm>

#include "kernels/host/cudnn_parts.h"
#include "kernels/host/runtime.h"

#define MOST_DIMS 8
#define MOST_SPATIAL 6
#define MOST_OPERATIONS 64
#define MOST_POINTERS 64
#define UNFIT 4

namespace cn_dnn {

namespace {

struct kind_name {
    int kind;
    const char* name;
};
const kind_name kinds[] = {
    {CN_DNN_BACKEND_TENSOR_DESCRIPTOR, "TENSOR"},
    {CN_DNN_BACKEND_CONVOLUTION_DESCRIPTOR, "CONVOLUTION"},
    {CN_DNN_BACKEND_POINTWISE_DESCRIPTOR, "POINTWISE"},
    {CN_DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "OPERATION_CONVOLUTION_FORWARD"},
    {CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "OPERATION_POINTWISE"},
    {CN_DNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, "OPERATION_SDPA_FWD"},
    {CN_DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "OPERATIONGRAPH"},
    {CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "ENGINEHEUR"},
    {CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR, "ENGINECFG"},
    {CN_DNN_BACKEND_ENGINE_DESCRIPTOR, "ENGINE"},
    {CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "EXECUTION_PLAN"},
    {CN_DNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "VARIANT_PACK"},
};

const char* name_of(int kind) {
    for (const kind_name& k : kinds) {
        if (k.kind == kind) return k.name;
    }
    return nullptr;
}

/* An attribute that a caller sets. */
struct rule {
    int kind, attribute, type;
    int64_t least, most;
    bool needed;
    const char* name;
};
#define RULE(kind, attribute, type, least, most, needed) \
    { CN_DNN_BACKEND_##kind##_DESCRIPTOR, CN_DNN_ATTR_##attribute, CN_DNN_TYPE_##type, least, most, needed, #attribute }
const rule rules[] = {
    RULE(TENSOR, TENSOR_DATA_TYPE, DATA_TYPE, 1, 1, true),
    RULE(TENSOR, TENSOR_DIMENSIONS, INT64, 1, MOST_DIMS, true),
    RULE(TENSOR, TENSOR_STRIDES, INT64, 1, MOST_DIMS, true),
    RULE(TENSOR, TENSOR_UNIQUE_ID, INT64, 1, 1, true),
    RULE(TENSOR, TENSOR_BYTE_ALIGNMENT, INT64, 1, 1, true),
    RULE(TENSOR, TENSOR_IS_VIRTUAL, BOOLEAN, 1, 1, false),
    RULE(TENSOR, TENSOR_IS_BY_VALUE, BOOLEAN, 1, 1, false),
    RULE(CONVOLUTION, CONVOLUTION_SPATIAL_DIMS, INT64, 1, 1, true),
    RULE(CONVOLUTION, CONVOLUTION_COMP_TYPE, DATA_TYPE, 1, 1, true),
    RULE(CONVOLUTION, CONVOLUTION_CONV_MODE, CONVOLUTION_MODE, 1, 1, true),
    RULE(CONVOLUTION, CONVOLUTION_DILATIONS, INT64, 1, MOST_SPATIAL, true),
    RULE(CONVOLUTION, CONVOLUTION_FILTER_STRIDES, INT64, 1, MOST_SPATIAL, true),
    RULE(CONVOLUTION, CONVOLUTION_PRE_PADDINGS, INT64, 1, MOST_SPATIAL, true),
    RULE(CONVOLUTION, CONVOLUTION_POST_PADDINGS, INT64, 1, MOST_SPATIAL, true),
    RULE(POINTWISE, POINTWISE_MODE, POINTWISE_MODE, 1, 1, true),
    RULE(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE, 1, 1, true),
    RULE(POINTWISE, POINTWISE_NAN_PROPAGATION, NAN_PROPOGATION, 1, 1, false),
    RULE(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_ALPHA, FLOAT, 1, 1, true),
    RULE(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_BETA, FLOAT, 1, 1, true),
    RULE(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_CONV_DESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_X, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_W, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_Y, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_BDESC, BACKEND_DESCRIPTOR, 1, 1, false),
    RULE(OPERATION_POINTWISE, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_QDESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_KDESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_VDESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_ODESC, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_SCALEDESC, BACKEND_DESCRIPTOR, 1, 1, false),
    RULE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE, 1, 1, true),
    RULE(OPERATIONGRAPH, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, 1, MOST_OPERATIONS, true),
    RULE(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(ENGINEHEUR, ENGINEHEUR_MODE, HEUR_MODE, 1, 1, true),
    RULE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE, 1, 1, true),
    RULE(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, 1, true),
    RULE(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS, INT64, 1, MOST_POINTERS, true),
    RULE(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS, VOID_PTR, 1, MOST_POINTERS, true),
    RULE(VARIANT_PACK, VARIANT_PACK_WORKSPACE, VOID_PTR, 1, 1, true),
};

/* Bytes of an element, as the caller's array has them; enumerations are ints. */
size_t element_bytes(int type) {
    switch (type) {
        case CN_DNN_TYPE_BOOLEAN: return sizeof(bool);
        case CN_DNN_TYPE_INT64: return sizeof(int64_t);
        case CN_DNN_TYPE_HANDLE:
        case CN_DNN_TYPE_VOID_PTR:
        case CN_DNN_TYPE_BACKEND_DESCRIPTOR: return sizeof(void*);
        default: return sizeof(int);
    }
}

/* All that were made and not destroyed. */
struct table {
    std::mutex lock;
    std::map<const void*, std::shared_ptr<descriptor>> made;
};
table& descriptors() {
    static table* t = new table;
    return *t;
}

std::shared_ptr<descriptor> find(const void* d) {
    std::lock_guard<std::mutex> guard(descriptors().lock);
    auto found = descriptors().made.find(d);
    return found == descriptors().made.end() ? nullptr : found->second;
}

/* ---- reading attributes ---- */

template <typename T>
std::vector<T> values(const descriptor& d, int attribute) {
    auto found = d.set.find(attribute);
    std::vector<T> out;
    if (found == d.set.end()) return out;
    out.resize(static_cast<size_t>(found->second.count));
    for (size_t i = 0; i < out.size(); i++) memcpy(&out[i], &found->second.bytes[i * sizeof(T)], sizeof(T));
    return out;
}

template <typename T>
T value(const descriptor& d, int attribute, T otherwise = T()) {
    std::vector<T> all = values<T>(d, attribute);
    return all.empty() ? otherwise : all[0];
}

/* The descriptor that an attribute holds; null where it was not set. */
const descriptor* part(const descriptor& d, int attribute) {
    auto found = d.set.find(attribute);
    return found == d.set.end() ? nullptr : found->second.descriptors[0].get();
}

bool is_power_of_two(int64_t v) { return v > 0 && (v & (v - 1)) == 0; }

/* ---- finalizing, by kind ---- */

cn_dnn_status finalize_tensor(descriptor* d) {
    auto t = std::make_shared<tensor>();
    t->type = value<int>(*d, CN_DNN_ATTR_TENSOR_DATA_TYPE);
    t->dims = values<int64_t>(*d, CN_DNN_ATTR_TENSOR_DIMENSIONS);
    t->strides = values<int64_t>(*d, CN_DNN_ATTR_TENSOR_STRIDES);
    t->id = value<int64_t>(*d, CN_DNN_ATTR_TENSOR_UNIQUE_ID);
    t->alignment = value<int64_t>(*d, CN_DNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    t->is_virtual = value<unsigned char>(*d, CN_DNN_ATTR_TENSOR_IS_VIRTUAL) != 0;
    t->by_value = value<unsigned char>(*d, CN_DNN_ATTR_TENSOR_IS_BY_VALUE) != 0;
    if (size_of(t->type) == 0)
        return refuse(NOT_SUPPORTED_DATA_TYPE, "tensor %lld is of type %d", static_cast<long long>(t->id), t->type);
    if (t->dims.size() != t->strides.size())
        return refuse(BAD_PARAM, "tensor %lld has %zu dimensions and %zu strides", static_cast<long long>(t->id),
                      t->dims.size(), t->strides.size());
    for (size_t i = 0; i < t->dims.size(); i++) {
        if (t->dims[i] < 1 || t->strides[i] < 1) {
            return refuse(BAD_PARAM, "dimension %zu of tensor %lld is %lld with stride %lld", i,
                          static_cast<long long>(t->id), static_cast<long long>(t->dims[i]),
                          static_cast<long long>(t->strides[i]));
        }
    }
    if (!is_power_of_two(t->alignment) || t->alignment % static_cast<int64_t>(size_of(t->type)) != 0) {
        return refuse(BAD_PARAM, "an alignment of %lld bytes of tensor %lld", static_cast<long long>(t->alignment),
                      static_cast<long long>(t->id));
    }
    if (t->is_virtual && t->by_value)
        return refuse(BAD_PARAM, "tensor %lld is virtual and given by value", static_cast<long long>(t->id));
    if (t->by_value && extent(t->dims, t->strides) != 1)
        return refuse(BAD_PARAM, "tensor %lld is given by value but has several elements",
                      static_cast<long long>(t->id));
    d->as_tensor = t;
    return SUCCESS;
}

cn_dnn_status finalize_convolution(descriptor* d) {
    convolution c;
    size_t n = static_cast<size_t>(value<int64_t>(*d, CN_DNN_ATTR_CONVOLUTION_SPATIAL_DIMS));
    c.dilations = values<int64_t>(*d, CN_DNN_ATTR_CONVOLUTION_DILATIONS);
    c.strides = values<int64_t>(*d, CN_DNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    c.before = values<int64_t>(*d, CN_DNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    c.after = values<int64_t>(*d, CN_DNN_ATTR_CONVOLUTION_POST_PADDINGS);
    if (n != c.dilations.size() || n != c.strides.size() || n != c.before.size() || n != c.after.size()) {
        return refuse(BAD_PARAM,
                      "a convolution of %zu spatial axes with other counts of dilations, strides or paddings", n);
    }
    if (n != 2 && n != 3) return refuse(NOT_SUPPORTED, "a convolution of %zu spatial axes", n);
    for (size_t i = 0; i < n; i++) {
        if (c.dilations[i] < 1 || c.strides[i] < 1 || c.before[i] < 0 || c.after[i] < 0)
            return refuse(BAD_PARAM, "a dilation, stride or padding of axis %zu", i);
    }
    if (value<int>(*d, CN_DNN_ATTR_CONVOLUTION_CONV_MODE) != CN_DNN_CROSS_CORRELATION)
        return refuse(NOT_SUPPORTED, "a convolution whose filter is turned round");
    if (value<int>(*d, CN_DNN_ATTR_CONVOLUTION_COMP_TYPE) != CN_DNN_DATA_FLOAT)
        return refuse(NOT_SUPPORTED_DATA_TYPE, "a convolution that does not compute in float");
    d->as_convolution = c;
    return SUCCESS;
}

cn_dnn_status finalize_pointwise(descriptor* d) {
    d->mode = value<int>(*d, CN_DNN_ATTR_POINTWISE_MODE);
    d->keeps_nan = d->set.count(CN_DNN_ATTR_POINTWISE_NAN_PROPAGATION) > 0 &&
                   value<int>(*d, CN_DNN_ATTR_POINTWISE_NAN_PROPAGATION) == CN_DNN_PROPAGATE_NAN;
    if (d->mode != CN_DNN_POINTWISE_ADD && d->mode != CN_DNN_POINTWISE_MUL && d->mode != CN_DNN_POINTWISE_RELU_FWD) {
        return refuse(NOT_SUPPORTED, "a pointwise operation of mode %d", d->mode);
    }
    if (value<int>(*d, CN_DNN_ATTR_POINTWISE_MATH_PREC) != CN_DNN_DATA_FLOAT)
        return refuse(NOT_SUPPORTED_DATA_TYPE, "a pointwise operation that does not compute in float");
    return SUCCESS;
}

/* Takes the tensor that an attribute holds. */
cn_dnn_status take_tensor(const descriptor& d, int attribute, std::shared_ptr<const tensor>* out) {
    const descriptor* from = part(d, attribute);
    if (!from) return SUCCESS;
    if (from->kind != CN_DNN_BACKEND_TENSOR_DESCRIPTOR)
        return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a descriptor of %s where a TENSOR belongs", name_of(from->kind));
    *out = from->as_tensor;
    return SUCCESS;
}

cn_dnn_status take_tensors(const descriptor& d, const int (&attributes)[5], operation* op) {
    for (int i = 0; i < 4; i++) {
        cn_dnn_status st = attributes[i] < 0 ? SUCCESS : take_tensor(d, attributes[i], &op->in[i]);
        if (st != SUCCESS) return st;
    }
    return take_tensor(d, attributes[4], &op->out);
}

cn_dnn_status finalize_operation(descriptor* d) {
    auto op = std::make_shared<operation>();
    cn_dnn_status st;
    op->kind = d->kind;
    if (d->kind == CN_DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) {
        const descriptor* conv = part(*d, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
        if (conv->kind != CN_DNN_BACKEND_CONVOLUTION_DESCRIPTOR)
            return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a convolution without a descriptor of CONVOLUTION");
        op->conv = conv->as_convolution;
        if (value<float>(*d, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA) != 1 ||
            value<float>(*d, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA) != 0) {
            return refuse(NOT_SUPPORTED, "a convolution with another alpha than 1 or beta than 0");
        }
        st = take_tensors(*d,
                          {CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, -1,
                           -1, CN_DNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
                          op.get());
        if (st == SUCCESS) st = check_convolution(*op);
    } else if (d->kind == CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) {
        const descriptor* pointwise = part(*d, CN_DNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
        if (pointwise->kind != CN_DNN_BACKEND_POINTWISE_DESCRIPTOR)
            return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a pointwise operation without a descriptor of POINTWISE");
        op->mode = pointwise->mode;
        op->keeps_nan = pointwise->keeps_nan;
        st = take_tensors(*d,
                          {CN_DNN_ATTR_OPERATION_POINTWISE_XDESC, CN_DNN_ATTR_OPERATION_POINTWISE_BDESC, -1, -1,
                           CN_DNN_ATTR_OPERATION_POINTWISE_YDESC},
                          op.get());
        if (st == SUCCESS) st = check_pointwise(*op);
    } else {
        st = take_tensors(*d,
                          {CN_DNN_ATTR_OPERATION_SDPA_FWD_QDESC, CN_DNN_ATTR_OPERATION_SDPA_FWD_KDESC,
                           CN_DNN_ATTR_OPERATION_SDPA_FWD_VDESC, CN_DNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC,
                           CN_DNN_ATTR_OPERATION_SDPA_FWD_ODESC},
                          op.get());
        if (st == SUCCESS) st = check_attention(*op);
    }
    if (st == SUCCESS) d->as_operation = op;
    return st;
}

cn_dnn_status finalize_graph(descriptor* d) {
    auto g = std::make_shared<graph>();
    cn_dnn_handle_t handle = value<cn_dnn_handle_t>(*d, CN_DNN_ATTR_OPERATIONGRAPH_HANDLE);
    cn_dnn_status st = check_handle(handle);
    if (st != SUCCESS) return st;
    for (const auto& op : d->set[CN_DNN_ATTR_OPERATIONGRAPH_OPS].descriptors) {
        if (!op->as_operation)
            return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a descriptor of %s where an operation belongs",
                          name_of(op->kind));
        g->ops.push_back(*op->as_operation);
    }
    g->device = handle->device;
    st = check_graph(*g);
    if (st == SUCCESS) d->as_graph = g;
    return st;
}

cn_dnn_status finalize_heuristic(descriptor* d) {
    const descriptor* from = part(*d, CN_DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    if (!from->as_graph)
        return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a descriptor of %s where an OPERATIONGRAPH belongs",
                      name_of(from->kind));
    d->as_graph = from->as_graph;
    return engines_of(*d->as_graph, value<int>(*d, CN_DNN_ATTR_ENGINEHEUR_MODE), &d->engines);
}

cn_dnn_status finalize_plan(descriptor* d) {
    cn_dnn_handle_t handle = value<cn_dnn_handle_t>(*d, CN_DNN_ATTR_EXECUTION_PLAN_HANDLE);
    const descriptor* config = part(*d, CN_DNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    cn_dnn_status st = check_handle(handle);
    if (st != SUCCESS) return st;
    if (config->kind != CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR)
        return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a plan of a descriptor of %s", name_of(config->kind));
    if (config->as_graph->device != handle->device)
        return refuse(BAD_PARAM, "a plan for another device than that of its graph");
    if (!config->engines[0].builds)
        return decline(NOT_SUPPORTED, "the engine '%s' cannot be built", config->engines[0].name);
    d->as_graph = config->as_graph;
    d->engines = config->engines;
    return SUCCESS;
}

cn_dnn_status finalize_pack(descriptor* d) {
    std::vector<int64_t> ids = values<int64_t>(*d, CN_DNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    if (ids.size() != values<void*>(*d, CN_DNN_ATTR_VARIANT_PACK_DATA_POINTERS).size())
        return refuse(BAD_PARAM, "a variant pack of other counts of ids and pointers");
    if (std::set<int64_t>(ids.begin(), ids.end()).size() != ids.size())
        return refuse(BAD_PARAM_DUPLICATED_ENTRIES, "a variant pack names an id twice");
    return SUCCESS;
}

cn_dnn_status finalize(descriptor* d) {
    switch (d->kind) {
        case CN_DNN_BACKEND_TENSOR_DESCRIPTOR: return finalize_tensor(d);
        case CN_DNN_BACKEND_CONVOLUTION_DESCRIPTOR: return finalize_convolution(d);
        case CN_DNN_BACKEND_POINTWISE_DESCRIPTOR: return finalize_pointwise(d);
        case CN_DNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return finalize_graph(d);
        case CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return finalize_heuristic(d);
        case CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return finalize_plan(d);
        case CN_DNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return finalize_pack(d);
        case CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR:
        case CN_DNN_BACKEND_ENGINE_DESCRIPTOR:
            return refuse(NOT_SUPPORTED, "%s of the caller's own; they come from the heuristic", name_of(d->kind));
        default: return finalize_operation(d);
    }
}

/* ---- asking ---- */

/* Writes as many as there is room for. */
template <typename T>
cn_dnn_status answer(const std::vector<T>& from, int64_t room, int64_t* count, void* out) {
    for (size_t i = 0; i < from.size() && static_cast<int64_t>(i) < room; i++) static_cast<T*>(out)[i] = from[i];
    *count = static_cast<int64_t>(from.size());
    return SUCCESS;
}

/* Fills the caller's empty descriptors of that kind, each with one engine; count is of those that were filled. Asked
 * without room, the library counts candidates that turn out not to fit when they are asked for. */
cn_dnn_status answer_engines(const descriptor& d, int kind, int64_t room, int64_t* count, void* out) {
    for (size_t i = 0; i < d.engines.size() && static_cast<int64_t>(i) < room; i++) {
        std::shared_ptr<descriptor> to = find(static_cast<void**>(out)[i]);
        if (!to)
            return refuse(BAD_PARAM_NULL_POINTER,
                          "the caller has to create the descriptors that are filled; number %zu is none", i);
        if (to->kind != kind)
            return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "a descriptor of %s is to be filled, %s is wanted",
                          name_of(to->kind), name_of(kind));
        if (to->final)
            return refuse(BAD_PARAM, "the descriptor of %s that is to be filled is finalized", name_of(kind));
        to->as_graph = d.as_graph;
        to->engines = {d.engines[i]};
        to->final = true;
    }
    *count = std::min(room, static_cast<int64_t>(d.engines.size()));
    if (kind == CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR && room == 0)
        *count = static_cast<int64_t>(d.engines.size()) + UNFIT;
    return SUCCESS;
}

struct question {
    int kind, attribute, type;
};
const question questions[] = {
    {CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CN_DNN_ATTR_ENGINEHEUR_RESULTS, CN_DNN_TYPE_BACKEND_DESCRIPTOR},
    {CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR, CN_DNN_ATTR_ENGINECFG_ENGINE, CN_DNN_TYPE_BACKEND_DESCRIPTOR},
    {CN_DNN_BACKEND_ENGINE_DESCRIPTOR, CN_DNN_ATTR_ENGINE_NUMERICAL_NOTE, CN_DNN_TYPE_NUMERICAL_NOTE},
    {CN_DNN_BACKEND_ENGINE_DESCRIPTOR, CN_DNN_ATTR_ENGINE_BEHAVIOR_NOTE, CN_DNN_TYPE_BEHAVIOR_NOTE},
    {CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CN_DNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CN_DNN_TYPE_INT64},
};

/* ---- running ---- */

cn_dnn_status check_operand(const tensor& t, const void* address) {
    long long id = t.id;
    if (!address) return refuse(BAD_PARAM_NULL_POINTER, "tensor %lld has no memory", id);
    if (t.by_value)
        return cn_host::is_device(address, t.bytes())
                   ? refuse(BAD_PARAM, "tensor %lld is given by value, but lies on the device", id)
                   : SUCCESS;
    if (!cn_host::is_device(address, t.bytes()))
        return refuse(BAD_PARAM, "tensor %lld, %zu bytes at %p, does not lie in a block of the device", id, t.bytes(),
                      address);
    if (reinterpret_cast<uintptr_t>(address) % static_cast<uintptr_t>(t.alignment) != 0) {
        return refuse(BAD_PARAM_MISALIGNED_POINTER, "tensor %lld at %p is not aligned to %lld bytes as promised", id,
                      address, static_cast<long long>(t.alignment));
    }
    return SUCCESS;
}

/* A result may only lie where another summand of the same shape lies, element on element. */
cn_dnn_status check_apart(const graph& g, const memory& m, const std::vector<std::shared_ptr<const tensor>>& given) {
    const tensor& out = *g.ops.back().out;
    const void* y = m.at(out.id);
    for (const auto& t : given) {
        const void* x = m.at(t->id);
        if (t->id == out.id || t->by_value || !overlap(x, t->bytes(), y, out.bytes())) continue;
        bool summand = g.ops.back().kind == CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR &&
                       t->id != g.ops[0].in[0]->id && t->id != g.ops[0].in[1]->id;
        if (!summand || x != y || t->type != out.type || t->dims != out.dims || t->strides != out.strides) {
            return refuse(BAD_PARAM, "tensor %lld, the result, overlaps tensor %lld", static_cast<long long>(out.id),
                          static_cast<long long>(t->id));
        }
    }
    return SUCCESS;
}

cn_dnn_status check_workspace(const engine& e, void* workspace, const memory& m,
                              const std::vector<std::shared_ptr<const tensor>>& given) {
    size_t bytes = static_cast<size_t>(e.workspace);
    if (bytes == 0) return SUCCESS;
    if (!workspace) return refuse(BAD_PARAM_NULL_POINTER, "no workspace, of which the plan needs %zu bytes", bytes);
    if (!cn_host::is_device(workspace, bytes))
        return refuse(BAD_PARAM_SIZE_INSUFFICIENT,
                      "the workspace, %zu bytes at %p, does not lie in a block of the device", bytes, workspace);
    if (reinterpret_cast<uintptr_t>(workspace) % WORKSPACE_ALIGNMENT != 0)
        return refuse(BAD_PARAM_MISALIGNED_POINTER, "the workspace at %p is not aligned to %d bytes", workspace,
                      WORKSPACE_ALIGNMENT);
    for (const auto& t : given) {
        if (!t->by_value && overlap(workspace, bytes, m.at(t->id), t->bytes()))
            return refuse(BAD_PARAM, "the workspace overlaps tensor %lld", static_cast<long long>(t->id));
    }
    return SUCCESS;
}

/* What the pack gives to each tensor of the graph. */
cn_dnn_status take_memory(const descriptor& pack, const std::vector<std::shared_ptr<const tensor>>& given,
                          memory* out) {
    std::vector<int64_t> ids = values<int64_t>(pack, CN_DNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    std::vector<void*> addresses = values<void*>(pack, CN_DNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (size_t i = 0; i < ids.size(); i++) (*out)[ids[i]] = addresses[i];
    for (const auto& t : given) {
        if (!out->count(t->id))
            return refuse(BAD_PARAM, "the variant pack has no memory for tensor %lld", static_cast<long long>(t->id));
        cn_dnn_status st = check_operand(*t, out->at(t->id));
        if (st != SUCCESS) return st;
    }
    if (out->size() != given.size())
        return refuse(BAD_PARAM,
                      "the variant pack has memory for a tensor that the graph does not have, or that is virtual");
    return SUCCESS;
}

}  // namespace

long descriptor_count() {
    std::lock_guard<std::mutex> guard(descriptors().lock);
    return static_cast<long>(descriptors().made.size());
}

}  // namespace cn_dnn

using namespace cn_dnn;

cn_dnn_status cudnnBackendCreateDescriptor(int kind, cn_dnn_descriptor* out) {
    if (!out) return refuse(BAD_PARAM_NULL_POINTER, "no place for the descriptor");
    *out = nullptr;
    if (!name_of(kind)) return refuse(NOT_SUPPORTED, "a descriptor of kind %d", kind);
    auto d = std::make_shared<descriptor>();
    d->kind = kind;
    *out = d.get();
    std::lock_guard<std::mutex> guard(descriptors().lock);
    descriptors().made[*out] = d;
    return SUCCESS;
}

cn_dnn_status cudnnBackendDestroyDescriptor(cn_dnn_descriptor d) {
    std::shared_ptr<descriptor> last; /* goes outside of the lock */
    {
        std::lock_guard<std::mutex> guard(descriptors().lock);
        auto found = descriptors().made.find(d);
        if (found != descriptors().made.end()) {
            last = found->second;
            descriptors().made.erase(found);
        }
    }
    return last ? SUCCESS : refuse(BAD_PARAM, "a descriptor that is none");
}

cn_dnn_status cudnnBackendSetAttribute(cn_dnn_descriptor handle, int attribute, int type, int64_t count,
                                       const void* values) {
    std::shared_ptr<descriptor> d = find(handle);
    const rule* r = nullptr;
    cn_dnn::attribute set;
    if (!d) return refuse(BAD_PARAM_NULL_POINTER, "an attribute of a descriptor that is none");
    if (d->final)
        return refuse(BAD_PARAM, "attribute %d is set after the descriptor of %s was finalized", attribute,
                      name_of(d->kind));
    for (const rule& candidate : rules) {
        if (candidate.kind == d->kind && candidate.attribute == attribute) r = &candidate;
    }
    if (!r)
        return refuse(BAD_PARAM, "a descriptor of %s has no attribute %d that can be set, or it is not supported here",
                      name_of(d->kind), attribute);
    if (type != r->type)
        return refuse(BAD_PARAM_ATTRIBUTE_TYPE, "%s is given as type %d, not %d", r->name, type, r->type);
    if (count < r->least || count > r->most)
        return refuse(BAD_PARAM, "%lld elements of %s", static_cast<long long>(count), r->name);
    if (!values) return refuse(BAD_PARAM_NULL_POINTER, "no elements of %s", r->name);
    set.type = type;
    set.count = count;
    set.bytes.assign(static_cast<const unsigned char*>(values),
                     static_cast<const unsigned char*>(values) + static_cast<size_t>(count) * element_bytes(type));
    for (int64_t i = 0; type == CN_DNN_TYPE_BACKEND_DESCRIPTOR && i < count; i++) {
        std::shared_ptr<descriptor> element = find(static_cast<void* const*>(values)[i]);
        if (!element) return refuse(BAD_PARAM_NULL_POINTER, "%s is no descriptor", r->name);
        if (!element->final) return refuse(BAD_PARAM_NOT_FINALIZED, "%s is not finalized", r->name);
        set.descriptors.push_back(element);
    }
    d->set[attribute] = set;
    return SUCCESS;
}

cn_dnn_status cudnnBackendGetAttribute(cn_dnn_descriptor handle, int attribute, int type, int64_t room, int64_t* count,
                                       void* values) {
    std::shared_ptr<descriptor> d = find(handle);
    const question* q = nullptr;
    if (!d) return refuse(BAD_PARAM_NULL_POINTER, "an attribute of a descriptor that is none is asked for");
    if (!d->final)
        return refuse(NOT_INITIALIZED, "attribute %d of a descriptor of %s that is not finalized is asked for",
                      attribute, name_of(d->kind));
    for (const question& candidate : questions) {
        if (candidate.kind == d->kind && candidate.attribute == attribute) q = &candidate;
    }
    if (!q)
        return refuse(NOT_SUPPORTED, "attribute %d of a descriptor of %s is asked for", attribute, name_of(d->kind));
    if (type != q->type)
        return refuse(BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d is asked for as type %d, not %d", attribute, type,
                      q->type);
    if (!count || room < 0 || (room > 0 && !values))
        return refuse(BAD_PARAM_NULL_POINTER, "no place for the elements of attribute %d or their count", attribute);
    switch (attribute) {
        case CN_DNN_ATTR_ENGINEHEUR_RESULTS:
            return answer_engines(*d, CN_DNN_BACKEND_ENGINECFG_DESCRIPTOR, room, count, values);
        case CN_DNN_ATTR_ENGINECFG_ENGINE:
            return answer_engines(*d, CN_DNN_BACKEND_ENGINE_DESCRIPTOR, room, count, values);
        case CN_DNN_ATTR_ENGINE_NUMERICAL_NOTE: return answer(d->engines[0].numerical, room, count, values);
        case CN_DNN_ATTR_ENGINE_BEHAVIOR_NOTE: return answer(d->engines[0].behavior, room, count, values);
        default: return answer(std::vector<int64_t>{d->engines[0].workspace}, room, count, values);
    }
}

cn_dnn_status cudnnBackendFinalize(cn_dnn_descriptor handle) {
    std::shared_ptr<descriptor> d = find(handle);
    if (!d) return refuse(BAD_PARAM_NULL_POINTER, "a descriptor that is none is finalized");
    if (d->final) return refuse(BAD_PARAM, "a descriptor of %s is finalized twice", name_of(d->kind));
    for (const rule& r : rules) {
        if (r.kind == d->kind && r.needed && !d->set.count(r.attribute))
            return refuse(BAD_PARAM, "%s lacks %s", name_of(d->kind), r.name);
    }
    cn_dnn_status st = finalize(d.get());
    d->final = st == SUCCESS;
    return st;
}

cn_dnn_status cudnnBackendExecute(cn_dnn_handle_t handle, cn_dnn_descriptor plan_handle,
                                  cn_dnn_descriptor pack_handle) {
    std::shared_ptr<descriptor> plan = find(plan_handle), pack = find(pack_handle);
    memory m;
    std::vector<cn_host::use> uses;
    std::map<int64_t, std::vector<char>> by_value;
    cn_dnn_status st = check_handle(handle);
    if (st != SUCCESS) return st;
    if (!plan || !pack) return refuse(BAD_PARAM_NULL_POINTER, "a plan or a variant pack that is none");
    if (plan->kind != CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
        pack->kind != CN_DNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
        return refuse(BAD_PARAM_DESCRIPTOR_TYPE, "descriptors of %s and %s are run", name_of(plan->kind),
                      name_of(pack->kind));
    }
    if (!plan->final || !pack->final)
        return refuse(BAD_PARAM_NOT_FINALIZED, "a plan or a variant pack that is not finalized is run");
    if (plan->as_graph->device != handle->device)
        return refuse(BAD_PARAM, "a plan of device %d is run by a handle of device %d", plan->as_graph->device,
                      handle->device);
    if (!handle->stream)
        return refuse(BAD_PARAM_STREAM_MISMATCH, "the handle has no stream, and there is no default one");
    std::vector<std::shared_ptr<const tensor>> given = plan->as_graph->given();
    void* workspace = value<void*>(*pack, CN_DNN_ATTR_VARIANT_PACK_WORKSPACE);
    engine e = plan->engines[0];
    st = take_memory(*pack, given, &m);
    if (st == SUCCESS) st = check_apart(*plan->as_graph, m, given);
    if (st == SUCCESS) st = check_workspace(e, workspace, m, given);
    if (st != SUCCESS) return st;
    for (const auto& t : given) {
        const char* at = static_cast<const char*>(m.at(t->id));
        if (t->by_value) by_value[t->id].assign(at, at + t->bytes());
        else uses.push_back({at, 1});
    }
    if (e.workspace > 0) uses.push_back({workspace, 1});
    std::shared_ptr<const graph> g = plan->as_graph;
    return status_of(
        cn_host::enqueue(handle->stream, "cudnnBackendExecute", std::move(uses), [g, e, m, by_value, workspace] {
            memory now = m;
            for (const auto& v : by_value) now[v.first] = const_cast<char*>(v.second.data());
            if (e.workspace > 0) memset(workspace, 0xFF, static_cast<size_t>(e.workspace));
            run_graph(*g, e, now);
            return cudaSuccess;
        }));
}
