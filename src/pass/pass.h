/* Passes: graph to graph. Each is optional and neutral to results, up to the rounding that a reordered sum or a folded factor
 * brings. What they fold stays an expression of variables in the graph; nothing is evaluated here. */
#ifndef CN_PASS_PASS_H
#define CN_PASS_PASS_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_pass_options {
    uint32_t skip; /* bit i: pass i of the table is left out */
} cn_pass_options;

typedef struct cn_pass {
    const char* name;
    cornu_status (*run)(cn_graph* g); /* on failure g is as it was */
} cn_pass;

/* Runs every pass in order. options may be NULL. The graph's nodes are numbered anew; inputs, outputs and labels stay.
 * CORNU_NO_MEMORY: g is a valid graph, perhaps with some passes done. */
cornu_status cn_pass_run(cn_graph* g, const cn_pass_options* options);
/* Makes float32 values float16 or bfloat16 where that is sound; narrow.c says where. Inputs, outputs, variables keep their types. For after
 * cn_pass_run; not neutral to results. On failure g is as it was. */
cornu_status cn_pass_narrow(cn_graph* g, cornu_dtype half);
/* Row i of the table, NULL beyond the end. */
const cn_pass* cn_pass_at(int i);

#ifdef __cplusplus
}
#endif

#endif
