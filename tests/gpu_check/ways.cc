// Every way of products, convolutions, recurrences, attention and elementwise programs, timed on the device: skinny
// kernels against cuBLASLt, own kernels against cuDNN's, prebuilt elementwise kernels against the machine. A line each:
//
//     {"question": "ways", "problem": "dense", "shape": "4 x 784 by 784 x 512", "dtype": "float32",
//      "precision": "strict", "way": 1, "ways": 9, "name": "cuBLASLt 0", "kernel": "...", "us": ...}
//
// A way's time is that of a captured graph of many of them behind each other, by their number: as in a model, and with
// what fits into the L2 in it. With GPU_WAYS_QUICK only a small one of each kind.
#include <algorithm>

#include "kernels/elementwise.h"
#include "tests/backend/cuda_ways.h"

using namespace cuda_test;

namespace {

bool quick() { return getenv("GPU_WAYS_QUICK") != nullptr; }

struct Measured {
    double us = 0;  // of one step; 0: it failed
    std::string kernel;
};

// An executable whose steps can be changed between runs: other memory for its values makes it capture its graph anew.
class Steps {
   public:
    Steps(const Case& c, cornu_precision precision) {
        cn_device_options options = {};
        options.precision = precision;
        options.tune = CORNU_TUNE_FAST;  // so that the ways of cuDNN are there
        options.tune_seconds = -1;
        options.plan_cache = "";
        EXPECT_EQ(cn_graph_status(&c.g), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(cn_plan_create(&c.g, backend_.alignment, &plan_), CORNU_OK) << cornu_last_error();
        if (!plan_) return;
        for (int i = 0; i < c.g.output_count; i++)
            outputs_.emplace_back((size_t)cn_type_bytes(&c.g.types[c.g.outputs[i]]));
        for (auto& bytes : outputs_) results_.push_back(bytes.data());
        for (const Floats& f : c.data) inputs_.push_back(f.data());
        weights_.reset(new run_graph::Weights(plan_));
        EXPECT_EQ(backend_.open(&options, &device_), CORNU_OK) << cornu_last_error();
        if (!device_) return;
        for (void*& arena : arenas_)
            EXPECT_EQ(backend_.alloc(device_, std::max<uint64_t>(plan_->arena_bytes, 256), &arena), CORNU_OK)
                << cornu_last_error();
        if (!arenas_[0] || !arenas_[1]) return;
        EXPECT_EQ(backend_.prepare(device_, plan_, &weights_->base, &executable_), CORNU_OK) << cornu_last_error();
    }
    ~Steps() {
        if (executable_) backend_.destroy(executable_);
        for (void* arena : arenas_) {
            if (arena) backend_.free(device_, arena);
        }
        if (device_) backend_.close(device_);
        weights_.reset();
        cn_plan_destroy(plan_);
    }
    Steps(const Steps&) = delete;

    cn_cuda_executable* get() const { return (cn_cuda_executable*)executable_; }  // NULL: it could not be made

    // Launched, captured, then with profiles, which time the captured graph, and each step behind as many graphs as
    // keep the device busy.
    Measured measure() {
        const cn_cuda_executable* e = get();
        std::vector<cn_profile_step> steps((size_t)plan_->graph->count);
        std::vector<double> times;
        Measured out;
        cn_run run = {};
        run.inputs = inputs_.data();
        run.outputs = results_.data();
        run.arena = arenas_[measured_++ % 2];
        for (int i = 0; i < 2 + (quick() ? 1 : 5); i++) {
            std::fill(steps.begin(), steps.end(), cn_profile_step());
            cn_profile profile = {steps.data(), 0};
            run.profile = i < 2 ? nullptr : &profile;
            const cornu_status st = backend_.run(executable_, &run);
            EXPECT_EQ(st, CORNU_OK) << cornu_last_error();
            if (st != CORNU_OK) return out;
            const cn_profile_step& first = steps[(size_t)e->steps[0].node->output];
            if (run.profile) times.push_back(1e3 * (e->step_count > 1 ? profile.run_ms / e->step_count : first.ms));
            out.kernel = first.kernel;
        }
        std::sort(times.begin(), times.end());
        out.us = times[times.size() / 2];
        return out;
    }

   private:
    const cn_backend& backend_ = cn_backend_cuda;
    std::vector<std::vector<char>> outputs_;
    std::vector<void*> results_;
    std::vector<const void*> inputs_;
    std::unique_ptr<run_graph::Weights> weights_;
    cn_plan* plan_ = nullptr;
    cn_device* device_ = nullptr;
    cn_executable* executable_ = nullptr;
    void* arenas_[2] = {nullptr, nullptr};
    int measured_ = 0;
};

// Makes every step take the way; false if a library turns out not to have it.
bool take_way(cn_cuda_executable* e, int way) {
    for (int i = 0; i < e->step_count; i++) {
        cn_cuda_step* step = &e->steps[i];
        step->way = std::min(way, std::max(step->ways, 1) - 1);
        const cornu_status st = step->take ? step->take(e, step) : CORNU_OK;
        EXPECT_TRUE(st == CORNU_OK || (st == CORNU_UNSUPPORTED && way > 0)) << cornu_last_error();
        if (st != CORNU_OK) return false;
    }
    return true;
}

// Prints every way of the graph's steps, which are alike.
void print_ways(const Case& c, cornu_precision precision, const char* problem, const std::string& shape) {
    Steps steps(c, precision);
    cn_cuda_executable* e = steps.get();
    if (!e || e->step_count < 1) return;
    const int ways = std::max(e->steps[0].ways, 1);
    for (int way = 0; way < ways; way++) {
        char name[CN_CUDA_WAY_TEXT] = "";
        if (!take_way(e, way)) continue;
        if (ways > 1 && e->steps[0].name_way) e->steps[0].name_way(&e->steps[0], way, name);
        const Measured m = steps.measure();
        if (m.us <= 0) continue;
        printf(
            "{\"question\": \"ways\", \"problem\": \"%s\", \"shape\": \"%s\", \"dtype\": \"%s\", \"precision\": "
            "\"%s\", "
            "\"way\": %d, \"ways\": %d, \"name\": \"%s\", \"kernel\": \"%s\", \"us\": %.4f}\n",
            problem, shape.c_str(), cornu_dtype_name(c.dtype),
            precision == CORNU_PRECISION_STRICT ? "strict" : "default", way, ways, name, m.kernel.c_str(), m.us);
    }
    fflush(stdout);
}

std::string text_of(const Dims& dims) {
    std::string out;
    for (int64_t d : dims) out += (out.empty() ? "" : " x ") + std::to_string(d);
    return out;
}

// Several nodes over one constant behind each other, and not of each other's results, so that only their number
// matters.
int many(int count) { return quick() ? 2 : count; }

void dense(cornu_dtype dtype, int64_t rows, int64_t columns, int64_t inner) {
    Case c(dtype);
    const cn_id kernel = c.constant_of({inner, columns});
    for (int i = 0; i < many(50); i++) {
        const cn_id y = c.node(CN_OP_matmul, {c.input_of({rows, inner}), kernel}, run_graph::no_attr());
        cn_graph_output(&c.g, y);
    }
    print_ways(c, CORNU_PRECISION_STRICT, "dense", text_of({rows, inner}) + " by " + text_of({inner, columns}));
}

struct Picture {
    int64_t size, channels, filters, window, stride;  // filters 0: depthwise
};

void convolution(cornu_dtype dtype, cornu_precision precision, int64_t batch, const Picture& p) {
    Case c(dtype);
    const bool depthwise = p.filters == 0;
    const cn_attr attr = run_graph::conv_attr(2, p.stride, 1, p.window / 2, p.window / 2, depthwise ? p.channels : 1);
    const Dims kernel_dims = {p.window, p.window, depthwise ? 1 : p.channels, depthwise ? p.channels : p.filters};
    const Dims x_dims = {batch, p.size, p.size, p.channels};
    const cn_id kernel = c.constant_of(kernel_dims);
    for (int i = 0; i < many(batch > 1 ? 3 : 10); i++) {
        cn_graph_output(&c.g, c.node(CN_OP_conv, {c.input_of(x_dims), kernel}, attr));
    }
    print_ways(c, precision, depthwise ? "depthwise" : "conv",
               text_of(x_dims) + " by " + text_of(kernel_dims) + ", stride " + std::to_string(p.stride));
}

void lstm(cornu_dtype dtype, int64_t batch, int64_t steps, int64_t units) {
    Case c(dtype);
    cn_attr attr = run_graph::no_attr();
    attr.rnn.kind = CN_RNN_LSTM;
    attr.rnn.act = act_of(CN_EW_tanh);
    attr.rnn.gate = act_of(CN_EW_sigmoid);
    const cn_id recurrent = c.constant_of({units, 4 * units});
    for (int i = 0; i < many(3); i++) {
        cn_graph_output(&c.g, c.node(CN_OP_rnn, {c.input_of({batch, steps, 4 * units}), recurrent}, attr));
    }
    print_ways(c, CORNU_PRECISION_STRICT, "lstm", text_of({batch, steps, units}));
}

void attention(cornu_dtype dtype, int64_t batch, int64_t heads, int64_t tokens, int64_t depth) {
    Case c(dtype);
    cn_attr attr = run_graph::no_attr();
    attr.attention.scale = 0.125;
    const Dims dims = {batch, heads, tokens, depth};
    for (int i = 0; i < many(batch > 1 ? 3 : 10); i++) {
        const std::vector<cn_id> in = {c.input_of(dims), c.input_of(dims), c.input_of(dims)};
        cn_graph_output(&c.g, c.node(CN_OP_attention, in, attr));
    }
    print_ways(c, CORNU_PRECISION_DEFAULT, "attention", text_of(dims));
}

cn_fused_op op(cn_ew fn, int x, int z = 0) {
    cn_fused_op o = {};
    o.act = act_of(fn);
    o.arg[0] = x;
    o.arg[1] = z;
    return o;
}

// A program that has a kernel of its own, by it and by the machine. Values: x 0, z 1, b 2 where they are inputs, then
// the operations'.
void program(cornu_dtype dtype, const char* text, const std::vector<cn_fused_op>& ops, int inputs) {
    const int64_t rows = quick() ? 4 : 16384;
    Case c(dtype);
    cn_attr attr = run_graph::no_attr();
    std::vector<cn_id> in;
    for (int i = 0; i < inputs; i++)
        in.push_back(i < 1 || inputs < 3 ? c.input_of({rows, 1024}) : c.constant_of({1024}));
    attr.fused.count = (int)ops.size();
    attr.fused.ops = ops.data();
    cn_graph_output(&c.g, c.node(CN_OP_fused, in, attr));
    Steps steps(c, CORNU_PRECISION_STRICT);
    if (!steps.get()) return;
    for (bool machine : {false, true}) {
        ((cn_ew_args*)steps.get()->steps[0].data)->machine = machine;
        const Measured m = steps.measure();
        if (m.us > 0)
            printf(
                "{\"question\": \"program\", \"program\": \"%s\", \"ops\": %d, \"dtype\": \"%s\", \"elements\": %lld, "
                "\"machine\": %s, \"kernel\": \"%s\", \"us\": %.4f}\n",
                text, (int)ops.size(), cornu_dtype_name(dtype), (long long)(rows * 1024), machine ? "true" : "false",
                m.kernel.c_str(), m.us);
    }
    fflush(stdout);
}

const cornu_dtype kDtypes[] = {CORNU_FLOAT32, CORNU_BFLOAT16};

TEST(GpuWays, Dense) {
    if (quick()) return dense(CORNU_FLOAT32, 2, 13, 40);
    const int64_t shapes[][2] = {{512, 784}, {768, 768}, {3072, 768}, {4096, 4096}};
    for (const auto& shape : shapes) {
        for (cornu_dtype dtype : kDtypes) {
            for (int64_t rows : {1, 2, 4, 8, 16, 32}) dense(dtype, rows, shape[0], shape[1]);
        }
    }
}

// Of MobileNetV2: large pictures, the middle, the last with a stride; one of EfficientNet.
TEST(GpuWays, Depthwise) {
    if (quick()) return convolution(CORNU_FLOAT32, CORNU_PRECISION_STRICT, 1, {6, 8, 0, 3, 1});
    for (const Picture& p : {Picture{112, 32, 0, 3, 1}, {56, 144, 0, 3, 1}, {14, 576, 0, 3, 2}, {28, 240, 0, 5, 1}}) {
        for (cornu_dtype dtype : kDtypes) {
            for (int64_t batch : {1, 32}) convolution(dtype, CORNU_PRECISION_STRICT, batch, p);
        }
    }
}

// Of ResNet-50: its first, and one of each size.
TEST(GpuWays, Convolutions) {
    if (quick()) return convolution(CORNU_FLOAT32, CORNU_PRECISION_DEFAULT, 1, {6, 8, 8, 3, 1});
    for (const Picture& p :
         {Picture{224, 3, 64, 7, 2}, {56, 64, 64, 3, 1}, {14, 256, 256, 3, 1}, {7, 512, 512, 3, 1}}) {
        for (cornu_dtype dtype : kDtypes) {
            for (int64_t batch : {1, 32}) convolution(dtype, CORNU_PRECISION_DEFAULT, batch, p);
        }
    }
}

TEST(GpuWays, Recurrences) {
    if (quick()) return lstm(CORNU_FLOAT32, 1, 2, 8);
    for (cornu_dtype dtype : kDtypes) {
        for (int64_t units : {128, 256, 512}) lstm(dtype, 1, 100, units);
        lstm(dtype, 32, 100, 128);
    }
}

TEST(GpuWays, Attention) {
    if (quick()) return attention(CORNU_FLOAT32, 1, 2, 8, 8);
    for (cornu_dtype dtype : kDtypes) {
        for (int64_t tokens : {128, 512}) attention(dtype, 1, 12, tokens, 64);
        attention(dtype, 32, 12, 128, 64);
    }
}

TEST(GpuWays, Programs) {
    for (cornu_dtype dtype : kDtypes) {
        program(dtype, "relu(x + z)", {op(CN_EW_add, 0, 1), op(CN_EW_relu, 2)}, 2);
        if (quick()) return;
        program(dtype, "gelu(x + z)", {op(CN_EW_add, 0, 1), op(CN_EW_gelu, 2)}, 2);
        program(dtype, "x sigmoid(z)", {op(CN_EW_sigmoid, 1), op(CN_EW_mul, 0, 2)}, 2);
        program(dtype, "silu(x z + b)", {op(CN_EW_mul, 0, 1), op(CN_EW_add, 3, 2), op(CN_EW_silu, 4)}, 3);
    }
}

}  // namespace
