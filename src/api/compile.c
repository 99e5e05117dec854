/* cornu_model_compile_info and what belongs to it: the compile state, read once and kept until the config changes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/sized.h"
#include "keras/compile.h"
#include "keras/schedule.h"
#include "keras/upgrade.h"
#include "session/model.h"
#include "session/store.h"

#define CHECK(condition, ...)                                        \
    do {                                                             \
        if (!(condition)) return CN_FAIL(BAD_ARGUMENT, __VA_ARGS__); \
    } while (0)

/* Where the compile state is read: the document in Keras 3.15's form, the document itself where it is of that form. */
static cn_document* state_document(cornu_model* model) {
    cn_document* upgraded;
    return cn_document_upgraded(model->document, &upgraded) == CORNU_OK ? upgraded : model->document;
}

/* Locks the model alone and reads its compile state if that was not done. Unlock also after a failure. */
static cornu_status lock_compile(cornu_model* model) {
    (void)pthread_rwlock_wrlock(&model->lock);
    return model->compile ? CORNU_OK : cn_compile_read(state_document(model), &model->strings, &model->compile);
}

static void unlock(cornu_model* model) { (void)pthread_rwlock_unlock(&model->lock); }

static bool flag(const cn_json* object, const char* key) {
    const cn_json* value = cn_json_get(object, key);
    return cn_json_is(value, CN_JSON_BOOL) && cn_json_bool(value);
}

/* ---- the whole ---- */

static int32_t optimizer_count(const cn_compile* compile) {
    return compile->optimizer.optimizer ? 1 + (int32_t)compile->optimizer.optimizer->inner_count : 0;
}

cornu_status cornu_model_compile_info(cornu_model* model, cornu_compile_info* info) {
    cornu_status st;
    cornu_compile_info all = {0};

    CHECK(model && info, "cornu_model_compile_info: model or info is NULL");
    CN_TRY(cn_sized_check(&info->size, "cornu_compile_info"));
    st = lock_compile(model);
    if (st == CORNU_OK && model->compile->object) {
        const cn_compile* compile = model->compile;
        all.compiled = 1;
        all.objective_count = (int32_t)compile->objective_count;
        all.optimizer_count = optimizer_count(compile);
        all.run_eagerly = flag(compile->object, "run_eagerly");
        all.jit_compile = flag(compile->object, "jit_compile");
        all.steps_per_execution = 1;
        (void)cn_json_int64(cn_json_get(compile->object, "steps_per_execution"), &all.steps_per_execution);
        all.slot_count = (int64_t)compile->optimizer.count;
    }
    unlock(model);
    if (st == CORNU_OK) cn_sized_give(info, &all, info->size, sizeof all);
    return st;
}

/* ---- losses and metrics ---- */

static cornu_status no_such(const cornu_model* model, const char* what, int64_t index, int64_t count) {
    return CN_FAIL(NOT_FOUND, "%s: there is no %s %lld; there are %lld", cn_document_name(model->document), what, (long long)index,
                   (long long)count);
}

cornu_status cornu_model_objective(cornu_model* model, int32_t index, cornu_objective* objective) {
    cornu_status st;
    cornu_objective all = {0};

    CHECK(model && objective, "cornu_model_objective: model or objective is NULL");
    CN_TRY(cn_sized_check(&objective->size, "cornu_objective"));
    st = lock_compile(model);
    if (st == CORNU_OK && (index < 0 || (size_t)index >= model->compile->objective_count))
        st = no_such(model, "loss or metric", index, (int64_t)model->compile->objective_count);
    if (st == CORNU_OK) {
        const cn_objective* o = &model->compile->objectives[index];
        all.kind = o->kind;
        all.output = o->output;
        all.output_index = o->output_index;
        all.spelled = o->spelled;
        all.class_name = o->class_name;
        all.is_function = o->is_function;
        all.is_known = o->is_known;
        all.weight = o->weight;
    }
    unlock(model);
    if (st == CORNU_OK) cn_sized_give(objective, &all, objective->size, sizeof all);
    return st;
}

/* ---- parameters ---- */

static cornu_status find_optimizer(const cornu_model* model, int32_t which, const cn_optimizer** out) {
    const cn_optimizer* optimizer = model->compile->optimizer.optimizer;

    *out = NULL;
    if (which < 0 || which >= optimizer_count(model->compile)) return no_such(model, "optimizer", which, optimizer_count(model->compile));
    *out = which == 0 ? optimizer : &optimizer->inner[which - 1];
    return CORNU_OK;
}

/* The JSON text of a node, in the model's strings. */
static cornu_status text_of(cornu_model* model, const cn_json* node, const char** out) {
    cornu_status st = CORNU_OK;
    cn_buf text = {0};

    CN_STEP(cn_json_print(node, &text));
    CN_STEP(cn_buf_check(&text));
    *out = cn_arena_strndup(&model->strings, text.data, text.size);
    if (!*out) CN_STEP(CN_NO_MEMORY(text.size));
done:
    cn_buf_deinit(&text);
    return st;
}

static double number_of(const cn_json* node) {
    if (cn_json_is(node, CN_JSON_BOOL)) return cn_json_bool(node) ? 1 : 0;
    return cn_json_double(node);
}

/* Member i of a config as it stands in the file. */
static cornu_status member_parameter(cornu_model* model, const cn_json* config, int32_t i, cornu_parameter* out) {
    const cn_json* value = i < 0 ? NULL : cn_json_at(config, (size_t)i);

    if (!value) return no_such(model, "parameter", i, (int64_t)cn_json_size(config));
    out->name = cn_json_key_at(config, (size_t)i, NULL);
    out->number = number_of(value);
    return text_of(model, value, &out->text);
}

/* Of the class's row i; of a class that is not known, what the file has. */
static cornu_status optimizer_parameter(cornu_model* model, const cn_optimizer* optimizer, int32_t i, cornu_parameter* out) {
    const char* fallback = NULL;
    const cn_json* value;

    if (!optimizer->def) return member_parameter(model, optimizer->config, i, out);
    out->name = i < 0 ? NULL : cn_optimizer_key(optimizer, (size_t)i, &fallback);
    if (!out->name) return CN_FAIL(NOT_FOUND, "%s: optimizer '%s' has no parameter %d", cn_document_name(model->document), optimizer->class_name, (int)i);
    value = cn_json_get(optimizer->config, out->name);
    out->number = cn_optimizer_number(optimizer, out->name);
    out->is_default = value == NULL;
    out->text = fallback;
    return value ? text_of(model, value, &out->text) : CORNU_OK;
}

static cornu_status read_parameter(cornu_model* model, cornu_parameter_of of, int32_t which, int32_t i, cornu_parameter* out) {
    const cn_optimizer* optimizer;

    CN_TRY(lock_compile(model));
    switch (of) {
        case CORNU_OF_OBJECTIVE:
            if (which < 0 || (size_t)which >= model->compile->objective_count)
                return no_such(model, "loss or metric", which, (int64_t)model->compile->objective_count);
            return member_parameter(model, model->compile->objectives[which].config, i, out);
        case CORNU_OF_OPTIMIZER:
            CN_TRY(find_optimizer(model, which, &optimizer));
            return optimizer_parameter(model, optimizer, i, out);
        case CORNU_OF_SCHEDULE:
            CN_TRY(find_optimizer(model, which, &optimizer));
            return member_parameter(model, cn_json_get(optimizer->schedule, "config"), i, out);
    }
    return CN_FAIL(BAD_ARGUMENT, "cornu_model_parameter: %d is no cornu_parameter_of", (int)of);
}

cornu_status cornu_model_parameter(cornu_model* model, cornu_parameter_of of, int32_t which, int32_t i, cornu_parameter* parameter) {
    cornu_status st;
    cornu_parameter all = {0};

    CHECK(model && parameter, "cornu_model_parameter: model or parameter is NULL");
    CN_TRY(cn_sized_check(&parameter->size, "cornu_parameter"));
    st = read_parameter(model, of, which, i, &all);
    unlock(model);
    if (st == CORNU_OK) cn_sized_give(parameter, &all, parameter->size, sizeof all);
    return st;
}

/* ---- optimizers ---- */

/* The optimizer that number 0 of a LossScaleOptimizer stands for where Keras looks through it. */
static int32_t effective(const cn_compile* compile, int32_t which) {
    const cn_optimizer* optimizer = compile->optimizer.optimizer;
    return which == 0 && optimizer && optimizer->inner_count == 1 && !optimizer->inner->pattern &&
                   strcmp(optimizer->class_name, "LossScaleOptimizer") == 0
               ? 1
               : which;
}

static cornu_status scalar(cornu_model* model, int32_t which, const char* slot, double* out) {
    return cn_optimizer_scalar(state_document(model), &model->compile->optimizer, which, slot, out);
}

/* The stored rate, the schedule's at the stored step, or the config's. */
static cornu_status rate_of(cornu_model* model, int32_t which, int64_t step, double* out) {
    const cn_optimizer* optimizer;

    CN_TRY(find_optimizer(model, which, &optimizer));
    if (optimizer->schedule) {
        cornu_status st = cn_schedule_value(optimizer->schedule, step < 0 ? 0 : step, out);
        return st == CORNU_NO_MEMORY ? st : CORNU_OK;
    }
    CN_TRY(scalar(model, which, "learning_rate", out));
    if (isnan(*out)) *out = cn_optimizer_number(optimizer, "learning_rate");
    return CORNU_OK;
}

static cornu_status describe_optimizer(cornu_model* model, int32_t which, cornu_optimizer_info* out) {
    const cn_optimizer* optimizer;
    double number;
    int32_t looked_at;

    CN_TRY(lock_compile(model));
    CN_TRY(find_optimizer(model, which, &optimizer));
    looked_at = effective(model->compile, which);
    out->class_name = optimizer->class_name;
    out->name = optimizer->name;
    out->is_known = optimizer->def != NULL;
    out->variables = optimizer->pattern;
    out->unknown = model->compile->optimizer.unknown;
    CN_TRY(scalar(model, looked_at, "iteration", &number));
    out->iterations = isnan(number) ? -1 : (int64_t)number;
    CN_TRY(rate_of(model, looked_at, out->iterations, &out->learning_rate));
    CN_TRY(scalar(model, which, "dynamic_scale", &out->loss_scale));
    CN_TRY(scalar(model, which, "step_counter", &number));
    out->good_steps = isnan(number) ? -1 : (int64_t)number;
    CN_TRY(find_optimizer(model, looked_at, &optimizer));
    out->schedule = optimizer->schedule ? cn_schedule_class(optimizer->schedule) : NULL;
    out->use_ema = cn_optimizer_number(optimizer, "use_ema") == 1;
    number = cn_optimizer_number(optimizer, "gradient_accumulation_steps");
    out->gradient_accumulation_steps = number >= 1 && number < 1e15 ? (int64_t)number : 0;
    return CORNU_OK;
}

cornu_status cornu_model_optimizer(cornu_model* model, int32_t which, cornu_optimizer_info* info) {
    cornu_status st;
    cornu_optimizer_info all = {0};

    CHECK(model && info, "cornu_model_optimizer: model or info is NULL");
    CN_TRY(cn_sized_check(&info->size, "cornu_optimizer_info"));
    st = describe_optimizer(model, which, &all);
    unlock(model);
    if (st == CORNU_OK) cn_sized_give(info, &all, info->size, sizeof all);
    return st;
}

static void describe_slot(const cn_optimizer_state* state, size_t i, cornu_slot* out) {
    const cn_optimizer_item* item = i < state->layout.count ? &state->layout.items[i] : NULL;

    out->path = state->variables[i]->path;
    if (!item) return;
    out->name = item->slot;
    out->optimizer = item->owner;
    if (item->trained < 0) return;
    out->variable = state->trained[item->trained].variable->path;
    if (state->trained[item->trained].variable->layer) out->layer = state->trained[item->trained].variable->layer->name;
}

cornu_status cornu_model_slot(cornu_model* model, int64_t index, cornu_slot* slot) {
    cornu_status st;
    cornu_slot all = {0};

    CHECK(model && slot, "cornu_model_slot: model or slot is NULL");
    CN_TRY(cn_sized_check(&slot->size, "cornu_slot"));
    st = lock_compile(model);
    if (st == CORNU_OK && (index < 0 || (size_t)index >= model->compile->optimizer.count))
        st = no_such(model, "variable of an optimizer", index, (int64_t)model->compile->optimizer.count);
    if (st == CORNU_OK) describe_slot(&model->compile->optimizer, (size_t)index, &all);
    unlock(model);
    if (st == CORNU_OK) cn_sized_give(slot, &all, slot->size, sizeof all);
    return st;
}

static cornu_status schedule_value(cornu_model* model, int32_t which, int64_t step, double* out) {
    const cn_optimizer* optimizer;

    CN_TRY(lock_compile(model));
    CN_TRY(find_optimizer(model, effective(model->compile, which), &optimizer));
    if (!optimizer->schedule)
        return CN_FAIL(NOT_FOUND, "%s: optimizer '%s' has no learning rate schedule", cn_document_name(model->document), optimizer->class_name);
    return cn_schedule_value(optimizer->schedule, step, out);
}

cornu_status cornu_model_schedule_value(cornu_model* model, int32_t which, int64_t step, double* out) {
    cornu_status st;

    CHECK(model && out, "cornu_model_schedule_value: model or out is NULL");
    CHECK(step >= 0, "cornu_model_schedule_value: step is %lld; 0 or more is allowed", (long long)step);
    *out = NAN;
    st = schedule_value(model, which, step, out);
    unlock(model);
    return st;
}

/* ---- changes ---- */

static cornu_status check_form(cornu_model* model) {
    if (state_document(model) == model->document) return CORNU_OK;
    return CN_FAIL(UNSUPPORTED, "%s: the optimizer of a file of this format is not changed in place; save it as .keras first",
                   cn_document_name(model->document));
}

/* The stored scalar of an optimizer, NULL if there is none. */
static cn_variable* stored_scalar(const cn_optimizer_state* state, int32_t which, const char* slot, size_t* number) {
    for (size_t i = 0; i < state->layout.count; i++) {
        const cn_optimizer_item* item = &state->layout.items[i];
        if (item->owner != which || item->trained >= 0 || strcmp(item->slot, slot) != 0) continue;
        *number = i;
        return state->variables[i];
    }
    return NULL;
}

/* Gives a scalar a value, and its second copy, which Keras stores with the inner optimizer of a LossScaleOptimizer and reads last. */
static cornu_status set_scalar(cornu_model* model, cn_variable* variable, size_t number, int32_t which, const cornu_tensor* value) {
    const cn_optimizer_state* state = &model->compile->optimizer;
    cn_variable* copy;
    size_t first = number;
    char path[80];

    CN_TRY(cn_document_set_variable(model->document, variable, value));
    if (which == 0) return CORNU_OK;
    while (first > 0 && state->layout.items[first - 1].owner == which) first--;
    (void)snprintf(path, sizeof path, "optimizer/inner_optimizer/vars/%zu", number - first);
    copy = cn_document_variable(model->document, path);
    return copy && copy->ndim == 0 ? cn_document_set_variable(model->document, copy, value) : CORNU_OK;
}

/* The pointer to an optimizer's learning rate; of one that has only a name there is no place for it. */
static cornu_status rate_pointer(cornu_model* model, const cn_optimizer* optimizer, int32_t which, char* out, size_t size) {
    const char* key = cn_json_get(optimizer->config, "lr") ? "lr" : "learning_rate";

    if (!optimizer->config)
        return CN_FAIL(UNSUPPORTED, "%s: the config has only the name of optimizer '%s' and no place for a learning rate",
                       cn_document_name(model->document), optimizer->class_name);
    if (which == 0) (void)snprintf(out, size, CN_COMPILE_POINTER "/optimizer/config/%s", key);
    else if (!optimizer->pattern && model->compile->optimizer.optimizer->inner_count == 1)
        (void)snprintf(out, size, CN_COMPILE_POINTER "/optimizer/config/inner_optimizer/config/%s", key);
    else return CN_FAIL(UNSUPPORTED, "%s: the learning rate of one of a MultiOptimizer's is changed in the config (cornu_model_set_json)",
                        cn_document_name(model->document));
    return CORNU_OK;
}

static cornu_status set_rate(cornu_model* model, int32_t which, double value) {
    cornu_status st = CORNU_OK;
    const cn_optimizer* optimizer;
    cornu_tensor tensor = cornu_tensor_of(CORNU_FLOAT64, &value, 0);
    cn_variable* variable;
    size_t number = 0;
    char pointer[128];
    cn_buf text = {0};

    CN_TRY(lock_compile(model));
    CN_TRY(check_form(model));
    which = effective(model->compile, which);
    CN_TRY(find_optimizer(model, which, &optimizer));
    if (optimizer->schedule)
        return CN_FAIL(BAD_ARGUMENT, "%s: a schedule (%s) gives the learning rate of optimizer '%s'; change its parameters in the config",
                       cn_document_name(model->document), cn_schedule_class(optimizer->schedule), optimizer->class_name);
    CN_TRY(rate_pointer(model, optimizer, which, pointer, sizeof pointer));
    variable = stored_scalar(&model->compile->optimizer, which, "learning_rate", &number);
    cn_json_print_double(&text, (double)(float)value); /* Keras keeps it as float32 */
    CN_STEP(cn_buf_check(&text));
    CN_STEP(cn_document_set_json(model->document, CORNU_JSON_CONFIG, pointer, text.data));
    model->layer_rows = NULL;
    model->layer_row_count = 0;
    if (variable) CN_STEP(set_scalar(model, variable, number, which, &tensor));
    model->compile = NULL;
done:
    cn_buf_deinit(&text);
    return st;
}

cornu_status cornu_model_set_learning_rate(cornu_model* model, int32_t which, double value) {
    cornu_status st;

    CHECK(model, "cornu_model_set_learning_rate: model is NULL");
    CHECK(isfinite(value), "cornu_model_set_learning_rate: value is not finite");
    st = set_rate(model, which, value);
    unlock(model);
    return st;
}

static cornu_status set_iterations(cornu_model* model, int32_t which, int64_t value) {
    cornu_tensor tensor = cornu_tensor_of(CORNU_INT64, &value, 0);
    const cn_optimizer* optimizer;
    cn_variable* variable;
    size_t number = 0;

    CN_TRY(lock_compile(model));
    CN_TRY(check_form(model));
    which = effective(model->compile, which);
    CN_TRY(find_optimizer(model, which, &optimizer));
    variable = stored_scalar(&model->compile->optimizer, which, "iteration", &number);
    if (!variable)
        return CN_FAIL(NOT_FOUND, "%s: no step counter of optimizer '%s' is stored", cn_document_name(model->document), optimizer->class_name);
    return set_scalar(model, variable, number, which, &tensor);
}

cornu_status cornu_model_set_iterations(cornu_model* model, int32_t which, int64_t value) {
    cornu_status st;

    CHECK(model, "cornu_model_set_iterations: model is NULL");
    CHECK(value >= 0, "cornu_model_set_iterations: value is %lld; 0 or more is allowed", (long long)value);
    st = set_iterations(model, which, value);
    unlock(model);
    return st;
}
