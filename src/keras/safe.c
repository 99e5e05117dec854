/* safe_mode: what Keras refuses to load because it would run code or read a path that the file names. Cornu runs none
 * of it in any mode; the refusal is for whoever passes the file on. Depth is bounded by the JSON parser. */
#include <string.h>

#include "keras/parts.h"

typedef struct check {
    const char* file;
    const char* layer; /* name of the innermost object that has one */
} check;

static cornu_status refuse(const check* cx, const char* class_name, const char* what) {
    return CN_FAIL(REFUSED,
                   "%s: config.json: layer '%s' (%s): %s; safe_mode allows no code and no paths in a file (without "
                   "safe_mode it loads as data that is never run)",
                   cx->file, cx->layer, class_name, what);
}

static bool is_lambda(const cn_json* value) { return cn_json_equals(cn_json_get(value, "class_name"), "__lambda__"); }

/* Lambda's function: an object in Keras 3, a list [code, defaults, closure] in Keras 2, whose type is named beside it.
 */
static cornu_status check_lambda(const check* cx, const cn_json* config) {
    static const char* const keys[] = {"function", "output_shape", "mask"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cn_json* value = cn_json_get(config, keys[i]);
        const char* type_key = i == 0 ? "function_type" : i == 1 ? "output_shape_type" : "mask_type";
        bool code = is_lambda(value) || cn_json_equals(cn_json_get(config, type_key), "lambda");
        bool code_list = cn_json_is(value, CN_JSON_ARRAY) && cn_json_is(cn_json_at(value, 0), CN_JSON_STRING);
        if (code || code_list)
            return CN_FAIL(REFUSED,
                           "%s: config.json: layer '%s' (Lambda): key '%s' holds Python bytecode; safe_mode allows a "
                           "named function (without safe_mode it loads as data that is never run)",
                           cx->file, cx->layer, keys[i]);
    }
    return CORNU_OK;
}

static cornu_status check_object(const check* cx, const cn_json* object) {
    static const char* const lookups[] = {"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"};
    const char* class_name = cn_json_string(cn_json_get(object, "class_name"), NULL);
    const cn_json* config = cn_json_get(object, "config");

    if (!class_name) return CORNU_OK;
    if (strcmp(class_name, "__lambda__") == 0) return refuse(cx, class_name, "it holds Python bytecode");
    if (strcmp(class_name, "Lambda") == 0) return check_lambda(cx, config);
    if (strcmp(class_name, "TorchModuleWrapper") == 0)
        return refuse(cx, class_name, "key 'module' holds a Python pickle");
    if (strcmp(class_name, "TFSMLayer") == 0)
        return refuse(cx, class_name, "key 'filepath' names another model's path");
    for (size_t i = 0; i < sizeof lookups / sizeof *lookups; i++) {
        if (strcmp(class_name, lookups[i]) != 0 || !cn_json_is(cn_json_get(config, "vocabulary"), CN_JSON_STRING))
            continue;
        return refuse(cx, class_name, "key 'vocabulary' is a path; null or a list is allowed");
    }
    return CORNU_OK;
}

cornu_status cn_config_check_object(const char* file, const char* layer, const cn_json* object) {
    check cx = {file, layer};
    return check_object(&cx, object);
}

static cornu_status check_below(check cx, const cn_json* node) {
    size_t count = cn_json_size(node);

    if (cn_json_is(node, CN_JSON_OBJECT)) {
        const char* name = cn_json_string(cn_json_get(cn_json_get(node, "config"), "name"), NULL);
        if (!name && cn_json_get(node, "class_name")) name = cn_json_string(cn_json_get(node, "name"), NULL);
        if (name) cx.layer = name;
        CN_TRY(check_object(&cx, node));
    }
    for (size_t i = 0; i < count; i++) {
        const cn_json* child = cn_json_at(node, i);
        if (cn_json_size(child) > 0) CN_TRY(check_below(cx, child));
    }
    return CORNU_OK;
}

cornu_status cn_config_check_safe(const cn_document* doc, const cn_json* root) {
    check cx = {doc->name, ""};
    return check_below(cx, root);
}
