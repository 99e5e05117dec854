/* Recurrent layers whose input projection is made already: see cn_rnn_attr in graph/op.h. */
#ifndef CN_KERNELS_RNN_H
#define CN_KERNELS_RNN_H

#include <string.h>

#include "kernels/class.h"
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As cn_rnn_kind. */
typedef enum cn_rnn_cell { CN_CELL_SIMPLE, CN_CELL_LSTM, CN_CELL_GRU } cn_rnn_cell;

typedef enum cn_rnn_way {
    CN_RNN_HELD, /* one launch, weights in registers: rnn_held.cu */
    CN_RNN_ROWS, /* one launch, weights from the cache */
    CN_RNN_STEPS /* a launch a step */
} cn_rnn_way;
#define CN_RNN_WAYS 3

/* Every array has the one dtype, a float; NULL where absent. */
typedef struct cn_rnn_args {
    const void* z;             /* [batch, steps, gates units]: LSTM i f c o, GRU z r h */
    const void* kernel;        /* [units, gates units] */
    const void *h, *c;         /* first states [batch, units], or zeros */
    const void* bias;          /* [gates units], of the recurrent product */
    const unsigned char* mask; /* [batch, steps] */
    void* y;                   /* [batch, rows, units]: outputs, h, then c or zeros */
    void* other;               /* scratch of cn_rnn_scratch bytes */
    int dtype;
    cn_rnn_cell cell;
    cn_epilogue act, gate;
    bool backwards, reset_after, zero_masked, sequences;
    int64_t batch, steps, units, rows;
    cn_rnn_way way;
} cn_rnn_args;

static inline int cn_rnn_gate_count(cn_rnn_cell cell) { return cell == CN_CELL_LSTM ? 4 : cell == CN_CELL_GRU ? 3 : 1; }

/* How CN_RNN_HELD shares out the work of a block; plain numbers, so that the choice can be made before anything is launched. */
typedef struct cn_rnn_share {
    int rows;    /* of the batch a block: 1 or 4 */
    int slices;  /* of the sum over the old state */
    int per;     /* rows of W a slice, a multiple of 4 */
    int held;    /* of those, in registers; 0: the way is not possible */
    int threads;
    size_t shared;
    int64_t read; /* bytes of W that each step reads anew */
} cn_rnn_share;

static inline cn_rnn_share cn_rnn_share_of(const cn_rnn_args* a) {
    const int64_t width = a->units * cn_rnn_gate_count(a->cell), groups = (width + 3) / 4;
    const int size = a->dtype == CORNU_FLOAT32 ? 4 : 2;
    cn_rnn_share s;

    memset(&s, 0, sizeof s);
    if (width > 1024 || a->dtype == CORNU_FLOAT64) return s;
    s.rows = a->batch > 256 && a->units <= 64 ? 4 : 1;
    s.slices = a->units <= 8 ? 1 : a->units > 128 ? 8 : 4;
    while (s.slices > 1 && s.slices * groups > 512) s.slices /= 2;
    s.per = (int)((a->units + s.slices - 1) / s.slices + 3) / 4 * 4;
    s.threads = (int)groups * s.slices;
    if (s.threads < s.rows * a->units) s.threads = (int)(s.rows * a->units); /* a thread a unit */
    s.held = s.per <= 8 ? 8 : s.per <= 16 ? 16 : size == 2 ? 32 : s.threads <= 384 ? 24 : 16;
    s.read = s.per > s.held ? (s.per - s.held) * s.slices * width * size : 0;
    s.shared = (size_t)(s.rows * (2 * s.slices * s.per + s.slices * width)) * 4;
    if (s.read > 0 && a->units % 4 != 0) s.held = 0; /* 4 rows by 4 columns are read at once */
    if (s.shared > CN_SHARED_BYTES || s.threads > 512 || a->steps > 1 << 30) s.held = 0;
    return s;
}

/* The ways that are possible, the one to guess first; their number. usual: act and gate are among those that CN_RNN_HELD knows. */
static inline int cn_rnn_find_ways(const cn_rnn_args* a, bool usual, cn_rnn_way* out) {
    const int64_t width = a->units * cn_rnn_gate_count(a->cell), size = cn_element_size(a->dtype), bytes = a->units * width * size;
    const cn_rnn_share share = cn_rnn_share_of(a);
    int count = 0;

    if (usual && share.held && share.read <= 192 << 10) out[count++] = CN_RNN_HELD;
    if (bytes <= 256 << 10) out[count++] = CN_RNN_ROWS;
    out[count++] = CN_RNN_STEPS;
    if (usual && share.held && share.read > 192 << 10) out[count++] = CN_RNN_HELD;
    return count;
}

/* Bytes of scratch. */
uint64_t cn_rnn_scratch(const cn_rnn_args* a);
/* By a->way. */
cudaError_t cn_k_rnn(const cn_queue* q, const cn_rnn_args* a);
cudaError_t cn_k_rnn_held(const cn_queue* q, const cn_rnn_args* a);

#ifdef __cplusplus
}
#endif

#endif
