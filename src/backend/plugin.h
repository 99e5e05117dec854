/* The CUDA backend lives in a shared object of its own, libcornu_cuda.so, opened when it is first asked for, so that libcornu needs no
 * CUDA library. It is looked for at CORNU_CUDA_LIBRARY, else beside libcornu, else where the system looks for libraries. It exports one function,
 * which gives this table; a plug-in of another version is refused. A process opens one plug-in and keeps it. */
#ifndef CN_BACKEND_PLUGIN_H
#define CN_BACKEND_PLUGIN_H

#include "backend/backend.h"
#include "base/hash.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_PLUGIN_MAGIC 0x554e5243u
#define CN_PLUGIN_ABI 1u
#define CN_PLUGIN_ENTRY "cornu_plugin_table"
#define CN_PLUGIN_TEXT_(x) #x
#define CN_PLUGIN_TEXT(x) CN_PLUGIN_TEXT_(x)
#define CN_PLUGIN_VERSION CN_PLUGIN_TEXT(CORNU_VERSION_MAJOR) "." CN_PLUGIN_TEXT(CORNU_VERSION_MINOR) "." CN_PLUGIN_TEXT(CORNU_VERSION_PATCH)

typedef struct cn_plugin {
    uint32_t magic, abi;
    const char* version; /* of Cornu, "0.1.0" */
    uint64_t layout;     /* cn_plugin_layout() as the plug-in was built */
    const char* kind;    /* "CUDA 13.0" or "host execution" */
    const cn_backend* backend;
    /* Sentence of this thread's last failure inside the plug-in. */
    const char* (*last_error)(void);
    /* How many devices there are, and the first that can be used. CORNU_NO_DEVICE says why there is none. */
    cornu_status (*find)(int* devices, int* first);
    /* For tests; see backend/cuda/calls.h. */
    long (*inject)(const char* call, long n, int error, bool sticky);
} cn_plugin;

typedef const cn_plugin* (*cn_plugin_entry)(void);

/* Sizes of everything that crosses the border, so that a plug-in built from other sources is noticed. */
static inline uint64_t cn_plugin_layout(void) {
    const uint64_t sizes[] = {sizeof(cn_plan), sizeof(cn_graph), sizeof(cn_node), sizeof(cn_attr), sizeof(cn_type), sizeof(cn_weights), sizeof(cn_resident),
                              sizeof(cn_run), sizeof(cn_profile_step), sizeof(cornu_tuning), sizeof(cn_tuning), sizeof(cn_backend), sizeof(cn_device_options),
                              CN_OP_COUNT, CN_EW_COUNT};
    return cn_hash(CN_HASH_START, sizes, sizeof sizes);
}

/* The plug-in, opened at the first call. CORNU_NO_DEVICE: there is none, or it cannot be used; the sentence says which and what to do. Thread-safe. */
cornu_status cn_plugin_open(const cn_plugin** out);
/* Path of the plug-in that is open, "" if none is. */
const char* cn_plugin_path(void);

#ifdef __cplusplus
}
#endif

#endif
