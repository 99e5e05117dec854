/* Counts the bytes of device memory that kernels ask for, where host execution is built with CORNU_COUNT_BYTES: each load and store of a kernel is seen
 * through the callbacks that the compiler writes for ThreadSanitizer. What a cache would serve is counted too: it is what the kernel asks the L2 for.
 * A product of cuBLASLt counts its operands once. At the end of the program the file CORNU_HOST_COUNT gets a line for each kernel:
 *
 *     name \t launches \t bytes read \t bytes written
 *
 * For one OS thread at a time. In other builds the functions do nothing. */
#ifndef CN_KERNELS_HOST_COUNT_H
#define CN_KERNELS_HOST_COUNT_H

#include <stddef.h>
#include <stdint.h>

/* A block of device memory is there, or gone. */
void cn_host_count_block(const void* memory, size_t bytes, bool gone);
/* What follows is asked for by a kernel of that name. */
void cn_host_count_kernel(const char* name);
void cn_host_count_bytes(const void* address, size_t bytes, bool written);

#endif
