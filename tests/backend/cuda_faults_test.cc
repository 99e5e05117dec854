// What goes wrong with a CUDA device: each call fails once, memory runs out, the context dies, there is no device or no fitting plug-in.
#include <gtest/gtest.h>

#include <climits>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "cornu.h"
#include "tests/backend/cuda_host.h"
#include "tests/backend/run_graph.h"

namespace {

using cuda_host::Environment;
using cuda_host::held;
using cuda_host::inject;

const std::string kDigits = CORNU_SOURCE_DIR "/tools/demo_model/digits.keras";

std::vector<float> pictures(int batch) {
    std::vector<float> x((size_t)batch * 64);
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)((i * 7 + i / 64 * 3) % 16);
    return x;
}

// A model and a session; what failed first.
struct Digits {
    cornu_model* model = nullptr;
    cornu_session* session = nullptr;
    cornu_status status = CORNU_OK;
    std::string error;
    bool changed = false; // a variable, by change_variable

    explicit Digits(const char* device = "cuda") {
        note(cornu_model_load(kDigits.c_str(), nullptr, &model));
        if (model) open(device);
    }
    ~Digits() {
        cornu_session_destroy(session);
        cornu_model_destroy(model);
    }
    Digits(const Digits&) = delete;

    cornu_status note(cornu_status st) {
        if (st != CORNU_OK && status == CORNU_OK) {
            status = st;
            error = cornu_last_error();
        }
        return st;
    }
    cornu_status open(const char* device) {
        cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
        options.device = device;
        options.precision = CORNU_PRECISION_STRICT;
        cornu_session_destroy(session);
        session = nullptr;
        return note(cornu_session_create(model, &options, &session));
    }
    cornu_status run(int batch, std::vector<float>* y) {
        auto x = pictures(batch);
        y->assign((size_t)batch * 10, -1);
        if (!session) return CORNU_BAD_ARGUMENT;
        cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, x.data(), 4, batch, 8, 8, 1);
        cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, y->data(), 2, batch, 10);
        return note(cornu_session_run(session, &in, 1, &out, 1));
    }
};

void change_variable(Digits* d);

std::vector<float> on_cpu(int batch, bool changed = false) {
    std::vector<float> y;
    Digits d("reference");
    if (changed) change_variable(&d);
    EXPECT_EQ(d.run(batch, &y), CORNU_OK) << d.error;
    return y;
}

void expect_close(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], 1e-5) << i;
}

// Memory and a stream of the device, as a caller has them.
struct OnDevice {
    const cn_cuda_calls* cuda = cuda_host::calls();
    void *x = nullptr, *y = nullptr;
    cudaStream_t stream = nullptr;
    OnDevice() {
        const std::vector<float> image = pictures(1); // until the stream has come to its end
        EXPECT_EQ(cuda->Malloc(&x, 64 * sizeof(float)), cudaSuccess);
        EXPECT_EQ(cuda->Malloc(&y, 10 * sizeof(float)), cudaSuccess);
        EXPECT_EQ(cuda->StreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        EXPECT_EQ(cuda->MemcpyAsync(x, image.data(), 64 * sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
        EXPECT_EQ(cuda->StreamSynchronize(stream), cudaSuccess);
    }
    ~OnDevice() {
        (void)cuda->StreamDestroy(stream);
        (void)cuda->Free(y);
        (void)cuda->Free(x);
    }
    OnDevice(const OnDevice&) = delete;
};

cornu_status run_on_device(Digits* d, const OnDevice& memory) {
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, memory.x, 4, 1, 8, 8, 1);
    cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, memory.y, 2, 1, 10);
    in.device = out.device = 0;
    for (int i = 0; i < 2; i++) { // the second follows the first
        if (d->note(cornu_session_run_on_stream(d->session, &in, 1, &out, 1, memory.stream)) != CORNU_OK) return d->status;
    }
    return d->note(cornu_session_wait(d->session));
}

// Other values for the first variable: the device's copy is filled anew by the next run.
void change_variable(Digits* d) {
    cornu_variable_info info = {};
    cornu_tensor value = {};
    info.size = sizeof info;
    ASSERT_EQ(cornu_model_variable_info(d->model, 0, &info), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cornu_model_get_variable(d->model, info.path, &value), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(value.dtype, CORNU_FLOAT32);
    for (int64_t i = 0; i < cornu_tensor_count(&value); i++) static_cast<float*>(value.data)[i] *= -0.5f;
    EXPECT_EQ(cornu_model_set_variable(d->model, info.path, &value), CORNU_OK) << cornu_last_error();
    cornu_tensor_release(&value);
    d->changed = true;
}

// Everything that a session does: the first run launches, the second captures, the third is one launch of a graph; another batch; memory of
// the device; other weights.
void scenario(Digits* d, const OnDevice& memory) {
    std::vector<float> y;
    for (int batch : {1, 1, 1, 40}) { // the last is more rows than our own product takes
        if (d->run(batch, &y) != CORNU_OK) return;
    }
    if (run_on_device(d, memory) != CORNU_OK) return;
    change_variable(d);
    d->run(1, &y);
}

// Calls that are in the table and that this session does not make.
const std::set<std::string> kUnused = {
    "DeviceGetAttribute",
    "FuncGetName" /* of profiles */,
    "LaunchCooperativeKernel",
    "OccupancyMaxActiveBlocksPerMultiprocessor" /* of recurrences: see RecurrenceOfManyBlocks */,
    "MemsetAsync",
    "EventElapsedTime" /* of timing: see HostTune */,
    "Lt.MatrixLayoutSetAttribute" /* of batches: see BatchedProduct */};
// Calls that only a failure leads to.
const std::set<std::string> kOnFailure = {"GetLastError"};

// Names of the table, as injections know them.
std::vector<std::string> call_names() {
    return {
#define CN_CALL(result, name, parameters, arguments) #name,
        CN_CUDA_CALLS(CN_CALL)
#undef CN_CALL
#define CN_CALL(result, name, parameters, arguments) "Lt." #name,
        CN_CUBLASLT_CALLS(CN_CALL)
#undef CN_CALL
    };
}

// What gives things back has nobody to tell.
bool gives_back(const std::string& name) { return name.find("Destroy") != std::string::npos || name.rfind("Free", 0) == 0; }
// These are made before things are given back too.
bool may_precede(const std::string& name) { return name == "SetDevice" || name.find("Synchronize") != std::string::npos; }

// How an error names a call of the table.
std::string told_as(const std::string& name) {
    if (name == "LaunchKernel" || name == "LaunchCooperativeKernel") return "the launch of cn_k_";
    return name.rfind("Lt.", 0) == 0 ? "cublasLt" + name.substr(3) : "cuda" + name;
}

// Leaves no dead context to the next test.
struct Revived {
    ~Revived() {
        inject(nullptr, 0, 0);
        cuda_host::revive();
    }
};

class HostCall : public testing::TestWithParam<std::string> {
    Revived revived_;
};
class HostFaults : public testing::Test {
    Revived revived_;
};

TEST_P(HostCall, FailsOnce) {
    const std::string name = GetParam();
    bool lt = name.rfind("Lt.", 0) == 0;
    int error = lt ? (int)CUBLAS_STATUS_INTERNAL_ERROR : name.rfind("Malloc", 0) == 0 ? (int)cudaErrorMemoryAllocation : (int)cudaErrorInvalidResourceHandle;
    if (name == "StreamGetDevice") error = (int)cudaErrorNotSupported; // the other one says that the stream is none
    const std::vector<float> want[] = {on_cpu(1), on_cpu(1, true)};
    OnDevice memory;
    const std::string before = held();
    long told = 0;
    inject(name.c_str(), LONG_MAX, error);
    {
        Digits d;
        scenario(&d, memory);
        ASSERT_EQ(d.status, CORNU_OK) << d.error;
    }
    long count = inject(nullptr, 0, 0);
    ASSERT_EQ(held(), before);
    ASSERT_EQ(count == 0, kUnused.count(name) + kOnFailure.count(name) > 0) << count << " calls";
    for (long n = 1; n <= count; n++) {
        inject(name.c_str(), n, error);
        {
            Digits d;
            std::vector<float> y;
            scenario(&d, memory);
            if (d.status == CORNU_OK) {
                EXPECT_TRUE(gives_back(name) || may_precede(name)) << name << " " << n << " of " << count << " failed, and nobody said so";
            } else {
                told++;
                EXPECT_NE(d.error.find(told_as(name)), std::string::npos) << name << " " << n << ": " << d.error;
                EXPECT_NE(d.error.find(".c:"), std::string::npos) << d.error;
                EXPECT_EQ(d.status, error == cudaErrorMemoryAllocation ? CORNU_NO_MEMORY : CORNU_DEVICE_ERROR) << d.error;
            }
            inject(nullptr, 0, 0);
            if (d.session) { // the same session goes on
                ASSERT_EQ(d.run(1, &y), CORNU_OK) << name << " " << n << ": " << cornu_last_error();
                expect_close(y, want[d.changed]);
            }
        }
        ASSERT_EQ(held(), before) << "after call " << n << " of " << name << " failed";
    }
    EXPECT_TRUE(told > 0 || count == 0 || gives_back(name));
}

std::string parameter_name(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    for (char& c : name) c = c == '.' ? '_' : c;
    return name;
}
INSTANTIATE_TEST_SUITE_P(HostEach, HostCall, testing::ValuesIn(call_names()), parameter_name);

TEST_F(HostFaults, BatchedProduct) {
    run_graph::Graph g;
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_device_options options = {};
    cn_attr attr = {};
    cn_id x[2] = {g.input({3, 4, 5}), g.input({3, 5, 6})};
    cn_graph_output(&g.g, cn_graph_add(&g.g, CN_OP_matmul, x, 2, &attr));
    ASSERT_EQ(cn_plan_create(&g.g, 256, &plan), CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_backend_cuda.open(&options, &device), CORNU_OK) << cornu_last_error();
    const std::string before = held();
    run_graph::Weights weights(plan);
    for (long n = 1;; n++) {
        cn_executable* executable = nullptr;
        inject("Lt.MatrixLayoutSetAttribute", n, CUBLAS_STATUS_INTERNAL_ERROR);
        cornu_status st = cn_backend_cuda.prepare(device, plan, &weights.base, &executable);
        if (st == CORNU_OK) {
            cn_backend_cuda.destroy(executable);
            EXPECT_GT(n, 1);
            break;
        }
        EXPECT_EQ(st, CORNU_DEVICE_ERROR);
        EXPECT_NE(std::string(cornu_last_error()).find("cublasLtMatrixLayoutSetAttribute"), std::string::npos) << cornu_last_error();
        EXPECT_EQ(held(), before);
    }
    cn_backend_cuda.close(device);
    cn_plan_destroy(plan);
}

// Every call that a recurrence of several blocks makes: what the device holds at once, its counters, its launch, and both again in a captured graph.
TEST_F(HostFaults, RecurrenceOfManyBlocks) {
    run_graph::Graph g;
    cn_plan* plan = nullptr;
    cn_device* device = nullptr;
    cn_device_options options = {};
    cn_attr attr = {};
    void* arena = nullptr;
    cn_id x[2] = {g.input({2, 3, 640}), g.input({160, 640})};
    attr.rnn.kind = CN_RNN_LSTM;
    attr.rnn.act.fn = CN_EW_tanh;
    attr.rnn.gate.fn = CN_EW_sigmoid;
    cn_graph_output(&g.g, cn_graph_add(&g.g, CN_OP_rnn, x, 2, &attr));
    ASSERT_EQ(cn_plan_create(&g.g, 256, &plan), CORNU_OK) << cornu_last_error();
    const std::vector<float> z(2 * 3 * 640, 0.25f), w(160 * 640, 0.01f);
    std::vector<float> y((size_t)cn_type_count(&g.g.types[g.g.outputs[0]])), want;
    const void* in[] = {z.data(), w.data()};
    void* out[] = {y.data()};
    cn_run run = {};
    run.inputs = in;
    run.outputs = out;
    {
        ASSERT_EQ(cn_backend_cuda.open(&options, &device), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(cn_backend_cuda.alloc(device, plan->arena_bytes + 1, &arena), CORNU_OK);
        std::string before;
        run_graph::Weights weights(plan);
        for (const char* name : {"", "OccupancyMaxActiveBlocksPerMultiprocessor", "DeviceGetAttribute", "MemsetAsync",
                                 "LaunchCooperativeKernel"}) {
            long failures = 0;
            for (bool failed = name[0] != 0, first = true; failed || first; first = false) {
                cn_executable* executable = nullptr;
                cn_run now = run;
                now.arena = arena;
                if (name[0]) inject(name, failures + 1, cudaErrorInvalidResourceHandle);
                cornu_status st = cn_backend_cuda.prepare(device, plan, &weights.base, &executable);
                for (int i = 0; i < 3 && st == CORNU_OK; i++) st = cn_backend_cuda.run(executable, &now);
                failed = st != CORNU_OK;
                if (failed) {
                    failures++;
                    EXPECT_EQ(st, CORNU_DEVICE_ERROR) << cornu_last_error();
                    EXPECT_NE(std::string(cornu_last_error()).find(told_as(name)), std::string::npos)
                        << cornu_last_error();
                } else if (want.empty()) {
                    want = y;
                }
                inject(nullptr, 0, 0);
                if (executable) {
                    EXPECT_EQ(cn_backend_cuda.run(executable, &now), CORNU_OK) << cornu_last_error();  // it goes on
                    EXPECT_EQ(y, want);
                    cn_backend_cuda.destroy(executable);
                }
                if (!name[0]) before = held();  // with the device's own memory
                EXPECT_EQ(held(), before) << name << " " << failures;
            }
            EXPECT_GE(failures, name[0] ? 1 : 0) << name;
        }
        cn_backend_cuda.free(device, arena);
        cn_backend_cuda.close(device);
    }
    cn_plan_destroy(plan);
}

TEST_F(HostFaults, SmallerBatchAfterOutOfMemory) {
    const auto want = on_cpu(2);
    std::vector<float> y;
    {
        Digits d;
        ASSERT_EQ(d.run(2, &y), CORNU_OK) << d.error;
        uint64_t enough = cuda_host::usage().device_bytes + (64 << 10);
        Environment memory("CORNU_HOST_MEMORY", std::to_string(enough).c_str());
        ASSERT_EQ(d.run(512, &y), CORNU_NO_MEMORY) << cornu_last_error();
        EXPECT_NE(std::string(cornu_last_error()).find("out of memory"), std::string::npos) << cornu_last_error();
        for (int i = 0; i < 3; i++) {
            ASSERT_EQ(d.run(2, &y), CORNU_OK) << cornu_last_error();
            expect_close(y, want);
        }
    }
    EXPECT_EQ(held(), "");
}

// Kills the context in the middle of a run and looks at all that may still be wanted of the library.
void lose(const char* name, long n, int error, int batch = 1) {
    const auto want = on_cpu(batch);
    std::vector<float> y;
    {
        Digits d;
        void* file = nullptr;
        size_t size = 0;
        ASSERT_EQ(d.run(batch, &y), CORNU_OK) << d.error;
        inject(name, n, error, true);
        ASSERT_EQ(d.run(batch, &y), CORNU_DEVICE_LOST) << cornu_last_error();
        EXPECT_NE(std::string(cornu_last_error()).find(".c:"), std::string::npos) << cornu_last_error();
        long launches = cuda_host::usage().launches;
        for (int other : {1, 2}) EXPECT_EQ(d.run(other, &y), CORNU_DEVICE_LOST) << cornu_last_error();
        EXPECT_EQ(cuda_host::usage().launches, launches) << "a dead device is not asked again";
        ASSERT_EQ(cornu_model_save_memory(d.model, nullptr, &file, &size), CORNU_OK) << cornu_last_error();
        EXPECT_GT(size, 0u);
        cornu_free(file);
        EXPECT_EQ(d.open("cuda"), CORNU_DEVICE_LOST) << cornu_last_error();
        ASSERT_EQ(d.open("cpu"), CORNU_OK) << cornu_last_error();
        ASSERT_EQ(d.run(batch, &y), CORNU_OK) << cornu_last_error();
        expect_close(y, want);
        inject(nullptr, 0, 0);
    }
    EXPECT_EQ(held(), "");
    Digits again;
    EXPECT_EQ(again.run(1, &y), CORNU_OK) << again.error;
}

TEST_F(HostFaults, ContextDiesAtALaunch) { lose("LaunchKernel", 2, cudaErrorLaunchFailure); }
TEST_F(HostFaults, ContextDiesAtACopy) { lose("MemcpyAsync", 1, cudaErrorECCUncorrectable); }
TEST_F(HostFaults, ContextDiesWhileItIsWaitedFor) { lose("StreamSynchronize", 1, cudaErrorIllegalAddress); }
TEST_F(HostFaults, ContextDiesInCuBlasLt) { lose("Lt.Matmul", 1, cudaErrorIllegalAddress, 40); }

TEST_F(HostFaults, DevicesThatCannotBeUsed) {
    struct Case {
        const char *variable, *value, *device, *says;
    };
    for (const Case& c : {Case{"CORNU_HOST_DEVICES", "1", "cuda:1", "cuda:1"}, Case{"CORNU_HOST_DEVICES", "2", "cuda:7", "has 2 CUDA devices"},
                          Case{"CORNU_HOST_DEVICES", "0", "cuda", "no CUDA device"}, Case{"CORNU_HOST_CAPABILITY", "75", "cuda", "7.5"},
                          Case{"CORNU_HOST_DRIVER", "11040", "cuda", "11.4"}, Case{"CORNU_HOST_DRIVER", "0", "cuda", "no NVIDIA driver"}}) {
        Environment e(c.variable, c.value);
        Digits d(c.device);
        EXPECT_EQ(d.status, CORNU_NO_DEVICE) << c.variable << "=" << c.value;
        EXPECT_NE(d.error.find(c.says), std::string::npos) << d.error;
        EXPECT_EQ(d.session, nullptr);
    }
    EXPECT_EQ(held(), "");
}

TEST_F(HostFaults, AutoGoesToTheCpu) {
    for (const char* variable : {"CORNU_HOST_DEVICES", "CORNU_HOST_DRIVER"}) {
        Environment e(variable, "0");
        std::vector<float> y;
        Digits d("auto");
        EXPECT_EQ(d.run(1, &y), CORNU_OK) << d.error;
        EXPECT_EQ(held(), "");
    }
}

TEST_F(HostFaults, TwoDevices) {
    Environment e("CORNU_HOST_DEVICES", "2");
    const auto want = on_cpu(2);
    std::vector<float> y;
    {
        Digits first("cuda:0"), second("cuda:1");
        for (int i = 0; i < 3; i++) {
            for (Digits* d : {&first, &second}) {
                ASSERT_EQ(d->run(2, &y), CORNU_OK) << d->error;
                expect_close(y, want);
            }
        }
    }
    EXPECT_EQ(held(), "");
}

// ---- plug-ins: a process keeps the first that it opened, so each is tried in a process of its own ----

[[noreturn]] void try_plugin(const std::string& path, const char* fault, const char* says) {
    setenv("CORNU_CUDA_LIBRARY", path.c_str(), 1);
    setenv("CORNU_TEST_PLUGIN", fault, 1);
    std::vector<float> y;
    Digits cuda("cuda"), automatic("auto");
    bool refused = cuda.status == CORNU_NO_DEVICE && cuda.error.find(says) != std::string::npos;
    bool works = automatic.run(1, &y) == CORNU_OK;
    fprintf(stderr, "%s; auto: %s\n", cuda.error.c_str(), works ? "works" : automatic.error.c_str());
    exit(refused && works ? 0 : 1);
}

void expect_refused(const std::string& path, const char* fault, const char* says) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(try_plugin(path, fault, says), testing::ExitedWithCode(0), "auto: works") << fault;
}

TEST(HostPlugin, ThereIsNone) { expect_refused("/nowhere/libcornu_cuda.so", "", "/nowhere/libcornu_cuda.so"); }
TEST(HostPlugin, OfAnotherInterface) { expect_refused(CORNU_TEST_PLUGIN, "abi", "another version"); }
TEST(HostPlugin, OfAnotherVersion) { expect_refused(CORNU_TEST_PLUGIN, "version", "0.0.1"); }
TEST(HostPlugin, OfOtherSources) { expect_refused(CORNU_TEST_PLUGIN, "layout", "other sources"); }
TEST(HostPlugin, OfSomethingElse) { expect_refused(CORNU_TEST_PLUGIN, "magic", "is no plug-in"); }
TEST(HostPlugin, WithoutATable) { expect_refused(CORNU_TEST_PLUGIN, "table", "is no plug-in"); }

}  // namespace
