/* Elementwise programs: y = program(inputs), every input broadcast to y.
 *
 * The common ones have kernels of their own: elementwise_hot.cu. Here is the machine for all others.
 *
 * A program is in the kernel's arguments, so that all threads read the same step from the constant cache. A thread takes CN_EW_WIDTH
 * neighbouring elements through it, one step after the other: the decoding of a step is paid once for all of them. The accumulator is in
 * registers; values that are needed later lie in shared memory, [slot][element][thread], each thread's own. y may be an input of the same
 * element size: a thread has read its elements of all inputs before it writes. Arithmetic is in the class of the dtype (element.h). */
#include "kernels/elementwise.h"

#include "kernels/divide.h"
#include "kernels/ew.h"
#include "kernels/philox.h"

#define WIDTH CN_EW_WIDTH

/* Elements that are loaded and stored as one where they are aligned. */
template <typename E>
struct alignas(sizeof(E) * WIDTH < 16 ? sizeof(E) * WIDTH : 16) pack {
    E v[WIDTH];
};

template <typename E>
CN_DEVICE bool is_aligned(const void* p) {
    return reinterpret_cast<uintptr_t>(p) % alignof(pack<E>) == 0;
}

/* Offsets of the elements of one thread in an input. contiguous: they are neighbours from at[0] on. */
struct places {
    int64_t at[WIDTH];
    bool contiguous;
};

CN_DEVICE places find_places(const cn_ew_args& a, const cn_ew_input& in, int64_t first, int64_t last) {
    places p;
    int64_t rest, group;

    p.contiguous = in.place == CN_EW_DENSE && last - first == WIDTH - 1;
    switch (in.place) {
        case CN_EW_ONE:
CN_UNROLL
            for (int k = 0; k < WIDTH; k++) p.at[k] = 0;
            break;
        case CN_EW_DENSE:
CN_UNROLL
            for (int k = 0; k < WIDTH; k++) p.at[k] = first + k < last ? first + k : last;
            break;
        case CN_EW_GROUP:
            group = cn_divide(first, in.inner, &rest);
            (void)cn_divide(group, in.period, &group);
            p.contiguous = in.inner == 1 && in.period % WIDTH == 0; /* first is a multiple of WIDTH, and so is the result's size */
CN_UNROLL
            for (int k = 0; k < WIDTH; k++) {
                p.at[k] = group;
                if (++rest < in.inner) continue;
                rest = 0;
                if (++group == in.period) group = 0;
            }
            break;
        default:
            p.contiguous = in.strides[a.ndim - 1] == 1 && a.dims[a.ndim - 1] % WIDTH == 0;
            if (p.contiguous) {
                p.at[0] = cn_strided(a.ndim, a.dims, in.strides, first);
CN_UNROLL
                for (int k = 1; k < WIDTH; k++) p.at[k] = p.at[0] + k;
                break;
            }
CN_UNROLL
            for (int k = 0; k < WIDTH; k++) p.at[k] = cn_strided(a.ndim, a.dims, in.strides, first + k < last ? first + k : last);
    }
    return p;
}

template <typename T, typename E>
CN_DEVICE void load_as(int dtype, const void* data, const places& p, T* v) {
    if (p.contiguous && is_aligned<E>(static_cast<const E*>(data) + p.at[0])) {
        const pack<E> four = *reinterpret_cast<const pack<E>*>(static_cast<const E*>(data) + p.at[0]);
CN_UNROLL
        for (int k = 0; k < WIDTH; k++) v[k] = cn_load<T>(dtype, four.v, k);
    } else {
CN_UNROLL
        for (int k = 0; k < WIDTH; k++) v[k] = cn_load<T>(dtype, data, p.at[k]);
    }
}

/* The thread's elements of an input, of the dtypes of class T and bool. */
template <typename T>
CN_DEVICE void load_input(const cn_ew_args& a, const cn_ew_input& in, int64_t first, int64_t last, T* v) {
    const places p = find_places(a, in, first, last);

    if (in.dtype == CORNU_BOOL) {
CN_UNROLL
        for (int k = 0; k < WIDTH; k++) v[k] = static_cast<T>(static_cast<const uint8_t*>(in.data)[p.at[k]] != 0);
        return;
    }
    if constexpr (sizeof(T) == 4) {
        if (in.dtype == CORNU_FLOAT32) load_as<T, float>(CORNU_FLOAT32, in.data, p, v);
        else if (in.dtype == CORNU_FLOAT16) load_as<T, __half>(CORNU_FLOAT16, in.data, p, v);
        else load_as<T, __nv_bfloat16>(CORNU_BFLOAT16, in.data, p, v);
    } else if constexpr (cn_is_float<T>::value) {
        load_as<T, double>(CORNU_FLOAT64, in.data, p, v);
    } else if constexpr (static_cast<T>(-1) > static_cast<T>(0)) {
        load_as<T, uint64_t>(CORNU_UINT64, in.data, p, v);
    } else {
        switch (in.dtype) {
            case CORNU_INT8: load_as<T, int8_t>(CORNU_INT8, in.data, p, v); break;
            case CORNU_INT16: load_as<T, int16_t>(CORNU_INT16, in.data, p, v); break;
            case CORNU_INT32: load_as<T, int32_t>(CORNU_INT32, in.data, p, v); break;
            case CORNU_INT64: load_as<T, int64_t>(CORNU_INT64, in.data, p, v); break;
            case CORNU_UINT16: load_as<T, uint16_t>(CORNU_UINT16, in.data, p, v); break;
            case CORNU_UINT32: load_as<T, uint32_t>(CORNU_UINT32, in.data, p, v); break;
            default: load_as<T, uint8_t>(CORNU_UINT8, in.data, p, v); break;
        }
    }
}

template <typename T, typename E>
CN_DEVICE void store_as(int dtype, void* y, int64_t first, int64_t last, const T* v) {
    if (last - first == WIDTH - 1 && is_aligned<E>(static_cast<E*>(y) + first)) {
        pack<E> four;
CN_UNROLL
        for (int k = 0; k < WIDTH; k++) cn_store<T>(dtype, four.v, k, v[k]);
        *reinterpret_cast<pack<E>*>(static_cast<E*>(y) + first) = four;
    } else {
CN_UNROLL
        for (int k = 0; k < WIDTH; k++) {
            if (first + k <= last) cn_store<T>(dtype, y, first + k, v[k]);
        }
    }
}

template <typename T>
CN_DEVICE void store_output(const cn_ew_args& a, int64_t first, int64_t last, const T* v) {
    switch (a.dtype) {
        case CORNU_FLOAT32: store_as<T, float>(CORNU_FLOAT32, a.out, first, last, v); break;
        case CORNU_FLOAT64: store_as<T, double>(CORNU_FLOAT64, a.out, first, last, v); break;
        case CORNU_FLOAT16: store_as<T, __half>(CORNU_FLOAT16, a.out, first, last, v); break;
        case CORNU_BFLOAT16: store_as<T, __nv_bfloat16>(CORNU_BFLOAT16, a.out, first, last, v); break;
        case CORNU_BOOL: store_as<T, uint8_t>(CORNU_BOOL, a.out, first, last, v); break;
        default: /* integers of every width */
CN_UNROLL
            for (int k = 0; k < WIDTH; k++) {
                if (first + k <= last) cn_store<T>(a.dtype, a.out, first + k, v[k]);
            }
    }
}

CN_DEVICE float number(const cn_ew_number& n, float) { return n.f; }
CN_DEVICE double number(const cn_ew_number& n, double) { return n.d; }
CN_DEVICE int64_t number(const cn_ew_number& n, int64_t) { return n.i; }
CN_DEVICE uint64_t number(const cn_ew_number& n, uint64_t) { return n.u; }

/* The elements of a thread, in registers: a loop that is not unrolled sees each of them first, and has them all back in their places. */
template <typename T>
struct elements {
    T v[WIDTH];
};

template <typename T>
CN_DEVICE void turn(elements<T>& e, T last) {
    CN_UNROLL
    for (int k = 0; k + 1 < WIDTH; k++) e.v[k] = e.v[k + 1];
    e.v[WIDTH - 1] = last;
}

#define EACH(expression)                          \
    {                                             \
        CN_UNROLL for (int k = 0; k < WIDTH; k++) {  \
            const T x = e.v[k], z = operand.v[k]; \
            (void)x;                              \
            (void)z;                              \
            e.v[k] = (expression);                \
        }                                         \
        return e;                                 \
    }

/* Rows by a call: with all that a division or an exponential needs, and the elements of a thread, there would not be registers enough beside
 * what the machine itself holds. The common ones work on all elements at once. */
template <typename T>
CN_DEVICE_NOINLINE elements<T> rows_of_one(int fn, elements<T> e, T p, T q, T r) {
    const elements<T>& operand = e;

    if constexpr (cn_is_float<T>::value) {
        switch (fn) {
            case CN_FN_reciprocal: EACH(CN_C(1) / x)
            case CN_FN_sqrt: EACH(cn_m_sqrt(x))
            case CN_FN_rsqrt: EACH(CN_C(1) / cn_m_sqrt(x))
            case CN_FN_exp: EACH(cn_m_exp(x))
            case CN_FN_sigmoid: EACH(CN_C(1) / (CN_C(1) + cn_m_exp(-x)))
            case CN_FN_tanh: EACH(cn_m_tanh(x))
            case CN_FN_silu: EACH(x / (CN_C(1) + cn_m_exp(-x)))
            case CN_FN_gelu: EACH(CN_C(0.5) * x * cn_m_erfc(x * CN_C(-0.70710678118654752440)))
            default: break;
        }
    }
    CN_NO_UNROLL
    for (int k = 0; k < WIDTH; k++) turn(e, cn_ew_class<T>::ew1(fn, e.v[0], p, q, r));
    return e;
}

template <typename T>
CN_DEVICE_NOINLINE elements<T> rows_of_two(int fn, elements<T> e, elements<T> operand) {
    if constexpr (cn_is_float<T>::value) {
        if (fn == CN_FN_div) EACH(x / z)
    }
    CN_NO_UNROLL
    for (int k = 0; k < WIDTH; k++) {
        turn(e, cn_ew_class<T>::ew2(fn, e.v[0], operand.v[0]));
        turn(operand, operand.v[0]);
    }
    return e;
}

/* fn(e) or fn(e, operand): what is short in place, the other rows by a call. */
template <typename T>
CN_DEVICE elements<T> apply(const cn_ew_code& c, elements<T> e, const elements<T>& operand) {
    if constexpr (cn_is_float<T>::value) {
        switch (c.fn) {
            case CN_FN_copy: return e;
            case CN_FN_neg: EACH(-x)
            case CN_FN_abs: EACH(cn_m_fabs(x))
            case CN_FN_square: EACH(x * x)
            case CN_FN_affine: EACH(number(c.p, T()) * x + number(c.q, T()))
            case CN_FN_clip: EACH(x < number(c.p, T()) ? number(c.p, T()) : x > number(c.q, T()) ? number(c.q, T()) : x)
            case CN_FN_relu: EACH(x < CN_C(0) ? CN_C(0) : x)
            case CN_FN_relu6: EACH(x < CN_C(0) ? CN_C(0) : x > CN_C(6) ? CN_C(6) : x)
            case CN_FN_leaky_relu: EACH(x < CN_C(0) ? number(c.p, T()) * x : x)
            case CN_FN_add: EACH(x + z)
            case CN_FN_sub: EACH(x - z)
            case CN_FN_mul: EACH(x * z)
            case CN_FN_max: EACH(cn_m_max(x, z))
            case CN_FN_min: EACH(cn_m_min(x, z))
            default: break;
        }
    }
    if (c.source == CN_EW_NOTHING) return rows_of_one<T>(c.fn, e, number(c.p, T()), number(c.q, T()), number(c.r, T()));
    return rows_of_two<T>(c.fn, e, operand);
}

/* The last element of a thread's group. */
CN_DEVICE int64_t last_of(const cn_ew_args& a, int64_t group) { return (group * WIDTH + WIDTH < a.count ? group * WIDTH + WIDTH : a.count) - 1; }

/* One step. mask: bit k for element k. */
template <typename T>
CN_DEVICE void step(const cn_ew_args& a, const cn_ew_code& c, const T* slots, int64_t group, elements<T>& e, unsigned* mask) {
    elements<T> operand = e;

    if (c.source >= CN_EW_SLOT) {
        CN_UNROLL
        for (int k = 0; k < WIDTH; k++) operand.v[k] = slots[((c.source - CN_EW_SLOT) * WIDTH + k) * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)];
    } else if (c.source >= 0) {
        load_input<T>(a, a.inputs[c.source], group * WIDTH, last_of(a, group), operand.v);
    }
    if (c.fn == CN_EW_MASK) {
        *mask = 0;
        CN_UNROLL
        for (int k = 0; k < WIDTH; k++) *mask |= e.v[k] != static_cast<T>(0) ? 1u << k : 0u;
    } else if (c.fn == CN_EW_LOAD) {
        e = operand;
    } else if (c.fn == CN_FN_select) {
        CN_UNROLL
        for (int k = 0; k < WIDTH; k++) e.v[k] = *mask >> k & 1u ? e.v[k] : operand.v[k];
    } else {
        if (c.swapped) {
            const elements<T> held = e;
            e = operand;
            operand = held;
        }
        e = apply<T>(c, e, operand);
    }
}

template <typename T>
CN_KERNEL_BLOCKS(256, 2) elementwise_program(const cn_ew_args a) {
    CN_DYN_SHARED(T, slots);

    for (CN_ITEMS(group, (a.count + WIDTH - 1) / WIDTH)) {
        unsigned mask = 0;
        elements<T> e = {};

        for (int i = 0; i < a.code_count; i++) {
            const cn_ew_code& c = a.codes[i];
            step<T>(a, c, slots, group, e, &mask);
            if (c.slot < 0) continue;
            CN_UNROLL
            for (int k = 0; k < WIDTH; k++) slots[(c.slot * WIDTH + k) * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)] = e.v[k];
        }
        store_output<T>(a, group * WIDTH, last_of(a, group), e.v);
    }
}

/* Enough threads to fill any device, few enough that each has a good deal of work where there is much. */
static dim3 program_blocks(int64_t groups, int threads) {
    const dim3 blocks = cn_blocks(groups, threads);
    return blocks.x > 8192 ? dim3(8192) : blocks;
}

template <typename T>
static cudaError_t launch_program(const cn_queue* q, const cn_ew_args* a) {
    const int64_t groups = (a->count + WIDTH - 1) / WIDTH;
    int threads = 256;

    while (threads > 32 && (threads / 2 >= groups || static_cast<size_t>(threads) * a->slots * WIDTH * sizeof(T) > CN_SHARED_BYTES)) threads /= 2;
    return cn_launch(q, elementwise_program<T>, program_blocks(groups, threads), dim3(threads), static_cast<size_t>(threads) * a->slots * WIDTH * sizeof(T), *a);
}

extern "C" cudaError_t cn_k_elementwise(const cn_queue* q, const cn_ew_args* a) {
    cudaError_t error;

    if (a->count == 0) return cudaSuccess;
    if (!a->machine && cn_k_elementwise_hot(q, a, &error)) return error;
    switch (a->kind) {
        case CN_CLASS_FLOAT: return launch_program<float>(q, a);
        case CN_CLASS_DOUBLE: return launch_program<double>(q, a);
        case CN_CLASS_INT: return launch_program<int64_t>(q, a);
        default: return launch_program<uint64_t>(q, a);
    }
}

/* ---- complex numbers ---- */

/* Component i of the real parts of x as T. */
template <typename T>
CN_DEVICE void cast_element(const cn_complex_cast_args& a, int from, int to, int64_t in, int64_t out) {
    cn_store<T>(to, a.y, out, cn_load<T>(from, a.x, in));
}

CN_KERNEL(256) complex_cast(const cn_complex_cast_args a) {
    const bool from_complex = a.from == CORNU_COMPLEX64 || a.from == CORNU_COMPLEX128, to_complex = a.to == CORNU_COMPLEX64 || a.to == CORNU_COMPLEX128;
    const int from = a.from == CORNU_COMPLEX64 ? CORNU_FLOAT32 : a.from == CORNU_COMPLEX128 ? CORNU_FLOAT64 : a.from;
    const int to = a.to == CORNU_COMPLEX64 ? CORNU_FLOAT32 : a.to == CORNU_COMPLEX128 ? CORNU_FLOAT64 : a.to;

    for (CN_ITEMS(i, a.count)) {
        const int64_t in = from_complex ? 2 * i : i, out = to_complex ? 2 * i : i;
        if (from == CORNU_UINT64) cast_element<uint64_t>(a, from, to, in, out);
        else if (from == CORNU_FLOAT32 || from == CORNU_FLOAT64 || from == CORNU_FLOAT16 || from == CORNU_BFLOAT16) cast_element<double>(a, from, to, in, out);
        else cast_element<int64_t>(a, from, to, in, out);
        if (!to_complex) continue;
        if (from_complex) cast_element<double>(a, from, to, in + 1, out + 1);
        else cn_store<double>(to, a.y, out + 1, 0.0);
    }
}

extern "C" cudaError_t cn_k_complex_cast(const cn_queue* q, const cn_complex_cast_args* a) {
    return cn_launch(q, complex_cast, program_blocks(a->count, 128), dim3(128), 0, *a);
}

/* ---- counting and random numbers ---- */

/* begin + i step, rounded twice as on the host. */
CN_DEVICE double counted(double begin, double step, int64_t i) {
#ifdef CN_HOST_EXECUTION
    return begin + static_cast<double>(i) * step;
#else
    return __dadd_rn(begin, __dmul_rn(static_cast<double>(i), step));
#endif
}

CN_KERNEL(256) count_up(const cn_iota_args a) {
    const bool is_float = a.dtype == CORNU_FLOAT32 || a.dtype == CORNU_FLOAT64 || a.dtype == CORNU_FLOAT16 || a.dtype == CORNU_BFLOAT16;

    for (CN_ITEMS(i, a.count)) {
        const double value = counted(a.begin, a.step, i);
        if (is_float) cn_store<double>(a.dtype, a.y, i, value);
        else cn_store<int64_t>(a.dtype, a.y, i, cn_to_class<int64_t>(value));
    }
}

extern "C" cudaError_t cn_k_iota(const cn_queue* q, const cn_iota_args* a) {
    const int threads = a->count > 32 ? 128 : 32;
    return cn_launch(q, count_up, program_blocks(a->count, threads), dim3(threads), 0, *a);
}

CN_KERNEL(256) draw(const cn_random_args a) {
    const uint64_t seed = a.words->seed, counter = a.words->counter;

    for (CN_ITEMS(i, a.count)) {
        const uint2 words = cn_philox_words(seed, counter, a.stream, static_cast<uint64_t>(i));
        cn_store<float>(a.dtype, a.y, i, a.normal ? cn_philox_normal(words) : cn_philox_uniform(words.x));
    }
}

extern "C" cudaError_t cn_k_random(const cn_queue* q, const cn_random_args* a) {
    const int threads = a->count > 32 ? 128 : 32;
    return cn_launch(q, draw, program_blocks(a->count, threads), dim3(threads), 0, *a);
}
