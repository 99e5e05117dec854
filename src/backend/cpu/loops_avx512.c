/* The loops for x86 with AVX-512; compiled with those instructions, so nothing else may be in this file. */
#define CN_LOOPS_TABLE cn_loops_avx512
#define CN_LOOPS_NAME "avx512"
#include "backend/cpu/loops_body.inc"
