/* CUDA itself: the runtime is linked in statically. cuBLASLt and cuDNN (hundreds of megabytes) are looked for when they are first needed:
 *
 *     1. the file that CORNU_CUBLASLT_LIBRARY or CORNU_CUDNN_LIBRARY names, and no other
 *     2. beside the plug-in
 *     3. where the system looks for libraries
 *     4. below CUDA_PATH, then below /usr/local/cuda                                                                                       */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/calls.h"

#define PATH_SIZE 4096

/* File names, the best first, NULL at the end. */
static const char* const lt_names[] = {
#if CUDART_VERSION >= 13000
    "libcublasLt.so.13", "libcublasLt.so.12", NULL
#else
    "libcublasLt.so.12", "libcublasLt.so.13", NULL
#endif
};
static const char* const dnn_names[] = {"libcudnn.so.9", NULL};

const char* cn_calls_kind(void) {
    static char text[32];
    (void)snprintf(text, sizeof text, "CUDA %d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return text;
}

/* Any of the names in a folder ("": where the system looks). */
static void* open_in(const char* folder, const char* const* names) {
    for (; *names; names++) {
        char path[PATH_SIZE];
        void* library;
        if (snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", *names) >= (int)sizeof path) continue;
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    return NULL;
}

static void* open_beside_plugin(const char* const* names) {
    char folder[PATH_SIZE];
    Dl_info info;
    const char* slash;

    if (!dladdr((const void*)lt_names, &info) || !info.dli_fname) return NULL;
    slash = strrchr(info.dli_fname, '/');
    if (!slash || (size_t)(slash - info.dli_fname) >= sizeof folder) return NULL;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - info.dli_fname), info.dli_fname);
    return open_in(folder, names);
}

static void* open_below(const char* root, const char* const* names) {
    char folder[PATH_SIZE];

    if (!root || !root[0]) return NULL;
    if (snprintf(folder, sizeof folder, "%s/lib64", root) >= (int)sizeof folder) return NULL;
    return open_in(folder, names);
}

static void* open_anywhere(const char* const* names) {
    void* library = open_beside_plugin(names);

    if (!library) library = open_in("", names);
    if (!library) library = open_below(getenv("CUDA_PATH"), names);
    return library ? library : open_below("/usr/local/cuda", names);
}

static cornu_status open_cublaslt(void** out) {
    const char* wanted = getenv("CORNU_CUBLASLT_LIBRARY");

    if (wanted && wanted[0]) {
        *out = dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
        if (!*out) return CN_FAIL(NO_DEVICE, "cuBLASLt, which CORNU_CUBLASLT_LIBRARY names, cannot be opened: %s", dlerror());
        return CORNU_OK;
    }
    *out = open_anywhere(lt_names);
    if (*out) return CORNU_OK;
    return CN_FAIL(NO_DEVICE, "the library cuBLASLt (%s) is not found; install it with the CUDA toolkit, or name its file in CORNU_CUBLASLT_LIBRARY", lt_names[0]);
}

static bool find(void* library, const char* name, void* out) {
    void* symbol = dlsym(library, name);

    if (symbol) memcpy(out, &symbol, sizeof symbol); /* ISO C has no cast from an object's address to a function's */
    return symbol != NULL;
}

static cornu_status find_lt(void* library, const char* name, void* out) {
    if (find(library, name, out)) return CORNU_OK;
    return CN_FAIL(NO_DEVICE, "the library cuBLASLt that was found has no function %s; it is of another version", name);
}

cornu_status cn_calls_fill(cn_calls_source* out) {
    void* library;

#define CN_CALL(result, name, parameters, arguments) out->cuda.name = cuda##name;
    CN_CUDA_CALLS(CN_CALL)
#undef CN_CALL
    out->error_name = cudaGetErrorName;
    out->error_text = cudaGetErrorString;
    CN_TRY(open_cublaslt(&library)); /* stays open, as the plug-in does */
#define CN_CALL(result, name, parameters, arguments) CN_TRY(find_lt(library, "cublasLt" #name, &out->lt.name));
    CN_CUBLASLT_CALLS(CN_CALL)
#undef CN_CALL
    return find_lt(library, "cublasLtGetVersion", &out->lt_version);
}

bool cn_calls_fill_dnn(cn_dnn_source* out) {
    const char* wanted = getenv("CORNU_CUDNN_LIBRARY");
    void* library = wanted && wanted[0] ? dlopen(wanted, RTLD_NOW | RTLD_LOCAL) : open_anywhere(dnn_names);
    bool found = library != NULL;

#define CN_CALL(result, name, parameters, arguments) found = found && find(library, "cudnn" #name, &out->calls.name);
    CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL
    found = found && find(library, "cudnnGetVersion", &out->version) && find(library, "cudnnGetErrorString", &out->error_text);
    return found && find(library, "cudnnGetLastErrorString", &out->last_error);
}
