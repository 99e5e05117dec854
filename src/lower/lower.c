/* One lowering from the root: inputs, the model, outputs; and the list of everything that cannot run. */
#include "lower/lower.h"

#include <string.h>

#include "lower/context.h"

void cn_lower_problem(cn_lower* cx) {
    const char* text = cornu_last_error();

    /* A layer that is called twice fails twice with one sentence. */
    if (cx->problems.data && strstr(cx->problems.data, text)) return;
    if (cx->problems.size + strlen(text) + 8 > CN_ERROR_SIZE - 300) {
        cx->more_problems = true;
        return;
    }
    if (cx->problems.size) cn_buf_text(&cx->problems, "; ");
    cn_buf_text(&cx->problems, text);
}

bool cn_lower_knows(const cn_layer* layer) {
    if (layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL) return true;
    if (layer->kind == CN_LAYER_OP) return cn_op_def_of(layer->class_name) != NULL;
    return cn_layer_def_of(layer) != NULL;
}

/* Adds the classes that no table knows: a Sequential stops at the first, and layers behind a failure are never called. */
static void unknown_classes(const cn_layer* layer, cn_buf* out) {
    if (layer->kind == CN_LAYER_OP && !cn_lower_knows(layer)) {
        cn_buf_format(out, "%soperation %s ('%s')", out->size ? "; " : "", layer->class_name, layer->name);
    } else if (!cn_lower_knows(layer)) {
        cn_buf_format(out, "%sclass %s%s%s (layer '%s')", out->size ? "; " : "", layer->class_name,
                      layer->registered_name[0] ? " registered as " : "", layer->registered_name, layer->name);
    }
    for (size_t i = 0; i < layer->layer_count; i++) unknown_classes(layer->layers[i], out); /* depth: limited by the parser */
}

void cn_lower_unknown(const cn_document* doc, cn_buf* out) {
    if (cn_document_root(doc)) unknown_classes(cn_document_root(doc), out);
}

void cn_program_deinit(cn_program* program) {
    cn_graph_deinit(&program->graph);
    cn_free(program->slots);
    cn_free(program->output_names);
    cn_free(program->states);
    memset(program, 0, sizeof *program);
}

static cornu_status add_inputs(cn_lower* cx, const cn_type* inputs, int count, cn_arg* out) {
    cn_port* ports;
    int expected;

    CN_TRY(cn_lower_ports(cx->doc, cx->root, &cx->arena, &ports, &expected));
    if (count != expected) return CN_FAIL(BAD_ARGUMENT, "the model takes %d inputs; %d are given", expected, count);
    *out = (cn_arg){.kind = CN_ARG_LIST, .count = count};
    out->items = cn_arena_array(&cx->arena, (size_t)count, sizeof *out->items);
    if (!out->items) return CN_NO_MEMORY((size_t)count * sizeof *out->items);
    for (int i = 0; i < count; i++) {
        out->items[i] = (cn_arg){.kind = CN_ARG_NONE, .value = {CN_NONE, CN_NONE}};
        if (inputs[i].dtype == 0) {
            cx->g->input_count++; /* the port exists, but nothing reads it */
            continue;
        }
        out->items[i] = cn_arg_tensor((cn_value){cn_graph_input(cx->g, &inputs[i], ports[i].name), CN_NONE});
    }
    return cn_graph_status(cx->g);
}

/* Name of the layer that makes a value, else of the model. */
static const char* maker_of(const cn_lower* cx, cn_id v) {
    const char* label = v != CN_NONE ? cx->g->nodes[v].label : "";
    if (v != CN_NONE && cx->g->nodes[v].op == CN_OP_input) label = cx->g->nodes[v].attr.port.name;
    return label[0] ? label : cx->root->name;
}

static cornu_status add_outputs(cn_lower* cx, const cn_arg* out) {
    cn_program* p = cx->program;
    cn_value* values;
    int count;

    CN_TRY(cn_arg_flatten(cx, out, &values, &count));
    p->output_names = cn_alloc_zero((size_t)count + 1, sizeof *p->output_names);
    if (!p->output_names) return CN_NO_MEMORY((size_t)count * sizeof *p->output_names);
    for (int i = 0; i < count; i++) {
        if (values[i].tensor == CN_NONE) return CN_FAIL(UNSUPPORTED, "output %d of the model is no tensor", i);
        cn_graph_output(cx->g, values[i].tensor);
        p->output_names[i] = maker_of(cx, values[i].tensor);
    }
    p->output_count = count;
    for (int i = 0; i < p->state_count; i++) cn_graph_output(cx->g, p->states[i].value);
    return cn_graph_status(cx->g);
}

static cornu_status add_captured(cn_lower* cx) {
    cn_arg list = {.kind = CN_ARG_LIST, .items = cx->captured, .count = cx->options->n_outputs};

    for (int i = 0; i < list.count; i++) {
        if (cx->captured[i].kind == CN_ARG_NONE) {
            return CN_FAIL(BAD_ARGUMENT, "output '%s' is asked for, but the model has no layer of that name, or it is never called", cx->options->outputs[i]);
        }
    }
    return add_outputs(cx, &list);
}

cornu_status cn_lower_model(const cn_document* doc, const cn_lower_options* options, const cn_type* inputs, int count,
                            cn_program* program) {
    cn_lower cx = {.doc = doc, .options = options, .program = program};
    cn_arg args, out;
    cornu_status st = CORNU_OK;

    memset(program, 0, sizeof *program);
    cn_graph_init(&program->graph);
    program->graph.max_elements = options->max_elements;
    cx.g = &program->graph;
    cx.root = options->root ? options->root : cn_document_root(doc);
    cx.captured = cn_arena_array(&cx.arena, (size_t)options->n_outputs, sizeof *cx.captured);
    if (!cx.captured) {
        st = CN_NO_MEMORY((size_t)options->n_outputs * sizeof *cx.captured);
        goto done;
    }
    CN_STEP(add_inputs(&cx, inputs, count, &args));
    st = cn_lower_nested(&cx, cx.root, &args, &out);
    if (st == CORNU_UNSUPPORTED && cx.problems.size == 0) cn_lower_problem(&cx);
    if (cx.problems.size > 0 || cx.problems.failed) {
        st = cn_buf_check(&cx.problems);
        if (st == CORNU_OK) st = CN_FAIL(UNSUPPORTED, "%s: cannot run here: %s%s", cn_document_name(doc), cx.problems.data, cx.more_problems ? "; and more" : "");
        goto done;
    }
    if (st != CORNU_OK) {
        st = cn_fail_within(st, "%s", cn_document_name(doc));
        goto done;
    }
    CN_STEP(options->n_outputs > 0 ? add_captured(&cx) : add_outputs(&cx, &out));
done:
    if (st != CORNU_OK) cn_program_deinit(program);
    cn_arena_deinit(&cx.arena);
    cn_buf_deinit(&cx.problems);
    return st;
}
