/* Time for profiles. */
#ifndef CN_BASE_CLOCK_H
#define CN_BASE_CLOCK_H

#include <time.h>

/* Milliseconds of a clock that never goes back. */
static inline double cn_now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

#endif
