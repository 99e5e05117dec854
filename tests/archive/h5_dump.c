/* h5_dump FILE...: what compare_h5py.py compares with h5py. After each file a line "end", or "error CODE: sentence". */
#include "tests/archive/h5_dump.h"

#include <stdio.h>

int main(int argc, char** argv) {
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        cn_source* source = NULL;
        cn_buf out = {0};
        cornu_status st = cn_source_open_file(argv[i], &source);
        if (st == CORNU_OK) st = h5_dump_source(source, UINT64_MAX, &out);
        if (out.data) (void)fputs(out.data, stdout);
        if (st == CORNU_OK) printf("end\n");
        else printf("error %d: %s\n", (int)st, cornu_last_error());
        failed += st != CORNU_OK;
        cn_buf_deinit(&out);
        cn_source_close(source);
    }
    return failed > 0;
}
