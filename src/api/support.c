/* What this build supports, from the tables in the code. */
#include <string.h>

#include "backend/backend.h"
#include "lower/lower.h"

static bool row_at(int index, cornu_support* row) {
    int layers = 0;

    if (cn_lower_support(index, &row->kind, &row->name, &row->limits)) return true;
    while (cn_lower_support(layers, &row->kind, &row->name, &row->limits)) layers++;
    if (!cn_backend_at(index - layers)) return false;
    row->kind = "backend";
    row->name = cn_backend_at(index - layers)->name;
    row->limits = "";
    return true;
}

int cornu_support_count(void) {
    cornu_support row;
    int count = 0;

    while (row_at(count, &row)) count++;
    return count;
}

cornu_status cornu_support_get(int index, cornu_support* row) {
    size_t size = row ? row->size : 0;
    cornu_support found = {0};

    if (size < sizeof *row) return CN_FAIL(BAD_ARGUMENT, "cornu_support_get: row is NULL or its size is not set");
    if (index < 0 || !row_at(index, &found)) return CN_FAIL(BAD_ARGUMENT, "cornu_support_get: there is no row %d", index);
    found.size = size;
    *row = found;
    return CORNU_OK;
}
