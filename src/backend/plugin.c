/* Opening the plug-in, and the row "cuda" of the table of backends, which hands everything on to it. Failures inside the plug-in are in its own
 * thread-local sentence; each call that fails copies it. */
#include "backend/plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "libcornu_cuda.so"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const cn_plugin* plugin; /* set once */
static char plugin_path[PATH_MAX];

/* The plug-in's place beside libcornu, or its bare name. */
static void default_path(char* out, size_t size) {
    Dl_info info;
    const char* slash = dladdr((const void*)(uintptr_t)&cn_plugin_open, &info) && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    int folder = slash ? (int)(slash - info.dli_fname + 1) : 0;

    (void)snprintf(out, size, "%.*s%s", folder, slash ? info.dli_fname : "", FILE_NAME);
}

static cornu_status check(const cn_plugin* table, const char* path) {
    if (!table || table->magic != CN_PLUGIN_MAGIC) return CN_FAIL(NO_DEVICE, "%s is no plug-in of Cornu", path);
    if (table->abi != CN_PLUGIN_ABI || strcmp(table->version, CN_PLUGIN_VERSION) != 0) {
        return CN_FAIL(NO_DEVICE, "the CUDA plug-in %s is of Cornu %s, this library is %s; install the plug-in that came with it", path,
                       table->abi == CN_PLUGIN_ABI ? table->version : "another version", CN_PLUGIN_VERSION);
    }
    if (table->layout != cn_plugin_layout()) {
        return CN_FAIL(NO_DEVICE, "the CUDA plug-in %s was built from other sources than this library; build both anew", path);
    }
    return CORNU_OK;
}

static cornu_status open_file(const char* path) {
    union {
        void* object;
        cn_plugin_entry function;
    } entry;
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char* reason = library ? NULL : dlerror();
    cornu_status st;

    if (!library) return CN_FAIL(NO_DEVICE, "the CUDA plug-in cannot be opened: %s", reason ? reason : path);
    entry.object = dlsym(library, CN_PLUGIN_ENTRY);
    st = check(entry.object ? entry.function() : NULL, path);
    if (st != CORNU_OK) {
        (void)dlclose(library);
        return st;
    }
    (void)snprintf(plugin_path, sizeof plugin_path, "%s", path);
    plugin = entry.function();
    return CORNU_OK;
}

cornu_status cn_plugin_open(const cn_plugin** out) {
    const char* named = getenv("CORNU_CUDA_LIBRARY");
    char path[PATH_MAX];
    cornu_status st = CORNU_OK;

    *out = NULL;
    (void)pthread_mutex_lock(&lock);
    if (!plugin && named && named[0]) {
        st = open_file(named);
    } else if (!plugin) {
        default_path(path, sizeof path);
        st = open_file(path);
        if (st != CORNU_OK && strchr(path, '/')) st = open_file(FILE_NAME);
    }
    *out = plugin;
    (void)pthread_mutex_unlock(&lock);
    return st;
}

const char* cn_plugin_path(void) {
    const char* path;
    (void)pthread_mutex_lock(&lock);
    path = plugin ? plugin_path : "";
    (void)pthread_mutex_unlock(&lock);
    return path;
}

/* ---- the row ---- */

/* The plug-in's failure becomes this library's. Where it has no sentence, the failure is one of this library's own callbacks, which said why. */
static cornu_status copied(cornu_status st) {
    const char* sentence = st == CORNU_OK ? "" : plugin->last_error();
    return sentence[0] ? cn_fail(st, __FILE__, __LINE__, "%s", sentence) : st;
}

static cornu_status open_device(const cn_device_options* options, cn_device** out) {
    const cn_plugin* table;

    *out = NULL;
    CN_TRY(cn_plugin_open(&table));
    return copied(table->backend->open(options, out));
}

/* Everything below is given what open_device made, so the plug-in is there. */
static void close_device(cn_device* device) {
    if (device) plugin->backend->close(device);
}
static const char* describe(cn_device* device) { return plugin->backend->describe(device); }
static cornu_status alloc_memory(cn_device* device, uint64_t bytes, void** out) { return copied(plugin->backend->alloc(device, bytes, out)); }
static void free_memory(cn_device* device, void* memory) { plugin->backend->free(device, memory); }
static cornu_status prepare(cn_device* device, const cn_plan* plan, cn_weights* weights, cn_executable** out) {
    return copied(plugin->backend->prepare(device, plan, weights, out));
}
static void destroy(cn_executable* executable) {
    if (executable) plugin->backend->destroy(executable);
}
static cornu_status run(cn_executable* executable, const cn_run* with) { return copied(plugin->backend->run(executable, with)); }
static cornu_status check_address(cn_device* device, const void* address, uint64_t bytes) {
    return copied(plugin->backend->check_address(device, address, bytes));
}
static uint64_t held_bytes(const cn_executable* executable) { return plugin->backend->held_bytes(executable); }
static cornu_status wait_for(cn_executable* executable) { return copied(plugin->backend->wait(executable)); }
static cn_tuning tuning_of(const cn_executable* executable) { return plugin->backend->tuning(executable); }
static void peak(cn_device* device, cn_peak* out) { plugin->backend->peak(device, out); }
static cornu_status take_memory(int index, uint64_t bytes, void** out) {
    const cn_plugin* table;

    *out = NULL;
    CN_TRY(cn_plugin_open(&table));
    return copied(table->backend->take_memory(index, bytes, out));
}
static void give_back_memory(int index, void* memory) { plugin->backend->give_back_memory(index, memory); }
static cornu_status copy_memory(int index, void* dst, const void* src, uint64_t bytes) {
    const cn_plugin* table;

    CN_TRY(cn_plugin_open(&table));
    return copied(table->backend->copy_memory(index, dst, src, bytes));
}

const cn_backend cn_backend_cuda = {
    .name = "cuda",
    .alignment = 256,
    .runs_passes = true,
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .alloc = alloc_memory,
    .free = free_memory,
    .prepare = prepare,
    .destroy = destroy,
    .run = run,
    .is_host = false,
    .has_precisions = true,
    .check_address = check_address,
    .wait = wait_for,
    .held_bytes = held_bytes,
    .tuning = tuning_of,
    .peak = peak,
    .take_memory = take_memory,
    .give_back_memory = give_back_memory,
    .copy_memory = copy_memory,
};
