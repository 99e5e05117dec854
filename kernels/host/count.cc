#include "kernels/host/count.h"

#ifndef CN_COUNT_BYTES

void cn_host_count_block(const void*, size_t, bool) {}
void cn_host_count_kernel(const char*) {}
void cn_host_count_bytes(const void*, size_t, bool) {}

#else

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace {

struct total {
    uint64_t launches = 0, bytes[2] = {0, 0};
};
struct range {
    uintptr_t first = 0, size = 0;
};

struct state {
    std::mutex lock; /* of the blocks; kernels are counted from one thread */
    std::map<uintptr_t, size_t> blocks;
    std::map<std::string, total> totals;
    total* now = nullptr;
    range last, all; /* the block of the last hit; what all lie in */
    ~state() {
        const char* path = getenv("CORNU_HOST_COUNT");
        FILE* out = path ? fopen(path, "w") : nullptr;
        if (!out) return;
        for (const auto& t : totals)
            fprintf(out, "%s\t%llu\t%llu\t%llu\n", t.first.c_str(), static_cast<unsigned long long>(t.second.launches), static_cast<unsigned long long>(t.second.bytes[0]),
                    static_cast<unsigned long long>(t.second.bytes[1]));
        fclose(out);
    }
};

state& s() {
    static state it;
    return it;
}

bool is_device(uintptr_t at) {
    state& it = s();
    if (at - it.last.first < it.last.size) return true;
    if (at - it.all.first >= it.all.size) return false;
    auto next = it.blocks.upper_bound(at);
    if (next == it.blocks.begin()) return false;
    --next;
    if (at - next->first >= next->second) return false;
    it.last = {next->first, next->second};
    return true;
}

}  // namespace

void cn_host_count_block(const void* memory, size_t bytes, bool gone) {
    std::lock_guard<std::mutex> held(s().lock);
    if (gone) s().blocks.erase(reinterpret_cast<uintptr_t>(memory));
    else s().blocks[reinterpret_cast<uintptr_t>(memory)] = bytes;
    s().last = s().all = range();
    if (s().blocks.empty()) return;
    s().all.first = s().blocks.begin()->first;
    s().all.size = s().blocks.rbegin()->first + s().blocks.rbegin()->second - s().all.first;
}

void cn_host_count_kernel(const char* name) {
    s().now = &s().totals[name ? name : "?"];
    s().now->launches++;
}

void cn_host_count_bytes(const void* address, size_t bytes, bool written) {
    if (s().now && is_device(reinterpret_cast<uintptr_t>(address))) s().now->bytes[written] += bytes;
}

/* What the compiler calls; see -fsanitize=thread. Atomics are one load and one store. */
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, size_t n) { cn_host_count_bytes(p, n, false); }
void __tsan_write_range(void* p, size_t n) { cn_host_count_bytes(p, n, true); }

#define CN_SIZE(n)                                                                   \
    void __tsan_read##n(void* p) { cn_host_count_bytes(p, n, false); }               \
    void __tsan_write##n(void* p) { cn_host_count_bytes(p, n, true); }               \
    void __tsan_unaligned_read##n(void* p) { cn_host_count_bytes(p, n, false); }     \
    void __tsan_unaligned_write##n(void* p) { cn_host_count_bytes(p, n, true); }     \
    void __tsan_volatile_read##n(void* p) { cn_host_count_bytes(p, n, false); }      \
    void __tsan_volatile_write##n(void* p) { cn_host_count_bytes(p, n, true); }
CN_SIZE(1) CN_SIZE(2) CN_SIZE(4) CN_SIZE(8) CN_SIZE(16)

#define CN_CHANGE(bits, name, builtin)                                                               \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t* p, uint##bits##_t v, int) { \
        cn_host_count_bytes(const_cast<uint##bits##_t*>(p), bits / 8, false);                        \
        cn_host_count_bytes(const_cast<uint##bits##_t*>(p), bits / 8, true);                         \
        return builtin(p, v, __ATOMIC_RELAXED);                                                      \
    }
#define CN_ATOMIC(bits)                                                                                                                    \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* p, int) {                                                     \
        cn_host_count_bytes(const_cast<uint##bits##_t*>(p), bits / 8, false);                                                              \
        return __atomic_load_n(p, __ATOMIC_RELAXED);                                                                                       \
    }                                                                                                                                      \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t* p, uint##bits##_t v, int) {                                                  \
        cn_host_count_bytes(const_cast<uint##bits##_t*>(p), bits / 8, true);                                                               \
        __atomic_store_n(p, v, __ATOMIC_RELAXED);                                                                                          \
    }                                                                                                                                      \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t* p, uint##bits##_t* old, uint##bits##_t v, int, int) {       \
        cn_host_count_bytes(const_cast<uint##bits##_t*>(p), bits / 8, true);                                                               \
        return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);                                          \
    }                                                                                                                                      \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t* p, uint##bits##_t old, uint##bits##_t v, int, int) { \
        __tsan_atomic##bits##_compare_exchange_strong(p, &old, v, 0, 0);                                                                   \
        return old;                                                                                                                        \
    }                                                                                                                                      \
    CN_CHANGE(bits, exchange, __atomic_exchange_n)                                                                                         \
    CN_CHANGE(bits, fetch_add, __atomic_fetch_add) CN_CHANGE(bits, fetch_sub, __atomic_fetch_sub) CN_CHANGE(bits, fetch_and, __atomic_fetch_and) \
    CN_CHANGE(bits, fetch_or, __atomic_fetch_or) CN_CHANGE(bits, fetch_xor, __atomic_fetch_xor)
CN_ATOMIC(8) CN_ATOMIC(16) CN_ATOMIC(32) CN_ATOMIC(64)
}

#endif
