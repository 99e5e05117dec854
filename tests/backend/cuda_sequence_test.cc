// Recurrent layers and attention: every kind, masks, first states, sizes on both sides of the tiles, every dtype.
#include <climits>

#include "tests/backend/cuda_inject.h"
#include "tests/backend/cuda_ways.h"

using namespace cuda_test;

namespace {

// The latest input times `factor`.
void scale_input(Case* c, int64_t count, double factor) {
    for (int64_t i = 0; i < count; i++) cn_ref_store(c->dtype, c->data.back().data(), i, factor * cn_ref_load(c->dtype, c->data.back().data(), i));
}

cn_id mask_of(Case* c, const Dims& dims) {
    const cornu_dtype dtype = c->dtype;
    c->dtype = CORNU_BOOL;
    cn_id id = c->input_of(dims);
    c->dtype = dtype;
    return id;
}

struct Layer {
    cn_rnn_kind kind;
    int64_t batch, steps, units;
    bool backwards, reset_after, zero_masked, sequences, states, bias, mask;
    cn_ew act, gate;
};

std::string text_of(const Layer& l) {
    char text[200];
    snprintf(text, sizeof text, "rnn kind %d [%d, %d, %d]%s%s%s%s%s%s%s", (int)l.kind, (int)l.batch, (int)l.steps, (int)l.units, l.backwards ? " backwards" : "",
             l.reset_after ? " reset_after" : "", l.zero_masked ? " zero_masked" : "", l.sequences ? " sequences" : "", l.states ? " states" : "", l.bias ? " bias" : "",
             l.mask ? " mask" : "");
    return text;
}

void expect_rnn(cornu_dtype dtype, const Layer& l, int* ways = nullptr) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    const int64_t width = cn_rnn_gates(l.kind) * l.units;
    std::vector<cn_id> in = {c.input_of({l.batch, l.steps, width}), c.input_of({l.units, width})};
    scale_input(&c, l.units * width, 1 / std::sqrt((double)l.units)); // else errors grow from step to step
    in.push_back(l.states ? c.input_of({l.batch, l.units}) : CN_NONE);
    in.push_back(l.states && l.kind == CN_RNN_LSTM ? c.input_of({l.batch, l.units}) : CN_NONE);
    in.push_back(l.bias ? c.input_of({width}) : CN_NONE);
    in.push_back(l.mask ? mask_of(&c, {l.batch, l.steps}) : CN_NONE);
    a.rnn.kind = l.kind;
    a.rnn.act = act_of(l.act, 0.3);
    a.rnn.gate = act_of(l.gate);
    a.rnn.backwards = l.backwards;
    a.rnn.reset_after = l.reset_after;
    a.rnn.zero_masked = l.zero_masked;
    a.rnn.sequences = l.sequences;
    if (!ways) c.expect(c.node(CN_OP_rnn, in, a), text_of(l), 4 * tolerance_of(dtype));
    else *ways = expect_ways(c, c.node(CN_OP_rnn, in, a), CORNU_PRECISION_STRICT, 4 * tolerance_of(dtype), text_of(l));
}

const cn_rnn_kind kKinds[] = {CN_RNN_SIMPLE, CN_RNN_LSTM, CN_RNN_GRU};

TEST(CudaRnn, Flags) {
    for (int kind = 0; kind < 4; kind++) {
        for (unsigned flags = 0; flags < 64; flags++) {
            Layer l = {kKinds[kind % 3], 3, 4, 5, (flags & 1) != 0, kind == 3, (flags & 2) != 0, (flags & 4) != 0, (flags & 8) != 0, (flags & 16) != 0, (flags & 32) != 0,
                       CN_EW_tanh, CN_EW_sigmoid};
            if (kind == 3) l.kind = CN_RNN_GRU;
            expect_rnn(kFloats[flags % 4], l);
            expect_rnn(CORNU_FLOAT32, l);
        }
    }
}

// Units on both sides of a warp and of what the cache keeps, where a launch does one step.
TEST(CudaRnn, Sizes) {
    for (int kind = 0; kind < 4; kind++) {
        for (int64_t units : {1, 31, 32, 33, 131, 149, 263}) {
            for (int64_t batch : {1, 5}) {
                Layer l = {kind == 3 ? CN_RNN_GRU : kKinds[kind], batch, 3, units, batch == 5, kind == 3, false, batch == 1, true, true, batch == 5, CN_EW_tanh, CN_EW_sigmoid};
                expect_rnn(CORNU_FLOAT32, l);
            }
        }
        for (cornu_dtype dtype : kFloats) {
            for (int64_t steps : {1, 2}) {
                for (bool sequences : {false, true}) {
                    Layer l = {kind == 3 ? CN_RNN_GRU : kKinds[kind], 5, steps, 367, true, kind == 3, sequences, sequences, sequences, true, true, CN_EW_tanh, CN_EW_sigmoid};
                    expect_rnn(dtype, l);
                }
            }
        }
    }
}

// Units on both sides of what a thread holds in registers and a block in threads: every way.
TEST(CudaRnn, Ways) {
    const int64_t sizes[] = {2, 8, 9, 16, 17, 32, 36, 64, 68, 128, 132, 256};
    const cornu_dtype dtypes[] = {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16};
    for (int kind = 0; kind < 4; kind++) {
        int most = 0, number = 0;
        for (int64_t units : sizes) {
            int ways = 0;
            bool odd = number % 2 != 0;
            Layer l = {kind == 3 ? CN_RNN_GRU : kKinds[kind], 2, 3, units, odd, kind == 3, number % 3 == 0, !odd, odd, number % 3 != 2, !odd, CN_EW_tanh, CN_EW_sigmoid};
            expect_rnn(dtypes[number % 3], l, &ways);
            expect_rnn(CORNU_FLOAT32, l, &ways);
            most = std::max(most, ways);
            number++;
        }
        EXPECT_EQ(most, 4) << kind;
    }
}

// Whether host execution can have so many threads at once.
bool has_room(int64_t units) {
#ifdef __SANITIZE_THREAD__
    return units == 65 || units == 145;
#else
    return units > 0;
#endif
}

// As expect_rnn; returns how many cooperative launches there were.
long teams_of(cornu_dtype dtype, const Layer& l, int* ways = nullptr) {
    cuda_host::inject("LaunchCooperativeKernel", LONG_MAX, 0);
    expect_rnn(dtype, l, ways);
    return cuda_host::inject(nullptr, 0, 0);
}

Layer layer_of(int kind, int64_t batch, int64_t steps, int64_t units, unsigned flags) {
    return {kind == 3 ? CN_RNN_GRU : kKinds[kind],
            batch,
            steps,
            units,
            (flags & 1) != 0,
            kind == 3,
            (flags & 2) != 0,
            (flags & 4) != 0,
            (flags & 8) != 0,
            (flags & 16) != 0,
            (flags & 32) != 0,
            CN_EW_tanh,
            CN_EW_sigmoid};
}

// Units that several blocks share, on both sides of what each takes; one group of them for all rows, some, and one for each.
TEST(CudaRnn, Teams) {
    const int64_t sizes[] = {65, 128, 145, 160, 200, 255, 256}, batches[] = {1, 3, 33}, steps[] = {1, 2, 17, 3};
    const cornu_dtype dtypes[] = {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_FLOAT32, CORNU_BFLOAT16};
    unsigned number = 0;
    for (int64_t units : sizes) {
        if (!has_room(units)) continue;
        for (int kind = 0; kind < 4; kind++, number++) {
            const int64_t batch = batches[(number + number / 4) % 3],
                          count = batch == 33 ? number % 2 + 1 : steps[number % 4];
const char* count_of[] = {"4", "11", "48"};
            cuda_host::Environment processors("CORNU_HOST_PROCESSORS", has_room(512) ? count_of[number % 3] : "2");
            int ways = 0;
            EXPECT_GT(teams_of(CORNU_FLOAT32, layer_of(kind, batch, count, units, number * 11), &ways), 0);
            EXPECT_GT(
                teams_of(dtypes[(number + number / 4) % 4], layer_of(kind, batch, 2, units, number * 13 + 5), &ways),
                0);
        }
    }
}

// Where a group of blocks is the guess: LSTM and GRU whose weights no block can hold, if the device has room for all blocks at once.
TEST(HostRnn, GuessedTeams) {
    if (!has_room(512)) GTEST_SKIP() << "more threads than ThreadSanitizer takes";
    for (int64_t units : {148, 200, 256, 333, 512}) {
        cuda_host::Environment processors("CORNU_HOST_PROCESSORS", "24");
        EXPECT_EQ(teams_of(CORNU_FLOAT32, layer_of(1, 2, 2, units, 63)), 1) << units;
    }
    EXPECT_EQ(teams_of(CORNU_FLOAT32, layer_of(3, 1, 3, 256, 4)), 1);
    EXPECT_EQ(teams_of(CORNU_FLOAT32, layer_of(2, 1, 3, 256, 36)), 1);
    EXPECT_EQ(teams_of(CORNU_BFLOAT16, layer_of(1, 1, 2, 260, 0)), 1);
    EXPECT_EQ(teams_of(CORNU_FLOAT32, layer_of(1, 1, 2, 64, 0)), 0);
    EXPECT_EQ(teams_of(CORNU_FLOAT32, layer_of(1, 33, 2, 256, 0)), 0) << "33 rows, 4 at a time, by one group of blocks";
    cuda_host::Environment processors("CORNU_HOST_PROCESSORS", "1");
    EXPECT_EQ(teams_of(CORNU_FLOAT32, layer_of(1, 1, 2, 256, 0)), 0);
}

// Several rows a block, the last of them beyond the batch.
TEST(CudaRnn, WaysOfLargeBatches) {
    for (int kind = 0; kind < 4; kind++) {
        for (cornu_dtype dtype : kFloats) {
            int ways = 0;
            Layer l = {kind == 3 ? CN_RNN_GRU : kKinds[kind], 258, 2, kind == 1 ? 33 : 6, true, kind == 3, true, true, true, true, true, CN_EW_tanh, CN_EW_hard_sigmoid};
            expect_rnn(dtype, l, &ways);
            EXPECT_EQ(ways, dtype == CORNU_FLOAT64 ? 2 : 3);
        }
    }
}

TEST(CudaRnn, LargeBatch) {
    for (int kind = 0; kind < 4; kind++) {
        Layer l = {kind == 3 ? CN_RNN_GRU : kKinds[kind], 259, 3, 7, false, kind == 3, false, true, true, true, true, CN_EW_tanh, CN_EW_sigmoid};
        expect_rnn(CORNU_FLOAT32, l);
        expect_rnn(CORNU_FLOAT64, l);
    }
}

TEST(CudaRnn, Activations) {
    for (cn_ew act : {CN_EW_copy, CN_EW_relu, CN_EW_elu, CN_EW_softsign, CN_EW_silu, CN_EW_hard_sigmoid}) {
        for (int kind = 0; kind < 4; kind++) {
            Layer l = {kind == 3 ? CN_RNN_GRU : kKinds[kind], 2, 3, 6, false, kind == 3, false, true, false, true, false, act, CN_EW_hard_sigmoid};
            expect_rnn(CORNU_FLOAT32, l);
        }
    }
}

struct Heads {
    int64_t batch, heads, kv_heads, queries, keys, depth, width;
    int mask; // 0: none; else bits: which of batch, heads, queries, keys it has
    bool causal, zero_rows;
};

void expect_attention(cornu_dtype dtype, const Heads& s, bool special = false) {
    Case c(dtype);
    cn_attr a = run_graph::no_attr();
    char text[200];
    c.special = special;
    std::vector<cn_id> in = {c.input_of({s.batch, s.heads, s.queries, s.depth}), c.input_of({s.batch, s.kv_heads, s.keys, s.depth}), c.input_of({s.batch, s.kv_heads, s.keys, s.width})};
    if (s.mask) in.push_back(mask_of(&c, {s.mask & 1 ? s.batch : 1, s.mask & 2 ? s.heads : 1, s.mask & 4 ? s.queries : 1, s.mask & 8 ? s.keys : 1}));
    a.attention.scale = 0.7;
    a.attention.causal = s.causal;
    a.attention.zero_rows = s.zero_rows;
    snprintf(text, sizeof text, "attention heads %d/%d, %d queries, %d keys, depth %d, mask %d%s%s", (int)s.heads, (int)s.kv_heads, (int)s.queries, (int)s.keys, (int)s.depth, s.mask,
             s.causal ? " causal" : "", s.zero_rows ? " zero_rows" : "");
    EXPECT_EQ(expect_ways(c, c.node(CN_OP_attention, in, a), CORNU_PRECISION_STRICT, tolerance_of(dtype), text), dtype != CORNU_FLOAT64 && s.depth <= 128 && s.width <= 128 ? 2 : 1);
}

TEST(CudaAttention, Masks) {
    for (int mask = 0; mask < 16; mask++) {
        for (int flags = 0; flags < 4; flags++) {
            Heads s = {2, 2, 1, 5, 6, 3, 4, mask, (flags & 1) != 0, (flags & 2) != 0};
            expect_attention(CORNU_FLOAT32, s);
            expect_attention(kFloats[mask % 4], s);
        }
    }
}

TEST(CudaAttention, Sizes) {
    for (cornu_dtype dtype : kFloats) {
        const Heads shapes[] = {
            {1, 1, 1, 1, 1, 1, 1, 0, false, false}, {1, 4, 4, 15, 31, 31, 127, 0, true, false},  {1, 4, 2, 16, 32, 32, 128, 8, false, true}, {2, 6, 3, 17, 33, 33, 129, 15, false, false},
            {1, 2, 1, 35, 70, 65, 40, 12, true, false}, {1, 1, 1, 3, 100, 128, 260, 8, false, false}, {1, 2, 2, 20, 5, 4, 65, 4, true, true},
            {1, 1, 1, 64, 64, 64, 64, 0, true, false}, {1, 2, 1, 65, 129, 128, 128, 8, false, true}, {32, 4, 2, 33, 63, 24, 16, 9, true, false},
        };
        for (const Heads& s : shapes) expect_attention(dtype, s);
    }
}

TEST(CudaAttention, NotFinite) {
    for (cornu_dtype dtype : kFloats) {
        for (int mask : {0, 8, 15}) {
            for (int64_t keys : {1, 3, 40}) expect_attention(dtype, {2, 2, 2, 6, keys, 1, 3, mask, false, false}, true);
        }
    }
}

} // namespace
