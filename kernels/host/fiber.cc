/* Fibers: a stack from mmap with a guard page below, and a switch that saves what the ABI calls callee-saved. */
#include "kernels/host/fiber.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

extern "C" {
void __sanitizer_start_switch_fiber(void** fake_save, const void* bottom, size_t size) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void* fake, const void** bottom_old, size_t* size_old) __attribute__((weak));
void __asan_poison_memory_region(const volatile void* p, size_t n) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void* p, size_t n) __attribute__((weak));
void* __tsan_get_current_fiber(void) __attribute__((weak));
void* __tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void* fiber) __attribute__((weak));
void __tsan_switch_to_fiber(void* fiber, unsigned flags) __attribute__((weak));
void __tsan_acquire(void* tag) __attribute__((weak));
void __tsan_release(void* tag) __attribute__((weak));
void cn_fiber_swap(void** save_sp, void* sp);
}

/* Pushes the callee-saved registers, stores sp, takes the other sp, pops them. */
#if defined(__x86_64__)
asm(R"(
.text
.p2align 4
.type cn_fiber_swap,@function
.hidden cn_fiber_swap
.globl cn_fiber_swap
cn_fiber_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size cn_fiber_swap,.-cn_fiber_swap
)");
static const int saved_words = 6;  // then the return address
static const int frame_words = 8;  // entry sees sp as after a call: 8 below a multiple of 16
static const int entry_word = 6;
#elif defined(__aarch64__)
asm(R"(
.text
.p2align 4
.type cn_fiber_swap,%function
.hidden cn_fiber_swap
.globl cn_fiber_swap
cn_fiber_swap:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size cn_fiber_swap,.-cn_fiber_swap
)");
static const int saved_words = 20;
static const int frame_words = 20;
static const int entry_word = 11;  // x30
#else
#error "a fiber switch for this machine is needed"
#endif

static const size_t stack_bytes = 256 << 10;

static thread_local cn_fiber* tls_to;  // the fiber that runs

bool cn_fiber_has_asan() { return __sanitizer_start_switch_fiber != nullptr && __asan_poison_memory_region != nullptr; }
bool cn_fiber_has_tsan() { return __tsan_create_fiber != nullptr; }

void cn_fiber_adopt(cn_fiber* out) {
    pthread_attr_t attr;
    void* stack = nullptr;

    memset(out, 0, sizeof *out);
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &stack, &out->size);
        pthread_attr_destroy(&attr);
    }
    out->stack = static_cast<char*>(stack);
    if (cn_fiber_has_tsan()) out->tsan = __tsan_get_current_fiber();
}

bool cn_fiber_create(cn_fiber* out, void (*entry)(), unsigned number) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

    memset(out, 0, sizeof *out);
    void* memory = mmap(nullptr, stack_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    if (mprotect(memory, page, PROT_NONE) != 0) {
        munmap(memory, stack_bytes + page);
        return false;
    }
    out->stack = static_cast<char*>(memory) + page;
    out->size = stack_bytes;
    out->owned = true;
    // Tops of stacks at different cache sets: all threads of a block touch theirs in turn.
    void** sp = reinterpret_cast<void**>(out->stack + out->size - 64 - (number % 31) * 128) - frame_words;
    static_assert(frame_words % 2 == 0 && saved_words <= frame_words, "the stack stays aligned to 16");
    for (int i = 0; i < frame_words; i++) sp[i] = nullptr;
    sp[entry_word] = reinterpret_cast<void*>(entry);
    out->sp = sp;
    if (cn_fiber_has_tsan()) out->tsan = __tsan_create_fiber(0);
    return true;
}

void cn_fiber_destroy(cn_fiber* f) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

    if (!f->owned) return;
    if (f->tsan != nullptr) __tsan_destroy_fiber(f->tsan);
    cn_fiber_unpoison(f->stack, f->size);
    munmap(f->stack - page, f->size + page);
    memset(f, 0, sizeof *f);
}

void cn_fiber_entered() {
    if (cn_fiber_has_asan()) __sanitizer_finish_switch_fiber(tls_to->asan_fake, nullptr, nullptr);
}

void cn_fiber_switch(cn_fiber* from, cn_fiber* to) {
    if (cn_fiber_has_asan()) __sanitizer_start_switch_fiber(&from->asan_fake, to->stack, to->size);
    if (cn_fiber_has_tsan()) __tsan_switch_to_fiber(to->tsan, 1);
    tls_to = to;
    cn_fiber_swap(&from->sp, to->sp);
    if (cn_fiber_has_asan()) __sanitizer_finish_switch_fiber(from->asan_fake, nullptr, nullptr);
}

void cn_fiber_release(void* tag) {
    if (cn_fiber_has_tsan()) __tsan_release(tag);
}
void cn_fiber_acquire(void* tag) {
    if (cn_fiber_has_tsan()) __tsan_acquire(tag);
}
void cn_fiber_poison(void* p, size_t n) {
    if (cn_fiber_has_asan()) __asan_poison_memory_region(p, n);
}
void cn_fiber_unpoison(void* p, size_t n) {
    if (cn_fiber_has_asan()) __asan_unpoison_memory_region(p, n);
}
