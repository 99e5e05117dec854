/* A tensor program in SSA form: nodes in an order in which every value is made before it is used.
 *
 * Building. The cn_graph_add... functions check shapes and dtypes and return the new value. A failure sticks: it is kept in
 * the graph with its sentence, later additions return CN_NONE, and a CN_NONE as a required input gives CN_NONE; so a lowering builds
 * straight on and ends with `return cn_graph_status(g)`. One thread at a time. */
#ifndef CN_GRAPH_GRAPH_H
#define CN_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/buf.h"
#include "graph/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t cn_id; /* number of a value */
#define CN_NONE ((cn_id)-1)

typedef struct cn_node {
    cn_op op;
    int input_count;
    cn_id* inputs; /* CN_NONE: optional and absent */
    cn_id output;
    cn_attr attr;
    const char* label; /* the layer it came from, for messages and profiles; "" if none */
} cn_node;

typedef struct cn_graph {
    cn_arena arena; /* nodes' inputs, constants, labels */
    cn_node* nodes; /* node i makes value i: value ids and node numbers are the same */
    cn_type* types; /* of value i */
    int count, capacity;
    cn_id* outputs; /* values that a run returns */
    int output_count, output_capacity;
    int input_count;   /* input nodes: port indexes are 0 .. input_count - 1 */
    const char* label; /* given to nodes that are added */
    cornu_status status;
    uint64_t max_elements; /* a value with more is refused; 0: INT64_MAX / 16 */
} cn_graph;

void cn_graph_init(cn_graph* g);
void cn_graph_deinit(cn_graph* g);
/* The first failure, or CORNU_OK. */
static inline cornu_status cn_graph_status(const cn_graph* g) { return g->status; }
/* Records a failure whose sentence is already in cornu_last_error. Returns CN_NONE. */
cn_id cn_graph_failed(cn_graph* g, cornu_status status);
static inline const cn_type* cn_graph_type(const cn_graph* g, cn_id v) { return &g->types[v]; }

/* The general form; attr is copied, attr may be NULL for ops without. */
cn_id cn_graph_add(cn_graph* g, cn_op op, const cn_id* inputs, int input_count, const cn_attr* attr);
/* input, constant, variable: their type is given. Data of a constant is copied. */
cn_id cn_graph_input(cn_graph* g, const cn_type* type, const char* name);
cn_id cn_graph_variable(cn_graph* g, const cn_type* type, int slot, const char* name);
cn_id cn_graph_constant(cn_graph* g, const cn_type* type, const void* data);
void cn_graph_output(cn_graph* g, cn_id v);

/* ---- short forms ------------------------------------------------------------------------------------------------- */
cn_id cn_graph_scalar(cn_graph* g, cornu_dtype dtype, double value); /* a constant of rank 0 */
cn_id cn_graph_ew1(cn_graph* g, cn_ew fn, cn_id x);
cn_id cn_graph_act(cn_graph* g, cn_act act, cn_id x); /* x itself for CN_EW_copy */
cn_id cn_graph_ew2(cn_graph* g, cn_ew fn, cn_id x, cn_id z);
cn_id cn_graph_select(cn_graph* g, cn_id condition, cn_id x, cn_id z);
cn_id cn_graph_cast(cn_graph* g, cn_id x, cornu_dtype dtype); /* x itself when it has that dtype */
cn_id cn_graph_reshape(cn_graph* g, cn_id x, int ndim, const int64_t* dims); /* one dim may be -1 */
cn_id cn_graph_broadcast(cn_graph* g, cn_id x, int ndim, const int64_t* dims);
cn_id cn_graph_transpose(cn_graph* g, cn_id x, const int* perm);
cn_id cn_graph_concat(cn_graph* g, const cn_id* x, int count, int axis);
/* begin[i] and end[i] as Python slices with step 1: [begin, end). */
cn_id cn_graph_slice(cn_graph* g, cn_id x, const int64_t* begin, const int64_t* end);
cn_id cn_graph_slice_axis(cn_graph* g, cn_id x, int axis, int64_t begin, int64_t end);
cn_id cn_graph_pad(cn_graph* g, cn_id x, const int64_t* low, const int64_t* high, double value);
cn_id cn_graph_reduce(cn_graph* g, cn_id x, cn_reduce_kind kind, uint32_t axes, bool keepdims);
cn_id cn_graph_softmax(cn_graph* g, cn_id x, uint32_t axes);
cn_id cn_graph_matmul(cn_graph* g, cn_id a, cn_id b, bool transpose_a, bool transpose_b);
cn_id cn_graph_gather(cn_graph* g, cn_id x, cn_id indices, int axis, cn_gather_mode mode);
/* Moves one axis to another place. */
cn_id cn_graph_move_axis(cn_graph* g, cn_id x, int from, int to);

/* Type of the result of op on these inputs; the one place of shape and dtype rules. in[i] is NULL for an absent input. */
cornu_status cn_infer(cn_op op, const cn_attr* attr, const cn_type* const* in, int n, cn_type* out);
/* Gates of a recurrent kind; rows behind the outputs in the result of an rnn node. */
int cn_rnn_gates(cn_rnn_kind kind);
int cn_rnn_state_rows(const cn_rnn_attr* attr);
/* Elements of a type; its bytes. */
int64_t cn_type_count(const cn_type* type);
uint64_t cn_type_bytes(const cn_type* type);
bool cn_type_equal(const cn_type* a, const cn_type* b);
/* "f32[1,28,28]" into text of at least 256 bytes. */
const char* cn_type_text(const cn_type* type, char* text);
/* Shape that numpy broadcasting gives; CORNU_BAD_ARGUMENT if a and b do not broadcast. */
cornu_status cn_broadcast_dims(const cn_type* a, const cn_type* b, cn_type* out);

/* Checks every rule anew: order of values, inputs, types, outputs. Any failure is our own bug or a wild pass. */
cornu_status cn_graph_verify(const cn_graph* g);
/* Appends the stable text form, one node a line. */
void cn_graph_print(const cn_graph* g, cn_buf* out);

#ifdef __cplusplus
}
#endif

#endif
