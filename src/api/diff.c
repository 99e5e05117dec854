/* cornu_model_diff and its rows. */
#include <string.h>

#include "api/sized.h"
#include "keras/diff.h"
#include "keras/upgrade.h"
#include "session/model.h"

struct cornu_diff {
    cn_diff rows;
};

/* Documents of every age in one form; what has none is compared as it stands. */
static cornu_status form_of(cn_document* doc, cn_document** out) {
    cornu_status st = cn_document_upgraded(doc, out);

    if (st == CORNU_OK || st == CORNU_NO_MEMORY) return st;
    *out = doc;
    return CORNU_OK;
}

cornu_status cornu_model_diff(cornu_model* a, cornu_model* b, cornu_diff** out) {
    cornu_status st = CORNU_OK;
    cornu_diff* diff = NULL;
    cn_document *x, *y;

    if (!out) return CN_FAIL(BAD_ARGUMENT, "cornu_model_diff: out is NULL");
    *out = NULL;
    if (!a || !b) return CN_FAIL(BAD_ARGUMENT, "cornu_model_diff: a model is NULL");
    diff = cn_alloc_zero(1, sizeof *diff);
    if (!diff) return CN_NO_MEMORY(sizeof *diff);
    (void)pthread_rwlock_rdlock(&a->lock);
    if (b != a) (void)pthread_rwlock_rdlock(&b->lock);
    CN_STEP(form_of(a->document, &x));
    CN_STEP(form_of(b->document, &y));
    CN_STEP(cn_diff_documents(x, y, &diff->rows));
    *out = diff;
    diff = NULL;
done:
    if (b != a) (void)pthread_rwlock_unlock(&b->lock);
    (void)pthread_rwlock_unlock(&a->lock);
    cornu_diff_destroy(diff);
    return st;
}

int64_t cornu_diff_count(const cornu_diff* diff) { return diff ? (int64_t)diff->rows.count : 0; }

cornu_status cornu_diff_get(const cornu_diff* diff, int64_t index, cornu_difference* difference) {
    if (!diff || !difference) return CN_FAIL(BAD_ARGUMENT, "cornu_diff_get: diff or difference is NULL");
    CN_TRY(cn_sized_check(&difference->size, "cornu_difference"));
    if (index < 0 || (size_t)index >= diff->rows.count)
        return CN_FAIL(NOT_FOUND, "there is no difference %lld; there are %lld", (long long)index, (long long)diff->rows.count);
    cn_sized_give(difference, &diff->rows.rows[index], difference->size, sizeof *difference);
    return CORNU_OK;
}

void cornu_diff_destroy(cornu_diff* diff) {
    if (!diff) return;
    cn_diff_deinit(&diff->rows);
    cn_free(diff);
}
