/* The functions behind cn_graph_decompose, one a composite op, private to graph/decompose*.c. Each adds primitives to p->g and returns
 * the value that stands for the op. A failure sticks in p->g. */
#ifndef CN_GRAPH_DECOMPOSE_PARTS_H
#define CN_GRAPH_DECOMPOSE_PARTS_H

#include "graph/graph.h"

#define CN_PARTS_INPUTS 6

/* One composite node. Types are copies: adding nodes moves the graph's. */
typedef struct cn_parts {
    cn_graph* g;
    cn_op op;
    const cn_attr* attr;
    int n;                           /* inputs */
    cn_id in[CN_PARTS_INPUTS];       /* CN_NONE: absent */
    cn_type types[CN_PARTS_INPUTS];  /* of the inputs that are there */
    cn_type type;                    /* of the result; no element dimension of it is 0 */
} cn_parts;

cn_id cn_parts_softmax(cn_parts* p);
cn_id cn_parts_batch_norm(cn_parts* p);
cn_id cn_parts_axes_norm(cn_parts* p); /* layer_norm, rms_norm */
cn_id cn_parts_group_norm(cn_parts* p);
cn_id cn_parts_matmul(cn_parts* p);
cn_id cn_parts_fused(cn_parts* p);
cn_id cn_parts_arg(cn_parts* p);
cn_id cn_parts_cumulative(cn_parts* p);
cn_id cn_parts_conv(cn_parts* p);
cn_id cn_parts_conv_transpose(cn_parts* p);
cn_id cn_parts_pool(cn_parts* p); /* pool, adaptive_pool */
cn_id cn_parts_resize(cn_parts* p);
cn_id cn_parts_rnn(cn_parts* p);
cn_id cn_parts_attention(cn_parts* p);

/* Input k, CN_NONE if it is absent. */
static inline cn_id cn_parts_in(const cn_parts* p, int k) { return k < p->n ? p->in[k] : CN_NONE; }
/* act(x + bias + residual): inputs 2 and 3. */
cn_id cn_parts_epilogue(cn_parts* p, cn_id x, const cn_act* act);
/* p x + q of floats. */
cn_id cn_parts_affine(cn_graph* g, double p, double q, cn_id x);
/* Any number of values along axis. */
cn_id cn_parts_concat(cn_graph* g, const cn_id* x, int64_t count, int axis);
/* x of `dims` with `low` cells of value put in front of and `high` behind an axis; a negative number takes cells away. dims becomes the
 * result's. */
cn_id cn_parts_pad_axis(cn_graph* g, cn_id x, cn_type* type, int axis, int64_t low, int64_t high, double value);

#endif
