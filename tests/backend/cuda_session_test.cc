// Sessions on the device: shapes that come and go, streams, memory that does not fit, precisions, many threads on one model.
#include <atomic>
#include <climits>
#include <cstring>
#include <thread>

#include "cornu.h"
#include "tests/backend/cuda_host.h"

namespace {

using cuda_host::Environment;
using cuda_host::held;
using cuda_host::inject;
using cuda_host::usage;
using Floats = std::vector<float>;

const std::string kDigits = CORNU_SOURCE_DIR "/tools/demo_model/digits.keras";
const cornu_precision kPrecisions[] = {CORNU_PRECISION_DEFAULT, CORNU_PRECISION_STRICT, CORNU_PRECISION_TF32, CORNU_PRECISION_BF16, CORNU_PRECISION_FP16};

Floats pictures(int batch) {
    Floats x((size_t)batch * 64);
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)((i * 7 + i / 64 * 3) % 16);
    return x;
}

struct Model {
    cornu_model* handle = nullptr;
    Model() { EXPECT_EQ(cornu_model_load(kDigits.c_str(), nullptr, &handle), CORNU_OK) << cornu_last_error(); }
    ~Model() { cornu_model_destroy(handle); }
    Model(const Model&) = delete;

    std::string first_path() const {
        cornu_variable_info info = {};
        info.size = sizeof info;
        EXPECT_EQ(cornu_model_variable_info(handle, 0, &info), CORNU_OK) << cornu_last_error();
        return info.path;
    }
    Floats get() const {
        cornu_tensor t = {};
        EXPECT_EQ(cornu_model_get_variable(handle, first_path().c_str(), &t), CORNU_OK) << cornu_last_error();
        Floats out((float*)t.data, (float*)t.data + cornu_tensor_count(&t));
        cornu_tensor_release(&t);
        return out;
    }
    void set(const Floats& values) const {
        cornu_tensor t = {};
        ASSERT_EQ(cornu_model_get_variable(handle, first_path().c_str(), &t), CORNU_OK) << cornu_last_error();
        memcpy(t.data, values.data(), values.size() * sizeof(float));
        EXPECT_EQ(cornu_model_set_variable(handle, first_path().c_str(), &t), CORNU_OK) << cornu_last_error();
        cornu_tensor_release(&t);
    }
};

struct Session {
    cornu_session* handle = nullptr;
    explicit Session(const Model& model, cornu_precision precision = CORNU_PRECISION_STRICT, const char* device = "cuda") {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = device;
        options.precision = precision;
        EXPECT_EQ(cornu_session_create(model.handle, &options, &handle), CORNU_OK) << cornu_last_error();
    }
    ~Session() { cornu_session_destroy(handle); }
    Session(const Session&) = delete;

    Floats run(int batch) {
        Floats x = pictures(batch), y((size_t)batch * 10, -1);
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, batch, 8, 8, 1);
        cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y.data(), 2, batch, 10);
        EXPECT_EQ(cornu_session_run(handle, &in, 1, &out, 1), CORNU_OK) << cornu_last_error();
        return y;
    }
    std::string precision() {
        cornu_session_info info = {};
        info.size = sizeof info;
        EXPECT_EQ(cornu_session_get_info(handle, &info), CORNU_OK) << cornu_last_error();
        return info.precision;
    }
};

// How often a call is made while it lives.
class Counted {
   public:
    explicit Counted(const char* call) { inject(call, LONG_MAX, 1); }
    long end() { return inject(nullptr, 0, 0); }
};

// A tensor on the device.
struct OnDevice {
    const cn_cuda_calls* cuda = cuda_host::calls();
    void* data = nullptr;
    size_t bytes;
    explicit OnDevice(size_t count) : bytes(count * sizeof(float)) { EXPECT_EQ(cuda->Malloc(&data, bytes), cudaSuccess); }
    ~OnDevice() { free(); }
    OnDevice(const OnDevice&) = delete;
    void free() {
        if (data) (void)cuda->Free(data);
        data = nullptr;
    }
    void copy(void* to, const void* from, cudaMemcpyKind kind) {
        cudaStream_t s = nullptr;
        ASSERT_EQ(cuda->StreamCreateWithFlags(&s, cudaStreamNonBlocking), cudaSuccess);
        ASSERT_EQ(cuda->MemcpyAsync(to, from, bytes, kind, s), cudaSuccess);
        ASSERT_EQ(cuda->StreamSynchronize(s), cudaSuccess);
        ASSERT_EQ(cuda->StreamDestroy(s), cudaSuccess);
    }
};

struct Batch {
    int count;
    OnDevice x, y;
    explicit Batch(int batch) : count(batch), x((size_t)batch * 64), y((size_t)batch * 10) {
        Floats images = pictures(batch);
        x.copy(x.data, images.data(), cudaMemcpyHostToDevice);
    }
    cornu_status enqueue(Session* s, cudaStream_t stream) {
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data, 4, count, 8, 8, 1), out = cornu_tensor_of(CORNU_FLOAT32, y.data, 2, count, 10);
        in.device = out.device = 0;
        return cornu_session_run_on_stream(s->handle, &in, 1, &out, 1, stream);
    }
    Floats result() {
        Floats out((size_t)count * 10);
        y.copy(out.data(), y.data, cudaMemcpyDeviceToHost);
        return out;
    }
};

double difference(const Floats& a, const Floats& b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); i++) most = std::max(most, (double)std::abs(a[i] - b[i]));
    return a.size() == b.size() ? most : 1e30;
}

// ---- shapes ----

TEST(HostSession, ShapesThatWereCapturedAreNotCapturedAgain) {
    Model model;
    Session s(model), reference(model, CORNU_PRECISION_STRICT, "reference");
    std::vector<Floats> want;
    for (int batch : {1, 2, 5, 3}) {
        want.push_back(reference.run(batch));
        for (int i = 0; i < 2; i++) (void)s.run(batch);
    }
    for (int batch : {1, 2, 5, 3}) {  // once more each: a larger shape has moved the memory since
        for (int i = 0; i < 2; i++) (void)s.run(batch);
    }
    Counted captures("GraphInstantiate");
    long launches = usage().graph_launches;
    for (int i = 0; i < 5; i++) {
        int k = 0;
        for (int batch : {1, 2, 5, 3}) EXPECT_LT(difference(s.run(batch), want[(size_t)k++]), 1e-5) << batch;
    }
    EXPECT_EQ(captures.end(), 0);
    EXPECT_EQ(usage().graph_launches - launches, 20);
}

TEST(HostSession, OldShapesAreGivenBack) {
    {
        Model model;
        Session s(model), reference(model, CORNU_PRECISION_STRICT, "reference");
        const cn_host_usage before = usage();
        for (int batch = 18; batch > 0; batch--) {
            for (int i = 0; i < 2; i++) (void)s.run(batch);
            EXPECT_LE(usage().graph_execs - before.graph_execs, 16) << batch;
        }
        EXPECT_EQ(usage().graph_execs - before.graph_execs, 16);
        EXPECT_LE(usage().device_blocks - before.device_blocks, 16 + 3) << "a block for the words of each shape; weights, activations, inputs and scratch";
        Counted captures("GraphInstantiate");
        EXPECT_LT(difference(s.run(18), reference.run(18)), 1e-5) << "a shape that was given back";
        (void)s.run(18);
        EXPECT_EQ(captures.end(), 1);
    }
    EXPECT_EQ(held(), "");
}

// ---- streams ----

TEST(HostSession, RunsOnSeveralStreamsFollowEachOther) {
    Model model;
    Session s(model);
    Batch one(1), four(4);
    cudaStream_t streams[2] = {};
    const Floats want[] = {s.run(1), s.run(4)};
    for (cudaStream_t& stream : streams) ASSERT_EQ(one.x.cuda->StreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    Counted waits("StreamSynchronize");
    for (int i = 0; i < 4; i++) {
        ASSERT_EQ(one.enqueue(&s, streams[i % 2]), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(four.enqueue(&s, streams[1 - i % 2]), CORNU_OK) << cornu_last_error();
    }
    EXPECT_EQ(waits.end(), 0) << "the host waits for nothing";
    Counted joins("StreamWaitEvent");
    ASSERT_EQ(one.enqueue(&s, streams[0]), CORNU_OK);
    EXPECT_EQ(joins.end(), 1);
    for (cudaStream_t stream : streams) EXPECT_EQ(one.x.cuda->StreamDestroy(stream), cudaSuccess);  // before anybody has waited
    ASSERT_EQ(cornu_session_wait(s.handle), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(one.result(), want[0]);
    EXPECT_EQ(four.result(), want[1]);
    EXPECT_EQ(s.run(4), want[1]);
}

#if CUDART_VERSION >= 12080
TEST(HostSession, AStreamOfAnotherDeviceIsRefused) {
    Environment devices("CORNU_HOST_DEVICES", "2");
    Model model;
    Session s(model);
    Batch one(1);
    cudaStream_t stream = nullptr;
    ASSERT_EQ(one.x.cuda->SetDevice(1), cudaSuccess);
    ASSERT_EQ(one.x.cuda->StreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(one.x.cuda->SetDevice(0), cudaSuccess);
    EXPECT_EQ(one.enqueue(&s, stream), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("cuda:1"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(one.x.cuda->StreamDestroy(stream), cudaSuccess);
    EXPECT_EQ(one.enqueue(&s, stream), CORNU_BAD_ARGUMENT) << "destroyed";
    ASSERT_EQ(one.x.cuda->StreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(one.enqueue(&s, stream), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cornu_session_wait(s.handle), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(one.x.cuda->StreamDestroy(stream), cudaSuccess);
}
#endif

TEST(HostSession, TensorsThatAreGoneOrTooSmallAreRefused) {
    Model model;
    Session s(model);
    Batch two(2);
    OnDevice little(64);
    cudaStream_t stream = nullptr;
    ASSERT_EQ(little.cuda->StreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    std::swap(little.data, two.x.data);
    EXPECT_EQ(two.enqueue(&s, stream), CORNU_BAD_ARGUMENT) << "the last byte is in no memory of the device";
    EXPECT_NE(std::string(cornu_last_error()).find("input"), std::string::npos) << cornu_last_error();
    std::swap(little.data, two.x.data);
    EXPECT_EQ(two.enqueue(&s, stream), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(cornu_session_wait(s.handle), CORNU_OK);
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, two.x.data, 4, 2, 8, 8, 1), out = cornu_tensor_of(CORNU_FLOAT32, two.y.data, 2, 2, 10);
    in.device = out.device = 0;
    two.y.free();
    EXPECT_EQ(cornu_session_run_on_stream(s.handle, &in, 1, &out, 1, stream), CORNU_BAD_ARGUMENT) << "freed";
    EXPECT_NE(std::string(cornu_last_error()).find("output"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(little.cuda->StreamDestroy(stream), cudaSuccess);
}

// ---- precisions ----

TEST(HostSession, TellsThePrecision) {
    Model model;
    const char* const told[] = {"tf32 in convolutions and large products, else float32", "float32", "tf32", "bf16", "fp16"};
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(Session(model, kPrecisions[i]).precision(), told[i]);
        EXPECT_EQ(Session(model, kPrecisions[i], "cpu").precision(), "float32");
    }
}

TEST(HostSession, EveryPrecisionSeesNewWeightsAndLeavesThemAlone) {
    const double tolerance[] = {3e-3, 1e-5, 3e-3, 2e-2, 5e-3}; // of probabilities
    for (size_t i = 0; i < 5; i++) {
        Model model;
        const Floats old = model.get();
        Floats other = old;
        for (float& v : other) v *= -0.5f;
        Session s(model, kPrecisions[i]), reference(model, CORNU_PRECISION_STRICT, "reference");
        Floats first;
        for (int k = 0; k < 3; k++) {
            Floats y = s.run(3);
            if (k == 0) first = y;
            EXPECT_EQ(y, first) << "captured and replayed";
        }
        EXPECT_LT(difference(first, reference.run(3)), tolerance[i]) << i;
        EXPECT_EQ(model.get(), old) << "weights are not rounded";
        model.set(other);
        Floats changed = s.run(3);
        EXPECT_LT(difference(changed, reference.run(3)), tolerance[i]) << i;
        EXPECT_GT(difference(changed, first), 1e-3);
        EXPECT_EQ(changed, Session(model, kPrecisions[i]).run(3)) << "a session that never saw the old ones";
        model.set(old);
        EXPECT_EQ(s.run(3), first);
    }
}

TEST(HostSession, ModesHaveBitsOfTheirOwn) {
    Model model;
    std::vector<Floats> results;
    for (cornu_precision p : {CORNU_PRECISION_STRICT, CORNU_PRECISION_TF32, CORNU_PRECISION_BF16, CORNU_PRECISION_FP16}) results.push_back(Session(model, p).run(7));
    for (size_t i = 0; i < results.size(); i++) {
        for (size_t k = 0; k < i; k++) EXPECT_NE(results[i], results[k]) << i << " " << k;
    }
}

// ---- threads ----

#ifdef __SANITIZE_THREAD__
const int kRuns = 4; // host execution takes ten seconds for each
#else
const int kRuns = 12;
#endif

// Four threads, each with a session of another precision and with shapes of its own, while weights change: every result is that of the one
// or of the other weights, all of it.
TEST(HostSession, ThreadsAndNewWeights) {
    {
        Model model;
        const Floats values[2] = {model.get(), [&] {
                                      Floats v = model.get();
                                      for (float& x : v) x *= -0.5f;
                                      return v;
                                  }()};
        const cornu_precision precisions[4] = {CORNU_PRECISION_STRICT, CORNU_PRECISION_STRICT, CORNU_PRECISION_BF16, CORNU_PRECISION_FP16};
        Floats want[4][2][2];  // thread, weights, batch
        for (int w = 0; w < 2; w++) {
            model.set(values[w]);
            for (int t = 0; t < 4; t++) {
                Session s(model, precisions[t]);
                for (int b = 0; b < 2; b++) want[t][w][b] = s.run(1 + t + b);
            }
        }
        std::atomic<int> running{4}, wrong{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++) {
            threads.emplace_back([&, t] {
                Session s(model, precisions[t]);
                for (int i = 0; i < kRuns; i++) {
                    Floats y = s.run(1 + t + i % 2);
                    if (y != want[t][0][i % 2] && y != want[t][1][i % 2]) wrong++;
                }
                running--;
            });
        }
        for (int i = 0; running > 0; i++) model.set(values[i % 2]);
        for (std::thread& t : threads) t.join();
        EXPECT_EQ(wrong, 0);
    }
    EXPECT_EQ(held(), "");
}

}  // namespace
