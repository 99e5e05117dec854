/* Reads compile_config. A loss or metric is written as it was given: a name, an object, or lists and objects (by output) of these. */
#include "keras/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cn_json* cn_compile_object(const cn_document* doc) {
    const cn_layer* root = cn_document_root(doc);
    const cn_json* object = root && cn_document_is_compiled(doc) ? cn_json_get(root->object, "compile_config") : NULL;

    return cn_json_is(object, CN_JSON_OBJECT) && cn_json_size(object) > 0 ? object : NULL;
}

/* ---- what Keras knows ---- */

static const char* const losses[] = {
#define CN_LOSS(name) name,
#include "keras/compile.def"
};
static const char* const loss_functions[] = {
#define CN_LOSS_FUNCTION(name) name,
#include "keras/compile.def"
};
static const char* const metrics[] = {
#define CN_METRIC(name) name,
#include "keras/compile.def"
};
static const char* const metric_functions[] = {
#define CN_METRIC_FUNCTION(name) name,
#include "keras/compile.def"
};
static const struct {
    const char *alias, *function, *metric;
} aliases[] = {
#define CN_ALIAS(alias, function, metric) {alias, function, metric},
#include "keras/compile.def"
};
/* Resolved by the output's shape when the model is built. */
static const char* const by_shape[] = {"accuracy", "acc", "crossentropy", "ce"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char* find(const char* const* names, size_t count, const char* name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) return names[i];
    }
    return NULL;
}

/* The metric class whose name in snake case that is: "root_mean_squared_error". */
static cornu_status find_snake(cn_arena* arena, const char* name, const char** out) {
    *out = NULL;
    for (size_t i = 0; i < COUNT(metrics) && !*out; i++) {
        const char* snake = cn_snake_case(arena, metrics[i]);
        if (!snake) return CN_NO_MEMORY(strlen(metrics[i]));
        if (strcmp(snake, name) == 0) *out = metrics[i];
    }
    return CORNU_OK;
}

static cornu_status resolve_name(cn_arena* arena, cn_objective* o) {
    bool loss = o->kind == CORNU_OBJECTIVE_LOSS;
    const char* name = o->spelled;
    const char* found;

    o->class_name = name;
    o->is_known = true;
    for (size_t i = 0; i < COUNT(aliases); i++) {
        if (strcmp(aliases[i].alias, name) != 0 || (!loss && !aliases[i].metric)) continue;
        o->class_name = loss ? aliases[i].function : aliases[i].metric;
        o->is_function = loss;
        return CORNU_OK;
    }
    if (find(by_shape, COUNT(by_shape), name) && (!loss || *name == 'c')) return CORNU_OK;
    if (find(loss ? losses : metrics, loss ? COUNT(losses) : COUNT(metrics), name)) return CORNU_OK;
    if (!loss) CN_TRY(find_snake(arena, name, &found));
    if (!loss && found) {
        o->class_name = found;
        return CORNU_OK;
    }
    o->is_function = find(loss_functions, COUNT(loss_functions), name) || (!loss && find(metric_functions, COUNT(metric_functions), name));
    o->is_known = o->is_function;
    return CORNU_OK;
}

static cornu_status resolve_object(cn_arena* arena, const cn_document* doc, cn_objective* o) {
    const char* class_name = cn_json_string(cn_json_get(o->object, "class_name"), NULL);
    const cn_json* config = cn_json_get(o->object, "config");
    const cn_json* registered = cn_json_get(o->object, "registered_name");
    bool loss = o->kind == CORNU_OBJECTIVE_LOSS;

    if (!class_name)
        return CN_FAIL(BAD_FILE, "%s: compile_config: a %s is of type %s; a name or an object with class_name is allowed", cn_document_name(doc),
                       loss ? "loss" : "metric", cn_json_type_name(o->object));
    if (strcmp(class_name, "function") == 0 && cn_json_is(config, CN_JSON_STRING)) {
        o->spelled = cn_json_string(config, NULL);
        CN_TRY(resolve_name(arena, o));
        o->is_function = true;
        return CORNU_OK;
    }
    o->spelled = o->class_name = class_name;
    o->config = cn_json_is(config, CN_JSON_OBJECT) ? config : NULL;
    o->is_known = (loss ? find(losses, COUNT(losses), class_name) : find(metrics, COUNT(metrics), class_name)) &&
                  (!registered || !cn_json_string(registered, NULL) || cn_json_equals(registered, class_name));
    return CORNU_OK;
}

/* ---- outputs ---- */

static bool is_triple(const cn_json* node) {
    return cn_json_is(node, CN_JSON_ARRAY) && cn_json_size(node) == 3 && cn_json_is(cn_json_at(node, 0), CN_JSON_STRING);
}

static size_t count_triples(const cn_json* node) {
    size_t sum = 0;
    if (is_triple(node)) return 1;
    for (size_t i = 0; i < cn_json_size(node); i++) sum += count_triples(cn_json_at(node, i));
    return sum;
}

static void list_triples(const cn_json* node, const char* key, const char** names, size_t* count) {
    if (is_triple(node)) {
        const char* name = key ? key : cn_json_string(cn_json_at(node, 0), NULL);
        names[(*count)++] = name ? name : "";
        return;
    }
    for (size_t i = 0; i < cn_json_size(node); i++) list_triples(cn_json_at(node, i), cn_json_key_at(node, i, NULL), names, count);
}

cornu_status cn_output_names(const cn_document* doc, cn_arena* arena, const char*** out, size_t* out_count) {
    const cn_layer* root = cn_document_root(doc);
    const cn_json* layers = root && root->kind == CN_LAYER_FUNCTIONAL ? cn_json_get(root->config, "output_layers") : NULL;
    size_t count = count_triples(layers);

    *out_count = 0;
    *out = cn_arena_array(arena, count + 1, sizeof **out);
    if (!*out) return CN_NO_MEMORY(count * sizeof **out);
    list_triples(layers, NULL, *out, out_count);
    if (count == 0) (*out)[(*out_count)++] = "";
    return CORNU_OK;
}

/* ---- losses and metrics ---- */

typedef struct reader {
    const cn_document* doc;
    cn_arena* arena;
    cn_compile* compile;
    size_t capacity;
    const char** outputs;
    size_t output_count;
    cornu_objective_kind kind;
    const cn_json* weights; /* loss_weights */
} reader;

static cornu_status add(reader* cx, const cn_json* object, int32_t output_index, const char* output) {
    cn_compile* compile = cx->compile;
    cn_objective o = {cx->kind, output, output_index, NULL, NULL, false, false, object, NULL, 1};

    if (compile->objective_count == cx->capacity) {
        size_t capacity = cx->capacity ? 2 * cx->capacity : 16;
        cn_objective* all = cn_arena_array(cx->arena, capacity, sizeof *all);
        if (!all) return CN_NO_MEMORY(capacity * sizeof *all);
        if (cx->capacity) memcpy(all, compile->objectives, compile->objective_count * sizeof *all);
        compile->objectives = all;
        cx->capacity = capacity;
    }
    if (cn_json_is(object, CN_JSON_STRING)) {
        o.spelled = cn_json_string(object, NULL);
        CN_TRY(resolve_name(cx->arena, &o));
    } else CN_TRY(resolve_object(cx->arena, cx->doc, &o));
    if (output_index >= 0 && !output && *cx->outputs[output_index]) o.output = cx->outputs[output_index];
    if (cx->kind == CORNU_OBJECTIVE_LOSS) {
        const cn_json* w = cx->weights;
        if (cn_json_is(w, CN_JSON_ARRAY)) w = output_index < 0 ? NULL : cn_json_at(w, (size_t)output_index);
        else if (cn_json_is(w, CN_JSON_OBJECT)) w = o.output ? cn_json_get(w, o.output) : NULL;
        if (cn_json_is(w, CN_JSON_INT) || cn_json_is(w, CN_JSON_FLOAT)) o.weight = cn_json_double(w);
    }
    compile->objectives[compile->objective_count++] = o;
    return CORNU_OK;
}

static bool is_leaf(const cn_json* node) { return cn_json_is(node, CN_JSON_STRING) || cn_json_get(node, "class_name"); }

/* All that belongs to one output. depth: lists in lists are allowed, but not without end. */
static cornu_status add_all(reader* cx, const cn_json* node, int32_t output_index, const char* output, int depth) {
    if (cn_json_type_of(node) == CN_JSON_NULL) return CORNU_OK;
    if (is_leaf(node) || !cn_json_is(node, CN_JSON_ARRAY) || depth > 4) return add(cx, node, output_index, output);
    for (size_t i = 0; i < cn_json_size(node); i++) CN_TRY(add_all(cx, cn_json_at(node, i), output_index, output, depth + 1));
    return CORNU_OK;
}

static int32_t output_of(const reader* cx, const char* name) {
    for (size_t i = 0; i < cx->output_count; i++) {
        if (strcmp(cx->outputs[i], name) == 0) return (int32_t)i;
    }
    return -1;
}

static cornu_status read_kind(reader* cx, cornu_objective_kind kind, const char* key) {
    const cn_json* node = cn_json_get(cx->compile->object, key);
    bool one = cx->output_count == 1;

    cx->kind = kind;
    if (cn_json_is(node, CN_JSON_OBJECT) && !is_leaf(node)) {
        for (size_t i = 0; i < cn_json_size(node); i++) {
            const char* name = cn_json_key_at(node, i, NULL);
            CN_TRY(add_all(cx, cn_json_at(node, i), output_of(cx, name), name, 0));
        }
        return CORNU_OK;
    }
    if (!cn_json_is(node, CN_JSON_ARRAY) || one || cn_json_size(node) != cx->output_count) return add_all(cx, node, one ? 0 : -1, NULL, 0);
    for (size_t i = 0; i < cn_json_size(node); i++) CN_TRY(add_all(cx, cn_json_at(node, i), (int32_t)i, NULL, 0));
    return CORNU_OK;
}

cornu_status cn_compile_read(const cn_document* doc, cn_arena* arena, cn_compile** out) {
    cn_compile* compile = cn_arena_alloc(arena, sizeof *compile);
    reader cx = {doc, arena, compile, 0, NULL, 0, CORNU_OBJECTIVE_LOSS, NULL};

    *out = NULL;
    if (!compile) return CN_NO_MEMORY(sizeof *compile);
    compile->object = cn_compile_object(doc);
    CN_TRY(cn_output_names(doc, arena, &cx.outputs, &cx.output_count));
    cx.weights = cn_json_get(compile->object, "loss_weights");
    CN_TRY(read_kind(&cx, CORNU_OBJECTIVE_LOSS, "loss"));
    CN_TRY(read_kind(&cx, CORNU_OBJECTIVE_METRIC, "metrics"));
    CN_TRY(read_kind(&cx, CORNU_OBJECTIVE_WEIGHTED_METRIC, "weighted_metrics"));
    CN_TRY(cn_optimizer_state_of(doc, arena, &compile->optimizer));
    *out = compile;
    return CORNU_OK;
}
