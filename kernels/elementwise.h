/* Elementwise programs over broadcast inputs, casts to and from complex numbers, counting, random numbers. */
#ifndef CN_KERNELS_ELEMENTWISE_H
#define CN_KERNELS_ELEMENTWISE_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_EW_INPUTS 6
#define CN_EW_CODES 48
#define CN_EW_WIDTH 4 /* neighbouring elements that a thread works on at once */

/* Where element i of the result finds its element of an input. */
typedef enum cn_ew_place {
    CN_EW_EACH, /* at the dot product of its index and the strides */
    CN_EW_ONE,  /* always at 0 */
    CN_EW_DENSE,
    CN_EW_GROUP /* at i / inner % period: one run of axes of the result */
} cn_ew_place;

typedef struct cn_ew_input {
    const void* data;
    int dtype;
    cn_ew_place place;
    int64_t inner, period;
    int64_t strides[CORNU_MAX_DIMS]; /* for EACH, of the result's dims */
} cn_ew_input;

/* One step of a program. The machine has one value, the accumulator; a step sets it to fn(accumulator, operand), or fn(operand, accumulator)
 * if swapped. */
typedef enum cn_ew_source {
    CN_EW_NOTHING = -1,     /* fn has one input */
    CN_EW_ACCUMULATOR = -2  /* the operand is the accumulator too */
    /* 0 .. 5: an input; 6 ...: slot source - 6 */
} cn_ew_source;
#define CN_EW_SLOT CN_EW_INPUTS

/* Codes beside the rows of ew.def: the accumulator becomes the operand; the mask of a select becomes accumulator != 0. */
#define CN_EW_LOAD 1000
#define CN_EW_MASK 1001

typedef union cn_ew_number {
    float f;
    double d;
    int64_t i;
    uint64_t u;
} cn_ew_number;

typedef struct cn_ew_code {
    int16_t fn;     /* a row number of ew.def, or one of the above; select: mask ? accumulator : operand */
    int16_t source; /* cn_ew_source */
    int16_t swapped;
    int16_t slot;   /* where the accumulator is kept as well; -1: nowhere */
    cn_ew_number p, q, r; /* of the class that is computed in */
} cn_ew_code;

typedef struct cn_ew_args {
    int64_t count; /* elements of the result */
    void* out;
    int dtype; /* of the result */
    int kind;  /* cn_class that is computed in */
    bool machine; /* take the machine for every program: for tests */
    int input_count, code_count, slots;
    int ndim; /* of the result, for EACH: neighbouring axes that all inputs pass alike are one */
    int64_t dims[CORNU_MAX_DIMS];
    cn_ew_input inputs[CN_EW_INPUTS];
    cn_ew_code codes[CN_EW_CODES];
} cn_ew_args;

/* The result may be written over an input of the same size of elements that is DENSE. */
cudaError_t cn_k_elementwise(const cn_queue* q, const cn_ew_args* a);
/* The same for the programs of elementwise_hot.cu; false for others, and nothing is done. */
bool cn_k_elementwise_hot(const cn_queue* q, const cn_ew_args* a, cudaError_t* out);

typedef struct cn_complex_cast_args {
    const void* x;
    void* y;
    int64_t count;
    int from, to; /* dtypes, one of them complex: the imaginary part is dropped, or 0 */
} cn_complex_cast_args;

cudaError_t cn_k_complex_cast(const cn_queue* q, const cn_complex_cast_args* a);

typedef struct cn_iota_args {
    void* y;
    int64_t count;
    int dtype;
    double begin, step;
} cn_iota_args;

cudaError_t cn_k_iota(const cn_queue* q, const cn_iota_args* a);

typedef struct cn_random_args {
    const cn_run_words* words; /* seed and counter */
    void* y;
    int64_t count;
    int dtype, normal;
    uint32_t stream;
} cn_random_args;

cudaError_t cn_k_random(const cn_queue* q, const cn_random_args* a);

#ifdef __cplusplus
}
#endif

#endif
