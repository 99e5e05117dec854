/* Values of Keras's schedules at a step, in double. */
#include "keras/schedule.h"

#include <math.h>
#include <string.h>

typedef struct schedule {
    const cn_json* config;
    double step;
    bool bad; /* a parameter is missing or no number */
} schedule;

static double number(schedule* s, const char* key) {
    const cn_json* value = cn_json_get(s->config, key);
    if (!cn_json_is(value, CN_JSON_INT) && !cn_json_is(value, CN_JSON_FLOAT)) {
        s->bad = true;
        return NAN;
    }
    return cn_json_double(value);
}

static double number_or(schedule* s, const char* key, double fallback) {
    return cn_json_type_of(cn_json_get(s->config, key)) == CN_JSON_NULL ? fallback : number(s, key);
}

static bool flag(const schedule* s, const char* key) {
    const cn_json* value = cn_json_get(s->config, key);
    return cn_json_is(value, CN_JSON_BOOL) && cn_json_bool(value);
}

static double periods(schedule* s) {
    double p = s->step / number(s, "decay_steps");
    return flag(s, "staircase") ? floor(p) : p;
}

static double exponential_decay(schedule* s) {
    return number(s, "initial_learning_rate") * pow(number(s, "decay_rate"), periods(s));
}

static double inverse_time_decay(schedule* s) {
    return number(s, "initial_learning_rate") / (1 + number(s, "decay_rate") * periods(s));
}

static double piecewise_constant_decay(schedule* s) {
    const cn_json* boundaries = cn_json_get(s->config, "boundaries");
    const cn_json* values = cn_json_get(s->config, "values");
    size_t count = cn_json_size(boundaries), i = 0;

    s->bad = !cn_json_is(boundaries, CN_JSON_ARRAY) || cn_json_size(values) != count + 1;
    while (i < count && s->step > cn_json_double(cn_json_at(boundaries, i))) i++;
    return s->bad ? NAN : cn_json_double(cn_json_at(values, i));
}

static double polynomial_decay(schedule* s) {
    double steps = number(s, "decay_steps"), step = s->step;
    double first = number(s, "initial_learning_rate"), last = number_or(s, "end_learning_rate", 0.0001);

    if (flag(s, "cycle")) steps *= step == 0 ? 1 : ceil(step / steps);
    else step = fmin(step, steps);
    return (first - last) * pow(1 - step / steps, number_or(s, "power", 1)) + last;
}

static double cosine(schedule* s, double from, double fraction) {
    double alpha = number_or(s, "alpha", 0);
    return from * ((1 - alpha) * 0.5 * (1 + cos(3.14159265358979323846 * fraction)) + alpha);
}

static double cosine_decay(schedule* s) {
    double first = number(s, "initial_learning_rate"), steps = number(s, "decay_steps");
    double warmup = number_or(s, "warmup_steps", 0), target = number_or(s, "warmup_target", NAN);

    if (isnan(target)) return cosine(s, first, fmin(s->step, steps) / steps);
    if (s->step < warmup) return first + (target - first) * s->step / warmup;
    return cosine(s, target, (fmin(s->step, steps + warmup) - warmup) / steps);
}

static double cosine_decay_restarts(schedule* s) {
    double t_mul = number_or(s, "t_mul", 2), m_mul = number_or(s, "m_mul", 1);
    double f = s->step / number(s, "first_decay_steps"), i;

    if (t_mul == 1) {
        i = floor(f);
        f -= i;
    } else {
        double passed;
        i = floor(log(1 - f * (1 - t_mul)) / log(t_mul));
        passed = (1 - pow(t_mul, i)) / (1 - t_mul);
        f = (f - passed) / pow(t_mul, i);
    }
    {
        double alpha = number_or(s, "alpha", 0);
        double cosine_part = 0.5 * pow(m_mul, i) * (1 + cos(3.14159265358979323846 * f));
        return number(s, "initial_learning_rate") * ((1 - alpha) * cosine_part + alpha);
    }
}

static const struct {
    const char* class_name;
    double (*value)(schedule* s);
} schedules[] = {
    {"CosineDecay", cosine_decay},
    {"CosineDecayRestarts", cosine_decay_restarts},
    {"ExponentialDecay", exponential_decay},
    {"InverseTimeDecay", inverse_time_decay},
    {"PiecewiseConstantDecay", piecewise_constant_decay},
    {"PolynomialDecay", polynomial_decay},
};

static int find(const cn_json* object) {
    for (int i = 0; i < (int)(sizeof schedules / sizeof *schedules); i++) {
        if (strcmp(schedules[i].class_name, cn_schedule_class(object)) == 0) return i;
    }
    return -1;
}

const char* cn_schedule_class(const cn_json* object) {
    const char* name = cn_json_string(cn_json_get(object, "class_name"), NULL);
    return name ? name : "";
}

bool cn_schedule_is_known(const cn_json* object) { return find(object) >= 0; }

cornu_status cn_schedule_value(const cn_json* object, int64_t step, double* out) {
    schedule s = {cn_json_get(object, "config"), (double)step, false};
    int row = find(object);

    *out = NAN;
    if (row < 0)
        return CN_FAIL(UNSUPPORTED, "learning rate schedule '%s' is none of Keras's; its values are not known", cn_schedule_class(object));
    *out = schedules[row].value(&s);
    if (!s.bad) return CORNU_OK;
    *out = NAN;
    return CN_FAIL(BAD_FILE, "learning rate schedule '%s': a parameter is missing or no number", cn_schedule_class(object));
}
