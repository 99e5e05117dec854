#include "keras/compile.h"

const cn_json* cn_compile_object(const cn_document* doc) {
    const cn_layer* root = cn_document_root(doc);
    const cn_json* object = root && cn_document_is_compiled(doc) ? cn_json_get(root->object, "compile_config") : NULL;

    return cn_json_is(object, CN_JSON_OBJECT) && cn_json_size(object) > 0 ? object : NULL;
}
