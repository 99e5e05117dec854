/* Recurrent layers of up to 1024 gate columns in one launch: a block takes R rows of the batch through all steps and keeps its share of the
 * recurrent weights in registers. What is computed is said in rnn.cu.
 *
 *     thread   4 neighbouring columns of W for one of SLICES slices of the sum over the old state. Rows of the slice from HELD on are read
 *              anew in each step, 16 bytes at a time, from the first-level cache where they fit
 *     step     sums of all threads -> shared memory; barrier; a thread a unit: gates, new state -> shared memory; barrier
 *
 *     shared   x [units, padded][R]   the old h     w [units, padded][R]   r h of a GRU that resets first
 *              s [slices][R][gates units]
 *
 * Why so: an LSTM of 128 units has 128 x 512 float32 weights, 256 KiB: the whole register file of a processor, five times the shared memory that
 * every device gives. 512 threads have 128 registers each; 64 of them hold weights, 128 KiB, and the other 128 KiB stay in the first-level
 * cache, 1024 cycles of its 128 bytes a cycle, beside 512 cycles for the products. float16 and bfloat16 lie two to a register, all held. From the
 * second-level cache (about 64 bytes a cycle for one processor) the whole of W would take 4096 cycles a step. Four columns a thread, because then
 * one load of 16 bytes of x serves 16 products (R rows: 16 R); slices, because 128 threads would be too few to hide anything.
 * Beyond about 190 KiB that are not held, several blocks share the units: rnn_team.cu. */
#include "kernels/rnn_unit.h"

namespace {

/* A block's work: rows of the batch from `first` on. */
template <typename E, int R>
struct block {
    const cn_rnn_args& a;
    int units, gates, width, slices, per; /* per: rows of W a slice */
    float *x, *w, *s;

    CN_DEVICE block(const cn_rnn_args& args, int slice_count, int slice_rows, float* shared)
        : a(args),
          units(static_cast<int>(args.units)),
          gates(gates_of(args)),
          width(gates * units),
          slices(slice_count),
          per(slice_rows),
          x(shared) {
        w = x + slices * per * R;
        s = w + (resets_first(a) ? slices * per * R : 0);
    }
    /* Gate g of unit j of row r. */
    CN_DEVICE float sum(int j, int r, int g) const {
        const int apart = anew(width), column = g * anew(units) + j;
        const float* part_of = s + r * apart + column;
        float total = 0;
        CN_NO_UNROLL
        for (int slice = 0; slice < slices; slice += 4) { /* 1, 2, 4 or 8; four loads are under way at once */
            float part[4];
            CN_UNROLL
            for (int i = 0; i < 4; i++) part[i] = slice + i < slices ? part_of[(slice + i) * R * apart] : 0.0f;
            total += (part[0] + part[1]) + (part[2] + part[3]);
        }
        return a.bias ? total + cn_widen(static_cast<const E*>(a.bias)[column]) : total;
    }
};

/* The sums of a thread's columns over its slice of x, into s. STREAMED: rows from HELD on come from w, the first of the slice. */
template <typename E, int R, int HELD, bool STREAMED>
CN_DEVICE void multiply(const block<E, R>& m, const quad<E> (&held)[HELD], const E* w, const float* x, float* s, int column, int rows) {
    const int width = anew(m.width);
    float sum[R][4];

    CN_UNROLL
    for (int r = 0; r < R; r++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) sum[r][i] = 0;
    }
    CN_UNROLL
    for (int k = 0; k < HELD; k += 4) {
        if (k >= rows) break;
        const old_state<R> old(x + k * R);
        CN_UNROLL
        for (int i = 0; i < 4; i++) accumulate<R>(sum, (sizeof(E) == 2 ? held[k + i].again() : held[k + i]).widened(), old.of(i));
    }
    int at = HELD * width; /* of row k */
    CN_NO_UNROLL
    for (int k = HELD; STREAMED && k < rows; k += 4) { /* rows is a multiple of 4 */
        const old_state<R> old(x + k * R);
        quad<E> row[4];
        CN_UNROLL
        for (int i = 0; i < 4; i++, at += width) row[i].read(w + at);
        CN_UNROLL
        for (int i = 0; i < 4; i++) accumulate<R>(sum, row[i].widened(), old.of(i));
    }
    CN_UNROLL
    for (int r = 0; r < R; r++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) {
            if (column + i < width) s[r * width + i] = sum[r][i];
        }
    }
}

template <typename E, int HELD, int R, int THREADS, bool STREAMED>
CN_KERNEL_BLOCKS(THREADS, 1) rnn_held(cn_rnn_args a, int slices, int per) {
    CN_DYN_SHARED(float, shared);
    const block<E, R> m(a, slices, per, shared);
    const int groups = (m.width + 3) / 4, slice = static_cast<int>(threadIdx.x) / groups, column = static_cast<int>(threadIdx.x) % groups * 4;
    const int left = m.units - slice * per, rows = left < per ? left : per;
    const E* w = static_cast<const E*>(a.kernel) + static_cast<int64_t>(slice) * per * m.width;
    const int phases = resets_first(a) ? 2 : 1;
    quad<E> held[HELD];
    unit<E> u = {};

    CN_UNROLL
    for (int k = 0; k < HELD; k++) {
        if (slice < slices && k < rows) held[k] = load_some<E>(w + static_cast<int64_t>(k) * m.width, column, m.width);
        else held[k].clear();
    }
    for (float* x = m.x + threadIdx.x; x < m.s; x += blockDim.x) *x = 0;
    __syncthreads();
    const int r = R == 1 ? 0 : static_cast<int>(threadIdx.x) / m.units,
              j = static_cast<int>(threadIdx.x) - r * m.units; /* of thread r units + j */
    const int64_t b = static_cast<int64_t>(blockIdx.x) * R + r;
    const bool owner = r < R && j < m.units && b < a.batch;
    const auto sum = [&](int g) { return m.sum(j, r, g); };
    if (owner) u.start(a, b, j);
    if (owner) m.x[j * R + r] = u.h;
    __syncthreads();
    for (int left_steps = static_cast<int>(a.steps); left_steps > 0; left_steps--) {
        if (owner) u.fetch(a);
        CN_NO_UNROLL
        for (int phase = 0; phase < phases; phase++) {
            const bool last = phase == phases - 1;
            if (slice < slices && (phase > 0 ? column + 4 > 2 * m.units : last || column < 2 * m.units)) {
                multiply<E, R, HELD, STREAMED>(m, held, w + column, (phase > 0 ? m.w : m.x) + anew(slice) * per * R, m.s + anew(slice) * R * m.width + column, column, rows);
            }
            __syncthreads();
            if (owner && last) {
                u.advance(a, sum);
                m.x[j * R + r] = u.h;
                u.write(a, left_steps == 1);
            } else if (owner) {
                m.w[j * R + r] = u.reset(a, sum);
            }
            __syncthreads();
        }
    }
    if (owner) u.leave(a);
}

template <typename E, int HELD, int R, int THREADS, bool STREAMED>
cudaError_t launch_as(const cn_queue* q, const cn_rnn_args* a, const cn_rnn_share& share) {
    const unsigned blocks = static_cast<unsigned>((a->batch + R - 1) / R), threads = static_cast<unsigned>((share.threads + 31) / 32 * 32);
    return cn_launch(q, rnn_held<E, HELD, R, THREADS, STREAMED>, dim3(blocks), dim3(threads), share.shared, *a, share.slices, share.per);
}

template <typename E>
cudaError_t launch(const cn_queue* q, const cn_rnn_args* a) {
    const cn_rnn_share share = cn_rnn_share_of(a);
    if (share.held == 8) return share.rows == 1 ? launch_as<E, 8, 1, 128, false>(q, a, share) : launch_as<E, 8, 4, 128, false>(q, a, share);
    if (share.held == 16 && share.read == 0) return share.rows == 1 ? launch_as<E, 16, 1, 256, false>(q, a, share) : launch_as<E, 16, 4, 256, false>(q, a, share);
    if constexpr (sizeof(E) == 2) return share.read == 0 ? launch_as<E, 32, 1, 512, false>(q, a, share) : launch_as<E, 32, 1, 512, true>(q, a, share);
    else return share.held == 24 ? launch_as<E, 24, 1, 384, true>(q, a, share) : launch_as<E, 16, 1, 512, true>(q, a, share);
}

}  // namespace

extern "C" cudaError_t cn_k_rnn_held(const cn_queue* q, const cn_rnn_args* a) {
    switch (a->dtype) {
        case CORNU_FLOAT16: return launch<__half>(q, a);
        case CORNU_BFLOAT16: return launch<__nv_bfloat16>(q, a);
        default: return launch<float>(q, a);
    }
}
