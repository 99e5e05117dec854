/* A run, of which the first part follows the weights, which may have changed since:
 *
 *     recurrent kernel [U, gates U]   to the weight space's matrices, one [U, U] a gate, each turned round
 *     recurrent bias                  to its biases
 *     cudnnRNNForward                 to scratch: outputs [B, T, U], h [B, U], c [B, U], the library's own
 *     outputs, h, c                   to y [B, rows, U]
 *
 * Input matrices and input biases of the weight space are written once. */
#include "backend/cuda/cudnn_rnn.h"

#include <string.h>

#include "base/alloc.h"
#include "base/dtype.h"
#include "kernels/move.h"

#define MOST_GATES 4
#define WORK_BYTES (UINT64_C(4) << 20) /* of the library, beside what it keeps of each step */

struct cn_dnn_recurrence {
    cn_cuda_executable* executable;
    const cn_cudnn_calls* calls;
    cn_dnn_rnn_t rnn;
    cn_dnn_dropout_t dropout;
    cn_dnn_rnn_data_t x, y;
    cn_dnn_tensor_t state;
    char* weights; /* of the device; behind them, aligned, the length of each sequence */
    size_t weight_bytes, work_bytes;
    int gates;
    uint64_t matrices[MOST_GATES],
        biases[MOST_GATES]; /* of the recurrent product, Keras's order of gates: bytes into the weights */
};

bool cn_dnn_rnn_fits(const cn_rnn_args* a, bool mask) {
    bool tanh_act = a->act.fn == CN_EW_tanh, sigmoid_gate = a->gate.fn == CN_EW_sigmoid;

    if (mask || a->backwards || a->dtype == CORNU_FLOAT64) return false;
    if (a->batch * a->steps > INT32_MAX || a->batch * a->units > INT32_MAX || a->units * 4 > INT32_MAX) return false;
    if (a->cell == CN_CELL_SIMPLE) return tanh_act || a->act.fn == CN_EW_relu;
    return tanh_act && sigmoid_gate && (a->cell == CN_CELL_LSTM || a->reset_after);
}

/* Bytes of one dtype. */
static uint64_t bytes_of(const cn_rnn_args* a, int64_t elements) {
    return (uint64_t)elements * cornu_dtype_size((cornu_dtype)a->dtype);
}

/* Places in the scratch. */
typedef struct layout {
    uint64_t h, c, work; /* the outputs begin at 0 */
} layout;

static layout layout_of(const cn_rnn_args* a) {
    uint64_t state = cn_cuda_aligned(bytes_of(a, a->batch * a->units)),
             outputs = cn_cuda_aligned(bytes_of(a, a->batch * a->steps * a->units));
    return (layout){outputs, outputs + state, outputs + 2 * state};
}

/* Of its own the library keeps about what goes into the gates of each step, in float32. */
uint64_t cn_dnn_rnn_scratch(const cn_rnn_args* a) {
    uint64_t gates = (uint64_t)(a->batch * a->steps * a->units * cn_rnn_gate_count(a->cell)) * sizeof(float);
    return layout_of(a).work + 2 * gates + WORK_BYTES;
}

/* ---- descriptors ---- */

/* Of each sequence; the caller frees them. NULL without memory. */
static int32_t* lengths_of(const cn_rnn_args* a) {
    int32_t* lengths = cn_alloc((size_t)a->batch * sizeof *lengths);
    for (int64_t i = 0; lengths && i < a->batch; i++) lengths[i] = (int32_t)a->steps;
    return lengths;
}

static cornu_status describe_data(cn_dnn_recurrence* r, const cn_rnn_args* a, int64_t size, cn_dnn_rnn_data_t* out) {
    int32_t* lengths = lengths_of(a);
    cornu_status st = CORNU_OK;

    if (!lengths) return CN_NO_MEMORY((size_t)a->batch * sizeof *lengths);
    CN_STEP(CN_DNN_OK(r->calls->CreateRNNDataDescriptor(out)));
    CN_STEP(CN_DNN_OK(r->calls->SetRNNDataDescriptor(*out, cn_dnn_data_type(a->dtype),
                                                     CN_DNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED, (int)a->steps,
                                                     (int)a->batch, (int)size, lengths, NULL)));
done:
    cn_free(lengths);
    return st;
}

static cornu_status describe(cn_dnn_recurrence* r, cn_dnn_handle_t handle, const cn_rnn_args* a, int algorithm) {
    static const int algorithms[CN_DNN_RNN_WAYS] = {CN_DNN_RNN_ALGO_STANDARD, CN_DNN_RNN_ALGO_PERSIST_STATIC,
                                                    CN_DNN_RNN_ALGO_PERSIST_STATIC_SMALL_H};
    int cell = a->cell == CN_CELL_LSTM   ? CN_DNN_LSTM
               : a->cell == CN_CELL_GRU  ? CN_DNN_GRU
               : a->act.fn == CN_EW_relu ? CN_DNN_RNN_RELU
                                         : CN_DNN_RNN_TANH;
    int math = a->dtype == CORNU_FLOAT32 ? CN_DNN_FMA_MATH
                                         : CN_DNN_TENSOR_OP_MATH; /* recurrences of float32 are never rounded to TF32 */
    int dims[3] = {1, (int)a->batch, (int)a->units}, strides[3] = {(int)(a->batch * a->units), (int)a->units, 1};
    size_t reserve = 0;

    CN_TRY(CN_DNN_OK(r->calls->CreateDropoutDescriptor(&r->dropout)));
    CN_TRY(CN_DNN_OK(r->calls->SetDropoutDescriptor(r->dropout, handle, 0.0f, NULL, 0, 0)));
    CN_TRY(CN_DNN_OK(r->calls->CreateRNNDescriptor(&r->rnn)));
    CN_TRY(CN_DNN_OK(r->calls->SetRNNDescriptor_v8(
        r->rnn, algorithms[algorithm], cell, CN_DNN_RNN_DOUBLE_BIAS, CN_DNN_UNIDIRECTIONAL, CN_DNN_LINEAR_INPUT,
        cn_dnn_data_type(a->dtype), CN_DNN_DATA_FLOAT, math, (int32_t)(a->units * r->gates), (int32_t)a->units,
        (int32_t)a->units, 1, r->dropout, CN_DNN_RNN_PADDED_IO_ENABLED)));
    CN_TRY(describe_data(r, a, a->units * r->gates, &r->x));
    CN_TRY(describe_data(r, a, a->units, &r->y));
    CN_TRY(CN_DNN_OK(r->calls->CreateTensorDescriptor(&r->state)));
    CN_TRY(CN_DNN_OK(r->calls->SetTensorNdDescriptor(r->state, cn_dnn_data_type(a->dtype), 3, dims, strides)));
    CN_TRY(CN_DNN_OK(
        r->calls->GetRNNTempSpaceSizes(handle, r->rnn, CN_DNN_FWD_MODE_INFERENCE, r->x, &r->work_bytes, &reserve)));
    CN_TRY(CN_DNN_OK(r->calls->GetRNNWeightSpaceSize(handle, r->rnn, &r->weight_bytes)));
    if (layout_of(a).work + r->work_bytes > cn_dnn_rnn_scratch(a))
        return CN_FAIL(UNSUPPORTED, "cuDNN asks for %zu bytes of work space", r->work_bytes);
    return CORNU_OK;
}

/* ---- the weight space ---- */

/* Number of the library's matrix for gate g of Keras: GRU has r z h there and z r h here. */
static int matrix_of(const cn_rnn_args* a, int g) { return a->cell == CN_CELL_GRU && g < 2 ? 1 - g : g; }

/* Where a matrix and its bias begin, checked to be dense and of the size that is expected. */
static cornu_status locate(cn_dnn_recurrence* r, cn_dnn_handle_t handle, int matrix, int64_t rows, int64_t columns,
                           uint64_t* at, uint64_t* bias_at) {
    cn_dnn_tensor_t m = NULL, b = NULL;
    void *m_address = NULL, *b_address = NULL;
    int type, ndim = 0, dims[3] = {0}, strides[3] = {0};
    cornu_status st = CORNU_OK;

    CN_STEP(CN_DNN_OK(r->calls->CreateTensorDescriptor(&m)));
    CN_STEP(CN_DNN_OK(r->calls->CreateTensorDescriptor(&b)));
    CN_STEP(CN_DNN_OK(r->calls->GetRNNWeightParams(handle, r->rnn, 0, r->weight_bytes, r->weights, matrix, m,
                                                   &m_address, b, &b_address)));
    CN_STEP(CN_DNN_OK(r->calls->GetTensorNdDescriptor(m, 3, &type, &ndim, dims, strides)));
    if (!m_address || !b_address || ndim != 3 || dims[1] != rows || dims[2] != columns || strides[2] != 1 ||
        strides[1] != columns) {
        st = CN_FAIL(UNSUPPORTED, "cuDNN lays matrix %d of a recurrent layer out in another way than is known", matrix);
        goto done;
    }
    *at = (uint64_t)((char*)m_address - r->weights);
    *bias_at = (uint64_t)((char*)b_address - r->weights);
done:
    if (m) (void)r->calls->DestroyTensorDescriptor(m);
    if (b) (void)r->calls->DestroyTensorDescriptor(b);
    return st;
}

/* The input matrices of all gates, made on the host and copied. */
static cornu_status write_inputs(cn_dnn_recurrence* r, cn_dnn_handle_t handle, const cn_rnn_args* a,
                                 cudaStream_t stream) {
    const uint64_t size = cornu_dtype_size((cornu_dtype)a->dtype), columns = (uint64_t)(a->units * r->gates),
                   bytes = (uint64_t)a->units * columns * size;
    const float one = 1;
    char* picks = cn_alloc_zero(1, bytes);
    cornu_status st = CORNU_OK;

    if (!picks) return CN_NO_MEMORY(bytes);
    CN_STEP(CN_CUDA_OK(cn_calls()->MemsetAsync(r->weights, 0, r->weight_bytes, stream)));
    for (int g = 0; g < r->gates; g++) {
        uint64_t at, bias_at;
        memset(picks, 0, bytes);
        for (int64_t u = 0; u < a->units; u++) {
            CN_STEP(cn_dtype_convert((cornu_dtype)a->dtype,
                                     picks + ((uint64_t)u * columns + (uint64_t)(g * a->units + u)) * size,
                                     CORNU_FLOAT32, &one, 1));
        }
        CN_STEP(locate(r, handle, matrix_of(a, g), a->units, a->units * r->gates, &at, &bias_at));
        CN_STEP(locate(r, handle, r->gates + matrix_of(a, g), a->units, a->units, &r->matrices[g], &r->biases[g]));
        CN_STEP(CN_CUDA_OK(cn_calls()->MemcpyAsync(r->weights + at, picks, bytes, cudaMemcpyDefault, stream)));
        CN_STEP(CN_CUDA_OK(cn_calls()->StreamSynchronize(stream))); /* picks is written anew */
    }
done:
    cn_free(picks);
    return st;
}

static cornu_status write_lengths(cn_dnn_recurrence* r, const cn_rnn_args* a, cudaStream_t stream) {
    int32_t* lengths = lengths_of(a);
    cornu_status st = CORNU_OK;

    if (!lengths) return CN_NO_MEMORY((size_t)a->batch * sizeof *lengths);
    CN_STEP(CN_CUDA_OK(cn_calls()->MemcpyAsync(r->weights + cn_cuda_aligned(r->weight_bytes), lengths,
                                               (size_t)a->batch * sizeof *lengths, cudaMemcpyDefault, stream)));
    CN_STEP(CN_CUDA_OK(cn_calls()->StreamSynchronize(stream)));
done:
    cn_free(lengths);
    return st;
}

cornu_status cn_dnn_rnn_create(cn_cuda_executable* e, const cn_rnn_args* a, int algorithm, cn_dnn_recurrence** out) {
    cn_dnn_recurrence* r = NULL;
    cn_dnn_handle_t handle;
    cornu_status st = CORNU_OK;

    *out = NULL;
    CN_TRY(cn_cuda_dnn_handle(e, &handle));
    r = cn_alloc_zero(1, sizeof *r);
    if (!r) return CN_NO_MEMORY(sizeof *r);
    r->executable = e;
    r->calls = cn_dnn();
    e->dnn_users++;
    r->gates = cn_rnn_gate_count(a->cell);
    CN_STEP(CN_DNN_OK(r->calls->SetStream(handle, e->frame.queue.stream)));
    CN_STEP(describe(r, handle, a, algorithm));
    CN_STEP(CN_CUDA_OK(cn_calls()->Malloc((void**)&r->weights,
                                          cn_cuda_aligned(r->weight_bytes) + (size_t)a->batch * sizeof(int32_t))));
    e->dnn_bytes += r->weight_bytes;
    CN_STEP(write_lengths(r, a, e->frame.queue.stream));
    CN_STEP(write_inputs(r, handle, a, e->frame.queue.stream));
    *out = r;
    r = NULL;
done:
    cn_dnn_rnn_destroy(r);
    return st;
}

void cn_dnn_rnn_destroy(cn_dnn_recurrence* r) {
    if (!r) return;
    if (r->weights) r->executable->dnn_bytes -= r->weight_bytes;
    if (r->weights) (void)cn_calls()->Free(r->weights);
    if (r->state) (void)r->calls->DestroyTensorDescriptor(r->state);
    if (r->x) (void)r->calls->DestroyRNNDataDescriptor(r->x);
    if (r->y) (void)r->calls->DestroyRNNDataDescriptor(r->y);
    if (r->rnn) (void)r->calls->DestroyRNNDescriptor(r->rnn);
    if (r->dropout) (void)r->calls->DestroyDropoutDescriptor(r->dropout);
    r->executable->dnn_users--;
    cn_free(r);
}

/* ---- a run ---- */

/* Recurrent matrices and biases of the weights as they are now. */
static cornu_status copy_weights(const cn_dnn_recurrence* r, const cn_rnn_args* a, const cn_cuda_frame* frame) {
    const int size = (int)cornu_dtype_size((cornu_dtype)a->dtype);

    for (int g = 0; g < r->gates; g++) {
        cn_strided_copy_args turned = {
            .x = a->kernel, .y = r->weights + r->matrices[g], .size = size, .ndim = 2, .base = g * a->units};
        turned.dims[0] = turned.dims[1] = a->units;
        turned.strides[0] = 1;
        turned.strides[1] = a->units * r->gates;
        CN_CUDA(cn_k_strided_copy(&frame->queue, &turned));
        if (!a->bias) continue;
        CN_CUDA(cn_calls()->MemcpyAsync(r->weights + r->biases[g], (const char*)a->bias + bytes_of(a, g * a->units),
                                        bytes_of(a, a->units), cudaMemcpyDeviceToDevice, frame->queue.stream));
    }
    return CORNU_OK;
}

static cornu_status join_results(const cn_rnn_args* a, const char* scratch, const cn_cuda_frame* frame) {
    const layout at = layout_of(a);
    cn_concat_args join = {.y = a->y,
                           .size = (int)cornu_dtype_size((cornu_dtype)a->dtype),
                           .count = a->cell == CN_CELL_LSTM ? 3 : 2,
                           .outer = a->batch,
                           .row = a->rows * a->units};

    join.x[0] = a->sequences ? scratch : scratch + at.h; /* the last output is the last state */
    join.x[1] = scratch + at.h;
    join.x[2] = scratch + at.c;
    join.start[1] = (a->sequences ? a->steps : 1) * a->units;
    join.start[2] = join.start[1] + a->units;
    join.start[3] = join.start[2] + a->units;
    return CN_CUDA_OK(cn_k_concat(&frame->queue, &join));
}

cornu_status cn_dnn_rnn_run(const cn_dnn_recurrence* r, const cn_rnn_args* a, const cn_cuda_frame* frame) {
    const layout at = layout_of(a);
    const bool lstm = a->cell == CN_CELL_LSTM;
    cn_dnn_handle_t handle = frame->executable->dnn_handle;
    char* scratch = frame->scratch;
    const int32_t* lengths = (const int32_t*)(const void*)(r->weights + cn_cuda_aligned(r->weight_bytes));

    CN_TRY(CN_DNN_OK(r->calls->SetStream(handle, frame->queue.stream)));
    CN_TRY(copy_weights(r, a, frame));
    CN_TRY(CN_DNN_OK(r->calls->RNNForward(handle, r->rnn, CN_DNN_FWD_MODE_INFERENCE, lengths, r->x, a->z, r->y, scratch,
                                          r->state, a->h, scratch + at.h, lstm ? r->state : NULL, lstm ? a->c : NULL,
                                          lstm ? scratch + at.c : NULL, r->weight_bytes, r->weights, r->work_bytes,
                                          r->work_bytes ? scratch + at.work : NULL, 0, NULL)));
    return join_results(a, scratch, frame);
}
