/* cornu plot: loads without refusing anything, and draws the layers and their connections. */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

#define MOST_LAYERS 1000000

typedef struct plot_args {
    const char *output, *rankdir, *config;
    int show_shapes, no_shapes, expand_nested, overwrite;
} plot_args;

static const cli_option plot_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(plot_args, output), "FILE", NULL, "write .svg, or .dot for Graphviz"},
    {"show-shapes", 0, CLI_FLAG, offsetof(plot_args, show_shapes), NULL, NULL, "draw output shapes (the default)"},
    {"no-shapes", 0, CLI_FLAG, offsetof(plot_args, no_shapes), NULL, NULL, "leave output shapes out"},
    {"expand-nested", 0, CLI_FLAG, offsetof(plot_args, expand_nested), NULL, NULL,
     "draw the layers of nested models inside them"},
    {"rankdir", 0, CLI_CHOICE, offsetof(plot_args, rankdir), "DIR", "TB|LR",
     "TB from top to bottom (default), LR from left to right"},
    {"config", 0, CLI_TEXT, offsetof(plot_args, config), "ARCH.json", NULL,
     "architecture of a file that holds weights only"},
    {"overwrite", 0, CLI_FLAG, offsetof(plot_args, overwrite), NULL, NULL, "replace an existing picture"},
};

char* plot_clean(const char* text) {
    static const char replacement[] = "\xEF\xBF\xBD";
    const size_t size = strlen(text);
    char* clean = cli_alloc(3 * size + 1, 1);
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        uint32_t point = 0;
        const size_t n = cli_decode_utf8(text + i, size - i, &point);
        /* XML has no U+FFFE and U+FFFF; marks that turn the direction of writing would turn what follows too. */
        const int dropped = point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x202A && point <= 0x202E) ||
                            (point >= 0x2066 && point <= 0x2069) || point == 0xFFFE || point == 0xFFFF;
        if (n == 0) {
            memcpy(clean + used, replacement, 3);
            used += 3;
        } else if (!dropped) {
            memcpy(clean + used, text + i, n);
            used += n;
        }
        i += n > 0 ? n : 1;
    }
    return clean;
}

static char* shorten(const char* text) {
    char* clean = plot_clean(text);
    if (cli_text_width(clean) <= PLOT_TEXT_COLUMNS) return clean;
    char* cut = cli_format("%.*s...", (int)cli_text_fit(clean, PLOT_TEXT_COLUMNS - 3), clean);
    free(clean);
    return cut;
}

int plot_node_lines(const plot_node* node, char* lines[4]) {
    int count = 0;
    lines[count++] = shorten(node->name);
    lines[count++] = shorten(node->class_name);
    if (node->shape != NULL) lines[count++] = shorten(node->shape);
    if (node->missing != NULL) lines[count++] = shorten("cannot run here");
    return count;
}

/* ---- the graph of a model ---- */

/* Parents by depth: a layer is held by the nearest one before it that is less deep. */
static void find_parents(plot_graph* graph) {
    for (int i = 0; i < graph->n_nodes; i++) {
        int parent = i - 1;
        while (parent >= 0 && graph->nodes[parent].depth >= graph->nodes[i].depth) parent = graph->nodes[parent].parent;
        graph->nodes[i].parent = parent;
        if (parent >= 0) graph->nodes[parent].holds = 1;
    }
}

typedef struct name_row {
    const char* name;
    size_t size;
    int parent, node;
} name_row;

static int compare_names(const void* a, const void* b) {
    const name_row *x = a, *y = b;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    const int order = memcmp(x->name, y->name, x->size < y->size ? x->size : y->size);
    if (order != 0) return order;
    return x->size < y->size ? -1 : x->size > y->size;
}

typedef struct connector {
    plot_graph* graph;
    name_row* names; /* [n_nodes], sorted */
    size_t longest;
    int capacity; /* of graph->edges */
} connector;

static void add_edge(connector* cx, int from, int to) {
    plot_graph* graph = cx->graph;
    if (graph->n_edges == cx->capacity) {
        cx->capacity = cx->capacity > 0 ? 2 * cx->capacity : 64;
        plot_edge* grown = cli_alloc((size_t)cx->capacity, sizeof *grown);
        if (graph->n_edges > 0) memcpy(grown, graph->edges, (size_t)graph->n_edges * sizeof *grown);
        free(graph->edges);
        graph->edges = grown;
    }
    graph->edges[graph->n_edges++] = (plot_edge){.from = from, .to = to};
}

/* The longest beginning of text that ends before ", " or at its end and is the name of a layer with that parent.
 * Returns its size, 0 for none. */
static size_t match_name(const connector* cx, const char* text, int parent, int* node) {
    size_t best = 0;
    for (const char* end = text; end != NULL;) {
        end = strstr(end, ", ");
        const size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        if (size > cx->longest) break;
        const name_row key = {text, size, parent, 0};
        const name_row* row = bsearch(&key, cx->names, (size_t)cx->graph->n_nodes, sizeof *cx->names, compare_names);
        if (row != NULL && size > 0) {
            best = size;
            *node = row->node;
        }
        if (end != NULL) end += 2;
    }
    return best;
}

static void connect_layer(connector* cx, const char* inputs, int to) {
    while (inputs != NULL && inputs[0] != '\0') {
        int from = -1;
        const size_t size = match_name(cx, inputs, cx->graph->nodes[to].parent, &from);
        if (from >= 0) add_edge(cx, from, to);
        inputs = strstr(inputs + size, ", ");
        if (inputs != NULL) inputs += 2;
    }
}

static void connect_layers(plot_graph* graph, const char* const* inputs) {
    connector cx = {graph, cli_alloc((size_t)graph->n_nodes, sizeof *cx.names), 0, 0};
    for (int i = 0; i < graph->n_nodes; i++) {
        const plot_node* node = &graph->nodes[i];
        cx.names[i] = (name_row){node->name, strlen(node->name), node->parent, i};
        if (cx.names[i].size > cx.longest) cx.longest = cx.names[i].size;
    }
    qsort(cx.names, (size_t)graph->n_nodes, sizeof *cx.names, compare_names);
    for (int i = 0; i < graph->n_nodes; i++) connect_layer(&cx, inputs[i], i);
    free(cx.names);
}

static int gather(cornu_model* model, const plot_args* a, plot_graph* graph) {
    cornu_model_info info;
    memset(&info, 0, sizeof info);
    info.size = sizeof info;
    cornu_status st = cornu_model_get_info(model, &info);
    if (st != CORNU_OK) return cli_fail(st, CLI_LOADING);
    graph->name = info.name != NULL ? info.name : "";
    graph->sideways = a->rankdir != NULL && strcmp(a->rankdir, "LR") == 0;
    const int64_t count = cornu_model_layer_count(model);
    if (count <= 0 || count > MOST_LAYERS) {
        cli_say(count > 0 ? "the file holds more layers than can be drawn" : "the file holds no layers to draw");
        return CLI_MODEL;
    }
    graph->nodes = cli_alloc((size_t)count, sizeof *graph->nodes);
    const char** inputs = cli_alloc((size_t)count, sizeof *inputs);
    for (int64_t i = 0; i < count && st == CORNU_OK; i++) {
        cornu_layer_info row;
        memset(&row, 0, sizeof row);
        row.size = sizeof row;
        st = cornu_model_layer_info(model, i, &row);
        if (st != CORNU_OK || (row.depth > 0 && !a->expand_nested)) continue;
        inputs[graph->n_nodes] = row.inputs;
        graph->nodes[graph->n_nodes++] = (plot_node){
            .name = row.name != NULL ? row.name : "?",
            .class_name = row.class_name != NULL ? row.class_name : "?",
            .shape = a->no_shapes               ? NULL
                     : row.output_shape != NULL ? row.output_shape
                                                : "?",
            .missing = row.missing,
            .depth = row.depth,
        };
    }
    if (st == CORNU_OK) {
        find_parents(graph);
        connect_layers(graph, inputs);
    }
    free(inputs);
    return st == CORNU_OK ? CLI_DONE : cli_fail(st, CLI_LOADING);
}

/* ---- the file ---- */

/* Gives the written temporary file its name. Without overwrite a target that has come meanwhile stays. */
static int put_in_place(const char* temporary, const char* target, int overwrite) {
    if (!overwrite) {
        if (link(temporary, target) == 0) return unlink(temporary);
        if (errno == EEXIST) return -1;
    }
    return rename(temporary, target);
}

static int write_all(const plot_graph* graph, FILE* file, int svg) {
    if (svg) plot_write_svg(graph, file);
    else plot_write_dot(graph, file);
    const int failed = fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0;
    const int reason = errno;
    const int unclosed = fclose(file) != 0;
    if (failed) errno = reason;
    return failed || unclosed;
}

static int save(const plot_graph* graph, const char* path, int overwrite) {
    char* real = realpath(path, NULL);
    const char* target = real != NULL ? real : path;
    const char* slash = strrchr(target, '/');
    char* temporary =
        cli_format("%.*s.cornu-%ld.part", slash != NULL ? (int)(slash - target) + 1 : 0, target, (long)getpid());
    const int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE* out = file < 0 ? NULL : fdopen(file, "w");
    int code = CLI_DONE;

    if (out == NULL || write_all(graph, out, cli_ends_with(path, ".svg")) ||
        put_in_place(temporary, target, overwrite) != 0) {
        cli_say("cannot write '%s': %s", path, strerror(errno));
        code = CLI_FAILED;
    }
    if (code != CLI_DONE && file >= 0) (void)unlink(temporary);
    free(temporary);
    free(real);
    return code;
}

static void free_graph(plot_graph* graph) {
    for (int i = 0; i < graph->n_edges; i++) free(graph->edges[i].points);
    free(graph->edges);
    free(graph->nodes);
}

static int run_plot(const char* const* operands, const void* args) {
    const plot_args* a = args;
    cornu_model* model = NULL;
    plot_graph graph;
    int overwrite = a->overwrite;

    memset(&graph, 0, sizeof graph);
    if (a->output == NULL) return cli_usage("--output is missing");
    if (!cli_ends_with(a->output, ".svg") && !cli_ends_with(a->output, ".dot")) {
        return cli_usage("--output is '%s'; a name that ends in .svg or .dot is allowed", a->output);
    }
    if (a->show_shapes && a->no_shapes) return cli_usage("--show-shapes and --no-shapes exclude each other");
    int code = cli_check_target(a->output, &overwrite);
    if (code == CLI_DONE) code = cli_load(operands[0], a->config, 0, &model);
    if (code == CLI_DONE) code = gather(model, a, &graph);
    if (code == CLI_DONE) {
        plot_layout(&graph);
        code = save(&graph, a->output, overwrite);
    }
    if (code == CLI_DONE) {
        cli_say("wrote '%s': %d layers, %d connections", a->output, graph.n_nodes, graph.n_edges);
    }
    free_graph(&graph);
    cornu_model_destroy(model);
    return code;
}

const cli_command cli_plot = {
    "plot",
    "MODEL",
    1,
    "draw a model's layers and connections as .svg or .dot",
    "One box for each layer, with its name, class and output shape, and arrows along the connections, as Keras's\n"
    "plot_model() draws them. Layers that cannot run here are marked. Nothing in the file is run or refused.\n",
    plot_options,
    sizeof plot_options / sizeof plot_options[0],
    sizeof(plot_args),
    run_plot,
};
