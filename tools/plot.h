/* The graph that `cornu plot` draws: boxes, some of them holding others, and arrows between boxes of one level. */
#ifndef CORNU_CLI_PLOT_H
#define CORNU_CLI_PLOT_H

#include <stdio.h>

/* Sizes in pixels of the picture. Text is monospaced, so that its width is known without its font. */
#define PLOT_LINE 18.0
#define PLOT_COLUMN 7.3
#define PLOT_PADDING 10.0
/* Columns that a line of a box shows; the whole text is in its tooltip. */
#define PLOT_TEXT_COLUMNS 64

typedef struct plot_point {
    double x, y;
} plot_point;

/* A layer. Parents come before what they hold. */
typedef struct plot_node {
    const char* name;
    const char* class_name;
    const char* shape;   /* NULL where shapes are not drawn */
    const char* missing; /* why it cannot run here, NULL if it can */
    int depth;
    int parent;           /* index of the box that holds it, -1 in the model itself */
    int holds;            /* 1: a nested model, drawn around its layers */
    double width, height; /* of the box */
    plot_point at;        /* upper left corner */
    plot_point inner;     /* of a box that holds others: where their corner is, from its own */
} plot_node;

/* An arrow between boxes with the same parent. Its way is a row of points, drawn as
 *
 *     points[0] --line-- points[1] ~~curve~~ points[2] --line-- points[3] ~~curve~~ ... --line-- points[n-1]
 *
 * where the lines pass boxes of the same rank and the curves are between ranks. */
typedef struct plot_edge {
    int from, to;
    plot_point* points;
    int n_points;
} plot_edge;

typedef struct plot_graph {
    const char* name; /* of the model */
    plot_node* nodes;
    int n_nodes;
    plot_edge* edges;
    int n_edges;
    int sideways; /* ranks from left to right instead of top to bottom */
    double width, height;
} plot_graph;

/* The lines of a box, cleaned and cut to PLOT_TEXT_COLUMNS; free() each. Returns how many there are. */
int plot_node_lines(const plot_node* node, char* lines[4]);
/* UTF-8 without control characters, whatever the text is; free() it. */
char* plot_clean(const char* text);

/* Fills in the sizes and places of the boxes and the ways of the arrows. */
void plot_layout(plot_graph* graph);
void plot_write_svg(const plot_graph* graph, FILE* out);
void plot_write_dot(const plot_graph* graph, FILE* out);

#endif
