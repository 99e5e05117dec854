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
    CN_RNN_TEAM, /* one launch, weights in the registers of several blocks: rnn_team.cu */
    CN_RNN_ROWS, /* one launch, weights from the cache */
    CN_RNN_STEPS /* a launch a step */
} cn_rnn_way;
#define CN_RNN_WAYS 4

/* How CN_RNN_TEAM shares out the work: `groups` groups of `members` blocks, a group for some rows of the batch, a
 * member for some units. */
typedef struct cn_rnn_team {
    int members;  /* 0: the way is not possible */
    int groups;
    int units;    /* of a member, a multiple of 4 */
    int rows;     /* of the batch that a group takes at once: 1 or 4 */
    int slices;   /* of the sum over the old state */
    int threads;
    size_t shared;
} cn_rnn_team;

/* Every array has the one dtype, a float; NULL where absent. */
typedef struct cn_rnn_args {
    const void* z;             /* [batch, steps, gates units]: LSTM i f c o, GRU z r h */
    const void* kernel;        /* [units, gates units] */
    const void *h, *c;         /* first states [batch, units], or zeros */
    const void* bias;          /* [gates units], of the recurrent product */
    const unsigned char* mask; /* [batch, steps] */
    void* y;                   /* [batch, rows, units]: outputs, h, then c or zeros */
    void* other;               /* scratch of cn_rnn_scratch bytes; CN_RNN_TEAM: the first cn_rnn_team_words bytes zero */
    int dtype;
    cn_rnn_cell cell;
    cn_epilogue act, gate;
    bool backwards, reset_after, zero_masked, sequences;
    int64_t batch, steps, units, rows;
    cn_rnn_way way;
    cn_rnn_team team;
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

/* Rows of W that a thread of CN_RNN_TEAM holds. */
static inline int cn_rnn_team_held(int dtype) { return dtype == CORNU_FLOAT32 ? 16 : 32; }

/* A group as small as can be of CN_RNN_TEAM, for 1 or 4 rows. groups is left for whoever knows the device. */
static inline cn_rnn_team cn_rnn_team_of(const cn_rnn_args* a, int rows) {
    const int64_t gates = cn_rnn_gate_count(a->cell), held = cn_rnn_team_held(a->dtype);
    const int64_t slices = (a->units + held - 1) / held;
    int64_t most = slices <= 128 ? 512 / slices / gates * 4 : 0;
    cn_rnn_team t;

    memset(&t, 0, sizeof t);
    if (most > 128) most = 128; /* a thread for each unit of 4 rows */
    if (most == 0 || a->dtype == CORNU_FLOAT64 || a->steps > 1 << 30) return t;
    t.rows = rows;
    t.slices = (int)slices;
    t.members = (int)((a->units + most - 1) / most);
    t.units = (int)((a->units + t.members - 1) / t.members + 3) / 4 * 4;
    t.members = (int)((a->units + t.units - 1) / t.units);
    t.threads = (int)(gates * t.units / 4 * slices);
    if (t.threads < rows * t.units) t.threads = rows * t.units;
    t.threads = (t.threads + 31) / 32 * 32;
    t.shared = (size_t)(rows * slices * (held + gates * t.units)) * 4;
    if (t.shared > CN_SHARED_BYTES) t.members = 0;
    return t;
}

/* Bytes of the words by which members meet, a line of the cache a group. */
static inline uint64_t cn_rnn_team_words(const cn_rnn_team* t) { return (uint64_t)t->groups * 128; }

/* The ways that are possible, the one to guess first; their number. usual: act and gate are among those that CN_RNN_HELD and CN_RNN_TEAM know. */
static inline int cn_rnn_find_ways(const cn_rnn_args* a, bool usual, cn_rnn_way* out) {
    const int64_t width = a->units * cn_rnn_gate_count(a->cell), size = cn_element_size(a->dtype), bytes = a->units * width * size;
    const cn_rnn_share share = cn_rnn_share_of(a);
    const cn_rnn_team* t = &a->team;
    const bool team = usual && t->members > 0 && a->units > 64;
    const bool few = team && a->batch <= (int64_t)4 * t->rows * t->groups; /* a launch a step takes all at once */
    int count = 0;

    if (usual && share.held && share.read <= 192 << 10) out[count++] = CN_RNN_HELD;
    if (few && bytes > 256 << 10) out[count++] = CN_RNN_TEAM;
    if (bytes <= 256 << 10) out[count++] = CN_RNN_ROWS;
    out[count++] = CN_RNN_STEPS;
    if (usual && share.held && share.read > 192 << 10) out[count++] = CN_RNN_HELD;
    if (team && !(few && bytes > 256 << 10)) out[count++] = CN_RNN_TEAM;
    return count;
}

/* Bytes of scratch. */
uint64_t cn_rnn_scratch(const cn_rnn_args* a);
/* By a->way. */
cudaError_t cn_k_rnn(const cn_queue* q, const cn_rnn_args* a);
cudaError_t cn_k_rnn_held(const cn_queue* q, const cn_rnn_args* a);
cudaError_t cn_k_rnn_team(const cn_queue* q, const cn_rnn_args* a);
/* The kernel that cn_k_rnn_team launches, to ask the device how many blocks of it there can be. */
const void* cn_rnn_team_kernel(const cn_rnn_args* a);

#ifdef __cplusplus
}
#endif

#endif
