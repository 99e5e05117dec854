// cuDNN as ways of steps: where it may be taken, what it makes, what happens when it fails or is not there.
#include <set>

#include "tests/backend/cuda_tuned.h"
#include "tests/backend/cuda_ways.h"

using cuda_host::held;
using cuda_host::inject;
using namespace cuda_test;
using namespace cuda_tuned;

namespace {

const double kTf32 = 5e-3;

struct Precise : Tuned {
    explicit Precise(const char* cache, cornu_tune tune = CORNU_TUNE_FULL, double seconds = 0,
                     cornu_precision precision = CORNU_PRECISION_TF32)
        : Tuned(cache, tune, 0, seconds, precision) {}
    int dnn_rows() const {
        int n = 0;
        for (const auto& row : rows) n += std::string(row.problem).find("cudnn 9") != std::string::npos;
        return n;
    }
};

// A cache that names the same way, counted from the last one, for every problem that cuDNN is asked about.
void name_ways(const std::string& path, const Precise& tuned, int from_last) {
    const std::string good = read_file(path);
    std::string text = good.substr(0, lines_at(good));
    for (const auto& row : tuned.rows) {
        bool dnn = std::string(row.problem).find("cudnn 9") != std::string::npos;
        text += plan_line(dnn ? row.ways - 1 - from_last : 0, row.ways, row.problem);
    }
    write_file(path, text);
}

const char* const kConvCalls[] = {"Dnn.Create",
                                  "Dnn.SetStream",
                                  "Dnn.BackendCreateDescriptor",
                                  "Dnn.BackendSetAttribute",
                                  "Dnn.BackendGetAttribute",
                                  "Dnn.BackendFinalize",
                                  "Dnn.BackendExecute",
                                  "Dnn.BackendDestroyDescriptor"};

}  // namespace

TEST(HostDnnWays, PlansAreTakenFromTheCacheAndReplayed) {
    Folder folder;
    const std::string before = held();
    {
        Precise guess("", CORNU_TUNE_OFF), first(folder.path.c_str());
        ASSERT_EQ(first.status, CORNU_OK) << cornu_last_error();
        ASSERT_GT(first.dnn_rows(), 0) << "the model has no convolution for cuDNN";
        EXPECT_EQ(guess.dnn_rows(), 0) << "nothing is chosen, nothing is asked";
        for (int from_last = 0; from_last < 4; from_last++) {
            name_ways(folder.file(), first, from_last);
            Precise t(folder.path.c_str(), CORNU_TUNE_FULL, 1e-9);
            ASSERT_EQ(t.status, CORNU_OK) << cornu_last_error();
            EXPECT_EQ(t.known(), (int)t.rows.size());
            EXPECT_GT(cuda_host::usage().dnn_objects, 0) << "way " << from_last << " from the last was not taken";
            expect_close(t.y, guess.y, kTf32);
            const std::vector<float> once = t.y;
            for (int run = 0; run < 3; run++) {  // the second is captured, the others are replayed
                t.run();
                EXPECT_EQ(t.y, once);
            }
        }
    }
    EXPECT_EQ(held(), before);
}

TEST(HostDnnWays, NothingIsKeptThatIsNotTaken) {
    Folder folder;
    Precise first(folder.path.c_str());
    name_ways(folder.file(), first, first.rows[0].ways);  // a way that is none: everything is timed anew
    const cn_host_usage before = cuda_host::usage();
    const std::string good = read_file(folder.file());
    std::string text = good.substr(0, lines_at(good));
    for (const auto& row : first.rows) text += plan_line(0, row.ways, row.problem);
    write_file(folder.file(), text);
    Precise t(folder.path.c_str(), CORNU_TUNE_FULL, 1e-9);
    EXPECT_EQ(cuda_host::usage().dnn_objects, before.dnn_objects);
    EXPECT_EQ(cuda_host::usage().dnn_handles, before.dnn_handles);
}

TEST(HostDnnWays, StrictProductsAreLeftAlone) {
    Precise t("", CORNU_TUNE_FULL, 0, CORNU_PRECISION_STRICT);
    EXPECT_EQ(t.dnn_rows(), 0);
}

// What fails while plans are made or timed leaves the guess; what fails in a run is the run's error, and names the
// call.
void fail_once(const std::string& cache, double seconds, int times, const std::vector<float>& wanted,
               std::set<std::string>* named) {
    const int errors[] = {3000, 4003, 5000};  // not supported, no memory, execution failed
    const std::string before = held();
    for (const char* name : kConvCalls) {
        inject(name, 1000000, 4000);
        { Precise t(cache.c_str(), CORNU_TUNE_FULL, seconds); }
        const long count = inject(nullptr, 0, 0), step = count / times + 1;
        ASSERT_GT(count, 0) << name;
        for (long n = 1; n <= count; n += step) {
            inject(name, n, errors[n / step % 3]);
            {
                Precise t(cache.c_str(), CORNU_TUNE_FULL, seconds);
                inject(nullptr, 0, 0);
                if (t.status != CORNU_OK) {
                    const std::string error = cornu_last_error();
                    EXPECT_NE(error.find(std::string("cudnn") + (name + 4)), std::string::npos) << error;
                    named->insert(name);
                    t.run();
                    ASSERT_EQ(t.status, CORNU_OK) << cornu_last_error();
                }
                expect_close(t.y, wanted, kTf32);
            }
            cuda_host::revive();
            ASSERT_EQ(held(), before) << name << " " << n << " of " << count;
        }
    }
}

TEST(HostDnnWays, EachCallFailsOnceWhileWaysAreTimed) {
    const Precise reference("", CORNU_TUNE_OFF);
    std::set<std::string> named;
    fail_once("", 0, 2, reference.y, &named);
}

TEST(HostDnnWays, EachCallFailsOnceInARun) {
    Folder folder;
    const Precise reference("", CORNU_TUNE_OFF);
    std::set<std::string> named;
    {
        const Precise first(folder.path.c_str());
        name_ways(folder.file(), first, 3);
    }
    fail_once(folder.path, 1e-9, 12, reference.y, &named);
    EXPECT_TRUE(named.count("Dnn.BackendExecute"));
}

TEST(HostDnnWays, ADeadContext) {
    Folder folder;
    const Precise first(folder.path.c_str());
    name_ways(folder.file(), first, 3);
    {
        Precise t(folder.path.c_str(), CORNU_TUNE_FULL, 1e-9);
        t.run(5);  // another shape, whose ways are guessed
        inject("Dnn.BackendExecute", 1, cudaErrorIllegalAddress, true);
        Precise u(folder.path.c_str(), CORNU_TUNE_FULL, 1e-9);
        EXPECT_EQ(u.status, CORNU_DEVICE_LOST) << cornu_last_error();
        inject(nullptr, 0, 0);
    }
    cuda_host::revive();
}

// One whose only slice is read from the padding before it is no convolution of images.
TEST(HostDnnWays, AVolumeOfOneSliceBehindPadding) {
    Case c(CORNU_FLOAT16);
    cn_attr a = run_graph::no_attr();
    a.conv.spatial = 3;
    a.conv.groups = 1;
    for (int i = 0; i < 3; i++) {
        a.conv.strides[i] = i ? 1 : 2;
        a.conv.dilation[i] = 1;
        a.conv.pad_lo[i] = 1;
        a.conv.pad_hi[i] = i ? 1 : 0;
    }
    const cn_id in[] = {c.input_of({2, 1, 6, 5, 8}), c.constant_of({1, 3, 3, 8, 16}), c.constant_of({16})};
    expect_ways(c, cn_graph_add(&c.g, CN_OP_conv, in, 3, &a), CORNU_PRECISION_STRICT, tolerance_of(CORNU_FLOAT16),
                "one slice");
    EXPECT_NE(problems.find("cudnn 9"), std::string::npos) << problems;
}

// NaN goes through the library's relu as through ours.
TEST(HostDnnWays, ReluOfNaN) {
    Case c(CORNU_FLOAT16);
    cn_attr a = run_graph::no_attr();
    a.conv.spatial = 2;
    a.conv.groups = 1;
    a.conv.act = act_of(CN_EW_relu);
    for (int i = 0; i < 2; i++) a.conv.strides[i] = a.conv.dilation[i] = a.conv.pad_lo[i] = a.conv.pad_hi[i] = 1;
    const cn_id in[] = {c.input_of({2, 9, 7, 8}), c.constant_of({3, 3, 8, 16}), c.constant_of({16})};
    cn_ref_store(CORNU_FLOAT16, c.data[0].data(), 100, NAN);
    expect_ways(c, cn_graph_add(&c.g, CN_OP_conv, in, 3, &a), CORNU_PRECISION_STRICT, tolerance_of(CORNU_FLOAT16),
                "relu of NaN");
    EXPECT_NE(problems.find("cudnn 9"), std::string::npos) << problems;
}

// Long sequences in halves, without a mask: cuDNN's plan is the last way. Others have none.
TEST(HostDnnWays, Attention) {
    struct {
        cornu_dtype dtype;
        int64_t heads, kv_heads, queries, keys, depth;
        bool causal, mask, offered;
    } const all[] = {{CORNU_FLOAT16, 2, 2, 5, 256, 16, false, false, true},
                     {CORNU_BFLOAT16, 4, 2, 256, 256, 32, false, false, true},
                     {CORNU_FLOAT16, 1, 1, 3, 300, 136, false, false, false},
                     {CORNU_FLOAT16, 2, 2, 5, 255, 16, false, false, false},
                     {CORNU_FLOAT32, 2, 2, 5, 256, 16, false, false, false},
                     {CORNU_FLOAT16, 2, 2, 256, 256, 16, true, false, false},
                     {CORNU_FLOAT16, 2, 2, 5, 256, 16, false, true, false},
                     {CORNU_FLOAT16, 2, 2, 5, 256, 12, false, false, false}};
    for (const auto& s : all) {
        Case c(s.dtype);
        cn_attr a = run_graph::no_attr();
        a.attention.scale = 1 / std::sqrt((double)s.depth);
        a.attention.causal = s.causal;
        std::vector<cn_id> in = {c.input_of({2, s.heads, s.queries, s.depth}),
                                 c.input_of({2, s.kv_heads, s.keys, s.depth}),
                                 c.input_of({2, s.kv_heads, s.keys, s.depth})};
        if (s.mask) {
            c.dtype = CORNU_BOOL;
            in.push_back(c.input_of({2, 1, s.queries, s.keys}));
            c.dtype = s.dtype;
        }
        const std::string what = std::to_string(s.queries) + " queries, " + std::to_string(s.keys) + " keys";
        expect_ways(c, c.node(CN_OP_attention, in, a), CORNU_PRECISION_STRICT, 4 * tolerance_of(s.dtype), what);
        EXPECT_EQ(problems.find("cudnn 9") != std::string::npos, s.offered) << what << ": " << problems;
    }
}

namespace {

struct Layer {
    cn_rnn_kind kind = CN_RNN_LSTM;
    int64_t batch = 3, steps = 5, units = 7;
    bool sequences = true, states = false, bias = false, backwards = false, reset_after = true, mask = false;
    cn_ew act = CN_EW_tanh, gate = CN_EW_sigmoid;
};

cn_id add_layer(Case* c, const Layer& l) {
    const cornu_dtype dtype = c->dtype;
    const int64_t width = cn_rnn_gates(l.kind) * l.units;
    cn_attr a = run_graph::no_attr();
    std::vector<cn_id> in = {c->input_of({l.batch, l.steps, width}), c->input_of({l.units, width})};
    const size_t count = (size_t)(l.units * width);
    for (size_t i = 0; i < count; i++)
        cn_ref_store(dtype, c->data.back().data(), (int64_t)i,
                     cn_ref_load(dtype, c->data.back().data(), (int64_t)i) / std::sqrt((double)l.units));
    in.push_back(l.states ? c->input_of({l.batch, l.units}) : CN_NONE);
    in.push_back(l.states && l.kind == CN_RNN_LSTM ? c->input_of({l.batch, l.units}) : CN_NONE);
    in.push_back(l.bias ? c->input_of({width}) : CN_NONE);
    if (l.mask) {
        c->dtype = CORNU_BOOL;
        in.push_back(c->input_of({l.batch, l.steps}));
        c->dtype = dtype;
    }
    a.rnn.kind = l.kind;
    a.rnn.act = act_of(l.act);
    a.rnn.gate = act_of(l.gate);
    a.rnn.backwards = l.backwards;
    a.rnn.reset_after = l.reset_after;
    a.rnn.sequences = l.sequences;
    return c->node(CN_OP_rnn, in, a);
}

// Returns how often cuDNN ran it.
long expect_layer(cornu_dtype dtype, const Layer& l) {
    Case c(dtype);
    inject("Dnn.RNNForward", 1000000, 0);  // counts
    const std::string what = "rnn kind " + std::to_string((int)l.kind) + " batch " + std::to_string(l.batch) +
                             " units " + std::to_string(l.units);
    expect_ways(c, add_layer(&c, l), CORNU_PRECISION_DEFAULT, 4 * tolerance_of(dtype), what);
    return inject(nullptr, 0, 0);
}

}  // namespace

TEST(HostDnnWays, Recurrence) {
    for (cornu_dtype dtype : {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16}) {
        for (cn_rnn_kind kind : {CN_RNN_SIMPLE, CN_RNN_LSTM, CN_RNN_GRU}) {
            for (int flags = 0; flags < 8; flags++) {
                Layer l;
                l.kind = kind;
                l.batch = flags & 1 ? 1 : 3;
                l.sequences = flags & 2;
                l.states = flags & 4;
                l.bias = kind == CN_RNN_GRU && (flags & 4);
                EXPECT_GE(expect_layer(dtype, l), 2);
            }
        }
    }
    Layer relu, wide;
    relu.kind = CN_RNN_SIMPLE;
    relu.act = CN_EW_relu;
    wide.units = 160;
    wide.steps = 2;
    EXPECT_GE(expect_layer(CORNU_FLOAT32, relu), 2);
    EXPECT_GE(expect_layer(CORNU_FLOAT32, wide), 2);
}

TEST(HostDnnWays, RecurrencesThatTheLibraryDoesNotHave) {
    Layer backwards, mask, resets_first, other_act, other_gate;
    backwards.backwards = mask.mask = true;
    resets_first.kind = CN_RNN_GRU;
    resets_first.reset_after = false;
    other_act.act = CN_EW_relu;
    other_gate.gate = CN_EW_hard_sigmoid;
    for (const Layer& l : {backwards, mask, resets_first, other_act, other_gate})
        EXPECT_EQ(expect_layer(CORNU_FLOAT32, l), 0);
    EXPECT_EQ(expect_layer(CORNU_FLOAT64, Layer()), 0);
}

// Each call of making a recurrence fails once: the step is left as it was, and nothing is left behind.
TEST(HostDnnWays, EachCallFailsOnceWhileARecurrenceIsMade) {
    const std::string before = held();
    for (const char* name : {"Dnn.CreateDropoutDescriptor", "Dnn.SetDropoutDescriptor", "Dnn.CreateRNNDescriptor",
                             "Dnn.SetRNNDescriptor_v8", "Dnn.CreateRNNDataDescriptor", "Dnn.SetRNNDataDescriptor",
                             "Dnn.CreateTensorDescriptor", "Dnn.SetTensorNdDescriptor", "Dnn.GetTensorNdDescriptor",
                             "Dnn.GetRNNTempSpaceSizes", "Dnn.GetRNNWeightSpaceSize", "Dnn.GetRNNWeightParams"}) {
        for (int n = 1; n <= 2; n++) {
            Case c(CORNU_FLOAT32);
            Layer l;
            int ways = 0;
            cn_graph_output(&c.g, add_layer(&c, l));
            inject(name, n, 3000);
            std::vector<std::vector<char>> out =
                run_way(c, CORNU_PRECISION_DEFAULT, 1000, &ways);  // the last way: cuDNN's
            inject(nullptr, 0, 0);
            std::vector<std::vector<char>> guess = run_way(c, CORNU_PRECISION_DEFAULT, 0, &ways);
            ASSERT_EQ(out.size(), guess.size());
            EXPECT_GT(ways, 3);
            for (size_t i = 0; i < guess[0].size() / sizeof(float); i++) {
                ASSERT_NEAR(((const float*)out[0].data())[i], ((const float*)guess[0].data())[i], 1e-5) << name;
            }
            EXPECT_EQ(held(), before) << name << " " << n;
        }
    }
}
