/* The table of backends. "auto" takes the first CUDA device that works, else the CPU. */
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"

static const cn_backend* const backends[] = {&cn_backend_cpu, &cn_backend_cuda, &cn_backend_reference, &cn_backend_cpu_plain};
#define BACKEND_COUNT ((int)(sizeof backends / sizeof backends[0]))

const cn_backend* cn_backend_at(int i) { return i >= 0 && i < BACKEND_COUNT ? backends[i] : NULL; }

/* Whether text is name, or name:N. */
static bool names(const char* text, const char* name, int* index) {
    size_t size = strlen(name);
    char* end;
    long number;

    *index = 0;
    if (strncmp(text, name, size) != 0) return false;
    if (text[size] == '\0') return true;
    if (text[size] != ':' || text[size + 1] < '0' || text[size + 1] > '9') return false;
    number = strtol(text + size + 1, &end, 10);
    *index = number > 1000000 ? 1000000 : (int)number;
    return *end == '\0';
}

/* Whether there is a device that the CUDA backend can use; the first of them. */
static bool cuda_works(int* first) {
    const cn_plugin* plugin;
    int devices = 0;
    return cn_plugin_open(&plugin) == CORNU_OK && plugin->find(&devices, first) == CORNU_OK && devices > 0;
}

cornu_status cn_backend_find(const char* device, const cn_backend** out, int* index) {
    *out = NULL;
    *index = 0;
    if (!device || strcmp(device, "auto") == 0) {
        *out = cuda_works(index) ? &cn_backend_cuda : &cn_backend_cpu;
        if (*out == &cn_backend_cpu) *index = 0;
        return CORNU_OK;
    }
    for (int i = 0; i < BACKEND_COUNT; i++) {
        if (names(device, backends[i]->name, index)) return *out = backends[i], CORNU_OK;
    }
    return CN_FAIL(BAD_ARGUMENT, "device '%.64s' is not known; 'auto', 'cpu', 'cuda', 'cuda:N' and 'reference' are", device);
}
