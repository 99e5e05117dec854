/* Failing: a code and one sentence, kept in a thread-local buffer without allocation. */
#ifndef CN_BASE_STATUS_H
#define CN_BASE_STATUS_H

#include "cornu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Longest sentence, its NUL included. Longer ones are cut at a character boundary. */
#define CN_ERROR_SIZE 4096

/* Records "sentence" as this thread's last error and returns the code. Control characters become '?'. */
cornu_status cn_fail(cornu_status code, const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before this thread's last error and returns the code, so that callers can add the file or layer. */
cornu_status cn_fail_within(cornu_status code, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* return CN_FAIL(BAD_FILE, "%s: ...", path); */
#define CN_FAIL(code, ...) cn_fail_code_(CORNU_##code, cn_fail(CORNU_##code, __FILE__, __LINE__, __VA_ARGS__))

/* Lets the compiler see which code a failure yields, so that it knows which paths end there. */
static inline cornu_status cn_fail_code_(cornu_status code, cornu_status recorded) {
    (void)recorded;
    return code;
}

/* In a function that owns nothing: leave with the failure of call. */
#define CN_TRY(call)                                  \
    do {                                              \
        cornu_status cn_st_ = (call);                 \
        if (cn_st_ != CORNU_OK) return cn_st_;        \
    } while (0)

/* In a function that owns something: st is its status, done: its one way out. */
#define CN_STEP(call)                                 \
    do {                                              \
        st = (call);                                  \
        if (st != CORNU_OK) goto done;                \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
