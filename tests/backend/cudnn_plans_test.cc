// The real cuDNN, where it is installed, and a device that is not there: our graphs are ones that the library has plans
// for, without a compiler and within the memory that we give it. Nothing is run.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "backend/cuda/cudnn_graph.h"

namespace {

cn_cudnn_calls calls;
std::string reason;

bool find(void* library, const char* name, void* out) {
    void* symbol = dlsym(library, name);
    if (symbol) memcpy(out, &symbol, sizeof symbol);
    return symbol != nullptr;
}

void* open_library() {
    const char *named = getenv("CORNU_CUDNN_LIBRARY"), *root = getenv("CUDA_PATH");
    std::string candidates[] = {named ? named : "", "libcudnn.so.9",
                                root ? std::string(root) + "/lib64/libcudnn.so.9" : "",
                                "/usr/local/cuda/lib64/libcudnn.so.9", "/usr/local/cuda/lib/libcudnn.so.9"};
    for (const std::string& path : candidates) {
        if (path.empty()) continue;
        if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    }
    return nullptr;
}

// An H200 and a Jetson AGX Orin, as the library describes devices.
const char h200[] =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
    "\"multiProcessorCount\":132,\"warpSize\":32,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,"
    "\"maxRegistersPerSM\":65536,"
    "\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,"
    "\"totalGlobalMem\":150000000000,\"smClockRateKHz\":1980000,\"memClockRateKHz\":3201000,\"l2CacheSize\":62914560,"
    "\"cudaDeviceId\":0,"
    "\"deviceVer\":900,\"driverVer\":13000,\"deviceName\":\"NVIDIA H200\"}";
const char orin[] =
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
    "\"multiProcessorCount\":16,\"warpSize\":32,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":166912,\"reservedSharedMemoryPerBlock\":1024,"
    "\"maxRegistersPerSM\":65536,"
    "\"maxCtasPerSM\":16,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":1536,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,"
    "\"totalGlobalMem\":32000000000,\"smClockRateKHz\":1300000,\"memClockRateKHz\":1300000,\"l2CacheSize\":4194304,"
    "\"cudaDeviceId\":0,"
    "\"deviceVer\":870,\"driverVer\":13000,\"deviceName\":\"Orin\"}";

class CudnnPlans : public testing::Test {
   protected:
    void SetUp() override {
        static void* library = open_library();
        size_t (*version)(void) = nullptr;
        bool found = library != nullptr && find(library, "cudnnGetVersion", &version);
        if (!library) GTEST_SKIP() << "cuDNN is not installed";
#define CN_CALL(result, name, parameters, arguments) found = found && find(library, "cudnn" #name, &calls.name);
        CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL
        ASSERT_TRUE(found) << "a function of cuDNN is missing";
        if (version() < 90800) GTEST_SKIP() << "cuDNN " << version() << " knows no device that is not there";
        reason.clear();
    }
    void TearDown() override {
        cn_dnn_graph_deinit(&graph);
        if (target.device) calls.BackendDestroyDescriptor(target.device);
    }
    void use(const char* device) {
        target.calls = &calls;
        ASSERT_EQ(calls.BackendCreateDescriptor(CN_DNN_BACKEND_DEVICEPROP_DESCRIPTOR, &target.device), 0);
        ASSERT_EQ(calls.BackendSetAttribute(target.device, CN_DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CN_DNN_TYPE_CHAR,
                                            (int64_t)strlen(device) + 1, device),
                  0);
        ASSERT_EQ(calls.BackendFinalize(target.device), 0);
    }
    // Plans of a convolution with everything that we give it.
    int conv_plans(cn_conv_args a, bool bias, bool residual, bool relu, uint64_t workspace = 32u << 20,
                   bool compiled = false) {
        cn_dnn_limits limits = {workspace, compiled, CN_DNN_PLANS};
        cn_dnn_graph_deinit(&graph);
        cornu_status st = cn_dnn_conv_graph(&target, &a, bias, residual, relu, &graph);
        if (st == CORNU_OK) st = cn_dnn_find_plans(&target, &limits, &graph);
        EXPECT_EQ(st, CORNU_OK) << reason;
        for (int i = 0; i < graph.plan_count; i++) EXPECT_LE(graph.workspace_bytes[i], workspace);
        return graph.plan_count;
    }
    // Configurations of engines that the heuristics have for the graph.
    int64_t proposed(int mode) {
        cn_dnn_descriptor heuristics;
        int64_t count = -1;
        EXPECT_EQ(calls.BackendCreateDescriptor(CN_DNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics), 0);
        EXPECT_EQ(calls.BackendSetAttribute(heuristics, CN_DNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                            CN_DNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph.graph),
                  0);
        EXPECT_EQ(calls.BackendSetAttribute(heuristics, CN_DNN_ATTR_ENGINEHEUR_MODE, CN_DNN_TYPE_HEUR_MODE, 1, &mode),
                  0);
        EXPECT_EQ(calls.BackendSetAttribute(heuristics, CN_DNN_ATTR_ENGINEHEUR_DEVICEPROP,
                                            CN_DNN_TYPE_BACKEND_DESCRIPTOR, 1, &target.device),
                  0);
        if (calls.BackendFinalize(heuristics) == 0) {
            EXPECT_EQ(calls.BackendGetAttribute(heuristics, CN_DNN_ATTR_ENGINEHEUR_RESULTS,
                                                CN_DNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
                      0);
        }
        calls.BackendDestroyDescriptor(heuristics);
        return count;
    }
    cn_dnn_target target = {};
    cn_dnn_graph graph = {};
};

cn_conv_args image(cornu_dtype dtype, int64_t batch, int64_t size, int64_t channels, int64_t filters, int64_t kernel,
                   int64_t stride) {
    cn_conv_args a = {};
    int64_t out = (size + stride - 1) / stride, pad = std::max<int64_t>(0, (out - 1) * stride + kernel - size);
    a.dtype = dtype;
    a.batch = batch;
    a.channels = channels;
    a.filters = filters;
    a.groups = 1;
    for (int d = 0; d < 3; d++) {
        a.x_dims[d] = d ? size : 1;
        a.k_dims[d] = d ? kernel : 1;
        a.y_dims[d] = d ? out : 1;
        a.strides[d] = d ? stride : 1;
        a.dilation[d] = 1;
        a.pad[d] = d ? pad / 2 : 0;
    }
    return a;
}

}  // namespace

// Under AddressSanitizer: the library leaves memory behind in parts of itself that it has closed by then. What we
// forget to give back shows in the accounts of its stand-in.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

// What calls.c does of it in the plug-in.
extern "C" cornu_status cn_dnn_check(cn_dnn_status error, const char* call, const char*, int) {
    if (error == CN_DNN_STATUS_SUCCESS) return CORNU_OK;
    reason = std::string(call) + ": " + std::to_string(error);
    return error / 1000 * 1000 == CN_DNN_STATUS_NOT_SUPPORTED ? CORNU_UNSUPPORTED : CORNU_DEVICE_ERROR;
}

TEST_F(CudnnPlans, ConvolutionsOfResNetHavePlansWithoutACompiler) {
    use(h200);
    for (cornu_dtype dtype : {CORNU_FLOAT32, CORNU_FLOAT16, CORNU_BFLOAT16}) {
        for (int64_t batch : {1, 32}) {
            EXPECT_GT(conv_plans(image(dtype, batch, 224, 3, 64, 7, 2), true, false, true), 0) << dtype << " stem";
            EXPECT_GT(conv_plans(image(dtype, batch, 56, 64, 64, 3, 1), true, false, true), 0) << dtype << " 3x3";
            EXPECT_GT(conv_plans(image(dtype, batch, 56, 256, 512, 1, 2), true, false, false), 0)
                << dtype << " strided 1x1";
            EXPECT_GT(conv_plans(image(dtype, batch, 14, 256, 256, 3, 1), true, true, true), 0) << dtype << " residual";
            EXPECT_GT(conv_plans(image(dtype, batch, 14, 256, 256, 3, 1), false, false, false), 0) << dtype << " bare";
        }
    }
}

TEST_F(CudnnPlans, OtherShapes) {
    use(h200);
    cn_conv_args dilated = image(CORNU_BFLOAT16, 2, 32, 64, 64, 3, 1),
                 volume = image(CORNU_FLOAT16, 1, 16, 32, 32, 3, 1), odd = image(CORNU_FLOAT32, 1, 17, 5, 7, 5, 2);
    for (int d = 1; d < 3; d++) dilated.dilation[d] = dilated.pad[d] = 2;
    volume.x_dims[0] = volume.y_dims[0] = 8;
    volume.k_dims[0] = 3;
    volume.pad[0] = 1;
    EXPECT_GT(conv_plans(dilated, true, false, true), 0);
    EXPECT_GT(conv_plans(volume, true, false, false), 0);
    EXPECT_GT(conv_plans(odd, true, false, true), 0);
}

TEST_F(CudnnPlans, JetsonOrin) {
    use(orin);
    EXPECT_GT(conv_plans(image(CORNU_FLOAT16, 1, 56, 64, 64, 3, 1), true, false, true, 4u << 20), 0);
    EXPECT_GT(conv_plans(image(CORNU_FLOAT32, 1, 56, 64, 64, 3, 1), true, false, true, 4u << 20), 0);
}

TEST_F(CudnnPlans, NoMemoryMeansOtherPlansOrNone) {
    use(h200);
    int all = conv_plans(image(CORNU_FLOAT32, 32, 224, 3, 64, 7, 2), true, false, true);
    EXPECT_LE(conv_plans(image(CORNU_FLOAT32, 32, 224, 3, 64, 7, 2), true, false, true, 0), all);
}

TEST_F(CudnnPlans, EveryPlanIsOfAnEngineThatWasProposed) {
    use(h200);
    cn_conv_args a = image(CORNU_FLOAT32, 4, 28, 128, 128, 3, 1);
    EXPECT_EQ(conv_plans(a, true, true, true), CN_DNN_PLANS);
    EXPECT_GE(proposed(CN_DNN_HEUR_MODE_A), graph.plan_count);
}

// As bench/gpu_check runs them on a device.
TEST_F(CudnnPlans, AreReadAgainFromTheirText) {
    use(h200);
    ASSERT_GT(conv_plans(image(CORNU_BFLOAT16, 1, 56, 64, 64, 3, 1), true, false, true), 0);
    for (int i = 0; i < graph.plan_count; i++) {
        int64_t size = 0, count = 0, workspace = -1;
        cn_dnn_descriptor again;
        ASSERT_EQ(calls.BackendGetAttribute(graph.plans[i], CN_DNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                            CN_DNN_TYPE_CHAR, 0, &size, nullptr),
                  0);
        std::string text((size_t)size + 1, '\0');
        ASSERT_EQ(calls.BackendGetAttribute(graph.plans[i], CN_DNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                            CN_DNN_TYPE_CHAR, size, &size, &text[0]),
                  0);
        ASSERT_EQ(calls.BackendCreateDescriptor(CN_DNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &again), 0);
        EXPECT_EQ(calls.BackendSetAttribute(again, CN_DNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                            CN_DNN_TYPE_BACKEND_DESCRIPTOR, 1, &target.device),
                  0);
        EXPECT_EQ(calls.BackendSetAttribute(again, CN_DNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CN_DNN_TYPE_CHAR,
                                            (int64_t)strlen(text.c_str()) + 1, text.c_str()),
                  0);
        EXPECT_EQ(calls.BackendFinalize(again), 0);
        EXPECT_EQ(calls.BackendGetAttribute(again, CN_DNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CN_DNN_TYPE_INT64, 1,
                                            &count, &workspace),
                  0);
        EXPECT_EQ((uint64_t)workspace, graph.workspace_bytes[i]);
        calls.BackendDestroyDescriptor(again);
    }
}

TEST_F(CudnnPlans, DepthwiseConvolutions) {
    use(h200);
    cn_conv_args a = image(CORNU_BFLOAT16, 1, 112, 32, 32, 3, 1);
    a.groups = 32;
    EXPECT_GT(conv_plans(a, false, false, false), 0);
}

// Its plans are compiled by the driver, which need not be here: that the library has engines for it is what can be
// seen.
TEST_F(CudnnPlans, AttentionIsAGraphThatTheLibraryKnows) {
    use(h200);
    for (cornu_dtype dtype : {CORNU_FLOAT16, CORNU_BFLOAT16}) {
        for (int64_t queries : {1, 256, 512}) {
            cn_dnn_attention a = {dtype, 4, 12, 12, queries, 512, 64, 64};
            cn_dnn_graph_deinit(&graph);
            cornu_status st = cn_dnn_attention_graph(&target, &a, &graph);
            if (st == CORNU_UNSUPPORTED) GTEST_SKIP() << "this cuDNN has no such operation";
            ASSERT_EQ(st, CORNU_OK) << reason;
            EXPECT_GT(proposed(CN_DNN_HEUR_MODE_A), 0) << queries << " queries";
        }
    }
}
