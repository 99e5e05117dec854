/* The loops for x86 with AVX2; compiled with those instructions, so nothing else may be in this file. */
#define CN_LOOPS_TABLE cn_loops_avx2
#define CN_LOOPS_NAME "avx2"
#include "backend/cpu/loops_body.inc"
