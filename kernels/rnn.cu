/* Recurrent layers: per step, s = h W + bias (W [units, gates units]), then, unit by unit,
 *
 *     simple   h = act(z + s)
 *     LSTM     c = gate(f) c + gate(i) act(g),  h = gate(o) act(c)                    i f g o: z + s of the four gates
 *     GRU      h = gate(z) h + (1 - gate(z)) act(candidate)                           candidate: z + r s, or z + (r h) W
 *
 * States are rounded to the dtype after each step, sums and functions are float (float64: double).
 *
 *     held            one launch, weights in registers: rnn_held.cu
 *     team            one launch, weights in registers of several blocks that meet in each step: rnn_team.cu
 *     rows at once    kernels of up to 256 KiB, which the cache keeps: a block takes a few rows of the batch through all steps, states in
 *                     shared memory, a thread a column of W
 *     step by step    a launch a step (GRU that resets first: two), a block some units of some rows, its warps parts of the sum over the
 *                     old state; h alternates between the result and scratch, so that a launch reads only what launches before it wrote */
#include "kernels/rnn.h"

#include "kernels/block.h"
#include "kernels/ew.h"

#define ROWS_THREADS 512
#define SLICES 8 /* of the sum over the old state: warps of a block of step_units */

namespace {

/* x as the dtype keeps it. */
template <typename E, typename T>
CN_DEVICE T rounded(T x) {
    E kept;
    cn_narrow(&kept, x);
    return cn_widen(kept);
}

/* Where things lie; E the element, T what is computed in. */
template <typename E>
struct layout {
    const cn_rnn_args& a;
    int gates;
    int64_t width;

    CN_DEVICE explicit layout(const cn_rnn_args& args) : a(args), gates(args.cell == CN_CELL_LSTM ? 4 : args.cell == CN_CELL_GRU ? 3 : 1), width(gates * args.units) {}
    CN_DEVICE int64_t from(int64_t b, int64_t step) const { return b * a.steps + (a.backwards ? a.steps - 1 - step : step); }
    CN_DEVICE bool masked(int64_t b, int64_t step) const { return a.mask && !a.mask[from(b, step)]; }
    CN_DEVICE const E* z(int64_t b, int64_t step) const { return static_cast<const E*>(a.z) + from(b, step) * width; }
    CN_DEVICE E* y(int64_t b, int64_t step) const { return static_cast<E*>(a.y) + (b * a.rows + (a.sequences ? step : 0)) * a.units; }
    CN_DEVICE E* h(int64_t b) const { return static_cast<E*>(a.y) + (b * a.rows + (a.sequences ? a.steps : 1)) * a.units; }
    CN_DEVICE E* c(int64_t b) const { return h(b) + a.units; }
    CN_DEVICE bool has_c() const { return a.cell == CN_CELL_LSTM || resets_first(); }
    CN_DEVICE bool resets_first() const { return a.cell == CN_CELL_GRU && !a.reset_after; }
};

/* The functions; called from several places, compiled once. */
template <typename T>
CN_DEVICE_NOINLINE T apply(const cn_epilogue& act, T x) {
    return cn_act<T>(act, x);
}

/* A unit's new h. s: the sums of its gates with the recurrent bias, z: the projected input, both `apart` elements apart; c: LSTM's carry. */
template <typename E, typename T>
CN_DEVICE T new_state(const cn_rnn_args& a, const T* s, int64_t apart, const E* z, T h, T* c) {
    const int64_t u = a.units;
    if (a.cell == CN_CELL_SIMPLE) return rounded<E>(apply<T>(a.act, cn_widen(z[0]) + s[0]));
    if (a.cell == CN_CELL_LSTM) {
        const T i = apply<T>(a.gate, cn_widen(z[0]) + s[0]);
        const T f = apply<T>(a.gate, cn_widen(z[u]) + s[apart]);
        const T g = apply<T>(a.act, cn_widen(z[2 * u]) + s[2 * apart]);
        const T o = apply<T>(a.gate, cn_widen(z[3 * u]) + s[3 * apart]);
        *c = rounded<E>(f * *c + i * g);
        return rounded<E>(o * apply<T>(a.act, *c));
    }
    const T update = apply<T>(a.gate, cn_widen(z[0]) + s[0]);
    const T reset = apply<T>(a.gate, cn_widen(z[u]) + s[apart]);
    const T candidate = apply<T>(a.act, cn_widen(z[2 * u]) + reset * s[2 * apart]);
    return rounded<E>(update * h + (1 - update) * candidate);
}

/* ---- rows at once --------------------------------------------------------------------------------------------------------
 *
 *     shared   h [R][units]   c or r h [R][units]   s [R][gates units] */

/* s[r][column] = x[r] . W's column, plus bias, for columns first to last. */
template <typename E, typename T, int R>
CN_DEVICE void multiply(const cn_rnn_args& a, int64_t width, const T* x, T* s, int64_t first, int64_t last) {
    const E* bias = static_cast<const E*>(a.bias);
    for (int64_t column = first + threadIdx.x; column < last; column += blockDim.x) {
        const E* w = static_cast<const E*>(a.kernel) + column;
        T sum[R][2];
        for (int r = 0; r < R; r++) sum[r][0] = sum[r][1] = 0;
        int64_t k = 0;
        for (; k + 1 < a.units; k += 2) {
            const T w0 = cn_widen(w[k * width]), w1 = cn_widen(w[(k + 1) * width]);
            CN_UNROLL
            for (int r = 0; r < R; r++) {
                sum[r][0] += x[r * a.units + k] * w0;
                sum[r][1] += x[r * a.units + k + 1] * w1;
            }
        }
        for (int r = 0; r < R; r++) {
            if (k < a.units) sum[r][0] += x[r * a.units + k] * cn_widen(w[k * width]);
            s[r * width + column] = sum[r][0] + sum[r][1] + (bias ? cn_widen(bias[column]) : T(0));
        }
    }
}

/* Ends row r's step for unit j: keeps the new h and writes the output. */
template <typename E, typename T>
CN_DEVICE void end_unit(const layout<E>& l, int64_t b, int64_t step, int64_t j, bool masked, bool seen, T h) {
    if (masked && (l.a.zero_masked || !seen)) h = 0;
    if (l.a.sequences || step == l.a.steps - 1) cn_narrow(l.y(b, step) + j, h);
}

template <typename E, int R>
CN_KERNEL_BLOCKS(ROWS_THREADS, 1) rnn_rows(cn_rnn_args a) {
    typedef typename cn_sum_of<E>::type T;
    CN_DYN_SHARED(T, h);
    const layout<E> l(a);
    const int64_t units = a.units, first = static_cast<int64_t>(blockIdx.x) * R;
    T* c = h + R * units;
    T* s = c + R * units;
    unsigned seen = 0;

    for (int64_t i = threadIdx.x; i < R * units; i += blockDim.x) {
        const int64_t b = first + i / units, at = b * units + i % units;
        h[i] = a.h && b < a.batch ? cn_widen(static_cast<const E*>(a.h)[at]) : T(0);
        c[i] = a.c && b < a.batch ? cn_widen(static_cast<const E*>(a.c)[at]) : T(0);
    }
    for (int64_t step = 0; step < a.steps; step++) {
        unsigned masked = 0;
        for (int r = 0; r < R; r++) masked |= first + r < a.batch && l.masked(first + r, step) ? 1u << r : 0;
        __syncthreads();
        multiply<E, T, R>(a, l.width, h, s, 0, l.resets_first() ? 2 * units : l.width);
        __syncthreads();
        if (l.resets_first()) {
            for (int64_t i = threadIdx.x; i < R * units; i += blockDim.x) {
                const int64_t r = i / units, j = i % units, b = first + r < a.batch ? first + r : first;
                const E* z = l.z(b, step) + j;
                s[r * l.width + j] = rounded<E>(apply<T>(a.gate, cn_widen(z[0]) + s[r * l.width + j]));
                c[i] = rounded<E>(apply<T>(a.gate, cn_widen(z[units]) + s[r * l.width + units + j]) * h[i]);
            }
            __syncthreads();
            multiply<E, T, R>(a, l.width, c, s, 2 * units, l.width);
            __syncthreads();
        }
        for (int64_t i = threadIdx.x; i < R * units; i += blockDim.x) {
            const int r = static_cast<int>(i / units);
            const int64_t j = i % units, b = first + r;
            const bool skip = (masked >> r) & 1;
            const T* sums = s + r * l.width + j;
            if (b >= a.batch) continue;
            if (!skip && l.resets_first()) {
                h[i] = rounded<E>(sums[0] * h[i] + (1 - sums[0]) * apply<T>(a.act, cn_widen(l.z(b, step)[2 * units + j]) + sums[2 * units]));
            } else if (!skip) {
                h[i] = new_state<E, T>(a, sums, units, l.z(b, step) + j, h[i], &c[i]);
            }
            end_unit<E, T>(l, b, step, j, skip, (seen >> r) & 1, h[i]);
        }
        seen |= ~masked;
    }
    for (int64_t i = threadIdx.x; i < R * units; i += blockDim.x) {
        const int64_t b = first + i / units, j = i % units;
        if (b >= a.batch) continue;
        cn_narrow(l.h(b) + j, h[i]);
        if (l.has_c()) cn_narrow(l.c(b) + j, a.cell == CN_CELL_LSTM ? c[i] : T(0));
    }
}

/* ---- step by step -------------------------------------------------------------------------------------------------------- */

/* A state [batch, units] with its rows `stride` apart. */
struct state {
    void* at;
    int64_t stride;
};

template <typename E>
CN_KERNEL(256) rnn_first(cn_rnn_args a, state h) {
    const layout<E> l(a);
    const E zero = static_cast<E>(0.0f);
    for (CN_ITEMS(i, a.batch * a.units)) {
        const int64_t b = i / a.units, j = i % a.units;
        static_cast<E*>(h.at)[b * h.stride + j] = a.h ? static_cast<const E*>(a.h)[i] : zero;
        if (l.has_c()) l.c(b)[j] = a.cell == CN_CELL_LSTM && a.c ? static_cast<const E*>(a.c)[i] : zero;
    }
}

template <typename E>
CN_KERNEL(256) rnn_clear_second(cn_rnn_args a) {
    const layout<E> l(a);
    for (CN_ITEMS(i, a.batch * a.units)) l.c(i / a.units)[i % a.units] = static_cast<E>(0.0f);
}

/* The output of a step for one unit. */
template <typename E, typename T>
CN_DEVICE void write_output(const layout<E>& l, int64_t b, int64_t step, int64_t j, bool masked, T h) {
    E* y = l.y(b, step) + j;
    if (!masked) {
        cn_narrow(y, h);
    } else if (step == 0 || l.a.zero_masked) {
        *y = static_cast<E>(0.0f);
    } else if (l.a.sequences) {
        *y = *(y - l.a.units);
    }
}

/* What a launch of step_units makes of its sums. */
enum phase {
    WHOLE_STEP,
    RESET,    /* z into the result's second state, r h into scratch */
    CANDIDATE /* from r h; h in place */
};

template <typename E, typename T>
CN_DEVICE void finish(const layout<E>& l, int phase, int64_t step, const state& before, const state& after, int64_t b, int64_t j, const T* s, int64_t apart) {
    const cn_rnn_args& a = l.a;
    const bool masked = l.masked(b, step);
    const E* z = l.z(b, step) + j;
    E* h_after = static_cast<E*>(after.at) + b * after.stride + j;

    if (phase == RESET) {
        const T h = cn_widen(static_cast<const E*>(before.at)[b * before.stride + j]);
        cn_narrow(l.c(b) + j, apply<T>(a.gate, cn_widen(z[0]) + s[0]));
        cn_narrow(h_after, apply<T>(a.gate, cn_widen(z[a.units]) + s[apart]) * h);
        return;
    }
    T h = cn_widen(phase == CANDIDATE ? *h_after : static_cast<const E*>(before.at)[b * before.stride + j]);
    if (!masked && phase == CANDIDATE) {
        const T update = cn_widen(l.c(b)[j]);
        h = rounded<E>(update * h + (1 - update) * apply<T>(a.act, cn_widen(z[2 * a.units]) + s[0]));
    } else if (!masked) {
        T c = a.cell == CN_CELL_LSTM ? cn_widen(l.c(b)[j]) : T(0);
        h = new_state<E, T>(a, s, apart, z, h, &c);
        if (a.cell == CN_CELL_LSTM) cn_narrow(l.c(b) + j, c);
    }
    cn_narrow(h_after, h);
    write_output<E, T>(l, b, step, j, masked, h);
}

/* Block (32 units, SLICES); grid (tiles of R rows, tiles of units). G sums a unit: gates first_gate ... of x W, x the state `before`. */
template <typename E, int R, int G>
CN_KERNEL(32 * SLICES) step_units(cn_rnn_args a, int phase, int first_gate, int64_t step, state before, state after) {
    typedef typename cn_sum_of<E>::type T;
    CN_SHARED(T, part, [SLICES][R * G][32]);
    CN_SHARED(T, whole, [R * G][32]);
    const layout<E> l(a);
    const int64_t j = static_cast<int64_t>(blockIdx.y) * 32 + threadIdx.x, first = static_cast<int64_t>(blockIdx.x) * R;
    const int64_t span = (a.units + SLICES - 1) / SLICES, begin = threadIdx.y * span, end = begin + span < a.units ? begin + span : a.units;
    const E* x[R];
    T sum[R * G];

    for (int i = 0; i < R * G; i++) sum[i] = 0;
    for (int r = 0; r < R; r++) x[r] = static_cast<const E*>(before.at) + (first + r < a.batch ? first + r : first) * before.stride;
    if (j < a.units) {
        const E* w = static_cast<const E*>(a.kernel) + first_gate * a.units + j;
        for (int64_t k = begin; k < end; k++) {
            T row[R];
            CN_UNROLL
            for (int r = 0; r < R; r++) row[r] = cn_widen(x[r][k]);
            CN_UNROLL
            for (int g = 0; g < G; g++) {
                const T weight = cn_widen(w[k * l.width + g * a.units]);
                CN_UNROLL
                for (int r = 0; r < R; r++) sum[r * G + g] += row[r] * weight;
            }
        }
    }
    for (int i = 0; i < R * G; i++) part[threadIdx.y][i][threadIdx.x] = sum[i];
    __syncthreads();
    for (int i = threadIdx.y; i < R * G; i += SLICES) {
        const int64_t column = (first_gate + i % G) * a.units + j;
        T total = a.bias && j < a.units ? cn_widen(static_cast<const E*>(a.bias)[column]) : T(0);
        for (int slice = 0; slice < SLICES; slice++) total += part[slice][i][threadIdx.x];
        whole[i][threadIdx.x] = total;
    }
    __syncthreads();
    for (int r = threadIdx.y; r < R; r += SLICES) {
        if (first + r < a.batch && j < a.units) finish<E, T>(l, phase, step, before, after, first + r, j, &whole[r * G][threadIdx.x], 32);
    }
}

template <typename E, int G>
cudaError_t launch_units(const cn_queue* q, const cn_rnn_args* a, phase what, int first_gate, int64_t step, state before, state after) {
    const int rows = a->batch == 1 ? 1 : 4;
    const dim3 grid(static_cast<unsigned>((a->batch + rows - 1) / rows), static_cast<unsigned>((a->units + 31) / 32));
    const int number = static_cast<int>(what);
    if (rows == 1) return cn_launch(q, step_units<E, 1, G>, grid, dim3(32, SLICES), 0, *a, number, first_gate, step, before, after);
    return cn_launch(q, step_units<E, 4, G>, grid, dim3(32, SLICES), 0, *a, number, first_gate, step, before, after);
}

/* One step from `before` to `after`; a GRU that resets first has both the same. */
template <typename E>
cudaError_t launch_step(const cn_queue* q, const cn_rnn_args* a, int64_t step, state before, state after) {
    if (a->cell == CN_CELL_SIMPLE) return launch_units<E, 1>(q, a, WHOLE_STEP, 0, step, before, after);
    if (a->cell == CN_CELL_LSTM) return launch_units<E, 4>(q, a, WHOLE_STEP, 0, step, before, after);
    if (a->reset_after) return launch_units<E, 3>(q, a, WHOLE_STEP, 0, step, before, after);
    const state scratch = {a->other, a->units};
    const cudaError_t error = launch_units<E, 2>(q, a, RESET, 0, step, before, scratch);
    return error != cudaSuccess ? error : launch_units<E, 1>(q, a, CANDIDATE, 2, step, scratch, before);
}

template <typename E>
cudaError_t run_steps(const cn_queue* q, const cn_rnn_args* a) {
    const bool in_place = a->cell == CN_CELL_GRU && !a->reset_after;
    E* h = static_cast<E*>(a->y) + (a->sequences ? a->steps : 1) * a->units;
    const state result = {h, a->rows * a->units}, scratch = {a->other, a->units};
    const bool odd = !in_place && a->steps % 2 != 0; /* the last step ends in the result */
    const dim3 blocks = cn_blocks(a->batch * a->units, 256);
    state now = odd ? scratch : result, next = in_place || odd ? result : scratch;
    cudaError_t error = cn_launch(q, rnn_first<E>, blocks, dim3(256), 0, *a, now);

    for (int64_t step = 0; step < a->steps && error == cudaSuccess; step++) {
        const state after = next;
        error = launch_step<E>(q, a, step, now, after);
        next = now;
        now = after;
    }
    return in_place && error == cudaSuccess ? cn_launch(q, rnn_clear_second<E>, blocks, dim3(256), 0, *a) : error;
}

template <typename E>
cudaError_t launch(const cn_queue* q, const cn_rnn_args* a) {
    typedef typename cn_sum_of<E>::type T;
    const int64_t width = a->units * cn_rnn_gate_count(a->cell);
    const int64_t bytes = static_cast<int64_t>(sizeof(T)) * (2 * a->units + width); /* of a row */
    const int64_t warps = (width + 31) / 32;
    const unsigned threads = static_cast<unsigned>(warps < ROWS_THREADS / 32 ? warps * 32 : ROWS_THREADS);

    if (a->way == CN_RNN_STEPS) return run_steps<E>(q, a);
    if (a->batch > 256 && 4 * bytes <= CN_SHARED_BYTES) {
        return cn_launch(q, rnn_rows<E, 4>, dim3(static_cast<unsigned>((a->batch + 3) / 4)), dim3(threads), static_cast<size_t>(4 * bytes), *a);
    }
    return cn_launch(q, rnn_rows<E, 1>, dim3(static_cast<unsigned>(a->batch)), dim3(threads), static_cast<size_t>(bytes), *a);
}

}  // namespace

extern "C" uint64_t cn_rnn_scratch(const cn_rnn_args* a) {
    const cn_rnn_team* t = &a->team;
    const uint64_t states = static_cast<uint64_t>(a->batch * a->units * cn_element_size(a->dtype));
    const uint64_t team = t->members > 0 ? cn_rnn_team_words(t) +
                                               static_cast<uint64_t>(2 * t->groups * t->rows * a->units) * sizeof(float)
                                         : 0;
    return states > team ? states : team;
}

extern "C" cudaError_t cn_k_rnn(const cn_queue* q, const cn_rnn_args* a) {
    if (a->way == CN_RNN_HELD) return cn_k_rnn_held(q, a);
    if (a->way == CN_RNN_TEAM) return cn_k_rnn_team(q, a);
    switch (a->dtype) {
        case CORNU_FLOAT64: return launch<double>(q, a);
        case CORNU_FLOAT16: return launch<__half>(q, a);
        case CORNU_BFLOAT16: return launch<__nv_bfloat16>(q, a);
        default: return launch<float>(q, a);
    }
}
