/* What kernels share that keep the recurrent weights in registers: how weights lie there, and what a thread does for
 * the unit that it owns. What is computed is said in rnn.cu. */
#ifndef CN_KERNELS_RNN_UNIT_H
#define CN_KERNELS_RNN_UNIT_H

#include <string.h>

#include "kernels/ew.h"
#include "kernels/rnn.h"

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

CN_DEVICE int gates_of(const cn_rnn_args& a) { return a.cell == CN_CELL_LSTM ? 4 : a.cell == CN_CELL_GRU ? 3 : 1; }
CN_DEVICE bool resets_first(const cn_rnn_args& a) { return a.cell == CN_CELL_GRU && !a.reset_after; }

/* A unit of a row of the batch, which one thread owns. The sums over the old state are the kernel's matter: sum(g) is
 * gate g's, with the bias. */
template <typename E>
struct unit {
    const E* z;                /* of the next step */
    const unsigned char* mask; /* of the next step, or NULL */
    E* y;                      /* of the next step */
    bool seen, skip; /* a step that was not masked; this step is masked */
    float h, c;      /* c: LSTM's carry, the update gate of a GRU that resets first */
    float gate[4];   /* z of this step, then gates */

    /* Unit j of row b. */
    CN_DEVICE void start(const cn_rnn_args& a, int64_t b, int j) {
        const int units = static_cast<int>(a.units);
        const int64_t from = b * a.steps + (a.backwards ? a.steps - 1 : 0);
        seen = skip = false;
        h = c = 0;
        z = static_cast<const E*>(a.z) + from * (gates_of(a) * units) + j;
        mask = a.mask ? a.mask + from : nullptr;
        y = static_cast<E*>(a.y) + b * a.rows * units + j;
        if (a.h) h = cn_widen(static_cast<const E*>(a.h)[b * units + j]);
        if (a.c && a.cell == CN_CELL_LSTM) c = cn_widen(static_cast<const E*>(a.c)[b * units + j]);
    }
    /* Reads what the next step takes from outside. */
    CN_DEVICE void fetch(const cn_rnn_args& a) {
        const int back = a.backwards ? -1 : 1, gates = gates_of(a), units = anew(static_cast<int>(a.units));
        CN_UNROLL
        for (int g = 0; g < 4; g++) {
            gate[g] = g < gates ? cn_widen(z[g * units]) : 0.0f;
        }
        z += back * anew(gates * units);
        skip = mask && !*mask;
        if (mask) mask += back;
    }
    /* The first half of a step of a GRU that resets first: r h. */
    template <typename Sum>
    CN_DEVICE float reset(const cn_rnn_args& a, const Sum& sum) {
        c = rounded<E>(apply(a.gate, gate[0] + sum(0)));
        return rounded<E>(apply(a.gate, gate[1] + sum(1)) * h);
    }
    template <typename Sum>
    CN_DEVICE float next(const cn_rnn_args& a, const Sum& sum) {
        if (a.cell == CN_CELL_SIMPLE) return apply(a.act, gate[0] + sum(0));
        if (resets_first(a)) return c * h + (1 - c) * apply(a.act, gate[2] + sum(2));
        const bool lstm = a.cell == CN_CELL_LSTM;
        const float candidate = sum(2);
        gate[0] += sum(0);
        gate[1] += sum(1);
        if (lstm) gate[3] += sum(3);
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
    /* The step's new h, unless it is masked. */
    template <typename Sum>
    CN_DEVICE void advance(const cn_rnn_args& a, const Sum& sum) {
        if (!skip) h = rounded<E>(next(a, sum));
    }
    CN_DEVICE void write(const cn_rnn_args& a, bool last) {
        if (a.sequences || last) cn_narrow(y, skip && (a.zero_masked || !seen) ? 0.0f : h);
        if (a.sequences || last) y += static_cast<int>(a.units);
        seen = seen || !skip;
    }
    /* The states behind the outputs. */
    CN_DEVICE void leave(const cn_rnn_args& a) const {
        cn_narrow(y, h);
        const bool lstm = a.cell == CN_CELL_LSTM;
        if (lstm || resets_first(a)) cn_narrow(y + static_cast<int>(a.units), lstm ? c : 0.0f);
    }
};

}  // namespace

#endif
