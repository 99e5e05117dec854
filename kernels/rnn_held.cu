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
 * Beyond about 190 KiB that are not held, all processors together are faster, a launch a step: cn_rnn_find_ways. A barrier over the grid would
 * join both, but needs all blocks to be resident, which only a cooperative launch promises. */
#include "kernels/rnn.h"

#include <string.h>

#include "kernels/ew.h"

namespace {

/* x, but what is computed from it is computed here: the compiler would move it out of the loop over the steps, into registers that hold weights. */
CN_DEVICE int anew(int x) {
#ifndef CN_HOST_EXECUTION
    asm volatile("" : "+r"(x));
#endif
    return x;
}

struct alignas(16) four {
    float v[4];
};

/* Four neighbouring weights as they lie in memory: as words, since elements of 2 bytes would take a register each. */
template <typename E>
struct alignas(4 * sizeof(E)) quad {
    uint32_t words[sizeof(E)];

    CN_DEVICE void clear() {
        CN_UNROLL
        for (size_t i = 0; i < sizeof(E); i++) words[i] = 0;
    }
    CN_DEVICE void read(const E* from) { /* aligned */
        if constexpr (sizeof(E) == 4) {
            const uint4 all = *reinterpret_cast<const uint4*>(from);
            words[0] = all.x;
            words[1] = all.y;
            words[2] = all.z;
            words[3] = all.w;
        } else {
            const uint2 all = *reinterpret_cast<const uint2*>(from);
            words[0] = all.x;
            words[1] = all.y;
        }
    }
    CN_DEVICE void set(int i, E v) {
        const uint32_t bits = bits_of(v);
        if (sizeof(E) == 4) words[i] = bits;
        else words[i / 2] |= bits << (i % 2 * 16);
    }
    CN_DEVICE four widened() const;
    CN_DEVICE quad again() const {
        quad q;
        CN_UNROLL
        for (size_t i = 0; i < sizeof(E); i++) q.words[i] = static_cast<uint32_t>(anew(static_cast<int>(words[i])));
        return q;
    }

    static CN_DEVICE uint32_t bits_of(float v) { return __float_as_uint(v); }
    static CN_DEVICE uint32_t bits_of(__half v) { return __half_as_ushort(v); }
    static CN_DEVICE uint32_t bits_of(__nv_bfloat16 v) { return __bfloat16_as_ushort(v); }
};
template <>
CN_DEVICE four quad<float>::widened() const {
    return {{__uint_as_float(words[0]), __uint_as_float(words[1]), __uint_as_float(words[2]), __uint_as_float(words[3])}};
}
template <>
CN_DEVICE four quad<__nv_bfloat16>::widened() const {
    return {{__uint_as_float(words[0] << 16), __uint_as_float(words[0] & 0xffff0000u), __uint_as_float(words[1] << 16), __uint_as_float(words[1] & 0xffff0000u)}};
}
template <>
CN_DEVICE four quad<__half>::widened() const {
    __half2 low, high;
    memcpy(static_cast<void*>(&low), &words[0], 4);
    memcpy(static_cast<void*>(&high), &words[1], 4);
    const float2 a = __half22float2(low), b = __half22float2(high);
    return {{a.x, a.y, b.x, b.y}};
}

/* Elements of w from column on; columns beyond the last are 0. */
template <typename E>
CN_DEVICE quad<E> load_some(const E* w, int column, int width) {
    quad<E> q;
    q.clear();
    CN_UNROLL
    for (int i = 0; i < 4; i++) {
        if (column + i < width) q.set(i, w[column + i]);
    }
    return q;
}

/* sum[r][i] += w[i] x[r] for one k. */
template <int R>
CN_DEVICE void accumulate(float (&sum)[R][4], const four& w, const float* x) {
    CN_UNROLL
    for (int r = 0; r < R; r++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) sum[r][i] += x[r] * w.v[i];
    }
}

/* Values of x for 4 rows k: 4 R floats from x on. */
template <int R>
struct old_state {
    four v[R];

    CN_DEVICE explicit old_state(const float* x) {
        CN_UNROLL
        for (int i = 0; i < R; i++) v[i] = reinterpret_cast<const four*>(x)[i];
    }
    CN_DEVICE const float* of(int k) const { return &v[k * R / 4].v[k * R % 4]; }
};

CN_DEVICE float apply(const cn_epilogue& act, float x) {
    switch (act.fn) {
        case CN_FN_tanh: return cn_m_tanh(x);
        case CN_FN_sigmoid: return 1.0f / (1.0f + cn_m_exp(-x));
        case CN_FN_relu: return x < 0.0f ? 0.0f : x;
        case CN_FN_hard_sigmoid: return cn_m_min(cn_m_max(x / 6.0f + 0.5f, 0.0f), 1.0f);
        default: return x;
    }
}

template <typename E>
CN_DEVICE float rounded(float x) {
    E kept;
    cn_narrow(&kept, x);
    return cn_widen(kept);
}

/* A block's work: rows of the batch from `first` on. */
template <typename E, int R>
struct block {
    const cn_rnn_args& a;
    int units, gates, width, slices, per; /* per: rows of W a slice */
    float *x, *w, *s;

    CN_DEVICE block(const cn_rnn_args& args, int slice_count, int slice_rows, float* shared)
        : a(args), units(static_cast<int>(args.units)), gates(args.cell == CN_CELL_LSTM ? 4 : args.cell == CN_CELL_GRU ? 3 : 1), width(gates * units), slices(slice_count),
          per(slice_rows), x(shared) {
        w = x + slices * per * R;
        s = w + (resets_first() ? slices * per * R : 0);
    }
    CN_DEVICE bool resets_first() const { return a.cell == CN_CELL_GRU && !a.reset_after; }
    CN_DEVICE bool has_c() const { return a.cell == CN_CELL_LSTM || resets_first(); }
};

/* The unit of a row that a thread owns: thread r units + j has unit j of row r. */
template <typename E, int R>
struct unit {
    const E* z;                /* of the next step */
    const unsigned char* mask; /* of the next step, or NULL */
    E* y;                      /* of the next step */
    int j, r;
    bool seen, skip; /* a step that was not masked; this step is masked */
    float h, c;      /* c: LSTM's carry, the update gate of a GRU that resets first */
    float gate[4];   /* z of this step, then gates */

    /* False if the thread has none. */
    CN_DEVICE bool find(const block<E, R>& m) {
        const cn_rnn_args& a = m.a;
        r = R == 1 ? 0 : static_cast<int>(threadIdx.x) / m.units;
        j = static_cast<int>(threadIdx.x) - r * m.units;
        const int64_t b = static_cast<int64_t>(blockIdx.x) * R + r, from = b * a.steps + (a.backwards ? a.steps - 1 : 0);
        seen = skip = false;
        h = c = 0;
        if (r >= R || j >= m.units || b >= a.batch) return false;
        z = static_cast<const E*>(a.z) + from * m.width + j;
        mask = a.mask ? a.mask + from : nullptr;
        y = static_cast<E*>(a.y) + b * a.rows * m.units + j;
        if (a.h) h = cn_widen(static_cast<const E*>(a.h)[b * m.units + j]);
        if (a.c && a.cell == CN_CELL_LSTM) c = cn_widen(static_cast<const E*>(a.c)[b * m.units + j]);
        return true;
    }
    /* Reads what the next step takes from outside. */
    CN_DEVICE void fetch(const block<E, R>& m) {
        const int back = m.a.backwards ? -1 : 1, units = anew(m.units);
        CN_UNROLL
        for (int g = 0; g < 4; g++) {
            gate[g] = g < m.gates ? cn_widen(z[g * units]) : 0.0f;
        }
        z += back * anew(m.width);
        skip = mask && !*mask;
        if (mask) mask += back;
    }
    CN_DEVICE float sum(const block<E, R>& m, int g) const {
        const int width = anew(m.width), column = g * anew(m.units) + j;
        const float* s = m.s + r * width + column;
        float total = 0;
        CN_NO_UNROLL
        for (int slice = 0; slice < m.slices; slice += 4) { /* 1, 2, 4 or 8; four loads are under way at once */
            float part[4];
            CN_UNROLL
            for (int i = 0; i < 4; i++) part[i] = slice + i < m.slices ? s[(slice + i) * R * width] : 0.0f;
            total += (part[0] + part[1]) + (part[2] + part[3]);
        }
        return m.a.bias ? total + cn_widen(static_cast<const E*>(m.a.bias)[column]) : total;
    }
    /* The first half of a step of a GRU that resets first. */
    CN_DEVICE void reset(const block<E, R>& m) {
        c = rounded<E>(apply(m.a.gate, gate[0] + sum(m, 0)));
        m.w[j * R + r] = rounded<E>(apply(m.a.gate, gate[1] + sum(m, 1)) * h);
    }
    CN_DEVICE float next(const block<E, R>& m) {
        const cn_rnn_args& a = m.a;
        if (a.cell == CN_CELL_SIMPLE) return apply(a.act, gate[0] + sum(m, 0));
        if (m.resets_first()) return c * h + (1 - c) * apply(a.act, gate[2] + sum(m, 2));
        const bool lstm = a.cell == CN_CELL_LSTM;
        const float candidate = sum(m, 2);
        gate[0] += sum(m, 0);
        gate[1] += sum(m, 1);
        if (lstm) gate[3] += sum(m, 3);
        if (a.gate.fn == CN_FN_sigmoid) { /* in one piece, so that one's steps fill the other's waits */
            CN_UNROLL
            for (int g = 0; g < 4; g += g == 1 ? 2 : 1) gate[g] = 1.0f / (1.0f + cn_m_exp(-gate[g]));
        } else {
            CN_NO_UNROLL
            for (int g = 0; g < 3; g++) { /* turns gates 0, 1 and 3 by one place */
                const float v = apply(a.gate, gate[0]);
                gate[0] = gate[1];
                gate[1] = gate[3];
                gate[3] = v;
            }
        }
        if (!lstm) return gate[0] * h + (1 - gate[0]) * apply(a.act, gate[2] + gate[1] * candidate);
        c = rounded<E>(gate[1] * c + gate[0] * apply(a.act, gate[2] + candidate));
        return gate[3] * apply(a.act, c);
    }
    CN_DEVICE void finish(const block<E, R>& m, bool last) {
        const cn_rnn_args& a = m.a;
        if (!skip) m.x[j * R + r] = h = rounded<E>(next(m));
        if (a.sequences || last) cn_narrow(y, skip && (a.zero_masked || !seen) ? 0.0f : h);
        if (a.sequences || last) y += m.units;
        seen = seen || !skip;
    }
    /* The states behind the outputs. */
    CN_DEVICE void leave(const block<E, R>& m) const {
        cn_narrow(y, h);
        if (m.has_c()) cn_narrow(y + m.units, m.a.cell == CN_CELL_LSTM ? c : 0.0f);
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
    const int phases = m.resets_first() ? 2 : 1;
    quad<E> held[HELD];
    unit<E, R> u = {};

    CN_UNROLL
    for (int k = 0; k < HELD; k++) {
        if (slice < slices && k < rows) held[k] = load_some<E>(w + static_cast<int64_t>(k) * m.width, column, m.width);
        else held[k].clear();
    }
    for (float* x = m.x + threadIdx.x; x < m.s; x += blockDim.x) *x = 0;
    __syncthreads();
    const bool owner = u.find(m);
    if (owner) m.x[u.j * R + u.r] = u.h;
    __syncthreads();
    for (int left_steps = static_cast<int>(a.steps); left_steps > 0; left_steps--) {
        if (owner) u.fetch(m);
        CN_NO_UNROLL
        for (int phase = 0; phase < phases; phase++) {
            const bool last = phase == phases - 1;
            if (slice < slices && (phase > 0 ? column + 4 > 2 * m.units : last || column < 2 * m.units)) {
                multiply<E, R, HELD, STREAMED>(m, held, w + column, (phase > 0 ? m.w : m.x) + anew(slice) * per * R, m.s + anew(slice) * R * m.width + column, column, rows);
            }
            __syncthreads();
            if (owner && last) u.finish(m, left_steps == 1);
            else if (owner) u.reset(m);
            __syncthreads();
        }
    }
    if (owner) u.leave(m);
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
