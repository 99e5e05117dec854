/* Which variables an optimizer keeps, in the order of a dialect.
 *
 *   Keras 3          iteration, learning_rate?, average*, gradient_accumulator*, slots (groups of optimizer.def)
 *     LossScale      iteration, learning_rate, step_counter, dynamic_scale, then all of the inner one
 *     Multi          iteration, learning_rate, then each inner one's, with the trained variables that its pattern matches
 *     before 3.10    u_product of Nadam comes before the slots
 *   tf.keras         iteration, average*, slots; SGD has momentum always. LossScale: those of the inner one alone
 *   its legacy       iter, momentum_cache of Nadam, slots one after the other
 *   Keras 1, 2       iterations (not for all classes in all versions), slots one after the other; Adam without amsgrad has placeholders */
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "keras/optimizer_table.h"

/* Of Keras 1, 2 and the first of 3, whose versions differ. */
#define VARIANT_NO_ITERATIONS 1u
#define VARIANT_PLACEHOLDERS 2u /* vhat of shape (1,) */
#define VARIANT_CACHE 4u        /* m_schedule of Nadam; in Keras 3 its u_product, before the slots */

typedef struct layouter {
    cn_arena* arena;
    cn_optimizer_dialect dialect;
    unsigned variant;
    const cn_trained* trained; /* all of them */
    size_t trained_count;
    const bool* mine; /* of a MultiOptimizer's inner one: which are its; else NULL */
    const cn_optimizer* optimizer;
    int32_t owner;
    bool inside_loss_scale;
    const char* scope; /* begins the names: "adam" */
    cn_optimizer_layout* out;
    size_t capacity;
} layouter;

/* ---- items ---- */

static cornu_status add_item(layouter* cx, const cn_optimizer_item* item) {
    cn_optimizer_layout* out = cx->out;

    if (out->count == cx->capacity) {
        size_t capacity = cx->capacity ? 2 * cx->capacity : 32;
        cn_optimizer_item* items = cn_arena_array(cx->arena, capacity, sizeof *items);
        if (!items) return CN_NO_MEMORY(capacity * sizeof *items);
        if (out->count) memcpy(items, out->items, out->count * sizeof *items);
        out->items = items;
        cx->capacity = capacity;
    }
    out->items[out->count++] = *item;
    return CORNU_OK;
}

/* "dense/kernel" -> "dense_kernel" */
static char* flattened(cn_arena* arena, const char* path) {
    char* copy = cn_arena_strdup(arena, path);
    for (char* c = copy; c && *c; c++) {
        if (*c == '/') *c = '_';
    }
    return copy;
}

/* slot is the dialect's name of it. */
static cornu_status name_item(layouter* cx, cn_optimizer_item* item, const char* slot) {
    const char* path = item->trained < 0 ? NULL : cx->trained[item->trained].name;
    const char* scope = cx->scope;
    const char* slash = *scope ? "/" : "";
    char number[32];

    if (item->trained >= 0 && !path) {
        (void)snprintf(number, sizeof number, "variable_%lld", (long long)item->trained);
        path = number;
    }
    switch (cx->dialect) {
        case CN_OPTIMIZER_KERAS2: return CORNU_OK;
        case CN_OPTIMIZER_KERAS3:
            if (path) path = flattened(cx->arena, path);
            if (item->trained >= 0 && !path) return CN_NO_MEMORY(1);
            item->name = path ? cn_arena_format(cx->arena, "%s%s%s_%s", scope, slash, path, slot)
                              : cn_arena_format(cx->arena, "%s%s%s", scope, slash, slot);
            break;
        case CN_OPTIMIZER_TF:
            item->name = path ? cn_arena_format(cx->arena, "%s%s%s/%s:0", scope, slash, slot, path)
                              : cn_arena_format(cx->arena, "%s:0", slot);
            break;
        case CN_OPTIMIZER_TF_LEGACY:
            item->name = path ? cn_arena_format(cx->arena, "%s%s%s/%s:0", scope, slash, path, slot)
                              : cn_arena_format(cx->arena, "%s%s%s:0", scope, slash, slot);
            break;
    }
    return item->name ? CORNU_OK : CN_NO_MEMORY(strlen(slot));
}

static cornu_status add_scalar(layouter* cx, const char* slot, const char* spelled, cornu_dtype dtype, double initial) {
    cn_optimizer_item item = {slot, cx->owner, -1, dtype, 0, {0}, NULL, initial};
    CN_TRY(name_item(cx, &item, spelled));
    return add_item(cx, &item);
}

/* Without dimension `leave_out`; -1 leaves none out. */
static cornu_status add_slot(layouter* cx, const char* slot, const char* spelled, size_t trained, int leave_out, double initial) {
    const cn_variable* variable = cx->trained[trained].variable;
    cn_optimizer_item item = {slot, cx->owner, (int64_t)trained, variable->dtype, 0, {0}, NULL, initial};

    for (int i = 0; i < variable->ndim; i++) {
        if (i != leave_out) item.dims[item.ndim++] = variable->dims[i];
    }
    CN_TRY(name_item(cx, &item, spelled));
    return add_item(cx, &item);
}

/* ---- slots ---- */

/* Python's re.search, as far as POSIX knows its syntax; a pattern that it does not know matches what contains it. */
static bool pattern_finds(const char* pattern, const char* text, bool whole) {
    regex_t regex;
    regmatch_t match;
    bool found;

    if (strcmp(pattern, text) == 0) return true;
    if (regcomp(&regex, pattern, REG_EXTENDED) != 0) return !whole && strstr(text, pattern);
    found = regexec(&regex, text, 1, &match, 0) == 0;
    regfree(&regex);
    return found && (!whole || (match.rm_so == 0 && text[match.rm_eo] == '\0'));
}

/* Muon's rule for what it leaves to AdamW. */
static bool is_left_to_adamw(const layouter* cx, size_t i) {
    const cn_trained* trained = &cx->trained[i];
    const cn_json* excluded = cn_json_get(cx->optimizer->config, "exclude_layers");

    if (trained->variable->ndim != 2) return true;
    if (trained->in_embedding && cn_optimizer_number(cx->optimizer, "exclude_embeddings") != 0) return true;
    for (size_t j = 0; j < cn_json_size(excluded); j++) {
        const char* pattern = cn_json_string(cn_json_at(excluded, j), NULL);
        if (pattern && trained->name && pattern_finds(pattern, trained->name, false)) return true;
    }
    return false;
}

static bool is_set(const layouter* cx, const char* key) {
    double value = cn_optimizer_number(cx->optimizer, key);
    return !isnan(value) && value != 0;
}

/* Whether the optimizer keeps the slot at all. */
static bool has_slot(const layouter* cx, const cn_slot_def* slot) {
    bool keras2 = cx->dialect == CN_OPTIMIZER_KERAS2;

    switch (slot->when) {
        case CN_WHEN_ALWAYS:
        case CN_WHEN_ADAMW: return true;
        case CN_WHEN_MOMENTUM: {
            bool sgd = strcmp(slot->class_name, "SGD") == 0;
            if (keras2) return sgd; /* RMSprop had no momentum */
            return (sgd && cx->dialect == CN_OPTIMIZER_TF) || is_set(cx, "momentum");
        }
        case CN_WHEN_AMSGRAD: return is_set(cx, "amsgrad") || (cx->variant & VARIANT_PLACEHOLDERS);
        case CN_WHEN_CENTERED: return !keras2 && is_set(cx, "centered");
        case CN_WHEN_KERAS3: break; /* comes first in the legacy dialects: add_scalars */
    }
    return cx->dialect == CN_OPTIMIZER_KERAS3 && !cx->inside_loss_scale && !(cx->variant & VARIANT_CACHE);
}

static const char* spelled_slot(const layouter* cx, const cn_slot_def* slot) {
    if (cx->dialect == CN_OPTIMIZER_KERAS3) return slot->name;
    return cx->dialect == CN_OPTIMIZER_TF ? slot->tf : slot->legacy;
}

static double initial_of(const layouter* cx, const cn_slot_def* slot) {
    if (strcmp(slot->name, "accumulator") == 0) return cn_optimizer_number(cx->optimizer, "initial_accumulator_value");
    if (strcmp(slot->name, "momentum") == 0 && strcmp(slot->class_name, "ScheduleFreeAdamW") == 0) return NAN;
    return slot->kind == CN_SLOT_SCALAR ? 1 : 0;
}

static cornu_status add_one(layouter* cx, const cn_slot_def* slot, size_t i) {
    const cn_variable* variable = cx->trained[i].variable;
    const char* spelled = spelled_slot(cx, slot);
    int leave_out = slot->kind == CN_SLOT_ROWS ? variable->ndim - 1 : slot->kind == CN_SLOT_COLS ? variable->ndim - 2 : -1;

    if (slot->when == CN_WHEN_ADAMW && !is_left_to_adamw(cx, i)) return CORNU_OK;
    if (slot->when == CN_WHEN_AMSGRAD && (cx->variant & VARIANT_PLACEHOLDERS)) {
        cn_optimizer_item item = {"placeholder", cx->owner, (int64_t)i, variable->dtype, 1, {1}, NULL, 0};
        return add_item(cx, &item);
    }
    if ((slot->kind == CN_SLOT_ROWS || slot->kind == CN_SLOT_COLS) && variable->ndim < 2) {
        /* Keras 3 has a scalar in its place, tf.keras keeps one to itself. */
        cn_optimizer_item item = {slot->name, cx->owner, (int64_t)i, CORNU_INT32, 0, {0}, NULL, 0};
        if (cx->dialect != CN_OPTIMIZER_KERAS3) return CORNU_OK;
        CN_TRY(name_item(cx, &item, spelled));
        return add_item(cx, &item);
    }
    return add_slot(cx, slot->name, spelled, i, leave_out, initial_of(cx, slot));
}

static bool is_mine(const layouter* cx, size_t i) { return !cx->mine || cx->mine[i]; }

/* slots[0 .. count-1] variable by variable. */
static cornu_status add_together(layouter* cx, const cn_slot_def* slots, size_t count) {
    for (size_t i = 0; i < cx->trained_count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (is_mine(cx, i) && has_slot(cx, &slots[j])) CN_TRY(add_one(cx, &slots[j], i));
        }
    }
    return CORNU_OK;
}

static cornu_status add_slots(layouter* cx) {
    bool together = cx->dialect == CN_OPTIMIZER_KERAS3 || cx->dialect == CN_OPTIMIZER_TF || strcmp(cx->optimizer->class_name, "Ftrl") == 0;

    for (size_t i = 0; i < cn_slot_def_count; i++) {
        const cn_slot_def* slot = &cn_slot_defs[i];
        size_t count = 1;
        if (strcmp(slot->class_name, cx->optimizer->class_name) != 0) continue;
        if (slot->kind == CN_SLOT_SCALAR) {
            if (has_slot(cx, slot)) CN_TRY(add_scalar(cx, slot->name, "variable", CORNU_FLOAT32, initial_of(cx, slot)));
            continue;
        }
        while (together && i + 1 < cn_slot_def_count && strcmp(slot[count].class_name, slot->class_name) == 0 &&
               slot[count].group == slot->group && slot[count].kind != CN_SLOT_SCALAR) {
            count++;
            i++;
        }
        CN_TRY(add_together(cx, slot, count));
    }
    return CORNU_OK;
}

static cornu_status add_for_all(layouter* cx, const char* slot) {
    for (size_t i = 0; i < cx->trained_count; i++) {
        if (is_mine(cx, i)) CN_TRY(add_slot(cx, slot, slot, i, -1, 0));
    }
    return CORNU_OK;
}

/* ---- one optimizer ---- */

static bool dialect_has(const layouter* cx) {
    for (size_t i = 0; i < cn_slot_def_count; i++) {
        const cn_slot_def* slot = &cn_slot_defs[i];
        if (strcmp(slot->class_name, cx->optimizer->class_name) == 0) return spelled_slot(cx, slot) != NULL;
    }
    return cx->dialect == CN_OPTIMIZER_KERAS3;
}

static cornu_status add_scalars(layouter* cx) {
    bool wrapper = cx->optimizer->inner_count > 0;
    double rate = wrapper ? 0 : cn_optimizer_number(cx->optimizer, "learning_rate");
    bool nadam = strcmp(cx->optimizer->class_name, "Nadam") == 0;

    switch (cx->dialect) {
        case CN_OPTIMIZER_KERAS3:
            CN_TRY(add_scalar(cx, "iteration", "iteration", CORNU_INT64, 0));
            if (cx->optimizer->schedule) return CORNU_OK;
            return add_scalar(cx, "learning_rate", "learning_rate", CORNU_FLOAT32, rate);
        case CN_OPTIMIZER_TF: return add_scalar(cx, "iteration", "iteration", CORNU_INT64, 0);
        case CN_OPTIMIZER_TF_LEGACY:
            CN_TRY(add_scalar(cx, "iteration", "iter", CORNU_INT64, 0));
            return nadam ? add_scalar(cx, "u_product", "momentum_cache", CORNU_FLOAT32, 1) : CORNU_OK;
        case CN_OPTIMIZER_KERAS2: break;
    }
    if (!(cx->variant & VARIANT_NO_ITERATIONS)) CN_TRY(add_scalar(cx, "iteration", "", CORNU_INT64, 0));
    return cx->variant & VARIANT_CACHE ? add_scalar(cx, "u_product", "", CORNU_FLOAT32, 1) : CORNU_OK;
}

static cornu_status lay_out(layouter* cx);

static cornu_status add_plain(layouter* cx) {
    CN_TRY(add_scalars(cx));
    if (cx->dialect != CN_OPTIMIZER_KERAS2 && is_set(cx, "use_ema")) CN_TRY(add_for_all(cx, "average"));
    if (cx->dialect == CN_OPTIMIZER_KERAS3 && is_set(cx, "gradient_accumulation_steps"))
        CN_TRY(add_for_all(cx, "gradient_accumulator"));
    if (cx->dialect == CN_OPTIMIZER_KERAS3 && (cx->variant & VARIANT_CACHE) && strcmp(cx->optimizer->class_name, "Nadam") == 0)
        CN_TRY(add_scalar(cx, "u_product", "variable", CORNU_FLOAT32, 1));
    return add_slots(cx);
}

/* Hands each trained variable to the inner optimizer whose pattern its path matches: exactly, else the only one that matches all of it. */
static cornu_status share_out(layouter* cx, bool** out) {
    const cn_optimizer* optimizer = cx->optimizer;
    bool* shares = cn_arena_array(cx->arena, optimizer->inner_count * cx->trained_count + 1, sizeof *shares);

    *out = shares;
    if (!shares) return CN_NO_MEMORY(cx->trained_count);
    for (size_t i = 0; i < cx->trained_count; i++) {
        const char* path = cx->trained[i].name ? cx->trained[i].name : "";
        size_t owner = optimizer->inner_count;
        for (size_t j = 0; j < optimizer->inner_count && owner == optimizer->inner_count; j++) {
            const char* pattern = optimizer->inner[j].pattern;
            if (pattern && pattern_finds(pattern, path, true)) owner = j;
        }
        if (owner == optimizer->inner_count && owner > 0 && !optimizer->inner[owner - 1].pattern) owner--;
        if (owner < optimizer->inner_count) shares[owner * cx->trained_count + i] = true;
    }
    return CORNU_OK;
}

static cornu_status add_inner(layouter* cx, const cn_optimizer* optimizer, int32_t owner, const bool* mine) {
    layouter inner = *cx;

    inner.optimizer = optimizer;
    inner.owner = owner;
    inner.mine = mine;
    inner.scope = optimizer->name;
    inner.inside_loss_scale = cn_optimizer_is_loss_scale(cx->optimizer);
    if (inner.inside_loss_scale && cx->dialect == CN_OPTIMIZER_TF) inner.scope = "";
    CN_TRY(lay_out(&inner));
    cx->capacity = inner.capacity;
    return CORNU_OK;
}

static cornu_status lay_out(layouter* cx) {
    const cn_optimizer* optimizer = cx->optimizer;
    bool* shares = NULL;

    if (!optimizer->def)
        return CN_FAIL(UNSUPPORTED, "optimizer '%s' is no class of Keras; which variables it keeps is not known", optimizer->class_name);
    if (optimizer->inner_count == 0 && !dialect_has(cx))
        return CN_FAIL(UNSUPPORTED, "optimizer '%s' is in Keras 3 only; this format is of an older Keras", optimizer->class_name);
    if (optimizer->inner_count == 0) return add_plain(cx);
    if (cx->dialect == CN_OPTIMIZER_KERAS3) CN_TRY(add_scalars(cx));
    if (cn_optimizer_is_loss_scale(optimizer)) {
        if (cx->dialect == CN_OPTIMIZER_KERAS3) {
            CN_TRY(add_scalar(cx, "step_counter", "step_counter", CORNU_INT64, 0));
            CN_TRY(add_scalar(cx, "dynamic_scale", "dynamic_scale", CORNU_FLOAT32, cn_optimizer_number(optimizer, "initial_scale")));
        }
        return add_inner(cx, optimizer->inner, 1, NULL);
    }
    if (cx->dialect != CN_OPTIMIZER_KERAS3)
        return CN_FAIL(UNSUPPORTED, "optimizer 'MultiOptimizer' is in Keras 3 only; this format is of an older Keras");
    CN_TRY(share_out(cx, &shares));
    for (size_t i = 0; i < optimizer->inner_count; i++) {
        const bool* mine = shares + i * cx->trained_count;
        CN_TRY(add_inner(cx, &optimizer->inner[i], (int32_t)i + 1, mine));
    }
    return CORNU_OK;
}

static cornu_status make_variant(const cn_optimizer* optimizer, const cn_trained* trained, size_t trained_count,
                                 cn_optimizer_dialect dialect, unsigned variant, cn_arena* arena, cn_optimizer_layout* out) {
    layouter cx = {arena, dialect, variant, trained, trained_count, NULL, optimizer, 0, false, optimizer->name, out, 0};

    *out = (cn_optimizer_layout){.dialect = dialect, .outdated = variant != 0};
    return lay_out(&cx);
}

cornu_status cn_optimizer_make_layout(const cn_optimizer* optimizer, const cn_trained* trained, size_t trained_count,
                                      cn_optimizer_dialect dialect, cn_arena* arena, cn_optimizer_layout* out) {
    return make_variant(optimizer, trained, trained_count, dialect, 0, arena, out);
}

/* ---- identifying ---- */

static bool shapes_fit(const cn_optimizer_layout* layout, const cn_optimizer_stored* stored, size_t count) {
    if (layout->count != count) return false;
    for (size_t i = 0; i < count; i++) {
        const cn_optimizer_item* item = &layout->items[i];
        if (item->ndim != stored[i].ndim) return false;
        if (memcmp(item->dims, stored[i].dims, (size_t)item->ndim * sizeof *item->dims) != 0) return false;
    }
    return true;
}

static bool ends_with(const char* text, const char* end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* Whether the name's part that says which slot it is, is the dialect's. The rest depends on versions and on how the model was built. */
static bool name_fits(const cn_optimizer_layout* layout, const cn_optimizer_item* item, const char* name) {
    char mark[80];
    const char* own = item->name;
    const char* slash;

    if (!own || item->trained < 0) return own && ends_with(name, strrchr(own, '/') ? strrchr(own, '/') + 1 : own);
    switch (layout->dialect) {
        case CN_OPTIMIZER_KERAS3: (void)snprintf(mark, sizeof mark, "_%s", item->slot); return ends_with(name, mark);
        case CN_OPTIMIZER_TF_LEGACY: return (slash = strrchr(own, '/')) && ends_with(name, slash);
        case CN_OPTIMIZER_TF: break;
        case CN_OPTIMIZER_KERAS2: return false;
    }
    /* "Adam/m/dense/kernel:0": the slot is somewhere in the middle; layers may not be called so. */
    for (size_t i = 0; i < cn_slot_def_count; i++) {
        if (strcmp(cn_slot_defs[i].name, item->slot) != 0 || !cn_slot_defs[i].tf) continue;
        (void)snprintf(mark, sizeof mark, "%s/", cn_slot_defs[i].tf);
        const char* at = strstr(name, mark);
        if (at && (at == name || at[-1] == '/')) return true;
    }
    return false;
}

static size_t count_fitting_names(const cn_optimizer_layout* layout, const cn_optimizer_stored* stored) {
    size_t sum = 0;
    for (size_t i = 0; i < layout->count; i++) {
        if (stored[i].name && name_fits(layout, &layout->items[i], stored[i].name)) sum++;
    }
    return sum;
}

void cn_optimizer_leave_built(cn_optimizer_layout* layout) {
    size_t count = 0;

    for (size_t i = 0; i < layout->count; i++) {
        cn_optimizer_item item = layout->items[i];
        if (item.trained >= 0 || (strcmp(item.slot, "iteration") != 0 && strcmp(item.slot, "learning_rate") != 0)) continue;
        layout->items[i] = layout->items[count];
        layout->items[count++] = item;
    }
    layout->count = count;
    layout->unbuilt = true;
}

/* Whether these are the variables of an optimizer that has not trained yet, in the order of `whole`. */
static bool is_unbuilt(const cn_optimizer_layout* whole, const cn_optimizer_stored* stored, size_t count, cn_optimizer_layout* out) {
    *out = *whole;
    if (count == 0 || whole->count <= count) return false;
    cn_optimizer_leave_built(out);
    return shapes_fit(out, stored, count);
}

static cornu_status no_layout_fits(const cn_optimizer* optimizer, size_t trained_count, size_t stored_count, const cn_optimizer_layout* nearest) {
    if (nearest->count != stored_count)
        return CN_FAIL(UNSUPPORTED, "the file has %zu variables of the optimizer; %s keeps %zu for %zu trained variables", stored_count,
                       optimizer->class_name, nearest->count, trained_count);
    return CN_FAIL(UNSUPPORTED, "the shapes of the %zu variables of the optimizer are not those that %s keeps for the %zu trained variables",
                   stored_count, optimizer->class_name, trained_count);
}

/* nearest: what the newest Keras keeps. */
static cornu_status find_layout(const cn_optimizer* optimizer, const cn_trained* trained, size_t trained_count,
                                const cn_optimizer_stored* stored, size_t stored_count, cn_arena* arena, cn_optimizer_layout* out,
                                cn_optimizer_layout* nearest, bool* found) {
    static const struct {
        cn_optimizer_dialect dialect;
        unsigned variant;
    } candidates[] = {
        {CN_OPTIMIZER_KERAS3, 0},
        {CN_OPTIMIZER_KERAS3, VARIANT_CACHE},
        {CN_OPTIMIZER_TF, 0},
        {CN_OPTIMIZER_TF_LEGACY, 0},
        {CN_OPTIMIZER_KERAS2, 0},
        {CN_OPTIMIZER_KERAS2, VARIANT_PLACEHOLDERS},
        {CN_OPTIMIZER_KERAS2, VARIANT_NO_ITERATIONS},
        {CN_OPTIMIZER_KERAS2, VARIANT_NO_ITERATIONS | VARIANT_PLACEHOLDERS},
        {CN_OPTIMIZER_KERAS2, VARIANT_CACHE},
    };
    cn_optimizer_layout tf = {.dialect = CN_OPTIMIZER_TF}, unbuilt;
    size_t best = 0;

    *found = false;
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        cn_optimizer_layout layout;
        size_t names;
        cornu_status st = make_variant(optimizer, trained, trained_count, candidates[i].dialect, candidates[i].variant, arena, &layout);
        if (st == CORNU_UNSUPPORTED && i > 0) continue;
        CN_TRY(st);
        if (i == 0) *nearest = layout;
        if (candidates[i].dialect == CN_OPTIMIZER_TF) tf = layout;
        if (!shapes_fit(&layout, stored, stored_count)) continue;
        names = count_fitting_names(&layout, stored);
        if (*found && names <= best) continue;
        *out = layout;
        best = names;
        *found = true;
    }
    if (!*found && (is_unbuilt(nearest, stored, stored_count, &unbuilt) || is_unbuilt(&tf, stored, stored_count, &unbuilt)))
        *out = unbuilt, *found = true;
    return CORNU_OK;
}

cornu_status cn_optimizer_identify(cn_optimizer** optimizer, const cn_trained* trained, size_t trained_count,
                                   const cn_optimizer_stored* stored, size_t stored_count, cn_arena* arena, cn_optimizer_layout* out) {
    cn_optimizer_layout nearest = {.dialect = CN_OPTIMIZER_KERAS3}, other;
    cn_optimizer* wrapper;
    bool found;

    *out = nearest;
    CN_TRY(find_layout(*optimizer, trained, trained_count, stored, stored_count, arena, out, &nearest, &found));
    if (!found && (*optimizer)->inner_count == 0) {
        wrapper = cn_optimizer_wrap(*optimizer, arena);
        if (!wrapper) return CN_NO_MEMORY(sizeof *wrapper);
        CN_TRY(find_layout(wrapper, trained, trained_count, stored, stored_count, arena, out, &other, &found));
        if (found) *optimizer = wrapper;
    }
    return found ? CORNU_OK : no_layout_fits(*optimizer, trained_count, stored_count, &nearest);
}

int64_t cn_optimizer_find(const cn_optimizer_layout* layout, const cn_optimizer_item* item) {
    for (size_t i = 0; i < layout->count; i++) {
        const cn_optimizer_item* other = &layout->items[i];
        if (other->owner == item->owner && other->trained == item->trained && strcmp(other->slot, item->slot) == 0) return (int64_t)i;
    }
    return -1;
}
