/* Splitting a batch: a graph for equal parts of axis 0, where every op treats the entries of that axis independently. */
#ifndef CN_GRAPH_SPLIT_H
#define CN_GRAPH_SPLIT_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the graph that does to one of `parts` equal parts of each input what g does to the whole: g's outputs are its outputs one behind
 * the other. *possible is false, and out is not initialised, when some op mixes entries, or parts does not divide the batch.
 * CORNU_NO_MEMORY. */
cornu_status cn_graph_split(const cn_graph* g, int64_t parts, cn_graph* out, bool* possible);

#ifdef __cplusplus
}
#endif

#endif
