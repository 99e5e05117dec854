/* Making a graph from another one, node by node. Inputs keep their ports, nodes their labels, outputs their order.
 *
 *     cn_rewrite_begin(&r, from, to)        to: initialised by the rewrite
 *     for each i: r.map[i] = cn_rewrite_copy(&r, i), or any value of `to` with the same meaning
 *     cn_rewrite_end(&r)                    outputs; from is left as it is */
#ifndef CN_GRAPH_REWRITE_H
#define CN_GRAPH_REWRITE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_rewrite {
    const cn_graph* from;
    cn_graph* to;
    cn_id* map;        /* of each old value: the new one, CN_NONE until made */
    int* uses;         /* of each old value: inputs and outputs that read it */
    bool* constant;    /* of each new value that cn_rewrite_constant was asked for: see there */
    int constant_size; /* new values whose entry in constant is filled */
    int constant_capacity;
    const char* label; /* of the old node whose copy is in to->label */
} cn_rewrite;

/* CORNU_NO_MEMORY. cn_rewrite_end must follow, also after a failure. */
cornu_status cn_rewrite_begin(cn_rewrite* r, const cn_graph* from, cn_graph* to);
/* Node i with its inputs replaced. The new value, CN_NONE if it failed. */
cn_id cn_rewrite_copy(cn_rewrite* r, int i);
/* Gives the nodes that are added from now on the label of old node i. */
void cn_rewrite_label(cn_rewrite* r, int i);
/* Whether a new value depends on variables and constants alone. */
bool cn_rewrite_constant(cn_rewrite* r, cn_id v);
/* Sets the outputs and returns the graph's status. */
cornu_status cn_rewrite_end(cn_rewrite* r);
/* Replaces g by a copy without the nodes that no output depends on; inputs stay. */
cornu_status cn_graph_sweep(cn_graph* g);

#ifdef __cplusplus
}
#endif

#endif
