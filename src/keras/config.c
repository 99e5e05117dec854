/* Getters of a layer's config. Each looks at one key and says all about it when it fails. */
#include "keras/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/dtype.h"

const cn_json* cn_config_get(const cn_layer* layer, const char* key) {
    const cn_json* value = cn_json_get(layer->config, key);
    return cn_json_type_of(value) == CN_JSON_NULL ? NULL : value;
}

/* The value as the file spells it, shortened. */
static void spell(const cn_json* value, char* out, size_t size) {
    static const char ellipsis[] = "...";
    size_t n = 0;
    const char* text = cn_json_text(value, &n);

    if (!value) text = "missing", n = 7;
    if (!text) text = cn_json_type_name(value), n = strlen(text);
    if (n < size) {
        memcpy(out, text, n);
        out[n] = '\0';
    } else {
        memcpy(out, text, size - sizeof ellipsis);
        memcpy(out + size - sizeof ellipsis, ellipsis, sizeof ellipsis);
    }
}

cornu_status cn_config_bad(const cn_layer* layer, const char* key, const char* allowed) {
    char found[120];

    spell(cn_json_get(layer->config, key), found, sizeof found);
    return CN_FAIL(BAD_FILE, "%s: %s is %s; %s", cn_layer_describe(layer), key, found, allowed);
}

cornu_status cn_config_unsupported(const cn_layer* layer, const char* key, const char* why) {
    char found[120];

    spell(cn_json_get(layer->config, key), found, sizeof found);
    return CN_FAIL(UNSUPPORTED, "%s: %s is %s; %s", cn_layer_describe(layer), key, found, why);
}

/* An integer, also spelled as a float without a fraction, as Python's configs sometimes are. */
static bool read_int(const cn_json* value, int64_t low, int64_t high, int64_t* out) {
    int64_t n;
    double d = cn_json_double(value);

    if (!cn_json_is(value, CN_JSON_INT) && !cn_json_is(value, CN_JSON_FLOAT)) return false;
    if (!cn_json_int64(value, &n)) {
        if (!(d == floor(d) && fabs(d) < 9e15)) return false;
        n = (int64_t)d;
    }
    if (n < low || n > high) return false;
    *out = n;
    return true;
}

static cornu_status bad_int(const cn_layer* layer, const char* key, const char* what, int64_t low, int64_t high) {
    char allowed[120];

    (void)snprintf(allowed, sizeof allowed, "%s from %lld to %lld is allowed", what, (long long)low, (long long)high);
    return cn_config_bad(layer, key, allowed);
}

cornu_status cn_config_int(const cn_layer* layer, const char* key, int64_t fallback, int64_t low, int64_t high,
                           int64_t* out) {
    const cn_json* value = cn_json_get(layer->config, key);

    *out = fallback;
    if (!value) return CORNU_OK;
    return read_int(value, low, high, out) ? CORNU_OK : bad_int(layer, key, "an integer", low, high);
}

cornu_status cn_config_double(const cn_layer* layer, const char* key, double fallback, double* out) {
    const cn_json* value = cn_json_get(layer->config, key);

    *out = fallback;
    if (!value) return CORNU_OK;
    if (!cn_json_is(value, CN_JSON_INT) && !cn_json_is(value, CN_JSON_FLOAT))
        return cn_config_bad(layer, key, "a number is allowed");
    *out = cn_json_double(value);
    return CORNU_OK;
}

cornu_status cn_config_bool(const cn_layer* layer, const char* key, bool fallback, bool* out) {
    const cn_json* value = cn_json_get(layer->config, key);
    int64_t n = 0;

    *out = fallback;
    if (!value) return CORNU_OK;
    if (cn_json_is(value, CN_JSON_BOOL)) *out = cn_json_bool(value);
    else if (cn_json_is(value, CN_JSON_INT) && cn_json_int64(value, &n) && (n == 0 || n == 1)) *out = n == 1;
    else return cn_config_bad(layer, key, "true or false is allowed");
    return CORNU_OK;
}

cornu_status cn_config_string(const cn_layer* layer, const char* key, const char* fallback, const char** out) {
    const cn_json* value = cn_config_get(layer, key);
    size_t size = 0;

    *out = fallback;
    if (!value) return CORNU_OK;
    if (!cn_json_is(value, CN_JSON_STRING)) return cn_config_bad(layer, key, "a string is allowed");
    *out = cn_json_string(value, &size);
    return strlen(*out) == size ? CORNU_OK : cn_config_bad(layer, key, "a string without a NUL character is allowed");
}

/* Index of text among "a|b|c", -1 if it is none of them. */
static int choice_index(const char* allowed, const char* text) {
    size_t n = strlen(text);
    int index = 0;

    for (const char* at = allowed; at; index++) {
        const char* bar = strchr(at, '|');
        size_t size = bar ? (size_t)(bar - at) : strlen(at);
        if (size == n && strncasecmp(at, text, n) == 0) return index;
        at = bar ? bar + 1 : NULL;
    }
    return -1;
}

cornu_status cn_config_choice(const cn_layer* layer, const char* key, const char* fallback, const char* allowed,
                              int* out) {
    const char* text;
    char message[256];

    *out = -1;
    CN_TRY(cn_config_string(layer, key, fallback, &text));
    if (text) *out = choice_index(allowed, text);
    if (*out >= 0) return CORNU_OK;
    (void)snprintf(message, sizeof message, "one of %s is allowed", allowed);
    return cn_config_bad(layer, key, message);
}

cornu_status cn_config_ints(const cn_layer* layer, const char* key, int n, int64_t fallback, int64_t low, int64_t high,
                            int64_t* out) {
    const cn_json* value = cn_config_get(layer, key);
    bool list = cn_json_is(value, CN_JSON_ARRAY);
    char what[64];

    for (int i = 0; i < n; i++) out[i] = fallback;
    if (!value) return CORNU_OK;
    (void)snprintf(what, sizeof what, "an integer or a list of %d integers, each", n);
    if (list && cn_json_size(value) != (size_t)n) return bad_int(layer, key, what, low, high);
    for (int i = 0; i < n; i++) {
        if (!read_int(list ? cn_json_at(value, (size_t)i) : value, low, high, &out[i]))
            return bad_int(layer, key, what, low, high);
    }
    return CORNU_OK;
}

cornu_status cn_config_list(const cn_layer* layer, const char* key, int max, int64_t low, int64_t high,
                            bool null_allowed, int64_t* out, int* n) {
    const cn_json* value = cn_config_get(layer, key);
    bool list = cn_json_is(value, CN_JSON_ARRAY);
    size_t count = list ? cn_json_size(value) : 1;
    char what[80];

    *n = 0;
    if (!value) return CORNU_OK;
    (void)snprintf(what, sizeof what, "a list of at most %d integers%s, each", max, null_allowed ? " or null" : "");
    if (count > (size_t)max) return bad_int(layer, key, what, low, high);
    for (size_t i = 0; i < count; i++) {
        const cn_json* item = list ? cn_json_at(value, i) : value;
        if (null_allowed && cn_json_type_of(item) == CN_JSON_NULL) out[i] = -1;
        else if (!read_int(item, low, high, &out[i])) return bad_int(layer, key, what, low, high);
    }
    *n = (int)count;
    return CORNU_OK;
}

/* ---- dtype policies ---- */

/* Names of policies that compute in another dtype than their variables have. */
static const struct {
    const char* name;
    cornu_dtype compute, variable;
} mixed_policies[] = {
    {"mixed_float16", CORNU_FLOAT16, CORNU_FLOAT32},
    {"mixed_bfloat16", CORNU_BFLOAT16, CORNU_FLOAT32},
};

static cornu_status read_policy_name(const cn_layer* layer, const char* name, cornu_dtype* compute,
                                     cornu_dtype* variable) {
    cornu_dtype plain = cn_dtype_of_name(name);

    for (size_t i = 0; i < sizeof mixed_policies / sizeof *mixed_policies; i++) {
        if (strcmp(mixed_policies[i].name, name) != 0) continue;
        *compute = mixed_policies[i].compute;
        *variable = mixed_policies[i].variable;
        return CORNU_OK;
    }
    if (strstr(name, "_from_")) return cn_config_unsupported(layer, "dtype", "quantized policies do not run here");
    if (plain == 0) return cn_config_unsupported(layer, "dtype", "no such dtype or policy is known here");
    *compute = *variable = plain;
    return CORNU_OK;
}

static cornu_status read_policy(const cn_layer* layer, const cn_json* value, cornu_dtype* compute,
                                cornu_dtype* variable) {
    const cn_json* config = cn_json_get(value, "config");
    const char* class_name = cn_json_string(cn_json_get(value, "class_name"), NULL);

    if (cn_json_is(value, CN_JSON_STRING))
        return read_policy_name(layer, cn_json_string(value, NULL), compute, variable);
    if (!class_name)
        return cn_config_bad(layer, "dtype", "the name of a dtype or policy, or an object of one, is allowed");
    if (strcmp(class_name, "type") == 0 && cn_json_is(config, CN_JSON_STRING)) /* a dtype's Python class */
        return read_policy_name(layer, cn_json_string(config, NULL), compute, variable);
    if (strcmp(class_name, "DTypePolicyMap") == 0) {
        const cn_json* fallback = cn_json_get(config, "default_policy");
        if (cn_json_size(cn_json_get(config, "policy_map")) > 0)
            return cn_config_unsupported(layer, "dtype", "a policy map with entries does not run here");
        if (fallback && cn_json_get(fallback, "class_name") &&
            cn_json_equals(cn_json_get(fallback, "class_name"), "DTypePolicyMap"))
            return cn_config_bad(layer, "dtype", "a map whose default is a policy is allowed");
        return cn_json_type_of(fallback) == CN_JSON_NULL ? CORNU_OK : read_policy(layer, fallback, compute, variable);
    }
    if (strstr(class_name, "Quantized") || strncmp(class_name, "GPTQ", 4) == 0 || strncmp(class_name, "AWQ", 3) == 0)
        return cn_config_unsupported(layer, "dtype", "quantized policies do not run here");
    if (!cn_json_is(cn_json_get(config, "name"), CN_JSON_STRING))
        return cn_config_bad(layer, "dtype", "a policy object with config.name is allowed");
    return read_policy_name(layer, cn_json_string(cn_json_get(config, "name"), NULL), compute, variable);
}

cornu_status cn_config_dtype(const cn_layer* layer, cornu_dtype* compute, cornu_dtype* variable) {
    const cn_json* value = cn_config_get(layer, "dtype");

    *compute = *variable = CORNU_FLOAT32;
    return value ? read_policy(layer, value, compute, variable) : CORNU_OK;
}
