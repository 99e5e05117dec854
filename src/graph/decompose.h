/* Composite ops as graphs of primitives, for a backend that lacks a kernel of its own.
 *
 *     primitive   input constant variable ew cast reshape broadcast transpose concat slice pad gather reduce iota random, and
 *                 matmul without bias, residual and activation
 *     composite   has a decomposition into primitives
 *     kernel      neither: every backend needs its own kernel, or runs the op on the host
 *
 * A decomposition means what the op's reference means, with the values between its primitives rounded to the dtype of the result, to
 * float32 for the half types. Where the op leaves a cell out, the decomposition may multiply it by 0 (padding of conv, keys that
 * attention masks, cells that resize does not reach): there, infinities and NaN of left out cells show. */
#ifndef CN_GRAPH_DECOMPOSE_H
#define CN_GRAPH_DECOMPOSE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_op_form { CN_FORM_PRIMITIVE, CN_FORM_COMPOSITE, CN_FORM_KERNEL } cn_op_form;

/* What op is, from the one table of decompose.c. */
cn_op_form cn_op_form_of(cn_op op);
/* Whether op has a decomposition. */
static inline bool cn_decomposes(cn_op op) { return cn_op_form_of(op) == CN_FORM_COMPOSITE; }

/* Makes out from g with every composite op decomposed but those for which keep says true; keep NULL: none is kept. out is initialised by
 * the call and deinitialised by the caller, also after a failure.
 * CORNU_UNSUPPORTED: a recurrent layer over more steps than can be unrolled. CORNU_NO_MEMORY. */
cornu_status cn_graph_decompose(const cn_graph* g, bool (*keep)(void* user, cn_op op), void* user, cn_graph* out);

#ifdef __cplusplus
}
#endif

#endif
