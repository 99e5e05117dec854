/* The computations of cuDNN's graphs on host execution: products summed in double, rounded once to float, and spoilt as
 * the engine's notes allow. */
#include <cuda_fp16.h>
#include <math.h>

#include <atomic>

#include "kernels/host/count.h"
#include "kernels/host/cudnn_parts.h"

#define SPOILT_BITS 15 /* of fraction: what Winograd's and Fourier's transforms leave */

namespace cn_dnn {

namespace {

double half(double v) { return __half2float(__double2half(v)); }

double round_input(spoil s, double v) {
    return s == SPOIL_TF32 ? static_cast<double>(round_bits(v, 10)) : s == SPOIL_HALF_INPUTS ? half(v) : v;
}

/* A sum as the engine gives it; of a run whose number is odd, an order of summation has other rounding errors. */
double round_sum(spoil s, double v, bool odd) {
    switch (s) {
        case SPOIL_BITS: return round_bits(v, SPOILT_BITS);
        case SPOIL_HALF_SUMS: return half(v);
        case SPOIL_NOISE: return static_cast<float>(odd ? v * (1 + 1e-6) : v);
        default: return static_cast<float>(v);
    }
}

bool odd_run() {
    static std::atomic<unsigned> runs{0};
    return runs.fetch_add(1, std::memory_order_relaxed) % 2 == 1;
}

/* A tensor's elements in the order of its dimensions, packed. */
typedef std::vector<double> numbers;

/* Calls f(offset, index) for each element: where it lies, and its number in the order of the dimensions. A repeated
 * axis has stride 0. */
template <typename F>
void each(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides, F f) {
    std::vector<int64_t> at(dims.size(), 0);
    int64_t offset = 0;
    for (size_t index = 0;; index++) {
        size_t axis = dims.size();
        f(offset, index);
        while (axis > 0) {
            axis--;
            offset += strides[axis];
            if (++at[axis] < dims[axis]) break;
            offset -= strides[axis] * dims[axis];
            at[axis] = 0;
            if (axis == 0) return;
        }
    }
}

int64_t count_of(const std::vector<int64_t>& dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return n;
}

/* Repeated to dims where an axis has one element. */
numbers read(const tensor& t, const void* from, const std::vector<int64_t>& dims) {
    numbers out(static_cast<size_t>(count_of(dims)));
    std::vector<int64_t> strides = t.strides;
    for (size_t i = 0; i < dims.size(); i++) strides[i] = t.dims[i] == 1 ? 0 : strides[i];
    each(dims, strides, [&](int64_t offset, size_t i) { out[i] = load(t.type, from, offset); });
    return out;
}

void write(const tensor& t, void* to, const numbers& from) {
    each(t.dims, t.strides, [&](int64_t offset, size_t i) { store(t.type, to, offset, from[i]); });
}

/* ---- convolution ---- */

/* Sizes of three spatial axes; the first is of one element where there are only two. */
struct space {
    int64_t size[3], kernel[3], result[3], stride[3], dilation[3], before[3];
    explicit space(const operation& op) {
        size_t n = op.conv.strides.size();
        for (size_t i = 0; i < 3; i++) {
            bool there = i + n >= 3;
            size_t at = there ? i + n - 3 : 0;
            size[i] = there ? op.in[0]->dims[at + 2] : 1;
            kernel[i] = there ? op.in[1]->dims[at + 2] : 1;
            result[i] = there ? op.out->dims[at + 2] : 1;
            stride[i] = there ? op.conv.strides[at] : 1;
            dilation[i] = there ? op.conv.dilations[at] : 1;
            before[i] = there ? op.conv.before[at] : 0;
        }
    }
    int64_t in() const { return size[0] * size[1] * size[2]; }
    int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
    int64_t out() const { return result[0] * result[1] * result[2]; }
};

/* Elements [outer, channels, inner] as [outer, inner, channels], rounded as inputs. */
numbers channels_last(const numbers& x, int64_t outer, int64_t channels, int64_t inner, spoil s) {
    numbers out(x.size());
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t i = 0; i < inner; i++) {
                out[static_cast<size_t>((o * inner + i) * channels + c)] =
                    round_input(s, x[static_cast<size_t>((o * channels + c) * inner + i)]);
            }
        }
    }
    return out;
}

double dot(const double* x, const double* w, int64_t n) {
    double sums[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int j = 0; j < 4; j++) sums[j] += x[i + j] * w[i + j];
    }
    for (; i < n; i++) sums[0] += x[i] * w[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* Where tap number k of the result's element number p reads: its number among the inputs of an item, or -1 in the
 * padding. */
int64_t source(const space& s, int64_t p, int64_t k) {
    int64_t at[3];
    for (int i = 2; i >= 0; i--) {
        at[i] = p % s.result[i] * s.stride[i] - s.before[i] + k % s.kernel[i] * s.dilation[i];
        p /= s.result[i];
        k /= s.kernel[i];
        if (at[i] < 0 || at[i] >= s.size[i]) return -1;
    }
    return (at[0] * s.size[1] + at[1]) * s.size[2] + at[2];
}

numbers convolve(const operation& op, const numbers& x_given, const numbers& w_given, spoil spoils, bool odd) {
    space s(op);
    int64_t batch = op.in[0]->dims[0], channels = op.in[0]->dims[1], filters = op.in[1]->dims[0],
            depth = op.in[1]->dims[1];
    int64_t each_group = filters / (channels / depth);
    numbers x = channels_last(x_given, batch, channels, s.in(), spoils),
            w = channels_last(w_given, filters, depth, s.taps(), spoils);
    numbers y(static_cast<size_t>(batch * filters * s.out()));
    std::vector<int64_t> sources(static_cast<size_t>(s.taps()));
    for (int64_t item = 0; item < batch * s.out(); item++) {
        int64_t n = item / s.out(), p = item % s.out();
        for (int64_t k = 0; k < s.taps(); k++) sources[static_cast<size_t>(k)] = source(s, p, k);
        for (int64_t f = 0; f < filters; f++) {
            double sum = 0;
            for (int64_t k = 0; k < s.taps(); k++) {
                int64_t from = sources[static_cast<size_t>(k)];
                if (from >= 0)
                    sum += dot(&x[static_cast<size_t>((n * s.in() + from) * channels + f / each_group * depth)],
                               &w[static_cast<size_t>((f * s.taps() + k) * depth)], depth);
            }
            y[static_cast<size_t>((n * filters + f) * s.out() + p)] = round_sum(spoils, sum, odd);
        }
    }
    return y;
}

double relu(double x, bool keeps_nan) { return x < 0 || (isnan(x) && !keeps_nan) ? 0 : x; }

void run_chain(const graph& g, const engine& e, const memory& m, bool odd) {
    const operation& conv = g.ops[0];
    numbers y = convolve(conv, read(*conv.in[0], m.at(conv.in[0]->id), conv.in[0]->dims),
                         read(*conv.in[1], m.at(conv.in[1]->id), conv.in[1]->dims), e.spoils, odd);
    for (size_t k = 1; k < g.ops.size(); k++) {
        const operation& op = g.ops[k];
        numbers b = op.in[1] ? read(*op.in[1], m.at(op.in[1]->id), op.out->dims) : numbers();
        for (size_t i = 0; i < y.size(); i++)
            y[i] = op.in[1] ? static_cast<double>(static_cast<float>(y[i] + b[i])) : relu(y[i], op.keeps_nan);
    }
    write(*g.ops.back().out, m.at(g.ops.back().out->id), y);
}

/* ---- attention ---- */

/* One row of q against all of k and v. The weights are rounded as inputs of the second product, their sum is not, as
 * kernels do that go over the keys once. */
void attend(const operation& op, const double* q, const double* k, const double* v, double scale, spoil spoils,
            bool odd, double* o) {
    int64_t keys = op.in[1]->dims[2], depth = op.in[1]->dims[3], width = op.in[2]->dims[3];
    numbers p(static_cast<size_t>(keys));
    double most = -INFINITY, total = 0;
    for (int64_t t = 0; t < keys; t++) {
        double s = static_cast<float>(scale * round_sum(spoils, dot(q, k + t * depth, depth), odd));
        p[static_cast<size_t>(t)] = s;
        most = s > most || isnan(s) ? s : most;
    }
    for (double& s : p) {
        s = static_cast<float>(exp(s - most));
        total += s;
        if (op.in[0]->type != CN_DNN_DATA_FLOAT)
            s = op.in[0]->type == CN_DNN_DATA_HALF ? half(s) : static_cast<double>(round_bits(s, 7));
        s = round_input(spoils, s);
    }
    for (int64_t j = 0; j < width; j++) {
        double sum = 0;
        for (int64_t t = 0; t < keys; t++) sum += p[static_cast<size_t>(t)] * v[t * width + j];
        o[j] = static_cast<float>(sum / total);
    }
}

void run_attention(const graph& g, const engine& e, const memory& m, bool odd) {
    const operation& op = g.ops[0];
    numbers in[3], o(static_cast<size_t>(count_of(op.out->dims)));
    double scale = op.in[3] ? static_cast<double>(*static_cast<const float*>(m.at(op.in[3]->id))) : 1;
    int64_t heads = op.in[0]->dims[1], rows = op.in[0]->dims[2], depth = op.in[0]->dims[3], groups = op.in[1]->dims[1],
            keys = op.in[1]->dims[2], width = op.in[2]->dims[3];
    for (int i = 0; i < 3; i++) {
        in[i] = read(*op.in[i], m.at(op.in[i]->id), op.in[i]->dims);
        for (double& v : in[i]) v = round_input(e.spoils, v);
    }
    for (int64_t row = 0; row < op.in[0]->dims[0] * heads * rows; row++) {
        int64_t b = row / (heads * rows), group = b * groups + row / rows % heads / (heads / groups);
        attend(op, &in[0][static_cast<size_t>(row * depth)], &in[1][static_cast<size_t>(group * keys * depth)],
               &in[2][static_cast<size_t>(group * keys * width)], scale, e.spoils, odd,
               &o[static_cast<size_t>(row * width)]);
    }
    write(*op.out, m.at(op.out->id), o);
}

}  // namespace

void run_graph(const graph& g, const engine& e, const memory& m) {
    bool odd = e.spoils == SPOIL_NOISE && odd_run();
    cn_host_count_kernel("cudnnBackendExecute");
    for (const auto& t : g.given()) {
        if (!t->by_value) cn_host_count_bytes(m.at(t->id), t->bytes(), t->id == g.ops.back().out->id);
    }
    if (g.ops[0].kind == CN_DNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR) run_attention(g, e, m, odd);
    else run_chain(g, e, m, odd);
}

}  // namespace cn_dnn
