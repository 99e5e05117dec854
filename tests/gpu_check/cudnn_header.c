/* Compiled where cuDNN's headers are: cudnn_calls.h says what they say. */
#include <cudnn_graph.h>

#include "tests/gpu_check/cudnn_calls.h"

_Static_assert((int)DNN_SUCCESS == (int)CUDNN_STATUS_SUCCESS, "status");
_Static_assert((int)DNN_TYPE_INT32 == (int)CUDNN_TYPE_INT32, "type");
_Static_assert((int)DNN_TYPE_CHAR == (int)CUDNN_TYPE_CHAR, "type");
_Static_assert((int)DNN_DEVICEPROP == (int)CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "descriptor");
_Static_assert((int)DNN_DEVICEPROP_DEVICE_ID == (int)CUDNN_ATTR_DEVICEPROP_DEVICE_ID, "attribute");
_Static_assert((int)DNN_DEVICEPROP_JSON == (int)CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, "attribute");
_Static_assert(sizeof(cudnnStatus_t) == sizeof(int) && sizeof(cudnnBackendAttributeName_t) == sizeof(int),
               "enumerations are as large as int");
_Static_assert(sizeof(cudnnBackendAttributeType_t) == sizeof(int) &&
                   sizeof(cudnnBackendDescriptorType_t) == sizeof(int),
               "enumerations are as large as int");

/* With the types that the calls have there; a call of another form does not compile. */
extern size_t (*const dnn_check_version)(void);
size_t (*const dnn_check_version)(void) = cudnnGetVersion;
extern const char* (*const dnn_check_text)(cudnnStatus_t);
const char* (*const dnn_check_text)(cudnnStatus_t) = cudnnGetErrorString;
extern void (*const dnn_check_last)(char*, size_t);
void (*const dnn_check_last)(char*, size_t) = cudnnGetLastErrorString;
extern cudnnStatus_t (*const dnn_check_create)(cudnnBackendDescriptorType_t, void**);
cudnnStatus_t (*const dnn_check_create)(cudnnBackendDescriptorType_t, void**) = cudnnBackendCreateDescriptor;
extern cudnnStatus_t (*const dnn_check_set)(void*, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t,
                                            const void*);
cudnnStatus_t (*const dnn_check_set)(void*, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t,
                                     const void*) = cudnnBackendSetAttribute;
extern cudnnStatus_t (*const dnn_check_finalize)(void*);
cudnnStatus_t (*const dnn_check_finalize)(void*) = cudnnBackendFinalize;
extern cudnnStatus_t (*const dnn_check_get)(void* const, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t,
                                            int64_t, int64_t*, void*);
cudnnStatus_t (*const dnn_check_get)(void* const, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t,
                                     int64_t*, void*) = cudnnBackendGetAttribute;
extern cudnnStatus_t (*const dnn_check_destroy)(void*);
cudnnStatus_t (*const dnn_check_destroy)(void*) = cudnnBackendDestroyDescriptor;
