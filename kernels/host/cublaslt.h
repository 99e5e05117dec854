/* cuBLASLt of host execution: the functions of cublasLt.h that Cornu calls, under their own names. It demands all that the manual demands and
 * says on stderr what was wrong; it computes what the compute type promises and no more:
 *
 *     inputs      as they are; rounded to TF32 (10 bits of fraction, to nearest even), half or bfloat16 for the FAST compute types
 *     sums        in double, rounded once to the compute type; then alpha, beta * C, bias and ReLU in the scale type, rounded to D's type
 *
 *     checked     attribute sizes; combinations of compute, scale, matrix and bias types; shapes; leading dimensions; batch counts and
 *                 strides (D must not overlap itself); memory of every operand within one block of the device; alignments promised in
 *                 the preference; an algorithm of the heuristic, for the same problem; its workspace; C in place only as D is
 *     refused     other epilogues, integers, complex types, FP8, pointer arrays, device pointers for alpha and beta: CUBLAS_STATUS_NOT_SUPPORTED
 *
 * The workspace is filled with garbage. */
#ifndef CN_KERNELS_HOST_CUBLASLT_H
#define CN_KERNELS_HOST_CUBLASLT_H

#include <cublasLt.h>

#endif
