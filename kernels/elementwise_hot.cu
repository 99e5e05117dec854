/* Elementwise programs that most models have, compiled as they are: the same numbers bit for bit as the machine of elementwise.cu gives.
 *
 *     act(x)     act(x + z)     act(x s + b)     x act(g)        act: one of cn_hot_act
 *
 * for float32, float16 and bfloat16, all of one dtype, in vectors of 16 bytes, two a thread at once. An input is dense, one element, or rows that
 * repeat: element e of the result meets element e / outer * step + e % period, where vectors do not cross the end of a row. Anything else is
 * left to the machine. y may be an input that is dense: a thread has read its vectors before it writes.
 *
 * Traffic is the floor: each dense input read once, y written once; repeating rows come from the cache. */
#include "kernels/elementwise.h"

#include <string.h>

#include "kernels/ew.h"
#include "kernels/rows.h"

#define THREADS 256

namespace {

enum form { ACT, ADD_ACT, SCALE_SHIFT_ACT, GATE };
#define OPERANDS 3

/* Of an input: dense if outer is 0. */
struct operand {
    const void* data;
    bool one, dense;
    cn_divisor outer, period;
    int64_t step;
};

struct program {
    form what;
    int fn; /* of act */
    void* y;
    int64_t count;
    operand in[OPERANDS];
};

/* Rows of ew.def. */
CN_DEVICE float hot_act(int fn, float x) {
    switch (fn) {
        case CN_FN_relu: return x < 0.0f ? 0.0f : x;
        case CN_FN_relu6: return x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x;
        case CN_FN_sigmoid: return 1.0f / (1.0f + cn_m_exp(-x));
        case CN_FN_tanh: return cn_m_tanh(x);
        case CN_FN_silu: return x / (1.0f + cn_m_exp(-x));
        case CN_FN_gelu: return 0.5f * x * cn_m_erfc(x * -0.70710678118654752440f);
        default: return x;
    }
}
static bool is_hot_act(int fn) {
    return fn == CN_FN_relu || fn == CN_FN_relu6 || fn == CN_FN_sigmoid || fn == CN_FN_tanh || fn == CN_FN_silu || fn == CN_FN_gelu;
}

template <typename E>
struct values {
    enum { EACH = 16 / sizeof(E) };
    float v[EACH];

    /* Elements [e, e + EACH) as the operand has them. */
    CN_DEVICE void load(const operand& in, int64_t e) {
        const E* x = static_cast<const E*>(in.data);
        if (in.one) {
            const float all = cn_widen(*x);
            CN_UNROLL
            for (int k = 0; k < EACH; k++) v[k] = all;
            return;
        }
        const int64_t at = in.dense ? e : cn_quotient(e, in.outer) * in.step + e - cn_quotient(e, in.period) * in.period.value;
        const cn_row_vector<E> part = *reinterpret_cast<const cn_row_vector<E>*>(x + at);
        CN_UNROLL
        for (int k = 0; k < EACH; k++) v[k] = cn_widen(part.v[k]);
    }
    CN_DEVICE void store(void* y, int64_t e) const {
        cn_row_vector<E> part;
        CN_UNROLL
        for (int k = 0; k < EACH; k++) cn_narrow(&part.v[k], v[k]);
        *reinterpret_cast<cn_row_vector<E>*>(static_cast<E*>(y) + e) = part;
    }
    CN_DEVICE void act(int fn) {
        CN_UNROLL
        for (int k = 0; k < EACH; k++) v[k] = hot_act(fn, v[k]);
    }
};

/* Products and sums are rounded apart, as in the machine. */
template <typename E, int FORM>
CN_DEVICE void run(const program& p, values<E>& x, const values<E>& z, const values<E>& b) {
    if constexpr (FORM == GATE) {
        values<E> g = z;
        g.act(p.fn);
        CN_UNROLL
        for (int k = 0; k < values<E>::EACH; k++) x.v[k] = __fmul_rn(x.v[k], g.v[k]);
    } else {
        CN_UNROLL
        for (int k = 0; k < values<E>::EACH; k++) {
            if (FORM == ADD_ACT) x.v[k] = __fadd_rn(x.v[k], z.v[k]);
            if (FORM == SCALE_SHIFT_ACT) x.v[k] = __fadd_rn(__fmul_rn(x.v[k], z.v[k]), b.v[k]);
        }
        x.act(p.fn);
    }
}

template <typename E, int FORM>
CN_KERNEL(THREADS) elementwise_hot(const program p) {
    enum { EACH = values<E>::EACH };
    const int64_t vectors = p.count / EACH, threads = blockDim.x;

    for (int64_t i = static_cast<int64_t>(blockIdx.x) * 2 * threads + threadIdx.x; i < vectors; i += static_cast<int64_t>(gridDim.x) * 2 * threads) {
        const bool two = i + threads < vectors;
        const int64_t at[2] = {i * EACH, (two ? i + threads : i) * EACH};
        values<E> x[2], z[2], b[2];
        CN_UNROLL
        for (int k = 0; k < 2; k++) {
            x[k].load(p.in[0], at[k]);
            if (FORM != ACT) z[k].load(p.in[1], at[k]);
            if (FORM == SCALE_SHIFT_ACT) b[k].load(p.in[2], at[k]);
        }
        CN_UNROLL
        for (int k = 0; k < 2; k++) {
            run<E, FORM>(p, x[k], z[k], b[k]);
            if (k == 0 || two) x[k].store(p.y, at[k]);
        }
    }
}

/* ---- matching ---- */

/* The input as an operand, if it is one. */
static bool find_operand(const cn_ew_args* a, int input, operand* out) {
    const cn_ew_input* in = &a->inputs[input];
    const int64_t each = 16 / cn_element_size(a->dtype);

    out->data = in->data;
    out->one = in->place == CN_EW_ONE;
    out->dense = in->place == CN_EW_DENSE;
    out->step = 0;
    out->outer = out->period = cn_divisor_of(1);
    if (in->dtype != a->dtype) return false;
    if (out->one) return true;
    if (reinterpret_cast<uintptr_t>(in->data) % 16 != 0) return false;
    if (out->dense) return true;
    if (in->place == CN_EW_GROUP) {
        out->outer = cn_divisor_of(a->count);
        out->period = cn_divisor_of(in->period);
        return in->inner == 1 && in->period % each == 0;
    }
    if (a->ndim != 3 || in->strides[2] != 1 || in->strides[1] != 0) return false; /* [N, 1, C] */
    out->outer = cn_divisor_of(a->dims[1] * a->dims[2]);
    out->period = cn_divisor_of(a->dims[2]);
    out->step = in->strides[0];
    return a->dims[2] % each == 0 && out->step % each == 0;
}

static bool is_act(const cn_ew_code& c) { return c.source == CN_EW_NOTHING && is_hot_act(c.fn); }
/* accumulator fn input, in either order. */
static bool is_binary(const cn_ew_code& c, int fn) { return c.fn == fn && c.source >= 0 && c.source < CN_EW_INPUTS; }

/* Which inputs x, z and b are, and what is done. A swapped step has its operands in the other order: only a NaN's bits could tell. */
static bool find_form(const cn_ew_args* a, program* p, int* inputs) {
    const cn_ew_code* c = a->codes;
    const bool with_act = is_act(c[a->code_count - 1]);
    const int steps = a->code_count - (with_act ? 1 : 0);

    for (int i = 0; i < a->code_count; i++) {
        if (c[i].slot >= 0) return false;
    }
    p->fn = with_act ? c[a->code_count - 1].fn : static_cast<int>(CN_FN_copy);
    if (c[0].fn != CN_EW_LOAD || c[0].source < 0 || c[0].source >= CN_EW_INPUTS) return false;
    inputs[0] = c[0].source;
    if (steps == 1 && with_act) {
        p->what = ACT;
    } else if (steps == 2 && is_binary(c[1], CN_FN_add)) {
        p->what = ADD_ACT;
        inputs[1] = c[1].source;
    } else if (steps == 3 && is_binary(c[1], CN_FN_mul) && is_binary(c[2], CN_FN_add)) {
        p->what = SCALE_SHIFT_ACT;
        inputs[1] = c[1].source;
        inputs[2] = c[2].source;
    } else if ((a->code_count == 2 && is_binary(c[1], CN_FN_mul)) || (a->code_count == 3 && is_act(c[1]) && is_binary(c[2], CN_FN_mul))) {
        p->what = GATE; /* the accumulator is the gate, the operand is x */
        p->fn = a->code_count == 3 ? c[1].fn : static_cast<int>(CN_FN_copy);
        inputs[1] = inputs[0];
        inputs[0] = c[a->code_count - 1].source;
    } else {
        return false;
    }
    return true;
}

static bool match(const cn_ew_args* a, program* p) {
    int inputs[OPERANDS] = {0, 0, 0};

    memset(static_cast<void*>(p), 0, sizeof *p);
    if (a->kind != CN_CLASS_FLOAT || a->count % (16 / cn_element_size(a->dtype)) != 0 || a->code_count < 2) return false;
    if (a->dtype != CORNU_FLOAT32 && a->dtype != CORNU_FLOAT16 && a->dtype != CORNU_BFLOAT16) return false;
    if (reinterpret_cast<uintptr_t>(a->out) % 16 != 0 || !find_form(a, p, inputs)) return false;
    p->y = a->out;
    p->count = a->count;
    for (int k = 0; k < OPERANDS; k++) {
        if (!find_operand(a, inputs[k], &p->in[k])) return false;
    }
    return true;
}

template <typename E>
cudaError_t launch(const cn_queue* q, const program& p) {
    const int64_t vectors = p.count / values<E>::EACH;
    const int threads = vectors >= 8192 ? THREADS : vectors > 64 ? 128 : 32;
    const dim3 wanted = cn_blocks(vectors, 2 * threads), blocks = wanted.x > 8192 ? dim3(8192) : wanted, block(static_cast<unsigned>(threads));

    switch (p.what) {
        case ACT: return cn_launch(q, elementwise_hot<E, ACT>, blocks, block, 0, p);
        case ADD_ACT: return cn_launch(q, elementwise_hot<E, ADD_ACT>, blocks, block, 0, p);
        case SCALE_SHIFT_ACT: return cn_launch(q, elementwise_hot<E, SCALE_SHIFT_ACT>, blocks, block, 0, p);
        default: return cn_launch(q, elementwise_hot<E, GATE>, blocks, block, 0, p);
    }
}

}  // namespace

extern "C" bool cn_k_elementwise_hot(const cn_queue* q, const cn_ew_args* a, cudaError_t* out) {
    program p;

    if (!match(a, &p)) return false;
    *out = a->dtype == CORNU_FLOAT32 ? launch<float>(q, p) : a->dtype == CORNU_FLOAT16 ? launch<__half>(q, p) : launch<__nv_bfloat16>(q, p);
    return true;
}
