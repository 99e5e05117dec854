/* The loops for any machine, and the choice among them. */
#define CN_LOOPS_TABLE cn_loops_base
#define CN_LOOPS_NAME "plain"
#include "backend/cpu/loops_body.inc"

const cn_loops* cn_loops_choose(void) {
#if defined(CN_LOOPS_X86) && (defined(__GNUC__) || defined(__clang__))
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw")) {
        return &cn_loops_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &cn_loops_avx2;
#endif
    return &cn_loops_base;
}
