/* The stable text form. One node a line:
 *   %3 = conv(%0, %1, %2) {strides=[1,1] ...} : f32[1,28,28,8]  # conv2d */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/hash.h"
#include "graph/graph.h"

static const char* short_name(cornu_dtype dtype) {
    static const char* const names[] = {"?",   "f32", "f64", "f16", "bf16", "i8",   "i16",  "i32",  "i64",
                                        "u8",  "u16", "u32", "u64", "bool", "c64",  "c128", "str"};
    return (unsigned)dtype < sizeof names / sizeof names[0] ? names[dtype] : "?";
}

const char* cn_type_text(const cn_type* type, char* text) {
    int at = snprintf(text, 256, "%s[", short_name(type->dtype));

    for (int i = 0; i < type->ndim && at < 230; i++) {
        at += snprintf(text + at, (size_t)(256 - at), "%s%" PRId64, i ? "," : "", type->dims[i]);
    }
    (void)snprintf(text + at, (size_t)(256 - at), "]");
    return text;
}

static void print_ints(cn_buf* out, const char* key, const int64_t* values, int n) {
    cn_buf_format(out, " %s=[", key);
    for (int i = 0; i < n; i++) cn_buf_format(out, "%s%" PRId64, i ? "," : "", values[i]);
    cn_buf_text(out, "]");
}

static void print_axes(cn_buf* out, uint32_t axes) {
    bool first = true;
    cn_buf_text(out, " axes=[");
    for (int i = 0; i < 32; i++) {
        if (!(axes >> i & 1)) continue;
        cn_buf_format(out, "%s%d", first ? "" : ",", i);
        first = false;
    }
    cn_buf_text(out, "]");
}

static void print_act(cn_buf* out, const char* key, const cn_act* act) {
    if (act->fn == CN_EW_copy && strcmp(key, "fn") != 0) return;
    cn_buf_format(out, " %s=%s", key, cn_ew_info_of(act->fn)->name);
    if (act->p != 0 || act->q != 0 || act->r != 0) cn_buf_format(out, "(%.9g,%.9g,%.9g)", act->p, act->q, act->r);
}

/* ops=[mul(0,1) relu(2)]: operands are numbers of the program's values. */
static void print_fused(const cn_fused_attr* a, cn_buf* out) {
    cn_buf_text(out, " ops=[");
    for (int i = 0; i < a->count; i++) {
        const cn_act* act = &a->ops[i].act;
        cn_buf_format(out, "%s%s(%d", i ? " " : "", cn_ew_info_of(act->fn)->name, a->ops[i].arg[0]);
        if (cn_ew_info_of(act->fn)->arity > 1) cn_buf_format(out, ",%d", a->ops[i].arg[1]);
        if (act->p != 0 || act->q != 0 || act->r != 0) cn_buf_format(out, ";%.9g,%.9g,%.9g", act->p, act->q, act->r);
        cn_buf_text(out, ")");
    }
    cn_buf_text(out, "]");
}

static void print_conv(cn_buf* out, const cn_conv_attr* a) {
    print_ints(out, "strides", a->strides, a->spatial);
    print_ints(out, "dilation", a->dilation, a->spatial);
    print_ints(out, "pad_lo", a->pad_lo, a->spatial);
    print_ints(out, "pad_hi", a->pad_hi, a->spatial);
    cn_buf_format(out, " groups=%" PRId64, a->groups);
    print_act(out, "act", &a->act);
}

static void print_pool(cn_buf* out, const cn_pool_attr* a) {
    cn_buf_text(out, a->kind == CN_POOL_MAX ? " kind=max" : " kind=avg");
    print_ints(out, "window", a->window, a->spatial);
    print_ints(out, "strides", a->strides, a->spatial);
    print_ints(out, "pad_lo", a->pad_lo, a->spatial);
    print_ints(out, "pad_hi", a->pad_hi, a->spatial);
}

static void print_rnn(cn_buf* out, const cn_rnn_attr* a) {
    static const char* const kinds[] = {"simple", "lstm", "gru"};
    cn_buf_format(out, " kind=%s", kinds[a->kind]);
    print_act(out, "act", &a->act);
    print_act(out, "gate", &a->gate);
    if (a->backwards) cn_buf_text(out, " backwards");
    if (a->reset_after) cn_buf_text(out, " reset_after");
    if (a->zero_masked) cn_buf_text(out, " zero_masked");
    if (a->sequences) cn_buf_text(out, " sequences");
}

static void print_attr(const cn_graph* g, const cn_node* node, cn_buf* out) {
    static const char* const reduce_names[] = {"sum", "mean", "prod", "max", "min", "any", "all"};
    static const char* const pad_names[] = {"constant", "reflect", "symmetric", "edge"};
    static const char* const gather_names[] = {"checked", "clip", "wrap"};
    static const char* const scatter_names[] = {"set", "add", "max", "min", "mul"};
    static const char* const linalg_names[] = {"cholesky", "det", "sign_det", "log_abs_det", "inv", "solve", "triangular", "lu",
                                               "lu_perm", "qr_q", "qr_r", "singular_values", "pinv"};
    static const char* const resize_names[] = {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"};
    const cn_attr* a = &node->attr;
    const cn_type* x = node->input_count && node->inputs[0] != CN_NONE ? &g->types[node->inputs[0]] : NULL;
    int n = x ? x->ndim : 0;

    switch (cn_op_info_of(node->op)->attr) {
        case CN_ATTR_port: cn_buf_format(out, " index=%d name=%s", a->port.index, a->port.name); break;
        case CN_ATTR_constant: {
            const cn_type* t = &g->types[node->output];
            cn_buf_format(out, " hash=%016" PRIx64, cn_hash(CN_HASH_START, a->constant.data, cn_type_bytes(t)));
            break;
        }
        case CN_ATTR_variable: cn_buf_format(out, " slot=%d name=%s", a->variable.slot, a->variable.name); break;
        case CN_ATTR_ew: print_act(out, "fn", &a->ew); break;
        case CN_ATTR_cast:
        case CN_ATTR_shape: break;
        case CN_ATTR_perm: {
            int64_t perm[CORNU_MAX_DIMS] = {0};
            for (int i = 0; i < n; i++) perm[i] = a->perm.perm[i];
            print_ints(out, "perm", perm, n);
            break;
        }
        case CN_ATTR_axis: cn_buf_format(out, " axis=%d", a->axis.axis); break;
        case CN_ATTR_slice:
            print_ints(out, "begin", a->slice.begin, n);
            print_ints(out, "step", a->slice.step, n);
            break;
        case CN_ATTR_pad:
            cn_buf_format(out, " mode=%s value=%.9g", pad_names[a->pad.mode], a->pad.value);
            print_ints(out, "low", a->pad.low, n);
            print_ints(out, "high", a->pad.high, n);
            break;
        case CN_ATTR_gather: cn_buf_format(out, " axis=%d mode=%s", a->gather.axis, gather_names[a->gather.mode]); break;
        case CN_ATTR_reduce:
            if (node->op == CN_OP_reduce) cn_buf_format(out, " kind=%s", reduce_names[a->reduce.kind]);
            print_axes(out, a->reduce.axes);
            break;
        case CN_ATTR_arg: cn_buf_format(out, " %s axis=%d", a->arg.largest ? "largest" : "smallest", a->arg.axis); break;
        case CN_ATTR_cumulative:
            cn_buf_format(out, " %s axis=%d", a->cumulative.product ? "product" : "sum", a->cumulative.axis);
            break;
        case CN_ATTR_sort:
            cn_buf_format(out, " %s%s axis=%d", a->sort.descending ? "descending" : "ascending", a->sort.indices ? " indices" : "", a->sort.axis);
            break;
        case CN_ATTR_scatter: cn_buf_format(out, " kind=%s%s", scatter_names[a->scatter.kind], a->scatter.drop ? " drop" : ""); break;
        case CN_ATTR_linalg:
            cn_buf_format(out, " kind=%s%s%s", linalg_names[a->linalg.kind], a->linalg.lower ? " lower" : "", a->linalg.full ? " full" : "");
            if (a->linalg.rcond != 0) cn_buf_format(out, " rcond=%.9g", a->linalg.rcond);
            break;
        case CN_ATTR_iota: cn_buf_format(out, " begin=%.9g step=%.9g", a->iota.begin, a->iota.step); break;
        case CN_ATTR_matmul:
            if (a->matmul.transpose_a) cn_buf_text(out, " transpose_a");
            if (a->matmul.transpose_b) cn_buf_text(out, " transpose_b");
            print_act(out, "act", &a->matmul.act);
            break;
        case CN_ATTR_conv: print_conv(out, &a->conv); break;
        case CN_ATTR_pool: print_pool(out, &a->pool); break;
        case CN_ATTR_resize:
            cn_buf_format(out, " kind=%s%s", resize_names[a->resize.kind], a->resize.antialias ? " antialias" : "");
            break;
        case CN_ATTR_norm:
            print_axes(out, a->norm.axes);
            cn_buf_format(out, " epsilon=%.9g", a->norm.epsilon);
            if (node->op == CN_OP_group_norm) cn_buf_format(out, " groups=%" PRId64, a->norm.groups);
            if (a->norm.no_center) cn_buf_text(out, " no_center");
            break;
        case CN_ATTR_fused: print_fused(&a->fused, out); break;
        case CN_ATTR_rnn: print_rnn(out, &a->rnn); break;
        case CN_ATTR_attention:
            cn_buf_format(out, " scale=%.9g%s%s", a->attention.scale, a->attention.causal ? " causal" : "", a->attention.zero_rows ? " zero_rows" : "");
            break;
        case CN_ATTR_random: cn_buf_format(out, " %s stream=%u", a->random.normal ? "normal" : "uniform", a->random.stream); break;
    }
}

void cn_graph_print(const cn_graph* g, cn_buf* out) {
    char text[256];

    for (int i = 0; i < g->count; i++) {
        const cn_node* node = &g->nodes[i];
        cn_buf_format(out, "%%%d = %s(", i, cn_op_info_of(node->op)->name);
        for (int k = 0; k < node->input_count; k++) {
            if (node->inputs[k] == CN_NONE) cn_buf_format(out, "%s-", k ? ", " : "");
            else cn_buf_format(out, "%s%%%d", k ? ", " : "", node->inputs[k]);
        }
        cn_buf_text(out, ") {");
        print_attr(g, node, out);
        cn_buf_format(out, " } : %s", cn_type_text(&g->types[i], text));
        if (node->label[0]) cn_buf_format(out, "  # %s", node->label);
        cn_buf_text(out, "\n");
    }
    cn_buf_text(out, "return");
    for (int i = 0; i < g->output_count; i++) cn_buf_format(out, "%s%%%d", i ? ", " : " ", g->outputs[i]);
    cn_buf_text(out, "\n");
}
