/* A plan: which nodes run, in which order, and where every value lies.
 *
 * Values that depend on nothing but variables and constants are not run: they are the plan's constants, made once by whoever owns the
 * weights. Everything else gets a place in one block of memory, from the time it is made to its last use:
 *
 *     lifetimes -> offsets (largest first, into the lowest gap)            reshape: the same place as its input
 *     an elementwise node may write over an input that ends there          inputs and outputs: the caller's memory is copied in and out */
#ifndef CN_PLAN_PLAN_H
#define CN_PLAN_PLAN_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_place_kind {
    CN_PLACE_NOWHERE,  /* never read */
    CN_PLACE_ARENA,    /* at offset of the arena */
    CN_PLACE_INPUT,    /* the caller's input `index` */
    CN_PLACE_CONSTANT  /* constant `index` of the plan */
} cn_place_kind;

typedef struct cn_place {
    cn_place_kind kind;
    int index;
    uint64_t offset; /* bytes into the arena */
} cn_place;

typedef struct cn_plan {
    const cn_graph* graph; /* borrowed */
    int* steps;            /* nodes to run, in order */
    int step_count;
    cn_place* places;  /* of each value */
    cn_id* constants;  /* values that steps or outputs read and that do not change with the inputs */
    int constant_count;
    uint64_t arena_bytes; /* of the block, a multiple of the alignment */
    int64_t repeats;      /* the plan is for one of this many equal parts of the caller's batch; 1 */
    int lanes;            /* parts that run at once, each with arena_bytes of its own; 1 */
    uint64_t peak_bytes;  /* largest sum, over the steps, of the sizes of the values live at that step: the floor of arena_bytes */
} cn_plan;

/* alignment: of each value in the block, a power of two. The graph must outlive the plan. CORNU_NO_MEMORY. */
cornu_status cn_plan_create(const cn_graph* graph, uint64_t alignment, cn_plan** out);
void cn_plan_destroy(cn_plan* plan);

/* In how many equal parts a batch of this size is best run; 1: as a whole. Whether the graph can be split is another question. */
int64_t cn_plan_parts(const cn_graph* graph, int64_t batch);

/* Marks the values that depend on variables and constants alone: constant[i] for value i. */
void cn_plan_mark_constant(const cn_graph* graph, bool* constant);

#ifdef __cplusplus
}
#endif

#endif
