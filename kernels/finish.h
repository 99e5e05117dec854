/* The end of sixteen bytes of results: bias, residual, activation, rounding. */
#ifndef CN_KERNELS_FINISH_H
#define CN_KERNELS_FINISH_H

#include "kernels/ew.h"
#include "kernels/pack.h"

/* Activations that are short enough to stand in a loop that is unrolled. silu by the fast exponential: it errs by (2 +
 * 1.2 |x|) units of its last place, of which a sigmoid passes on the less the larger |x| is. */
static inline bool cn_act_is_light(int fn) { return fn == CN_FN_relu6 || fn == CN_FN_hard_silu || fn == CN_FN_silu; }
CN_DEVICE float cn_light_act(int fn, float x) {
    switch (fn) {
        case CN_FN_relu6: return x < 0 ? 0.0f : x > 6 ? 6.0f : x;
        case CN_FN_hard_silu: return x * fminf(fmaxf(x * (1.0f / 6.0f) + 0.5f, 0.0f), 1.0f);
        default: return __fdividef(x, 1.0f + __expf(-x));
    }
}

CN_DEVICE_NOINLINE float cn_act_apart(int fn, float p, float q, float r, float x) {
    const cn_epilogue act = {fn, p, q, r};
    return cn_act<float>(act, x);
}

template <int Count>
CN_DEVICE void cn_act_chunk(const cn_epilogue& act, float (&v)[Count]) {
    if (act.fn == CN_FN_copy) return;
    if (act.fn == CN_FN_relu) {
        CN_UNROLL
        for (int i = 0; i < Count; i++) v[i] = v[i] < 0 ? 0.0f : v[i];
    } else if (act.fn == CN_FN_relu6 || act.fn == CN_FN_hard_silu || act.fn == CN_FN_silu) {
        CN_UNROLL
        for (int i = 0; i < Count; i++) v[i] = cn_light_act(act.fn, v[i]);
    } else {
        CN_UNROLL
        for (int i = 0; i < Count; i++)
            v[i] = cn_act_apart(act.fn, static_cast<float>(act.p), static_cast<float>(act.q), static_cast<float>(act.r),
                                v[i]);
    }
}

CN_DEVICE uint4 cn_load_chunk(const void* x, int64_t chunk) { return __ldg(static_cast<const uint4*>(x) + chunk); }

template <int D>
CN_DEVICE void cn_add_chunk(const void* x, int64_t chunk, float (&sum)[cn_pack<D>::count]) {
    float v[cn_pack<D>::count];
    if (!x) return;
    cn_unpack<D>(cn_load_chunk(x, chunk), v);
    CN_UNROLL
    for (int i = 0; i < cn_pack<D>::count; i++) sum[i] += v[i];
}

/* y's chunk = act(sum + bias's chunk `column` + residual's chunk). */
template <int D>
CN_DEVICE void cn_finish_chunk(void* y, const void* bias, const void* residual, const cn_epilogue& act, int64_t chunk,
                               int64_t column, float (&sum)[cn_pack<D>::count]) {
    cn_add_chunk<D>(bias, column, sum);
    cn_add_chunk<D>(residual, chunk, sum);
    cn_act_chunk(act, sum);
    static_cast<uint4*>(y)[chunk] = cn_packed<D>(sum);
}

#endif
