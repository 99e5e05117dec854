/* cudnn_device FILE [N]: prints the JSON by which cuDNN describes device N (default 0), after the file of
 * libcudnn.so.9. Plans for that device can be built from it on machines without one. Exit code 1 and a sentence on
 * stderr where that is not to be had. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/cudnn_api.h"

#define FIRST_VERSION 90800 /* that describes devices */

typedef struct calls {
    size_t (*get_version)(void);
    const char* (*get_error_string)(int status);
    void (*get_last_error_string)(char* message, size_t size); /* NULL: this cuDNN has none */
    cn_cudnn_calls table;                                      /* the backend's descriptors of it */
} calls;

static int find(void* library, const char* name, void* out, int is_needed) {
    void* symbol = dlsym(library, name);

    memcpy(out, &symbol, sizeof symbol); /* ISO C has no cast from an object's address to a function's */
    if (symbol || !is_needed) return 1;
    fprintf(stderr, "cuDNN has no function %s\n", name);
    return 0;
}

/* The library stays open. */
static int open_library(const char* path, calls* out) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        fprintf(stderr, "cuDNN cannot be opened: %s\n", dlerror());
        return 0;
    }
    return find(library, "cudnnGetVersion", &out->get_version, 1) &&
           find(library, "cudnnGetErrorString", &out->get_error_string, 1) &&
           find(library, "cudnnGetLastErrorString", &out->get_last_error_string, 0) &&
           find(library, "cudnnBackendCreateDescriptor", &out->table.BackendCreateDescriptor, 1) &&
           find(library, "cudnnBackendSetAttribute", &out->table.BackendSetAttribute, 1) &&
           find(library, "cudnnBackendFinalize", &out->table.BackendFinalize, 1) &&
           find(library, "cudnnBackendGetAttribute", &out->table.BackendGetAttribute, 1) &&
           find(library, "cudnnBackendDestroyDescriptor", &out->table.BackendDestroyDescriptor, 1);
}

static int succeeded(const calls* dnn, int status, const char* what) {
    char more[512] = "";

    if (status == CN_DNN_STATUS_SUCCESS) return 1;
    if (dnn->get_last_error_string) dnn->get_last_error_string(more, sizeof more);
    more[sizeof more - 1] = '\0';
    fprintf(stderr, "cuDNN %zu cannot %s: %s %s\n", dnn->get_version(), what, dnn->get_error_string(status), more);
    return 0;
}

/* The text without zeros and blanks at its end, if it looks like an object of JSON: it becomes a part of another. */
static int print(const char* text, int64_t size) {
    while (size > 0 && (text[size - 1] == '\0' || strchr(" \t\r\n", text[size - 1]))) size--;
    if (size < 2 || text[0] != '{' || text[size - 1] != '}' || memchr(text, '\0', (size_t)size)) {
        fprintf(stderr, "cuDNN describes the device by %lld bytes that are no object of JSON\n", (long long)size);
        return 0;
    }
    if (fwrite(text, 1, (size_t)size, stdout) == (size_t)size && putchar('\n') == '\n' && fflush(stdout) == 0) return 1;
    fprintf(stderr, "the description cannot be written\n");
    return 0;
}

static int describe(const calls* dnn, void* descriptor, int32_t device) {
    int64_t size = 0, got = 0;
    char* text = NULL;
    int done = 0;

    if (!succeeded(dnn, dnn->table.BackendSetAttribute(descriptor, CN_DNN_ATTR_DEVICEPROP_DEVICE_ID, CN_DNN_TYPE_INT32, 1, &device),
                   "take the device's number"))
        return 0;
    if (!succeeded(dnn, dnn->table.BackendFinalize(descriptor), "look at the device")) return 0;
    if (!succeeded(dnn, dnn->table.BackendGetAttribute(descriptor, CN_DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CN_DNN_TYPE_CHAR, 0, &size, NULL),
                   "tell the description's size"))
        return 0;
    if (size < 1 || size > 1 << 24) {
        fprintf(stderr, "cuDNN's description of the device has %lld bytes\n", (long long)size);
        return 0;
    }
    text = calloc((size_t)size + 1, 1);
    if (!text) fprintf(stderr, "out of memory\n");
    else if (succeeded(dnn, dnn->table.BackendGetAttribute(descriptor, CN_DNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CN_DNN_TYPE_CHAR, size, &got, text),
                       "describe the device"))
        done = print(text, got < size ? got : size);
    free(text);
    return done;
}

int main(int argc, char** argv) {
    calls dnn;
    void* descriptor = NULL;
    int done;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "Usage: cudnn_device FILE [N]\n");
        return 2;
    }
    if (!open_library(argv[1], &dnn)) return 1;
    if (dnn.get_version() < FIRST_VERSION) {
        fprintf(stderr, "cuDNN %zu is older than 9.8, the first that describes devices\n", dnn.get_version());
        return 1;
    }
    if (!succeeded(&dnn, dnn.table.BackendCreateDescriptor(CN_DNN_BACKEND_DEVICEPROP_DESCRIPTOR, &descriptor), "make a descriptor")) return 1;
    done = describe(&dnn, descriptor, argc > 2 ? atoi(argv[2]) : 0);
    (void)dnn.table.BackendDestroyDescriptor(descriptor);
    return done ? 0 : 1;
}
