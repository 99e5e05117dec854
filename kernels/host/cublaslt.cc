/* cuBLASLt of host execution: see cublaslt.h. */
#include "kernels/host/cublaslt.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math.h>
#include <string.h>

#include <mutex>
#include <set>

#include "kernels/host/count.h"
#include "kernels/host/runtime.h"

#define DEFAULT_ALIGNMENT 256
#define WORKSPACE_BYTES 8192 /* of the first algorithm, where the preference allows it */
#define ALGO_MAGIC 0x6f676c6143756c42ull

struct cublasLtContext {
    int unused;
};

namespace {

using cn_host::complain;

struct matmul_desc {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
    int32_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N, op_c = CUBLAS_OP_N, fill = CUBLAS_FILL_MODE_FULL;
    uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void* bias = nullptr;
    int64_t bias_stride = 0;
    int32_t bias_type = -1, sm_target = 0;
};

struct matrix_layout {
    cudaDataType type;
    int32_t order = CUBLASLT_ORDER_COL;
    uint64_t rows, cols;
    int64_t ld;
    int32_t batches = 1;
    int64_t stride = 0;
};

struct preference {
    uint64_t workspace = 0, implementations = ~0ull; /* CUBLASLT_NUMERICAL_IMPL_FLAGS that an algorithm may have */
    uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
    uint32_t alignment[4] = {DEFAULT_ALIGNMENT, DEFAULT_ALIGNMENT, DEFAULT_ALIGNMENT, DEFAULT_ALIGNMENT}; /* A B C D */
};

/* What the eight words of cublasLtMatmulAlgo_t are. */
struct algo_words {
    uint64_t magic, problem, workspace;
    uint32_t alignment[5]; /* A B C D bias */
    uint32_t id;
    uint64_t inputs; /* CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT */
    uint64_t reserved;
};
static_assert(sizeof(algo_words) == sizeof(cublasLtMatmulAlgo_t), "an algorithm has eight words");

/* Everything that was made and not destroyed. */
struct objects {
    std::mutex lock;
    std::set<const void*> handles, descs, layouts, prefs;
};

objects& all() {
    static objects* o = new objects;
    return *o;
}

bool known(std::set<const void*>& set, const void* object) {
    std::lock_guard<std::mutex> guard(all().lock);
    return object && set.count(object) > 0;
}

template <typename T>
void keep(std::set<const void*>& set, T* object) {
    std::lock_guard<std::mutex> guard(all().lock);
    set.insert(object);
}

/* Whether it was known, and is forgotten now. */
bool forget(std::set<const void*>& set, const void* object) {
    std::lock_guard<std::mutex> guard(all().lock);
    return object && set.erase(object) > 0;
}

cublasStatus_t invalid(const char* what) {
    complain("cuBLASLt: %s", what);
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t unsupported(const char* what) {
    complain("cuBLASLt: %s (not supported)", what);
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

/* Copies an attribute of exactly its size. */
template <typename T>
cublasStatus_t set(T* out, const void* value, size_t size) {
    if (!value || size != sizeof(T)) return invalid("an attribute has another size than its type");
    memcpy(out, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- types ---- */

size_t size_of(cudaDataType type) {
    switch (type) {
        case CUDA_R_64F: return 8;
        case CUDA_R_32F: return 4;
        case CUDA_R_16F:
        case CUDA_R_16BF: return 2;
        default: return 0;
    }
}

double load(cudaDataType type, const void* x, int64_t i) {
    switch (type) {
        case CUDA_R_64F: return static_cast<const double*>(x)[i];
        case CUDA_R_32F: return static_cast<const float*>(x)[i];
        case CUDA_R_16F: return __half2float(static_cast<const __half*>(x)[i]);
        default: return __bfloat162float(static_cast<const __nv_bfloat16*>(x)[i]);
    }
}

void store(cudaDataType type, void* y, int64_t i, double v) {
    switch (type) {
        case CUDA_R_64F: static_cast<double*>(y)[i] = v; break;
        case CUDA_R_32F: static_cast<float*>(y)[i] = static_cast<float>(v); break;
        case CUDA_R_16F: static_cast<__half*>(y)[i] = __double2half(v); break;
        default: static_cast<__nv_bfloat16*>(y)[i] = __double2bfloat16(v); break;
    }
}

/* v rounded to TF32: to nearest even at 10 bits of fraction; NaN and infinities stay. */
float tf32(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu;
    memcpy(&v, &bits, sizeof bits);
    return v;
}

/* inputs: the CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT of the algorithm. */
double round_input(uint64_t inputs, double v) {
    switch (inputs) {
        case CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32: return tf32(static_cast<float>(v));
        case CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F: return __half2float(__double2half(v));
        case CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF: return __bfloat162float(__double2bfloat16(v));
        default: return v;
    }
}

double round_to(cudaDataType type, double v) {
    switch (type) {
        case CUDA_R_64F: return v;
        case CUDA_R_32F: return static_cast<float>(v);
        default: return __half2float(__double2half(v));
    }
}

/* One row of the manual's table of supported combinations. */
struct combination {
    cublasComputeType_t compute;
    cudaDataType_t scale, ab, cd, bias;
};
const combination combinations[] = {
    {CUBLAS_COMPUTE_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_16F_PEDANTIC, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF},
    {CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_16F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_16BF, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F},
    {CUBLAS_COMPUTE_64F_PEDANTIC, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F},
};

/* ---- the problem ---- */

struct problem {
    matmul_desc desc;
    matrix_layout a, b, c, d;
    int64_t m() const { return static_cast<int64_t>(d.rows); }
    int64_t n() const { return static_cast<int64_t>(d.cols); }
    int64_t k() const { return static_cast<int64_t>(desc.op_a == CUBLAS_OP_N ? a.cols : a.rows); }
    bool has_bias() const { return desc.epilogue == CUBLASLT_EPILOGUE_BIAS || desc.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS; }
    bool has_relu() const { return desc.epilogue == CUBLASLT_EPILOGUE_RELU || desc.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS; }
    cudaDataType_t bias_type() const { return desc.bias_type < 0 ? d.type : static_cast<cudaDataType_t>(desc.bias_type); }
};

/* Elements from a matrix's first to behind its last, of one batch item. */
int64_t extent(const matrix_layout& x) {
    int64_t lines = static_cast<int64_t>(x.order == CUBLASLT_ORDER_COL ? x.cols : x.rows);
    int64_t length = static_cast<int64_t>(x.order == CUBLASLT_ORDER_COL ? x.rows : x.cols);
    return (lines - 1) * x.ld + length;
}

size_t bytes_of(const matrix_layout& x) {
    return static_cast<size_t>((x.batches - 1) * (x.stride > 0 ? x.stride : 0) + extent(x)) * size_of(x.type);
}

/* Whether the items of a batch share no element: one behind the other, or one beside the other within a line. */
bool apart(const matrix_layout& x) {
    int64_t length = static_cast<int64_t>(x.order == CUBLASLT_ORDER_COL ? x.rows : x.cols);
    return x.stride >= extent(x) || (x.stride >= length && (x.batches - 1) * x.stride + length <= x.ld);
}

bool same_layout(const matrix_layout& x, const matrix_layout& y) {
    return x.type == y.type && x.order == y.order && x.rows == y.rows && x.cols == y.cols && x.ld == y.ld && x.batches == y.batches && x.stride == y.stride;
}

cublasStatus_t check_layout(const matrix_layout& x, const char* name) {
    int64_t length = static_cast<int64_t>(x.order == CUBLASLT_ORDER_COL ? x.rows : x.cols);
    if (size_of(x.type) == 0) return unsupported("a matrix type other than float16, bfloat16, float32, float64");
    if (x.order != CUBLASLT_ORDER_COL && x.order != CUBLASLT_ORDER_ROW) return unsupported("an order other than COL and ROW");
    if (x.rows == 0 || x.cols == 0) return invalid("a matrix has no elements");
    if (x.rows > INT32_MAX || x.cols > INT32_MAX) return unsupported("more rows or columns than an int holds");
    if (x.ld < length) {
        complain("cuBLASLt: leading dimension %lld of %s is less than %lld", static_cast<long long>(x.ld), name, static_cast<long long>(length));
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (x.batches < 1) return invalid("a batch count below 1");
    if (x.stride < 0) return invalid("a batch stride below 0");
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_types(const problem& p) {
    if (p.a.type != p.b.type || p.c.type != p.d.type) return unsupported("A and B, or C and D, of different types");
    for (const combination& row : combinations) {
        if (row.compute != p.desc.compute || row.scale != p.desc.scale || row.ab != p.a.type || row.cd != p.d.type) continue;
        if (p.has_bias() && row.bias != p.bias_type()) return unsupported("a bias of this type");
        return CUBLAS_STATUS_SUCCESS;
    }
    complain("cuBLASLt: compute type %d, scale type %d, A and B of type %d, C and D of type %d are no supported combination", static_cast<int>(p.desc.compute),
             static_cast<int>(p.desc.scale), static_cast<int>(p.a.type), static_cast<int>(p.d.type));
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t check_shapes(const problem& p) {
    bool plain_a = p.desc.op_a == CUBLAS_OP_N, plain_b = p.desc.op_b == CUBLAS_OP_N;
    if ((!plain_a && p.desc.op_a != CUBLAS_OP_T) || (!plain_b && p.desc.op_b != CUBLAS_OP_T)) return unsupported("an operation other than N and T");
    if (p.desc.op_c != CUBLAS_OP_N) return unsupported("a transposed C");
    if ((plain_a ? p.a.rows : p.a.cols) != p.d.rows) return invalid("rows of op(A) and D differ");
    if ((plain_b ? p.b.cols : p.b.rows) != p.d.cols) return invalid("columns of op(B) and D differ");
    if ((plain_a ? p.a.cols : p.a.rows) != (plain_b ? p.b.rows : p.b.cols)) return invalid("columns of op(A) and rows of op(B) differ");
    if (p.c.rows != p.d.rows || p.c.cols != p.d.cols || p.c.order != p.d.order) return invalid("C and D have different shapes or orders");
    if (p.a.batches != p.d.batches || p.b.batches != p.d.batches || p.c.batches != p.d.batches) return invalid("batch counts differ");
    if (p.d.batches > 1 && !apart(p.d)) return invalid("items of D's batch overlap");
    return CUBLAS_STATUS_SUCCESS;
}

/* All that does not depend on addresses. */
cublasStatus_t check_problem(const problem& p) {
    cublasStatus_t st = check_layout(p.a, "A");
    if (st == CUBLAS_STATUS_SUCCESS) st = check_layout(p.b, "B");
    if (st == CUBLAS_STATUS_SUCCESS) st = check_layout(p.c, "C");
    if (st == CUBLAS_STATUS_SUCCESS) st = check_layout(p.d, "D");
    if (st != CUBLAS_STATUS_SUCCESS) return st;
    if (p.desc.pointer_mode != CUBLASLT_POINTER_MODE_HOST) return unsupported("alpha and beta on the device");
    if (p.desc.fill != CUBLAS_FILL_MODE_FULL) return unsupported("a fill mode");
    if (p.desc.epilogue != CUBLASLT_EPILOGUE_DEFAULT && !p.has_bias() && !p.has_relu()) return unsupported("an epilogue other than BIAS, RELU, RELU_BIAS");
    st = check_types(p);
    return st == CUBLAS_STATUS_SUCCESS ? check_shapes(p) : st;
}

/* The flags that its algorithms have. Without a mask, float32 may be made as NVIDIA_TF32_OVERRIDE says: the environment's word, not the
 * caller's. The stub takes the worst case, so that a caller that leaves the mask open gets TF32. */
uint64_t inputs_of(const problem& p, uint64_t allowed) {
    switch (p.a.type) {
        case CUDA_R_64F: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_64F;
        case CUDA_R_16F: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F;
        case CUDA_R_16BF: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF;
        default: break;
    }
    switch (p.desc.compute) {
        case CUBLAS_COMPUTE_32F_PEDANTIC: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F;
        case CUBLAS_COMPUTE_32F_FAST_16F: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F;
        case CUBLAS_COMPUTE_32F_FAST_16BF: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF;
        default: return allowed & CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32 ? CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32 : CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F;
    }
}

uint64_t hash_of(const problem& p) {
    uint64_t h = 0xcbf29ce484222325u;
    auto add = [&h](uint64_t v) { h = (h ^ v) * 0x100000001b3u; };
    for (const matrix_layout* x : {&p.a, &p.b, &p.c, &p.d}) {
        for (uint64_t v : {static_cast<uint64_t>(x->type), static_cast<uint64_t>(x->order), x->rows, x->cols, static_cast<uint64_t>(x->ld), static_cast<uint64_t>(x->batches),
                           static_cast<uint64_t>(x->stride)}) {
            add(v);
        }
    }
    for (int v : {static_cast<int>(p.desc.compute), static_cast<int>(p.desc.scale), p.desc.op_a, p.desc.op_b, static_cast<int>(p.desc.epilogue), static_cast<int>(p.bias_type())}) {
        add(static_cast<uint64_t>(v));
    }
    return h;
}

bool get_problem(cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, problem* out) {
    if (!known(all().descs, desc)) return false;
    for (const void* layout : {a, b, c, d}) {
        if (!known(all().layouts, layout)) return false;
    }
    out->desc = *reinterpret_cast<matmul_desc*>(desc);
    out->a = *reinterpret_cast<matrix_layout*>(a);
    out->b = *reinterpret_cast<matrix_layout*>(b);
    out->c = *reinterpret_cast<matrix_layout*>(c);
    out->d = *reinterpret_cast<matrix_layout*>(d);
    return true;
}

/* ---- computing ---- */

/* op(x) of one batch item, as rows of k elements: of A its rows, of B its columns. */
void gather(const problem& p, const matrix_layout& x, const void* data, int64_t item, bool columns, bool transposed, int64_t lines, uint64_t inputs,
            std::vector<double>* out) {
    const char* base = static_cast<const char*>(data) + static_cast<size_t>(item * x.stride) * size_of(x.type);
    int64_t k = p.k();
    out->resize(static_cast<size_t>(lines * k));
    for (int64_t line = 0; line < lines; line++) {
        for (int64_t i = 0; i < k; i++) {
            int64_t row = columns != transposed ? i : line, col = columns != transposed ? line : i;
            int64_t at = x.order == CUBLASLT_ORDER_COL ? col * x.ld + row : row * x.ld + col;
            (*out)[static_cast<size_t>(line * k + i)] = round_input(inputs, load(x.type, base, at));
        }
    }
}

struct operands {
    const void *a, *b, *c;
    void* d;
    double alpha, beta;
};

/* The element at (row, col) of item's result, of the sum of products. */
void finish(const problem& p, const operands& o, int64_t item, int64_t row, int64_t col, double sum) {
    cudaDataType_t scale = p.desc.scale;
    int64_t at_c = item * p.c.stride + (p.c.order == CUBLASLT_ORDER_COL ? col * p.c.ld + row : row * p.c.ld + col);
    int64_t at_d = item * p.d.stride + (p.d.order == CUBLASLT_ORDER_COL ? col * p.d.ld + row : row * p.d.ld + col);
    double v = round_to(scale, o.alpha * round_to(scale, sum));
    if (o.beta != 0) v = round_to(scale, v + o.beta * load(p.c.type, o.c, at_c));
    if (p.has_bias()) v = round_to(scale, v + load(p.bias_type(), p.desc.bias, item * p.desc.bias_stride + row));
    if (p.has_relu()) v = v < 0 ? 0 : v;
    store(p.d.type, o.d, at_d, v);
}

cudaError_t execute(const problem& p, const operands& o, uint64_t inputs) {
    std::vector<double> a, b;
    int64_t k = p.k();
    for (int64_t item = 0; item < p.d.batches; item++) {
        if (item == 0 || p.a.stride > 0) gather(p, p.a, o.a, item, false, p.desc.op_a == CUBLAS_OP_T, p.m(), inputs, &a);
        if (item == 0 || p.b.stride > 0) gather(p, p.b, o.b, item, true, p.desc.op_b == CUBLAS_OP_T, p.n(), inputs, &b);
        for (int64_t col = 0; col < p.n(); col++) {
            for (int64_t row = 0; row < p.m(); row++) {
                const double *x = &a[static_cast<size_t>(row * k)], *y = &b[static_cast<size_t>(col * k)];
                double sums[4] = {0, 0, 0, 0};
                int64_t i = 0;
                for (; i + 4 <= k; i += 4) {
                    for (int j = 0; j < 4; j++) sums[j] += x[i + j] * y[i + j];
                }
                for (; i < k; i++) sums[0] += x[i] * y[i];
                finish(p, o, item, row, col, (sums[0] + sums[1]) + (sums[2] + sums[3]));
            }
        }
    }
    return cudaSuccess;
}

/* ---- operands ---- */

uint32_t alignment_of(const void* address) {
    uintptr_t low = reinterpret_cast<uintptr_t>(address);
    low &= ~low + 1;
    return low == 0 || low > DEFAULT_ALIGNMENT ? DEFAULT_ALIGNMENT : static_cast<uint32_t>(low);
}

bool overlap(const void* x, size_t x_bytes, const void* y, size_t y_bytes) {
    uintptr_t a = reinterpret_cast<uintptr_t>(x), b = reinterpret_cast<uintptr_t>(y);
    return a < b + y_bytes && b < a + x_bytes;
}

cublasStatus_t check_operand(const matrix_layout& x, const void* data, uint32_t promised, const char* name) {
    if (!cn_host::is_device(data, bytes_of(x))) {
        complain("cuBLASLt: %s, %zu bytes at %p, does not lie in a block of the device", name, bytes_of(x), data);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (reinterpret_cast<uintptr_t>(data) % promised != 0 || reinterpret_cast<uintptr_t>(data) % size_of(x.type) != 0) {
        complain("cuBLASLt: %s at %p is not aligned to the %u bytes that the preference promised", name, data, promised);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_bias(const problem& p, uint32_t promised) {
    size_t bytes = static_cast<size_t>((p.d.batches - 1) * p.desc.bias_stride + p.m()) * size_of(p.bias_type());
    if (!p.has_bias()) return CUBLAS_STATUS_SUCCESS;
    if (!cn_host::is_device(p.desc.bias, bytes)) return invalid("the bias, as many elements as D has rows, does not lie in a block of the device");
    if (alignment_of(p.desc.bias) < promised) return invalid("the bias is less aligned than the one that the heuristic saw");
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_algo(const problem& p, const cublasLtMatmulAlgo_t* algo, const void* workspace, size_t workspace_bytes, algo_words* out) {
    if (!algo) return invalid("no algorithm; it has to come from the heuristic");
    memcpy(out, algo, sizeof *out);
    if (out->magic != ALGO_MAGIC) return invalid("an algorithm that did not come from the heuristic");
    if (out->problem != hash_of(p)) return invalid("an algorithm of another problem");
    if (workspace_bytes < out->workspace) return invalid("less workspace than the algorithm needs");
    if (out->workspace == 0) return CUBLAS_STATUS_SUCCESS;
    if (reinterpret_cast<uintptr_t>(workspace) % 16 != 0 || !cn_host::is_device(workspace, workspace_bytes)) {
        return invalid("the workspace is not aligned to 16, or does not lie in a block of the device");
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_operands(const problem& p, const operands& o, const algo_words& algo) {
    cublasStatus_t st = check_operand(p.a, o.a, algo.alignment[0], "A");
    if (st == CUBLAS_STATUS_SUCCESS) st = check_operand(p.b, o.b, algo.alignment[1], "B");
    if (st == CUBLAS_STATUS_SUCCESS && o.beta != 0) st = check_operand(p.c, o.c, algo.alignment[2], "C");
    if (st == CUBLAS_STATUS_SUCCESS) st = check_operand(p.d, o.d, algo.alignment[3], "D");
    if (st == CUBLAS_STATUS_SUCCESS) st = check_bias(p, algo.alignment[4]);
    if (st != CUBLAS_STATUS_SUCCESS) return st;
    if (overlap(o.d, bytes_of(p.d), o.a, bytes_of(p.a)) || overlap(o.d, bytes_of(p.d), o.b, bytes_of(p.b))) return invalid("D overlaps A or B");
    if (o.c == o.d && !same_layout(p.c, p.d)) return invalid("C is D, but with another layout");
    if (o.beta != 0 && o.c != o.d && overlap(o.d, bytes_of(p.d), o.c, bytes_of(p.c))) return invalid("D overlaps C without being it");
    return CUBLAS_STATUS_SUCCESS;
}

void count(const problem& p, const operands& o) {
    cn_host_count_kernel("cublasLtMatmul");
    cn_host_count_bytes(o.a, bytes_of(p.a), false);
    cn_host_count_bytes(o.b, bytes_of(p.b), false);
    if (o.beta != 0) cn_host_count_bytes(o.c, bytes_of(p.c), false);
    if (p.has_bias()) cn_host_count_bytes(p.desc.bias, static_cast<size_t>(p.m()) * size_of(p.bias_type()), false);
    cn_host_count_bytes(o.d, bytes_of(p.d), true);
}

cublasStatus_t status_of(cudaError_t error) {
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : error == cudaErrorInvalidResourceHandle ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_EXECUTION_FAILED;
}

double scalar(cudaDataType_t type, const void* value) { return load(type, value, 0); }

}  // namespace

/* ---- the interface ---- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t* out) {
    *out = new cublasLtContext{};
    keep(all().handles, *out);
    cn_host::count_lt(1, 0, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    if (!forget(all().handles, handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    delete handle;
    cn_host::count_lt(-1, 0, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute, cudaDataType_t scale) {
    matmul_desc* desc = new matmul_desc;
    desc->compute = compute;
    desc->scale = scale;
    *out = reinterpret_cast<cublasLtMatmulDesc_t>(desc);
    keep(all().descs, *out);
    cn_host::count_lt(0, 1, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
    if (!forget(all().descs, desc)) return invalid("a matmul descriptor that is none");
    delete reinterpret_cast<matmul_desc*>(desc);
    cn_host::count_lt(0, -1, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attr, const void* value, size_t size) {
    if (!known(all().descs, desc)) return invalid("a matmul descriptor that is none");
    matmul_desc* d = reinterpret_cast<matmul_desc*>(desc);
    switch (attr) {
        case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE: return set(&d->compute, value, size);
        case CUBLASLT_MATMUL_DESC_SCALE_TYPE: return set(&d->scale, value, size);
        case CUBLASLT_MATMUL_DESC_POINTER_MODE: return set(&d->pointer_mode, value, size);
        case CUBLASLT_MATMUL_DESC_TRANSA: return set(&d->op_a, value, size);
        case CUBLASLT_MATMUL_DESC_TRANSB: return set(&d->op_b, value, size);
        case CUBLASLT_MATMUL_DESC_TRANSC: return set(&d->op_c, value, size);
        case CUBLASLT_MATMUL_DESC_FILL_MODE: return set(&d->fill, value, size);
        case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(&d->epilogue, value, size);
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(&d->bias, value, size);
        case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: return set(&d->bias_stride, value, size);
        case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return set(&d->bias_type, value, size);
        case CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET: return set(&d->sm_target, value, size);
        default: return unsupported("an attribute of a matmul descriptor");
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld) {
    matrix_layout* layout = new matrix_layout;
    layout->type = type;
    layout->rows = rows;
    layout->cols = cols;
    layout->ld = ld;
    *out = reinterpret_cast<cublasLtMatrixLayout_t>(layout);
    keep(all().layouts, *out);
    cn_host::count_lt(0, 1, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    if (!forget(all().layouts, layout)) return invalid("a matrix layout that is none");
    delete reinterpret_cast<matrix_layout*>(layout);
    cn_host::count_lt(0, -1, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attr, const void* value, size_t size) {
    if (!known(all().layouts, layout)) return invalid("a matrix layout that is none");
    matrix_layout* x = reinterpret_cast<matrix_layout*>(layout);
    switch (attr) {
        case CUBLASLT_MATRIX_LAYOUT_TYPE: return set(&x->type, value, size);
        case CUBLASLT_MATRIX_LAYOUT_ORDER: return set(&x->order, value, size);
        case CUBLASLT_MATRIX_LAYOUT_ROWS: return set(&x->rows, value, size);
        case CUBLASLT_MATRIX_LAYOUT_COLS: return set(&x->cols, value, size);
        case CUBLASLT_MATRIX_LAYOUT_LD: return set(&x->ld, value, size);
        case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(&x->batches, value, size);
        case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(&x->stride, value, size);
        default: return unsupported("an attribute of a matrix layout");
    }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
    *out = reinterpret_cast<cublasLtMatmulPreference_t>(new preference);
    keep(all().prefs, *out);
    cn_host::count_lt(0, 1, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) {
    if (!forget(all().prefs, pref)) return invalid("a preference that is none");
    delete reinterpret_cast<preference*>(pref);
    cn_host::count_lt(0, -1, 0);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref, cublasLtMatmulPreferenceAttributes_t attr, const void* value, size_t size) {
    if (!known(all().prefs, pref)) return invalid("a preference that is none");
    preference* p = reinterpret_cast<preference*>(pref);
    switch (attr) {
        case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(&p->workspace, value, size);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return set(&p->alignment[0], value, size);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return set(&p->alignment[1], value, size);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return set(&p->alignment[2], value, size);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return set(&p->alignment[3], value, size);
        case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return set(&p->reductions, value, size);
        case CUBLASLT_MATMUL_PREF_IMPL_MASK: return set(&p->implementations, value, size);
        default: return unsupported("an attribute of a preference");
    }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t pref, int requested, cublasLtMatmulHeuristicResult_t results[], int* returned) {
    problem p;
    preference wanted;
    int n = 0;
    if (!known(all().handles, handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!known(all().prefs, pref) || !get_problem(desc, a, b, c, d, &p)) return invalid("a descriptor, layout or preference that is none");
    if (requested <= 0 || !results || !returned) return invalid("no algorithm is asked for");
    *returned = 0;
    wanted = *reinterpret_cast<preference*>(pref);
    for (uint32_t promised : wanted.alignment) {
        if (promised == 0 || (promised & (promised - 1)) != 0) return invalid("an alignment that is no power of two");
    }
    cublasStatus_t st = check_problem(p);
    if (st != CUBLAS_STATUS_SUCCESS) return st;
    uint64_t inputs = inputs_of(p, wanted.implementations);
    if ((inputs & ~wanted.implementations) != 0) {
        complain("cuBLASLt: the mask of implementations leaves no algorithm");
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    for (uint64_t workspace : {static_cast<uint64_t>(WORKSPACE_BYTES), static_cast<uint64_t>(0)}) {
        if (workspace > wanted.workspace || n >= requested) continue;
        algo_words words = {ALGO_MAGIC, hash_of(p), workspace, {0, 0, 0, 0, alignment_of(p.desc.bias)}, static_cast<uint32_t>(n), inputs, 0};
        memcpy(words.alignment, wanted.alignment, sizeof wanted.alignment);
        results[n] = cublasLtMatmulHeuristicResult_t{};
        memcpy(&results[n].algo, &words, sizeof words);
        results[n].workspaceSize = workspace;
        results[n].state = CUBLAS_STATUS_SUCCESS;
        results[n].wavesCount = 1;
        n++;
    }
    *returned = n;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_bytes, cudaStream_t stream) {
    problem p;
    algo_words words;
    if (!known(all().handles, handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!get_problem(desc, a_layout, b_layout, c_layout, d_layout, &p)) return invalid("a descriptor or layout that is none");
    if (!alpha || !beta) return invalid("no alpha or beta");
    cublasStatus_t st = check_problem(p);
    if (st == CUBLAS_STATUS_SUCCESS) st = check_algo(p, algo, workspace, workspace_bytes, &words);
    if (st != CUBLAS_STATUS_SUCCESS) return st;
    operands o = {a, b, c, d, scalar(p.desc.scale, alpha), scalar(p.desc.scale, beta)};
    st = check_operands(p, o, words);
    if (st != CUBLAS_STATUS_SUCCESS) return st;
    std::vector<cn_host::use> uses = {{a, 1}, {b, 1}, {d, 1}, {c, o.beta != 0 ? 1u : 0u}, {p.desc.bias, p.has_bias() ? 1u : 0u}, {workspace, words.workspace ? 1u : 0u}};
    size_t scratch = words.workspace;
    uint64_t inputs = words.inputs;
    cn_host::count_lt(0, 0, 1);
    return status_of(cn_host::enqueue(stream, "cublasLtMatmul", std::move(uses), [p, o, workspace, scratch, inputs] {
        count(p, o);
        if (scratch > 0) memset(workspace, 0xFF, scratch);
        return execute(p, o, inputs);
    }));
}
