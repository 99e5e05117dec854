/* Segments by levels: a node's segment is the largest of its inputs', one more where the place changes; places alternate. Both places are
 * tried as the first and the shorter row is taken. Invariant: a node's inputs are made in its own segment or an earlier one. */
#include "plan/segment.h"

#include "plan/plan.h"

typedef struct cutter {
    const cn_graph* g;
    bool* constant; /* of each value */
    bool* host;     /* of each node */
    int* level[2];  /* of each node, with the device or the host first; -1: in no segment */
    int* seen;      /* of each value: segment number + 1 that listed it last */
} cutter;

static cornu_status cutter_init(cutter* c, const cn_graph* g) {
    size_t n = (size_t)g->count + 1;

    *c = (cutter){.g = g};
    c->constant = cn_alloc_zero(n, sizeof *c->constant);
    c->host = cn_alloc_zero(n, sizeof *c->host);
    c->seen = cn_alloc_zero(n, sizeof *c->seen);
    for (int k = 0; k < 2; k++) c->level[k] = cn_alloc_zero(n, sizeof *c->level[k]);
    return c->constant && c->host && c->seen && c->level[0] && c->level[1] ? CORNU_OK : CN_NO_MEMORY(n * sizeof *c->seen);
}

static void cutter_deinit(cutter* c) {
    cn_free(c->constant);
    cn_free(c->host);
    cn_free(c->seen);
    for (int k = 0; k < 2; k++) cn_free(c->level[k]);
}

/* Levels with the host or the device first; returns how many. */
static int find_levels(cutter* c, bool host_first) {
    int* level = c->level[host_first];
    int count = 0;

    for (int i = 0; i < c->g->count; i++) {
        const cn_node* node = &c->g->nodes[i];
        level[i] = -1;
        if (c->constant[i] || node->op == CN_OP_input) continue;
        level[i] = c->host[i] == host_first ? 0 : 1;
        for (int k = 0; k < node->input_count; k++) {
            int from = node->inputs[k] == CN_NONE ? -1 : level[node->inputs[k]], least;
            if (from < 0) continue;
            least = from + (c->host[node->inputs[k]] != c->host[i]);
            if (least > level[i]) level[i] = least;
        }
        if (level[i] >= count) count = level[i] + 1;
    }
    return count;
}

/* The list_ functions run twice: with fill false they count alone, so that each list is allocated once. */
static void list_nodes(cutter* c, const int* level, cn_segment* segments, bool fill) {
    for (int i = 0; i < c->g->count; i++) {
        cn_segment* s = level[i] < 0 ? NULL : &segments[level[i]];
        if (!s) continue;
        if (fill) s->nodes[s->node_count] = i;
        s->node_count++;
    }
}

static void list_inputs(cutter* c, const int* level, cn_segment* s, int number, bool fill) {
    for (int n = 0; n < s->node_count; n++) {
        const cn_node* node = &c->g->nodes[s->nodes[n]];
        for (int k = 0; k < node->input_count; k++) {
            cn_id v = node->inputs[k];
            if (v == CN_NONE || c->constant[v] || level[v] == number || c->seen[v] == number + 1) continue;
            c->seen[v] = number + 1;
            if (fill) s->inputs[s->input_count] = v;
            s->input_count++;
        }
    }
}

/* seen[v] becomes true for the values that another segment reads or the graph returns. */
static void mark_outputs(cutter* c, const int* level) {
    for (int i = 0; i <= c->g->count; i++) c->seen[i] = 0;
    for (int i = 0; i < c->g->count; i++) {
        const cn_node* node = &c->g->nodes[i];
        for (int k = 0; k < node->input_count && level[i] >= 0; k++) {
            if (node->inputs[k] != CN_NONE && level[node->inputs[k]] != level[i]) c->seen[node->inputs[k]] = 1;
        }
    }
    for (int i = 0; i < c->g->output_count; i++) c->seen[c->g->outputs[i]] = 1;
}

static void list_outputs(const cutter* c, cn_segment* s, bool fill) {
    for (int n = 0; n < s->node_count; n++) {
        if (!c->seen[s->nodes[n]]) continue;
        if (fill) s->outputs[s->output_count] = s->nodes[n];
        s->output_count++;
    }
}

static cornu_status take_list(int** list, int* count) {
    *list = cn_alloc_zero((size_t)*count + 1, sizeof **list);
    if (!*list) return CN_NO_MEMORY((size_t)*count * sizeof **list);
    *count = 0;
    return CORNU_OK;
}

static cornu_status fill_segments(cutter* c, const int* level, cn_segment* segments, int count) {
    list_nodes(c, level, segments, false);
    for (int i = 0; i < count; i++) CN_TRY(take_list(&segments[i].nodes, &segments[i].node_count));
    list_nodes(c, level, segments, true);
    for (int i = 0; i < count; i++) list_inputs(c, level, &segments[i], i, false);
    for (int i = 0; i <= c->g->count; i++) c->seen[i] = 0;
    for (int i = 0; i < count; i++) {
        CN_TRY(take_list(&segments[i].inputs, &segments[i].input_count));
        list_inputs(c, level, &segments[i], i, true);
    }
    mark_outputs(c, level);
    for (int i = 0; i < count; i++) {
        list_outputs(c, &segments[i], false);
        CN_TRY(take_list(&segments[i].outputs, &segments[i].output_count));
        list_outputs(c, &segments[i], true);
    }
    return CORNU_OK;
}

cornu_status cn_segments_create(const cn_graph* g, bool device_is_host, cn_place_node place, void* user, cn_segment** out, int* out_count) {
    cutter c;
    cn_segment* segments = NULL;
    int counts[2], count = 0;
    bool host_first;
    cornu_status st;

    *out = NULL;
    *out_count = 0;
    CN_STEP(cutter_init(&c, g));
    cn_plan_mark_constant(g, c.constant);
    for (int i = 0; i < g->count; i++) {
        cn_placement where = place ? place(user, g, i) : cn_op_info_of(g->nodes[i].op)->placement;
        c.host[i] = device_is_host || where == CN_PLACE_HOST;
    }
    for (int k = 0; k < 2; k++) counts[k] = find_levels(&c, k == 1);
    host_first = device_is_host || counts[1] < counts[0];
    count = counts[host_first] ? counts[host_first] : 1;
    segments = cn_alloc_zero((size_t)count, sizeof *segments);
    if (!segments) {
        st = CN_NO_MEMORY((size_t)count * sizeof *segments);
        goto done;
    }
    for (int i = 0; i < count; i++) segments[i].host = (i % 2 == 0) == host_first;
    CN_STEP(fill_segments(&c, c.level[host_first], segments, count));
    *out = segments;
    *out_count = count;
    segments = NULL;
done:
    cn_segments_destroy(segments, count);
    cutter_deinit(&c);
    return st;
}

void cn_segments_destroy(cn_segment* segments, int count) {
    for (int i = 0; segments && i < count; i++) {
        cn_free(segments[i].nodes);
        cn_free(segments[i].inputs);
        cn_free(segments[i].outputs);
    }
    cn_free(segments);
}
