/* The few calls and constants of cuDNN's backend API that cudnn_device.c needs, so that it is built without cuDNN's
 * headers; cudnn_header.c holds them against the headers where those are. */
#ifndef TESTS_GPU_CHECK_CUDNN_CALLS_H
#define TESTS_GPU_CHECK_CUDNN_CALLS_H

#include <stddef.h>
#include <stdint.h>

enum {
    DNN_SUCCESS = 0,                 /* CUDNN_STATUS_SUCCESS */
    DNN_TYPE_INT32 = 23,             /* CUDNN_TYPE_INT32 */
    DNN_TYPE_CHAR = 24,              /* CUDNN_TYPE_CHAR */
    DNN_DEVICEPROP = 38,             /* CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR */
    DNN_DEVICEPROP_DEVICE_ID = 2700, /* CUDNN_ATTR_DEVICEPROP_DEVICE_ID: int32_t */
    DNN_DEVICEPROP_JSON = 2702,      /* CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION: characters */
    DNN_FIRST_VERSION = 90800        /* that has the descriptor */
};

/* Enumerations travel as int, which they are in C. */
typedef size_t (*dnn_get_version)(void);
typedef const char* (*dnn_get_error_string)(int status);
typedef void (*dnn_get_last_error_string)(char* message, size_t max_size);
typedef int (*dnn_create)(int type, void** descriptor);
typedef int (*dnn_set)(void* descriptor, int attribute, int type, int64_t count, const void* elements);
typedef int (*dnn_finalize)(void* descriptor);
typedef int (*dnn_get)(void* descriptor, int attribute, int type, int64_t requested, int64_t* count, void* elements);
typedef int (*dnn_destroy)(void* descriptor);

#endif
