/* Stacks that are switched between on one OS thread, with what AddressSanitizer and ThreadSanitizer have to be told. */
#ifndef CN_KERNELS_HOST_FIBER_H
#define CN_KERNELS_HOST_FIBER_H

#include <cstddef>

struct cn_fiber {
    void* sp;         /* while it does not run */
    char* stack;      /* lowest byte, above the guard page */
    size_t size;
    bool owned;       /* false: the OS thread's own stack */
    void* asan_fake;  /* AddressSanitizer's, while it does not run */
    void* tsan;       /* ThreadSanitizer's */
    cn_fiber* next;   /* of a list of the owner */
};

/* Which sanitizers the program has: their functions are looked up weakly. */
bool cn_fiber_has_asan();
bool cn_fiber_has_tsan();

/* The running OS thread as a fiber. */
void cn_fiber_adopt(cn_fiber* out);
/* A fiber that calls entry at its first switch; entry must not return. False when there is no memory. */
bool cn_fiber_create(cn_fiber* out, void (*entry)(), unsigned number);
void cn_fiber_destroy(cn_fiber* f);
/* Runs `to`; returns when something switches back to `from`. No order between the two is implied. */
void cn_fiber_switch(cn_fiber* from, cn_fiber* to);
/* Must be called first by an entry function. */
void cn_fiber_entered();

void cn_fiber_release(void* tag); /* what this fiber did happens before ... */
void cn_fiber_acquire(void* tag); /* ... what a fiber does that acquires the tag later */
void cn_fiber_poison(void* p, size_t n);
void cn_fiber_unpoison(void* p, size_t n);

#endif
