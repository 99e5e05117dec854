/* The reference's resize: the weights of both axes from graph/resample.h, sums in double. */
#include "backend/cpu/ref_ops.h"
#include "graph/resample.h"

cornu_status cn_ref_resize(const cn_ref_step* s) {
    const cn_resize_attr* a = &s->attr->resize;
    const cn_type *x = s->types[0], *y = s->type;
    cn_resample rows = {a->kind, a->antialias, x->dims[1], y->dims[1]}, columns = {a->kind, a->antialias, x->dims[2], y->dims[2]};
    int64_t channels = y->dims[3];

    for (int64_t i = 0; i < y->dims[0] * y->dims[1] * y->dims[2]; i++) {
        int64_t n = i / (y->dims[1] * y->dims[2]);
        cn_resample_cell row_cell, cell;
        cn_resample_cell_of(&rows, i / y->dims[2] % y->dims[1], &row_cell);
        cn_resample_cell_of(&columns, i % y->dims[2], &cell);
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t r = row_cell.from; r < row_cell.to; r++) {
                double row = 0;
                for (int64_t k = cell.from; k < cell.to; k++) {
                    int64_t at = ((n * x->dims[1] + r) * x->dims[2] + k) * channels + c;
                    row += cn_ref_load(x->dtype, s->in[0], at) * cn_resample_weight(&columns, &cell, k);
                }
                sum += row * cn_resample_weight(&rows, &row_cell, r);
            }
            cn_ref_store(y->dtype, s->out, i * channels + c, sum);
        }
    }
    return CORNU_OK;
}
