/* Elements of any dtype in kernels: loading and storing, in the classes of class.h. */
#ifndef CN_KERNELS_ELEMENT_H
#define CN_KERNELS_ELEMENT_H

#include "kernels/class.h"
#include "kernels/launch.h"

/* Element i of x as T (float, double, int64_t or uint64_t). Floats to integers truncate towards zero, NaN to 0, out of range to the nearest end. */
template <typename T>
CN_DEVICE T cn_load(int dtype, const void* x, int64_t i);
/* Stores v, rounded to nearest even (floats), cut to the dtype's low bits (integers) or != 0 (bool). */
template <typename T>
CN_DEVICE void cn_store(int dtype, void* y, int64_t i, T v);

template <typename T>
struct cn_is_float {
    static const bool value = false;
};
template <>
struct cn_is_float<float> {
    static const bool value = true;
};
template <>
struct cn_is_float<double> {
    static const bool value = true;
};

/* (to)v with the rule above for floats to integers. */
template <typename To, typename From>
CN_DEVICE To cn_truncate(From v, double low, double high, To lowest, To highest) {
    if (!cn_is_float<From>::value) return static_cast<To>(v);
    if (v != v) return 0;
    if (static_cast<double>(v) <= low) return lowest;
    if (static_cast<double>(v) >= high) return highest;
    return static_cast<To>(v);
}

template <typename T, typename From>
CN_DEVICE T cn_to_class(From v) {
    if (cn_is_float<T>::value || !cn_is_float<From>::value) return static_cast<T>(v);
    if (static_cast<T>(-1) < static_cast<T>(0)) return cn_truncate<T>(v, -9223372036854775808.0, 9223372036854775808.0, static_cast<T>(INT64_MIN), static_cast<T>(INT64_MAX));
    return cn_truncate<T>(v, 0.0, 18446744073709551616.0, static_cast<T>(0), static_cast<T>(UINT64_MAX));
}

template <typename T>
CN_DEVICE T cn_load(int dtype, const void* x, int64_t i) {
    switch (dtype) {
        case CORNU_FLOAT32: return cn_to_class<T>(static_cast<const float*>(x)[i]);
        case CORNU_FLOAT64: return cn_to_class<T>(static_cast<const double*>(x)[i]);
        case CORNU_FLOAT16: return cn_to_class<T>(__half2float(static_cast<const __half*>(x)[i]));
        case CORNU_BFLOAT16: return cn_to_class<T>(__bfloat162float(static_cast<const __nv_bfloat16*>(x)[i]));
        case CORNU_INT8: return static_cast<T>(static_cast<const int8_t*>(x)[i]);
        case CORNU_INT16: return static_cast<T>(static_cast<const int16_t*>(x)[i]);
        case CORNU_INT32: return static_cast<T>(static_cast<const int32_t*>(x)[i]);
        case CORNU_INT64: return static_cast<T>(static_cast<const int64_t*>(x)[i]);
        case CORNU_UINT16: return static_cast<T>(static_cast<const uint16_t*>(x)[i]);
        case CORNU_UINT32: return static_cast<T>(static_cast<const uint32_t*>(x)[i]);
        case CORNU_UINT64: return static_cast<T>(static_cast<const uint64_t*>(x)[i]);
        default: return static_cast<T>(static_cast<const uint8_t*>(x)[i]);
    }
}

template <typename T>
CN_DEVICE void cn_store(int dtype, void* y, int64_t i, T v) {
    switch (dtype) {
        case CORNU_FLOAT32: static_cast<float*>(y)[i] = static_cast<float>(v); break;
        case CORNU_FLOAT64: static_cast<double*>(y)[i] = static_cast<double>(v); break;
        case CORNU_FLOAT16: static_cast<__half*>(y)[i] = sizeof(T) == 8 ? __double2half(static_cast<double>(v)) : __float2half_rn(static_cast<float>(v)); break;
        case CORNU_BFLOAT16: static_cast<__nv_bfloat16*>(y)[i] = sizeof(T) == 8 ? __double2bfloat16(static_cast<double>(v)) : __float2bfloat16_rn(static_cast<float>(v)); break;
        case CORNU_BOOL: static_cast<uint8_t*>(y)[i] = v != static_cast<T>(0); break;
        case CORNU_INT8: static_cast<int8_t*>(y)[i] = static_cast<int8_t>(cn_truncate<int64_t>(v, -128.0, 127.0, -128, 127)); break;
        case CORNU_INT16: static_cast<int16_t*>(y)[i] = static_cast<int16_t>(cn_truncate<int64_t>(v, -32768.0, 32767.0, -32768, 32767)); break;
        case CORNU_INT32: static_cast<int32_t*>(y)[i] = static_cast<int32_t>(cn_truncate<int64_t>(v, -2147483648.0, 2147483647.0, INT32_MIN, INT32_MAX)); break;
        case CORNU_INT64: static_cast<int64_t*>(y)[i] = cn_to_class<int64_t>(v); break;
        case CORNU_UINT8: static_cast<uint8_t*>(y)[i] = static_cast<uint8_t>(cn_truncate<int64_t>(v, 0.0, 255.0, 0, 255)); break;
        case CORNU_UINT16: static_cast<uint16_t*>(y)[i] = static_cast<uint16_t>(cn_truncate<int64_t>(v, 0.0, 65535.0, 0, 65535)); break;
        case CORNU_UINT32: static_cast<uint32_t*>(y)[i] = static_cast<uint32_t>(cn_truncate<int64_t>(v, 0.0, 4294967295.0, 0, 4294967295LL)); break;
        case CORNU_UINT64: static_cast<uint64_t*>(y)[i] = cn_to_class<uint64_t>(v); break;
        default: break;
    }
}

/* An element of a float type as what sums are made in, and back; cn_sum_of<E>::type is that type. */
CN_DEVICE float cn_widen(float x) { return x; }
CN_DEVICE double cn_widen(double x) { return x; }
CN_DEVICE float cn_widen(__half x) { return __half2float(x); }
CN_DEVICE float cn_widen(__nv_bfloat16 x) { return __bfloat162float(x); }

CN_DEVICE void cn_narrow(float* y, float x) { *y = x; }
CN_DEVICE void cn_narrow(double* y, double x) { *y = x; }
CN_DEVICE void cn_narrow(__half* y, float x) { *y = __float2half_rn(x); }
CN_DEVICE void cn_narrow(__nv_bfloat16* y, float x) { *y = __float2bfloat16_rn(x); }

template <typename E>
struct cn_sum_of {
    typedef float type;
};
template <>
struct cn_sum_of<double> {
    typedef double type;
};

/* The first fault of a run is kept. */
CN_DEVICE void cn_report_fault(cn_run_words* words, int code, int node, int64_t value, int64_t limit) {
    if (atomicCAS(&words->fault, CN_FAULT_NONE, code) != CN_FAULT_NONE) return;
    words->node = node;
    words->value = value;
    words->limit = limit;
}

#endif
