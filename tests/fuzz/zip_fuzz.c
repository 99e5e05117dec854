/* Opens any bytes as a zip archive, and every member of it. */
#include <stdlib.h>

#include "archive/zip.h"
#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/* A member that opens has its declared size and can be read to the end. */
static void read_member(cn_zip* zip, const cn_zip_entry* entry) {
    cn_source* source;
    uint8_t last;

    if (cn_zip_find(zip, entry->name) != entry) abort();
    if (cn_zip_open_entry(zip, entry, &source) != CORNU_OK) return;
    if (cn_source_size(source) != entry->size) abort();
    if (entry->size > 0 && cn_source_read(source, entry->size - 1, &last, 1) != CORNU_OK) abort();
    cn_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    cn_source* source;
    cn_zip* zip;

    if (cn_source_open_memory(data, size, "fuzz", &source) != CORNU_OK) return 0;
    (void)cn_zip_sniff(source);
    if (cn_zip_open(source, &zip) == CORNU_OK) {
        uint64_t total = 0;
        for (size_t i = 0; i < cn_zip_count(zip) && total < (64 << 20); i++) {
            total += cn_zip_entry_at(zip, i)->size;
            read_member(zip, cn_zip_entry_at(zip, i));
        }
        cn_zip_close(zip);
    } else if (!cornu_last_error()[0]) {
        abort();
    }
    cn_source_close(source);
    return 0;
}
