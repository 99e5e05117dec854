/* Where boxes and arrows go: layers of the graph become ranks, as in the method of Sugiyama. A box that holds others is
 * laid out by itself first and is one large box in its own level; so boxes never overlap.
 *
 * Inside, `across` is the axis along a rank and `along` is the one the arrows follow:
 *
 *     along |  rank 0   [a]   [b]          sideways: the same turned, across is y and along is x
 *           |             \   / |
 *           v  rank 1     [sum] .          . is a point of a longer arrow, which keeps boxes out of its way
 *                            \  |
 *              rank 2        [join]
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "plot.h"
#include "text.h"

#define RANK_GAP 36.0
#define BOX_GAP 24.0
#define POINT_GAP 14.0
#define SWEEPS 12
/* Above this many points, long arrows are drawn straight: time and space then follow the size of the file. */
#define MOST_POINTS 200000

/* A box or a point of a long arrow. */
typedef struct slot {
    int node; /* of the graph, -1 for a point */
    int rank;
    double across, along; /* size */
    double centre;        /* across */
    double wish;          /* where it would like to be while its rank is sorted or placed */
} slot;

/* Neighbours in the ranks before (0) and behind (1): slots list[start[i]] up to list[start[i + 1]]. */
typedef struct links {
    int* start;
    int* list;
} links;

/* One level: the boxes with one parent. */
typedef struct level {
    plot_graph* graph;
    int* edges; /* of this level, with two different ends */
    int n_edges;
    int* first_slot; /* [n_edges] first point of each, the others follow; -1 for none */
    char* turned;    /* [n_edges] 1: closes a cycle and is laid out from its target to its source */
    slot* slots;
    int n_slots, n_boxes;
    int n_ranks;
    int *rank_start, *rank_slots; /* slots of a rank in the order across */
    double *rank_at, *rank_along;
    links side[2];
} level;

static void measure(plot_node* node) {
    char* lines[4];
    int columns = 0;
    const int count = plot_node_lines(node, lines);
    for (int i = 0; i < count; i++) {
        const int width = cli_text_width(lines[i]);
        if (width > columns) columns = width;
        free(lines[i]);
    }
    const double width = columns * PLOT_COLUMN + 2 * PLOT_PADDING;
    const double height = count * PLOT_LINE + PLOT_PADDING;
    if (!node->holds) {
        node->width = width;
        node->height = height;
        return;
    }
    /* width and height are those of what it holds. */
    const double wider = width > node->width + 2 * PLOT_PADDING ? width : node->width + 2 * PLOT_PADDING;
    node->inner.x = (wider - node->width) / 2;
    node->inner.y = height;
    node->width = wider;
    node->height += height + PLOT_PADDING;
}

/* ---- ranks ---- */

static int end_of(const level* lv, int edge, int head, const int* slot_of) {
    const plot_edge* e = &lv->graph->edges[lv->edges[edge]];
    return slot_of[(head != lv->turned[edge]) ? e->to : e->from];
}

/* Lists of the edges' other ends by slot; side 0 lists sources, side 1 targets. */
static void make_links(links* out, int n_slots, const int (*pairs)[2], int n_pairs, int side) {
    out->start = cli_alloc((size_t)n_slots + 2, sizeof *out->start);
    out->list = cli_alloc((size_t)n_pairs + 1, sizeof *out->list);
    int* start = out->start + 1;
    for (int i = 0; i < n_pairs; i++) start[pairs[i][1 - side] + 1]++;
    for (int i = 0; i < n_slots; i++) start[i + 1] += start[i];
    for (int i = 0; i < n_pairs; i++) out->list[start[pairs[i][1 - side]]++] = pairs[i][side];
}

static void free_links(links* l) {
    free(l->start);
    free(l->list);
}

/* Orders the boxes so that sources come before targets; where a cycle leaves none that is free, the first box of the
 * file is taken, and its arrows from boxes behind it are turned. order[] lists boxes. */
static void order_boxes(const level* lv, int* order) {
    const int n = lv->n_boxes;
    int* waits = cli_alloc((size_t)n + 1, sizeof *waits);
    char* done = cli_alloc((size_t)n + 1, 1);
    int used = 0, first = 0;

    for (int i = 0; i < n; i++) waits[i] = lv->side[0].start[i + 1] - lv->side[0].start[i];
    for (int i = 0; i < n; i++) {
        if (waits[i] == 0) {
            done[i] = 1;
            order[used++] = i;
        }
    }
    for (int at = 0; at < n; at++) {
        while (at == used && done[first]) first++;
        if (at == used) {
            done[first] = 1;
            order[used++] = first;
        }
        const int box = order[at];
        for (int k = lv->side[1].start[box]; k < lv->side[1].start[box + 1]; k++) {
            const int next = lv->side[1].list[k];
            if (--waits[next] > 0 || done[next]) continue;
            done[next] = 1;
            order[used++] = next;
        }
    }
    free(waits);
    free(done);
}

static void link_boxes(level* lv, const int* slot_of) {
    int(*pairs)[2] = cli_alloc((size_t)lv->n_edges + 1, sizeof *pairs);
    for (int i = 0; i < lv->n_edges; i++) {
        pairs[i][0] = end_of(lv, i, 0, slot_of);
        pairs[i][1] = end_of(lv, i, 1, slot_of);
    }
    for (int side = 0; side < 2; side++)
        make_links(&lv->side[side], lv->n_boxes, (const int(*)[2])pairs, lv->n_edges, side);
    free(pairs);
}

/* The longest way from a source; then sources go next to what they feed. */
static void rank_boxes(level* lv, const int* slot_of) {
    int* order = cli_alloc((size_t)lv->n_boxes + 1, sizeof *order);
    int* position = cli_alloc((size_t)lv->n_boxes + 1, sizeof *position);

    link_boxes(lv, slot_of);
    order_boxes(lv, order);
    for (int i = 0; i < lv->n_boxes; i++) position[order[i]] = i;
    for (int i = 0; i < lv->n_edges; i++) {
        const int from = end_of(lv, i, 0, slot_of), to = end_of(lv, i, 1, slot_of);
        lv->turned[i] = position[from] > position[to];
    }
    for (int side = 0; side < 2; side++) free_links(&lv->side[side]);
    link_boxes(lv, slot_of);
    for (int i = 0; i < lv->n_boxes; i++) {
        slot* box = &lv->slots[order[i]];
        for (int k = lv->side[0].start[order[i]]; k < lv->side[0].start[order[i] + 1]; k++) {
            const int before = lv->slots[lv->side[0].list[k]].rank;
            if (before >= box->rank) box->rank = before + 1;
        }
        if (box->rank >= lv->n_ranks) lv->n_ranks = box->rank + 1;
    }
    for (int i = 0; i < lv->n_boxes; i++) {
        const int from = lv->side[1].start[i], to = lv->side[1].start[i + 1];
        if (lv->side[0].start[i] != lv->side[0].start[i + 1] || from == to) continue;
        int nearest = lv->n_ranks;
        for (int k = from; k < to; k++) {
            if (lv->slots[lv->side[1].list[k]].rank < nearest) nearest = lv->slots[lv->side[1].list[k]].rank;
        }
        lv->slots[i].rank = nearest - 1;
    }
    for (int side = 0; side < 2; side++) free_links(&lv->side[side]);
    free(order);
    free(position);
}

/* ---- points of long arrows ---- */

static void add_points(level* lv, const int* slot_of) {
    long long wanted = 0, n_pairs = 0;
    for (int i = 0; i < lv->n_edges; i++) {
        wanted += lv->slots[end_of(lv, i, 1, slot_of)].rank - lv->slots[end_of(lv, i, 0, slot_of)].rank - 1;
    }
    const int split = wanted <= MOST_POINTS;
    slot* slots = cli_alloc((size_t)lv->n_boxes + (split ? (size_t)wanted : 0) + 1, sizeof *slots);
    int(*pairs)[2] = cli_alloc((size_t)lv->n_edges + (split ? (size_t)wanted : 0) + 1, sizeof *pairs);
    memcpy(slots, lv->slots, (size_t)lv->n_boxes * sizeof *slots);
    free(lv->slots);
    lv->slots = slots;
    for (int i = 0; i < lv->n_edges; i++) {
        int last = end_of(lv, i, 0, slot_of);
        const int target = end_of(lv, i, 1, slot_of);
        lv->first_slot[i] = -1;
        for (int rank = slots[last].rank + 1; split && rank < slots[target].rank; rank++) {
            const int point = lv->n_slots++;
            slots[point] = (slot){.node = -1, .rank = rank};
            if (lv->first_slot[i] < 0) lv->first_slot[i] = point;
            pairs[n_pairs][0] = last;
            pairs[n_pairs++][1] = point;
            last = point;
        }
        pairs[n_pairs][0] = last;
        pairs[n_pairs++][1] = target;
    }
    for (int side = 0; side < 2; side++)
        make_links(&lv->side[side], lv->n_slots, (const int(*)[2])pairs, (int)n_pairs, side);
    free(pairs);
}

/* ---- order and places across ---- */

static void fill_ranks(level* lv) {
    lv->rank_start = cli_alloc((size_t)lv->n_ranks + 2, sizeof *lv->rank_start);
    lv->rank_slots = cli_alloc((size_t)lv->n_slots + 1, sizeof *lv->rank_slots);
    int* start = lv->rank_start + 1;
    for (int i = 0; i < lv->n_slots; i++) start[lv->slots[i].rank + 1]++;
    for (int r = 0; r < lv->n_ranks; r++) start[r + 1] += start[r];
    for (int i = 0; i < lv->n_slots; i++) lv->rank_slots[start[lv->slots[i].rank]++] = i;
}

/* The mean place of the neighbours on one side; its own where it has none there. */
static double mean_of_neighbours(const level* lv, int index, int side) {
    const int from = lv->side[side].start[index], to = lv->side[side].start[index + 1];
    double sum = 0;
    for (int k = from; k < to; k++) sum += lv->slots[lv->side[side].list[k]].centre;
    return to > from ? sum / (to - from) : lv->slots[index].centre;
}

typedef struct sort_row {
    double wish;
    int place, slot;
} sort_row;

static int compare_rows(const void* a, const void* b) {
    const sort_row *x = a, *y = b;
    if (x->wish < y->wish || x->wish > y->wish) return x->wish < y->wish ? -1 : 1;
    return x->place - y->place;
}

static void sort_rank(level* lv, int rank, int side, sort_row* rows) {
    int* slots = lv->rank_slots + lv->rank_start[rank];
    const int n = lv->rank_start[rank + 1] - lv->rank_start[rank];
    for (int i = 0; i < n; i++) rows[i] = (sort_row){mean_of_neighbours(lv, slots[i], side), i, slots[i]};
    qsort(rows, (size_t)n, sizeof *rows, compare_rows);
    /* Centres are places in the order until boxes are placed, each rank stretched to the same length. */
    for (int i = 0; i < n; i++) {
        slots[i] = rows[i].slot;
        lv->slots[slots[i]].centre = (i + 0.5) / n;
    }
}

static double distance_between(const slot* a, const slot* b) {
    const double gap = a->node >= 0 && b->node >= 0 ? BOX_GAP : POINT_GAP;
    return (a->across + b->across) / 2 + gap;
}

/* Puts the slots of a rank as near to their wishes as their order and sizes allow: with the least distances taken off,
 * wishes must only rise, and the nearest rising row (least squares) is found by pooling neighbours that fall. */
typedef struct pool {
    double sum;
    int count;
} pool;

static void place_rank(level* lv, int rank, pool* pools) {
    const int* slots = lv->rank_slots + lv->rank_start[rank];
    const int n = lv->rank_start[rank + 1] - lv->rank_start[rank];
    double offset = 0;
    int used = 0;
    for (int i = 0; i < n; i++) {
        slot* s = &lv->slots[slots[i]];
        if (i > 0) offset += distance_between(&lv->slots[slots[i - 1]], s);
        pools[used++] = (pool){s->wish - offset, 1};
        while (used > 1 && pools[used - 2].sum * pools[used - 1].count > pools[used - 1].sum * pools[used - 2].count) {
            pools[used - 2].sum += pools[used - 1].sum;
            pools[used - 2].count += pools[used - 1].count;
            used--;
        }
    }
    offset = 0;
    for (int p = 0, i = 0; p < used; p++) {
        for (int k = 0; k < pools[p].count; k++, i++) {
            if (i > 0) offset += distance_between(&lv->slots[slots[i - 1]], &lv->slots[slots[i]]);
            lv->slots[slots[i]].centre = pools[p].sum / pools[p].count + offset;
        }
    }
}

static void sweep(level* lv, int down, sort_row* rows, pool* pools) {
    for (int k = 0; k < lv->n_ranks; k++) {
        const int rank = down ? k : lv->n_ranks - 1 - k;
        if (rows != NULL) {
            sort_rank(lv, rank, down ? 0 : 1, rows);
            continue;
        }
        for (int i = lv->rank_start[rank]; i < lv->rank_start[rank + 1]; i++) {
            lv->slots[lv->rank_slots[i]].wish = mean_of_neighbours(lv, lv->rank_slots[i], down ? 0 : 1);
        }
        place_rank(lv, rank, pools);
    }
}

static void place_across(level* lv) {
    sort_row* rows = cli_alloc((size_t)lv->n_slots + 1, sizeof *rows);
    pool* pools = cli_alloc((size_t)lv->n_slots + 1, sizeof *pools);
    for (int r = 0; r < lv->n_ranks; r++) {
        const int n = lv->rank_start[r + 1] - lv->rank_start[r];
        for (int i = 0; i < n; i++) lv->slots[lv->rank_slots[lv->rank_start[r] + i]].centre = (i + 0.5) / n;
    }
    for (int i = 0; i < SWEEPS; i++) sweep(lv, i % 2 == 0, rows, pools);
    for (int i = 0; i < lv->n_slots; i++) lv->slots[i].wish = 0;
    for (int r = 0; r < lv->n_ranks; r++) place_rank(lv, r, pools);
    for (int i = 0; i < SWEEPS; i++) sweep(lv, i % 2 == 0, NULL, pools);
    free(rows);
    free(pools);
}

static void place_along(level* lv) {
    double at = 0;
    lv->rank_at = cli_alloc((size_t)lv->n_ranks + 1, sizeof *lv->rank_at);
    lv->rank_along = cli_alloc((size_t)lv->n_ranks + 1, sizeof *lv->rank_along);
    for (int r = 0; r < lv->n_ranks; r++) {
        for (int i = lv->rank_start[r]; i < lv->rank_start[r + 1]; i++) {
            const double size = lv->slots[lv->rank_slots[i]].along;
            if (size > lv->rank_along[r]) lv->rank_along[r] = size;
        }
        lv->rank_at[r] = at;
        at += lv->rank_along[r] + RANK_GAP;
    }
}

/* ---- from slots to the graph ---- */

static plot_point turn(const level* lv, double across, double along) {
    return lv->graph->sideways ? (plot_point){along, across} : (plot_point){across, along};
}

static void reverse(plot_point* points, int n) {
    for (int i = 0; i < n / 2; i++) {
        const plot_point kept = points[i];
        points[i] = points[n - 1 - i];
        points[n - 1 - i] = kept;
    }
}

static void draw_edge(level* lv, int index, const int* slot_of) {
    plot_edge* edge = &lv->graph->edges[lv->edges[index]];
    const slot* from = &lv->slots[end_of(lv, index, 0, slot_of)];
    const slot* to = &lv->slots[end_of(lv, index, 1, slot_of)];
    const int first = lv->first_slot[index];
    const int between = first < 0 ? 0 : to->rank - from->rank - 1;
    plot_point* p = cli_alloc(2 * (size_t)between + 4, sizeof *p);
    int n = 0;

    p[n++] = turn(lv, from->centre, lv->rank_at[from->rank] + from->along);
    p[n++] = turn(lv, from->centre, lv->rank_at[from->rank] + lv->rank_along[from->rank]);
    for (int i = 0; i < between; i++) {
        const slot* point = &lv->slots[first + i];
        p[n++] = turn(lv, point->centre, lv->rank_at[point->rank]);
        p[n++] = turn(lv, point->centre, lv->rank_at[point->rank] + lv->rank_along[point->rank]);
    }
    for (int i = 0; i < 2; i++) p[n++] = turn(lv, to->centre, lv->rank_at[to->rank]);
    if (lv->turned[index]) reverse(p, n);
    edge->points = p;
    edge->n_points = n;
}

/* Gives places to the boxes, from the corner of what holds them. Returns the size of all. */
static plot_point draw_level(level* lv, const int* slot_of) {
    double least = 0, most = 0;
    for (int i = 0; i < lv->n_slots; i++) {
        const slot* s = &lv->slots[i];
        if (i == 0 || s->centre - s->across / 2 < least) least = s->centre - s->across / 2;
        if (i == 0 || s->centre + s->across / 2 > most) most = s->centre + s->across / 2;
    }
    for (int i = 0; i < lv->n_slots; i++) lv->slots[i].centre -= least;
    for (int i = 0; i < lv->n_boxes; i++) {
        const slot* s = &lv->slots[i];
        lv->graph->nodes[s->node].at = turn(lv, s->centre - s->across / 2, lv->rank_at[s->rank]);
    }
    for (int i = 0; i < lv->n_edges; i++) draw_edge(lv, i, slot_of);
    const int last = lv->n_ranks - 1;
    return turn(lv, most - least, last < 0 ? 0 : lv->rank_at[last] + lv->rank_along[last]);
}

static void free_level(level* lv) {
    for (int side = 0; side < 2; side++) free_links(&lv->side[side]);
    free(lv->edges);
    free(lv->first_slot);
    free(lv->turned);
    free(lv->slots);
    free(lv->rank_start);
    free(lv->rank_slots);
    free(lv->rank_at);
    free(lv->rank_along);
}

/* boxes[n_boxes] and edges[n_edges] are those of the level. */
static plot_point lay_out_level(plot_graph* graph, const int* boxes, int n_boxes, const int* edges, int n_edges,
                                int* slot_of) {
    level lv;
    memset(&lv, 0, sizeof lv);
    lv.graph = graph;
    lv.n_boxes = lv.n_slots = n_boxes;
    lv.edges = cli_alloc((size_t)n_edges + 1, sizeof *lv.edges);
    lv.first_slot = cli_alloc((size_t)n_edges + 1, sizeof *lv.first_slot);
    lv.turned = cli_alloc((size_t)n_edges + 1, 1);
    lv.slots = cli_alloc((size_t)n_boxes + 1, sizeof *lv.slots);
    for (int i = 0; i < n_boxes; i++) {
        const plot_node* node = &graph->nodes[boxes[i]];
        const double across = graph->sideways ? node->height : node->width;
        lv.slots[i] = (slot){.node = boxes[i], .across = across, .along = node->width + node->height - across};
        slot_of[boxes[i]] = i;
    }
    for (int i = 0; i < n_edges; i++) {
        if (graph->edges[edges[i]].from != graph->edges[edges[i]].to) lv.edges[lv.n_edges++] = edges[i];
    }
    rank_boxes(&lv, slot_of);
    add_points(&lv, slot_of);
    fill_ranks(&lv);
    place_across(&lv);
    place_along(&lv);
    const plot_point size = draw_level(&lv, slot_of);
    free_level(&lv);
    return size;
}

/* Makes places absolute, parents first; edges are moved with what holds them. */
static void move_inside(plot_graph* graph) {
    const plot_point margin = {PLOT_PADDING, PLOT_PADDING};
    for (int i = 0; i < graph->n_nodes; i++) {
        plot_node* node = &graph->nodes[i];
        const plot_node* parent = node->parent < 0 ? NULL : &graph->nodes[node->parent];
        node->at.x += parent == NULL ? margin.x : parent->at.x + parent->inner.x;
        node->at.y += parent == NULL ? margin.y : parent->at.y + parent->inner.y;
    }
    for (int i = 0; i < graph->n_edges; i++) {
        plot_edge* edge = &graph->edges[i];
        const int holder = graph->nodes[edge->from].parent;
        const plot_node* parent = holder < 0 ? NULL : &graph->nodes[holder];
        for (int k = 0; k < edge->n_points; k++) {
            edge->points[k].x += parent == NULL ? margin.x : parent->at.x + parent->inner.x;
            edge->points[k].y += parent == NULL ? margin.y : parent->at.y + parent->inner.y;
        }
    }
}

/* Lists by parent: those of parent p are list[start[p + 1]] up to list[start[p + 2]]. */
static void group(const int* parents, int n, int n_nodes, int** start_out, int** list_out) {
    int* start = cli_alloc((size_t)n_nodes + 3, sizeof *start);
    int* list = cli_alloc((size_t)n + 1, sizeof *list);
    int* next = start + 1;
    for (int i = 0; i < n; i++) next[parents[i] + 2]++;
    for (int i = 0; i <= n_nodes; i++) next[i + 1] += next[i];
    for (int i = 0; i < n; i++) list[next[parents[i] + 1]++] = i;
    *start_out = start;
    *list_out = list;
}

void plot_layout(plot_graph* graph) {
    const size_t most = (size_t)graph->n_nodes + (size_t)graph->n_edges + 1;
    int *parents = cli_alloc(most, sizeof *parents), *slot_of = cli_alloc(most, sizeof *slot_of);
    int *box_start, *boxes, *edge_start, *edges;

    for (int i = 0; i < graph->n_nodes; i++) parents[i] = graph->nodes[i].parent;
    group(parents, graph->n_nodes, graph->n_nodes, &box_start, &boxes);
    for (int i = 0; i < graph->n_edges; i++) parents[i] = graph->nodes[graph->edges[i].from].parent;
    group(parents, graph->n_edges, graph->n_nodes, &edge_start, &edges);
    /* What is held comes behind its holder: backwards, the inner levels have their size first. */
    for (int i = graph->n_nodes - 1; i >= -1; i--) {
        plot_point size = {0, 0};
        if (i < 0 || graph->nodes[i].holds) {
            size = lay_out_level(graph, boxes + box_start[i + 1], box_start[i + 2] - box_start[i + 1],
                                 edges + edge_start[i + 1], edge_start[i + 2] - edge_start[i + 1], slot_of);
        }
        if (i < 0) {
            graph->width = size.x + 2 * PLOT_PADDING;
            graph->height = size.y + 2 * PLOT_PADDING;
            continue;
        }
        graph->nodes[i].width = size.x;
        graph->nodes[i].height = size.y;
        measure(&graph->nodes[i]);
    }
    move_inside(graph);
    free(parents);
    free(slot_of);
    free(box_start);
    free(boxes);
    free(edge_start);
    free(edges);
}
