/* The scheduler of blocks of threads.
 *
 *     worker (one an OS thread)   the launch at work, the blocks that are alive, and fibers that are free
 *     team                        a block that is alive, with its threads, warps, barrier and shared memory. A launch has one, that all its blocks
 *                                 are in turn, or one for each block if the blocks are launched together (a cooperative launch)
 *     thread                      not started -> runs -> (waits -> ready -> runs)* -> ended
 *     meeting                     teams that wait for each other
 *
 * A fiber that ends a thread takes the next one that has not started, so kernels that never wait run on one stack without a switch. A thread
 * that waits leaves its fiber parked and switches straight to the next ready thread, of its team if there is one and the seed is 0.
 *
 * Under ThreadSanitizer a fiber is a thread with a stack of its own, taken from a ring: threads of one launch share one only if they are more
 * than the ring has (launches are in order anyway). Shared memory and tags are then fresh in each block and live until the launch ends, so that
 * no edge is drawn between blocks. */
#include "kernels/host/worker.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/host/count.h"

using namespace cn_host_scheduler;

namespace {

std::atomic<uint64_t> order_seed{0};
std::atomic<bool> order_set{false};

thread_local worker* tls;

}  // namespace

worker* cn_host_scheduler::get_worker() { return tls; }

void cn_host_scheduler::fail_text(const char* file, int line, const char* what) {
    fflush(stdout);
    fprintf(stderr, "host execution: %s:%d: %s\n", file, line, what);
    fflush(stderr);
    abort();
}

void cn_host_scheduler::describe(char* text, size_t size, const team* m, int t) {
    const uint3 i = m->threads[t].index;
    const uint3 b = m->block_index;
    snprintf(text, size, "thread (%u,%u,%u) of block (%u,%u,%u)", i.x, i.y, i.z, b.x, b.y, b.z);
}

const char* cn_host_scheduler::op_name(cn_host_op op) {
    static const char* const names[] = {
        "__syncthreads", "__syncthreads_count", "__syncthreads_and", "__syncthreads_or",  "cn_meet",
        "__syncwarp",    "__shfl_sync",         "__shfl_up_sync",    "__shfl_down_sync",  "__shfl_xor_sync",
        "__ballot_sync", "__match_any_sync",    "__reduce_sync",     "a matrix operation"};
    return names[op];
}

bool cn_host_scheduler::same_place(const char* file_a, int line_a, const char* file_b, int line_b) {
    return line_a == line_b && (file_a == file_b || strcmp(file_a, file_b) == 0);
}

namespace {

uint64_t next_random(worker* w) {
    w->random += 0x9e3779b97f4a7c15ULL;
    uint64_t z = w->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* Writes garbage; not memset, which ThreadSanitizer would see as this thread's. */
void fill(void* p, size_t n, unsigned char byte) {
    char* c = static_cast<char*>(p);
    for (; n >= 8; n -= 8, c += 8) {
        uint64_t word = byte * 0x0101010101010101ULL;
        __builtin_memcpy(c, &word, 8);
        asm volatile("" : "+r"(c) : : "memory");
    }
    for (; n > 0; n--, c++) {
        *c = static_cast<char>(byte);
        asm volatile("" : "+r"(c) : : "memory");
    }
}

/* ---- fibers and picking the next thread ------------------------------------------------------------------------------ */

int nth_bit(uint32_t bits, int n) {
    while (n-- > 0) bits &= bits - 1;
    return __builtin_ctz(bits);
}

/* A team that has a ready thread, or NULL. */
team* pick_team(worker* w) {
    unsigned ready = 0;

    if (w->alive == 1 || (w->seed == 0 && w->now->warps_ready != 0)) return w->now->warps_ready != 0 ? w->now : nullptr;
    for (unsigned i = 0; i < w->alive; i++) {
        if (w->teams[i]->warps_ready == 0) continue;
        if (w->seed == 0) return w->teams[i];
        ready++;
    }
    uint64_t left = ready > 0 ? next_random(w) % ready : 0;
    for (unsigned i = 0; i < w->alive; i++) {
        if (w->teams[i]->warps_ready != 0 && left-- == 0) return w->teams[i];
    }
    return nullptr;
}

/* A ready thread, no longer ready, and its team; -1 if there is none. */
int pick(worker* w, team** out) {
    team* m = pick_team(w);
    int warp_at = w->current / warp_size;
    int lane;

    *out = m;
    if (m == nullptr) return -1;
    if (w->seed == 0) {
        if (m->warps[warp_at].ready == 0) warp_at = __builtin_ctz(m->warps_ready);
        lane = __builtin_ctz(m->warps[warp_at].ready);
    } else {
        const uint64_t r = next_random(w);
        warp_at = nth_bit(m->warps_ready,
                          static_cast<int>((r & 0xffff) % static_cast<unsigned>(__builtin_popcount(m->warps_ready))));
        const uint32_t ready = m->warps[warp_at].ready;
        lane = nth_bit(ready, static_cast<int>((r >> 32) % static_cast<unsigned>(__builtin_popcount(ready))));
    }
    m->warps[warp_at].ready &= ~(1u << lane);
    if (m->warps[warp_at].ready == 0) m->warps_ready &= ~(1u << warp_at);
    return warp_at * warp_size + lane;
}

bool has_started(const team* m, int t) { return (m->warps[t / warp_size].started >> (t % warp_size)) & 1; }

void switch_to(worker* w, cn_fiber* to) {
    cn_fiber* from = w->running;
    if (from == to) return;
    w->running = to;
    cn_fiber_switch(from, to);
}

void fiber_main();

cn_fiber* new_fiber(worker* w) {
    if (w->fiber_count == most_fibers) fail_text(__FILE__, __LINE__, "too many fibers");
    cn_fiber* f = new cn_fiber;
    if (!cn_fiber_create(f, fiber_main, w->fiber_count)) fail_text(__FILE__, __LINE__, "no memory for a fiber's stack");
    return w->fibers[w->fiber_count++] = f;
}

/* A fiber without a thread. */
cn_fiber* take_fiber(worker* w) {
    if (cn_fiber_has_tsan()) return w->fibers[w->ring_next++ % (w->together ? most_fibers : ring_size)];
    cn_fiber* f = w->free_fibers;
    if (f == nullptr) return new_fiber(w);
    w->free_fibers = f->next;
    return f;
}

/* Under ThreadSanitizer a new fiber comes after what made it: only the launching thread may, not a thread of the block. */
void make_fibers(worker* w) {
    const unsigned wanted = w->ring_next + static_cast<unsigned>(w->thread_count) * w->alive;
    while ((w->together || w->fiber_count < ring_size) && w->fiber_count < wanted) new_fiber(w);
}

/* Goes on with thread t of team m on its own fiber or, if it has not started, on one that is free. */
void go_to(worker* w, team* m, int t) {
    w->now = m;
    w->current = t;
    switch_to(w, has_started(m, t) ? m->threads[t].fiber : take_fiber(w));
}

void end_thread(const worker* w) {
    team* m = w->now;
    const int t = w->current;
    warp* p = &m->warps[t / warp_size];
    const uint32_t bit = 1u << (t % warp_size);

    m->ended++;
    p->ended |= bit;
    if (m->copies_used && m->copies_begin[t] != m->copies_end[t]) {
        char a[96], text[200];
        describe(a, sizeof a, m, t);
        snprintf(text, sizeof text, "%s ended before it waited for its asynchronous copies", a);
        fail_text(__FILE__, __LINE__, text);
    }
    if (m->sync.arrived > 0) {
        char a[96], b[96], text[320];
        describe(a, sizeof a, m, m->sync.first);
        describe(b, sizeof b, m, t);
        snprintf(text, sizeof text, "divergent barrier: %s waits at %s, %s has ended", a, op_name(m->sync.op), b);
        fail_text(m->sync.file, m->sync.line, text);
    }
    for (int g = 0; g < p->group_count; g++) {
        if (!(p->groups[g].mask & bit)) continue;
        char a[96], text[320];
        describe(a, sizeof a, m, t);
        snprintf(text, sizeof text, "lane mask 0x%08x of %s names a lane that has ended: %s", p->groups[g].mask, op_name(p->groups[g].op), a);
        fail_text(p->groups[g].file, p->groups[g].line, text);
    }
}

/* What every fiber runs: threads that have not started, one after another. */
void fiber_main() {
    cn_fiber_entered();
    worker* w = tls;
    for (;;) {
        team* m = w->now;
        const int t = w->current;
        m->warps[t / warp_size].started |= 1u << (t % warp_size);
        m->threads[t].fiber = w->running;
        cn_fiber_acquire(&w->start_tag);
        w->kernel->invoke(w->kernel->kernel, w->args);
        cn_fiber_release(&w->end_tag);
        end_thread(w);
        const int next = pick(w, &m);
        if (next >= 0 && !has_started(m, next) && !cn_fiber_has_tsan()) {
            w->now = m;
            w->current = next;
            continue;
        }
        w->running->next = w->free_fibers;
        w->free_fibers = w->running;
        if (next >= 0) {
            go_to(w, m, next);
        } else {
            switch_to(w, &w->main);
        }
    }
}

/* No thread of the launch can go on: says why. */
void explain(const worker* w, const team* m) {
    char a[96], text[400];
    for (int i = 0; i < w->warp_count; i++) {
        const warp* p = &m->warps[i];
        for (int g = 0; g < p->group_count; g++) {
            const group* q = &p->groups[g];
            describe(a, sizeof a, m, i * warp_size + __builtin_ctz(q->arrived));
            fprintf(stderr, "host execution: %s:%d: lanes 0x%08x of mask 0x%08x wait at %s: %s\n", q->file, q->line, q->arrived, q->mask, op_name(q->op), a);
        }
    }
    if (m->sync.arrived > 0) {
        snprintf(text, sizeof text, "divergent barrier: %d of %d threads wait at %s, the others elsewhere",
                 m->sync.arrived, w->thread_count, op_name(m->sync.op));
        fail_text(m->sync.file, m->sync.line, text);
    }
}

[[noreturn]] void deadlock(const worker* w) {
    char text[400];
    for (unsigned i = 0; i < w->alive; i++) explain(w, w->teams[i]);
    for (const meeting& m : w->meetings) {
        if (m.counter == nullptr) continue;
        snprintf(text, sizeof text,
                 "divergent barrier: %u of %u blocks have come to %s, the first of them (%u,%u,%u); the others have "
                 "ended or wait elsewhere",
                 m.arrived, m.members, op_name(CN_HOST_MEET), m.first.x, m.first.y, m.first.z);
        fail_text(m.file, m.line, text);
    }
    fail_text(__FILE__, __LINE__, "wrong lane mask: no thread can go on");
}

}  // namespace

void cn_host_scheduler::wait(worker* w) {
    const team* mine = w->now;
    const int me = w->current;
    team* m;
    const int next = pick(w, &m);
    if (next < 0) deadlock(w);
    if (m != mine || next != me) go_to(w, m, next);
}

void cn_host_scheduler::make_ready(team* m, int warp_at, uint32_t lanes) {
    m->warps[warp_at].ready |= lanes;
    m->warps_ready |= 1u << warp_at;
}

namespace {

/* ---- memory of a block ------------------------------------------------------------------------------------------------ */

/* Memory that no other block of the launch has. */
void* keep(worker* w, size_t bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, 256, bytes) != 0) fail_text(__FILE__, __LINE__, "no memory");
    w->kept[w->kept_count++] = p;
    return p;
}

/* What all blocks until now did happens before what is done from here on. */
void free_kept(worker* w) {
    cn_fiber_acquire(&w->end_tag);
    for (int i = 0; i < w->kept_count; i++) free(w->kept[i]);
    w->kept_count = 0;
}

/* ThreadSanitizer takes an allocation for a write by the thread that makes it: the launching one, before any thread of the block starts. */
void take_fresh(worker* w, team* m) {
    if (w->kept_count + 2 > 2 * kept_blocks) free_kept(w); /* more blocks than are launched together */
    m->arena = static_cast<char*>(keep(w, arena_bytes));
    m->sync_tags = static_cast<tags*>(keep(w, sizeof(tags)));
    make_fibers(w);
    cn_fiber_release(&w->start_tag);
}

void* take_shared(const worker* w, team* m, size_t bytes, size_t align, const char* file, int line) {
    m->shared_used = (m->shared_used + align - 1) / align * align + bytes;
    if (m->shared_used > shared_limit) fail_text(file, line, "shared memory of a block exceeds 48 KiB");
    size_t at = m->arena_used + red_zone;
    at = (at + 15) & ~static_cast<size_t>(15);
    char* p = m->arena + at;
    m->arena_used = at + bytes;
    cn_fiber_unpoison(p, bytes);
    fill(p, bytes, w->poison);
    return p;
}

void reset_shared(worker* w, team* m) {
    if (cn_fiber_has_tsan()) take_fresh(w, m);
    else if (m->arena_used > 0) cn_fiber_poison(m->arena, m->arena_used + red_zone);
    m->arena_used = m->shared_used = 0;
    m->site_count = 0;
    m->dynamic = nullptr;
    if (w->dynamic_bytes > 0) m->dynamic = take_shared(w, m, w->dynamic_bytes, 16, "dynamic shared memory", 0);
}

/* ---- blocks and launches ---------------------------------------------------------------------------------------------- */

/* Makes team m block number `at`. */
void start_block(worker* w, team* m, uint64_t at) {
    m->block_index = uint3{static_cast<unsigned>(at % w->grid.x), static_cast<unsigned>(at / w->grid.x % w->grid.y),
                           static_cast<unsigned>(at / w->grid.x / w->grid.y)};
    m->ended = 0;
    m->counter = nullptr;
    m->waits_for = nullptr;
    m->warps_ready = w->warp_count == 32 ? ~0u : (1u << w->warp_count) - 1;
    m->sync.arrived = 0;
    for (int i = 0; i < w->warp_count; i++) {
        warp* p = &m->warps[i];
        const int lanes = w->thread_count - i * warp_size;
        p->exists = lanes >= warp_size ? ~0u : (1u << lanes) - 1;
        p->ready = p->exists;
        p->ended = p->started = 0;
        p->group_count = 0;
    }
    if (m->copies_used) {
        for (int t = 0; t < w->thread_count; t++) {
            m->copies_begin[t] = m->copies_end[t] = m->copy_groups[t] = 0;
        }
        m->copies_used = false;
    }
    reset_shared(w, m);
}

void index_threads(const worker* w, team* m) {
    int t = 0;
    for (unsigned z = 0; z < w->block.z; z++) {
        for (unsigned y = 0; y < w->block.y; y++) {
            for (unsigned x = 0; x < w->block.x; x++, t++) m->threads[t].index = uint3{x, y, z};
        }
    }
}

uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        const uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Runs all threads that are alive to their end. */
void run_threads(worker* w) {
    team* m;
    const int first = pick(w, &m);
    go_to(w, m, first);
    for (unsigned i = 0; i < w->alive; i++) {
        if (w->teams[i]->ended != w->thread_count) deadlock(w);
    }
}

/* One after another. */
void run_blocks(worker* w) {
    const uint64_t count = static_cast<uint64_t>(w->grid.x) * w->grid.y * w->grid.z;
    uint64_t step = 1, first = 0;

    if (w->seed != 0 && count > 1) {
        first = next_random(w) % count;
        do step = next_random(w) % count;
        while (greatest_common_divisor(step, count) != 1);
    }
    for (uint64_t i = 0, at = first; i < count; i++, at = (at + step) % count) {
        w->current = 0;
        w->now = w->teams[0];
        start_block(w, w->now, at);
        run_threads(w);
    }
}

/* All at once. */
void run_together(worker* w) {
    w->current = 0;
    w->now = w->teams[0];
    for (meeting& m : w->meetings) m.counter = nullptr;
    for (unsigned i = 0; i < w->alive; i++) start_block(w, w->teams[i], i);
    run_threads(w);
}

const size_t copies_bytes = sizeof(cn_host_copy[max_copies]) * max_threads;

void* map(size_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail_text(__FILE__, __LINE__, "no memory");
    return p;
}

worker* create_worker() {
    worker* w = new worker();
    cn_fiber_adopt(&w->main);
    w->running = &w->main;
    return w;
}

team* create_team() {
    team* m = new team();
    m->copies = static_cast<cn_host_copy(*)[max_copies]>(map(copies_bytes));
    if (!cn_fiber_has_tsan()) {
        m->arena = static_cast<char*>(map(arena_bytes));
        cn_fiber_poison(m->arena, arena_bytes);
    }
    return m;
}

void destroy_team(team* m) {
    if (m == nullptr) return;
    munmap(m->copies, copies_bytes);
    if (!cn_fiber_has_tsan()) {
        cn_fiber_unpoison(m->arena, arena_bytes);
        munmap(m->arena, arena_bytes);
    }
    delete m;
}

/* Ends with the OS thread. */
struct worker_owner {
    worker* w = nullptr;
    ~worker_owner() {
        if (w == nullptr) return;
        for (unsigned i = 0; i < w->fiber_count; i++) {
            cn_fiber_destroy(w->fibers[i]);
            delete w->fibers[i];
        }
        for (team* m : w->teams) destroy_team(m);
        delete w;
        tls = nullptr;
    }
};

thread_local worker_owner owner;

uint64_t current_seed() {
    if (!order_set.load(std::memory_order_relaxed)) {
        const char* text = getenv("CN_HOST_SEED");
        cn_host_set_order(text != nullptr ? strtoull(text, nullptr, 10) : 0);
    }
    return order_seed.load(std::memory_order_relaxed);
}

/* ---- barriers ------------------------------------------------------------------------------------------------------------ */

/* The current thread is at a barrier of its block; true if it is the last to come. */
bool arrive(const worker* w, team* m, cn_host_op op, int predicate, const char* file, int line) {
    barrier* b = &m->sync;

    if (b->arrived == 0) {
        b->op = op;
        b->file = file;
        b->line = line;
        b->first = w->current;
        b->count = 0;
        b->turn++;
    }
    if (m->ended > 0 || b->op != op || !same_place(b->file, b->line, file, line)) {
        char x[96], y[96], text[400];
        describe(x, sizeof x, m, w->current);
        describe(y, sizeof y, m, b->first);
        if (m->ended > 0) {
            snprintf(text, sizeof text, "divergent barrier: %s waits at %s, %d threads have ended", x, op_name(op),
                     m->ended);
        } else {
            snprintf(text, sizeof text, "divergent barrier: %s is here, %s at %s:%d", x, y, b->file, b->line);
        }
        fail_text(file, line, text);
    }
    if (predicate) b->count++;
    if (++b->arrived < w->thread_count) return false;
    b->arrived = 0;
    return true;
}

void release_threads(const worker* w, team* m) {
    for (int i = 0; i < w->warp_count; i++) make_ready(m, i, m->warps[i].exists);
}

/* The meeting that a block comes to. */
meeting* find_meeting(worker* w, const meeting* wanted) {
    meeting* unused = nullptr;

    for (meeting& m : w->meetings) {
        if (m.counter == nullptr) unused = &m;
        if (m.counter != wanted->counter) continue;
        if (m.members != wanted->members || m.turn != wanted->turn ||
            !same_place(m.file, m.line, wanted->file, wanted->line)) {
            char text[400];
            snprintf(text, sizeof text,
                     "divergent barrier: block (%u,%u,%u) is here for turn %u of %u blocks, block (%u,%u,%u) at %s:%d "
                     "for turn %u of %u",
                     wanted->first.x, wanted->first.y, wanted->first.z, wanted->turn, wanted->members, m.first.x,
                     m.first.y, m.first.z, m.file, m.line, m.turn, m.members);
            fail_text(wanted->file, wanted->line, text);
        }
        return &m;
    }
    *unused = *wanted; /* each team is at one meeting at most */
    return unused;
}

/* All threads of a block have come. The counter is counted as on a device, so that one that was not zero shows. */
void come(worker* w, const meeting& wanted) {
    meeting* m = find_meeting(w, &wanted);
    const uint32_t count = __atomic_add_fetch(m->counter, 1, __ATOMIC_RELAXED), expected = m->turn * m->members;

    w->now->waits_for = m;
    if (++m->arrived < m->members) return;
    if (count != expected) {
        char text[200];
        snprintf(text, sizeof text,
                 "%u blocks have met %u times and their counter is %u, not %u: it was not zero before the launch",
                 m->members, m->turn, count, expected);
        fail_text(m->file, m->line, text);
    }
    for (unsigned i = 0; i < w->alive; i++) {
        if (w->teams[i]->waits_for != m) continue;
        w->teams[i]->waits_for = nullptr;
        w->teams[i]->counter = nullptr;
        release_threads(w, w->teams[i]);
    }
    m->counter = nullptr;
}

cudaError_t execute(const cn_host_kernel* kernel, dim3 grid, dim3 block, void** args, size_t shared, bool together) {
    if (owner.w == nullptr) tls = owner.w = create_worker();
    cn_host_count_kernel(kernel->name);
    worker* w = tls;
    const bool same = w->block.x == block.x && w->block.y == block.y && w->block.z == block.z;
    w->kernel = kernel;
    w->args = args;
    w->grid = grid;
    w->block = block;
    w->together = together;
    w->alive = together ? grid.x * grid.y * grid.z : 1;
    w->thread_count = static_cast<int>(block.x * block.y * block.z);
    w->warp_count = (w->thread_count + warp_size - 1) / warp_size;
    for (unsigned i = 0; i < most_together && (i < w->alive || w->teams[i] != nullptr); i++) {
        const bool created = w->teams[i] == nullptr;
        if (created) w->teams[i] = create_team();
        if (created || !same) index_threads(w, w->teams[i]);
    }
    w->seed = w->random = current_seed();
    w->poison = static_cast<unsigned char>(w->seed == 0 ? 0xff : 0x3d + 0x1b * w->seed);
    w->dynamic_bytes = shared;
    w->ring_next = 0;
    if (together) run_together(w);
    else run_blocks(w);
    free_kept(w);
    return cudaSuccess;
}

}  // namespace

/* ---- what block.h declares -------------------------------------------------------------------------------------------- */

extern "C" {

void cn_host_set_order(uint64_t seed) {
    order_seed.store(seed, std::memory_order_relaxed);
    order_set.store(true, std::memory_order_relaxed);
}

cudaError_t cn_host_check(dim3 grid, dim3 block, size_t shared) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidConfiguration;
    if (block.x == 0 || block.y == 0 || block.z == 0 || block.x > 1024 || block.y > 1024 || block.z > 64) return cudaErrorInvalidConfiguration;
    if (static_cast<uint64_t>(block.x) * block.y * block.z > static_cast<uint64_t>(max_threads)) return cudaErrorInvalidConfiguration;
    return shared > shared_limit ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cn_host_execute(const cn_host_kernel* kernel, dim3 grid, dim3 block, void** args, size_t shared) {
    const cudaError_t bad = cn_host_check(grid, block, shared);
    return bad != cudaSuccess ? bad : execute(kernel, grid, block, args, shared, false);
}

unsigned cn_host_most_together(unsigned threads) {
    const unsigned fibers = cn_fiber_has_tsan() ? ring_size : most_fibers; /* a thread of ThreadSanitizer's is large */
    return most_together < fibers / threads ? most_together : fibers / threads;
}

cudaError_t cn_host_execute_together(const cn_host_kernel* kernel, dim3 grid, dim3 block, void** args, size_t shared) {
    const cudaError_t bad = cn_host_check(grid, block, shared);
    if (bad != cudaSuccess) return bad;
    if (static_cast<uint64_t>(grid.x) * grid.y * grid.z > cn_host_most_together(block.x * block.y * block.z))
        return cudaErrorCooperativeLaunchTooLarge;
    return execute(kernel, grid, block, args, shared, true);
}

void cn_host_fail(const char* file, int line, const char* what) { fail_text(file, line, what); }

uint3 cn_host_thread_index(void) { return tls->now->threads[tls->current].index; }
uint3 cn_host_block_index(void) { return tls->now->block_index; }
dim3 cn_host_block_dim(void) { return tls->block; }
dim3 cn_host_grid_dim(void) { return tls->grid; }
int cn_host_lane(void) { return tls->current % warp_size; }

int cn_host_barrier(cn_host_op op, int predicate, const char* file, int line) {
    worker* w = tls;
    team* m = w->now;
    const bool last = arrive(w, m, op, predicate, file, line);
    void* tag = cn_fiber_has_tsan() ? &m->sync_tags->barrier[m->sync.turn & 1] : nullptr;

    if (tag != nullptr) cn_fiber_release(tag);
    if (last) {
        barrier* b = &m->sync;
        b->result = op == CN_HOST_SYNCTHREADS_COUNT ? b->count : op == CN_HOST_SYNCTHREADS_AND ? b->count == w->thread_count : b->count > 0;
        release_threads(w, m);
    }
    wait(w);
    if (tag != nullptr) cn_fiber_acquire(tag);
    return m->sync.result;
}

void cn_host_meet(unsigned* counter, unsigned members, unsigned turn, const char* file, int line) {
    worker* w = tls;
    team* m = w->now;
    void* tag = reinterpret_cast<char*>(counter) +
                (turn & 1); /* another one than that of the next turn, which some may reach before all have left */

    if (!w->together)
        fail_text(file, line,
                  "blocks meet in a launch that is not cooperative: some of them may never be alive together");
    const bool last = arrive(w, m, CN_HOST_MEET, 0, file, line);
    if (m->counter != nullptr && m->counter != counter)
        fail_text(file, line, "threads of a block meet other blocks with different counters");
    m->counter = counter;
    cn_fiber_release(tag);
    if (last) come(w, meeting{counter, members, turn, 0, file, line, m->block_index});
    wait(w);
    cn_fiber_acquire(tag);
}

void* cn_host_shared(const cn_host_site* site, size_t bytes, size_t align) {
    worker* w = tls;
    team* m = w->now;
    for (int i = 0; i < m->site_count; i++) {
        if (m->sites[i].site == site) return m->sites[i].memory;
    }
    if (m->site_count == max_sites) fail_text(site->file, site->line, "too many shared arrays");
    shared_array* s = &m->sites[m->site_count++];
    s->site = site;
    s->bytes = bytes;
    s->memory = take_shared(w, m, bytes, align < 16 ? 16 : align, site->file, site->line);
    return s->memory;
}

/* Without any, an address that can be had but not read: kernels ask before they know whether they need it. */
void* cn_host_dynamic_shared(void) {
    return tls->now->dynamic ? tls->now->dynamic : reinterpret_cast<void*>(static_cast<uintptr_t>(16));
}

void cn_host_fence(void) {
    static uint64_t tag;
    cn_fiber_release(&tag);
    cn_fiber_acquire(&tag);
}

void cn_host_async_push(void* dst, const void* src, int bytes) {
    team* m = tls->now;
    const int t = tls->current;
    if (m->copies_end[t] - m->copies_begin[t] == max_copies)
        fail_text(__FILE__, __LINE__, "too many asynchronous copies of a thread");
    m->copies_used = true;
    cn_host_count_bytes(src, static_cast<size_t>(bytes), false);
    m->copies[t][m->copies_end[t]++ % max_copies] = cn_host_copy{dst, src, bytes, m->copy_groups[t]};
}

void cn_host_async_commit(void) {
    tls->now->copies_used = true;
    tls->now->copy_groups[tls->current]++;
}

int cn_host_async_take(int pending, cn_host_copy* out) {
    team* m = tls->now;
    const int t = tls->current;

    if (m->copies_begin[t] == m->copies_end[t]) return 0;
    *out = m->copies[t][m->copies_begin[t] % max_copies];
    if (out->group >= m->copy_groups[t] - pending) return 0;
    m->copies_begin[t]++;
    return 1;
}

}  // extern "C"
