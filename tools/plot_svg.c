/* The graph as SVG: XML 1.0, in UTF-8, on its own. Nothing in it is run or fetched. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "plot.h"

static const char head[] =
    "<style>\n"
    "text { font: 12px monospace; fill: #1f2933; }\n"
    ".name { font-weight: bold; }\n"
    ".refused { fill: #b42318; }\n"
    ".layer rect { fill: #ffffff; stroke: #52606d; }\n"
    ".model rect { fill: #f0f4f8; stroke: #829ab1; }\n"
    ".missing rect { fill: #fef3f2; stroke: #b42318; stroke-dasharray: 5 3; }\n"
    ".edge { fill: none; stroke: #52606d; }\n"
    "</style>\n"
    "<defs><marker id=\"head\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" "
    "orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"#52606d\"/></marker></defs>\n";

static void put_escaped(FILE* out, const char* text) {
    char* clean = plot_clean(text);
    for (const char* c = clean; *c != '\0'; c++) {
        switch (*c) {
            case '<': fputs("&lt;", out); break;
            case '>': fputs("&gt;", out); break;
            case '&': fputs("&amp;", out); break;
            case '"': fputs("&quot;", out); break;
            default: fputc(*c, out); break;
        }
    }
    free(clean);
}

static void put_title(FILE* out, const plot_node* node) {
    fputs("<title>", out);
    put_escaped(out, node->name);
    fputs(" (", out);
    put_escaped(out, node->class_name);
    fputs(")", out);
    if (node->shape != NULL) {
        fputs(" ", out);
        put_escaped(out, node->shape);
    }
    if (node->missing != NULL) {
        fputs(" cannot run here: ", out);
        put_escaped(out, node->missing);
    }
    fputs("</title>", out);
}

static void put_node(FILE* out, const plot_node* node, int index) {
    static const char* const styles[] = {"name", "class", "shape", "shape"};
    char* lines[4];
    const int count = plot_node_lines(node, lines);

    fprintf(out, "<g class=\"%s%s\" id=\"n%d\">", node->holds ? "model" : "layer",
            node->missing != NULL ? " missing" : "", index);
    put_title(out, node);
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\"/>\n", node->at.x, node->at.y,
            node->width, node->height);
    for (int i = 0; i < count; i++) {
        const int refused = node->missing != NULL && i == count - 1;
        fprintf(out, "<text class=\"%s\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">",
                refused ? "refused" : styles[i], node->at.x + node->width / 2,
                node->at.y + PLOT_PADDING / 2 + (i + 0.75) * PLOT_LINE);
        put_escaped(out, lines[i]);
        fputs("</text>\n", out);
        free(lines[i]);
    }
    fputs("</g>\n", out);
}

static void put_line(FILE* out, plot_point from, plot_point to) {
    if (from.x != to.x || from.y != to.y) fprintf(out, "L%.1f %.1f", to.x, to.y);
}

static void put_curve(FILE* out, plot_point from, plot_point to, int sideways) {
    const plot_point middle = {(from.x + to.x) / 2, (from.y + to.y) / 2};
    if (sideways) fprintf(out, "C%.1f %.1f %.1f %.1f", middle.x, from.y, middle.x, to.y);
    else fprintf(out, "C%.1f %.1f %.1f %.1f", from.x, middle.y, to.x, middle.y);
    fprintf(out, " %.1f %.1f", to.x, to.y);
}

/* A layer that is called on what it gave before: a loop over the corner of its box. */
static void put_loop(FILE* out, const plot_node* node) {
    const double right = node->at.x + node->width, bottom = node->at.y + node->height;
    fprintf(out, "M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", right - 20, bottom, right - 20, bottom + 16, right + 10,
            bottom + 16, right + 10, bottom - 6);
    fprintf(out, "C%.1f %.1f %.1f %.1f %.1f %.1f", right + 10, bottom - 12, right + 8, bottom - 12, right, bottom - 12);
}

static void put_edge(FILE* out, const plot_graph* graph, const plot_edge* edge) {
    fprintf(out, "<path class=\"edge\" marker-end=\"url(#head)\" data-from=\"n%d\" data-to=\"n%d\" d=\"", edge->from,
            edge->to);
    if (edge->n_points == 0) put_loop(out, &graph->nodes[edge->from]);
    else fprintf(out, "M%.1f %.1f", edge->points[0].x, edge->points[0].y);
    for (int i = 1; i < edge->n_points; i++) {
        if (i % 2 != 0) put_line(out, edge->points[i - 1], edge->points[i]);
        else put_curve(out, edge->points[i - 1], edge->points[i], graph->sideways);
    }
    fputs("\"/>\n", out);
}

void plot_write_svg(const plot_graph* graph, FILE* out) {
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.1f %.1f\" width=\"%.1f\" height=\"%.1f\">\n",
            graph->width, graph->height, graph->width, graph->height);
    fputs("<title>", out);
    put_escaped(out, graph->name);
    fputs("</title>\n", out);
    fputs(head, out);
    fputs("<rect class=\"paper\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", out);
    for (int i = 0; i < graph->n_nodes; i++) put_node(out, &graph->nodes[i], i);
    for (int i = 0; i < graph->n_edges; i++) put_edge(out, graph, &graph->edges[i]);
    fputs("</svg>\n", out);
}
