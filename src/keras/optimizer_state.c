/* An optimizer's state in a document, and as files of other dialects store it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "keras/compile.h"
#include "keras/optimizer_table.h"
#include "keras/parts.h"

#include "base/dtype.h"

/* ---- reading ---- */

static cornu_status list_variables(const cn_document* doc, cn_arena* arena, cn_optimizer_state* out) {
    char path[64];

    out->variables = cn_arena_array(arena, cn_document_variable_count(doc) + 1, sizeof(cn_variable*));
    if (!out->variables) return CN_NO_MEMORY(cn_document_variable_count(doc) * sizeof(cn_variable*));
    for (;;) {
        cn_variable* variable;
        (void)snprintf(path, sizeof path, "optimizer/vars/%zu", out->count);
        variable = cn_document_variable(doc, path);
        if (!variable) return CORNU_OK;
        out->variables[out->count++] = variable;
    }
}

static cornu_status identify(const cn_document* doc, cn_arena* arena, cn_optimizer_state* out) {
    cn_optimizer_stored* stored = cn_arena_array(arena, out->count + 1, sizeof *stored);
    cornu_status st;

    if (!stored) return CN_NO_MEMORY(out->count * sizeof *stored);
    for (size_t i = 0; i < out->trained_count; i++) {
        if (!out->trained[i].uncertain) continue;
        out->unknown = cn_arena_format(arena, "the order of the trained variables is not known: %s is of a class that holds layers in an order of its own",
                                       cn_layer_describe(out->trained[i].variable->layer));
        return out->unknown ? CORNU_OK : CN_NO_MEMORY(128);
    }
    for (size_t i = 0; i < out->count; i++)
        stored[i] = (cn_optimizer_stored){NULL, out->variables[i]->ndim, out->variables[i]->dims};
    st = cn_optimizer_identify(&out->optimizer, out->trained, out->trained_count, stored, out->count, arena, &out->layout);
    if (st != CORNU_UNSUPPORTED) return st;
    out->unknown = cn_arena_strdup(arena, cornu_last_error());
    (void)doc;
    return out->unknown ? CORNU_OK : CN_NO_MEMORY(128);
}

cornu_status cn_optimizer_state_of(const cn_document* doc, cn_arena* arena, cn_optimizer_state* out) {
    *out = (cn_optimizer_state){0};
    if (!cn_document_is_compiled(doc)) return CORNU_OK;
    CN_TRY(cn_optimizer_read(cn_json_get(cn_compile_object(doc), "optimizer"), arena, &out->optimizer));
    if (!out->optimizer) return CORNU_OK;
    CN_TRY(cn_trained_list(doc, arena, &out->trained, &out->trained_count));
    CN_TRY(list_variables(doc, arena, out));
    return out->count ? identify(doc, arena, out) : CORNU_OK;
}

cornu_status cn_optimizer_scalar(const cn_document* doc, const cn_optimizer_state* state, int32_t owner, const char* slot, double* out) {
    cn_optimizer_item key = {slot, owner, -1, CORNU_FLOAT64, 0, {0}, NULL, 0};
    int64_t at = state->unknown ? -1 : cn_optimizer_find(&state->layout, &key);
    char bytes[16];
    int64_t whole;

    *out = NAN;
    if (at < 0 || state->variables[at]->count != 1) return CORNU_OK;
    CN_TRY(cn_document_read(doc, state->variables[at], bytes));
    if (cn_dtype_is_int(state->variables[at]->dtype)) {
        CN_TRY(cn_dtype_convert(CORNU_INT64, &whole, state->variables[at]->dtype, bytes, 1));
        *out = (double)whole;
        return CORNU_OK;
    }
    return cn_dtype_convert(CORNU_FLOAT64, out, state->variables[at]->dtype, bytes, 1);
}

/* ---- writing ---- */

static const cn_optimizer* owner_of(const cn_optimizer_state* state, int32_t owner) {
    return owner == 0 ? state->optimizer : &state->optimizer->inner[owner - 1];
}

/* Nadam's product of momentum factors after that many steps, as its own updates make it in float32. */
static double momentum_product(const cn_optimizer* optimizer, double steps) {
    double beta = cn_optimizer_number(optimizer, "beta_1");
    float product = 1;

    /* The factors only shrink it: after some ten thousand steps it is 0. */
    for (double t = 1; t <= steps && product > 0; t++) product *= (float)(beta * (1 - 0.5 * pow(0.96, t)));
    return product;
}

static cornu_status fill_missing(const cn_document* doc, const cn_optimizer_state* state, cn_optimizer_entry* entry) {
    entry->fill = entry->item.initial;
    if (strcmp(entry->item.slot, "u_product") == 0) {
        double steps;
        CN_TRY(cn_optimizer_scalar(doc, state, entry->item.owner, "iteration", &steps));
        entry->fill = isnan(steps) ? 1 : momentum_product(owner_of(state, entry->item.owner), steps);
    }
    return CORNU_OK;
}

/* What a dialect may lack without loss: the config has the learning rate, and a wrapper's own counter stays 0. */
static bool may_lack(const cn_optimizer_state* state, const cn_optimizer_item* item) {
    const cn_optimizer* owner = owner_of(state, item->owner);

    if (strcmp(item->slot, "learning_rate") == 0 || strcmp(item->slot, "placeholder") == 0) return true;
    if (strcmp(item->slot, "iteration") == 0 && owner->inner_count > 0) return true;
    if (strcmp(item->slot, "momentum") == 0 && strcmp(owner->class_name, "SGD") == 0) return !(cn_optimizer_number(owner, "momentum") != 0);
    return item->trained >= 0 && item->ndim == 0 && strcmp(owner->class_name, "Adafactor") == 0; /* scalars that stay 0 */
}

static cornu_status list_lost(const cn_optimizer_state* state, const cn_optimizer_layout* to, cn_arena* arena, const char** out) {
    for (size_t i = 0; i < state->layout.count; i++) {
        const cn_optimizer_item* item = &state->layout.items[i];
        if (may_lack(state, item) || cn_optimizer_find(to, item) >= 0) continue;
        if (*out && strstr(*out, item->slot)) continue;
        *out = *out ? cn_arena_format(arena, "%s, %s", *out, item->slot) : item->slot;
        if (!*out) return CN_NO_MEMORY(64);
    }
    return CORNU_OK;
}

cornu_status cn_optimizer_export(const cn_document* doc, const cn_optimizer_state* state, cn_optimizer_dialect dialect, cn_arena* arena,
                                 cn_optimizer_entry** out, size_t* out_count, const char** out_lost) {
    cn_optimizer_layout to;

    *out = NULL;
    *out_count = 0;
    *out_lost = NULL;
    if (!state->optimizer || state->count == 0) return CORNU_OK;
    if (state->unknown) return CN_FAIL(UNSUPPORTED, "%s: the optimizer's state cannot be carried to another format: %s", cn_document_name(doc), state->unknown);
    CN_TRY(cn_optimizer_make_layout(state->optimizer, state->trained, state->trained_count, dialect, arena, &to));
    if (state->layout.unbuilt) cn_optimizer_leave_built(&to);
    *out = cn_arena_array(arena, to.count + 1, sizeof **out);
    if (!*out) return CN_NO_MEMORY(to.count * sizeof **out);
    for (size_t i = 0; i < to.count; i++) {
        cn_optimizer_entry* entry = &(*out)[i];
        int64_t at = cn_optimizer_find(&state->layout, &to.items[i]);
        entry->item = to.items[i];
        if (at >= 0) entry->source = state->variables[at];
        else CN_TRY(fill_missing(doc, state, entry));
    }
    *out_count = to.count;
    return list_lost(state, &to, arena, out_lost);
}
