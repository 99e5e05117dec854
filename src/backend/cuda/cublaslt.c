/* One product for cuBLASLt: descriptors, layouts and algorithm are made once, at preparation.
 *
 * The library counts columns first and adds its bias along the rows of the result. A row-major y [M, N] is a column-first [N, M], so the
 * product is given to it the other way round, and the bias then runs along N; no element moves:
 *
 *     y [M, N] = a [M, K] b [K, N]        row-major
 *     D [N, M] = A [N, K] B [K, M]        column-first: A is b's memory, B is a's, D is y's
 *
 *     b stored [K, N]: A is [N, K], leading dimension N, as it is        b stored [N, K] (weights): A is [K, N], leading dimension K, transposed
 *     a stored [M, K]: B is [K, M], leading dimension K, as it is        a stored [K, M]: B is [M, K], leading dimension M, transposed
 *
 * D = act(A B + beta C + bias), with C = the residual, which lies as y does. */
#include "backend/cuda/cublaslt.h"

#include "backend/cuda/device.h"

/* What NVIDIA recommends. */
#define WORKSPACE_BYTES (UINT64_C(4) << 20)
#define WORKSPACE_BYTES_SM90 (UINT64_C(32) << 20)

static cudaDataType_t type_of(cornu_dtype dtype) {
    switch (dtype) {
        case CORNU_FLOAT16: return CUDA_R_16F;
        case CORNU_BFLOAT16: return CUDA_R_16BF;
        case CORNU_FLOAT64: return CUDA_R_64F;
        default: return CUDA_R_32F;
    }
}

static cornu_status set_product(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute, const void* value, size_t size) {
    return CN_LT_OK(cn_lt()->MatmulDescSetAttribute(product, attribute, value, size));
}

static cornu_status set_preference(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void* value, size_t size) {
    return CN_LT_OK(cn_lt()->MatmulPreferenceSetAttribute(preference, attribute, value, size));
}

static cornu_status make_layout(const cn_lt_problem* p, int64_t rows, int64_t columns, int64_t step, cublasLtMatrixLayout_t* out) {
    int32_t batches = (int32_t)p->batches;

    CN_LT(cn_lt()->MatrixLayoutCreate(out, type_of(p->dtype), (uint64_t)rows, (uint64_t)columns, rows));
    if (p->batches == 1) return CORNU_OK;
    CN_LT(cn_lt()->MatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, sizeof batches));
    return CN_LT_OK(cn_lt()->MatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step));
}

static bool uses_tf32(const cn_lt_problem* p) { return p->dtype == CORNU_FLOAT32 && p->compute == CN_COMPUTE_TF32; }

/* Which roundings of the factors an algorithm may use: a compute type is a wish that the environment can override, this is not. */
static uint64_t allowed_inputs(const cn_lt_problem* p) {
    switch (p->dtype) {
        case CORNU_FLOAT16: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F;
        case CORNU_BFLOAT16: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF;
        case CORNU_FLOAT64: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_64F;
        default: return CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_32F | (uses_tf32(p) ? CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_TF32 : 0);
    }
}

static cornu_status make_product(const cn_lt_problem* p, cn_lt_product* out) {
    cublasComputeType_t compute = out->is_double ? CUBLAS_COMPUTE_64F : uses_tf32(p) ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasOperation_t swapped = CUBLAS_OP_T;
    cublasLtEpilogue_t epilogue = p->bias ? (p->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS) : p->relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
    cudaDataType_t bias_type = type_of(p->dtype);

    CN_LT(cn_lt()->MatmulDescCreate(&out->product, compute, out->is_double ? CUDA_R_64F : CUDA_R_32F));
    if (p->swapped_b) CN_TRY(set_product(out->product, CUBLASLT_MATMUL_DESC_TRANSA, &swapped, sizeof swapped));
    if (p->swapped_a) CN_TRY(set_product(out->product, CUBLASLT_MATMUL_DESC_TRANSB, &swapped, sizeof swapped));
    if (epilogue != CUBLASLT_EPILOGUE_DEFAULT) CN_TRY(set_product(out->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    if (p->bias) CN_TRY(set_product(out->product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type));
    CN_TRY(make_layout(p, p->swapped_b ? p->inner : p->columns, p->swapped_b ? p->columns : p->inner, p->b_step, &out->a));
    CN_TRY(make_layout(p, p->swapped_a ? p->rows : p->inner, p->swapped_a ? p->inner : p->rows, p->a_step, &out->b));
    return make_layout(p, p->columns, p->rows, p->y_step, &out->y);
}

/* Adds the algorithms that the library proposes of those that round as allowed says. Partial sums stay in the type of the sums. */
static cornu_status ask(cn_cuda_executable* e, const cn_lt_problem* p, uint64_t allowed, cn_lt_product* out) {
    uint64_t workspace = cn_device_capability(e->device) >= 90 ? WORKSPACE_BYTES_SM90 : WORKSPACE_BYTES;
    uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, aligns[3] = {(uint32_t)p->b_align, (uint32_t)p->a_align, (uint32_t)p->y_align};
    const void* aligned = (const void*)(uintptr_t)16; /* the library looks at the bias's alignment only */
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t results[CN_LT_WAYS];
    cublasStatus_t error;
    int count = 0;
    cornu_status st = CORNU_OK;

    CN_STEP(CN_LT_OK(cn_lt()->MatmulPreferenceCreate(&preference)));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_IMPL_MASK, &allowed, sizeof allowed));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &aligns[0], sizeof aligns[0]));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &aligns[1], sizeof aligns[1]));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &aligns[2], sizeof aligns[2]));
    CN_STEP(set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &aligns[2], sizeof aligns[2]));
    if (p->bias) CN_STEP(set_product(out->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &aligned, sizeof aligned));
    error = cn_lt()->MatmulAlgoGetHeuristic(cn_device_lt(e->device), out->product, out->a, out->b, out->y, out->y, preference, CN_LT_WAYS, results, &count);
    if (error != CUBLAS_STATUS_NOT_SUPPORTED) CN_STEP(cn_lt_check(error, "cublasLtMatmulAlgoGetHeuristic", __FILE__, __LINE__));
    for (int i = 0; error == CUBLAS_STATUS_SUCCESS && i < count; i++) {
        if (results[i].state != CUBLAS_STATUS_SUCCESS) continue;
        out->algorithms[out->ways] = results[i].algo;
        out->workspace_bytes[out->ways++] = results[i].workspaceSize;
        cn_cuda_need_scratch(e, results[i].workspaceSize);
    }
done:
    if (preference) (void)cn_lt()->MatmulPreferenceDestroy(preference);
    return st;
}

/* *found false: there is no way. Where the mask leaves none, float32 is asked for by the compute type that promises it, and the others, whose
 * elements cannot be rounded any further, without the mask. */
static cornu_status choose(cn_cuda_executable* e, const cn_lt_problem* p, cn_lt_product* out, bool* found) {
    uint64_t any = ~(uint64_t)CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F;
    cublasComputeType_t pedantic = CUBLAS_COMPUTE_32F_PEDANTIC;

    CN_TRY(ask(e, p, (any & ~(uint64_t)CUBLASLT_NUMERICAL_IMPL_FLAGS_OP_INPUT_TYPE_MASK) | allowed_inputs(p), out));
    if (out->ways == 0) {
        if (p->dtype == CORNU_FLOAT32 && !uses_tf32(p)) CN_TRY(set_product(out->product, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &pedantic, sizeof pedantic));
        CN_TRY(ask(e, p, any, out));
    }
    *found = out->ways > 0;
    return CORNU_OK;
}

cornu_status cn_lt_product_init(cn_cuda_executable* e, const cn_lt_problem* problem, cn_lt_product* out, bool* found) {
    cornu_status st = CORNU_OK;

    *found = false;
    *out = (cn_lt_product){.is_double = problem->dtype == CORNU_FLOAT64, .bias = problem->bias, .residual = problem->residual};
    if (problem->inner == 0 || problem->batches > INT32_MAX) return CORNU_OK;
    CN_STEP(make_product(problem, out));
    CN_STEP(choose(e, problem, out, found));
done:
    if (!*found) cn_lt_product_deinit(out);
    return st;
}

void cn_lt_product_deinit(cn_lt_product* p) {
    if (p->product) (void)cn_lt()->MatmulDescDestroy(p->product);
    if (p->a) (void)cn_lt()->MatrixLayoutDestroy(p->a);
    if (p->b) (void)cn_lt()->MatrixLayoutDestroy(p->b);
    if (p->y) (void)cn_lt()->MatrixLayoutDestroy(p->y);
    *p = (cn_lt_product){0};
}

cornu_status cn_lt_product_run(const cn_lt_product* p, int way, const cn_cuda_frame* frame, const cn_lt_operands* operands) {
    double one = 1, beta = p->residual ? 1 : 0;
    float one_float = 1, beta_float = p->residual ? 1 : 0;
    const void* scale = p->is_double ? (const void*)&one : (const void*)&one_float;
    const void* scale_residual = p->is_double ? (const void*)&beta : (const void*)&beta_float;

    if (p->bias) CN_TRY(set_product(p->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &operands->bias, sizeof operands->bias));
    return CN_LT_OK(cn_lt()->Matmul(cn_device_lt(frame->executable->device), p->product, scale, operands->b, p->a, operands->a, p->b, scale_residual,
                                    p->residual ? operands->residual : operands->y, p->y, operands->y, p->y, &p->algorithms[way], frame->scratch,
                                    p->workspace_bytes[way], frame->queue.stream));
}
