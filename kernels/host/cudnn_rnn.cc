/* cuDNN's recurrent layers on host execution: see cudnn.h. */
#include "kernels/host/cudnn_parts.h"

using namespace cn_dnn;

#define REFUSED(name, parameters) \
    cn_dnn_status cudnn##name parameters { return refuse(NOT_SUPPORTED, "cudnn" #name); }
REFUSED(CreateRNNDescriptor, (cn_dnn_rnn_t*))
REFUSED(DestroyRNNDescriptor, (cn_dnn_rnn_t))
REFUSED(SetRNNDescriptor_v8, (cn_dnn_rnn_t, int, int, int, int, int, int, int, int, int32_t, int32_t, int32_t, int32_t, cn_dnn_dropout_t, uint32_t))
REFUSED(CreateRNNDataDescriptor, (cn_dnn_rnn_data_t*))
REFUSED(DestroyRNNDataDescriptor, (cn_dnn_rnn_data_t))
REFUSED(SetRNNDataDescriptor, (cn_dnn_rnn_data_t, int, int, int, int, int, const int*, void*))
REFUSED(GetRNNTempSpaceSizes, (cn_dnn_handle_t, cn_dnn_rnn_t, int, cn_dnn_rnn_data_t, size_t*, size_t*))
REFUSED(GetRNNWeightSpaceSize, (cn_dnn_handle_t, cn_dnn_rnn_t, size_t*))
REFUSED(GetRNNWeightParams, (cn_dnn_handle_t, cn_dnn_rnn_t, int32_t, size_t, const void*, int32_t, cn_dnn_tensor_t, void**, cn_dnn_tensor_t, void**))
REFUSED(RNNForward, (cn_dnn_handle_t, cn_dnn_rnn_t, int, const int32_t*, cn_dnn_rnn_data_t, const void*, cn_dnn_rnn_data_t, void*, cn_dnn_tensor_t, const void*, void*,
                     cn_dnn_tensor_t, const void*, void*, size_t, const void*, size_t, void*, size_t, void*))
