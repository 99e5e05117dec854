// Every way of products, depthwise convolutions and elementwise programs, timed on the device: skinny kernels against
// cuBLASLt, own kernels against cuDNN's, prebuilt elementwise kernels against the machine. One JSON object a line:
//
//     {"question": "ways", "problem": "dense", "rows": 4, "columns": 512, "inner": 784, "dtype": "float32",
//     "precision": "strict", "way": 1, "ways": 9,
//      "kernel": "...", "us": ...}
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
        options.tune = CORNU_TUNE_OFF;
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

const char* name_of(cornu_precision precision) { return precision == CORNU_PRECISION_STRICT ? "strict" : "default"; }

// Prints every way of the graph's steps, which are alike. problem: JSON's members that describe them.
void print_ways(const Case& c, cornu_precision precision, const std::string& problem) {
    Steps steps(c, precision);
    cn_cuda_executable* e = steps.get();
    if (!e) return;
    const int ways = std::max(e->steps[0].ways, 1);
    for (int way = 0; way < ways; way++) {
        for (int i = 0; i < e->step_count; i++) e->steps[i].way = std::min(way, std::max(e->steps[i].ways, 1) - 1);
        const Measured m = steps.measure();
        if (m.us > 0)
            printf(
                "{\"question\": \"ways\", %s, \"dtype\": \"%s\", \"precision\": \"%s\", \"way\": %d, \"ways\": %d, "
                "\"kernel\": \"%s\", \"us\": %.4f}\n",
                problem.c_str(), cornu_dtype_name(c.dtype), name_of(precision), way, ways, m.kernel.c_str(), m.us);
    }
    fflush(stdout);
}

// Several Dense layers over one kernel behind each other, and not of each other's results, so that nothing but their
// number matters.
void dense(cornu_dtype dtype, int64_t rows, int64_t columns, int64_t inner) {
    Case c(dtype);
    cn_attr attr = run_graph::no_attr();
    const cn_id kernel = c.constant_of({inner, columns});
    for (int i = 0; i < (quick() ? 2 : 50); i++)
        cn_graph_output(&c.g, c.node(CN_OP_matmul, {c.input_of({rows, inner}), kernel}, attr));
    print_ways(c, CORNU_PRECISION_STRICT,
               "\"problem\": \"dense\", \"rows\": " + std::to_string(rows) +
                   ", \"columns\": " + std::to_string(columns) + ", \"inner\": " + std::to_string(inner));
}

void depthwise(cornu_dtype dtype, int64_t batch, int64_t size, int64_t channels, int64_t window, int64_t stride) {
    Case c(dtype);
    cn_attr attr = run_graph::conv_attr(2, stride, 1, window / 2, window / 2, channels);
    const cn_id kernel = c.constant_of({window, window, 1, channels});
    for (int i = 0; i < (quick() ? 2 : batch > 1 ? 3 : 10); i++)
        cn_graph_output(&c.g, c.node(CN_OP_conv, {c.input_of({batch, size, size, channels}), kernel}, attr));
    print_ways(c, CORNU_PRECISION_STRICT,
               "\"problem\": \"depthwise\", \"rows\": " + std::to_string(batch) +
                   ", \"size\": " + std::to_string(size) + ", \"channels\": " + std::to_string(channels) +
                   ", \"window\": " + std::to_string(window) + ", \"stride\": " + std::to_string(stride));
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
    if (quick()) return depthwise(CORNU_FLOAT32, 1, 6, 8, 3, 1);
    const int64_t shapes[][4] = {{112, 32, 3, 1}, {56, 144, 3, 1}, {14, 576, 3, 2}, {28, 240, 5, 1}};
    for (const auto& shape : shapes) {
        for (cornu_dtype dtype : kDtypes) {
            for (int64_t batch : {1, 32}) depthwise(dtype, batch, shape[0], shape[1], shape[2], shape[3]);
        }
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
