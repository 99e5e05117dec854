/* How many parts a batch is run in. The answer depends on the graph alone, never on the machine or its threads, so that results do
 * not either.
 *
 * An image network is fastest one image at a time: its activations stay in the cache. A matmul with few rows is slow, because its
 * weights are read anew for every part. So the smallest part is taken in which such matmuls are a small share of the work. */
#include "plan/plan.h"

#define CN_THIN_ROWS 32         /* a matmul with fewer is bound by reading its weights */
#define CN_LEAST_WORK 4000000.0 /* multiplications: less is done before threads have started */

static double product_work(const cn_graph* g, const cn_node* node, double* rows) {
    const cn_type *a = &g->types[node->inputs[0]], *y = &g->types[node->output];
    double count = (double)cn_type_count(y);

    *rows = count / (double)(y->dims[y->ndim - 1] > 0 ? y->dims[y->ndim - 1] : 1);
    if (node->op == CN_OP_rnn) { /* its rows run in groups of a few */
        *rows = 4 * (double)a->dims[0];
        return (double)cn_type_count(a) * (double)y->dims[2];
    }
    if (node->op == CN_OP_matmul) return count * (double)a->dims[a->ndim - (node->attr.matmul.transpose_a ? 2 : 1)];
    return count * (double)cn_type_count(&g->types[node->inputs[1]]) / (double)(y->dims[y->ndim - 1] > 0 ? y->dims[y->ndim - 1] : 1);
}

int64_t cn_plan_parts(const cn_graph* g, int64_t batch) {
    for (int64_t size = 1; size < batch; size++) {
        double all = 0, thin = 0;
        if (batch % size != 0) continue;
        for (int i = 0; i < g->count; i++) {
            const cn_node* node = &g->nodes[i];
            double rows, work;
            if (node->op != CN_OP_matmul && node->op != CN_OP_conv && node->op != CN_OP_conv_transpose && node->op != CN_OP_rnn) continue;
            if (g->types[i].ndim < 2 || g->types[i].dims[0] % batch != 0) continue;
            work = product_work(g, node, &rows);
            all += work;
            if (rows / (double)batch * (double)size < CN_THIN_ROWS) thin += work;
        }
        if (all < CN_LEAST_WORK) return 1;
        if (thin <= all / 16) return batch / size;
    }
    return 1;
}
