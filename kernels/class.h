/* The classes that arithmetic on elements is done in, for the driver code and kernels alike.
 *
 *     class of a dtype   float   float16, bfloat16, float32
 *                        double  float64
 *                        int64   signed integers, bool, uint8 to uint32
 *                        uint64  uint64 */
#ifndef CN_KERNELS_CLASS_H
#define CN_KERNELS_CLASS_H

#include "cornu.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_class { CN_CLASS_FLOAT, CN_CLASS_DOUBLE, CN_CLASS_INT, CN_CLASS_UINT } cn_class;

static inline cn_class cn_class_of(int dtype) {
    switch (dtype) {
        case CORNU_FLOAT32:
        case CORNU_FLOAT16:
        case CORNU_BFLOAT16: return CN_CLASS_FLOAT;
        case CORNU_FLOAT64: return CN_CLASS_DOUBLE;
        case CORNU_UINT64: return CN_CLASS_UINT;
        default: return CN_CLASS_INT;
    }
}

/* Bytes of a dtype that kernels know. */
static inline int cn_element_size(int dtype) {
    switch (dtype) {
        case CORNU_FLOAT64:
        case CORNU_INT64:
        case CORNU_UINT64: return 8;
        case CORNU_FLOAT32:
        case CORNU_INT32:
        case CORNU_UINT32: return 4;
        case CORNU_FLOAT16:
        case CORNU_BFLOAT16:
        case CORNU_INT16:
        case CORNU_UINT16: return 2;
        default: return 1;
    }
}

#ifdef __cplusplus
}
#endif

#endif
