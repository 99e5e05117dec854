/* The rules of each pass, private to this folder. */
#ifndef CN_PASS_PASSES_H
#define CN_PASS_PASSES_H

#include "graph/rewrite.h"
#include "pass/pass.h"

/* Gives old node i a new value of the same meaning: another one than its copy, or CN_NONE to have it copied. */
typedef cn_id (*cn_pass_rule)(cn_rewrite* r, int i);

/* Rewrites g by a rule and sweeps what is no longer needed. */
cornu_status cn_pass_rewrite(cn_graph* g, cn_pass_rule rule);

cornu_status cn_pass_clean(cn_graph* g);
cornu_status cn_pass_fold(cn_graph* g);
cornu_status cn_pass_fuse(cn_graph* g);
cornu_status cn_pass_join(cn_graph* g);
cornu_status cn_pass_chain(cn_graph* g);

#endif
