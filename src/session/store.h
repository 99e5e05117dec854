/* The model's weight store: constants of plans, made once for all sessions of a model and kept at the same addresses.
 *
 * A constant is a value of a graph that depends on variables alone; its key is the text of the expression that makes it, with
 * variables by path, so that equal expressions of different sessions and shapes share one entry. When variables change, entries are
 * made anew in place, and the forms that backends derived from them too. */
#ifndef CN_SESSION_STORE_H
#define CN_SESSION_STORE_H

#include "backend/backend.h"
#include "keras/document.h"
#include "lower/lower.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_store cn_store;
typedef struct cn_store_entry cn_store_entry;

cornu_status cn_store_create(const cn_document* doc, cn_store** out);
void cn_store_destroy(cn_store* store);
/* The entry for value v of a program's graph, made (and evaluated) if it is not there. Thread-safe. */
cornu_status cn_store_get(cn_store* store, const cn_program* program, cn_id v, cn_store_entry** out);
/* Dense elements. */
const void* cn_store_data(const cn_store_entry* entry);
/* A derived form; see cn_weights. Thread-safe. */
cornu_status cn_store_derived(cn_store* store, cn_store_entry* entry, const char* layout, uint64_t bytes, cn_derive fn,
                              const void* user, uint64_t user_size, void** out);
/* Forms in a residence; see cn_weights. entries[residents[i].constant] is what form i is of. Thread-safe. */
cornu_status cn_store_resident(cn_store* store, cn_store_entry* const* entries, const cn_residence* residence, cn_resident* residents, int count);
/* Whether variables have changed since the entries were made. */
bool cn_store_stale(const cn_store* store);
/* Makes every entry that depends on a changed variable anew. The caller sees to it that nothing runs. */
cornu_status cn_store_refresh(cn_store* store);
/* Tells the store that variables have changed. */
void cn_store_touch(cn_store* store);
uint64_t cn_store_bytes(cn_store* store);

#ifdef __cplusplus
}
#endif

#endif
