// Elementwise programs that have kernels of their own: the same bits as the machine gives, and no more programs than meant.
#include "backend/cuda/cuda.h"
#include "kernels/elementwise.h"
#include "tests/backend/cuda_raw.h"

namespace {

using namespace cuda_raw;

// Outputs on the device; machine: every program by the machine.
std::vector<Bytes> run_with(const Raw& g, bool machine) {
    std::vector<Bytes> out;
    std::vector<void*> results;
    std::vector<const void*> in;
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_executable* executable = nullptr;
    void* arena = nullptr;
    cn_device_options options = {};
    EXPECT_EQ(cn_plan_create(&g.g, cn_backend_cuda.alignment, &plan), CORNU_OK) << cornu_last_error();
    if (!plan) return out;
    for (int i = 0; i < g.g.output_count; i++) out.emplace_back((size_t)cn_type_bytes(&g.g.types[g.g.outputs[i]]));
    for (Bytes& bytes : out) results.push_back(bytes.data());
    for (const run_graph::Floats& f : g.data) in.push_back(f.data());
    {
        run_graph::Weights weights(plan);
        EXPECT_EQ(cn_backend_cuda.open(&options, &device), CORNU_OK) << cornu_last_error();
        EXPECT_EQ(cn_backend_cuda.alloc(device, plan->arena_bytes, &arena), CORNU_OK);
        EXPECT_EQ(cn_backend_cuda.prepare(device, plan, &weights.base, &executable), CORNU_OK) << cornu_last_error();
        if (executable) {
            cn_cuda_executable* e = (cn_cuda_executable*)executable;
            for (int i = 0; i < e->step_count; i++) {
                const cn_op op = e->steps[i].node->op;
                if (op == CN_OP_ew || op == CN_OP_fused) ((cn_ew_args*)e->steps[i].data)->machine = machine;
            }
            cn_run run = {};
            run.inputs = in.data();
            run.outputs = results.data();
            run.arena = arena;
            EXPECT_EQ(cn_backend_cuda.run(executable, &run), CORNU_OK) << cornu_last_error();
            cn_backend_cuda.destroy(executable);
        }
        cn_backend_cuda.free(device, arena);
        cn_backend_cuda.close(device);
    }
    cn_plan_destroy(plan);
    return out;
}

struct Program {
    const char* name;
    std::vector<cn_fused_op> ops; // values: x 0, z 1, b 2, then the ops' from `inputs` on
    int inputs;
};

cn_fused_op op(cn_ew fn, int x, int z = 0) {
    cn_fused_op o = {};
    o.act.fn = fn;
    o.arg[0] = x;
    o.arg[1] = z;
    return o;
}

std::vector<Program> programs_of(cn_ew act) {
    return {
        {"act(x)", {op(act, 0)}, 1},
        {"act(x + z)", {op(CN_EW_add, 0, 1), op(act, 2)}, 2},
        {"act(z + x)", {op(CN_EW_add, 1, 0), op(act, 2)}, 2},
        {"x + z", {op(CN_EW_add, 0, 1)}, 2},
        {"x z", {op(CN_EW_mul, 0, 1)}, 2},
        {"x act(z)", {op(act, 1), op(CN_EW_mul, 0, 2)}, 2},
        {"act(z) x", {op(act, 1), op(CN_EW_mul, 2, 0)}, 2},
        {"act(x z + b)", {op(CN_EW_mul, 0, 1), op(CN_EW_add, 3, 2), op(act, 4)}, 3},
        {"x z + b", {op(CN_EW_mul, 0, 1), op(CN_EW_add, 3, 2)}, 3},
        {"act(x z) + x", {op(CN_EW_mul, 0, 1), op(act, 2), op(CN_EW_add, 3, 0)}, 2},
        {"(x + z) x", {op(CN_EW_add, 0, 1), op(CN_EW_mul, 2, 0)}, 2},
    };
}

void expect_same_bits(cornu_dtype dtype, const Program& p, const Dims& x, const Dims& z, const Dims& b, double scale) {
    Raw g;
    const Dims* dims[] = {&x, &z, &b};
    std::vector<cn_id> in;
    for (int k = 0; k < p.inputs; k++) {
        int64_t count = 1;
        for (int64_t d : *dims[k]) count *= d;
        in.push_back(g.input(*dims[k], dtype, random_values(dtype, count, (unsigned)k + 1, -scale, scale)));
    }
    cn_attr attr = run_graph::no_attr();
    attr.fused.count = (int)p.ops.size();
    attr.fused.ops = p.ops.data();
    cn_graph_output(&g.g, g.add(CN_OP_fused, in, attr));
    ASSERT_EQ(cn_graph_status(&g.g), CORNU_OK) << cornu_last_error();
    const std::vector<Bytes> hot = run_with(g, false), machine = run_with(g, true);
    EXPECT_EQ(hot, machine) << p.name << " of " << cornu_dtype_name(dtype);
    cuda_test::digest.add(hot);
}

const cn_ew kActs[] = {CN_EW_relu, CN_EW_relu6, CN_EW_gelu, CN_EW_silu, CN_EW_sigmoid, CN_EW_tanh, CN_EW_elu};

TEST(CudaHot, EveryProgram) {
    for (cornu_dtype dtype : kFloats) {
        for (cn_ew act : kActs) {
            for (const Program& p : programs_of(act)) expect_same_bits(dtype, p, {6, 16}, {6, 16}, {16}, 9);
        }
    }
}

// Dense, one element, rows, gates of images; sizes that are no multiple of a vector; more than a block.
TEST(CudaHot, EveryPlace) {
    const struct {
        Dims x, z, b;
    } shapes[] = {
        {{8}, {1}, {}}, {{7}, {7}, {7}}, {{12}, {12}, {1}}, {{3, 8}, {8}, {8}}, {{3, 12}, {12}, {12}}, {{5, 7}, {7}, {5, 1}}, {{2, 3, 4, 16}, {2, 1, 1, 16}, {16}},
        {{2, 3, 4, 12}, {2, 1, 1, 12}, {12}}, {{16, 8}, {16, 1}, {8}}, {{40, 104}, {104}, {40, 104}}, {{1, 8, 64}, {1, 8, 1}, {64}}, {{2, 3, 8}, {2, 1, 8}, {1, 3, 8}}, {{0, 8}, {8}, {8}},
    };
    for (cornu_dtype dtype : {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16}) {
        for (const auto& s : shapes) {
            for (const Program& p : programs_of(CN_EW_silu)) expect_same_bits(dtype, p, s.x, s.z, s.b, 3);
        }
    }
}

}  // namespace
