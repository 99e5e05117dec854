/* Recurrent layers: what rnn.c, rnn_cells.c and conv_lstm.c share. A cell is read once and then called for each step, or handed to the
 * graph's rnn op as a whole. */
#ifndef CN_LOWER_RNN_H
#define CN_LOWER_RNN_H

#include "lower/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* States of a cell, of all cells of a stack together. */
#define CN_RNN_MAX_STATES 64

typedef struct cn_rnn_cell cn_rnn_cell;

typedef enum cn_rnn_cell_kind {
    CN_CELL_SIMPLE = CN_RNN_SIMPLE,
    CN_CELL_LSTM = CN_RNN_LSTM,
    CN_CELL_GRU = CN_RNN_GRU,
    CN_CELL_CONV_LSTM,
    CN_CELL_STACKED
} cn_rnn_cell_kind;

struct cn_rnn_cell {
    cn_rnn_cell_kind kind;
    cn_call call; /* its layer is where the cell's config is, its dtypes are the cell's */
    int64_t units;
    bool reset_after;
    cn_id kernel, recurrent;    /* [in, gates units], [units, gates units]; of a convolution, its kernels */
    cn_id bias, recurrent_bias; /* [gates units] or CN_NONE; the second of GRU with reset_after */
    int state_count;
    cn_type states[2];      /* their types for the given step */
    cn_attr input_conv, recurrent_conv; /* of CONV_LSTM */
    cn_rnn_cell* cells;     /* of STACKED */
    int cell_count;
};

/* The kind of a cell class; false if it is none that is known. */
bool cn_rnn_cell_kind_of(const char* class_name, cn_rnn_cell_kind* kind);
/* Reads a cell whose config is that of `config` and whose variables are those of `weights`, for step inputs of type step; shapes are
 * checked. The cell lives as long as the lowering. */
cornu_status cn_rnn_cell_read(cn_call* c, cn_rnn_cell_kind kind, const cn_layer* config, const cn_layer* weights, const cn_type* step,
                              cn_rnn_cell* cell);
/* The same for a ConvLSTM of that many spatial axes; the step is channels last. */
cornu_status cn_conv_lstm_read(cn_call* c, int spatial, const cn_layer* config, const cn_layer* weights, const cn_type* step,
                               cn_rnn_cell* cell);
/* Types of all states in flattened order; count of them. */
int cn_rnn_cell_states(const cn_rnn_cell* cell, cn_type* types, int capacity);
/* One step: x and states give new states (in their place) and the output. */
cornu_status cn_rnn_cell_step(cn_rnn_cell* cell, cn_id x, cn_id* states, cn_id* out);
cornu_status cn_conv_lstm_step(cn_rnn_cell* cell, cn_id x, cn_id* states, cn_id* out);
/* Applies the activation under key, `fallback` if the config has no such key. */
cornu_status cn_rnn_cell_act(cn_rnn_cell* cell, const char* key, const char* fallback, cn_id x, cn_id* out);
/* That activation as an elementwise function; false if it is none. */
cornu_status cn_rnn_cell_ew(cn_rnn_cell* cell, const char* key, const char* fallback, cn_act* act, bool* is_ew);
/* Refuses dropout at training. */
cornu_status cn_rnn_cell_no_dropout(cn_call* c, const cn_layer* config);

#ifdef __cplusplus
}
#endif

#endif
