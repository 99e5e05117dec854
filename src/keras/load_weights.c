/* Loading weights from one document into another.
 *
 *   file ----> source, given the target's config ----> source in Keras 3.15's form --- by path ---> target in that form ----> target
 *
 * The file's own config, if it has one, does not matter, as in Keras. A layer's weights come from a file of that layer alone, or from its
 * place in a file of the whole model: what is in the file decides. */
#include "keras/load_weights.h"

#include <stdlib.h>
#include <string.h>

#include "keras/listing.h"
#include "keras/upgrade_parts.h"

typedef struct pair {
    cn_variable* to;         /* of the target in Keras 3.15's form */
    const cn_variable* from; /* of the source, NULL: it has none */
    bool fits;
} pair;

typedef struct loading {
    cn_document* doc;    /* the target as it stands */
    cn_document* target; /* in Keras 3.15's form */
    cn_document* file;
    cn_document* source; /* the file in Keras 3.15's form under the target's config */
    cornu_weights_options options;
    cornu_weights_report report;
    const cn_layer* layer; /* the part that is loaded, NULL: all */
    const char* prefix;    /* of the target's path before that of the source */
    const char* inside;    /* of the source's path that stands for the prefix */
    cn_arena arena;
    pair* pairs;
    size_t count;
    const char* first_missing; /* of an architecture alone */
} loading;

/* ---- options ---- */

static void read_options(loading* x, const cornu_weights_options* options) {
    static const cornu_weights_options defaults = CORNU_WEIGHTS_OPTIONS_INIT;

    x->options = defaults;
    if (options) {
        size_t size = options->size < sizeof defaults ? options->size : sizeof defaults;
        if (size > sizeof options->size) memcpy(&x->options, options, size);
        x->options.size = sizeof defaults;
    }
    x->prefix = x->inside = "";
}

/* "encoder/dense": a layer by its name, in a model by its name, ... */
static cornu_status find_layer(loading* x) {
    const char* at = x->options.layer;
    const cn_layer* layer = cn_document_root(x->target);

    if (!at) return CORNU_OK;
    while (layer && *at) {
        size_t size = strcspn(at, "/");
        const char* name = cn_arena_strndup(&x->arena, at, size);
        if (!name) return CN_NO_MEMORY(size);
        layer = cn_layer_find(layer, name);
        at += size + (at[size] == '/');
    }
    if (!layer) return CN_FAIL(BAD_ARGUMENT, "%s: there is no layer '%s' to load weights into", x->doc->name, x->options.layer);
    x->layer = layer;
    return CORNU_OK;
}

/* ---- the source ---- */

static bool is_model(const cn_layer* layer) { return layer->kind == CN_LAYER_FUNCTIONAL || layer->kind == CN_LAYER_SEQUENTIAL; }

/* Whether the file is of the whole model, not of the layer alone. */
static cornu_status holds_whole(loading* x, bool* whole) {
    const char** names;
    size_t count;

    *whole = !x->layer || !x->layer->parent;
    if (*whole) return CORNU_OK;
    if (x->file->format == &cn_format_npz && !cn_weights_has_vars(x->file)) return *whole = true, CORNU_OK; /* named after the model's */
    if (!x->file->legacy) return *whole = cn_weights_has_data(x->file, x->layer->path), CORNU_OK;
    CN_TRY(cn_h5_names(x->file, x->file->legacy, "layer_names", &x->arena, &names, &count));
    for (size_t i = 0; i < count; i++) {
        const cn_layer* top = x->layer;
        while (top->parent && top->parent->parent) top = top->parent;
        if (strcmp(names[i], top->name) == 0) *whole = true;
    }
    return CORNU_OK;
}

/* The config that the file is read by: the target's, that of a nested model, or a Sequential around one layer. */
static cornu_status put_config(loading* x, bool whole, cn_buf* text) {
    bool wrapped = !whole && !is_model(x->layer);

    if (wrapped) cn_buf_text(text, "{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"name\": \"one\", \"layers\": [");
    CN_TRY(cn_json_print(whole ? cn_json_root(x->target->state->config) : x->layer->object, text));
    if (wrapped) cn_buf_text(text, "]}, \"registered_name\": null}");
    return cn_buf_check(text);
}

static cornu_status set_places(loading* x, bool whole) {
    const char* snake;

    if (whole) return CORNU_OK;
    x->prefix = x->layer->path;
    if (is_model(x->layer)) return CORNU_OK;
    snake = cn_snake_case(&x->arena, x->layer->class_name);
    if (!snake) return CN_NO_MEMORY(strlen(x->layer->class_name));
    x->inside = cn_arena_format(&x->arena, "layers/%s", snake);
    return x->inside ? CORNU_OK : CN_NO_MEMORY(strlen(snake));
}

static cornu_status open_source(loading* x, const char* path) {
    cornu_load_options load = CORNU_LOAD_OPTIONS_INIT;
    cornu_status st = CORNU_OK;
    cn_config_state* state = NULL;
    cn_buf text = {0};
    cn_match match = {x->options.by_name != 0, false, x->options.skip_mismatch != 0};
    bool whole;

    load.safe_mode = 0;
    CN_STEP(cn_document_open(path, &load, &x->file));
    if (x->options.by_name && !x->file->legacy)
        CN_STEP(CN_FAIL(BAD_ARGUMENT, "%s: by_name is for legacy HDF5 (.h5), whose layers have names; this is %s", path, cn_document_format_name(x->file)));
    CN_STEP(holds_whole(x, &whole));
    CN_STEP(set_places(x, whole));
    CN_STEP(put_config(x, whole, &text));
    if (x->layer && (whole ? x->layer->parent != NULL : !is_model(x->layer))) match.by_name = true;
    match.in_order = !match.by_name;
    CN_STEP(cn_state_create_text(x->file, text.data, text.size, x->doc->name, &state));
    st = cn_state_adopt(x->file, state);
    state = NULL;
    if (st == CORNU_OK) st = cn_upgrade_build(x->file, 3, &match, &x->source);
done:
    cn_state_destroy(state);
    cn_buf_deinit(&text);
    return st;
}

/* ---- pairs ---- */

static bool begins(const char* path, const char* prefix) {
    size_t n = strlen(prefix);
    return n == 0 || (strncmp(path, prefix, n) == 0 && path[n] == '/');
}

/* Whether two paths differ in '_' before a part's name at most: Keras knows some attributes by both. */
static bool same_path(const char* a, const char* b) {
    for (;;) {
        while (*a == '_') a++;
        while (*b == '_') b++;
        while (*a == *b && *a && *a != '/') a++, b++;
        if (*a != *b) return false;
        if (!*a) return true;
        a++, b++;
    }
}

static cornu_status find_source(loading* x, const char* path, const cn_variable** out) {
    const char* below = path + strlen(x->prefix);
    const char* name;

    if (*x->inside) name = cn_arena_format(&x->arena, "%s%s", x->inside, below);
    else name = *x->prefix ? below + 1 : path;
    if (!name) return CN_NO_MEMORY(strlen(path));
    *out = cn_document_variable(x->source, name);
    for (size_t i = 0; !*out && i < x->source->variable_count; i++) {
        if (same_path(x->source->variables[i].path, name)) *out = &x->source->variables[i];
    }
    return CORNU_OK;
}

static bool same_shape(const cn_variable* a, const cn_variable* b) {
    return a->ndim == b->ndim && memcmp(a->dims, b->dims, (size_t)a->ndim * sizeof *a->dims) == 0;
}

static void tell(loading* x, cornu_weights_match what, const char* path) {
    if (x->options.note) x->options.note(x->options.note_user, what, path);
}

/* Length of "layers/dense/vars" in a path. */
static size_t group_size(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static size_t count_of_group(const cn_document* doc, const char* path) {
    size_t size = group_size(path), n = 0;
    for (size_t i = 0; i < doc->variable_count; i++)
        n += group_size(doc->variables[i].path) == size && memcmp(doc->variables[i].path, path, size) == 0;
    return n;
}

/* Files by paths: Keras gives a layer the variables of its group one after the other and stops at the first that does not fit; a group of another
 * number of variables it does not begin. */
static void settle_groups(loading* x) {
    bool stopped = false;

    for (size_t i = 0; i < x->count; i++) {
        pair* p = &x->pairs[i];
        const char* path = p->to->path;
        size_t size = group_size(path);
        bool first = i == 0 || group_size(p[-1].to->path) != size || memcmp(p[-1].to->path, path, size) != 0;
        if (first) stopped = p->from && count_of_group(x->source, p->from->path) != count_of_group(x->target, path);
        stopped = stopped || !p->fits;
        p->fits = !stopped;
    }
}

static cornu_status make_pairs(loading* x) {
    x->pairs = cn_arena_array(&x->arena, x->target->variable_count + 1, sizeof *x->pairs);
    if (!x->pairs) return CN_NO_MEMORY(x->target->variable_count * sizeof *x->pairs);
    for (size_t i = 0; i < x->target->variable_count; i++) {
        pair* p = &x->pairs[x->count];
        p->to = &x->target->variables[i];
        if (p->to->is_optimizer || strncmp(p->to->path, "metrics/", 8) == 0) continue;
        if (x->layer && !begins(p->to->path, x->layer->path)) continue;
        CN_TRY(find_source(x, p->to->path, &p->from));
        p->fits = p->from && same_shape(p->to, p->from);
        x->count++;
    }
    if (!x->file->legacy) settle_groups(x);
    for (size_t i = 0; i < x->count; i++) {
        const pair* p = &x->pairs[i];
        if (p->fits) x->report.matched++;
        else if (p->from) x->report.mismatched++;
        else x->report.missing++;
        tell(x, p->fits ? CORNU_WEIGHTS_MATCHED : p->from ? CORNU_WEIGHTS_MISMATCHED : CORNU_WEIGHTS_MISSING, p->to->path);
    }
    return CORNU_OK;
}

static bool is_used(const loading* x, const cn_variable* raw) {
    for (size_t i = 0; i < x->count; i++) {
        const cn_variable* from = x->pairs[i].from;
        for (int k = 0; from && k < from->origin->from_count; k++) {
            if (from->origin->from[k] == raw) return true;
        }
    }
    return false;
}

static void count_unused(loading* x) {
    for (size_t i = 0; i < x->file->variable_count; i++) {
        const cn_variable* raw = &x->file->variables[i];
        if (raw->is_optimizer || strncmp(raw->path, "metrics/", 8) == 0 || is_used(x, raw)) continue;
        x->report.unused++;
        tell(x, CORNU_WEIGHTS_UNUSED, raw->path);
    }
}

static const char* shape_text(loading* x, const cn_variable* v) {
    const char* text = "";
    for (int i = 0; text && i < v->ndim; i++) text = cn_arena_format(&x->arena, i ? "%s, %lld" : "%s%lld", text, (long long)v->dims[i]);
    return text ? text : "?";
}

static cornu_status nothing_for(const loading* x, const char* path, const char* variable) {
    return CN_FAIL(NOT_FOUND, "%s: there is nothing for variable '%s' (%lld of %lld are missing)", path, variable, (long long)x->report.missing,
                   (long long)(x->report.missing + x->report.matched + x->report.mismatched));
}

static cornu_status judge(loading* x, const char* path) {
    bool lenient = x->options.by_name || x->options.skip_mismatch;

    for (size_t i = 0; i < x->count; i++) {
        const pair* p = &x->pairs[i];
        if (!p->from && (!lenient || x->options.require_all)) return nothing_for(x, path, p->to->path);
        if (!p->from || p->fits || (x->options.skip_mismatch && !x->options.require_all)) continue;
        if (same_shape(p->to, p->from))
            return CN_FAIL(BAD_ARGUMENT, "%s: there are %zu variables beside '%s'; the model has %zu", path, count_of_group(x->source, p->from->path),
                           p->from->path, count_of_group(x->target, p->to->path));
        return CN_FAIL(BAD_ARGUMENT, "%s: variable '%s' has shape (%s); the model's has (%s)", path, p->from->origin->from[0]->path,
                       shape_text(x, p->from), shape_text(x, p->to));
    }
    if (!x->options.require_all || x->report.unused == 0) return CORNU_OK;
    return CN_FAIL(BAD_ARGUMENT, "%s: %lld of its variables are not used by the model", path, (long long)x->report.unused);
}

/* ---- values ---- */

/* Copies one variable's elements, converted to the other's dtype. */
static cornu_status copy_value(const cn_document* from_doc, const cn_variable* from, cn_document* to_doc, cn_variable* to) {
    cornu_status st = CORNU_OK;
    cornu_tensor value = cornu_tensor_shaped(from->dtype, NULL, from->ndim, from->dims);
    uint64_t bytes = (uint64_t)from->count * cornu_dtype_size(from->dtype);

    value.data = cn_alloc((size_t)bytes);
    if (!value.data) return CN_NO_MEMORY(bytes);
    CN_STEP(cn_document_read(from_doc, from, value.data));
    CN_STEP(cn_document_set_variable(to_doc, to, &value));
done:
    cn_free(value.data);
    return st;
}

/* Into what the target's file holds. Where that is in an older layout, only a file of the same layout can be taken over. */
static cornu_status load_pair(loading* x, const pair* p, const char* path) {
    const cn_origin *to = p->to->origin, *from = p->from->origin;

    if (x->target == x->doc) return copy_value(x->source, p->from, x->doc, p->to);
    if (!to->conversion) return copy_value(x->source, p->from, x->doc, cn_document_variable(x->doc, to->from[0]->path));
    if (!from->conversion || memcmp(to->conversion, from->conversion, sizeof *to->conversion) != 0 || to->from_count != from->from_count)
        return CN_FAIL(UNSUPPORTED, "%s: variable '%s' of the model is stored in the layout of an older Keras, that of the file is not; convert the model first",
                       path, to->from[0]->path);
    for (int k = 0; k < to->from_count; k++)
        CN_TRY(copy_value(x->file, from->from[k], x->doc, cn_document_variable(x->doc, to->from[k]->path)));
    return CORNU_OK;
}

static cornu_status load_pairs(loading* x, const char* path) {
    for (size_t i = 0; i < x->count; i++) {
        if (x->pairs[i].fits) CN_TRY(load_pair(x, &x->pairs[i], path));
    }
    return CORNU_OK;
}

/* ---- a target that is an architecture alone ---- */

static cornu_status note_missing(void* user, const char* path) {
    loading* x = user;
    if (!x->report.missing++) x->first_missing = path;
    tell(x, CORNU_WEIGHTS_MISSING, path);
    return CORNU_OK;
}

/* Whether a layer of the architecture has the variable: what lies in layers of a model that the model does not list is nobody's. */
static bool has_owner(const cn_variable* v) {
    const char* below;

    if (!v->layer || !is_model(v->layer)) return v->layer != NULL;
    below = v->path + strlen(v->layer->path);
    return strncmp(below + (*below == '/'), "layers/", 7) != 0;
}

/* Pairs without targets: all that the layers find in the file. */
static cornu_status make_bare_pairs(loading* x, const char* path) {
    bool lenient = x->options.by_name || x->options.skip_mismatch;

    x->pairs = cn_arena_array(&x->arena, x->source->variable_count + 1, sizeof *x->pairs);
    if (!x->pairs) return CN_NO_MEMORY(x->source->variable_count * sizeof *x->pairs);
    for (size_t i = 0; i < x->source->variable_count; i++) {
        const cn_variable* from = &x->source->variables[i];
        if (from->is_optimizer || strncmp(from->path, "metrics/", 8) == 0 || !has_owner(from)) continue;
        x->pairs[x->count++] = (pair){NULL, from, true};
        x->report.matched++;
        tell(x, CORNU_WEIGHTS_MATCHED, from->path);
    }
    CN_TRY(cn_list_missing(x->source, cn_document_root(x->source), &x->arena, note_missing, x));
    count_unused(x);
    if (x->report.missing && (!lenient || x->options.require_all)) return nothing_for(x, path, x->first_missing);
    return judge(x, path);
}

static cornu_status take_variable(loading* x, const cn_variable* from, cn_variable* to) {
    uint64_t bytes = (uint64_t)from->count * cornu_dtype_size(from->dtype);

    *to = *from;
    to->origin = NULL;
    to->node = NULL;
    to->layer = NULL;
    to->path = cn_arena_strdup(&x->doc->arena, from->path);
    to->value = cn_alloc((size_t)bytes);
    x->doc->variable_count++;
    if (!to->path || !to->value) return CN_NO_MEMORY(bytes);
    return cn_document_read(x->source, from, to->value);
}

/* The target gets the variables that its layers find in the file. */
static cornu_status adopt_variables(loading* x) {
    cn_document* doc = x->doc;
    cornu_status st = CORNU_OK;

    doc->variables = cn_arena_array(&doc->arena, x->count + 1, sizeof *doc->variables);
    if (!doc->variables) return CN_NO_MEMORY(x->count * sizeof *doc->variables);
    for (size_t i = 0; i < x->count; i++) CN_STEP(take_variable(x, x->pairs[i].from, &doc->variables[doc->variable_count]));
    CN_STEP(cn_weights_index(doc));
    CN_STEP(cn_state_renew(doc));
    doc->variables_changed = true;
done:
    if (st != CORNU_OK) {
        for (size_t i = 0; i < doc->variable_count; i++) cn_free(doc->variables[i].value);
        doc->variable_count = doc->index_count = 0;
    }
    return st;
}

/* ---- the whole ---- */

static cornu_status load(loading* x, const char* path) {
    bool bare;

    CN_TRY(cn_document_upgraded(x->doc, &x->target));
    if (!cn_document_root(x->target))
        return CN_FAIL(UNSUPPORTED, "%s: it holds weights only; an architecture is needed to load others into it", x->doc->name);
    bare = x->doc->variable_count == 0 && x->doc->format == &cn_format_json;
    CN_TRY(find_layer(x));
    if (bare && x->layer && x->layer->parent)
        return CN_FAIL(UNSUPPORTED, "%s: it holds the architecture only; load the weights of the whole model first", x->doc->name);
    CN_TRY(open_source(x, path));
    if (bare) {
        CN_TRY(make_bare_pairs(x, path));
        return adopt_variables(x);
    }
    CN_TRY(make_pairs(x));
    count_unused(x);
    CN_TRY(judge(x, path));
    return load_pairs(x, path);
}

cornu_status cn_document_load_weights(cn_document* doc, const char* path, const cornu_weights_options* options,
                                      cornu_weights_report* report) {
    loading x = {.doc = doc};
    cornu_status st;

    read_options(&x, options);
    st = load(&x, path);
    if (report) {
        size_t size = report->size;
        x.report.size = size;
        memcpy(report, &x.report, size < sizeof x.report ? size : sizeof x.report);
    }
    cn_document_close(x.source);
    cn_document_close(x.file);
    cn_arena_deinit(&x.arena);
    return st;
}
