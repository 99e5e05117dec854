/* Element types: facts from dtype.def, and conversion between them as Keras's assign and cast do. */
#ifndef CN_BASE_DTYPE_H
#define CN_BASE_DTYPE_H

#include <stdbool.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_dtype_kind {
    CN_KIND_NONE = 0,
    CN_KIND_F = 'F',
    CN_KIND_I = 'I',
    CN_KIND_U = 'U',
    CN_KIND_B = 'B',
    CN_KIND_C = 'C',
    CN_KIND_S = 'S'
} cn_dtype_kind;

/* CN_KIND_NONE for numbers that are no dtype. */
cn_dtype_kind cn_dtype_kind_of(cornu_dtype dtype);
static inline bool cn_dtype_is_float(cornu_dtype dtype) { return cn_dtype_kind_of(dtype) == CN_KIND_F; }
static inline bool cn_dtype_is_int(cornu_dtype dtype) {
    return cn_dtype_kind_of(dtype) == CN_KIND_I || cn_dtype_kind_of(dtype) == CN_KIND_U;
}
/* The dtype that Keras calls name; 0 if there is none. */
cornu_dtype cn_dtype_of_name(const char* name);
/* numpy's descr without byte order, "f4"; NULL for strings. */
const char* cn_dtype_numpy(cornu_dtype dtype);

float cn_half_to_float(uint16_t half);
uint16_t cn_float_to_half(float value); /* to nearest even; overflow to infinity */
float cn_bfloat_to_float(uint16_t bits);
uint16_t cn_float_to_bfloat(float value); /* to nearest even; NaN stays NaN */
/* Straight from double, so that nothing is rounded twice. */
uint16_t cn_double_to_half(double value);
uint16_t cn_double_to_bfloat(double value);

/* dst[i] = (to)src[i] for count elements, the two not overlapping unless of one size. Floats to integers truncate
 * towards zero (NaN to 0, out of range to the nearest end); anything to bool is != 0; complex to real drops the
 * imaginary part. CORNU_BAD_ARGUMENT: one of them, not both, is a string. */
cornu_status cn_dtype_convert(cornu_dtype to, void* dst, cornu_dtype from, const void* src, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
