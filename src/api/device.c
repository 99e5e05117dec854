/* What there is to run on. */
#include <stdio.h>
#include <string.h>

#include "backend/plugin.h"

static void copy(char* out, size_t size, const char* text) { (void)snprintf(out, size, "%s", text); }

cornu_status cornu_cuda_get_info(cornu_cuda_info* out) {
    const cn_plugin* plugin;
    cornu_cuda_info info;
    cornu_status st;
    int first;

    if (!out || out->size < sizeof(size_t)) return CN_FAIL(BAD_ARGUMENT, "cornu_cuda_get_info: the struct's size is not set");
    memset(&info, 0, sizeof info);
    info.size = out->size < sizeof info ? out->size : sizeof info;
    st = cn_plugin_open(&plugin);
    if (st == CORNU_OK) {
        copy(info.plugin, sizeof info.plugin, cn_plugin_path());
        copy(info.kind, sizeof info.kind, plugin->kind);
        st = plugin->find(&info.devices, &first);
        if (st != CORNU_OK) copy(info.reason, sizeof info.reason, plugin->last_error());
    } else {
        copy(info.reason, sizeof info.reason, cornu_last_error());
    }
    if (st != CORNU_OK) info.devices = 0;
    memcpy(out, &info, info.size);
    return CORNU_OK;
}
