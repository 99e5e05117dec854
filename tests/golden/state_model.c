/* Prints a model's compile state as JSON, as cornu.h tells it, for run_training.py to compare with Keras's.
 *
 *     state_model IN                               prints
 *     state_model IN OUT RATE ITERATIONS           sets both and saves; "-" leaves one as it is */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

static int fail(const char* what, cornu_status st) {
    fprintf(stderr, "state_model: %s: %s: %s\n", what, cornu_status_name(st), cornu_last_error());
    return (int)st;
}

static void put_text(const char* text) {
    if (text == NULL) {
        printf("null");
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        if (*text == '\n') printf("\\n");
        else putchar(*text);
    }
    putchar('"');
}

static void put_number(double value) {
    if (isfinite(value)) printf("%.17g", value);
    else printf("null");
}

static int put_parameters(cornu_model* model, cornu_parameter_of of, int which) {
    cornu_parameter p = {0};
    cornu_status st;
    int i = 0;

    p.size = sizeof p;
    printf("{");
    for (; (st = cornu_model_parameter(model, of, which, i, &p)) == CORNU_OK; i++) {
        printf("%s", i ? ", " : "");
        put_text(p.name);
        printf(": [%s, %d, ", p.text, p.is_default);
        put_number(p.number);
        printf("]");
    }
    printf("}");
    return st == CORNU_NOT_FOUND ? 0 : fail("parameter", st);
}

static int put_objectives(cornu_model* model, int count) {
    int code = 0;

    printf("\"objectives\": [");
    for (int i = 0; i < count && code == 0; i++) {
        cornu_objective o = {0};
        cornu_status st;
        o.size = sizeof o;
        st = cornu_model_objective(model, i, &o);
        if (st != CORNU_OK) return fail("objective", st);
        printf("%s{\"kind\": %d, \"output\": ", i ? ", " : "", (int)o.kind);
        put_text(o.output);
        printf(", \"output_index\": %d, \"spelled\": ", o.output_index);
        put_text(o.spelled);
        printf(", \"class_name\": ");
        put_text(o.class_name);
        printf(", \"is_function\": %d, \"is_known\": %d, \"weight\": %.17g, \"parameters\": ", o.is_function, o.is_known, o.weight);
        code = put_parameters(model, CORNU_OF_OBJECTIVE, i);
        printf("}");
    }
    printf("], ");
    return code;
}

static int put_schedule(cornu_model* model, int which) {
    int code;

    printf(", \"schedule_parameters\": ");
    code = put_parameters(model, CORNU_OF_SCHEDULE, which);
    printf(", \"values\": [");
    for (int step = 0; step < 30 && code == 0; step++) {
        double value = 0;
        cornu_status st = cornu_model_schedule_value(model, which, step, &value);
        if (st != CORNU_OK) code = fail("schedule_value", st);
        printf("%s%.17g", step ? ", " : "", value);
    }
    printf("]");
    return code;
}

static int put_optimizers(cornu_model* model, int count) {
    int code = 0;

    printf("\"optimizers\": [");
    for (int i = 0; i < count && code == 0; i++) {
        cornu_optimizer_info o = {0};
        cornu_status st;
        o.size = sizeof o;
        st = cornu_model_optimizer(model, i, &o);
        if (st != CORNU_OK) return fail("optimizer", st);
        printf("%s{\"class_name\": ", i ? ", " : "");
        put_text(o.class_name);
        printf(", \"name\": ");
        put_text(o.name);
        printf(", \"is_known\": %d, \"variables\": ", o.is_known);
        put_text(o.variables);
        printf(", \"iterations\": %lld, \"learning_rate\": ", (long long)o.iterations);
        put_number(o.learning_rate);
        printf(", \"schedule\": ");
        put_text(o.schedule);
        printf(", \"loss_scale\": ");
        put_number(o.loss_scale);
        printf(", \"good_steps\": %lld, \"use_ema\": %d, \"gradient_accumulation_steps\": %lld, \"unknown\": ", (long long)o.good_steps, o.use_ema,
               (long long)o.gradient_accumulation_steps);
        put_text(o.unknown);
        printf(", \"parameters\": ");
        code = put_parameters(model, CORNU_OF_OPTIMIZER, i);
        if (o.schedule != NULL && code == 0 && i + 1 == count) code = put_schedule(model, i);
        printf("}");
    }
    printf("], ");
    return code;
}

static int put_slots(cornu_model* model, int64_t count) {
    printf("\"slots\": [");
    for (int64_t i = 0; i < count; i++) {
        cornu_slot s = {0};
        cornu_status st;
        s.size = sizeof s;
        st = cornu_model_slot(model, i, &s);
        if (st != CORNU_OK) return fail("slot", st);
        printf("%s[", i ? ", " : "");
        put_text(s.path);
        printf(", ");
        put_text(s.name);
        printf(", %d, ", s.optimizer);
        put_text(s.variable);
        printf(", ");
        put_text(s.layer);
        printf("]");
    }
    printf("]}\n");
    return 0;
}

static int print(cornu_model* model) {
    cornu_compile_info info = {0};
    cornu_status st;
    int code;

    info.size = sizeof info;
    st = cornu_model_compile_info(model, &info);
    if (st != CORNU_OK) return fail("compile_info", st);
    printf("{\"compiled\": %d, \"run_eagerly\": %d, \"jit_compile\": %d, \"steps_per_execution\": %lld, ", info.compiled, info.run_eagerly,
           info.jit_compile, (long long)info.steps_per_execution);
    code = put_objectives(model, info.objective_count);
    if (code == 0) code = put_optimizers(model, info.optimizer_count);
    return code == 0 ? put_slots(model, info.slot_count) : code;
}

static int change(cornu_model* model, char** argv) {
    cornu_status st = CORNU_OK;

    if (strcmp(argv[3], "-") != 0) st = cornu_model_set_learning_rate(model, 0, atof(argv[3]));
    if (st == CORNU_OK && strcmp(argv[4], "-") != 0) st = cornu_model_set_iterations(model, 0, atoll(argv[4]));
    if (st == CORNU_OK) st = cornu_model_save(model, argv[2], NULL);
    return st == CORNU_OK ? 0 : fail(argv[1], st);
}

int main(int argc, char** argv) {
    cornu_model* model = NULL;
    cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
    cornu_status st;
    int code;

    if (argc != 2 && argc != 5) {
        fprintf(stderr, "usage: state_model IN [OUT RATE ITERATIONS]\n");
        return 102;
    }
    options.safe_mode = 0;
    st = cornu_model_load(argv[1], &options, &model);
    if (st != CORNU_OK) return fail(argv[1], st);
    code = argc == 2 ? print(model) : change(model, argv);
    cornu_model_destroy(model);
    return code;
}
