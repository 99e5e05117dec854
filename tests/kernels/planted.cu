// Kernels with the bugs that host execution must find, each beside its correct form, which must be found free of them.
//
//     planted NAME       runs the bug; a sanitizer or the runtime must report it
//     planted correct    runs the correct forms
//
// Built twice: with AddressSanitizer and UndefinedBehaviorSanitizer, and with ThreadSanitizer (tests/kernels/planted.cmake says who finds what).
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "kernels/launch.h"

namespace {

const int kThreads = 64;

struct args {
    const float* x;
    float* y;
    int n;
    bool planted;
};

/* n is one too many where the bug is planted. */
CN_KERNEL(kThreads) global_out_of_bounds(args a) {
    for (CN_ITEMS(i, a.planted ? a.n + 1 : a.n)) a.y[i % a.n] = a.x[i];
}

CN_KERNEL(kThreads) missing_syncthreads(args a) {
    CN_SHARED(float, row, [kThreads]);
    row[threadIdx.x] = a.x[threadIdx.x];
    if (!a.planted) __syncthreads();
    a.y[threadIdx.x] = row[kThreads - 1 - threadIdx.x];
}

/* A barrier before the next round's writes: one more than missing_syncthreads. */
CN_KERNEL(kThreads) missing_second_syncthreads(args a) {
    CN_SHARED(float, row, [kThreads]);
    for (int round = 0; round < 3; round++) {
        row[threadIdx.x] = a.x[threadIdx.x] + static_cast<float>(round);
        __syncthreads();
        a.y[threadIdx.x] = row[kThreads - 1 - threadIdx.x];
        if (!a.planted) __syncthreads();
    }
}

/* A shuffle exchanges values; it does not order memory. */
CN_KERNEL(kThreads) missing_syncwarp(args a) {
    CN_SHARED(float, row, [kThreads]);
    row[threadIdx.x] = a.x[threadIdx.x];
    const float v = __shfl_xor_sync(0xffffffffu, a.x[threadIdx.x], 1);
    if (!a.planted) __syncwarp();
    a.y[threadIdx.x] = row[threadIdx.x ^ 1u] + v;
}

CN_KERNEL(kThreads) misaligned_vector(args a) {
    if (threadIdx.x == 0) *reinterpret_cast<float4*>(a.y) = *reinterpret_cast<const float4*>(a.x + (a.planted ? 1 : 4));
}

CN_KERNEL(kThreads) uninitialised_shared(args a) {
    CN_SHARED(unsigned char, row, [kThreads]);
    if (!a.planted || threadIdx.x > 0) row[threadIdx.x] = 1;
    __syncthreads();
    a.y[threadIdx.x] = row[kThreads - 1 - threadIdx.x];
}

/* All blocks write one word. */
CN_KERNEL(kThreads) race_between_blocks(args a) {
    if (threadIdx.x == 0) a.y[a.planted ? 0 : blockIdx.x] = static_cast<float>(blockIdx.x);
}

/* The last block to come reads what the others wrote before they counted themselves. */
CN_KERNEL(kThreads) missing_threadfence(args a) {
    CN_SHARED(int, last, );
    if (threadIdx.x == 0) {
        a.y[1 + blockIdx.x] = 1;
        if (!a.planted) __threadfence();
        last = atomicAdd(reinterpret_cast<int*>(a.y), 1) == static_cast<int>(gridDim.x) - 1;
        if (!a.planted) __threadfence();
        float sum = 0;
        for (unsigned i = 0; last && i < gridDim.x; i++) sum += a.y[1 + i];
        if (last) a.y[40] = sum;
    }
}

/* Half of the warp calls with a mask of the whole. */
CN_KERNEL(kThreads) wrong_lane_mask(args a) {
    float v = a.x[threadIdx.x];
    if (threadIdx.x % 32 < 16) v += __shfl_xor_sync(a.planted ? 0xffffffffu : 0x0000ffffu, v, 8);
    a.y[threadIdx.x] = v;
}

CN_KERNEL(kThreads) lane_outside_mask(args a) {
    float v = a.x[threadIdx.x];
    if (threadIdx.x % 32 < 16) v += __shfl_down_sync(0x0000ffffu, v, 8, a.planted ? 32 : 16);
    a.y[threadIdx.x] = v;
}

CN_KERNEL(kThreads) divergent_barrier(args a) {
    CN_SHARED(float, row, [kThreads]);
    row[threadIdx.x] = 0;
    if (a.planted && threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    a.y[threadIdx.x] = row[0];
}

CN_KERNEL(kThreads) barrier_after_return(args a) {
    CN_SHARED(float, row, [kThreads]);
    if (a.planted && static_cast<int>(threadIdx.x) >= kThreads / 2) return;
    row[threadIdx.x] = a.x[threadIdx.x];
    __syncthreads();
    a.y[threadIdx.x] = row[0];
}

CN_KERNEL(kThreads) static_shared_out_of_bounds(args a) {
    CN_SHARED(float, row, [kThreads]);
    CN_SHARED(float, other, [kThreads]);
    volatile unsigned at = threadIdx.x + (a.planted ? 1 : 0);
    row[threadIdx.x] = other[threadIdx.x] = 0;
    (&row[0])[at] = a.x[threadIdx.x];
    __syncthreads();
    a.y[threadIdx.x] = row[threadIdx.x] + other[threadIdx.x];
}

CN_KERNEL(kThreads) dynamic_shared_out_of_bounds(args a) {
    CN_DYN_SHARED(float, row);
    row[threadIdx.x + (a.planted ? 1 : 0)] = a.x[threadIdx.x];
    a.y[threadIdx.x] = 0;
}

CN_KERNEL(kThreads) too_much_shared(args a) {
    CN_SHARED(float, row, [48 * 1024 / 4]);
    row[threadIdx.x] = 0;
    if (a.planted) {
        CN_SHARED(float, more, [1]);
        more[0] = 1;
    }
    a.y[threadIdx.x] = row[threadIdx.x];
}

/* Where blocks count how many have come: y is zero at the launch. */
CN_DEVICE unsigned* counter_of(const args& a) { return reinterpret_cast<unsigned*>(a.y) + kThreads - 1; }

/* A block reads what its neighbour wrote. */
CN_KERNEL(kThreads) missing_meet(args a) {
    a.y[blockIdx.x * 8 + threadIdx.x] = a.x[threadIdx.x];
    if (!a.planted) cn_meet(counter_of(a), gridDim.x, 1);
    if (threadIdx.x == 0) a.y[32 + blockIdx.x] = a.y[(blockIdx.x + 1) % gridDim.x * 8 + 7];
}

/* The next round's writes need another one. */
CN_KERNEL(kThreads) missing_second_meet(args a) {
    unsigned turn = 0;
    for (int round = 0; round < 3; round++) {
        a.y[blockIdx.x * 8 + threadIdx.x] = a.x[threadIdx.x] + static_cast<float>(round);
        cn_meet(counter_of(a), gridDim.x, ++turn);
        if (threadIdx.x == 0)
            a.y[32 + blockIdx.x * 4 + static_cast<unsigned>(round)] = a.y[(blockIdx.x + 1) % gridDim.x * 8 + 7];
        if (!a.planted) cn_meet(counter_of(a), gridDim.x, ++turn);
    }
}

CN_KERNEL(kThreads) missing_block(args a) {
    if (a.planted && blockIdx.x == 2) return;
    cn_meet(counter_of(a), gridDim.x, 1);
}

/* Two lines are two barriers, one counter or not. */
CN_KERNEL(kThreads) divergent_meet(args a) {
    if (a.planted && blockIdx.x == 1) {
        cn_meet(counter_of(a), gridDim.x, 1);
    } else {
        cn_meet(counter_of(a), gridDim.x, 1);
    }
}

/* Half of the threads of a block. */
CN_KERNEL(kThreads) partial_meet(args a) {
    if (!a.planted || blockIdx.x != 1 || threadIdx.x < 4) cn_meet(counter_of(a), gridDim.x, 1);
    else __syncthreads();
}

/* A second launch with a counter that nobody cleared. */
CN_KERNEL(kThreads) used_counter(args a) { cn_meet(a.planted ? counter_of(a) - 1 : counter_of(a), gridDim.x, 1); }

/* The blocks of this one are not launched together. */
CN_KERNEL(kThreads) meet_apart(args a) { cn_meet(counter_of(a), gridDim.x, 1); }

enum launched { APART, TOGETHER, TOGETHER_UNLESS_PLANTED };

struct planted {
    const char* name;
    void (*kernel)(args);
    unsigned blocks;
    size_t shared;
    launched how = APART;
};

const planted kPlanted[] = {
    {"global_out_of_bounds", global_out_of_bounds, 2, 0},
    {"missing_syncthreads", missing_syncthreads, 1, 0},
    {"missing_second_syncthreads", missing_second_syncthreads, 1, 0},
    {"missing_syncwarp", missing_syncwarp, 1, 0},
    {"misaligned_vector", misaligned_vector, 1, 0},
    {"uninitialised_shared", uninitialised_shared, 1, 0},
    {"race_between_blocks", race_between_blocks, 4, 0},
    {"missing_threadfence", missing_threadfence, 4, 0},
    {"wrong_lane_mask", wrong_lane_mask, 1, 0},
    {"lane_outside_mask", lane_outside_mask, 1, 0},
    {"divergent_barrier", divergent_barrier, 1, 0},
    {"barrier_after_return", barrier_after_return, 1, 0},
    {"static_shared_out_of_bounds", static_shared_out_of_bounds, 1, 0},
    {"dynamic_shared_out_of_bounds", dynamic_shared_out_of_bounds, 1, kThreads * sizeof(float)},
    {"too_much_shared", too_much_shared, 1, 0},
    {"missing_meet", missing_meet, 4, 0, TOGETHER},
    {"missing_second_meet", missing_second_meet, 4, 0, TOGETHER},
    {"missing_block", missing_block, 4, 0, TOGETHER},
    {"divergent_meet", divergent_meet, 4, 0, TOGETHER},
    {"partial_meet", partial_meet, 4, 0, TOGETHER},
    {"used_counter", used_counter, 4, 0, TOGETHER},
    {"meet_apart", meet_apart, 4, 0, TOGETHER_UNLESS_PLANTED},
};

cudaError_t launch_now(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t) {
    return cn_host_execute(static_cast<const cn_host_kernel*>(kernel), grid, block, arguments, shared);
}

cudaError_t launch_together_now(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                                cudaStream_t) {
    return cn_host_execute_together(static_cast<const cn_host_kernel*>(kernel), grid, block, arguments, shared);
}

/* Runs it with three seeds: results that differ are a bug too. */
bool run(const planted& p, bool bug) {
    const cn_queue queue = {nullptr, launch_now, launch_together_now};
    std::vector<float> first;

    for (uint64_t seed = 0; seed < 3; seed++) {
        std::vector<float> x(kThreads), y(kThreads);
        for (int i = 0; i < kThreads; i++) x[static_cast<size_t>(i)] = static_cast<float>(i);
        if (p.how != APART) memset(&y[kThreads - 2], 1, sizeof y[0]);
        cn_host_set_order(seed);
        const args a = {x.data(), y.data(), kThreads, bug};
        const bool together = p.how == TOGETHER || (p.how == TOGETHER_UNLESS_PLANTED && !bug);
        const cudaError_t error = together ? cn_launch_together(&queue, p.kernel, dim3(p.blocks), dim3(8), p.shared, a)
                                           : cn_launch(&queue, p.kernel, dim3(p.blocks), dim3(kThreads), p.shared, a);
        if (error != cudaSuccess) {
            printf("%s: launch failed: %d\n", p.name, static_cast<int>(error));
            return false;
        }
        if (seed == 0) first = y;
        if (memcmp(first.data(), y.data(), y.size() * sizeof(float)) != 0) {
            printf("%s: the result depends on the seed\n", p.name);
            return false;
        }
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const char* wanted = argc > 1 ? argv[1] : "correct";
    const bool correct = strcmp(wanted, "correct") == 0;
    bool good = true, found = correct;

    signal(SIGABRT, [](int) { _exit(1); });  // a report of host execution: a failure like the sanitizers', not a crash
    for (const planted& p : kPlanted) {
        if (!correct && strcmp(p.name, wanted) != 0) continue;
        found = true;
        good = run(p, !correct) && good;
    }
    if (!found) printf("there is no %s\n", wanted);
    if (found && good) printf("nothing to report\n");
    return found && good ? 0 : 1;
}
