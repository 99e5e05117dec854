/* Stands in for libcudnn.so.9 where there is no GPU: cudnn_device must call in this order, with these types.
 * CORNU_CUDNN_STAND_IN: "old" for a cuDNN before 9.8, "blind" for one that cannot look at the device, "text" for a
 * description that is no JSON. */
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/cudnn_api.h"

#define EXPORT __attribute__((visibility("default")))

size_t cudnnGetVersion(void);
const char* cudnnGetErrorString(int status);
void cudnnGetLastErrorString(char* message, size_t max_size);
int cudnnBackendCreateDescriptor(int type, void** descriptor);
int cudnnBackendSetAttribute(void* descriptor, int attribute, int type, int64_t count, const void* elements);
int cudnnBackendFinalize(void* descriptor);
int cudnnBackendGetAttribute(void* descriptor, int attribute, int type, int64_t requested, int64_t* count,
                             void* elements);
int cudnnBackendDestroyDescriptor(void* descriptor);

static const char json[] = "{\"name\": \"a stand-in\",\n \"sm\": 90}\n"; /* its zero is part of the description */
static int state; /* 1: created, 2: told the device, 3: finalised */

static int is(const char* mode) {
    const char* given = getenv("CORNU_CUDNN_STAND_IN");
    return given && strcmp(given, mode) == 0;
}

EXPORT size_t cudnnGetVersion(void) { return is("old") ? 90700 : 91900; }

EXPORT const char* cudnnGetErrorString(int status) {
    return status == CN_DNN_STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : "CUDNN_STATUS_BAD_PARAM";
}

EXPORT void cudnnGetLastErrorString(char* message, size_t max_size) {
    strncpy(message, "a reason of the stand-in", max_size);
}

EXPORT int cudnnBackendCreateDescriptor(int type, void** descriptor) {
    if (type != CN_DNN_BACKEND_DEVICEPROP_DESCRIPTOR || state != 0) return 2000;
    *descriptor = &state;
    state = 1;
    return CN_DNN_STATUS_SUCCESS;
}

EXPORT int cudnnBackendSetAttribute(void* descriptor, int attribute, int type, int64_t count, const void* elements) {
    if (descriptor != &state || state != 1 || attribute != CN_DNN_ATTR_DEVICEPROP_DEVICE_ID || type != CN_DNN_TYPE_INT32 ||
        count != 1 || *(const int32_t*)elements != 0)
        return 2000;
    state = 2;
    return CN_DNN_STATUS_SUCCESS;
}

EXPORT int cudnnBackendFinalize(void* descriptor) {
    if (descriptor != &state || state != 2 || is("blind")) return 2000;
    state = 3;
    return CN_DNN_STATUS_SUCCESS;
}

EXPORT int cudnnBackendGetAttribute(void* descriptor, int attribute, int type, int64_t requested, int64_t* count,
                                    void* elements) {
    const char* text = is("text") ? "sm 90" : json;
    const int64_t size = is("text") ? 6 : (int64_t)sizeof json;

    if (descriptor != &state || state != 3 || attribute != CN_DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION || type != CN_DNN_TYPE_CHAR ||
        (requested > 0) != (elements != NULL))
        return 2000;
    if (elements) memcpy(elements, text, (size_t)(requested < size ? requested : size));
    *count = size;
    return CN_DNN_STATUS_SUCCESS;
}

EXPORT int cudnnBackendDestroyDescriptor(void* descriptor) {
    return descriptor == &state && state >= 1 ? CN_DNN_STATUS_SUCCESS : 2000;
}
