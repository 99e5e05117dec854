/* Reading an optimizer's object: class, hyperparameters, schedule, inner optimizers. The classes and their defaults are rows of optimizer.def. */
#include "keras/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keras/optimizer_table.h"

static const cn_optimizer_def classes[] = {
#define CN_OPTIMIZER(class_name) {class_name},
#include "keras/optimizer.def"
};

const cn_slot_def cn_slot_defs[] = {
#define CN_SLOT(class_name, group, name, tf, legacy, kind, when) \
    {class_name, group, name, tf, legacy, CN_SLOT_##kind, CN_WHEN_##when},
#include "keras/optimizer.def"
};
const size_t cn_slot_def_count = sizeof cn_slot_defs / sizeof *cn_slot_defs;

const cn_hyper_def cn_hyper_defs[] = {
#define CN_HYPER(class_name, key, fallback) {class_name, key, fallback},
#include "keras/optimizer.def"
};
const size_t cn_hyper_def_count = sizeof cn_hyper_defs / sizeof *cn_hyper_defs;

/* What other versions called a class that is the same. */
static const struct {
    const char* name;
    const char* class_name;
} renamed[] = {
    {"LossScaleOptimizerV3", "LossScaleOptimizer"},
    {"NonFusedAdam", "Adam"},
    {"RMSProp", "RMSprop"},
};

/* ---- classes ---- */

/* The row of a class as a file may spell it: "Adam", "adam", "Custom>Adam". */
static const cn_optimizer_def* find_class(const char* spelled) {
    if (strncmp(spelled, "Custom>", 7) == 0) spelled += 7;
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        if (strcasecmp(renamed[i].name, spelled) == 0) spelled = renamed[i].class_name;
    }
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcasecmp(classes[i].class_name, spelled) == 0) return &classes[i];
    }
    return NULL;
}

const char* cn_optimizer_class_of(const char* spelled) {
    const cn_optimizer_def* def = find_class(spelled);
    return def ? def->class_name : spelled;
}

static bool is_class(const cn_optimizer* optimizer, const char* name) {
    return optimizer->def && strcmp(optimizer->class_name, name) == 0;
}

bool cn_optimizer_is_loss_scale(const cn_optimizer* optimizer) { return is_class(optimizer, "LossScaleOptimizer"); }
bool cn_optimizer_is_multi(const cn_optimizer* optimizer) { return is_class(optimizer, "MultiOptimizer"); }

/* ---- hyperparameters ---- */

static bool has_base_keys(const cn_optimizer* optimizer) {
    return optimizer->def && !cn_optimizer_is_loss_scale(optimizer) && !cn_optimizer_is_multi(optimizer);
}

/* Whether a row is the optimizer's; a row of the class goes before one that all have. */
static bool has_row(const cn_optimizer* optimizer, const cn_hyper_def* row) {
    if (!optimizer->def) return false;
    if (*row->class_name) return strcmp(row->class_name, optimizer->class_name) == 0;
    if (!has_base_keys(optimizer)) return false;
    for (size_t i = 0; i < cn_hyper_def_count; i++) {
        const cn_hyper_def* own = &cn_hyper_defs[i];
        if (strcmp(own->class_name, optimizer->class_name) == 0 && strcmp(own->key, row->key) == 0) return false;
    }
    return true;
}

const char* cn_optimizer_key(const cn_optimizer* optimizer, size_t i, const char** fallback) {
    if (fallback) *fallback = NULL;
    for (size_t j = 0; j < cn_hyper_def_count; j++) {
        if (!has_row(optimizer, &cn_hyper_defs[j]) || i-- > 0) continue;
        if (fallback) *fallback = cn_hyper_defs[j].fallback;
        return cn_hyper_defs[j].key;
    }
    return NULL;
}

static double number_of_text(const char* text) {
    if (strcmp(text, "true") == 0) return 1;
    if (strcmp(text, "false") == 0) return 0;
    /* Not by strtod, to which a locale may say that the point is a comma. */
    double value = 0, scale = 1;
    const char* at = text;
    bool negative = *at == '-';
    bool fraction = false;
    if (negative) at++;
    if (*at < '0' || *at > '9') return NAN;
    for (; (*at >= '0' && *at <= '9') || *at == '.'; at++) {
        if (*at == '.') fraction = true;
        else {
            value = value * 10 + (*at - '0');
            if (fraction) scale *= 10;
        }
    }
    value /= scale;
    if (*at == 'e') value *= pow(10, (double)strtol(at + 1, NULL, 10));
    return negative ? -value : value;
}

double cn_optimizer_number(const cn_optimizer* optimizer, const char* key) {
    const cn_json* value = cn_json_get(optimizer->config, key);
    const char* fallback;

    if (!value && strcmp(key, "learning_rate") == 0) value = cn_json_get(optimizer->config, "lr");
    if (cn_json_is(value, CN_JSON_BOOL)) return cn_json_bool(value) ? 1 : 0;
    if (value) return cn_json_double(value);
    for (size_t i = 0;; i++) {
        const char* name = cn_optimizer_key(optimizer, i, &fallback);
        if (!name) return NAN;
        if (strcmp(name, key) == 0) return number_of_text(fallback);
    }
}

double cn_optimizer_decay(const cn_optimizer* optimizer) {
    double decay = cn_json_double(cn_json_get(optimizer->config, "decay"));
    if (is_class(optimizer, "Nadam")) return 0; /* there it is the decay of the momentum */
    return optimizer->legacy && decay > 0 ? decay : 0;
}

/* ---- reading ---- */

static cornu_status read_into(const cn_json* object, cn_arena* arena, int depth, cn_optimizer* out);

/* The default optimizer comes last, unless the map names the same one. */
static cornu_status read_map(cn_optimizer* optimizer, cn_arena* arena, int depth) {
    const cn_json* map = cn_json_get(cn_json_get(optimizer->config, "optimizer_map"), "config");
    const cn_json* rows = cn_json_get(map, "optimizer_map");
    const cn_json* fallback = cn_json_get(map, "default_optimizer");
    size_t count = cn_json_size(rows);

    optimizer->inner = cn_arena_array(arena, count + 1, sizeof *optimizer->inner);
    if (!optimizer->inner) return CN_NO_MEMORY(count * sizeof *optimizer->inner);
    for (size_t i = 0; i < count; i++) {
        cn_optimizer* inner = &optimizer->inner[optimizer->inner_count++];
        CN_TRY(read_into(cn_json_at(rows, i), arena, depth, inner));
        inner->pattern = cn_json_key_at(rows, i, NULL);
    }
    if (cn_json_type_of(fallback) == CN_JSON_NULL) return CORNU_OK;
    return read_into(fallback, arena, depth, &optimizer->inner[optimizer->inner_count++]);
}

static cornu_status read_inner(cn_optimizer* optimizer, cn_arena* arena, int depth) {
    const cn_json* inner = cn_json_get(optimizer->config, "inner_optimizer");

    if (cn_optimizer_is_multi(optimizer)) return read_map(optimizer, arena, depth);
    if (!inner) inner = cn_json_get(optimizer->config, "optimizer"); /* before tf.keras 2.4 */
    if (!cn_optimizer_is_loss_scale(optimizer) || cn_json_type_of(inner) == CN_JSON_NULL) return CORNU_OK;
    optimizer->inner = cn_arena_array(arena, 1, sizeof *optimizer->inner);
    if (!optimizer->inner) return CN_NO_MEMORY(sizeof *optimizer->inner);
    optimizer->inner_count = 1;
    return read_into(inner, arena, depth, optimizer->inner);
}

/* Keys that the newer optimizers do not write. */
static bool is_legacy(const cn_json* object, const cn_json* config) {
    const char* module = cn_json_string(cn_json_get(object, "module"), NULL);
    return cn_json_get(config, "decay") || cn_json_get(config, "lr") || (module && strstr(module, "legacy"));
}

static cornu_status read_into(const cn_json* object, cn_arena* arena, int depth, cn_optimizer* out) {
    const char* class_name = cn_json_string(object, NULL);
    const cn_json* rate;

    if (!class_name) class_name = cn_json_string(cn_json_get(object, "class_name"), NULL);
    if (!class_name)
        return CN_FAIL(BAD_FILE, "key 'optimizer' is of type %s%s; a name or an object with a string class_name is allowed",
                       cn_json_type_name(object), cn_json_is(object, CN_JSON_OBJECT) ? " without one" : "");
    if (depth > 2) return CN_FAIL(BAD_FILE, "optimizer '%s' is inside a wrapper inside a wrapper, which no Keras allows", class_name);
    out->def = find_class(class_name);
    out->class_name = out->def ? out->def->class_name : class_name;
    out->config = cn_json_get(object, "config");
    if (!cn_json_is(out->config, CN_JSON_OBJECT)) out->config = NULL;
    out->name = cn_json_string(cn_json_get(out->config, "name"), NULL);
    if (!out->name) out->name = "";
    out->legacy = is_legacy(object, out->config);
    rate = cn_json_get(out->config, "learning_rate");
    if (cn_json_is(rate, CN_JSON_OBJECT)) out->schedule = rate;
    return read_inner(out, arena, depth + 1);
}

cornu_status cn_optimizer_read(const cn_json* object, cn_arena* arena, cn_optimizer** out) {
    cn_optimizer* optimizer;

    *out = NULL;
    if (cn_json_type_of(object) == CN_JSON_NULL) return CORNU_OK;
    optimizer = cn_arena_alloc(arena, sizeof *optimizer);
    if (!optimizer) return CN_NO_MEMORY(sizeof *optimizer);
    CN_TRY(read_into(object, arena, 0, optimizer));
    *out = optimizer;
    return CORNU_OK;
}

cn_optimizer* cn_optimizer_wrap(const cn_optimizer* inner, cn_arena* arena) {
    cn_optimizer* wrapper = cn_arena_alloc(arena, sizeof *wrapper);
    cn_optimizer* copy = cn_arena_alloc(arena, sizeof *copy);

    if (!wrapper || !copy) return NULL;
    *copy = *inner;
    *wrapper = (cn_optimizer){.class_name = "LossScaleOptimizer", .name = "loss_scale_optimizer", .inner = copy, .inner_count = 1};
    wrapper->def = find_class(wrapper->class_name);
    return wrapper;
}
