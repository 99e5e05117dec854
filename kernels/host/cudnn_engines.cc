/* Which graphs cuDNN's stand-in has engines for, and which. */
#include <map>

#include "kernels/host/cudnn_parts.h"

#define TENSOR_CORE_ALIGNMENT 16
#define MOST_HEAD 256
#define HUGE_WORKSPACE (int64_t{1} << 44)

namespace cn_dnn {

namespace {

bool is_convolution(const operation& op) { return op.kind == CN_DNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR; }
bool is_attention(const operation& op) { return op.kind == CN_DNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR; }
bool is_pointwise(const operation& op, int mode) {
    return op.kind == CN_DNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR && op.mode == mode;
}

long long ll(int64_t v) { return static_cast<long long>(v); }

/* Whether t's elements lie one behind the other with the axes in that order, outermost first. Strides of axes of one
 * element do not matter. */
bool packed(const tensor& t, const std::vector<size_t>& order) {
    int64_t stride = 1;
    for (size_t i = order.size(); i-- > 0;) {
        if (t.dims[order[i]] != 1 && t.strides[order[i]] != stride) return false;
        stride *= t.dims[order[i]];
    }
    return true;
}

/* N spatial C, or N C spatial. */
std::vector<size_t> axes(size_t rank, bool channels_last) {
    std::vector<size_t> order = {0};
    if (!channels_last) order.push_back(1);
    for (size_t i = 2; i < rank; i++) order.push_back(i);
    if (channels_last) order.push_back(1);
    return order;
}

bool is_bias(const tensor& b, const tensor& y) {
    for (size_t i = 0; i < b.dims.size(); i++) {
        if (b.dims[i] != (i == 1 ? y.dims[1] : 1)) return false;
    }
    return true;
}

bool same(const tensor& a, const tensor& b) {
    return a.id == b.id && a.type == b.type && a.dims == b.dims && a.strides == b.strides &&
           a.alignment == b.alignment && a.is_virtual == b.is_virtual && a.by_value == b.by_value;
}

std::vector<const tensor*> operands(const operation& op) {
    std::vector<const tensor*> out;
    for (const auto& t : op.in) {
        if (t) out.push_back(t.get());
    }
    return out;
}

}  // namespace

/* ---- shapes of the operations ---- */

cn_dnn_status check_convolution(const operation& op) {
    const tensor &x = *op.in[0], &w = *op.in[1], &y = *op.out;
    size_t n = op.conv.strides.size();
    if (x.dims.size() != n + 2 || w.dims.size() != n + 2 || y.dims.size() != n + 2) {
        return refuse(BAD_PARAM, "a convolution of %zu spatial axes of tensors of %zu, %zu and %zu dimensions", n,
                      x.dims.size(), w.dims.size(), y.dims.size());
    }
    if (x.dims[1] % w.dims[1] != 0 || w.dims[0] % (x.dims[1] / w.dims[1]) != 0) {
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "%lld channels, and %lld filters of %lld channels", ll(x.dims[1]),
                      ll(w.dims[0]), ll(w.dims[1]));
    }
    if (y.dims[0] != x.dims[0] || y.dims[1] != w.dims[0])
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "the batch or the channels of a convolution's result");
    for (size_t i = 0; i < n; i++) {
        int64_t room =
            x.dims[i + 2] + op.conv.before[i] + op.conv.after[i] - (w.dims[i + 2] - 1) * op.conv.dilations[i] - 1;
        int64_t size = room < 0 ? 0 : room / op.conv.strides[i] + 1;
        if (y.dims[i + 2] != size)
            return refuse(BAD_PARAM_SHAPE_MISMATCH, "spatial axis %zu of a convolution's result is %lld, not %lld", i,
                          ll(y.dims[i + 2]), ll(size));
    }
    if (x.type != w.type)
        return refuse(BAD_PARAM, "a convolution's input is of type %d, its filter of type %d", x.type, w.type);
    return SUCCESS;
}

cn_dnn_status check_pointwise(const operation& op) {
    const tensor &x = *op.in[0], &y = *op.out;
    bool binary = op.mode != CN_DNN_POINTWISE_RELU_FWD;
    if (binary != (op.in[1] != nullptr))
        return refuse(BAD_PARAM, binary ? "an operation of two operands without the second"
                                        : "an operation of one operand has two");
    if (x.dims != y.dims)
        return refuse(BAD_PARAM_SHAPE_MISMATCH,
                      "the result of a pointwise operation has another shape than its first operand");
    if (!binary) return SUCCESS;
    const tensor& b = *op.in[1];
    bool fits = b.dims.size() == y.dims.size();
    for (size_t i = 0; fits && i < y.dims.size(); i++) fits = b.dims[i] == y.dims[i] || b.dims[i] == 1;
    return fits ? SUCCESS
                : refuse(BAD_PARAM_SHAPE_MISMATCH,
                         "the second operand of a pointwise operation cannot be repeated to the shape of the first");
}

/* q [B,H,S,D], k [B,G,T,D], v [B,G,T,E], o [B,H,S,E]; H a multiple of G. */
cn_dnn_status check_attention(const operation& op) {
    const tensor &q = *op.in[0], &k = *op.in[1], &v = *op.in[2], &o = *op.out;
    for (const tensor* t : {&q, &k, &v, &o}) {
        if (t->dims.size() != 4)
            return refuse(BAD_PARAM, "attention on tensor %lld, which has %zu dimensions", ll(t->id), t->dims.size());
        if (t->dims[3] != 1 && t->strides[3] != 1)
            return refuse(NOT_SUPPORTED_LAYOUT, "tensor %lld of attention has stride %lld within a head", ll(t->id),
                          ll(t->strides[3]));
        if (t->type != q.type) return refuse(NOT_SUPPORTED_DATA_TYPE, "attention on tensors of different types");
    }
    if (q.dims[0] != k.dims[0] || q.dims[0] != v.dims[0] || q.dims[0] != o.dims[0])
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "batches of attention differ");
    if (q.dims[1] != o.dims[1] || k.dims[1] != v.dims[1] || q.dims[1] % k.dims[1] != 0)
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "heads of attention do not fit");
    if (q.dims[2] != o.dims[2] || k.dims[2] != v.dims[2])
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "lengths of attention do not fit");
    if (q.dims[3] != k.dims[3] || v.dims[3] != o.dims[3])
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "sizes of attention's heads do not fit");
    if (op.in[3] && (op.in[3]->type != CN_DNN_DATA_FLOAT || extent(op.in[3]->dims, op.in[3]->strides) != 1))
        return refuse(BAD_PARAM, "the scale of attention is not one float");
    return SUCCESS;
}

/* ---- graphs ---- */

std::vector<std::shared_ptr<const tensor>> graph::given() const {
    std::map<int64_t, std::shared_ptr<const tensor>> found;
    std::vector<std::shared_ptr<const tensor>> out;
    for (const operation& op : ops) {
        for (const auto& t : op.in) {
            if (t && !t->is_virtual) found[t->id] = t;
        }
        if (!op.out->is_virtual) found[op.out->id] = op.out;
    }
    for (const auto& f : found) out.push_back(f.second);
    return out;
}

cn_dnn_status check_graph(const graph& g) {
    std::map<int64_t, const tensor*> seen;
    std::map<int64_t, int> made, used;
    for (const operation& op : g.ops) {
        std::vector<const tensor*> all = operands(op);
        for (const tensor* t : all) {
            used[t->id]++;
            if (t->is_virtual && !made[t->id])
                return refuse(BAD_PARAM, "virtual tensor %lld is used before an operation makes it", ll(t->id));
        }
        all.push_back(op.out.get());
        for (const tensor* t : all) {
            if (seen.count(t->id) && !same(*seen[t->id], *t))
                return refuse(BAD_PARAM_DUPLICATED_ENTRIES, "two tensors have the id %lld", ll(t->id));
            seen[t->id] = t;
        }
        if (op.out->by_value) return refuse(BAD_PARAM, "a result, tensor %lld, is given by value", ll(op.out->id));
        if (made[op.out->id]++ || (used[op.out->id] && !op.out->is_virtual))
            return refuse(BAD_PARAM, "tensor %lld is made twice, or used before", ll(op.out->id));
    }
    for (const auto& t : seen) {
        if (t.second->is_virtual && !used[t.first])
            return refuse(BAD_PARAM, "virtual tensor %lld is made and not used", ll(t.first));
    }
    return SUCCESS;
}

/* ---- engines ---- */

namespace {

/* Whether the graph is one that engines were compiled for: a convolution alone, or with [-> + z] -> + bias [-> relu]
 * behind it. Without a bias there are none. */
cn_dnn_status check_chain(const graph& g) {
    const operation& conv = g.ops[0];
    const tensor& y = *g.ops.back().out;
    size_t i = 1, adds = 0;
    if (!is_convolution(conv))
        return refuse(NOT_SUPPORTED_GRAPH_PATTERN, "a graph that does not begin with a convolution");
    for (size_t k = 1; k < g.ops.size(); k++) {
        const operation& op = g.ops[k];
        if (op.in[0]->id != g.ops[k - 1].out->id || !op.in[0]->is_virtual)
            return refuse(NOT_SUPPORTED_GRAPH_PATTERN, "operation %zu does not go on with what the one before made", k);
        if (op.in[1] && (op.in[1]->is_virtual || op.in[1]->by_value))
            return refuse(NOT_SUPPORTED_GRAPH_PATTERN, "operation %zu adds something that does not lie in memory", k);
    }
    while (i + adds < g.ops.size() && is_pointwise(g.ops[i + adds], CN_DNN_POINTWISE_ADD)) adds++;
    if (adds == 2 && g.ops[i].in[1]->dims == y.dims) i++;
    if (adds > 0 && is_bias(*g.ops[i].in[1], y)) i++;
    if (i > 1 && i < g.ops.size() && is_pointwise(g.ops[i], CN_DNN_POINTWISE_RELU_FWD)) i++;
    if (i < g.ops.size() || adds > 2 || (adds == 2 && i < 3)) {
        return refuse(NOT_SUPPORTED_GRAPH_PATTERN,
                      "operation %zu; what may follow a convolution is [+ z] + bias [relu]", i);
    }
    return SUCCESS;
}

/* All of one type and one order of axes; what is made on the way is float. */
cn_dnn_status check_tensors(const graph& g) {
    const tensor &x = *g.ops[0].in[0], &y = *g.ops.back().out;
    bool first = true, last = true;
    for (const operation& op : g.ops) {
        std::vector<const tensor*> all = operands(op);
        all.push_back(op.out.get());
        for (const tensor* t : all) {
            if (t->is_virtual && t->type != CN_DNN_DATA_FLOAT)
                return refuse(NOT_SUPPORTED_DATA_TYPE, "virtual tensor %lld is not float", ll(t->id));
            if (!t->is_virtual && t->type != x.type)
                return refuse(NOT_SUPPORTED_DATA_TYPE, "tensor %lld is of another type than the convolution's input",
                              ll(t->id));
            if (t->by_value) return refuse(NOT_SUPPORTED, "tensor %lld of a convolution is given by value", ll(t->id));
            first = first && (is_bias(*t, y) || packed(*t, axes(t->dims.size(), false)));
            last = last && (is_bias(*t, y) || packed(*t, axes(t->dims.size(), true)));
        }
    }
    return first || last
               ? SUCCESS
               : refuse(
                     NOT_SUPPORTED_LAYOUT,
                     "a convolution whose tensors are not all packed with channels last, or all with channels first");
}

int64_t least_alignment(const graph& g) {
    int64_t least = TENSOR_CORE_ALIGNMENT;
    for (const auto& t : g.given()) {
        if (!t->by_value && t->alignment < least) least = t->alignment;
    }
    return least;
}

#define NOTE(name) CN_DNN_NUMERICAL_NOTE_##name
#define STRICT_NAN 9 /* CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP: of no interest to a caller */
#define COMPILED CN_DNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION

void convolution_engines(const graph& g, int mode, std::vector<engine>* out) {
    const tensor &x = *g.ops[0].in[0], &w = *g.ops[0].in[1];
    const convolution& c = g.ops[0].conv;
    bool is_float = x.type == CN_DNN_DATA_FLOAT, one_group = x.dims[1] == w.dims[1];
    bool cores = one_group && least_alignment(g) >= TENSOR_CORE_ALIGNMENT;
    bool three = w.dims.size() == 4 && w.dims[2] == 3 && w.dims[3] == 3 && c.strides == std::vector<int64_t>{1, 1} &&
                 c.dilations == c.strides && one_group;
    if (mode == CN_DNN_HEUR_MODE_FALLBACK) {
        *out = {{"generic, with workspace", {}, {}, 512, true, SPOIL_NONE},
                {"generic", {STRICT_NAN}, {}, 0, true, SPOIL_NONE}};
        return;
    }
    if (cores) {
        out->push_back({"tensor cores, cannot be built", {NOTE(TENSOR_CORE)}, {}, 0, false, SPOIL_NONE});
        out->push_back({"tensor cores", {NOTE(TENSOR_CORE)}, {}, 8192, true, is_float ? SPOIL_TF32 : SPOIL_NONE});
        if (is_float)
            out->push_back(
                {"half inputs", {NOTE(TENSOR_CORE), NOTE(DOWN_CONVERT_INPUTS)}, {}, 0, true, SPOIL_HALF_INPUTS});
        out->push_back({"splits the sum", {NOTE(TENSOR_CORE), NOTE(NONDETERMINISTIC)}, {}, 4096, true, SPOIL_NOISE});
        if (!is_float)
            out->push_back(
                {"half sums", {NOTE(TENSOR_CORE), NOTE(REDUCED_PRECISION_REDUCTION)}, {}, 0, true, SPOIL_HALF_SUMS});
        out->push_back(
            {"compiled at run time", {NOTE(TENSOR_CORE)}, {COMPILED}, 0, true, is_float ? SPOIL_TF32 : SPOIL_NONE});
    }
    if (three) {
        out->push_back({"Winograd", {NOTE(WINOGRAD), NOTE(WINOGRAD_TILE_4x4)}, {}, 16384, true, SPOIL_BITS});
        if (cores)
            out->push_back({"Winograd, tensor cores",
                            {NOTE(TENSOR_CORE), NOTE(WINOGRAD), NOTE(WINOGRAD_TILE_6x6)},
                            {},
                            2048,
                            true,
                            SPOIL_BITS});
    }
    if (w.dims.size() == 4 && one_group) out->push_back({"Fourier", {NOTE(FFT)}, {}, 65536, true, SPOIL_BITS});
    out->push_back({"much workspace", {}, {}, HUGE_WORKSPACE, true, SPOIL_NONE});
    out->push_back({"splits the sum, exact otherwise", {NOTE(NONDETERMINISTIC)}, {}, 0, true, SPOIL_NOISE});
    out->push_back({"strict, compiled at run time", {}, {COMPILED}, 0, true, SPOIL_NONE});
    out->push_back({"strict, cannot be built", {}, {}, 0, false, SPOIL_NONE});
    out->push_back({"strict, with workspace", {}, {}, 1024, true, SPOIL_NONE});
    out->push_back({"strict, NaN stays NaN", {STRICT_NAN}, {}, 256, true, SPOIL_NONE});
    out->push_back({"strict", {}, {}, 0, true, SPOIL_NONE});
}

cn_dnn_status check_attention_graph(const graph& g) {
    const operation& op = g.ops[0];
    if (g.ops.size() > 1 || op.out->is_virtual) {
        return refuse(NOT_SUPPORTED_GRAPH_PATTERN, "attention with something behind it");
    }
    for (const tensor* t : {op.in[0].get(), op.in[1].get(), op.in[2].get(), op.out.get()}) {
        if (t->alignment < TENSOR_CORE_ALIGNMENT) {
            return refuse(NOT_SUPPORTED_LAYOUT, "attention on tensor %lld, aligned to %lld bytes", ll(t->id),
                          ll(t->alignment));
        }
        if (t->dims[3] % 8 != 0 || t->dims[3] > MOST_HEAD) {
            return refuse(NOT_SUPPORTED_SHAPE, "heads of %lld in attention", ll(t->dims[3]));
        }
    }
    return SUCCESS;
}

void attention_engines(const graph& g, int mode, std::vector<engine>* out) {
    spoil spoils = g.ops[0].in[0]->type == CN_DNN_DATA_FLOAT ? SPOIL_TF32 : SPOIL_NONE;
    if (mode == CN_DNN_HEUR_MODE_FALLBACK) return;
    *out = {
        {"attention, cannot be built", {NOTE(TENSOR_CORE)}, {COMPILED}, 0, false, spoils},
        {"attention, splits the sum", {NOTE(TENSOR_CORE), NOTE(NONDETERMINISTIC)}, {COMPILED}, 0, true, SPOIL_NOISE},
        {"attention, with workspace", {NOTE(TENSOR_CORE)}, {COMPILED}, 2048, true, spoils},
        {"attention", {NOTE(TENSOR_CORE)}, {COMPILED}, 0, true, spoils},
    };
}

}  // namespace

/* The library takes any graph, and has no engine for most of them; that ours are none of those is said on stderr. */
cn_dnn_status engines_of(const graph& g, int mode, std::vector<engine>* out) {
    if (mode != CN_DNN_HEUR_MODE_A && mode != CN_DNN_HEUR_MODE_FALLBACK) {
        return refuse(NOT_SUPPORTED, "mode %d of the heuristic", mode);
    }
    if (is_attention(g.ops[0])) {
        if (check_attention_graph(g) == SUCCESS) attention_engines(g, mode, out);
    } else if (check_chain(g) == SUCCESS && check_tensors(g) == SUCCESS) {
        convolution_engines(g, mode, out);
    }
    return SUCCESS;
}

}  // namespace cn_dnn
