/* The scalar reference: every op by plain loops, floats in double, integers exactly. The oracle of every other backend, the evaluator
 * of constants, and what the CPU backend falls back to. */
#ifndef CN_BACKEND_CPU_REF_H
#define CN_BACKEND_CPU_REF_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_REF_MAX_INPUTS 4096

/* One node on concrete memory. */
typedef struct cn_ref_step {
    cn_op op;
    const cn_attr* attr;
    int n;                        /* inputs */
    const cn_type* const* types;  /* of the inputs; NULL: absent */
    const void* const* in;        /* dense elements */
    const cn_type* type;          /* of the result */
    void* out;
    uint64_t seed, counter; /* for random */
} cn_ref_step;

/* Whether an op has a reference function. */
bool cn_ref_has(cn_op op);
/* Runs one node. CORNU_BAD_ARGUMENT: an index out of range in a checked gather. Thread-safe. */
cornu_status cn_ref_run(const cn_ref_step* step);
/* Elements read from and written to memory of any dtype. */
double cn_ref_load(cornu_dtype dtype, const void* data, int64_t i);
void cn_ref_store(cornu_dtype dtype, void* data, int64_t i, double value);
int64_t cn_ref_load_int(cornu_dtype dtype, const void* data, int64_t i);
void cn_ref_store_int(cornu_dtype dtype, void* data, int64_t i, int64_t value);
/* Of integers as cn_ref_load_int gives them: uint64 in two's complement. The mean is cut towards zero; nothing has the mean 0. */
static inline bool cn_ref_less_int(cornu_dtype dtype, int64_t a, int64_t b) { return dtype == CORNU_UINT64 ? (uint64_t)a < (uint64_t)b : a < b; }
static inline int64_t cn_ref_lowest_int(cornu_dtype dtype) { return dtype == CORNU_UINT64 ? 0 : INT64_MIN; }
static inline int64_t cn_ref_highest_int(cornu_dtype dtype) { return dtype == CORNU_UINT64 ? -1 : INT64_MAX; }
static inline int64_t cn_ref_mean_int(cornu_dtype dtype, int64_t sum, int64_t count) {
    if (count == 0) return 0;
    return dtype == CORNU_UINT64 ? (int64_t)((uint64_t)sum / (uint64_t)count) : sum / count;
}
/* Evaluates value v of a graph and all that it depends on, which must be constants and variables alone. variable gives a
 * variable's dense elements. out: memory for its elements. */
typedef cornu_status (*cn_ref_variable)(void* user, int slot, void* dst);
cornu_status cn_ref_evaluate(const cn_graph* g, cn_id v, cn_ref_variable variable, void* user, void* out);

#ifdef __cplusplus
}
#endif

#endif
