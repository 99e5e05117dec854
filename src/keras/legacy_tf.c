#include "keras/legacy_config.h"
#include "keras/parts.h"
cornu_status cn_legacy_print_tf_model(const cn_document* doc, const cn_json* object, cn_buf* out) { (void)object; (void)out; return CN_FAIL(UNSUPPORTED, "%s: not yet", doc->name); }
cornu_status cn_legacy_print_tf_value(const cn_document* doc, const cn_json* value, cn_buf* out) { (void)value; (void)out; return CN_FAIL(UNSUPPORTED, "%s: not yet", doc->name); }
