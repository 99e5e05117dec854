/* cornu_profile_*: argument checks and handles. */
#include "session/profile.h"

#include <string.h>

#define MOST_RUNS 10000

cornu_status cornu_session_profile(cornu_session* session, const cornu_tensor* in, int n_in, int runs, cornu_profile** out) {
    if (!out) return CN_FAIL(BAD_ARGUMENT, "cornu_session_profile: out is NULL");
    *out = NULL;
    if (!session || n_in < 0 || (n_in > 0 && !in)) return CN_FAIL(BAD_ARGUMENT, "cornu_session_profile: session or in is NULL, or n_in is negative");
    if (runs < 1 || runs > MOST_RUNS) return CN_FAIL(BAD_ARGUMENT, "cornu_session_profile: runs is %d; 1 to %d are allowed", runs, MOST_RUNS);
    return cn_session_profile(session, in, n_in, runs, out);
}

void cornu_profile_destroy(cornu_profile* profile) { cn_profile_destroy(profile); }

cornu_status cornu_profile_get_info(const cornu_profile* profile, cornu_profile_info* info) {
    size_t size = info ? info->size : 0;

    if (!profile || size < sizeof *info) return CN_FAIL(BAD_ARGUMENT, "cornu_profile_get_info: profile or info is NULL, or info->size is not set");
    *info = profile->info;
    info->size = size;
    return CORNU_OK;
}

cornu_status cornu_profile_get_step(const cornu_profile* profile, int64_t index, cornu_profile_step* step) {
    size_t size = step ? step->size : 0;

    if (!profile || size < sizeof *step) return CN_FAIL(BAD_ARGUMENT, "cornu_profile_get_step: profile or step is NULL, or step->size is not set");
    if (index < 0 || index >= profile->step_count) return CN_FAIL(NOT_FOUND, "cornu_profile_get_step: there is no step %lld of %d", (long long)index, profile->step_count);
    *step = profile->steps[index];
    step->size = size;
    return CORNU_OK;
}
