/* An optimizer's object as another Keras reads it. Keys are those of optimizer.def, values as the file spells them. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "keras/optimizer_table.h"

typedef struct printer {
    const cn_document* doc;
    const cn_optimizer_state* state;
    cn_optimizer_dialect dialect;
    cn_buf* out;
    bool first; /* no key of the config was printed yet */
} printer;

static void put_key(printer* cx, const char* key) {
    if (!cx->first) cn_buf_text(cx->out, ", ");
    cx->first = false;
    cn_json_print_string(cx->out, key, strlen(key));
    cn_buf_text(cx->out, ": ");
}

static void put_text(printer* cx, const char* key, const char* text) {
    put_key(cx, key);
    cn_json_print_string(cx->out, text, strlen(text));
}

/* ---- learning rates ---- */

/* A schedule's object, with the module that the newer readers look at, and without a name that is null, which Keras 3 refuses. */
static cornu_status put_schedule(printer* cx, const cn_json* schedule) {
    const char* class_name = cn_json_string(cn_json_get(schedule, "class_name"), NULL);
    const cn_json* config = cn_json_get(schedule, "config");
    const cn_json* name = cn_json_get(config, "name");
    bool any = false;

    if (!class_name || (cn_json_get(schedule, "module") && (!name || cn_json_is(name, CN_JSON_STRING)))) return cn_json_print(schedule, cx->out);
    cn_buf_text(cx->out, "{\"module\": \"keras.optimizers.schedules\", \"class_name\": ");
    cn_json_print_string(cx->out, class_name, strlen(class_name));
    cn_buf_text(cx->out, ", \"config\": {");
    for (size_t i = 0; i < cn_json_size(config); i++) {
        size_t size = 0;
        const char* key = cn_json_key_at(config, i, &size);
        const cn_json* value = cn_json_at(config, i);
        if (value == name && !cn_json_is(name, CN_JSON_STRING)) continue;
        if (any) cn_buf_text(cx->out, ", ");
        any = true;
        cn_json_print_string(cx->out, key, size);
        cn_buf_text(cx->out, ": ");
        CN_TRY(cn_json_print(value, cx->out));
    }
    cn_buf_text(cx->out, "}, \"registered_name\": null}");
    return CORNU_OK;
}

static cornu_status put_rate(printer* cx, const cn_optimizer* optimizer, int32_t owner) {
    double decay = cn_optimizer_decay(optimizer), rate;

    put_key(cx, "learning_rate");
    if (optimizer->schedule) return put_schedule(cx, optimizer->schedule);
    CN_TRY(cn_optimizer_scalar(cx->doc, cx->state, owner, "learning_rate", &rate));
    if (isnan(rate)) rate = cn_optimizer_number(optimizer, "learning_rate");
    if (decay == 0) {
        cn_json_print_double(cx->out, rate);
        return CORNU_OK;
    }
    /* The older optimizers divide by 1 + decay * iterations. */
    cn_buf_text(cx->out, "{\"module\": \"keras.optimizers.schedules\", \"class_name\": \"InverseTimeDecay\", \"config\": {\"initial_learning_rate\": ");
    cn_json_print_double(cx->out, rate);
    cn_buf_text(cx->out, ", \"decay_steps\": 1, \"decay_rate\": ");
    cn_json_print_double(cx->out, decay);
    cn_buf_text(cx->out, ", \"staircase\": false, \"name\": \"InverseTimeDecay\"}, \"registered_name\": null}");
    return CORNU_OK;
}

/* ---- one optimizer ---- */

static bool is_one_of(const char* key, const char* const* keys) {
    for (; *keys; keys++) {
        if (strcmp(*keys, key) == 0) return true;
    }
    return false;
}

/* Whether the dialect's class has the key. */
static bool has_key(const printer* cx, const char* key) {
    static const char* const keras3_only[] = {"loss_scale_factor", "gradient_accumulation_steps", NULL};

    if (strcmp(key, "learning_rate") == 0) return false; /* it goes first */
    return cx->dialect == CN_OPTIMIZER_KERAS3 || !is_one_of(key, keras3_only);
}

static cornu_status put_value(printer* cx, const cn_optimizer* optimizer, const char* key, const char* fallback) {
    const cn_json* value = cn_json_get(optimizer->config, key);

    /* Keras 2 has null for what its backend's configuration says. */
    if (strcmp(key, "epsilon") == 0 && cn_json_type_of(value) == CN_JSON_NULL) value = NULL;
    put_key(cx, key);
    if (value) return cn_json_print(value, cx->out);
    cn_buf_text(cx->out, fallback);
    return CORNU_OK;
}

static cornu_status put_name(printer* cx, const cn_optimizer* optimizer) {
    char name[64];

    if (*optimizer->name) {
        put_text(cx, "name", optimizer->name);
        return CORNU_OK;
    }
    (void)snprintf(name, sizeof name, "%s", optimizer->class_name);
    for (char* c = name; cx->dialect == CN_OPTIMIZER_KERAS3 && *c; c++) {
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    }
    put_text(cx, "name", name);
    return CORNU_OK;
}

static cornu_status put_optimizer(printer* cx, const cn_optimizer* optimizer, int32_t owner);

static cornu_status put_config(printer* cx, const cn_optimizer* optimizer, int32_t owner) {
    const char* fallback;
    const char* key;
    bool tf = cx->dialect != CN_OPTIMIZER_KERAS3;

    cx->first = true;
    cn_buf_text(cx->out, "{");
    if (!tf || optimizer->inner_count == 0) CN_TRY(put_name(cx, optimizer));
    if (optimizer->inner_count > 0) {
        put_key(cx, "inner_optimizer");
        CN_TRY(put_optimizer(cx, optimizer->inner, 1));
        cx->first = false;
        if (tf) put_key(cx, "dynamic"), cn_buf_text(cx->out, "true");
    } else {
        CN_TRY(put_rate(cx, optimizer, owner));
        if (tf) put_key(cx, "jit_compile"), cn_buf_text(cx->out, "false");
        if (tf) put_key(cx, "is_legacy_optimizer"), cn_buf_text(cx->out, "false");
    }
    for (size_t i = 0; (key = cn_optimizer_key(optimizer, i, &fallback)); i++) {
        if (has_key(cx, key)) CN_TRY(put_value(cx, optimizer, key, fallback));
    }
    cn_buf_text(cx->out, "}");
    return CORNU_OK;
}

static cornu_status put_optimizer(printer* cx, const cn_optimizer* optimizer, int32_t owner) {
    bool outer_tf = cx->dialect != CN_OPTIMIZER_KERAS3 && owner == 0;

    if (outer_tf) {
        bool wrapper = cn_optimizer_is_loss_scale(optimizer);
        cn_buf_format(cx->out, "{\"class_name\": \"%s%s\", \"config\": ", wrapper ? "" : "Custom>", wrapper ? "LossScaleOptimizerV3" : optimizer->class_name);
    } else {
        cn_buf_format(cx->out, "{\"module\": \"keras.optimizers\", \"class_name\": \"%s\", \"config\": ", optimizer->class_name);
    }
    CN_TRY(put_config(cx, optimizer, owner));
    cn_buf_text(cx->out, outer_tf ? "}" : ", \"registered_name\": null}");
    return CORNU_OK;
}

cornu_status cn_optimizer_print(const cn_document* doc, const cn_optimizer_state* state, cn_optimizer_dialect dialect, cn_buf* out) {
    printer cx = {doc, state, dialect, out, true};
    cn_arena scratch = {0};
    cn_optimizer_layout layout;
    cornu_status st = CORNU_OK;
    const cn_optimizer* optimizer = state->optimizer;

    if (dialect != CN_OPTIMIZER_KERAS3 && dialect != CN_OPTIMIZER_TF)
        return CN_FAIL(BAD_ARGUMENT, "optimizers are written for Keras 3 and for tf.keras 2.11 and later only");
    if (!optimizer) return CN_FAIL(BAD_ARGUMENT, "%s: the model has no optimizer", cn_document_name(doc));
    /* Says as well when the class is unknown, or unknown to that Keras. */
    CN_STEP(cn_optimizer_make_layout(optimizer, NULL, 0, dialect, &scratch, &layout));
    if (cn_optimizer_is_multi(optimizer)) { /* of Keras 3 alone: its config is of that form already */
        cn_buf_text(out, "{\"module\": \"keras.optimizers\", \"class_name\": \"MultiOptimizer\", \"config\": ");
        CN_STEP(cn_json_print(optimizer->config, out));
        cn_buf_text(out, ", \"registered_name\": null}");
    } else CN_STEP(put_optimizer(&cx, optimizer, 0));
    CN_STEP(cn_buf_check(out));
done:
    cn_arena_deinit(&scratch);
    return st;
}
