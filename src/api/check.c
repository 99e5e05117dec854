/* cornu_model_check: what keras/check finds, and what keeps the model from running here. */
#include <stdio.h>
#include <string.h>

#include "api/sized.h"
#include "keras/check.h"
#include "session/model.h"

struct cornu_check {
    cn_check findings;
};

#define RUN_REMEDY "Run it with Keras, or use layers and options that 'cornu layers' lists."

/* Layers that cannot run, each with its reason. */
static cornu_status add_layers(cornu_model* model, cn_check* check) {
    int64_t count = cornu_model_layer_count(model);

    for (int64_t i = 0; i < count; i++) {
        cornu_layer_info row = {0};
        const char* what;
        row.size = sizeof row;
        CN_TRY(cornu_model_layer_info(model, i, &row));
        if (!row.missing) continue;
        what = strncmp(row.missing, "layer '", 7) == 0 ? strstr(row.missing, "): ") : NULL;
        {
            char place[300];
            (void)snprintf(place, sizeof place, "layer '%.120s' (%.100s)", row.name, row.class_name);
            CN_TRY(cn_check_add(check, CORNU_PROBLEM, "cornu", "cannot-run", place, RUN_REMEDY, "%s", what ? what + 3 : row.missing));
        }
    }
    return CORNU_OK;
}

static bool has_problem(const cn_check* check, const char* who) {
    for (size_t i = 0; i < check->count; i++) {
        if (check->rows[i].severity == CORNU_PROBLEM && strcmp(check->rows[i].who, who) == 0) return true;
    }
    return false;
}

/* What creating a session refuses, where no layer says it by itself. A variable that is missing or misshapen Keras misses as well. */
static cornu_status add_session(cornu_model* model, cn_check* check) {
    cornu_session_options options = CORNU_SESSION_OPTIONS_INIT;
    cornu_session* session = NULL;
    cornu_status st;

    options.device = "cpu";
    st = cornu_session_create(model, &options, &session);
    cornu_session_destroy(session);
    if (st == CORNU_OK || st == CORNU_NO_MEMORY) return st;
    if (!has_problem(check, "cornu"))
        CN_TRY(cn_check_add(check, CORNU_PROBLEM, "cornu", st == CORNU_BAD_FILE ? "bad-file" : "cannot-run", "model", RUN_REMEDY, "%s", cornu_last_error()));
    return CORNU_OK;
}

static cornu_status fill(cornu_model* model, cn_check* check) {
    cornu_status st;

    (void)pthread_rwlock_rdlock(&model->lock);
    st = cn_check_document(model->document, check);
    (void)pthread_rwlock_unlock(&model->lock);
    CN_TRY(st);
    if (!cn_document_root(model->document)) return CORNU_OK;
    CN_TRY(add_layers(model, check));
    return add_session(model, check);
}

cornu_status cornu_model_check(cornu_model* model, const cornu_check_options* options, cornu_check** out) {
    cornu_status st = CORNU_OK;
    cornu_check* check = NULL;
    cornu_check_options all = CORNU_CHECK_OPTIONS_INIT;

    if (!out) return CN_FAIL(BAD_ARGUMENT, "cornu_model_check: out is NULL");
    *out = NULL;
    if (!model) return CN_FAIL(BAD_ARGUMENT, "cornu_model_check: model is NULL");
    if (options && options->size < sizeof options->size)
        return CN_FAIL(BAD_ARGUMENT, "cornu_check_options.size is %zu; initialise the struct with its _INIT macro", options->size);
    if (options) memcpy(&all, options, options->size < sizeof all ? options->size : sizeof all);
    if (all.n_custom_objects < 0 || (all.n_custom_objects > 0 && !all.custom_objects))
        return CN_FAIL(BAD_ARGUMENT, "cornu_model_check: custom_objects is NULL or their number negative");
    check = cn_alloc_zero(1, sizeof *check);
    if (!check) return CN_NO_MEMORY(sizeof *check);
    check->findings.declared = all.custom_objects;
    check->findings.declared_count = all.n_custom_objects;
    CN_STEP(fill(model, &check->findings));
    *out = check;
    check = NULL;
done:
    cornu_check_destroy(check);
    return st;
}

int64_t cornu_check_count(const cornu_check* check) { return check ? (int64_t)check->findings.count : 0; }

cornu_status cornu_check_get(const cornu_check* check, int64_t index, cornu_finding* finding) {
    if (!check || !finding) return CN_FAIL(BAD_ARGUMENT, "cornu_check_get: check or finding is NULL");
    CN_TRY(cn_sized_check(&finding->size, "cornu_finding"));
    if (index < 0 || (size_t)index >= check->findings.count)
        return CN_FAIL(NOT_FOUND, "there is no finding %lld; there are %lld", (long long)index, (long long)check->findings.count);
    cn_sized_give(finding, &check->findings.rows[index], finding->size, sizeof *finding);
    return CORNU_OK;
}

void cornu_check_destroy(cornu_check* check) {
    if (!check) return;
    cn_check_deinit(&check->findings);
    cn_free(check);
}
