/* A profile: what each step of a compiled shape took, and what it costs by its shapes. */
#ifndef CN_SESSION_PROFILE_H
#define CN_SESSION_PROFILE_H

#include "session/session.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cornu_profile {
    cn_arena arena;
    cornu_profile_info info;
    cornu_profile_step* steps; /* in the arena, as their strings are */
    int step_count;
};

cornu_status cn_session_profile(cornu_session* session, const cornu_tensor* in, int n_in, int runs, cornu_profile** out);
void cn_profile_destroy(cornu_profile* profile);

#ifdef __cplusplus
}
#endif

#endif
