// Host execution itself: what kernels see, and that it does not depend on the order of threads. Errors that it reports: planted.cu.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "kernels/mma.h"

namespace {

cudaError_t launch_now(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared, cudaStream_t) {
    return cn_host_execute(static_cast<const cn_host_kernel*>(kernel), grid, block, args, shared);
}
cudaError_t launch_together_now(const void* kernel, dim3 grid, dim3 block, void** args, size_t shared, cudaStream_t) {
    return cn_host_execute_together(static_cast<const cn_host_kernel*>(kernel), grid, block, args, shared);
}
const cn_queue kQueue = {nullptr, launch_now, launch_together_now};

template <typename F>
void for_seeds(F f) {
    for (uint64_t seed = 0; seed < 4; seed++) {
        cn_host_set_order(seed);
        f();
    }
    cn_host_set_order(0);
}

CN_KERNEL(1024) number(unsigned* y) {
    const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    y[block * blockDim.x * blockDim.y * blockDim.z + thread] += block * 1000 + thread;
}

TEST(Host, EveryThreadRunsOnce) {
    for_seeds([] {
        std::vector<unsigned> y(24 * 60);
        ASSERT_EQ(cn_launch(&kQueue, number, dim3(2, 3, 4), dim3(3, 4, 5), 0, y.data()), cudaSuccess);
        for (unsigned i = 0; i < y.size(); i++) EXPECT_EQ(y[i], i / 60 * 1000 + i % 60);
    });
}

/* Groups of `members` blocks hand numbers round in turns: y is as if they had done it in step. */
CN_KERNEL(96) hand_round(unsigned* y, unsigned* counters, unsigned members, int turns) {
    CN_SHARED(unsigned, taken, [96]);
    const unsigned group = blockIdx.x / members, member = blockIdx.x % members,
                   next = group * members + (member + 1) % members;
    for (int turn = 0; turn < turns; turn++) {
        unsigned* now = y + static_cast<unsigned>(turn % 2) * gridDim.x * blockDim.x;
        now[blockIdx.x * blockDim.x + threadIdx.x] =
            turn == 0 ? blockIdx.x * blockDim.x + threadIdx.x : taken[(threadIdx.x + 1) % blockDim.x] + 1;
        cn_meet(&counters[group], members, static_cast<unsigned>(turn) + 1);
        taken[threadIdx.x] = now[next * blockDim.x + threadIdx.x];
        __syncthreads();
    }
    y[blockIdx.x * blockDim.x + threadIdx.x] =
        taken[threadIdx.x]; /* only this block's own, and all have read the other half */
}

TEST(Host, BlocksMeet) {
    for (unsigned members : {1u, 2u, 5u}) {
        const unsigned blocks = 2 * members, threads = 33;
        for_seeds([&] {
            std::vector<unsigned> y(2 * blocks * threads), counters(2);
            ASSERT_EQ(cn_launch_together(&kQueue, hand_round, dim3(blocks), dim3(threads), 0, y.data(), counters.data(),
                                         members, 4),
                      cudaSuccess);
            EXPECT_EQ(counters[0], 4 * members);
            EXPECT_EQ(counters[1], 4 * members);
            for (unsigned i = 0; i < blocks * threads; i++) {
                const unsigned block = i / threads, from = block / members * members + (block % members + 4) % members;
                EXPECT_EQ(y[i], from * threads + (i % threads + 3) % threads + 3) << members << " " << i;
            }
        });
    }
    std::vector<unsigned> y(8), counters(1);
    EXPECT_EQ(cn_launch_together(&kQueue, hand_round, dim3(65), dim3(1), 0, y.data(), counters.data(), 65u, 1),
              cudaErrorCooperativeLaunchTooLarge);
}

CN_KERNEL(32) keep_all(signed char a, double b, const float* c, uint16_t d, double* y) {
    y[0] = a;
    y[1] = b;
    y[2] = *c;
    y[3] = d;
}

TEST(Host, Arguments) {
    const float c = 3;
    double y[4] = {};
    ASSERT_EQ(cn_launch(&kQueue, keep_all, dim3(1), dim3(1), 0, -1, 2.5f, &c, 4, y), cudaSuccess);
    EXPECT_EQ(y[0], -1);
    EXPECT_EQ(y[1], 2.5);
    EXPECT_EQ(y[2], 3);
    EXPECT_EQ(y[3], 4);
    const cn_host_kernel* kernel = cn_host_kernel_of(keep_all);
    EXPECT_EQ(kernel, cn_host_kernel_of(keep_all));
    EXPECT_EQ(kernel->arg_count, 5);
    const size_t sizes[] = {1, 8, sizeof(void*), 2, sizeof(void*)};
    for (int i = 0; i < 5; i++) EXPECT_EQ(kernel->arg_sizes[i], sizes[i]);
}

CN_KERNEL(32) add_one(int* y) { y[0] += 1; }
CN_KERNEL(32) add_two(int* y) { y[0] += 2; }

// Kernels of one type are told apart.
TEST(Host, KernelsOfOneType) {
    int y = 0;
    void (*kernels[])(int*) = {add_one, add_two, add_one};
    for (auto kernel : kernels) ASSERT_EQ(cn_launch(&kQueue, kernel, dim3(1), dim3(1), 0, &y), cudaSuccess);
    EXPECT_EQ(y, 4);
}

TEST(Host, Limits) {
    int y = 0;
    EXPECT_EQ(cn_launch(&kQueue, add_one, dim3(0), dim3(1), 0, &y), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cn_launch(&kQueue, add_one, dim3(1, 65536), dim3(1), 0, &y), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cn_launch(&kQueue, add_one, dim3(1), dim3(1025), 0, &y), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cn_launch(&kQueue, add_one, dim3(1), dim3(1, 1, 65), 0, &y), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cn_launch(&kQueue, add_one, dim3(1), dim3(1), CN_SHARED_BYTES + 1, &y), cudaErrorInvalidValue);
    EXPECT_EQ(y, 0);
}

CN_KERNEL(1024) reverse_block(const int* x, int* y, int rounds) {
    CN_DYN_SHARED(int, row);
    const unsigned n = blockDim.x, at = blockIdx.x * n + threadIdx.x;
    int v = x[at];
    for (int i = 0; i < rounds; i++) {
        row[threadIdx.x] = v;
        __syncthreads();
        v = row[n - 1 - threadIdx.x] + 1;
        __syncthreads();
    }
    y[at] = v;
}

TEST(Host, BarriersAndDynamicShared) {
    for_seeds([] {
        for (unsigned threads : {1u, 2u, 31u, 33u, 256u, 1024u}) {
            std::vector<int> x(3 * threads), y(3 * threads);
            for (unsigned i = 0; i < x.size(); i++) x[i] = (int)i * 7;
            ASSERT_EQ(cn_launch(&kQueue, reverse_block, dim3(3), dim3(threads), threads * sizeof(int), x.data(), y.data(), 3), cudaSuccess);
            for (unsigned i = 0; i < x.size(); i++) EXPECT_EQ(y[i], x[i / threads * threads + threads - 1 - i % threads] + 3);
        }
    });
}

template <typename T>
CN_DEVICE T* instance() {
    CN_SHARED(T, value, [2]);
    return value;
}

CN_KERNEL(64) shared_arrays(int* y) {
    CN_SHARED(int, table, [2][64]);
    CN_SHARED(int, one, );
    table[0][threadIdx.x] = (int)threadIdx.x;
    table[1][threadIdx.x] = 100 + (int)threadIdx.x;
    if (threadIdx.x == 0) {
        one = 5;
        instance<int>()[1] = 6;
        instance<float>()[1] = 7.0f;
    }
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = table[0][63 - threadIdx.x] + table[1][threadIdx.x] + one + instance<int>()[1] + (int)instance<float>()[1];
}

TEST(Host, StaticShared) {
    for_seeds([] {
        int y[128] = {};
        ASSERT_EQ(cn_launch(&kQueue, shared_arrays, dim3(2), dim3(64), 0, y), cudaSuccess);
        for (int i = 0; i < 128; i++) EXPECT_EQ(y[i], 63 + 100 + 18);
    });
}

CN_KERNEL(64) votes(int* y) {
    const int i = (int)threadIdx.x, lane = i % 32;
    y[i * 12 + 0] = __syncthreads_count(i % 3 == 0);
    y[i * 12 + 1] = __syncthreads_and(i < 63);
    y[i * 12 + 2] = __syncthreads_or(i == 63);
    y[i * 12 + 3] = (int)__ballot_sync(0xffffffffu, lane % 2);
    y[i * 12 + 4] = __any_sync(0xffffffffu, i == 40);
    y[i * 12 + 5] = __all_sync(0xffffffffu, i < 40);
    y[i * 12 + 6] = (int)__match_any_sync(0xffffffffu, lane / 8);
    y[i * 12 + 7] = __reduce_add_sync(0xffffffffu, i - 40);
    y[i * 12 + 8] = (int)__reduce_min_sync(0xffffffffu, (unsigned)i - 40u);
    y[i * 12 + 9] = __reduce_max_sync(0xffffffffu, i - 40);
    const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    y[i * 12 + 10] = lane < 16 ? __any_sync(half, lane == 20) : __any_sync(half, lane == 20);
    y[i * 12 + 11] = (int)(__activemask() >> lane & 1u);
}

TEST(Host, Votes) {
    for_seeds([] {
        std::vector<int> y(64 * 12);
        ASSERT_EQ(cn_launch(&kQueue, votes, dim3(1), dim3(64), 0, y.data()), cudaSuccess);
        for (int i = 0; i < 64; i++) {
            const int* v = &y[(size_t)i * 12];
            const int base = i / 32 * 32;
            EXPECT_EQ(v[0], 22);
            EXPECT_EQ(v[1], 0);
            EXPECT_EQ(v[2], 1);
            EXPECT_EQ((unsigned)v[3], 0xaaaaaaaau);
            EXPECT_EQ(v[4], base == 32);
            EXPECT_EQ(v[5], base == 0);
            EXPECT_EQ((unsigned)v[6], 0xffu << (i % 32 / 8 * 8));
            EXPECT_EQ(v[7], 32 * (base - 40) + 496);
            EXPECT_EQ(v[8], base == 0 ? -40 : 0);
            EXPECT_EQ(v[9], base + 31 - 40);
            EXPECT_EQ(v[10], i % 32 >= 16);
            EXPECT_EQ(v[11], 1);
        }
    });
}

template <typename T>
CN_KERNEL(32) shuffles(double* y, int width, int by) {
    const int lane = (int)threadIdx.x;
    const T v = static_cast<T>(lane + 100);
    y[lane * 4 + 0] = (double)__shfl_sync(0xffffffffu, v, lane + by, width);
    y[lane * 4 + 1] = (double)__shfl_up_sync(0xffffffffu, v, (unsigned)by, width);
    y[lane * 4 + 2] = (double)__shfl_down_sync(0xffffffffu, v, (unsigned)by, width);
    y[lane * 4 + 3] = (double)__shfl_xor_sync(0xffffffffu, v, by, width);
}

template <typename T>
void check_shuffles() {
    for (int width : {1, 2, 8, 32}) {
        for (int by : {0, 1, 3, 7, 16, 31}) {
            double y[128];
            ASSERT_EQ(cn_launch(&kQueue, shuffles<T>, dim3(1), dim3(32), 0, y, width, by), cudaSuccess);
            for (int lane = 0; lane < 32; lane++) {
                const int first = lane / width * width, at = lane - first;
                EXPECT_EQ(y[lane * 4 + 0], 100 + first + (lane + by) % width);
                EXPECT_EQ(y[lane * 4 + 1], 100 + (at - by >= 0 ? lane - by : lane));
                EXPECT_EQ(y[lane * 4 + 2], 100 + (at + by < width ? lane + by : lane));
                EXPECT_EQ(y[lane * 4 + 3], 100 + ((lane ^ by) < first + width ? lane ^ by : lane));
            }
        }
    }
}

TEST(Host, Shuffles) {
    for_seeds([] {
        check_shuffles<int>();
        check_shuffles<unsigned long long>();
        check_shuffles<float>();
        check_shuffles<double>();
    });
}

CN_KERNEL(64) count_up(int* i, unsigned* u, unsigned long long* l, float* f, double* d) {
    const int n = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    atomicAdd(i, n);
    atomicMax(i + 1, n - 50);
    atomicMin(i + 2, 50 - n);
    atomicAdd(u, 3u);
    atomicOr(u + 1, 1u << (n % 32));
    atomicAnd(u + 2, ~(1u << (n % 20)));
    atomicAdd(l, 1ull << 33);
    atomicAdd(f, 0.5f);
    atomicAdd(d, 0.25);
    if (atomicCAS(i + 3, 0, n + 1) == 0) atomicExch(u + 3, (unsigned)n);
}

TEST(Host, Atomics) {
    for_seeds([] {
        int i[4] = {0, -1000, 1000, 0};
        unsigned u[4] = {0, 0, ~0u, 0};
        unsigned long long l = 0;
        float f = 0;
        double d = 0;
        ASSERT_EQ(cn_launch(&kQueue, count_up, dim3(4), dim3(64), 0, i, u, &l, &f, &d), cudaSuccess);
        EXPECT_EQ(i[0], 255 * 128);
        EXPECT_EQ(i[1], 205);
        EXPECT_EQ(i[2], -205);
        EXPECT_EQ(i[3], (int)u[3] + 1);
        EXPECT_EQ(u[0], 768u);
        EXPECT_EQ(u[1], ~0u);
        EXPECT_EQ(u[2], ~0u << 20);
        EXPECT_EQ(l, 256ull << 33);
        EXPECT_EQ(f, 128.0f);
        EXPECT_EQ(d, 64.0);
    });
}

TEST(Host, OnSeveralThreads) {
    std::vector<std::thread> threads;
    std::vector<int> good(4);
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t, &good] {
            std::vector<int> x(128), y(128);
            for (int i = 0; i < 128; i++) x[(size_t)i] = i * t;
            bool same = true;
            for (int run = 0; run < 20; run++) {
                if (cn_launch(&kQueue, reverse_block, dim3(2), dim3(64), 256, x.data(), y.data(), 3) != cudaSuccess) return;
                for (int i = 0; i < 128; i++) same = same && y[(size_t)i] == x[(size_t)(i / 64 * 64 + 63 - i % 64)] + 3;
            }
            good[(size_t)t] = same;
        });
    }
    for (std::thread& t : threads) t.join();
    for (int g : good) EXPECT_EQ(g, 1);
}

// ---- mma.h -----------------------------------------------------------------------------------------------------------------

CN_KERNEL(32) copy_async(const float* x, float* y, int tiles, int n) {
    CN_SHARED(float4, tile, [2][32]);
    const int lane = (int)threadIdx.x;
    for (int t = -1; t < tiles; t++) {
        if (t + 1 < tiles) {
            const int left = (n - ((t + 1) * 32 + lane) * 4) * 4;
            cn_cp_async16(&tile[(t + 1) % 2][lane], x + ((t + 1) * 32 + lane) * 4, left < 0 ? 0 : left < 16 ? left : 16);
        }
        cn_cp_async_commit();
        if (t < 0) continue;
        cn_cp_async_wait<1>();
        __syncthreads();
        reinterpret_cast<float4*>(y)[t * 32 + lane] = tile[t % 2][31 - lane];
        __syncthreads();
    }
    cn_cp_async_wait<0>();
}

TEST(HostMma, AsynchronousCopies) {
    for_seeds([] {
        alignas(16) float x[5 * 128], y[5 * 128];
        const int n = 5 * 128 - 30;
        for (int i = 0; i < 5 * 128; i++) x[i] = (float)i;
        ASSERT_EQ(cn_launch(&kQueue, copy_async, dim3(1), dim3(32), 0, x, y, 5, n), cudaSuccess);
        for (int i = 0; i < 5 * 128; i++) {
            const int from = i / 128 * 128 + (31 - i % 128 / 4) * 4 + i % 4;
            EXPECT_EQ(y[i], from < n ? (float)from : 0.0f) << i;
        }
    });
}

enum Kind { TF32, BF16, F16 };

uint32_t half_bits(Kind kind, float x) {
    uint16_t bits;
    if (kind == BF16) {
        const __nv_bfloat16 h = __float2bfloat16_rn(x);
        memcpy(&bits, &h, 2);
    } else {
        const __half h = __float2half_rn(x);
        memcpy(&bits, &h, 2);
    }
    return bits;
}

/* d [16, 8] += a [16, K] b [K, 8]: fragments as the header draws them. */
CN_KERNEL(32) product(int kind, const float* a, const float* b, float* d) {
    const int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    uint32_t ra[4], rb[2];
    float rd[4] = {d[g * 8 + 2 * t], d[g * 8 + 2 * t + 1], d[(g + 8) * 8 + 2 * t], d[(g + 8) * 8 + 2 * t + 1]};
    if (kind == TF32) {
        for (int i = 0; i < 4; i++) ra[i] = cn_to_tf32(a[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
        for (int i = 0; i < 2; i++) rb[i] = cn_to_tf32(b[(t + i * 4) * 8 + g]);
        cn_mma_m16n8k8_tf32(rd, ra, rb);
    } else {
        const Kind k = (Kind)kind;
        for (int i = 0; i < 4; i++) {
            const float* at = a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
            ra[i] = half_bits(k, at[0]) | half_bits(k, at[1]) << 16;
        }
        for (int i = 0; i < 2; i++) {
            const float* at = b + (2 * t + i * 8) * 8 + g;
            rb[i] = half_bits(k, at[0]) | half_bits(k, at[8]) << 16;
        }
        if (kind == BF16) cn_mma_m16n8k16_bf16(rd, ra, rb);
        else cn_mma_m16n8k16_f16(rd, ra, rb);
    }
    for (int i = 0; i < 4; i++) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = rd[i];
}

TEST(HostMma, Products) {
    for_seeds([] {
        for (int kind : {TF32, BF16, F16}) {
            const int depth = kind == TF32 ? 8 : 16;
            std::vector<float> a((size_t)(16 * depth)), b((size_t)(depth * 8)), d(128);
            for (size_t i = 0; i < a.size(); i++) a[i] = (float)((int)(i * 37 % 61) - 30) / 16; // exact in every kind
            for (size_t i = 0; i < b.size(); i++) b[i] = (float)((int)(i * 29 % 53) - 26) / 8;
            for (size_t i = 0; i < d.size(); i++) d[i] = (float)i;
            std::vector<float> want = d;
            for (int r = 0; r < 16; r++) {
                for (int c = 0; c < 8; c++) {
                    for (int k = 0; k < depth; k++) want[(size_t)(r * 8 + c)] += a[(size_t)(r * depth + k)] * b[(size_t)(k * 8 + c)];
                }
            }
            ASSERT_EQ(cn_launch(&kQueue, product, dim3(1), dim3(32), 0, kind, a.data(), b.data(), d.data()), cudaSuccess);
            for (size_t i = 0; i < d.size(); i++) EXPECT_EQ(d[i], want[i]) << kind << " " << i;
        }
    });
}

CN_KERNEL(32) load_matrices(const uint16_t* x, uint32_t* y, bool transposed) {
    CN_SHARED(cn_host_sixteen, rows, [32]);
    uint32_t r[4];
    for (int i = 0; i < 8; i++) rows[threadIdx.x].v[i] = x[threadIdx.x * 8 + (unsigned)i];
    __syncwarp();
    if (transposed) cn_ldmatrix_x4_trans(r, &rows[threadIdx.x]);
    else cn_ldmatrix_x4(r, &rows[threadIdx.x]);
    for (int i = 0; i < 4; i++) y[threadIdx.x * 4 + (unsigned)i] = r[i];
}

TEST(HostMma, LoadMatrix) {
    for_seeds([] {
        for (bool transposed : {false, true}) {
            uint16_t x[256];
            uint32_t y[128];
            for (int i = 0; i < 256; i++) x[i] = (uint16_t)(i * 251);
            ASSERT_EQ(cn_launch(&kQueue, load_matrices, dim3(1), dim3(32), 0, x, y, transposed), cudaSuccess);
            for (int i = 0; i < 128; i++) {
                const int g = i / 4 / 4, t = i / 4 % 4, m = i % 4 * 64;
                const uint32_t low = transposed ? x[m + 2 * t * 8 + g] : x[m + g * 8 + 2 * t], high = transposed ? x[m + (2 * t + 1) * 8 + g] : x[m + g * 8 + 2 * t + 1];
                EXPECT_EQ(y[i], low | high << 16);
            }
        }
    });
}

TEST(HostMma, RoundsToTf32) {
    for (float x : {1.0f, 1.0f + 0x1p-11f, 1.0f + 0x1p-12f, -3.1415926f, 1e-30f, 65504.0f}) {
        const float r = cn_host_bits<float>(cn_to_tf32(x));
        EXPECT_LE(std::fabs(r - x), std::fabs(x) * 0x1p-11f);
        EXPECT_EQ(cn_to_tf32(r), cn_host_bits<uint32_t>(r));
    }
    EXPECT_EQ(cn_host_bits<float>(cn_to_tf32(1.0f + 0x1p-11f)), 1.0f + 0x1p-10f);
}

} // namespace
