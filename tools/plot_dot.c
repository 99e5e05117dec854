/* The graph as text for Graphviz. Layers are n0, n1, ... in the order of the file; what files say is in quoted labels.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "plot.h"

/* Inside quotes. Graphviz reads backslashes as escapes and & as the beginning of an entity of HTML, in labels too. */
static void put_escaped(FILE* out, const char* text) {
    char* clean = plot_clean(text);
    for (const char* c = clean; *c != '\0'; c++) {
        if (*c == '&') {
            fputs("&amp;", out);
            continue;
        }
        if (*c == '"' || *c == '\\') fputc('\\', out);
        fputc(*c, out);
    }
    free(clean);
}

/* Nested models inherit attributes of what holds them: those are set back. */
static void put_attributes(FILE* out, const plot_node* node) {
    char* lines[4];
    const int count = plot_node_lines(node, lines);
    fputs("label=\"", out);
    for (int i = 0; i < count; i++) {
        if (i > 0) fputs("\\n", out);
        put_escaped(out, lines[i]);
        free(lines[i]);
    }
    fputs("\"", out);
    if (node->missing == NULL) {
        if (node->holds) fputs(", style=\"solid\", color=\"black\", tooltip=\"\"", out);
        return;
    }
    fputs(", style=\"dashed\", color=\"#b42318\", tooltip=\"", out);
    put_escaped(out, node->missing);
    fputs("\"", out);
}

/* Closes nested models until inside is `parent`. */
static int close_models(const plot_graph* graph, FILE* out, int inside, int parent) {
    while (inside != parent && inside >= 0) {
        fputs("}\n", out);
        inside = graph->nodes[inside].parent;
    }
    return inside;
}

static void put_nodes(const plot_graph* graph, FILE* out) {
    int inside = -1;
    for (int i = 0; i < graph->n_nodes; i++) {
        const plot_node* node = &graph->nodes[i];
        inside = close_models(graph, out, inside, node->parent);
        if (node->holds) fprintf(out, "subgraph \"cluster_%d\" {\ngraph [", i);
        else fprintf(out, "\"n%d\" [", i);
        put_attributes(out, node);
        fputs("];\n", out);
        if (node->holds) inside = i;
    }
    close_models(graph, out, inside, -1);
}

/* Arrows of Graphviz are between nodes: those to a nested model go to its first layer and from it start at its last
 * one, and are cut at its border. */
static void put_edges(const plot_graph* graph, FILE* out) {
    int* last = cli_alloc((size_t)graph->n_nodes + 1, sizeof *last);
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        if (last[i] < i) last[i] = i;
        const int parent = graph->nodes[i].parent;
        if (parent >= 0 && last[parent] < last[i]) last[parent] = last[i];
    }
    for (int i = 0; i < graph->n_edges; i++) {
        const plot_edge* edge = &graph->edges[i];
        int to = edge->to;
        while (graph->nodes[to].holds) to++;
        fprintf(out, "\"n%d\" -> \"n%d\"", last[edge->from], to);
        const int tail = graph->nodes[edge->from].holds, head = graph->nodes[edge->to].holds;
        if (edge->from != edge->to && (tail || head)) {
            fputs(" [", out);
            if (tail) fprintf(out, "ltail=\"cluster_%d\"", edge->from);
            if (head) fprintf(out, "%slhead=\"cluster_%d\"", tail ? ", " : "", edge->to);
            fputs("]", out);
        }
        fputs(";\n", out);
    }
    free(last);
}

void plot_write_dot(const plot_graph* graph, FILE* out) {
    fputs("digraph \"", out);
    put_escaped(out, graph->name);
    fprintf(out, "\" {\ngraph [rankdir=\"%s\", compound=\"true\", charset=\"UTF-8\"];\n",
            graph->sideways ? "LR" : "TB");
    fputs("node [shape=\"box\", fontname=\"monospace\"];\n", out);
    put_nodes(graph, out);
    put_edges(graph, out);
    fputs("}\n", out);
}
