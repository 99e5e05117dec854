/* What a node costs: the arithmetic that its result asks for, and the memory that must move for it whatever the kernel. The same for every
 * backend: profiles divide it by a step's time, tuning orders the steps by it. */
#ifndef CN_GRAPH_COST_H
#define CN_GRAPH_COST_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_cost {
    uint64_t flops; /* a multiplication and an addition are two; an elementwise function is one, whatever it is */
    uint64_t bytes; /* each input that is read, once, and the result, once; a gather reads the elements that it takes */
} cn_cost;

/* Inputs, constants, variables and reshapes cost nothing. Counts stop at UINT64_MAX. */
cn_cost cn_node_cost(const cn_graph* g, const cn_node* node);

#ifdef __cplusplus
}
#endif

#endif
