/* Recurrent layers whose input projection is made already: see cn_rnn_attr in graph/op.h. */
#ifndef CN_KERNELS_RNN_H
#define CN_KERNELS_RNN_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As cn_rnn_kind. */
typedef enum cn_rnn_cell { CN_CELL_SIMPLE, CN_CELL_LSTM, CN_CELL_GRU } cn_rnn_cell;

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
} cn_rnn_args;

static inline int cn_rnn_gate_count(cn_rnn_cell cell) { return cell == CN_CELL_LSTM ? 4 : cell == CN_CELL_GRU ? 3 : 1; }
/* Bytes of scratch. */
uint64_t cn_rnn_scratch(const cn_rnn_args* a);
cudaError_t cn_k_rnn(const cn_queue* q, const cn_rnn_args* a);

#ifdef __cplusplus
}
#endif

#endif
