/* Ops, elementwise functions and the attributes of nodes. */
#ifndef CN_GRAPH_OP_H
#define CN_GRAPH_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_op {
#define CN_OP(name, low, high, attr, placement) CN_OP_##name,
#include "graph/op.def"
#undef CN_OP
    CN_OP_COUNT
} cn_op;

typedef enum cn_ew {
#define CN_EW1(name, domains, result, f, df) CN_EW_##name,
#define CN_EW2(name, domains, result, f, dx, dz) CN_EW_##name,
#define CN_EW3(name, domains, result, f) CN_EW_##name,
#include "base/ew.def"
#undef CN_EW1
#undef CN_EW2
#undef CN_EW3
    CN_EW_COUNT
} cn_ew;

typedef struct cn_ew_info {
    const char* name;
    int arity;
    const char* domains; /* "FIB" */
    bool bool_result;
} cn_ew_info;

/* What ew.def says of a function. */
const cn_ew_info* cn_ew_info_of(cn_ew fn);

typedef enum cn_placement { CN_PLACE_ANY, CN_PLACE_HOST } cn_placement;

typedef enum cn_attr_kind {
    CN_ATTR_port,
    CN_ATTR_constant,
    CN_ATTR_variable,
    CN_ATTR_ew,
    CN_ATTR_cast,
    CN_ATTR_shape,
    CN_ATTR_perm,
    CN_ATTR_axis,
    CN_ATTR_slice,
    CN_ATTR_pad,
    CN_ATTR_gather,
    CN_ATTR_reduce,
    CN_ATTR_arg,
    CN_ATTR_cumulative,
    CN_ATTR_sort,
    CN_ATTR_scatter,
    CN_ATTR_linalg,
    CN_ATTR_iota,
    CN_ATTR_matmul,
    CN_ATTR_conv,
    CN_ATTR_pool,
    CN_ATTR_resize,
    CN_ATTR_norm,
    CN_ATTR_fused,
    CN_ATTR_rnn,
    CN_ATTR_attention,
    CN_ATTR_random
} cn_attr_kind;

typedef struct cn_op_info {
    const char* name;
    int min_inputs, max_inputs;
    cn_attr_kind attr;
    cn_placement placement;
} cn_op_info;

const cn_op_info* cn_op_info_of(cn_op op);

/* Dense row-major element type and shape, all dims concrete. */
typedef struct cn_type {
    cornu_dtype dtype;
    int ndim;
    int64_t dims[CORNU_MAX_DIMS]; /* dims[ndim ...] are 0 */
} cn_type;

#define CN_MAX_SPATIAL 3

typedef enum cn_pad_mode { CN_PAD_CONSTANT, CN_PAD_REFLECT, CN_PAD_SYMMETRIC, CN_PAD_EDGE } cn_pad_mode;
typedef enum cn_gather_mode {
    CN_GATHER_CHECKED, /* an index outside [-n, n) fails the run */
    CN_GATHER_CLIP,
    CN_GATHER_WRAP
} cn_gather_mode;
typedef enum cn_reduce_kind {
    CN_REDUCE_SUM,
    CN_REDUCE_MEAN,
    CN_REDUCE_PROD,
    CN_REDUCE_MAX,
    CN_REDUCE_MIN,
    CN_REDUCE_ANY,
    CN_REDUCE_ALL
} cn_reduce_kind;
typedef enum cn_pool_kind { CN_POOL_MAX, CN_POOL_AVG } cn_pool_kind;
typedef enum cn_resize_kind {
    CN_RESIZE_NEAREST,
    CN_RESIZE_BILINEAR,
    CN_RESIZE_BICUBIC, /* Keys, a = -0.5, weights renormalised at borders */
    CN_RESIZE_LANCZOS3,
    CN_RESIZE_LANCZOS5,
    CN_RESIZE_AREA
} cn_resize_kind;

/* An elementwise function of one input with its parameters: of an ew node, or fused behind a matmul or conv. */
typedef struct cn_act {
    cn_ew fn; /* CN_EW_copy: none */
    double p, q, r;
} cn_act;

typedef struct cn_port_attr { int index; const char* name; } cn_port_attr;
typedef struct cn_constant_attr { const void* data; } cn_constant_attr; /* elements, owned by the graph */
typedef struct cn_variable_attr { int slot; const char* name; } cn_variable_attr; /* slot: number the owner of the graph gave it */
typedef struct cn_cast_attr { cornu_dtype dtype; } cn_cast_attr;
typedef struct cn_shape_attr { int ndim; int64_t dims[CORNU_MAX_DIMS]; } cn_shape_attr;
typedef struct cn_perm_attr { int perm[CORNU_MAX_DIMS]; } cn_perm_attr;
typedef struct cn_axis_attr { int axis; } cn_axis_attr; /* non-negative */
typedef struct cn_slice_attr {
    int64_t begin[CORNU_MAX_DIMS], step[CORNU_MAX_DIMS], dims[CORNU_MAX_DIMS]; /* step may be negative; dims of the result */
} cn_slice_attr;
typedef struct cn_pad_attr {
    cn_pad_mode mode;
    double value; /* for CN_PAD_CONSTANT */
    int64_t low[CORNU_MAX_DIMS], high[CORNU_MAX_DIMS];
} cn_pad_attr;
typedef struct cn_gather_attr { int axis; cn_gather_mode mode; } cn_gather_attr;
typedef struct cn_reduce_attr {
    cn_reduce_kind kind; /* not used by softmax */
    uint32_t axes;       /* bit i: axis i */
    bool keepdims;
} cn_reduce_attr;
typedef struct cn_arg_attr { int axis; bool largest; bool keepdims; } cn_arg_attr;
typedef struct cn_cumulative_attr { int axis; bool product; } cn_cumulative_attr;
typedef struct cn_sort_attr { int axis; bool descending; bool indices; } cn_sort_attr; /* equal elements keep their order in both directions */
typedef enum cn_scatter_kind { CN_SCATTER_SET, CN_SCATTER_ADD, CN_SCATTER_MAX, CN_SCATTER_MIN, CN_SCATTER_MUL } cn_scatter_kind;
typedef struct cn_scatter_attr { cn_scatter_kind kind; bool drop; } cn_scatter_attr; /* drop: an index outside leaves its update out, else it fails the run */
typedef enum cn_linalg_kind {
    CN_LINALG_CHOLESKY, /* lower factor */
    CN_LINALG_DET,
    CN_LINALG_SIGN_DET,
    CN_LINALG_LOG_ABS_DET,
    CN_LINALG_INV,
    CN_LINALG_SOLVE,
    CN_LINALG_TRIANGULAR, /* solve with the lower or upper triangle */
    CN_LINALG_LU,         /* both factors in one matrix, rows as pivoted */
    CN_LINALG_LU_PERM,    /* int32 [.., n]: row i of the pivoted matrix is row perm[i] of x */
    CN_LINALG_QR_Q,
    CN_LINALG_QR_R,
    CN_LINALG_SINGULAR_VALUES, /* largest first, [.., min(m, n)] */
    CN_LINALG_PINV             /* singular values up to rcond times the largest count as 0 */
} cn_linalg_kind;
typedef struct cn_linalg_attr { cn_linalg_kind kind; bool lower; bool full; double rcond; } cn_linalg_attr; /* full: square Q of QR */
typedef struct cn_iota_attr { cornu_dtype dtype; int64_t count; double begin, step; } cn_iota_attr;
typedef struct cn_matmul_attr { bool transpose_a, transpose_b; cn_act act; } cn_matmul_attr;
typedef struct cn_conv_attr {
    int spatial; /* 1 to 3 */
    int64_t strides[CN_MAX_SPATIAL], dilation[CN_MAX_SPATIAL];
    int64_t pad_lo[CN_MAX_SPATIAL], pad_hi[CN_MAX_SPATIAL]; /* of x, in cells; conv_transpose: cropped from the full result (high may be negative: cells are added) */
    int64_t groups;
    cn_act act;
} cn_conv_attr;
typedef struct cn_pool_attr {
    cn_pool_kind kind;
    int spatial;
    int64_t window[CN_MAX_SPATIAL], strides[CN_MAX_SPATIAL]; /* adaptive_pool: window is the output size */
    int64_t pad_lo[CN_MAX_SPATIAL], pad_hi[CN_MAX_SPATIAL];
} cn_pool_attr;
typedef struct cn_resize_attr { cn_resize_kind kind; bool antialias; int64_t height, width; } cn_resize_attr;
typedef struct cn_norm_attr {
    uint32_t axes; /* batch_norm: the one axis of the vectors; layer_norm, rms_norm: those normalised over */
    double epsilon;
    int64_t groups; /* group_norm */
    bool no_center; /* layer_norm: divide only, the mean is not subtracted from x (rms_scaling) */
} cn_norm_attr;
typedef enum cn_rnn_kind { CN_RNN_SIMPLE, CN_RNN_LSTM, CN_RNN_GRU } cn_rnn_kind;

/* The recurrence of a layer whose input projection is made already, so that one matrix product serves all steps.
 *
 *     inputs  0 z [B, T, gates U]       x kernel + bias; gates in Keras's order: LSTM i f c o, GRU z r h
 *             1 recurrent kernel [U, gates U]
 *             2 h [B, U], 3 c [B, U]    first states, zeros where absent; c of LSTM alone
 *             4 recurrent bias [gates U] of GRU with reset_after
 *             5 mask [B, T], bool       false: the step leaves the state; its output is the one before, or 0
 *     result  [B, rows, U]:  sequences ? T outputs, in the order they are computed : the last output
 *                            h after the last step
 *                            c after the last step (LSTM), or zeros (GRU without reset_after: room for r h) */
typedef struct cn_rnn_attr {
    cn_rnn_kind kind;
    cn_act act;  /* of the candidate and, in LSTM, of the carry */
    cn_act gate; /* Keras's recurrent_activation */
    bool backwards;   /* z and mask are read from the last step to the first */
    bool reset_after; /* GRU: r scales h U + recurrent bias; else r scales h before the product */
    bool zero_masked; /* the output of a masked step is 0 */
    bool sequences;
} cn_rnn_attr;

/* q [B, H, Tq, D], k [B, Hk, Tk, D], v [B, Hk, Tk, E], mask bool of rank 4 that broadcasts to [B, H, Tq, Tk]; H is a multiple of Hk, and
 * head h looks at head h / (H / Hk) of k and v. Result [B, H, Tq, E]. */
typedef struct cn_attention_attr {
    double scale;
    bool causal;    /* query i sees keys 0 .. i */
    bool zero_rows; /* a query that sees no key gives 0; else the mean of all values */
} cn_attention_attr;
typedef struct cn_random_attr {
    bool normal;     /* else uniform */
    uint32_t stream; /* which of the model's random nodes: the second key word */
    cn_shape_attr shape;
    cornu_dtype dtype;
} cn_random_attr;

/* A program of elementwise functions. Its values are the node's inputs and then one an op; the last is the result. */
#define CN_FUSED_OPS 24
#define CN_FUSED_INPUTS 6
typedef struct cn_fused_op {
    cn_act act;
    int arg[2]; /* numbers of values made before; arg[1] is 0 for functions of one input */
} cn_fused_op;
typedef struct cn_fused_attr {
    int count;
    const cn_fused_op* ops; /* owned by the graph */
} cn_fused_attr;

typedef union cn_attr {
    cn_port_attr port;
    cn_constant_attr constant;
    cn_variable_attr variable;
    cn_act ew;
    cn_cast_attr cast;
    cn_shape_attr shape;
    cn_perm_attr perm;
    cn_axis_attr axis;
    cn_slice_attr slice;
    cn_pad_attr pad;
    cn_gather_attr gather;
    cn_reduce_attr reduce;
    cn_arg_attr arg;
    cn_cumulative_attr cumulative;
    cn_sort_attr sort;
    cn_scatter_attr scatter;
    cn_linalg_attr linalg;
    cn_iota_attr iota;
    cn_matmul_attr matmul;
    cn_conv_attr conv;
    cn_pool_attr pool;
    cn_resize_attr resize;
    cn_norm_attr norm;
    cn_fused_attr fused;
    cn_rnn_attr rnn;
    cn_attention_attr attention;
    cn_random_attr random;
} cn_attr;

#ifdef __cplusplus
}
#endif

#endif
