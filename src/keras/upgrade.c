/* The upgraded document: its config is written as text from the old one's layers, its variables are windows onto the old one's.
 *
 *   from (file) ---- cn_layer tree ----> text ----> to->state (layers without variables) ----> variables ----> to->state again
 *
 * Calls. A node of Keras 1 and 2 is [["layer", node, tensor, kwargs], ...], its kwargs may hold references, too; it becomes
 * {"args": [...], "kwargs": {...}}. A nested model's calls counted from 1 there (its own making was call 0), from 0 in Keras 3, but for
 * output_layers of a Functional. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keras/optimizer.h"
#include "keras/upgrade_parts.h"

/* ---- writing ---- */

void cn_upgrade_put(cn_upgrade* u, const char* text) { cn_buf_text(&u->text, text); }

void cn_upgrade_put_string(cn_upgrade* u, const char* text) { cn_json_print_string(&u->text, text, strlen(text)); }

static void fail(cn_upgrade* u, cornu_status st) {
    if (u->status == CORNU_OK) u->status = st;
}

void cn_upgrade_add_note(cn_upgrade* u, const char* layer, const char* format, ...) {
    cn_arena* arena = &u->to->arena;
    char text[600];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (u->note_count == u->note_capacity) {
        size_t capacity = u->note_capacity ? 2 * u->note_capacity : 16;
        cn_upgrade_note* list = cn_arena_array(arena, capacity, sizeof *list);
        if (!list) return fail(u, CN_NO_MEMORY(capacity * sizeof *list));
        if (u->note_count > 0) memcpy(list, u->note_list, u->note_count * sizeof *list);
        u->note_list = list;
        u->note_capacity = capacity;
    }
    u->note_list[u->note_count].layer = cn_arena_strdup(arena, layer);
    u->note_list[u->note_count].text = cn_arena_strdup(arena, text);
    if (!u->note_list[u->note_count].layer || !u->note_list[u->note_count].text) return fail(u, CN_NO_MEMORY(sizeof text));
    u->note_count++;
    if (u->notes.size > 0) cn_buf_text(&u->notes, "; ");
    cn_buf_text(&u->notes, text);
}

const char* cn_upgrade_name(cn_upgrade* u, const cn_layer* model, const char* name) {
    char* copy;

    if (!strchr(name, '/')) return name;
    copy = cn_arena_strdup(&u->to->arena, name);
    for (char* c = copy; c && *c; c++) {
        if (*c == '/') *c = '_';
    }
    while (copy && model && cn_layer_find(model, copy)) copy = cn_arena_format(&u->to->arena, "%s_", copy);
    if (!copy) fail(u, CN_NO_MEMORY(strlen(name)));
    return copy ? copy : "";
}

/* ---- references ---- */

static bool is_model(const cn_layer* layer) {
    return layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL;
}

/* The layer that a triple refers to, NULL if it is none. */
static const cn_layer* referred(const cn_layer* model, const cn_json* node, int64_t* call) {
    const char* name = cn_json_string(cn_json_at(node, 0), NULL);
    int64_t tensor;

    if (!cn_json_is(node, CN_JSON_ARRAY) || cn_json_size(node) < 3 || cn_json_size(node) > 4 || !name) return NULL;
    if (!cn_json_int64(cn_json_at(node, 1), call) || !cn_json_int64(cn_json_at(node, 2), &tensor) || *call < 0) return NULL;
    if (cn_json_size(node) == 4 && !cn_json_is(cn_json_at(node, 3), CN_JSON_OBJECT)) return NULL;
    return cn_layer_find(model, name);
}

/* The greatest call number of a layer that anything below node refers to. Depth: of the JSON. */
static void find_greatest(const cn_layer* model, const cn_layer* layer, const cn_json* node, int64_t* greatest) {
    int64_t call;

    if (referred(model, node, &call) == layer && call > *greatest) *greatest = call;
    for (size_t i = 0; i < cn_json_size(node); i++) find_greatest(model, layer, cn_json_at(node, i), greatest);
}

/* 1 when the calls of a nested model count from 1: then the last is its number of calls. */
static int64_t first_call(cn_upgrade* u, const cn_layer* model, const cn_layer* layer) {
    int64_t greatest = -1;

    if (u->era == 3 || !is_model(layer)) return 0;
    for (size_t i = 0; i < model->layer_count; i++) find_greatest(model, layer, model->layers[i]->inbound_nodes, &greatest);
    find_greatest(model, layer, cn_json_get(model->config, "output_layers"), &greatest);
    return greatest >= (int64_t)cn_json_size(layer->inbound_nodes) ? 1 : 0;
}

bool cn_upgrade_reference(cn_upgrade* u, const cn_layer* model, const cn_json* node, const cn_layer** layer, int64_t* call) {
    *layer = referred(model, node, call);
    if (!*layer) return false;
    if (is_model(*layer)) *call -= first_call(u, model, *layer);
    return *call >= 0;
}

void cn_upgrade_put_tensor(cn_upgrade* u, const cn_layer* model, const cn_json* reference) {
    const cn_layer* layer;
    int64_t call = 0, tensor = 0;

    if (!cn_upgrade_reference(u, model, reference, &layer, &call)) return;
    (void)cn_json_int64(cn_json_at(reference, 2), &tensor);
    cn_upgrade_put(u, "{\"class_name\": \"__keras_tensor__\", \"config\": {\"shape\": [null], \"dtype\": \"float32\", \"keras_history\": [");
    cn_upgrade_put_string(u, cn_upgrade_name(u, model, layer->name));
    cn_buf_format(&u->text, ", %lld, %lld]}}", (long long)call, (long long)tensor);
}

void cn_upgrade_put_argument(cn_upgrade* u, const cn_layer* model, const cn_json* value) {
    const cn_layer* layer;
    int64_t call;
    bool dict = cn_json_is(value, CN_JSON_OBJECT);

    if (cn_upgrade_reference(u, model, value, &layer, &call)) return cn_upgrade_put_tensor(u, model, value);
    if ((!dict && !cn_json_is(value, CN_JSON_ARRAY)) || cn_json_get(value, "class_name")) return cn_upgrade_put_value(u, model, NULL, value);
    cn_upgrade_put(u, dict ? "{" : "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        if (i) cn_upgrade_put(u, ", ");
        if (dict) {
            cn_upgrade_put_string(u, cn_json_key_at(value, i, NULL));
            cn_upgrade_put(u, ": ");
        }
        cn_upgrade_put_argument(u, model, cn_json_at(value, i)); /* depth: of the JSON */
    }
    cn_upgrade_put(u, dict ? "}" : "]");
}

/* ---- calls ---- */

static bool is_recurrent(const char* class_name) {
    static const char* const classes[] = {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "CuDNNLSTM", "CuDNNGRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"};

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i], class_name) == 0) return true;
    }
    return false;
}

/* tf.keras wrote the node of a call on one tensor that was not in a list as the reference itself. */
static bool is_bare(const cn_json* node) { return cn_json_is(node, CN_JSON_ARRAY) && cn_json_is(cn_json_at(node, 0), CN_JSON_STRING); }

size_t cn_upgrade_node_size(const cn_json* node) { return is_bare(node) ? 1 : cn_json_is(node, CN_JSON_ARRAY) ? cn_json_size(node) : 0; }

const cn_json* cn_upgrade_node_at(const cn_json* node, size_t i) { return is_bare(node) ? node : cn_json_at(node, i); }

const cn_json* cn_upgrade_kwargs(const cn_json* node) {
    size_t count = cn_upgrade_node_size(node);
    const cn_json* kwargs = count > 0 ? cn_json_at(cn_upgrade_node_at(node, count - 1), 3) : NULL;
    return cn_json_is(kwargs, CN_JSON_OBJECT) ? kwargs : NULL;
}

static void put_legacy_call(cn_upgrade* u, const cn_layer* model, const cn_layer* layer, const cn_json* node) {
    size_t count = cn_upgrade_node_size(node);
    const cn_json* kwargs = cn_upgrade_kwargs(node);
    bool states = count > 1 && is_recurrent(layer->class_name);
    bool any = false;

    cn_upgrade_put(u, "{\"args\": [");
    if (count == 1 || states) cn_upgrade_put_argument(u, model, cn_upgrade_node_at(node, 0));
    else cn_upgrade_put_argument(u, model, node);
    cn_upgrade_put(u, "], \"kwargs\": {");
    for (size_t i = 1; states && i < count; i++) {
        cn_upgrade_put(u, i == 1 ? "\"initial_state\": [" : ", ");
        cn_upgrade_put_argument(u, model, cn_json_at(node, i));
        any = true;
    }
    if (any) cn_upgrade_put(u, "]");
    for (size_t i = 0; i < cn_json_size(kwargs); i++) {
        if (states && strcmp(cn_json_key_at(kwargs, i, NULL), "initial_state") == 0) continue;
        if (any) cn_upgrade_put(u, ", ");
        any = true;
        cn_upgrade_put_string(u, cn_json_key_at(kwargs, i, NULL));
        cn_upgrade_put(u, ": ");
        cn_upgrade_put_argument(u, model, cn_json_at(kwargs, i));
    }
    cn_upgrade_put(u, "}}");
}

static void put_calls(cn_upgrade* u, const cn_layer* model, const cn_layer* layer) {
    const cn_json* nodes = layer->inbound_nodes;

    cn_upgrade_put(u, ", \"inbound_nodes\": [");
    for (size_t i = 0; i < cn_json_size(nodes); i++) {
        const cn_json* node = cn_json_at(nodes, i);
        if (i) cn_upgrade_put(u, ", ");
        if (cn_json_is(node, CN_JSON_OBJECT) && cn_json_get(node, "args")) cn_upgrade_put_value(u, model, NULL, node);
        else put_legacy_call(u, model, layer, node);
    }
    cn_upgrade_put(u, "]");
}

/* input_layers and output_layers: triples in lists and objects. */
static void put_ports(cn_upgrade* u, const cn_layer* model, const cn_json* value) {
    const cn_layer* layer;
    int64_t call, tensor = 0;
    bool dict = cn_json_is(value, CN_JSON_OBJECT);

    if (u->era < 3 && cn_upgrade_reference(u, model, value, &layer, &call)) {
        (void)cn_json_int64(cn_json_at(value, 2), &tensor);
        cn_upgrade_put(u, "[");
        cn_upgrade_put_string(u, cn_upgrade_name(u, model, layer->name));
        if (layer->kind == CN_LAYER_FUNCTIONAL) call++;
        cn_buf_format(&u->text, ", %lld, %lld]", (long long)call, (long long)tensor);
        return;
    }
    if (!dict && !cn_json_is(value, CN_JSON_ARRAY)) return cn_upgrade_put_value(u, model, NULL, value);
    cn_upgrade_put(u, dict ? "{" : "[");
    for (size_t i = 0; i < cn_json_size(value); i++) {
        if (i) cn_upgrade_put(u, ", ");
        if (dict) {
            cn_upgrade_put_string(u, cn_json_key_at(value, i, NULL));
            cn_upgrade_put(u, ": ");
        }
        put_ports(u, model, cn_json_at(value, i));
    }
    cn_upgrade_put(u, dict ? "}" : "]");
}

/* Models of one input or output have it in a list, which to Keras 3 would be a list of one tensor. */
static const cn_json* unwrapped(cn_upgrade* u, const cn_layer* model, const cn_json* ports) {
    const cn_layer* layer;
    int64_t call;
    bool single = u->era < 3 && cn_json_is(ports, CN_JSON_ARRAY) && cn_json_size(ports) == 1;

    return single && cn_upgrade_reference(u, model, cn_json_at(ports, 0), &layer, &call) ? cn_json_at(ports, 0) : ports;
}

/* ---- models ---- */

static void put_trainable(cn_upgrade* u, const cn_layer* model) {
    const cn_json* trainable = cn_json_get(model->config, "trainable");

    cn_upgrade_put(u, ", \"trainable\": ");
    cn_upgrade_put(u, cn_json_is(trainable, CN_JSON_BOOL) && !cn_json_bool(trainable) ? "false" : "true");
}

static void put_functional(cn_upgrade* u, const cn_layer* model, const char* name) {
    cn_upgrade_put(u, "{\"module\": \"keras.src.models.functional\", \"class_name\": \"Functional\", \"config\": {\"name\": ");
    cn_upgrade_put_string(u, name);
    put_trainable(u, model);
    cn_upgrade_put(u, ", \"layers\": [");
    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        const char* layer_name = cn_upgrade_name(u, model, layer->name);
        if (i) cn_upgrade_put(u, ", ");
        if (cn_upgrade_is_tensorflow(layer->class_name) && cn_upgrade_put_tensorflow(u, model, layer, layer_name)) continue;
        cn_upgrade_put_model_or_layer(u, layer, layer_name);
        cn_upgrade_put(u, ", \"name\": ");
        cn_upgrade_put_string(u, layer_name);
        put_calls(u, model, layer);
        cn_upgrade_put(u, "}");
    }
    cn_upgrade_put(u, "], \"input_layers\": ");
    put_ports(u, model, unwrapped(u, model, cn_json_get(model->config, "input_layers")));
    cn_upgrade_put(u, ", \"output_layers\": ");
    put_ports(u, model, unwrapped(u, model, cn_json_get(model->config, "output_layers")));
    cn_upgrade_put(u, "}, \"registered_name\": \"Functional\", \"build_config\": {\"input_shape\": null}");
}

/* The shape, batch included, that a model's first layer tells; NULL if nothing tells. *dtype: of such an input, or NULL. Depth: of the JSON. */
static const cn_json* input_shape(const cn_layer* layer, const cn_json** dtype) {
    const cn_json* shape = cn_json_get(layer->config, "batch_input_shape");

    if (!shape) shape = cn_json_get(layer->config, "batch_shape");
    *dtype = cn_json_get(layer->config, "input_dtype");
    if (!*dtype) *dtype = cn_json_get(layer->config, "dtype");
    if (shape) return shape;
    if (layer->kind == CN_LAYER_SEQUENTIAL && layer->layer_count > 0) return input_shape(layer->layers[0], dtype);
    if (layer->kind == CN_LAYER_FUNCTIONAL) {
        const cn_json* ports = cn_json_get(layer->config, "input_layers");
        const char* name = cn_json_string(cn_json_at(cn_json_is(cn_json_at(ports, 0), CN_JSON_ARRAY) ? cn_json_at(ports, 0) : ports, 0), NULL);
        const cn_layer* input = name ? cn_layer_find(layer, name) : NULL;
        return input ? input_shape(input, dtype) : NULL;
    }
    return cn_json_get(cn_json_get(cn_json_get(layer->config, "layer"), "config"), "batch_input_shape");
}

static void put_input_layer(cn_upgrade* u, const cn_layer* model, const cn_layer* first) {
    const cn_json* dtype = NULL;
    const cn_json* shape = input_shape(first, &dtype);
    const char* name;

    if (!shape) shape = cn_json_get(model->config, "build_input_shape");
    if (!cn_json_is(shape, CN_JSON_ARRAY)) return;
    name = cn_arena_format(&u->to->arena, "%s_input", cn_upgrade_name(u, model, first->name));
    if (!name) return fail(u, CN_NO_MEMORY(strlen(first->name)));
    cn_upgrade_put(u, "{\"module\": \"keras.layers\", \"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": ");
    cn_upgrade_put_value(u, first, NULL, shape);
    cn_upgrade_put(u, ", \"dtype\": ");
    cn_upgrade_put_string(u, cn_json_is(dtype, CN_JSON_STRING) ? cn_json_string(dtype, NULL) : "float32");
    cn_upgrade_put(u, ", \"sparse\": false, \"name\": ");
    cn_upgrade_put_string(u, name);
    cn_upgrade_put(u, "}, \"registered_name\": null}, ");
}

static void put_sequential(cn_upgrade* u, const cn_layer* model, const char* name) {
    const cn_json* build = cn_json_get(model->config, "build_input_shape");
    const cn_layer* first = model->layer_count > 0 ? model->layers[0] : NULL;

    cn_upgrade_put(u, "{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"name\": ");
    cn_upgrade_put_string(u, *name ? name : "sequential");
    put_trainable(u, model);
    cn_upgrade_put(u, ", \"layers\": [");
    if (first && strcmp(first->class_name, "InputLayer") != 0) put_input_layer(u, model, first);
    for (size_t i = 0; i < model->layer_count; i++) {
        const cn_layer* layer = model->layers[i];
        if (i) cn_upgrade_put(u, ", ");
        if (cn_upgrade_is_tensorflow(layer->class_name))
            cn_upgrade_add_note(u, layer->name, "%s: a TensorFlow function in a Sequential", cn_layer_describe(layer));
        cn_upgrade_put_model_or_layer(u, layer, cn_upgrade_name(u, model, layer->name));
        cn_upgrade_put(u, "}");
    }
    cn_upgrade_put(u, "]");
    if (cn_json_is(build, CN_JSON_ARRAY)) {
        cn_upgrade_put(u, ", \"build_input_shape\": ");
        cn_upgrade_put_value(u, model, NULL, build);
    }
    cn_upgrade_put(u, "}, \"registered_name\": null");
}

void cn_upgrade_put_model_or_layer(cn_upgrade* u, const cn_layer* layer, const char* name) {
    if (layer->kind == CN_LAYER_FUNCTIONAL) put_functional(u, layer, name);
    else if (layer->kind == CN_LAYER_SEQUENTIAL) put_sequential(u, layer, name);
    else cn_upgrade_put_layer(u, layer, *name ? name : NULL);
}

/* ---- whose config it is ---- */

static bool has_text(const cn_json* config, const char* what) {
    size_t size = 0, n = strlen(what);
    const char* text = cn_json_text(config, &size);

    for (size_t i = 0; text && i + n <= size; i++) {
        if (text[i] == what[0] && memcmp(text + i, what, n) == 0) return true;
    }
    return false;
}

/* 1, 2 or 3. The file's version is that of the weights where the config is of another file. */
static int era_of(const cn_document* doc) {
    const cn_json* config = cn_json_root(doc->state->config);
    bool own = doc->format == &cn_format_h5 || doc->format == &cn_format_keras || doc->format == &cn_format_keras_dir;
    const char* version = own ? cn_document_keras_version(doc) : NULL;

    if (!version) version = cn_json_string(cn_json_get(config, "keras_version"), NULL);
    if (version && *version >= '1' && *version <= '9') return *version > '2' ? 3 : *version - '0';
    if (has_text(config, "\"border_mode\":") || has_text(config, "\"inner_init\":") || has_text(config, "\"output_dim\":")) {
        if (!has_text(config, "_initializer\":")) return 1;
    }
    if (has_text(config, "keras.src.engine") || has_text(config, "keras.engine") || has_text(config, "tf_keras")) return 2;
    return cn_json_get(config, "module") ? 3 : 2;
}

/* Whose layout legacy weights are in; those that do not say are Keras 1's, as every Keras takes them. */
static int weights_era(const cn_document* doc, int era) {
    const char* version = doc->writer_version;

    if (!doc->legacy || era == 1) return era;
    return *version == '3' ? 3 : *version == '2' ? 2 : 1;
}

/* Whether a document is of Keras 3's own form: its config, and where its variables are. */
static bool is_modern(const cn_document* doc, int era) {
    return era == 3 && !doc->legacy && (doc->variable_count == 0 || doc->format != &cn_format_npz || cn_weights_has_vars(doc)) &&
           cn_json_get(cn_json_root(doc->state->config), "module") != NULL;
}

/* Whether the optimizer's variables are in the order of an older Keras 3. */
static cornu_status is_optimizer_outdated(const cn_document* doc, bool* outdated) {
    cornu_status st = CORNU_OK;
    cn_arena arena = {0};
    cn_optimizer_state state;

    *outdated = false;
    CN_STEP(cn_optimizer_state_of(doc, &arena, &state));
    *outdated = state.layout.outdated;
done:
    cn_arena_deinit(&arena);
    return st;
}

/* ---- the document ---- */

static cornu_status new_view(cn_document* from, cn_document** out) {
    cn_document* to = cn_alloc_zero(1, sizeof *to);

    *out = to;
    if (!to) return CN_NO_MEMORY(sizeof *to);
    to->view_of = from;
    to->format = &cn_format_keras;
    to->name = cn_arena_strdup(&to->arena, from->name);
    to->compile = from->compile;
    to->writer_version = to->backend = to->notes = "";
    return to->name ? CORNU_OK : CN_NO_MEMORY(strlen(from->name));
}

static cornu_status write_config(cn_upgrade* u) {
    const cn_layer* root = cn_document_root(u->from);

    cn_upgrade_put_model_or_layer(u, root, cn_upgrade_name(u, NULL, root->name));
    CN_TRY(cn_upgrade_put_compile(u));
    cn_upgrade_put(u, "}");
    CN_TRY(u->status);
    return cn_buf_check(&u->text);
}

static cornu_status read_config(cn_upgrade* u) {
    static const char metadata[] = "{\"keras_version\": \"3.15.1\"}";
    cornu_status st = CORNU_OK;
    cn_source *config = NULL, *about = NULL;
    cn_config_state* state = NULL;

    CN_STEP(cn_source_open_memory(u->text.data, u->text.size, u->to->name, &config));
    CN_STEP(cn_source_open_memory(metadata, sizeof metadata - 1, "metadata", &about));
    CN_STEP(cn_state_create(u->to, config, about, &state));
    st = cn_state_adopt(u->to, state);
    state = NULL;
done:
    cn_state_destroy(state);
    cn_source_close(config);
    cn_source_close(about);
    return st;
}

/* Assets go on; members of the archive that Keras knows are made anew. */
static cornu_status borrow_assets(cn_upgrade* u) {
    CN_TRY(cn_document_reserve(u->to, u->from->asset_count + 1));
    for (size_t i = 0; i < u->from->asset_count; i++)
        CN_TRY(cn_document_add_member(u->to, u->from->assets[i].name, u->from->assets[i].source));
    return CORNU_OK;
}

static cornu_status build(cn_upgrade* u, const cn_match* match) {
    const char* notes;
    bool optimizer;

    CN_TRY(write_config(u));
    CN_TRY(borrow_assets(u));
    CN_TRY(read_config(u));
    CN_TRY(cn_upgrade_weights(u, match));
    CN_TRY(read_config(u)); /* again: its layers look for their variables */
    CN_TRY(cn_upgrade_optimizer(u, &optimizer));
    if (optimizer) CN_TRY(read_config(u));
    CN_TRY(cn_buf_check(&u->notes));
    notes = cn_arena_strdup(&u->to->arena, u->notes.data ? u->notes.data : "");
    if (!notes) return CN_NO_MEMORY(u->notes.size);
    u->to->notes = notes;
    u->to->note_list = u->note_list;
    u->to->note_count = u->note_count;
    return CORNU_OK;
}

cornu_status cn_upgrade_build(cn_document* doc, int era, const cn_match* match, cn_document** out) {
    cornu_status st = CORNU_OK;
    cn_upgrade u = {.from = doc, .era = era, .weights_era = weights_era(doc, era)};

    *out = NULL;
    CN_STEP(new_view(doc, &u.to));
    CN_STEP(build(&u, match));
    *out = u.to;
    u.to = NULL;
done:
    cn_buf_deinit(&u.text);
    cn_buf_deinit(&u.notes);
    cn_document_close(u.to);
    return st;
}

static cornu_status make(cn_document* doc) {
    static const cn_match exact = {false, false, false};
    cn_config_state* state = doc->state;
    bool outdated = false;
    int era;

    if (!cn_document_root(doc)) return CORNU_OK;
    era = era_of(doc);
    if (is_modern(doc, era)) {
        CN_TRY(is_optimizer_outdated(doc, &outdated));
        if (!outdated) return CORNU_OK;
    }
    return cn_upgrade_build(doc, era, &exact, &state->upgraded);
}

cornu_status cn_document_upgraded(cn_document* doc, cn_document** out) {
    cn_config_state* state = doc->state;
    cornu_status st = CORNU_OK;

    *out = doc;
    if (doc->view_of) return CORNU_OK;
    (void)pthread_mutex_lock(&state->upgrade_lock);
    if (!state->upgrade_known) st = make(doc);
    state->upgrade_known = st == CORNU_OK;
    if (st == CORNU_OK && state->upgraded) *out = state->upgraded;
    (void)pthread_mutex_unlock(&state->upgrade_lock);
    return st;
}

/* ---- asking ---- */

const char* cn_document_upgrade_notes(const cn_document* upgraded) { return upgraded->notes ? upgraded->notes : ""; }

const char* cn_document_upgrade_note(const cn_document* upgraded, const char* layer) {
    for (size_t i = 0; i < upgraded->note_count; i++) {
        if (strcmp(upgraded->note_list[i].layer, layer) == 0) return upgraded->note_list[i].text;
    }
    return NULL;
}

static void follow(cn_document* view, const cn_variable* variable) {
    for (size_t i = 0; i < view->variable_count; i++) {
        const cn_origin* origin = view->variables[i].origin;
        bool of_it = false;
        for (int k = 0; origin && k < origin->from_count; k++) of_it = of_it || origin->from[k] == variable;
        if (of_it) view->variables[i].version++;
    }
}

void cn_upgrade_follow(cn_document* doc, const cn_variable* variable) {
    for (cn_config_state* state = doc->state; state; state = state->older) {
        if (state->upgraded) follow(state->upgraded, variable);
    }
}
