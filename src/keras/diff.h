/* What two documents differ in. */
#ifndef CN_KERAS_DIFF_H
#define CN_KERAS_DIFF_H

#include "keras/document.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_diff {
    cornu_difference* rows; /* strings in arena */
    size_t count, capacity;
    cn_arena arena;
} cn_diff;

/* Fills *out, which is zeroed before; cn_diff_deinit also after a failure. */
cornu_status cn_diff_documents(const cn_document* a, const cn_document* b, cn_diff* out);
void cn_diff_deinit(cn_diff* diff);

/* diff_config.c: compares the configs. */
cornu_status cn_diff_configs(const cn_document* a, const cn_document* b, cn_diff* out);
/* Adds a difference; place, a and b are copied. */
cornu_status cn_diff_add(cn_diff* diff, const cornu_difference* row);

#ifdef __cplusplus
}
#endif

#endif
