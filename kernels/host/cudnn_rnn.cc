/* cuDNN's recurrent layers on host execution: one layer in one direction, with two biases, on padded sequences whose
 * batch is outermost.
 *
 *     weight space    matrix 0 [units, size] | gap | matrix 1 | gap ... vector 0 [units] | gap | vector 1 | gap ...
 *     ids             LSTM: 0..3 of the input and 4..7 of the state for i, f, c, o
 *                     GRU: 0..2 of the input and 3..5 of the state for r, z, h; a plain cell: 0 and 1
 *
 *     LSTM    i, f, o = sigmoid(W x + R h + b + d); c' = f c + i tanh(W x + R h + b + d); h' = o tanh(c')
 *     GRU     r, z = sigmoid(W x + R h + b + d); h' = (1 - z) tanh(W x + b + r (R h + d)) + z h
 *
 * Behind a sequence's end the state stays, and y is the padding that its descriptor names; NaN where it names none. */
#include <math.h>
#include <string.h>

#include <algorithm>

#include "kernels/host/count.h"
#include "kernels/host/cudnn_parts.h"
#include "kernels/host/runtime.h"

#define GAP_BYTES 64
#define ALIGNMENT 16 /* of matrices and vectors */
#define MOST_SMALL_UNITS 384
#define MOST_STATIC_UNITS 1024
#define MOST_GATES 4

struct cn_dnn_rnn {
    bool set = false;
    int algorithm, cell, type, math;
    int64_t size, units; /* of an element of the input, of the state */
    bool padded;
    cn_dnn_dropout_t dropout;
    int gates() const { return cell == CN_DNN_LSTM ? 4 : cell == CN_DNN_GRU ? 3 : 1; }
};
struct cn_dnn_rnn_data {
    int type = -1; /* until it is set */
    int64_t steps, batch, size;
    std::vector<int> lengths;
    double padding;
    size_t bytes() const { return static_cast<size_t>(steps * batch * size) * cn_dnn::size_of(type); }
};

namespace cn_dnn {

namespace {

/* Where the parts of the weight space are, in bytes. */
struct layout {
    size_t matrix[2 * MOST_GATES], vector[2 * MOST_GATES], bytes;
    explicit layout(const cn_dnn_rnn& r) {
        size_t at = 0;
        auto take = [&at, &r](int64_t count) {
            size_t here = at;
            at += (static_cast<size_t>(count) * size_of(r.type) + GAP_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            return here;
        };
        for (int id = 0; id < 2 * r.gates(); id++) matrix[id] = take(r.units * (id < r.gates() ? r.size : r.units));
        for (int id = 0; id < 2 * r.gates(); id++) vector[id] = take(r.units);
        bytes = at;
    }
};

size_t work_bytes(const cn_dnn_rnn& r, const cn_dnn_rnn_data& x) {
    return static_cast<size_t>(x.steps * x.batch * r.units * r.gates()) * 4 + 256;
}

cn_dnn_status check_rnn(cn_dnn_handle_t handle, cn_dnn_rnn_t rnn) {
    cn_dnn_status st = check_handle(handle);
    if (st != SUCCESS) return st;
    if (!all().rnns.has(rnn)) return refuse(BAD_PARAM_NULL_POINTER, "an RNN descriptor that is none");
    if (!rnn->set) return refuse(BAD_PARAM, "an RNN descriptor that was never set");
    if (!all().dropouts.has(rnn->dropout))
        return refuse(BAD_PARAM, "the dropout descriptor of an RNN descriptor is gone");
    return SUCCESS;
}

bool is_set(cn_dnn_rnn_data_t data) { return all().rnn_data.has(data) && data->type >= 0; }

/* What an algorithm does not do. */
cn_dnn_status check_algorithm(const cn_dnn_rnn& r, const cn_dnn_rnn_data& x) {
    bool whole = std::all_of(x.lengths.begin(), x.lengths.end(), [&x](int n) { return n == x.steps; });
    if (r.algorithm == CN_DNN_RNN_ALGO_PERSIST_STATIC_SMALL_H && !whole)
        return decline(NOT_SUPPORTED, "the algorithm for small states on sequences of several lengths");
    if (r.algorithm == CN_DNN_RNN_ALGO_PERSIST_STATIC_SMALL_H && r.units > MOST_SMALL_UNITS)
        return decline(NOT_SUPPORTED, "the algorithm for small states on %lld units", static_cast<long long>(r.units));
    if (r.algorithm == CN_DNN_RNN_ALGO_PERSIST_STATIC && r.units > MOST_STATIC_UNITS)
        return decline(NOT_SUPPORTED, "the persistent algorithm on %lld units", static_cast<long long>(r.units));
    return SUCCESS;
}

cn_dnn_status check_data(const cn_dnn_rnn& r, cn_dnn_rnn_data_t x, int64_t size, const char* name) {
    if (!is_set(x)) return refuse(BAD_PARAM, "the descriptor of %s is none, or was never set", name);
    if (x->type != r.type) return refuse(BAD_PARAM, "%s is of type %d, the RNN of type %d", name, x->type, r.type);
    if (x->size != size)
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "%s has %lld elements a step, not %lld", name,
                      static_cast<long long>(x->size), static_cast<long long>(size));
    if (!r.padded) return refuse(NOT_SUPPORTED, "padded sequences without RNN_PADDED_IO_ENABLED");
    return SUCCESS;
}

/* A state is [1, batch, units], packed. */
cn_dnn_status check_state(const cn_dnn_rnn& r, const cn_dnn_rnn_data& x, cn_dnn_tensor_t t, const char* name) {
    int batch = static_cast<int>(x.batch), units = static_cast<int>(r.units);
    if (!all().tensors.has(t) || t->type < 0)
        return refuse(BAD_PARAM_NULL_POINTER, "the descriptor of %s is none, or was never set", name);
    if (t->type != r.type) return refuse(BAD_PARAM, "%s is of type %d, the RNN of type %d", name, t->type, r.type);
    if (t->dims != std::vector<int>{1, batch, units})
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "%s is not [1, %d, %d]", name, batch, units);
    if (t->strides != std::vector<int>{batch * units, units, 1}) return refuse(BAD_PARAM, "%s is not packed", name);
    return SUCCESS;
}

/* ---- memory ---- */

struct operand {
    const char* name;
    const void* address;
    size_t bytes;
    bool needed, written;
    uintptr_t alignment;
};

cn_dnn_status check_memory(const std::vector<operand>& all_of) {
    for (const operand& o : all_of) {
        if (!o.address && o.needed) return refuse(BAD_PARAM_NULL_POINTER, "no %s", o.name);
        if (!o.address) continue;
        if (!cn_host::is_device(o.address, o.bytes))
            return refuse(BAD_PARAM, "%s, %zu bytes at %p, does not lie in a block of the device", o.name, o.bytes,
                          o.address);
        if (reinterpret_cast<uintptr_t>(o.address) % o.alignment != 0) {
            return refuse(BAD_PARAM_MISALIGNED_POINTER, "%s at %p is not aligned to %zu bytes", o.name, o.address,
                          static_cast<size_t>(o.alignment));
        }
        for (const operand& other : all_of) {
            if (&other == &o || !other.address || !o.written ||
                !overlap(o.address, o.bytes, other.address, other.bytes))
                continue;
            return refuse(BAD_PARAM, "%s overlaps %s", o.name, other.name);
        }
    }
    return SUCCESS;
}

/* ---- computing ---- */

typedef std::vector<double> numbers;

/* A call as it was made. */
struct request {
    cn_dnn_rnn rnn;
    cn_dnn_rnn_data x_data, y_data;
    const int32_t* lengths;
    const void *x, *h, *c, *weights;
    void *y, *h_out, *c_out, *work;
    size_t work_bytes;
};

/* Of each id. */
struct weights {
    numbers matrix[2 * MOST_GATES], vector[2 * MOST_GATES];
};

/* As an input of a product: float is rounded to TF32 unless the mathematics is FMA, as DEFAULT_MATH allows. */
double round_input(const cn_dnn_rnn& r, double v) {
    return r.type == CN_DNN_DATA_FLOAT && r.math != CN_DNN_FMA_MATH ? static_cast<double>(round_bits(v, 10)) : v;
}

double sigmoid(double v) { return static_cast<float>(1 / (1 + exp(-v))); }

/* v as an element of the type. */
double as(int type, double v) {
    double word = 0;
    store(type, &word, 0, v);
    return load(type, &word, 0);
}

weights read_weights(const cn_dnn_rnn& r, const void* space) {
    layout at(r);
    weights out;
    for (int id = 0; id < 2 * r.gates(); id++) {
        out.matrix[id].resize(static_cast<size_t>(r.units * (id < r.gates() ? r.size : r.units)));
        out.vector[id].resize(static_cast<size_t>(r.units));
        const char* matrix = static_cast<const char*>(space) + at.matrix[id];
        const char* vector = static_cast<const char*>(space) + at.vector[id];
        for (size_t i = 0; i < out.matrix[id].size(); i++)
            out.matrix[id][i] = round_input(r, load(r.type, matrix, static_cast<int64_t>(i)));
        for (size_t i = 0; i < out.vector[id].size(); i++)
            out.vector[id][i] = load(r.type, vector, static_cast<int64_t>(i));
    }
    return out;
}

/* Matrix id times v, for one unit. */
double product(const weights& w, int id, const numbers& v, int64_t unit) {
    const double* row = &w.matrix[id][static_cast<size_t>(unit) * v.size()];
    double sum = 0;
    for (size_t i = 0; i < v.size(); i++) sum += row[i] * v[i];
    return static_cast<float>(sum);
}

/* One step of one sequence: h and c become the next state. x and state are rounded as inputs. */
void step(const cn_dnn_rnn& r, const weights& w, const numbers& x, const numbers& state, numbers* h, numbers* c) {
    int gates = r.gates();
    for (int64_t unit = 0; unit < r.units; unit++) {
        size_t u = static_cast<size_t>(unit);
        double in[MOST_GATES], back[MOST_GATES], next;
        for (int gate = 0; gate < gates; gate++) {
            in[gate] = static_cast<float>(product(w, gate, x, unit) + w.vector[gate][u]);
            back[gate] = static_cast<float>(product(w, gates + gate, state, unit) + w.vector[gates + gate][u]);
        }
        if (r.cell == CN_DNN_LSTM) {
            double fresh = static_cast<float>(tanh(in[2] + back[2]));
            (*c)[u] = static_cast<float>(sigmoid(in[1] + back[1]) * (*c)[u] + sigmoid(in[0] + back[0]) * fresh);
            next = sigmoid(in[3] + back[3]) * tanh((*c)[u]);
        } else if (r.cell == CN_DNN_GRU) {
            double keep = sigmoid(in[1] + back[1]),
                   fresh = static_cast<float>(tanh(in[2] + sigmoid(in[0] + back[0]) * back[2]));
            next = (1 - keep) * fresh + keep * (*h)[u];
        } else {
            next = in[0] + back[0];
            next = r.cell == CN_DNN_RNN_TANH ? tanh(next) : next < 0 ? 0 : next;
        }
        (*h)[u] = as(r.type, next);
    }
}

numbers read_state(const request& q, const void* from, int64_t item) {
    numbers out(static_cast<size_t>(q.rnn.units));
    for (int64_t i = 0; from && i < q.rnn.units; i++)
        out[static_cast<size_t>(i)] = load(q.rnn.type, from, item * q.rnn.units + i);
    return out;
}

void write_state(const request& q, void* to, int64_t item, const numbers& state) {
    for (int64_t i = 0; to && i < q.rnn.units; i++)
        store(q.rnn.type, to, item * q.rnn.units + i, state[static_cast<size_t>(i)]);
}

cudaError_t execute(const request& q) {
    const cn_dnn_rnn& r = q.rnn;
    for (size_t b = 0; b < q.x_data.lengths.size(); b++) {
        if (q.lengths[b] == q.x_data.lengths[b]) continue;
        cn_host::complain("cuDNN: the device says that sequence %zu is of %d steps, the descriptor says %d", b,
                          q.lengths[b], q.x_data.lengths[b]);
        return cudaErrorIllegalAddress;
    }
    if (q.work) memset(q.work, 0xFF, q.work_bytes);
    weights w = read_weights(r, q.weights);
    for (int64_t b = 0; b < q.x_data.batch; b++) {
        numbers h = read_state(q, q.h, b), c = read_state(q, q.c, b), x(static_cast<size_t>(r.size)), state(h.size());
        for (int64_t t = 0; t < q.x_data.steps; t++) {
            int64_t row = b * q.x_data.steps + t;
            bool inside = t < q.x_data.lengths[static_cast<size_t>(b)];
            for (size_t i = 0; inside && i < x.size(); i++)
                x[i] = round_input(r, load(r.type, q.x, row * r.size + static_cast<int64_t>(i)));
            for (size_t i = 0; inside && i < h.size(); i++) state[i] = round_input(r, h[i]);
            if (inside) step(r, w, x, state, &h, &c);
            for (int64_t i = 0; i < r.units; i++)
                store(r.type, q.y, row * r.units + i, inside ? h[static_cast<size_t>(i)] : q.y_data.padding);
        }
        write_state(q, q.h_out, b, h);
        write_state(q, q.c_out, b, c);
    }
    return cudaSuccess;
}

void count(const std::vector<operand>& all_of) {
    cn_host_count_kernel("cudnnRNNForward");
    for (const operand& o : all_of) {
        if (o.address) cn_host_count_bytes(o.address, o.bytes, o.written);
    }
}

}  // namespace

}  // namespace cn_dnn

using namespace cn_dnn;

/* ---- the interface ---- */

cn_dnn_status cudnnCreateRNNDescriptor(cn_dnn_rnn_t* out) {
    if (!out) return refuse(BAD_PARAM_NULL_POINTER, "no place for the RNN descriptor");
    *out = new cn_dnn_rnn;
    all().rnns.add(*out);
    return SUCCESS;
}

cn_dnn_status cudnnDestroyRNNDescriptor(cn_dnn_rnn_t rnn) {
    if (!all().rnns.take(rnn)) return refuse(BAD_PARAM, "an RNN descriptor that is none");
    delete rnn;
    return SUCCESS;
}

cn_dnn_status cudnnSetRNNDescriptor_v8(cn_dnn_rnn_t rnn, int algorithm, int cell, int bias, int direction, int input,
                                       int type, int sums, int math, int32_t input_size, int32_t units,
                                       int32_t projection, int32_t layers, cn_dnn_dropout_t dropout, uint32_t flags) {
    if (!all().rnns.has(rnn)) return refuse(BAD_PARAM_NULL_POINTER, "an RNN descriptor that is none");
    if (input_size < 1 || units < 1 || layers < 1)
        return refuse(BAD_PARAM, "an RNN of size %d, %d units, %d layers", input_size, units, layers);
    if (projection < 1 || projection > units)
        return refuse(BAD_PARAM, "a projection to %d of %d units; as many as there are is none", projection, units);
    if (cell < CN_DNN_RNN_RELU || cell > CN_DNN_GRU || math < CN_DNN_DEFAULT_MATH || math > CN_DNN_FMA_MATH)
        return refuse(BAD_PARAM, "cell %d with mathematics %d", cell, math);
    if ((flags & ~static_cast<uint32_t>(CN_DNN_RNN_PADDED_IO_ENABLED)) != 0)
        return refuse(BAD_PARAM, "flags 0x%x of an RNN", flags);
    if (!all().dropouts.has(dropout)) return refuse(BAD_PARAM, "the dropout descriptor of an RNN descriptor is none");
    if (!dropout->set) return refuse(BAD_PARAM, "the dropout descriptor of an RNN descriptor was never set");
    if (size_of(type) == 0 || sums != CN_DNN_DATA_FLOAT)
        return refuse(NOT_SUPPORTED, "an RNN of type %d that computes in type %d", type, sums);
    if (algorithm != CN_DNN_RNN_ALGO_STANDARD && algorithm != CN_DNN_RNN_ALGO_PERSIST_STATIC &&
        algorithm != CN_DNN_RNN_ALGO_PERSIST_STATIC_SMALL_H) {
        return refuse(NOT_SUPPORTED, "algorithm %d of an RNN", algorithm);
    }
    if (bias != CN_DNN_RNN_DOUBLE_BIAS || direction != CN_DNN_UNIDIRECTIONAL || input != CN_DNN_LINEAR_INPUT ||
        layers != 1 || projection != units) {
        return refuse(NOT_SUPPORTED,
                      "an RNN of several layers or directions, without two biases, with a projection or without the "
                      "input's matrix");
    }
    *rnn = cn_dnn_rnn{
        true, algorithm, cell, type, math, input_size, units, (flags & CN_DNN_RNN_PADDED_IO_ENABLED) != 0, dropout};
    return SUCCESS;
}

cn_dnn_status cudnnCreateRNNDataDescriptor(cn_dnn_rnn_data_t* out) {
    if (!out) return refuse(BAD_PARAM_NULL_POINTER, "no place for the RNN data descriptor");
    *out = new cn_dnn_rnn_data;
    all().rnn_data.add(*out);
    return SUCCESS;
}

cn_dnn_status cudnnDestroyRNNDataDescriptor(cn_dnn_rnn_data_t data) {
    if (!all().rnn_data.take(data)) return refuse(BAD_PARAM, "an RNN data descriptor that is none");
    delete data;
    return SUCCESS;
}

cn_dnn_status cudnnSetRNNDataDescriptor(cn_dnn_rnn_data_t data, int type, int layout, int steps, int batch, int size,
                                        const int lengths[], void* padding) {
    if (!all().rnn_data.has(data)) return refuse(BAD_PARAM_NULL_POINTER, "an RNN data descriptor that is none");
    if (!lengths) return refuse(BAD_PARAM_NULL_POINTER, "no lengths of sequences");
    if (steps < 1 || batch < 1 || size < 1)
        return refuse(BAD_PARAM, "%d sequences of %d steps of %d", batch, steps, size);
    if (size_of(type) == 0) return refuse(NOT_SUPPORTED, "sequences of type %d", type);
    if (layout != CN_DNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED)
        return refuse(NOT_SUPPORTED, "layout %d of sequences", layout);
    for (int b = 0; b < batch; b++) {
        if (lengths[b] < 0 || lengths[b] > steps)
            return refuse(BAD_PARAM, "sequence %d is of %d steps, the longest of %d", b, lengths[b], steps);
    }
    data->type = type;
    data->steps = steps;
    data->batch = batch;
    data->size = size;
    data->lengths.assign(lengths, lengths + batch);
    data->padding = padding ? load(type, padding, 0) : static_cast<double>(NAN);
    return SUCCESS;
}

cn_dnn_status cudnnGetRNNTempSpaceSizes(cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int mode, cn_dnn_rnn_data_t x,
                                        size_t* work, size_t* reserve) {
    cn_dnn_status st = check_rnn(handle, rnn);
    if (st == SUCCESS) st = check_data(*rnn, x, rnn->size, "x");
    if (st == SUCCESS && !work) st = refuse(BAD_PARAM_NULL_POINTER, "no place for the size of the workspace");
    if (st == SUCCESS && mode != CN_DNN_FWD_MODE_INFERENCE) st = refuse(NOT_SUPPORTED, "training");
    if (st == SUCCESS) st = check_algorithm(*rnn, *x);
    if (st != SUCCESS) return st;
    *work = work_bytes(*rnn, *x);
    if (reserve) *reserve = 0;
    return SUCCESS;
}

cn_dnn_status cudnnGetRNNWeightSpaceSize(cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, size_t* bytes) {
    cn_dnn_status st = check_rnn(handle, rnn);
    if (st != SUCCESS) return st;
    if (!bytes) return refuse(BAD_PARAM_NULL_POINTER, "no place for the size of the weight space");
    *bytes = layout(*rnn).bytes;
    return SUCCESS;
}

cn_dnn_status cudnnGetRNNWeightParams(cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int32_t layer, size_t bytes,
                                      const void* space, int32_t matrix, cn_dnn_tensor_t m, void** m_address,
                                      cn_dnn_tensor_t b, void** b_address) {
    cn_dnn_status st = check_rnn(handle, rnn);
    if (st != SUCCESS) return st;
    layout at(*rnn);
    if (!space || !m_address || !b_address)
        return refuse(BAD_PARAM_NULL_POINTER, "no weight space, or no place for the addresses in it");
    if (!all().tensors.has(m) || !all().tensors.has(b))
        return refuse(BAD_PARAM_NULL_POINTER, "no tensor descriptors for a matrix and its vector");
    if (layer != 0 || matrix < 0 || matrix >= 2 * rnn->gates())
        return refuse(BAD_PARAM, "matrix %d of layer %d", matrix, layer);
    if (bytes < at.bytes)
        return refuse(BAD_PARAM_SIZE_INSUFFICIENT, "a weight space of %zu bytes, less than %zu", bytes, at.bytes);
    if (!cn_host::is_device(space, bytes))
        return refuse(BAD_PARAM, "the weight space, %zu bytes at %p, does not lie in a block of the device", bytes,
                      space);
    int units = static_cast<int>(rnn->units), size = static_cast<int>(matrix < rnn->gates() ? rnn->size : rnn->units);
    char* start = const_cast<char*>(static_cast<const char*>(space));
    m->type = b->type = rnn->type;
    m->dims = {1, units, size};
    m->strides = {units * size, size, 1};
    b->dims = {1, units, 1};
    b->strides = {units, 1, 1};
    *m_address = start + at.matrix[matrix];
    *b_address = start + at.vector[matrix];
    return SUCCESS;
}

namespace {

cn_dnn_status check_descriptors(cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int mode, cn_dnn_rnn_data_t x,
                                cn_dnn_rnn_data_t y, cn_dnn_tensor_t h, cn_dnn_tensor_t c) {
    cn_dnn_status st = check_rnn(handle, rnn);
    if (st != SUCCESS) return st;
    if (!handle->stream)
        return refuse(BAD_PARAM_STREAM_MISMATCH, "the handle has no stream, and there is no default one");
    if (mode != CN_DNN_FWD_MODE_INFERENCE) return refuse(NOT_SUPPORTED, "training");
    st = check_data(*rnn, x, rnn->size, "x");
    if (st == SUCCESS) st = check_data(*rnn, y, rnn->units, "y");
    if (st != SUCCESS) return st;
    if (x->steps != y->steps || x->batch != y->batch || x->lengths != y->lengths)
        return refuse(BAD_PARAM_SHAPE_MISMATCH, "x and y have other steps, batches or lengths");
    st = check_state(*rnn, *x, h, "h");
    if (st == SUCCESS && rnn->cell == CN_DNN_LSTM) st = check_state(*rnn, *x, c, "c");
    return st == SUCCESS ? check_algorithm(*rnn, *x) : st;
}

}  // namespace

cn_dnn_status cudnnRNNForward(cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int mode, const int32_t lengths[],
                              cn_dnn_rnn_data_t x_data, const void* x, cn_dnn_rnn_data_t y_data, void* y,
                              cn_dnn_tensor_t h_tensor, const void* h, void* h_out, cn_dnn_tensor_t c_tensor,
                              const void* c, void* c_out, size_t weight_bytes, const void* weights, size_t given_bytes,
                              void* work, size_t reserve_bytes, void* reserve) {
    cn_dnn_status st = check_descriptors(handle, rnn, mode, x_data, y_data, h_tensor, c_tensor);
    if (st != SUCCESS) return st;
    size_t needed = work_bytes(*rnn, *x_data),
           state = static_cast<size_t>(x_data->batch * rnn->units) * size_of(rnn->type);
    uintptr_t element = size_of(rnn->type);
    layout at(*rnn);
    if (rnn->cell != CN_DNN_LSTM && (c || c_out)) return refuse(BAD_PARAM, "a cell state of an RNN that is no LSTM");
    if (weight_bytes < at.bytes)
        return refuse(BAD_PARAM_SIZE_INSUFFICIENT, "a weight space of %zu bytes, less than %zu", weight_bytes,
                      at.bytes);
    if (given_bytes < needed)
        return refuse(BAD_PARAM_SIZE_INSUFFICIENT, "a workspace of %zu bytes, less than %zu", given_bytes, needed);
    if (reserve_bytes > 0 && !reserve) return refuse(BAD_PARAM_NULL_POINTER, "no reserve space, whose size is given");
    std::vector<operand> operands = {
        {"the lengths", lengths, x_data->lengths.size() * sizeof(int32_t), true, false, sizeof(int32_t)},
        {"x", x, x_data->bytes(), true, false, element},
        {"y", y, y_data->bytes(), true, true, element},
        {"hx", h, state, false, false, element},
        {"hy", h_out, state, false, true, element},
        {"cx", c, state, false, false, element},
        {"cy", c_out, state, false, true, element},
        {"the weight space", weights, weight_bytes, true, false, ALIGNMENT},
        {"the workspace", work, given_bytes, true, true, WORKSPACE_ALIGNMENT},
    };
    st = check_memory(operands);
    if (st != SUCCESS) return st;
    std::vector<cn_host::use> uses;
    for (const operand& o : operands) uses.push_back({o.address, o.address ? size_t{1} : 0});
    request q = {*rnn, *x_data, *y_data, lengths, x, h, c, weights, y, h_out, c_out, work, given_bytes};
    return status_of(cn_host::enqueue(handle->stream, "cudnnRNNForward", std::move(uses), [q, operands] {
        count(operands);
        return execute(q);
    }));
}
