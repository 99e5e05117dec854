/* CUDA itself: the runtime is linked in statically, cuBLASLt (hundreds of megabytes) is looked for when it is first needed:
 *
 *     1. the file that CORNU_CUBLASLT_LIBRARY names, and no other
 *     2. beside the plug-in
 *     3. where the system looks for libraries
 *     4. below CUDA_PATH, then below /usr/local/cuda                                                                                    */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/calls.h"

#define PATH_SIZE 4096

static const char* const file_names[] = {
#if CUDART_VERSION >= 13000
    "libcublasLt.so.13", "libcublasLt.so.12"
#else
    "libcublasLt.so.12", "libcublasLt.so.13"
#endif
};
#define FILE_NAMES (sizeof file_names / sizeof file_names[0])

const char* cn_calls_kind(void) {
    static char text[32];
    (void)snprintf(text, sizeof text, "CUDA %d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return text;
}

/* Any of the names in a folder ("": where the system looks). */
static void* open_in(const char* folder) {
    for (size_t i = 0; i < FILE_NAMES; i++) {
        char path[PATH_SIZE];
        void* library;
        if (snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", file_names[i]) >= (int)sizeof path) continue;
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    return NULL;
}

static void* open_beside_plugin(void) {
    char folder[PATH_SIZE];
    Dl_info info;
    const char* slash;

    if (!dladdr((const void*)file_names, &info) || !info.dli_fname) return NULL;
    slash = strrchr(info.dli_fname, '/');
    if (!slash || (size_t)(slash - info.dli_fname) >= sizeof folder) return NULL;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - info.dli_fname), info.dli_fname);
    return open_in(folder);
}

static void* open_below(const char* root) {
    char folder[PATH_SIZE];

    if (!root || !root[0]) return NULL;
    if (snprintf(folder, sizeof folder, "%s/lib64", root) >= (int)sizeof folder) return NULL;
    return open_in(folder);
}

static cornu_status open_cublaslt(void** out) {
    const char* wanted = getenv("CORNU_CUBLASLT_LIBRARY");

    *out = NULL;
    if (wanted && wanted[0]) {
        *out = dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
        if (!*out) return CN_FAIL(NO_DEVICE, "cuBLASLt, which CORNU_CUBLASLT_LIBRARY names, cannot be opened: %s", dlerror());
        return CORNU_OK;
    }
    *out = open_beside_plugin();
    if (!*out) *out = open_in("");
    if (!*out) *out = open_below(getenv("CUDA_PATH"));
    if (!*out) *out = open_below("/usr/local/cuda");
    if (*out) return CORNU_OK;
    return CN_FAIL(NO_DEVICE, "the library cuBLASLt (%s) is not found; install it with the CUDA toolkit, or name its file in CORNU_CUBLASLT_LIBRARY", file_names[0]);
}

static cornu_status find(void* library, const char* name, void* out) {
    void* symbol = dlsym(library, name);

    if (!symbol) return CN_FAIL(NO_DEVICE, "the library cuBLASLt that was found has no function %s; it is of another version", name);
    memcpy(out, &symbol, sizeof symbol); /* ISO C has no cast from an object's address to a function's */
    return CORNU_OK;
}

cornu_status cn_calls_fill(cn_calls_source* out) {
    void* library;

#define CN_CALL(result, name, parameters, arguments) out->cuda.name = cuda##name;
    CN_CUDA_CALLS(CN_CALL)
#undef CN_CALL
    out->error_name = cudaGetErrorName;
    out->error_text = cudaGetErrorString;
    CN_TRY(open_cublaslt(&library)); /* stays open, as the plug-in does */
#define CN_CALL(result, name, parameters, arguments) CN_TRY(find(library, "cublasLt" #name, &out->lt.name));
    CN_CUBLASLT_CALLS(CN_CALL)
#undef CN_CALL
    return find(library, "cublasLtGetVersion", &out->lt_version);
}
