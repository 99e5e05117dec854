/* Recurrent layers in one launch whose weights fit no single block's registers: a group of blocks, the members, takes
 * some rows of the batch through all steps. Each member has some units, all their gates, and holds all of their
 * recurrent weights in registers. What is computed is said in rnn.cu.
 *
 *     thread   4 neighbouring columns of W for one of SLICES slices of HELD rows: 64 registers of weights
 *     step     old h of all units -> shared memory; sums of all threads -> shared memory; a thread a column: its sum
 *              over the slices; a thread a unit: gates, new h -> global memory; the members meet (a GRU that resets
 *              first: once more, for r h)
 *
 *     shared   x [R / P][slices, HELD][P]               the old h, or r h
 *              s [slices][R][gates, member's units]     the sums over the slices take the place of slice 0
 *     global   a word a group, in a line of its own     counts who has come
 *              states [2][groups][R / P][units][P]
 *
 * P rows, 1 or 2, are multiplied at once: sums of 4 and as much of x would not fit beside the weights.
 *
 * The states alternate between two places, so that one meeting a step is enough: a member that writes the state of step
 * t + 2 over that of step t has met the others in step t + 1, and they came there after they had read it.
 *
 * An LSTM of 256 units has 1 MiB of weights: 8 blocks. A launch a step reads all of them from the second-level cache,
 * which takes about as long as a meeting, and costs a launch more. The launch is cooperative: all blocks are alive at
 * once, else those that wait would keep the others out. */
#include "kernels/rnn_unit.h"

namespace {

/* A block: units from `first` on, the columns of their gates side by side. */
struct member {
    int group, units, first, across; /* across: columns */

    CN_DEVICE explicit member(const cn_rnn_args& a)
        : group(static_cast<int>(blockIdx.x) / a.team.members),
          units(a.team.units),
          first(static_cast<int>(blockIdx.x) % a.team.members * units),
          across(gates_of(a) * units) {}
};

/* The weights of a thread: rows from `row` on, 4 columns of the gate from unit `from` on. */
template <typename E, int HELD>
CN_DEVICE void hold(quad<E> (&held)[HELD], const cn_rnn_args& a, int row, int gate, int from) {
    const int units = static_cast<int>(a.units), width = gates_of(a) * units;
    CN_UNROLL
    for (int k = 0; k < HELD; k++) {
        if (row + k < units)
            held[k] = load_some<E>(static_cast<const E*>(a.kernel) + static_cast<int64_t>(row + k) * width,
                                   gate * units + from, (gate + 1) * units);
        else held[k].clear();
    }
}

/* The sums of a thread's columns over its slice of x, for P rows. s: of the first, `across` apart from row to row. */
template <typename E, int P, int HELD>
CN_DEVICE void multiply(const quad<E> (&held)[HELD], const float* x, float* s, int across) {
    float sum[P][4];

    CN_UNROLL
    for (int r = 0; r < P; r++) {
        CN_UNROLL
        for (int i = 0; i < 4; i++) sum[r][i] = 0;
    }
    CN_UNROLL
    for (int k = 0; k < HELD; k += 4) {
        const old_state<P> old(x + k * P);
        CN_UNROLL
        for (int i = 0; i < 4; i++)
            accumulate<P>(sum, (sizeof(E) == 2 ? held[k + i].again() : held[k + i]).widened(), old.of(i));
    }
    CN_UNROLL
    for (int r = 0; r < P; r++)
        *reinterpret_cast<four*>(s + r * across) = {{sum[r][0], sum[r][1], sum[r][2], sum[r][3]}};
}

/* The sums over the slices, each in place of its part of slice 0. */
template <int R>
CN_DEVICE void add_slices(float* s, int across, int slices) {
    const int apart = R * across;
    for (int i = static_cast<int>(threadIdx.x); i < apart; i += static_cast<int>(blockDim.x)) {
        float even = 0, odd = 0;
        int slice = 0;
        for (; slice + 1 < slices; slice += 2) {
            even += s[slice * apart + i];
            odd += s[(slice + 1) * apart + i];
        }
        s[i] = even + odd + (slice < slices ? s[slice * apart + i] : 0.0f);
    }
}

/* The first states of rows from b on. padded: slices, HELD. */
template <typename E, int R, int P>
CN_DEVICE void read_first(const cn_rnn_args& a, float* x, int64_t b, int padded) {
    const int units = static_cast<int>(a.units);
    for (int i = static_cast<int>(threadIdx.x); i < units * R; i += static_cast<int>(blockDim.x)) {
        const int r = i % R, k = i / R;
        x[(r / P * padded + k) * P + r % P] =
            a.h && b + r < a.batch ? cn_widen(static_cast<const E*>(a.h)[(b + r) * units + k]) : 0.0f;
    }
}

/* What the members wrote, which the cache of this processor does not have. */
template <int R, int P>
CN_DEVICE void read_states(const float* states, float* x, int units, int padded) {
    for (int i = static_cast<int>(threadIdx.x); i < units * P; i += static_cast<int>(blockDim.x)) {
        CN_UNROLL
        for (int r = 0; r < R / P; r++) x[r * padded * P + i] = __ldcg(states + r * units * P + i);
    }
}

template <typename E, int HELD, int R>
CN_KERNEL_BLOCKS(512, 1)
rnn_team(cn_rnn_args a) {
    constexpr int P = R < 2 ? R : 2;
    CN_DYN_SHARED(float, x);
    const member m(a);
    const int units = static_cast<int>(a.units), slices = a.team.slices, padded = slices * HELD,
              phases = resets_first(a) ? 2 : 1;
    float* s = x + padded * R;
    unsigned* counter = static_cast<unsigned*>(a.other) + m.group * 32;
    float* states = static_cast<float*>(a.other) + a.team.groups * 32 + static_cast<int64_t>(m.group) * units * R;
    const int slice = static_cast<int>(threadIdx.x) * 4 / m.across,
              column = static_cast<int>(threadIdx.x) * 4 % m.across, gate = column / m.units;
    const int r = static_cast<int>(threadIdx.x) / m.units, j = static_cast<int>(threadIdx.x) % m.units;
    const auto sum = [&](int g) {
        const float total = s[anew(r) * m.across + g * m.units + j];
        return a.bias ? total + cn_widen(static_cast<const E*>(a.bias)[g * anew(units) + m.first + j]) : total;
    };
    unsigned turn = 0;
    quad<E> held[HELD];
    unit<E> u = {};

    hold<E, HELD>(held, a, slice * HELD, gate, m.first + column % m.units);
    for (int i = static_cast<int>(threadIdx.x); i < padded * R; i += static_cast<int>(blockDim.x)) x[i] = 0;
    __syncthreads();
    for (int64_t b = static_cast<int64_t>(m.group) * R; b < a.batch; b += static_cast<int64_t>(a.team.groups) * R) {
        const bool present = r < R && m.first + j < units, owner = present && b + r < a.batch;
        if (owner) u.start(a, b + r, m.first + j);
        read_first<E, R, P>(a, x, b, padded);
        __syncthreads();
        for (int left = static_cast<int>(a.steps); left > 0; left--) {
            CN_NO_UNROLL
            for (int phase = 0; phase < phases; phase++) {
                const bool last = phase == phases - 1;
                if (slice < slices && (phases == 1 || (gate == 2) == last)) {
                    CN_NO_UNROLL
                    for (int first = 0; first < R; first += P) {
                        multiply<E, P, HELD>(held, x + (first / P * anew(padded) + anew(slice) * HELD) * P,
                                             s + (anew(slice) * R + first) * m.across + column, m.across);
                    }
                }
                if (owner && phase == 0) u.fetch(a); /* not before: it would take registers beside the sums */
                __syncthreads();
                add_slices<R>(s, anew(m.across), anew(slices));
                __syncthreads();
                float given = 0;
                if (owner && last) {
                    u.advance(a, sum);
                    u.write(a, left == 1);
                    given = u.h;
                } else if (owner) {
                    given = u.reset(a, sum);
                }
                if (last && left == 1) break; /* nobody needs it */
                float* place = states + (turn & 1) * (static_cast<int64_t>(anew(a.team.groups)) * units * R);
                if (present) __stcg(place + (r / P * units + m.first + j) * P + r % P, given);
                cn_meet(counter, static_cast<unsigned>(a.team.members), ++turn);
                read_states<R, P>(place, x, anew(units), anew(padded));
                __syncthreads();
            }
        }
        if (owner) u.leave(a);
    }
}

template <typename E, int HELD>
auto* kernel_of(const cn_rnn_args* a) {
    return a->team.rows == 1 ? rnn_team<E, HELD, 1> : rnn_team<E, HELD, 4>;
}

template <typename E, int HELD>
cudaError_t launch(const cn_queue* q, const cn_rnn_args* a) {
    const cn_rnn_team* t = &a->team;
    return cn_launch_together(q, kernel_of<E, HELD>(a), dim3(static_cast<unsigned>(t->groups * t->members)),
                              dim3(static_cast<unsigned>(t->threads)), t->shared, *a);
}

}  // namespace

extern "C" const void* cn_rnn_team_kernel(const cn_rnn_args* a) {
    switch (a->dtype) {
        case CORNU_FLOAT16: return cn_kernel_handle(kernel_of<__half, 32>(a));
        case CORNU_BFLOAT16: return cn_kernel_handle(kernel_of<__nv_bfloat16, 32>(a));
        default: return cn_kernel_handle(kernel_of<float, 16>(a));
    }
}

extern "C" cudaError_t cn_k_rnn_team(const cn_queue* q, const cn_rnn_args* a) {
    switch (a->dtype) {
        case CORNU_FLOAT16: return launch<__half, 32>(q, a);
        case CORNU_BFLOAT16: return launch<__nv_bfloat16, 32>(q, a);
        default: return launch<float, 16>(q, a);
    }
}
