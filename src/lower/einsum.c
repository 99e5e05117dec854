/* EinsumDense. Every label of an einsum of two operands is one of
 *
 *     batch   in x, kernel and y         x -> [batch, rows, inner]
 *     rows    in x and y                 kernel -> [batch, inner, columns]
 *     columns in kernel and y            y = x kernel, [batch, rows, columns], then put in y's order
 *     inner   in x and kernel
 *     summed  in x alone
 *
 * "..." stands for labels of x and y that have no letter. */
#include <string.h>

#include "lower/layer.h"

/* Letters are labels of their own code; those of "..." are numbered from here, in order. */
#define ELIDED 128
#define MAX_LABEL (ELIDED + CORNU_MAX_DIMS)

typedef struct labels {
    int n;
    uint8_t at[CORNU_MAX_DIMS];
    bool left, right; /* "..." at the begin, at the end */
} labels;

typedef struct equation {
    labels x, kernel, y;
    int64_t size[MAX_LABEL]; /* of each label, -1 unknown */
    uint8_t uses[MAX_LABEL]; /* bit 0: in x, 1: in kernel, 2: in y */
} equation;

enum { IN_X = 1, IN_KERNEL = 2, IN_Y = 4 };

/* ---- the equation ---- */

static bool parse_labels(const char** text, labels* out) {
    const char* at = *text;

    memset(out, 0, sizeof *out);
    if (strncmp(at, "...", 3) == 0) out->left = true, at += 3;
    for (; (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'); at++) {
        if (out->n == CORNU_MAX_DIMS) return false;
        out->at[out->n++] = (uint8_t)*at;
    }
    if (strncmp(at, "...", 3) == 0) {
        if (out->left) return false;
        out->right = true, at += 3;
    }
    *text = at;
    return out->n > 0;
}

/* [X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]... */
static bool parse_equation(const char* text, equation* e) {
    if (!parse_labels(&text, &e->x) || *text++ != ',' || !parse_labels(&text, &e->kernel) || *text++ != '-' || *text++ != '>' ||
        !parse_labels(&text, &e->y)) {
        return false;
    }
    return *text == 0 && e->x.left == e->y.left && e->x.right == e->y.right && !e->kernel.left && !e->kernel.right;
}

/* Writes the elided labels into the list; false if there is no room. */
static bool expand(labels* l, int count) {
    if (l->n + count > CORNU_MAX_DIMS || count < 0 || (count > 0 && !l->left && !l->right)) return false;
    if (l->left) memmove(l->at + count, l->at, (size_t)l->n);
    for (int i = 0; i < count; i++) l->at[l->left ? i : l->n + i] = (uint8_t)(ELIDED + i);
    l->n += count;
    return true;
}

/* Notes which labels an operand has; false if one is there twice. */
static bool note(equation* e, const labels* l, uint8_t use) {
    for (int i = 0; i < l->n; i++) {
        if (e->uses[l->at[i]] & use) return false;
        e->uses[l->at[i]] |= use;
    }
    return true;
}

static cornu_status read_equation(cn_call* c, const cn_type* x, equation* e) {
    const char* text;
    int elided;

    memset(e, 0, sizeof *e);
    memset(e->size, -1, sizeof e->size);
    CN_TRY(cn_config_string(c->layer, "equation", "", &text));
    if (!parse_equation(text, e)) return cn_config_bad(c->layer, "equation", "ab,bc->ac, ...ab,bc->...ac or ab...,bc->ac... is allowed");
    elided = x->ndim - e->x.n;
    if (!expand(&e->x, elided) || !expand(&e->y, elided)) return CN_FAIL(BAD_ARGUMENT, "equation %s does not fit an input of %d axes", text, x->ndim);
    if (!note(e, &e->x, IN_X) || !note(e, &e->kernel, IN_KERNEL) || !note(e, &e->y, IN_Y))
        return cn_config_unsupported(c->layer, "equation", "a label twice in one operand is not known here");
    for (int i = 0; i < MAX_LABEL; i++) {
        if (e->uses[i] == IN_Y || e->uses[i] == IN_KERNEL) return cn_config_bad(c->layer, "equation", "each label of the output must be in an operand, each of the kernel in the input or the output");
    }
    for (int i = 0; i < e->x.n; i++) e->size[e->x.at[i]] = x->dims[i];
    return CORNU_OK;
}

/* ---- the product ---- */

/* Appends the labels of l whose use is exactly `use`; gives the product of their sizes. */
static int64_t pick(const equation* e, const labels* l, uint8_t use, labels* out) {
    int64_t size = 1;

    for (int i = 0; i < l->n; i++) {
        if (e->uses[l->at[i]] != use) continue;
        out->at[out->n++] = l->at[i];
        size *= e->size[l->at[i]];
    }
    return size;
}

/* v, whose axes are labelled by from, with the axes in the order of to. */
static cn_id arrange(cn_graph* g, cn_id v, const labels* from, const labels* to) {
    int perm[CORNU_MAX_DIMS] = {0};

    for (int i = 0; i < to->n; i++) {
        for (int k = 0; k < from->n; k++) {
            if (from->at[k] == to->at[i]) perm[i] = k;
        }
    }
    return cn_graph_transpose(g, v, perm);
}

static cn_id product(cn_call* c, const equation* e, cn_id x, cn_id kernel) {
    const uint8_t all = IN_X | IN_KERNEL | IN_Y;
    labels left = {0}, right = {0}, result = {0}, kept = {0};
    int64_t batch, rows, inner, columns, dims[CORNU_MAX_DIMS];
    uint32_t summed = 0;

    for (int i = 0; i < e->x.n; i++) {
        if (e->uses[e->x.at[i]] == IN_X) summed |= 1u << i;
        else kept.at[kept.n++] = e->x.at[i];
    }
    if (summed) x = cn_graph_reduce(c->g, x, CN_REDUCE_SUM, summed, false);
    batch = pick(e, &e->x, all, &left);
    rows = pick(e, &e->x, IN_X | IN_Y, &left);
    inner = pick(e, &e->x, IN_X | IN_KERNEL, &left);
    (void)pick(e, &e->x, all, &right);
    (void)pick(e, &e->x, IN_X | IN_KERNEL, &right);
    columns = pick(e, &e->kernel, IN_KERNEL | IN_Y, &right);
    (void)pick(e, &e->x, all, &result);
    (void)pick(e, &e->x, IN_X | IN_Y, &result);
    (void)pick(e, &e->kernel, IN_KERNEL | IN_Y, &result);
    x = arrange(c->g, x, &kept, &left);
    kernel = arrange(c->g, kernel, &e->kernel, &right);
    if (batch == 1) {
        x = cn_graph_reshape(c->g, x, 2, (const int64_t[]){rows, inner});
        kernel = cn_graph_reshape(c->g, kernel, 2, (const int64_t[]){inner, columns});
    } else {
        x = cn_graph_reshape(c->g, x, 3, (const int64_t[]){batch, rows, inner});
        kernel = cn_graph_reshape(c->g, kernel, 3, (const int64_t[]){batch, inner, columns});
    }
    x = cn_graph_matmul(c->g, x, kernel, false, false);
    for (int i = 0; i < result.n; i++) dims[i] = e->size[result.at[i]];
    return arrange(c->g, cn_graph_reshape(c->g, x, result.n, dims), &result, &e->y);
}

/* ---- the layer ---- */

/* Sizes of the labels that only output_shape gives: those of y after the batch, without the elided ones unless null or equal. */
static cornu_status read_output_shape(cn_call* c, equation* e) {
    int64_t config[CORNU_MAX_DIMS];
    int n, skip = 1, letters = e->y.n;

    CN_TRY(cn_config_list(c->layer, "output_shape", CORNU_MAX_DIMS, 0, INT64_MAX, true, config, &n));
    for (int i = 0; i < e->y.n; i++) letters -= e->y.at[i] >= ELIDED;
    if (e->y.left && letters < e->y.n) skip = e->y.n - letters; /* the batch is elided */
    for (int i = 0; i < n && skip + i < e->y.n; i++) {
        int64_t* size = &e->size[e->y.at[skip + i]];
        if (config[i] < 0 || e->y.at[skip + i] >= ELIDED) continue;
        if (*size >= 0 && *size != config[i]) return CN_FAIL(BAD_ARGUMENT, "output_shape gives %lld where its input has %lld", (long long)config[i], (long long)*size);
        *size = config[i];
    }
    return CORNU_OK;
}

/* The bias has the axes of y from the first of bias_axes on; size 1 where y's label is not one of them. */
static cornu_status add_bias(cn_call* c, const equation* e, const char* axes, cn_id* y) {
    int64_t dims[CORNU_MAX_DIMS];
    int first = e->y.n, n = 0;
    cn_id bias;

    for (const char* at = axes; *at; at++) {
        int k = 0;
        while (k < e->y.n && e->y.at[k] != (uint8_t)*at) k++;
        if (k == e->y.n || (uint8_t)*at >= ELIDED) return cn_config_bad(c->layer, "bias_axes", "labels of the output are allowed");
        if (k < first) first = k;
    }
    for (int i = first; i < e->y.n; i++) {
        bool has = e->y.at[i] < ELIDED && strchr(axes, e->y.at[i]) != NULL;
        dims[n++] = has ? e->size[e->y.at[i]] : 1;
    }
    CN_TRY(cn_call_weight(c, 1, n, dims, &bias));
    *y = cn_graph_ew2(c->g, CN_EW_add, *y, bias);
    return cn_graph_status(c->g);
}

cornu_status cn_lower_einsum_dense(cn_call* c) {
    int64_t dims[CORNU_MAX_DIMS];
    const char* bias_axes;
    cn_id x, kernel, y;
    equation e;

    CN_TRY(cn_call_tensor(c, &x));
    CN_TRY(cn_config_string(c->layer, "bias_axes", NULL, &bias_axes));
    if (bias_axes && !*bias_axes) return cn_config_bad(c->layer, "bias_axes", "null or labels of the output are allowed");
    CN_TRY(read_equation(c, cn_call_type(c, x), &e));
    CN_TRY(read_output_shape(c, &e));
    CN_TRY(cn_call_weight_count(c, bias_axes ? 2 : 1));
    for (int i = 0; i < e.kernel.n; i++) dims[i] = e.size[e.kernel.at[i]];
    CN_TRY(cn_call_weight(c, 0, e.kernel.n, dims, &kernel));
    for (int i = 0; i < e.kernel.n; i++) e.size[e.kernel.at[i]] = cn_call_type(c, kernel)->dims[i];
    y = product(c, &e, cn_graph_cast(c->g, x, c->compute), kernel);
    CN_TRY(cn_graph_status(c->g));
    if (bias_axes) CN_TRY(add_bias(c, &e, bias_axes, &y));
    CN_TRY(cn_call_activation(c, "activation", y, &y));
    return cn_call_return(c, y);
}
