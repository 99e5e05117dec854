/* What timing found out, kept on disk: which way of making a step is the fastest, for one device and one set of library versions.
 *
 * A file is text, one for each device and set of versions, named after a hash of its second line:
 *
 *     cornu plan 1
 *     NVIDIA H200, sm_90, 132 multiprocessors, ...; cornu 0.1.0, cuBLASLt 13.1.0, driver 13
 *     94b1c2... 2 9 4310 6120 matmul float32 1 x 512 x 784 ...
 *     hash of the rest, the way, the number of ways, nanoseconds of it and of way 0, the problem
 *
 * A way only chooses among those that the code has for the problem, all of which are right: a file that is stale, damaged, foreign or hostile
 * can make a model slower and nothing else. A line that does not fit is left out. Files are replaced as a whole, by rename. */
#ifndef CN_BACKEND_CUDA_PLAN_CACHE_H
#define CN_BACKEND_CUDA_PLAN_CACHE_H

#include "base/arena.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_plan_row {
    const char* problem; /* no newline in it; in the cache's arena */
    int way, ways;
    int64_t best_ns, guess_ns; /* of the way, and of way 0 */
} cn_plan_row;

typedef struct cn_plan_cache {
    cn_arena arena;
    char* folder; /* NULL: nothing is kept */
    char* path;
    char* title; /* the second line */
    cn_plan_row* rows;
    int count, capacity;
    bool changed;
} cn_plan_cache;

/* Reads what is there; a file that cannot be read is as none. folder NULL: CORNU_PLAN_CACHE, else cornu/ in XDG_CACHE_HOME, else in
 * ~/.cache; "": nothing is read or kept. Fails only without memory. */
cornu_status cn_plan_cache_open(cn_plan_cache* cache, const char* folder, const char* title);
/* NULL: not known, or known with another number of ways. */
const cn_plan_row* cn_plan_cache_find(const cn_plan_cache* cache, const char* problem, int ways);
/* Adds or replaces; texts are copied. */
cornu_status cn_plan_cache_put(cn_plan_cache* cache, const cn_plan_row* row);
/* Writes the rows, with those that others have written meanwhile, if any has changed. CORNU_IO_ERROR says why not. */
cornu_status cn_plan_cache_save(cn_plan_cache* cache);
/* Accepts what is zeroed. */
void cn_plan_cache_close(cn_plan_cache* cache);

#ifdef __cplusplus
}
#endif

#endif
