/* Making plans. A buffer is a set of values that share a place: a value, the reshapes of it, and elementwise results
 * written over it. Invariant: two buffers whose lifetimes meet do not overlap. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct buffer {
    uint64_t size;   /* bytes, aligned */
    uint64_t offset; /* bytes */
    int first, last; /* steps: lifetime, both included */
} buffer;

typedef struct planner {
    const cn_graph* g;
    cn_plan* plan;
    uint64_t alignment;
    bool* constant; /* of each value */
    bool* needed;   /* of each value: an output depends on it */
    int* last_use;  /* of each value: step index, step_count for outputs */
    int* owner;     /* of each value: buffer number, -1 for none */
    buffer* buffers;
    int buffer_count;
} planner;

void cn_plan_mark_constant(const cn_graph* g, bool* constant) {
    for (int i = 0; i < g->count; i++) {
        const cn_node* node = &g->nodes[i];
        constant[i] = node->op != CN_OP_input && node->op != CN_OP_random;
        for (int k = 0; k < node->input_count && constant[i]; k++) {
            if (node->inputs[k] != CN_NONE) constant[i] = constant[node->inputs[k]];
        }
    }
}


static void mark_needed(planner* p) {
    const cn_graph* g = p->g;

    for (int i = 0; i < g->output_count; i++) p->needed[g->outputs[i]] = true;
    for (int i = g->count - 1; i >= 0; i--) {
        const cn_node* node = &g->nodes[i];
        for (int k = 0; p->needed[i] && !p->constant[i] && k < node->input_count; k++) {
            if (node->inputs[k] != CN_NONE) p->needed[node->inputs[k]] = true;
        }
    }
}

static void list_steps_and_constants(planner* p) {
    cn_plan* plan = p->plan;

    for (int i = 0; i < p->g->count; i++) {
        if (!p->needed[i]) continue;
        if (p->constant[i]) {
            plan->places[i] = (cn_place){CN_PLACE_CONSTANT, plan->constant_count, 0};
            plan->constants[plan->constant_count++] = i;
        } else if (p->g->nodes[i].op == CN_OP_input) {
            plan->places[i] = (cn_place){CN_PLACE_INPUT, p->g->nodes[i].attr.port.index, 0};
        } else {
            plan->steps[plan->step_count++] = i;
        }
    }
}

static void find_last_uses(planner* p) {
    for (int s = 0; s < p->plan->step_count; s++) {
        const cn_node* node = &p->g->nodes[p->plan->steps[s]];
        p->last_use[node->output] = s;
        for (int k = 0; k < node->input_count; k++) {
            if (node->inputs[k] != CN_NONE) p->last_use[node->inputs[k]] = s;
        }
    }
    for (int i = 0; i < p->g->output_count; i++) p->last_use[p->g->outputs[i]] = p->plan->step_count;
}

/* Whether node may write over input k: same size and shape, so that element i is read before it is written. Of a matmul or conv that is
 * its residual. */
static bool may_overwrite(const planner* p, const cn_node* node, int k, int step) {
    const cn_type *in, *out = &p->g->types[node->output];
    cn_id v = node->inputs[k];
    bool elementwise;

    if (v == CN_NONE || p->owner[v] < 0) return false;
    if (node->op != CN_OP_ew && node->op != CN_OP_fused && !((node->op == CN_OP_matmul || node->op == CN_OP_conv) && k == 3)) return false;
    in = &p->g->types[v];
    if (in->ndim != out->ndim || memcmp(in->dims, out->dims, sizeof in->dims) != 0) return false;
    if (cornu_dtype_size(in->dtype) != cornu_dtype_size(out->dtype)) return false;
    elementwise = node->op == CN_OP_ew || node->op == CN_OP_fused;
    for (int i = 0; i < node->input_count; i++) { /* the same buffer through another, broadcast, view; or as what is multiplied */
        if (i == k || node->inputs[i] == CN_NONE || p->owner[node->inputs[i]] != p->owner[v]) continue;
        if (!elementwise || node->inputs[i] != v) return false;
    }
    return p->buffers[p->owner[v]].last == step;
}

/* The buffer that a step's value shares with one of its inputs, -1 for a buffer of its own. */
static int shared_buffer(const planner* p, const cn_node* node, int step) {
    if (node->op == CN_OP_reshape) return p->owner[node->inputs[0]];
    for (int k = 0; k < node->input_count; k++) {
        if (may_overwrite(p, node, k, step)) return p->owner[node->inputs[k]];
    }
    return -1;
}

/* Gives every step's value a buffer. A shared buffer lives until the last use of all that share it; a reshape's uses must be known
 * before an elementwise node may take the buffer over, so they are added to its source first, from the end. */
static void make_buffers(planner* p) {
    const cn_graph* g = p->g;

    for (int s = p->plan->step_count - 1; s >= 0; s--) {
        const cn_node* node = &g->nodes[p->plan->steps[s]];
        cn_id from = node->op == CN_OP_reshape ? node->inputs[0] : CN_NONE;
        if (from != CN_NONE && p->last_use[from] < p->last_use[node->output]) p->last_use[from] = p->last_use[node->output];
    }
    for (int s = 0; s < p->plan->step_count; s++) {
        const cn_node* node = &g->nodes[p->plan->steps[s]];
        uint64_t size = (cn_type_bytes(&g->types[node->output]) + p->alignment - 1) / p->alignment * p->alignment;
        int b = shared_buffer(p, node, s);
        if (node->op == CN_OP_reshape && b < 0) { /* of an input or a constant: the same place */
            p->plan->places[node->output] = p->plan->places[node->inputs[0]];
            continue;
        }
        if (b < 0) {
            b = p->buffer_count++;
            p->buffers[b] = (buffer){size, 0, s, s};
        }
        p->owner[node->output] = b;
        if (p->buffers[b].last < p->last_use[node->output]) p->buffers[b].last = p->last_use[node->output];
    }
}

/* Lowest offset at which buffer b overlaps no placed buffer that lives at the same time. placed: sorted by offset. */
static uint64_t lowest_gap(const planner* p, const int* placed, int placed_count, const buffer* b) {
    uint64_t at = 0;

    for (int i = 0; i < placed_count; i++) {
        const buffer* other = &p->buffers[placed[i]];
        if (other->last < b->first || b->last < other->first) continue;
        if (other->offset >= at + b->size) break;
        if (other->offset + other->size > at) at = other->offset + other->size;
    }
    return at;
}

static int by_size(const void* a, const void* b) {
    const buffer *x = *(buffer* const*)a, *y = *(buffer* const*)b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static cornu_status place_buffers(planner* p) {
    size_t n = (size_t)p->buffer_count;
    buffer** order = cn_alloc_zero(n + 1, sizeof *order);
    int* placed = cn_alloc_zero(n + 1, sizeof *placed);
    int placed_count = 0;
    cornu_status st = CORNU_OK;

    if (!order || !placed) {
        st = CN_NO_MEMORY((n + 1) * sizeof *order);
        goto done;
    }
    for (size_t i = 0; i < n; i++) order[i] = &p->buffers[i];
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n; i++) {
        buffer* b = order[i];
        int at = placed_count++;
        b->offset = lowest_gap(p, placed, placed_count - 1, b);
        while (at > 0 && p->buffers[placed[at - 1]].offset > b->offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = (int)(b - p->buffers);
        if (b->offset + b->size > p->plan->arena_bytes) p->plan->arena_bytes = b->offset + b->size;
    }
    for (int i = 0; i < p->g->count; i++) {
        if (p->owner[i] >= 0) p->plan->places[i] = (cn_place){CN_PLACE_ARENA, 0, p->buffers[p->owner[i]].offset};
    }
done:
    cn_free(order);
    cn_free(placed);
    return st;
}

static void find_peak(planner* p) {
    for (int s = 0; s <= p->plan->step_count; s++) {
        uint64_t sum = 0;
        for (int b = 0; b < p->buffer_count; b++) {
            if (p->buffers[b].first <= s && s <= p->buffers[b].last) sum += p->buffers[b].size;
        }
        if (sum > p->plan->peak_bytes) p->plan->peak_bytes = sum;
    }
}

cornu_status cn_plan_create(const cn_graph* graph, uint64_t alignment, cn_plan** out) {
    planner p = {.g = graph, .alignment = alignment};
    size_t n = (size_t)graph->count + 1;
    cornu_status st = CORNU_OK;

    *out = NULL;
    p.plan = cn_alloc_zero(1, sizeof *p.plan);
    p.constant = cn_alloc_zero(n, sizeof *p.constant);
    p.needed = cn_alloc_zero(n, sizeof *p.needed);
    p.last_use = cn_alloc_zero(n, sizeof *p.last_use);
    p.owner = cn_alloc_zero(n, sizeof *p.owner);
    p.buffers = cn_alloc_zero(n, sizeof *p.buffers);
    if (p.plan) {
        p.plan->graph = graph;
        p.plan->repeats = 1;
        p.plan->lanes = 1;
        p.plan->steps = cn_alloc_zero(n, sizeof *p.plan->steps);
        p.plan->places = cn_alloc_zero(n, sizeof *p.plan->places);
        p.plan->constants = cn_alloc_zero(n, sizeof *p.plan->constants);
    }
    if (!p.plan || !p.plan->steps || !p.plan->places || !p.plan->constants || !p.constant || !p.needed || !p.last_use ||
        !p.owner || !p.buffers) {
        st = CN_NO_MEMORY(n * sizeof *p.buffers);
        goto done;
    }
    for (size_t i = 0; i < n; i++) p.owner[i] = -1;
    cn_plan_mark_constant(graph, p.constant);
    mark_needed(&p);
    list_steps_and_constants(&p);
    find_last_uses(&p);
    make_buffers(&p);
    CN_STEP(place_buffers(&p));
    find_peak(&p);
    *out = p.plan;
    p.plan = NULL;
done:
    cn_plan_destroy(p.plan);
    cn_free(p.constant);
    cn_free(p.needed);
    cn_free(p.last_use);
    cn_free(p.owner);
    cn_free(p.buffers);
    return st;
}

void cn_plan_destroy(cn_plan* plan) {
    if (!plan) return;
    cn_free(plan->steps);
    cn_free(plan->places);
    cn_free(plan->constants);
    cn_free(plan);
}
