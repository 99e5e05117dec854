/* Cutting a graph into segments: stretches of nodes that run in one place, the device or the host.
 *
 *     device  a b d |   | f         a value that crosses a border is an output of the segment that makes it and an input of each
 *     host          | c e |         segment that reads it
 *
 * Inputs, variables, constants and what depends on the latter two alone are in no segment: the first come from the caller, the others from
 * the owner of the weights. */
#ifndef CN_PLAN_SEGMENT_H
#define CN_PLAN_SEGMENT_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_segment {
    bool host;
    int* nodes; /* in the graph's order */
    int node_count;
    cn_id* inputs; /* values it reads that the caller or an earlier segment made; constant values are left out */
    int input_count;
    cn_id* outputs; /* values it makes that later segments read or the graph returns */
    int output_count;
} cn_segment;

/* Where node i runs. */
typedef cn_placement (*cn_place_node)(void* user, const cn_graph* graph, int i);

/* The fewest segments that an order of the nodes allows, in the order in which they run: each takes every node of its place that is ready. place
 * NULL: the op's row. device_is_host: there is one place and one segment. Without nodes there is one empty segment. CORNU_NO_MEMORY. */
cornu_status cn_segments_create(const cn_graph* graph, bool device_is_host, cn_place_node place, void* user, cn_segment** out, int* count);
void cn_segments_destroy(cn_segment* segments, int count);

#ifdef __cplusplus
}
#endif

#endif
