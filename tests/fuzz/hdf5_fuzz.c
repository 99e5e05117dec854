/* Any bytes: refused with a sentence, or read to the last dataset. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/archive/h5_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    cn_source* source = NULL;
    cn_buf out = {0};

    if (cn_source_open_memory(data, size, "fuzz", &source) != CORNU_OK) return 0;
    if (h5_dump_source(source, (uint64_t)16 << 20, &out) != CORNU_OK && *cornu_last_error() == 0) abort();
    cn_buf_deinit(&out);
    cn_source_close(source);
    return 0;
}
