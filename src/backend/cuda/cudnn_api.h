/* The part of cuDNN 9's interface that Cornu uses, written down so that it can be built where cuDNN is not installed: the library is looked for at
 * run time. Numbers and signatures are those of its headers; tests compare them where there are headers. */
#ifndef CN_BACKEND_CUDA_CUDNN_API_H
#define CN_BACKEND_CUDA_CUDNN_API_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_dnn_handle* cn_dnn_handle_t;           /* cudnnHandle_t */
typedef void* cn_dnn_descriptor;                         /* cudnnBackendDescriptor_t */
typedef struct cn_dnn_tensor* cn_dnn_tensor_t;           /* cudnnTensorDescriptor_t */
typedef struct cn_dnn_dropout* cn_dnn_dropout_t;         /* cudnnDropoutDescriptor_t */
typedef struct cn_dnn_rnn* cn_dnn_rnn_t;                 /* cudnnRNNDescriptor_t */
typedef struct cn_dnn_rnn_data* cn_dnn_rnn_data_t;       /* cudnnRNNDataDescriptor_t */
typedef int cn_dnn_status;                               /* cudnnStatus_t; as all its enumerations, an int */

/* CN_DNN(name, number): CUDNN_name. */
#define CN_DNN_CONSTANTS(CN_DNN) \
    CN_DNN(STATUS_SUCCESS, 0) \
    CN_DNN(STATUS_BAD_PARAM, 2000) \
    CN_DNN(STATUS_NOT_SUPPORTED, 3000) \
    CN_DNN(STATUS_INTERNAL_ERROR, 4000) \
    CN_DNN(STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, 4003) \
    CN_DNN(STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, 4004) \
    CN_DNN(STATUS_EXECUTION_FAILED, 5000) \
    CN_DNN(DATA_FLOAT, 0) \
    CN_DNN(DATA_HALF, 2) \
    CN_DNN(DATA_BFLOAT16, 9) \
    CN_DNN(CROSS_CORRELATION, 1) \
    CN_DNN(PROPAGATE_NAN, 1) \
    CN_DNN(POINTWISE_ADD, 0) \
    CN_DNN(POINTWISE_MUL, 1) \
    CN_DNN(POINTWISE_RELU_FWD, 100) \
    CN_DNN(BACKEND_POINTWISE_DESCRIPTOR, 0) \
    CN_DNN(BACKEND_CONVOLUTION_DESCRIPTOR, 1) \
    CN_DNN(BACKEND_ENGINE_DESCRIPTOR, 2) \
    CN_DNN(BACKEND_ENGINECFG_DESCRIPTOR, 3) \
    CN_DNN(BACKEND_ENGINEHEUR_DESCRIPTOR, 4) \
    CN_DNN(BACKEND_EXECUTION_PLAN_DESCRIPTOR, 5) \
    CN_DNN(BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, 10) \
    CN_DNN(BACKEND_OPERATION_POINTWISE_DESCRIPTOR, 13) \
    CN_DNN(BACKEND_OPERATIONGRAPH_DESCRIPTOR, 15) \
    CN_DNN(BACKEND_VARIANT_PACK_DESCRIPTOR, 16) \
    CN_DNN(BACKEND_TENSOR_DESCRIPTOR, 17) \
    CN_DNN(BACKEND_DEVICEPROP_DESCRIPTOR, 38)          /* from 9.8 on */ \
    CN_DNN(BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, 41)  /* from 9.13 on */ \
    CN_DNN(ATTR_POINTWISE_MODE, 0) \
    CN_DNN(ATTR_POINTWISE_MATH_PREC, 1) \
    CN_DNN(ATTR_POINTWISE_NAN_PROPAGATION, 2) \
    CN_DNN(ATTR_CONVOLUTION_COMP_TYPE, 100) \
    CN_DNN(ATTR_CONVOLUTION_CONV_MODE, 101) \
    CN_DNN(ATTR_CONVOLUTION_DILATIONS, 102) \
    CN_DNN(ATTR_CONVOLUTION_FILTER_STRIDES, 103) \
    CN_DNN(ATTR_CONVOLUTION_POST_PADDINGS, 104) \
    CN_DNN(ATTR_CONVOLUTION_PRE_PADDINGS, 105) \
    CN_DNN(ATTR_CONVOLUTION_SPATIAL_DIMS, 106) \
    CN_DNN(ATTR_ENGINEHEUR_MODE, 200) \
    CN_DNN(ATTR_ENGINEHEUR_OPERATION_GRAPH, 201) \
    CN_DNN(ATTR_ENGINEHEUR_RESULTS, 202) \
    CN_DNN(ATTR_ENGINEHEUR_DEVICEPROP, 204) \
    CN_DNN(ATTR_ENGINECFG_ENGINE, 300) \
    CN_DNN(ATTR_EXECUTION_PLAN_HANDLE, 400) \
    CN_DNN(ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 401) \
    CN_DNN(ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 402) \
    CN_DNN(ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, 405) \
    CN_DNN(ATTR_EXECUTION_PLAN_DEVICEPROP, 407) \
    CN_DNN(ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 700) \
    CN_DNN(ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 701) \
    CN_DNN(ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, 702) \
    CN_DNN(ATTR_OPERATION_CONVOLUTION_FORWARD_W, 703) \
    CN_DNN(ATTR_OPERATION_CONVOLUTION_FORWARD_X, 704) \
    CN_DNN(ATTR_OPERATION_CONVOLUTION_FORWARD_Y, 705) \
    CN_DNN(ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 750) \
    CN_DNN(ATTR_OPERATION_POINTWISE_XDESC, 751) \
    CN_DNN(ATTR_OPERATION_POINTWISE_BDESC, 752) \
    CN_DNN(ATTR_OPERATION_POINTWISE_YDESC, 753) \
    CN_DNN(ATTR_OPERATIONGRAPH_HANDLE, 800) \
    CN_DNN(ATTR_OPERATIONGRAPH_OPS, 801) \
    CN_DNN(ATTR_TENSOR_BYTE_ALIGNMENT, 900) \
    CN_DNN(ATTR_TENSOR_DATA_TYPE, 901) \
    CN_DNN(ATTR_TENSOR_DIMENSIONS, 902) \
    CN_DNN(ATTR_TENSOR_STRIDES, 903) \
    CN_DNN(ATTR_TENSOR_UNIQUE_ID, 906) \
    CN_DNN(ATTR_TENSOR_IS_VIRTUAL, 907) \
    CN_DNN(ATTR_TENSOR_IS_BY_VALUE, 908) \
    CN_DNN(ATTR_VARIANT_PACK_UNIQUE_IDS, 1000) \
    CN_DNN(ATTR_VARIANT_PACK_DATA_POINTERS, 1001) \
    CN_DNN(ATTR_VARIANT_PACK_WORKSPACE, 1003) \
    CN_DNN(ATTR_ENGINE_NUMERICAL_NOTE, 1303) \
    CN_DNN(ATTR_ENGINE_BEHAVIOR_NOTE, 1305) \
    CN_DNN(ATTR_DEVICEPROP_DEVICE_ID, 2700) \
    CN_DNN(ATTR_DEVICEPROP_JSON_REPRESENTATION, 2702) \
    CN_DNN(ATTR_OPERATION_SDPA_FWD_QDESC, 2800) \
    CN_DNN(ATTR_OPERATION_SDPA_FWD_KDESC, 2801) \
    CN_DNN(ATTR_OPERATION_SDPA_FWD_VDESC, 2802) \
    CN_DNN(ATTR_OPERATION_SDPA_FWD_ODESC, 2803) \
    CN_DNN(ATTR_OPERATION_SDPA_FWD_SCALEDESC, 2805) \
    CN_DNN(TYPE_HANDLE, 0) \
    CN_DNN(TYPE_DATA_TYPE, 1) \
    CN_DNN(TYPE_BOOLEAN, 2) \
    CN_DNN(TYPE_INT64, 3) \
    CN_DNN(TYPE_FLOAT, 4) \
    CN_DNN(TYPE_VOID_PTR, 6) \
    CN_DNN(TYPE_CONVOLUTION_MODE, 7) \
    CN_DNN(TYPE_HEUR_MODE, 8) \
    CN_DNN(TYPE_NAN_PROPOGATION, 10) \
    CN_DNN(TYPE_NUMERICAL_NOTE, 11) \
    CN_DNN(TYPE_POINTWISE_MODE, 14) \
    CN_DNN(TYPE_BACKEND_DESCRIPTOR, 15) \
    CN_DNN(TYPE_BEHAVIOR_NOTE, 19) \
    CN_DNN(TYPE_INT32, 23) \
    CN_DNN(TYPE_CHAR, 24) \
    CN_DNN(NUMERICAL_NOTE_TENSOR_CORE, 0) \
    CN_DNN(NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, 1) \
    CN_DNN(NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, 2) \
    CN_DNN(NUMERICAL_NOTE_FFT, 3) \
    CN_DNN(NUMERICAL_NOTE_NONDETERMINISTIC, 4) \
    CN_DNN(NUMERICAL_NOTE_WINOGRAD, 5) \
    CN_DNN(NUMERICAL_NOTE_WINOGRAD_TILE_4x4, 6) \
    CN_DNN(NUMERICAL_NOTE_WINOGRAD_TILE_6x6, 7) \
    CN_DNN(NUMERICAL_NOTE_WINOGRAD_TILE_13x13, 8) \
    CN_DNN(NUMERICAL_NOTE_TYPE_COUNT, 10) \
    CN_DNN(BEHAVIOR_NOTE_RUNTIME_COMPILATION, 0) \
    CN_DNN(BEHAVIOR_NOTE_TYPE_COUNT, 5) \
    CN_DNN(HEUR_MODE_FALLBACK, 2) \
    CN_DNN(HEUR_MODE_A, 3) \
    CN_DNN(RNN_ALGO_STANDARD, 0) \
    CN_DNN(RNN_ALGO_PERSIST_STATIC, 1) \
    CN_DNN(RNN_ALGO_PERSIST_STATIC_SMALL_H, 3) \
    CN_DNN(RNN_TANH, 1) \
    CN_DNN(RNN_RELU, 0) \
    CN_DNN(LSTM, 2) \
    CN_DNN(GRU, 3) \
    CN_DNN(RNN_DOUBLE_BIAS, 2) \
    CN_DNN(UNIDIRECTIONAL, 0) \
    CN_DNN(LINEAR_INPUT, 0) \
    CN_DNN(RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED, 2) \
    CN_DNN(RNN_PADDED_IO_ENABLED, 1) \
    CN_DNN(FWD_MODE_INFERENCE, 0) \
    CN_DNN(DEFAULT_MATH, 0) \
    CN_DNN(TENSOR_OP_MATH, 1) \
    CN_DNN(TENSOR_OP_MATH_ALLOW_CONVERSION, 2) \
    CN_DNN(FMA_MATH, 3)

enum {
#define CN_DNN(name, number) CN_DNN_##name = number,
    CN_DNN_CONSTANTS(CN_DNN)
#undef CN_DNN
};

/* CN_CALL(result, name, parameters, arguments): cudnnName. */
#define CN_CUDNN_CALLS(CN_CALL) \
    CN_CALL(cn_dnn_status, Create, (cn_dnn_handle_t * out), (out)) \
    CN_CALL(cn_dnn_status, Destroy, (cn_dnn_handle_t handle), (handle)) \
    CN_CALL(cn_dnn_status, SetStream, (cn_dnn_handle_t handle, cudaStream_t stream), (handle, stream)) \
    CN_CALL(cn_dnn_status, BackendCreateDescriptor, (int kind, cn_dnn_descriptor* out), (kind, out)) \
    CN_CALL(cn_dnn_status, BackendDestroyDescriptor, (cn_dnn_descriptor d), (d)) \
    CN_CALL(cn_dnn_status, BackendSetAttribute, (cn_dnn_descriptor d, int attribute, int type, int64_t count, const void* values), (d, attribute, type, count, values)) \
    CN_CALL(cn_dnn_status, BackendGetAttribute, (cn_dnn_descriptor d, int attribute, int type, int64_t room, int64_t* count, void* values), (d, attribute, type, room, count, values)) \
    CN_CALL(cn_dnn_status, BackendFinalize, (cn_dnn_descriptor d), (d)) \
    CN_CALL(cn_dnn_status, BackendExecute, (cn_dnn_handle_t handle, cn_dnn_descriptor plan, cn_dnn_descriptor pack), (handle, plan, pack)) \
    CN_CALL(cn_dnn_status, CreateTensorDescriptor, (cn_dnn_tensor_t * out), (out)) \
    CN_CALL(cn_dnn_status, DestroyTensorDescriptor, (cn_dnn_tensor_t t), (t)) \
    CN_CALL(cn_dnn_status, SetTensorNdDescriptor, (cn_dnn_tensor_t t, int type, int ndim, const int dims[], const int strides[]), (t, type, ndim, dims, strides)) \
    CN_CALL(cn_dnn_status, GetTensorNdDescriptor, (cn_dnn_tensor_t t, int room, int* type, int* ndim, int dims[], int strides[]), (t, room, type, ndim, dims, strides)) \
    CN_CALL(cn_dnn_status, CreateDropoutDescriptor, (cn_dnn_dropout_t * out), (out)) \
    CN_CALL(cn_dnn_status, DestroyDropoutDescriptor, (cn_dnn_dropout_t dropout), (dropout)) \
    CN_CALL(cn_dnn_status, SetDropoutDescriptor, (cn_dnn_dropout_t dropout, cn_dnn_handle_t handle, float rate, void* states, size_t bytes, unsigned long long seed), (dropout, handle, rate, states, bytes, seed)) \
    CN_CALL(cn_dnn_status, CreateRNNDescriptor, (cn_dnn_rnn_t * out), (out)) \
    CN_CALL(cn_dnn_status, DestroyRNNDescriptor, (cn_dnn_rnn_t rnn), (rnn)) \
    CN_CALL(cn_dnn_status, SetRNNDescriptor_v8, (cn_dnn_rnn_t rnn, int algorithm, int cell, int bias, int direction, int input, int type, int sums, int math, int32_t input_size, int32_t units, int32_t projection, int32_t layers, cn_dnn_dropout_t dropout, uint32_t flags), (rnn, algorithm, cell, bias, direction, input, type, sums, math, input_size, units, projection, layers, dropout, flags)) \
    CN_CALL(cn_dnn_status, CreateRNNDataDescriptor, (cn_dnn_rnn_data_t * out), (out)) \
    CN_CALL(cn_dnn_status, DestroyRNNDataDescriptor, (cn_dnn_rnn_data_t data), (data)) \
    CN_CALL(cn_dnn_status, SetRNNDataDescriptor, (cn_dnn_rnn_data_t data, int type, int layout, int steps, int batch, int size, const int lengths[], void* padding), (data, type, layout, steps, batch, size, lengths, padding)) \
    CN_CALL(cn_dnn_status, GetRNNTempSpaceSizes, (cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int mode, cn_dnn_rnn_data_t x, size_t* work, size_t* reserve), (handle, rnn, mode, x, work, reserve)) \
    CN_CALL(cn_dnn_status, GetRNNWeightSpaceSize, (cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, size_t* bytes), (handle, rnn, bytes)) \
    CN_CALL(cn_dnn_status, GetRNNWeightParams, (cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int32_t layer, size_t bytes, const void* space, int32_t matrix, cn_dnn_tensor_t m, void** m_address, cn_dnn_tensor_t b, void** b_address), (handle, rnn, layer, bytes, space, matrix, m, m_address, b, b_address)) \
    CN_CALL(cn_dnn_status, RNNForward, (cn_dnn_handle_t handle, cn_dnn_rnn_t rnn, int mode, const int32_t lengths[], cn_dnn_rnn_data_t x_data, const void* x, cn_dnn_rnn_data_t y_data, void* y, cn_dnn_tensor_t h_tensor, const void* h, void* h_out, cn_dnn_tensor_t c_tensor, const void* c, void* c_out, size_t weight_bytes, const void* weights, size_t work_bytes, void* work, size_t reserve_bytes, void* reserve), (handle, rnn, mode, lengths, x_data, x, y_data, y, h_tensor, h, h_out, c_tensor, c, c_out, weight_bytes, weights, work_bytes, work, reserve_bytes, reserve))

typedef struct cn_cudnn_calls {
#define CN_CALL(result, name, parameters, arguments) result(*name) parameters;
    CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL
} cn_cudnn_calls;

#ifdef __cplusplus
}
#endif

#endif
