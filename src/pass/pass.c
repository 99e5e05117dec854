/* The table of passes and the frame that they share. */
#include "pass/pass.h"

#include "pass/passes.h"

static const cn_pass passes[] = {
    {"clean", cn_pass_clean}, /* what does nothing or is there twice */
    {"fold", cn_pass_fold},   /* bias, factors and batch norms into weights */
    {"fuse", cn_pass_fuse},   /* residual, activation and padding into matmul, conv and pool */
    {"join", cn_pass_join},   /* a sum into the norm behind it */
    {"chain", cn_pass_chain}, /* elementwise nodes into one */
};
#define PASS_COUNT ((int)(sizeof passes / sizeof passes[0]))

const cn_pass* cn_pass_at(int i) { return i >= 0 && i < PASS_COUNT ? &passes[i] : NULL; }

cornu_status cn_pass_run(cn_graph* g, const cn_pass_options* options) {
    for (int i = 0; i < PASS_COUNT; i++) {
        if (options && options->skip >> i & 1) continue;
        CN_TRY(passes[i].run(g));
    }
    return CORNU_OK;
}

cornu_status cn_pass_rewrite(cn_graph* g, cn_pass_rule rule) {
    cn_graph to;
    cn_rewrite r;
    cornu_status st = cn_rewrite_begin(&r, g, &to);

    for (int i = 0; st == CORNU_OK && i < g->count; i++) {
        cn_rewrite_label(&r, i);
        r.map[i] = rule(&r, i);
        if (r.map[i] == CN_NONE) r.map[i] = cn_rewrite_copy(&r, i);
        st = cn_graph_status(&to);
    }
    if (st != CORNU_OK) (void)cn_graph_failed(&to, st);
    st = cn_rewrite_end(&r);
    if (st == CORNU_OK) st = cn_graph_sweep(&to);
    if (st != CORNU_OK) {
        cn_graph_deinit(&to);
        return st;
    }
    cn_graph_deinit(g);
    *g = to;
    return CORNU_OK;
}
