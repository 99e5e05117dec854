/* The backend "reference": a plan run node by node by the reference functions, on one thread, without passes. */
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/host.h"

static cornu_status open_device(const cn_device_options* options, cn_device** out) {
    (void)options;
    *out = cn_alloc_zero(1, 1);
    return *out ? CORNU_OK : CN_NO_MEMORY(1);
}

static void close_device(cn_device* device) { cn_free(device); }

static const char* describe(cn_device* device) {
    (void)device;
    return "cpu (reference)";
}

static cornu_status prepare(cn_device* device, const cn_plan* plan, cn_weights* weights, cn_executable** out) {
    (void)device;
    return cn_host_prepare(plan, weights, (cn_host_executable**)out);
}

static void destroy(cn_executable* executable) { cn_host_destroy((cn_host_executable*)executable); }

static cornu_status run(cn_executable* executable, const cn_run* r) {
    return cn_host_run((cn_host_executable*)executable, r);
}

const cn_backend cn_backend_reference = {.name = "reference", .alignment = 64, .runs_passes = false, .open = open_device, .close = close_device, .describe = describe,
    .alloc = cn_host_alloc, .free = cn_host_free, .prepare = prepare, .destroy = destroy, .run = run, .is_host = true};
