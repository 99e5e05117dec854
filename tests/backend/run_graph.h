// Running a graph on a backend without a model: variables are numbers made up from their slots.
#ifndef TESTS_BACKEND_RUN_GRAPH_H
#define TESTS_BACKEND_RUN_GRAPH_H

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/ref.h"
#include "base/alloc.h"

namespace run_graph {

using Floats = std::vector<float>;

inline cn_type type_of(std::initializer_list<int64_t> dims, cornu_dtype dtype = CORNU_FLOAT32) {
    cn_type t = {};
    t.dtype = dtype;
    for (int64_t d : dims) t.dims[t.ndim++] = d;
    return t;
}

inline Floats random_floats(int64_t count, unsigned seed, float low = -1, float high = 1) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> spread(low, high);
    Floats out((size_t)count);
    for (float& x : out) x = spread(random);
    return out;
}

// Variables are in [0.5, 1.5), so that they can be variances too. Float32 alone.
struct Weights {
    cn_weights base;
    const cn_plan* plan;
    std::map<int, void*> made;
    std::map<std::string, void*> forms;
    std::vector<std::pair<const cn_residence*, void*>> blocks;

    explicit Weights(const cn_plan* of) : base{data, derived, resident, cornu_last_error}, plan(of) {}
    ~Weights() {
        for (auto& b : blocks) b.first->release(b.first, b.second);
        for (auto& m : made) cn_free_aligned(m.second);
        for (auto& f : forms) cn_free_aligned(f.second);
    }

    static cornu_status read(void* user, int slot, void* dst) {
        const cn_graph* g = (const cn_graph*)user;
        for (int i = 0; i < g->count; i++) {
            if (g->nodes[i].op != CN_OP_variable || g->nodes[i].attr.variable.slot != slot) continue;
            Floats values = random_floats(cn_type_count(&g->types[i]), (unsigned)slot + 100, 0.5f, 1.5f);
            for (size_t k = 0; k < values.size(); k += 3) values[k] *= g->types[i].ndim > 1 ? -1.0f : 1.0f;
            memcpy(dst, values.data(), values.size() * sizeof(float));
        }
        return CORNU_OK;
    }

    static const void* data(cn_weights* w, int i) {
        Weights* self = (Weights*)w;
        void*& at = self->made[i];
        if (!at) {
            const cn_graph* g = self->plan->graph;
            at = cn_alloc_aligned(cn_type_bytes(&g->types[self->plan->constants[i]]) + 1);
            EXPECT_EQ(cn_ref_evaluate(g, self->plan->constants[i], read, (void*)g, at), CORNU_OK) << cornu_last_error();
        }
        return at;
    }

    static cornu_status derived(cn_weights* w, int i, const char* layout, uint64_t bytes, cn_derive fn, const void* user, uint64_t, void** out) {
        Weights* self = (Weights*)w;
        void*& at = self->forms[std::to_string(i) + layout];
        *out = at;
        if (at) return CORNU_OK;
        *out = at = cn_alloc_aligned(bytes + 1);
        if (!at) return CN_NO_MEMORY(bytes);
        return fn(user, data(w, i), at);
    }

    static cornu_status resident(cn_weights* w, const cn_residence* residence, cn_resident* residents, int count) {
        Weights* self = (Weights*)w;
        void* block = nullptr;
        for (int i = 0; i < count; i++) {
            residents[i].type = self->plan->graph->types[self->plan->constants[residents[i].constant]];
            residents[i].data = data(w, residents[i].constant);
        }
        if (count == 0) return CORNU_OK;
        cornu_status st = residence->make(residence, residents, count, &block);
        if (st == CORNU_OK) self->blocks.emplace_back(residence, block);
        return st;
    }
};

struct Options {
    int64_t repeats = 1; // of a graph for a part of the batch
    int lanes = 1;
    int runs = 1;
    cornu_precision precision = CORNU_PRECISION_STRICT;
};

// Outputs of a graph for float32 inputs, one after the other: bytes, since dtypes differ.
inline std::vector<std::vector<char>> run(const cn_graph& g, const cn_backend& backend, const std::vector<Floats>& inputs, Options o = {}) {
    std::vector<std::vector<char>> out;
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_executable* executable = nullptr;
    void* arena = nullptr;
    cn_device_options options = {};
    options.threads = o.lanes;
    options.precision = o.precision;
    EXPECT_EQ(cn_graph_verify(&g), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cn_plan_create(&g, backend.alignment, &plan), CORNU_OK) << cornu_last_error();
    if (!plan) return out;
    plan->repeats = o.repeats;
    plan->lanes = o.lanes;
    {
        Weights weights(plan);
        std::vector<const void*> in;
        std::vector<void*> results;
        for (const Floats& f : inputs) in.push_back(f.data());
        for (int i = 0; i < g.output_count; i++) {
            out.emplace_back(cn_type_bytes(&g.types[g.outputs[i]]) * (uint64_t)o.repeats);
        }
        for (auto& bytes : out) results.push_back(bytes.data());
        EXPECT_EQ(backend.open(&options, &device), CORNU_OK) << cornu_last_error();
        if (!device) {
            cn_plan_destroy(plan);
            return out;
        }
        EXPECT_EQ(backend.alloc(device, plan->arena_bytes * (uint64_t)o.lanes, &arena), CORNU_OK);
        if (backend.is_host) memset(arena, 0xff, plan->arena_bytes * (uint64_t)o.lanes); // NaN: a value that is read before it is made shows
        EXPECT_EQ(backend.prepare(device, plan, &weights.base, &executable), CORNU_OK) << cornu_last_error();
        cn_run r = {};
        r.inputs = in.data();
        r.outputs = results.data();
        r.arena = arena;
        r.seed = 7;
        for (int i = 0; executable && i < o.runs; i++) EXPECT_EQ(backend.run(executable, &r), CORNU_OK) << cornu_last_error();
        if (executable) backend.destroy(executable);
        backend.free(device, arena);
        backend.close(device);
    }
    cn_plan_destroy(plan);
    return out;
}

// ||a - b|| / ||b||, infinite where one is NaN or infinite and the other is not the same.
inline double difference(const std::vector<char>& a, const std::vector<char>& b) {
    double square = 0, norm = 0;
    if (a.size() != b.size()) return INFINITY;
    for (size_t i = 0; i + 4 <= a.size(); i += 4) {
        float x, y;
        memcpy(&x, &a[i], 4);
        memcpy(&y, &b[i], 4);
        if (std::isnan(x) && std::isnan(y)) continue;
        if (x == y) {
            if (std::isfinite(y)) norm += (double)y * y;
            continue;
        }
        if (!std::isfinite(x) || !std::isfinite(y)) return INFINITY;
        square += ((double)x - y) * ((double)x - y);
        norm += (double)y * y;
    }
    return square == 0 ? 0 : std::sqrt(square / (norm > 0 ? norm : 1e-30));
}

struct Graph {
    cn_graph g;
    Graph() { cn_graph_init(&g); }
    ~Graph() { cn_graph_deinit(&g); }
    Graph(const Graph&) = delete;
    cn_id input(std::initializer_list<int64_t> dims, const char* name = "x") {
        cn_type t = type_of(dims);
        return cn_graph_input(&g, &t, name);
    }
    cn_id variable(std::initializer_list<int64_t> dims) {
        cn_type t = type_of(dims);
        return cn_graph_variable(&g, &t, next_slot++, "v");
    }
    cn_id add(cn_op op, std::vector<cn_id> in, const cn_attr& attr) { return cn_graph_add(&g, op, in.data(), (int)in.size(), &attr); }
    std::vector<Floats> inputs(unsigned seed = 1, float low = -1, float high = 1) const {
        std::vector<Floats> out((size_t)g.input_count);
        for (int i = 0; i < g.count; i++) {
            if (g.nodes[i].op != CN_OP_input) continue;
            out[(size_t)g.nodes[i].attr.port.index] = random_floats(cn_type_count(&g.types[i]), seed + (unsigned)i, low, high);
        }
        return out;
    }
    int count(cn_op op) const {
        int n = 0;
        for (int i = 0; i < g.count; i++) n += g.nodes[i].op == op;
        return n;
    }
    int next_slot = 0;
};

inline cn_attr conv_attr(int spatial, int64_t stride, int64_t dilation, int64_t lo, int64_t hi, int64_t groups) {
    cn_attr a;
    memset(&a, 0, sizeof a);
    a.conv.spatial = spatial;
    for (int i = 0; i < spatial; i++) {
        a.conv.strides[i] = stride;
        a.conv.dilation[i] = dilation;
        a.conv.pad_lo[i] = lo;
        a.conv.pad_hi[i] = hi;
    }
    a.conv.groups = groups;
    return a;
}

inline cn_attr pool_attr(cn_pool_kind kind, int spatial, int64_t window, int64_t stride, int64_t lo, int64_t hi) {
    cn_attr a;
    memset(&a, 0, sizeof a);
    a.pool.kind = kind;
    a.pool.spatial = spatial;
    for (int i = 0; i < spatial; i++) {
        a.pool.window[i] = window;
        a.pool.strides[i] = stride;
        a.pool.pad_lo[i] = lo;
        a.pool.pad_hi[i] = hi;
    }
    return a;
}

inline cn_attr no_attr() {
    cn_attr a;
    memset(&a, 0, sizeof a);
    return a;
}

}  // namespace run_graph

#endif
