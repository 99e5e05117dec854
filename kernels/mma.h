/* Products of small matrices by a whole warp, and copies to shared memory that do not wait. All lanes of the warp call, at the same place.
 *
 *     g = lane / 4, t = lane % 4; a register of 16-bit elements holds two, the lower column (of a) or row (of b) in its low half
 *
 *     cn_mma_m16n8k8_tf32              d [16, 8] += a [16, 8] b [8, 8]
 *         a  0: (g, t)   1: (g + 8, t)   2: (g, t + 4)   3: (g + 8, t + 4)          b  0: (t, g)   1: (t + 4, g)
 *     cn_mma_m16n8k16_bf16, _f16       d [16, 8] += a [16, 16] b [16, 8]
 *         a  0: (g, 2t)   1: (g + 8, 2t)   2: (g, 2t + 8)   3: (g + 8, 2t + 8)      b  0: (2t, g)   1: (2t + 8, g)
 *     d  0: (g, 2t)   1: (g, 2t + 1)   2: (g + 8, 2t)   3: (g + 8, 2t + 1)
 *
 *     cn_ldmatrix_x4(r, row)           four matrices of 8 rows of 8 16-bit elements in shared memory; lane 8 i + j has the address of row j
 *                                      of matrix i (16 bytes, aligned); r[i] becomes (g, 2t) and (g, 2t + 1) of matrix i,
 *     cn_ldmatrix_x4_trans(r, row)     or (2t, g) and (2t + 1, g)
 *
 *     cn_cp_async16(dst, src, bytes)   16 bytes of dst (shared, aligned): `bytes` from src (16, or fewer where src ends), then zeros
 *     cn_cp_async_commit()             makes a group of the copies since the last one
 *     cn_cp_async_wait<N>()            waits until at most N groups of this thread are under way; __syncthreads() shows them to others */
#ifndef CN_KERNELS_MMA_H
#define CN_KERNELS_MMA_H

#include "kernels/launch.h"

#ifdef CN_HOST_EXECUTION
#include "kernels/host/mma.h"
#else

/* To the 10 bits of mantissa that the product reads, nearest, ties away from zero. */
CN_DEVICE uint32_t cn_to_tf32(float x) {
    uint32_t r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
    return r;
}

CN_DEVICE void cn_mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
CN_DEVICE void cn_mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
CN_DEVICE void cn_mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

CN_DEVICE void cn_ldmatrix_x4(uint32_t (&r)[4], const void* row) {
    const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}
CN_DEVICE void cn_ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
    const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

CN_DEVICE void cn_cp_async16(void* dst, const void* src, int bytes) {
    const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(dst));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(at), "l"(src), "r"(bytes) : "memory");
}
CN_DEVICE void cn_cp_async_commit() { asm volatile("cp.async.commit_group;" : : : "memory"); }
template <int N>
CN_DEVICE void cn_cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" : : "n"(N) : "memory");
}

#endif

#endif
