/* Rows of layers from the document alone. Output shapes and what cannot run are filled in by lowering. */
#include "session/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "keras/trained.h"

#include "keras/upgrade.h"
#include "lower/lower.h"

/* ---- trainable ---- */

static bool flag_of(const cn_json* config) {
    const cn_json* flag = cn_json_get(config, "trainable");
    return !cn_json_is(flag, CN_JSON_BOOL) || cn_json_bool(flag);
}

/* Sequential ignores its own flag when it is read. */
static bool layer_is_trainable(const cn_layer* layer) {
    for (; layer; layer = layer->parent) {
        if (layer->kind != CN_LAYER_SEQUENTIAL && !flag_of(layer->config)) return false;
    }
    return true;
}

/* Number in the last part of ".../vars/3", -1 if it is none. */
static int64_t variable_number(const char* path) {
    const char* slash = strrchr(path, '/');
    char* end;
    long n = strtol(slash ? slash + 1 : path, &end, 10);

    return *end || end == (slash ? slash + 1 : path) ? -1 : n;
}

bool cn_variable_is_trainable(const cn_variable* variable) {
    const cn_layer* layer = variable->layer;
    int64_t n = variable_number(variable->path);
    const cn_json* inner;
    const char* inner_class;
    size_t own;

    if (variable->is_optimizer || !layer) return false;
    if (!layer_is_trainable(layer)) return false;
    own = strlen(layer->path) + (*layer->path ? 1 : 0);
    if (strncmp(variable->path + own, "vars/", 5) == 0) return !cn_is_state_variable(layer->class_name, layer->config, n);
    inner = cn_json_get(layer->config, "layer"); /* of wrappers */
    if (!inner) return true;
    inner_class = cn_json_string(cn_json_get(inner, "class_name"), NULL);
    return flag_of(cn_json_get(inner, "config")) &&
           !cn_is_state_variable(inner_class ? inner_class : "", cn_json_get(inner, "config"), n);
}

/* ---- rows ---- */

typedef struct describer {
    cornu_model* model;
    cn_document* doc; /* the model's, in the form that is lowered */
    cn_layer_row* rows;
    int64_t count;
} describer;

static int64_t count_rows(const cn_layer* layer) {
    int64_t sum = 0;
    for (size_t i = 0; i < layer->layer_count; i++) sum += 1 + count_rows(layer->layers[i]);
    return sum;
}

/* Names of layers that tensors in a call come from, each once: any array ["name", index, index, ...], which is how both
 * the history of a tensor and the list form of old files spell one. */
static void collect_inputs(const cn_layer* model, const cn_json* node, cn_buf* out) {
    const char* name = cn_json_string(cn_json_at(node, 0), NULL);

    if (cn_json_is(node, CN_JSON_ARRAY) && cn_json_size(node) >= 3 && name &&
        cn_json_is(cn_json_at(node, 1), CN_JSON_INT) && cn_json_is(cn_json_at(node, 2), CN_JSON_INT) &&
        cn_layer_find(model, name)) {
        size_t n = strlen(name);
        const char* at = out->data ? out->data : "";
        while ((at = strstr(at, name)) != NULL) {
            if ((at == out->data || at[-1] == ' ') && (at[n] == ',' || at[n] == '\0')) return;
            at += n;
        }
        if (out->size > 0) cn_buf_text(out, ", ");
        cn_buf_text(out, name);
        return;
    }
    for (size_t i = 0; i < cn_json_size(node); i++) collect_inputs(model, cn_json_at(node, i), out);
}

/* "a, b": what the layer is called on in its model; before it in a Sequential. */
static cornu_status inputs_of(describer* cx, const cn_layer* model, size_t i, const char** out) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    if (model->kind == CN_LAYER_SEQUENTIAL) {
        if (i > 0) cn_buf_text(&text, model->layers[i - 1]->name);
    } else {
        collect_inputs(model, model->layers[i]->inbound_nodes, &text);
    }
    CN_STEP(cn_buf_check(&text));
    *out = cn_arena_strdup(&cx->model->strings, text.data ? text.data : "");
    if (!*out) CN_STEP(CN_NO_MEMORY(text.size));
done:
    cn_buf_deinit(&text);
    return st;
}

static cornu_status add_row(describer* cx, const cn_layer* layer, int depth, const char* inputs) {
    cn_layer_row* row = &cx->rows[cx->count++];
    cn_arena* strings = &cx->model->strings;

    row->layer = layer;
    row->info.name = cn_arena_strdup(strings, layer->name);
    row->info.class_name = cn_arena_strdup(strings, layer->class_name);
    row->info.path = strchr(layer->path, '#') ? "" : cn_arena_strdup(strings, layer->path);
    row->info.depth = depth;
    row->info.trainable = layer_is_trainable(layer);
    row->info.output_shape = "?";
    row->info.inputs = inputs;
    if (!row->info.name || !row->info.class_name || !row->info.path) return CN_NO_MEMORY(sizeof *row);
    return CORNU_OK;
}

static cornu_status add_rows(describer* cx, const cn_layer* model, int depth) {
    for (size_t i = 0; i < model->layer_count; i++) {
        const char* inputs;
        CN_TRY(inputs_of(cx, model, i, &inputs));
        CN_TRY(add_row(cx, model->layers[i], depth, inputs));
        CN_TRY(add_rows(cx, model->layers[i], depth + 1));
    }
    return CORNU_OK;
}

/* ---- rows of a file whose config names no layers: its groups with variables ---- */

/* Path of the group whose variables these are: what is before "/vars/". 0 when it is none. */
static size_t group_size(const cn_variable* variable) {
    const char* slash = strrchr(variable->path, '/');
    size_t n = slash ? (size_t)(slash - variable->path) : 0;

    if (n == 4 && strncmp(variable->path, "vars", 4) == 0) return 0;
    return n > 5 && strncmp(variable->path + n - 5, "/vars", 5) == 0 ? n - 5 : n;
}

static bool same_group(const cn_variable* a, const cn_variable* b) {
    size_t n = group_size(a);
    return a && b && n == group_size(b) && strncmp(a->path, b->path, n) == 0;
}

static cornu_status add_group(describer* cx, const cn_variable* variable) {
    cn_layer_row* row = &cx->rows[cx->count++];
    cn_arena* strings = &cx->model->strings;
    size_t n = group_size(variable);
    const cn_h5_node* vars = variable->node ? variable->node->parent : NULL;
    const char* name = vars ? cn_h5_attribute_text(vars, "name") : NULL;
    char* path = cn_arena_strndup(strings, variable->path, n);

    if (!path) return CN_NO_MEMORY(n);
    row->info.path = path;
    row->info.name = name ? cn_arena_strdup(strings, name) : strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!row->info.name) return CN_NO_MEMORY(strlen(name));
    row->info.class_name = "?";
    row->info.trainable = 1;
    row->info.output_shape = "?";
    row->info.inputs = "";
    row->info.missing = "the file does not say what class it is";
    return CORNU_OK;
}

static cornu_status add_groups(describer* cx) {
    const cn_document* doc = cx->doc;
    const cn_variable* last = NULL;

    for (size_t i = 0; i < cn_document_variable_count(doc); i++) {
        const cn_variable* variable = cn_document_variable_at(doc, i);
        if (variable->is_optimizer || (last && same_group(last, variable))) continue;
        CN_TRY(add_group(cx, variable));
        last = variable;
    }
    return CORNU_OK;
}

/* ---- counts ---- */

static int compare_rows(const void* a, const void* b) {
    const cn_layer_row* const* x = a;
    const cn_layer_row* const* y = b;
    return strcmp((*x)->info.path, (*y)->info.path);
}

/* Adds a variable to every row whose path it lies under. rows is sorted by path. */
static void count_variable(cn_layer_row** rows, int64_t count, const cn_variable* variable) {
    for (size_t size = strlen(variable->path); size > 0; size--) {
        size_t low = 0, high = (size_t)count;
        if (variable->path[size] != '/') continue;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            const char* path = rows[middle]->info.path;
            int order = strncmp(path, variable->path, size);
            if (order < 0) low = middle + 1;
            else high = middle;
        }
        for (; low < (size_t)count && strncmp(rows[low]->info.path, variable->path, size) == 0; low++) {
            if (rows[low]->info.path[size] != '\0') break;
            rows[low]->info.parameter_count += variable->count;
        }
    }
}

static cornu_status count_parameters(describer* cx) {
    const cn_document* doc = cx->doc;
    cn_layer_row** sorted = cn_alloc_zero((size_t)cx->count + 1, sizeof *sorted);

    if (!sorted) return CN_NO_MEMORY((size_t)cx->count * sizeof *sorted);
    for (int64_t i = 0; i < cx->count; i++) sorted[i] = &cx->rows[i];
    qsort(sorted, (size_t)cx->count, sizeof *sorted, compare_rows);
    for (size_t i = 0; i < cn_document_variable_count(doc); i++) {
        const cn_variable* variable = cn_document_variable_at(doc, i);
        if (!variable->is_optimizer) count_variable(sorted, cx->count, variable);
    }
    cn_free(sorted);
    return CORNU_OK;
}

/* ---- output shapes and what cannot run: two lowerings with other sizes for unknown dimensions ---- */

typedef struct shape_watch {
    describer* cx;
    cn_type* first; /* of each row: output 0 at the first lowering; dtype 0 until then */
    bool second;    /* this is the second lowering */
    cornu_status status;
} shape_watch;

static int64_t row_of(const describer* cx, const cn_layer* layer) {
    for (int64_t i = 0; i < cx->count; i++) {
        if (cx->rows[i].layer == layer) return i;
    }
    return -1;
}

/* "(None, 28, 28, 8)": a dimension that differs between the two lowerings depends on the input. */
static void write_shape(cn_buf* text, const cn_type* a, const cn_type* b) {
    cn_buf_text(text, "(");
    for (int i = 0; i < a->ndim; i++) {
        if (i) cn_buf_text(text, ", ");
        if (i < b->ndim && a->dims[i] != b->dims[i]) cn_buf_text(text, "None");
        else cn_buf_format(text, "%lld", (long long)a->dims[i]);
    }
    cn_buf_text(text, a->ndim == 1 ? ",)" : ")");
}

static void set_shape(shape_watch* w, cn_layer_row* row, const cn_type* first, const cn_type* second, int count) {
    cn_buf text = {0};
    char* copy;

    if (count > 1) cn_buf_text(&text, "[");
    for (int i = 0; i < count; i++) {
        if (i) cn_buf_text(&text, ", ");
        write_shape(&text, &first[i], &second[i]);
    }
    if (count > 1) cn_buf_text(&text, "]");
    copy = text.data && !text.failed ? cn_arena_strdup(&w->cx->model->strings, text.data) : NULL;
    if (copy) row->info.output_shape = copy;
    else w->status = CN_NO_MEMORY(text.size);
    cn_buf_deinit(&text);
}

#define WATCHED_OUTPUTS 16 /* outputs of one layer that are shown */

static void watch_layer(void* user, const cn_layer* layer, const cn_type* outputs, int count) {
    shape_watch* w = user;
    int64_t i = row_of(w->cx, layer);
    cn_layer_row* row = i < 0 ? NULL : &w->cx->rows[i];
    cn_type* first = i < 0 ? NULL : &w->first[i * WATCHED_OUTPUTS];

    if (!row || w->status != CORNU_OK) return;
    if (count < 0) {
        row->info.missing = cn_arena_strdup(&w->cx->model->strings, cornu_last_error());
    } else if (!w->second && first->dtype == 0) { /* a shared layer: its first call counts */
        memcpy(first, outputs, (size_t)(count < WATCHED_OUTPUTS ? count : WATCHED_OUTPUTS) * sizeof *first);
    } else if (w->second && first->dtype != 0) {
        set_shape(w, row, first, outputs, count < WATCHED_OUTPUTS ? count : WATCHED_OUTPUTS);
        first->dtype = (cornu_dtype)0;
    }
}

static cornu_status lower_once(shape_watch* w, const cn_port* ports, int count, cn_type* types, int64_t batch, int64_t inner) {
    cn_lower_options options = {.watch = watch_layer, .watch_user = w};
    cn_program program;
    cornu_status st;

    for (int i = 0; i < count; i++) {
        if (ports[i].ndim < 0) return CORNU_BAD_ARGUMENT;
        types[i] = (cn_type){.dtype = ports[i].dtype, .ndim = ports[i].ndim};
        for (int k = 0; k < ports[i].ndim; k++) {
            types[i].dims[k] = ports[i].dims[k] >= 0 ? ports[i].dims[k] : k == 0 ? batch : inner;
        }
    }
    st = cn_lower_model(w->cx->doc, &options, types, count, &program);
    if (st == CORNU_OK) cn_program_deinit(&program);
    return st;
}

/* Output shapes stay "?" where lowering does not get. Only want of memory is a failure. */
static cornu_status describe_shapes(describer* cx) {
    shape_watch w = {.cx = cx};
    cn_arena arena = {0};
    cn_port* ports;
    cn_type* types;
    int count;
    cornu_status st = CORNU_OK;

    for (int64_t i = 0; i < cx->count; i++) {
        const cn_layer* layer = cx->rows[i].layer;
        const char* note = layer ? cn_document_upgrade_note(cx->doc, layer->name) : NULL;
        if (note) cx->rows[i].info.missing = note;
        else if (layer && !cn_lower_knows(layer)) cx->rows[i].info.missing = layer->kind == CN_LAYER_OP ? "the operation is not known here" : "the class is not known here";
    }
    if (cn_lower_ports(cx->doc, NULL, &arena, &ports, &count) != CORNU_OK) goto done;
    w.first = cn_arena_array(&arena, (size_t)cx->count * WATCHED_OUTPUTS, sizeof *w.first);
    types = cn_arena_array(&arena, (size_t)count + 1, sizeof *types);
    if (!w.first || !types) {
        st = CN_NO_MEMORY((size_t)cx->count * sizeof *w.first);
        goto done;
    }
    st = lower_once(&w, ports, count, types, 2, 64);
    if (st == CORNU_BAD_ARGUMENT) st = lower_once(&w, ports, count, types, 2, 224);
    w.second = true;
    if (st != CORNU_NO_MEMORY) st = lower_once(&w, ports, count, types, 3, 231);
    st = w.status != CORNU_OK ? w.status : st == CORNU_NO_MEMORY ? st : CORNU_OK;
done:
    cn_arena_deinit(&arena);
    return st;
}

cn_document* cn_model_readable(const cornu_model* model) {
    cn_document* doc;
    return cn_document_upgraded(model->document, &doc) == CORNU_OK ? doc : model->document;
}

cornu_status cn_model_describe_layers(cornu_model* model) {
    cn_document* doc = cn_model_readable(model);
    const cn_layer* root = cn_document_root(doc);
    bool from_config = root && root->layer_count > 0;
    int64_t room = from_config ? count_rows(root) : (int64_t)cn_document_variable_count(doc);
    describer cx = {model, doc, NULL, 0};

    if (model->layer_rows) return CORNU_OK;
    cx.rows = cn_arena_array(&model->strings, (size_t)room + 1, sizeof *cx.rows);
    if (!cx.rows) return CN_NO_MEMORY((size_t)room * sizeof *cx.rows);
    if (from_config) CN_TRY(add_rows(&cx, root, 0));
    else CN_TRY(add_groups(&cx));
    CN_TRY(count_parameters(&cx));
    if (from_config) CN_TRY(describe_shapes(&cx));
    model->layer_rows = cx.rows;
    model->layer_row_count = cx.count;
    return CORNU_OK;
}

int64_t cn_model_root_layers(const cornu_model* model) {
    const cn_layer* root = cn_document_root(cn_model_readable(model));
    int64_t count = 0;

    for (size_t i = 0; root && i < root->layer_count; i++) {
        const cn_layer* layer = root->layers[i];
        bool input = root->kind == CN_LAYER_SEQUENTIAL && strcmp(layer->class_name, "InputLayer") == 0;
        if (layer->kind != CN_LAYER_OP && !input) count++;
    }
    return count;
}
