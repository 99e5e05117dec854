/* The scheduler of one block of threads.
 *
 *     worker (one an OS thread)   the block at work, its threads, warps, barrier, shared memory, and fibers that are free
 *     thread                      not started -> runs -> (waits -> ready -> runs)* -> ended
 *
 * A fiber that ends a thread takes the next one that has not started, so kernels that never wait run on one stack without a switch. A thread
 * that waits leaves its fiber parked and switches straight to the next ready thread.
 *
 * Under ThreadSanitizer a fiber is a thread with a stack of its own, taken from a ring: threads of one launch share one only if they are more
 * than the ring has (launches are in order anyway). Shared memory and tags are then fresh in each block and live until the launch ends, so that no edge is drawn between blocks. */
#include "kernels/host/block.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/host/count.h"
#include "kernels/host/fiber.h"

namespace {

const int max_threads = 1024;
const int warp_size = 32;
const int max_warps = max_threads / warp_size;
const int ring_size = 2048;
const size_t shared_limit = 49152;
const size_t red_zone = 64;
const int max_sites = 64;
const size_t arena_bytes = shared_limit + (max_sites + 2) * (red_zone + 64);
const int warp_tags = 8;
const int max_copies = 64;   // that a thread may have pending
const int kept_blocks = 256; // under ThreadSanitizer: blocks whose shared memory stays apart

struct thread {
    uint3 index;
    cn_fiber* fiber;  // while it waits or runs
    uint64_t value;   // posted to a warp operation
    unsigned param;
    uint64_t result;
    void* tag;        // to acquire when it goes on
};

/* A warp operation that some lanes of its mask have reached. */
struct group {
    uint32_t mask, arrived;
    cn_host_op op;
    const char* file;
    int line;
    cn_host_compute compute;
    void* tag;
};

struct warp {
    uint32_t exists, ended;
    uint32_t ready;    // may run
    uint32_t started;
    int group_count;
    unsigned tag_turn;
    group groups[warp_size];
};

struct barrier {
    int arrived;
    cn_host_op op;
    const char* file;
    int line;
    int first;  // thread that reached it first
    int count;  // of non-zero predicates
    int result;
    unsigned turn;
};

struct shared_array {
    const cn_host_site* site;
    void* memory;
    size_t bytes;
};

struct tags {
    uint64_t barrier[2];
    uint64_t warp[max_warps][warp_tags];
};

struct worker {
    cn_fiber main;
    cn_fiber* running;
    cn_fiber* free_fibers;
    cn_fiber* fibers[ring_size];
    unsigned fiber_count;
    unsigned ring_next;

    const cn_host_kernel* kernel;
    void** args;
    dim3 grid, block;
    uint64_t seed, random;
    unsigned char poison;

    uint3 block_index;
    int thread_count, warp_count, ended;
    int current;
    uint32_t warps_ready;
    barrier sync;
    thread threads[max_threads];
    warp warps[max_warps];
    cn_host_copy (*copies)[max_copies];  // of each thread, a ring
    int copies_begin[max_threads], copies_end[max_threads];
    int copy_groups[max_threads];
    bool copies_used;

    char* arena;
    size_t arena_used, shared_used;
    shared_array sites[max_sites];
    int site_count;
    size_t dynamic_bytes;
    void* dynamic;
    tags* sync_tags;
    void* kept[2 * kept_blocks];  // until the launch ends
    int kept_count;
    uint64_t start_tag, end_tag;
};

std::atomic<uint64_t> order_seed{0};
std::atomic<bool> order_set{false};

thread_local worker* tls;

[[noreturn]] void fail_text(const char* file, int line, const char* what) {
    fflush(stdout);
    fprintf(stderr, "host execution: %s:%d: %s\n", file, line, what);
    fflush(stderr);
    abort();
}

void describe(char* text, size_t size, int t) {
    const uint3 i = tls->threads[t].index;
    const uint3 b = tls->block_index;
    snprintf(text, size, "thread (%u,%u,%u) of block (%u,%u,%u)", i.x, i.y, i.z, b.x, b.y, b.z);
}

const char* op_name(cn_host_op op) {
    static const char* const names[] = {"__syncthreads", "__syncthreads_count", "__syncthreads_and", "__syncthreads_or", "__syncwarp", "__shfl_sync", "__shfl_up_sync",
                                        "__shfl_down_sync", "__shfl_xor_sync", "__ballot_sync", "__match_any_sync", "__reduce_sync", "a matrix operation"};
    return names[op];
}

bool same_place(const char* file_a, int line_a, const char* file_b, int line_b) {
    return line_a == line_b && (file_a == file_b || strcmp(file_a, file_b) == 0);
}

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

/* A ready thread, no longer ready; -1 if there is none. */
int pick(worker* w) {
    int warp_at = w->current / warp_size;
    int lane;

    if (w->warps_ready == 0) return -1;
    if (w->seed == 0) {
        if (w->warps[warp_at].ready == 0) warp_at = __builtin_ctz(w->warps_ready);
        lane = __builtin_ctz(w->warps[warp_at].ready);
    } else {
        const uint64_t r = next_random(w);
        warp_at = nth_bit(w->warps_ready, static_cast<int>((r & 0xffff) % static_cast<unsigned>(__builtin_popcount(w->warps_ready))));
        const uint32_t ready = w->warps[warp_at].ready;
        lane = nth_bit(ready, static_cast<int>((r >> 32) % static_cast<unsigned>(__builtin_popcount(ready))));
    }
    w->warps[warp_at].ready &= ~(1u << lane);
    if (w->warps[warp_at].ready == 0) w->warps_ready &= ~(1u << warp_at);
    return warp_at * warp_size + lane;
}

bool has_started(const worker* w, int t) { return (w->warps[t / warp_size].started >> (t % warp_size)) & 1; }

void switch_to(worker* w, cn_fiber* to) {
    cn_fiber* from = w->running;
    if (from == to) return;
    w->running = to;
    cn_fiber_switch(from, to);
}

void fiber_main();

cn_fiber* new_fiber(worker* w) {
    if (w->fiber_count == ring_size) fail_text(__FILE__, __LINE__, "too many fibers");
    cn_fiber* f = new cn_fiber;
    if (!cn_fiber_create(f, fiber_main, w->fiber_count)) fail_text(__FILE__, __LINE__, "no memory for a fiber's stack");
    return w->fibers[w->fiber_count++] = f;
}

/* A fiber without a thread. */
cn_fiber* take_fiber(worker* w) {
    if (cn_fiber_has_tsan()) return w->fibers[w->ring_next++ % ring_size];
    cn_fiber* f = w->free_fibers;
    if (f == nullptr) return new_fiber(w);
    w->free_fibers = f->next;
    return f;
}

/* Under ThreadSanitizer a new fiber comes after what made it: only the launching thread may, not a thread of the block. */
void make_fibers(worker* w) {
    const unsigned wanted = w->ring_next + static_cast<unsigned>(w->thread_count);
    while (w->fiber_count < ring_size && w->fiber_count < wanted) new_fiber(w);
}

/* Goes on with thread t on its own fiber or, if it has not started, on one that is free. */
void go_to(worker* w, int t) {
    w->current = t;
    switch_to(w, has_started(w, t) ? w->threads[t].fiber : take_fiber(w));
}

void end_thread(worker* w) {
    const int t = w->current;
    warp* p = &w->warps[t / warp_size];
    const uint32_t bit = 1u << (t % warp_size);

    w->ended++;
    p->ended |= bit;
    if (w->copies_used && w->copies_begin[t] != w->copies_end[t]) {
        char a[96], text[200];
        describe(a, sizeof a, t);
        snprintf(text, sizeof text, "%s ended before it waited for its asynchronous copies", a);
        fail_text(__FILE__, __LINE__, text);
    }
    if (w->sync.arrived > 0) {
        char a[96], b[96], text[320];
        describe(a, sizeof a, w->sync.first);
        describe(b, sizeof b, t);
        snprintf(text, sizeof text, "divergent barrier: %s waits at %s, %s has ended", a, op_name(w->sync.op), b);
        fail_text(w->sync.file, w->sync.line, text);
    }
    for (int g = 0; g < p->group_count; g++) {
        if (!(p->groups[g].mask & bit)) continue;
        char a[96], text[320];
        describe(a, sizeof a, t);
        snprintf(text, sizeof text, "lane mask 0x%08x of %s names a lane that has ended: %s", p->groups[g].mask, op_name(p->groups[g].op), a);
        fail_text(p->groups[g].file, p->groups[g].line, text);
    }
}

/* What every fiber runs: threads that have not started, one after another. */
void fiber_main() {
    cn_fiber_entered();
    worker* w = tls;
    for (;;) {
        const int t = w->current;
        w->warps[t / warp_size].started |= 1u << (t % warp_size);
        w->threads[t].fiber = w->running;
        cn_fiber_acquire(&w->start_tag);
        w->kernel->invoke(w->kernel->kernel, w->args);
        cn_fiber_release(&w->end_tag);
        end_thread(w);
        const int next = pick(w);
        if (next >= 0 && !has_started(w, next) && !cn_fiber_has_tsan()) {
            w->current = next;
            continue;
        }
        w->running->next = w->free_fibers;
        w->free_fibers = w->running;
        if (next >= 0) {
            go_to(w, next);
        } else {
            switch_to(w, &w->main);
        }
    }
}

[[noreturn]] void deadlock(worker* w) {
    char a[96], text[400];
    for (int i = 0; i < w->warp_count; i++) {
        const warp* p = &w->warps[i];
        for (int g = 0; g < p->group_count; g++) {
            const group* q = &p->groups[g];
            describe(a, sizeof a, i * warp_size + __builtin_ctz(q->arrived));
            fprintf(stderr, "host execution: %s:%d: lanes 0x%08x of mask 0x%08x wait at %s: %s\n", q->file, q->line, q->arrived, q->mask, op_name(q->op), a);
        }
    }
    if (w->sync.arrived > 0) {
        snprintf(text, sizeof text, "divergent barrier: %d of %d threads wait at %s, the others elsewhere", w->sync.arrived, w->thread_count, op_name(w->sync.op));
        fail_text(w->sync.file, w->sync.line, text);
    }
    fail_text(__FILE__, __LINE__, "wrong lane mask: no thread can go on");
}

/* The current thread waits until something makes it ready. */
void wait(worker* w) {
    const int me = w->current;
    const int next = pick(w);
    if (next < 0) deadlock(w);
    if (next != me) go_to(w, next);
}

void make_ready(worker* w, int warp_at, uint32_t lanes) {
    w->warps[warp_at].ready |= lanes;
    w->warps_ready |= 1u << warp_at;
}

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
void take_fresh(worker* w) {
    if (w->kept_count + 2 > 2 * kept_blocks) free_kept(w);
    w->arena = static_cast<char*>(keep(w, arena_bytes));
    w->sync_tags = static_cast<tags*>(keep(w, sizeof(tags)));
    make_fibers(w);
    cn_fiber_release(&w->start_tag);
}

void* take_shared(worker* w, size_t bytes, size_t align, const char* file, int line) {
    w->shared_used = (w->shared_used + align - 1) / align * align + bytes;
    if (w->shared_used > shared_limit) fail_text(file, line, "shared memory of a block exceeds 48 KiB");
    size_t at = w->arena_used + red_zone;
    at = (at + 15) & ~static_cast<size_t>(15);
    char* p = w->arena + at;
    w->arena_used = at + bytes;
    cn_fiber_unpoison(p, bytes);
    fill(p, bytes, w->poison);
    return p;
}

void reset_shared(worker* w) {
    if (cn_fiber_has_tsan()) take_fresh(w);
    else if (w->arena_used > 0) cn_fiber_poison(w->arena, w->arena_used + red_zone);
    w->arena_used = w->shared_used = 0;
    w->site_count = 0;
    w->dynamic = nullptr;
    if (w->dynamic_bytes > 0) w->dynamic = take_shared(w, w->dynamic_bytes, 16, "dynamic shared memory", 0);
}

/* ---- blocks and launches ---------------------------------------------------------------------------------------------- */

void start_block(worker* w) {
    w->ended = 0;
    w->current = 0;
    w->warps_ready = w->warp_count == 32 ? ~0u : (1u << w->warp_count) - 1;
    w->sync.arrived = 0;
    for (int i = 0; i < w->warp_count; i++) {
        warp* p = &w->warps[i];
        const int lanes = w->thread_count - i * warp_size;
        p->exists = lanes >= warp_size ? ~0u : (1u << lanes) - 1;
        p->ready = p->exists;
        p->ended = p->started = 0;
        p->group_count = 0;
    }
    if (w->copies_used) {
        for (int t = 0; t < w->thread_count; t++) {
            w->copies_begin[t] = w->copies_end[t] = w->copy_groups[t] = 0;
        }
        w->copies_used = false;
    }
    reset_shared(w);
}

void index_threads(worker* w) {
    int t = 0;
    for (unsigned z = 0; z < w->block.z; z++) {
        for (unsigned y = 0; y < w->block.y; y++) {
            for (unsigned x = 0; x < w->block.x; x++, t++) w->threads[t].index = uint3{x, y, z};
        }
    }
    w->thread_count = t;
    w->warp_count = (t + warp_size - 1) / warp_size;
}

uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        const uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

void run_blocks(worker* w) {
    const uint64_t count = static_cast<uint64_t>(w->grid.x) * w->grid.y * w->grid.z;
    uint64_t step = 1, first = 0;

    if (w->seed != 0 && count > 1) {
        first = next_random(w) % count;
        do step = next_random(w) % count;
        while (greatest_common_divisor(step, count) != 1);
    }
    for (uint64_t i = 0, at = first; i < count; i++, at = (at + step) % count) {
        w->block_index = uint3{static_cast<unsigned>(at % w->grid.x), static_cast<unsigned>(at / w->grid.x % w->grid.y),
                               static_cast<unsigned>(at / w->grid.x / w->grid.y)};
        start_block(w);
        go_to(w, pick(w));
        if (w->ended != w->thread_count) deadlock(w);
    }
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
    w->copies = static_cast<cn_host_copy(*)[max_copies]>(map(copies_bytes));
    if (!cn_fiber_has_tsan()) {
        w->arena = static_cast<char*>(map(arena_bytes));
        cn_fiber_poison(w->arena, arena_bytes);
    }
    return w;
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
        munmap(w->copies, copies_bytes);
        if (!cn_fiber_has_tsan()) {
            cn_fiber_unpoison(w->arena, arena_bytes);
            munmap(w->arena, arena_bytes);
        }
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

/* ---- warp operations -------------------------------------------------------------------------------------------------- */

[[noreturn]] void fail_lanes(const worker* w, const group* a, const char* what, int other) {
    char x[96], y[96], text[400];
    describe(x, sizeof x, w->current);
    describe(y, sizeof y, other);
    snprintf(text, sizeof text, "wrong lane mask 0x%08x of %s by %s: %s: %s", a->mask, op_name(a->op), x, what, y);
    fail_text(a->file, a->line, text);
}

/* The group that the current thread's lane joins. */
group* join(worker* w, warp* p, const group* wanted, int warp_at) {
    const uint32_t bit = 1u << (w->current % warp_size);

    if (!(wanted->mask & bit)) fail_lanes(w, wanted, "the mask lacks the calling lane", w->current);
    for (int i = 0; i < p->group_count; i++) {
        group* g = &p->groups[i];
        if (g->mask == wanted->mask && g->op == wanted->op && !(g->arrived & bit) && same_place(g->file, g->line, wanted->file, wanted->line)) return g;
    }
    for (int i = 0; i < p->group_count; i++) {  // lanes that wait for this one, and this one for them
        const group* g = &p->groups[i];
        if ((g->mask & bit) && (g->arrived & wanted->mask)) {
            char text[200];
            snprintf(text, sizeof text, "a lane of it waits at %s, mask 0x%08x, %s:%d", op_name(g->op), g->mask, g->file, g->line);
            fail_lanes(w, wanted, text, warp_at * warp_size + __builtin_ctz(g->arrived & wanted->mask));
        }
    }
    if (wanted->mask & ~p->exists) fail_lanes(w, wanted, "the mask names lanes beyond the block", w->current);
    if (wanted->mask & p->ended) fail_lanes(w, wanted, "the mask names a lane that has ended", warp_at * warp_size + __builtin_ctz(wanted->mask & p->ended));
    group* g = &p->groups[p->group_count++];
    *g = *wanted;
    if (cn_fiber_has_tsan()) g->tag = &w->sync_tags->warp[warp_at][p->tag_turn++ % warp_tags];
    return g;
}

uint64_t reduce(const thread* lanes, uint32_t mask, unsigned how) {
    uint64_t sum = lanes[__builtin_ctz(mask)].value;
    for (uint32_t rest = mask & (mask - 1); rest != 0; rest &= rest - 1) {
        const uint64_t v = lanes[__builtin_ctz(rest)].value;
        switch (how) {
            case CN_HOST_ADD: sum += v; break;
            case CN_HOST_MIN_SIGNED: sum = static_cast<int64_t>(v) < static_cast<int64_t>(sum) ? v : sum; break;
            case CN_HOST_MAX_SIGNED: sum = static_cast<int64_t>(v) > static_cast<int64_t>(sum) ? v : sum; break;
            case CN_HOST_MIN_UNSIGNED: sum = v < sum ? v : sum; break;
            case CN_HOST_MAX_UNSIGNED: sum = v > sum ? v : sum; break;
            case CN_HOST_AND: sum &= v; break;
            case CN_HOST_OR: sum |= v; break;
            default: sum ^= v; break;
        }
    }
    return sum;
}

/* The lane that a shuffle of `lane` reads: itself if that would be outside its segment. */
int source_lane(cn_host_op op, int lane, unsigned param) {
    const int width = static_cast<int>(param >> 8);
    const int delta = static_cast<int>(param & 0xff);
    const int first = lane & ~(width - 1);
    const int last = first + width - 1;

    switch (op) {
        case CN_HOST_SHFL: return first + (delta & (width - 1));
        case CN_HOST_SHFL_UP: return lane - delta < first ? lane : lane - delta;
        case CN_HOST_SHFL_DOWN: return lane + delta > last ? lane : lane + delta;
        default: return (lane ^ delta) > last ? lane : lane ^ delta;
    }
}

void shuffle(const worker* w, const group* g, thread* lanes, int warp_at) {
    for (uint32_t rest = g->mask; rest != 0; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        const int source = source_lane(g->op, lane, lanes[lane].param);
        if (!((g->mask >> source) & 1)) fail_lanes(w, g, "a lane reads one outside the mask", warp_at * warp_size + lane);
        lanes[lane].result = lanes[source].value;
    }
}

void complete(const worker* w, const group* g, thread* lanes, int warp_at) {
    uint64_t all = 0;
    void* data[warp_size];

    switch (g->op) {
        case CN_HOST_SYNCWARP: return;
        case CN_HOST_BALLOT:
            for (uint32_t rest = g->mask; rest != 0; rest &= rest - 1) all |= lanes[__builtin_ctz(rest)].value ? rest & -rest : 0;
            break;
        case CN_HOST_REDUCE: all = reduce(lanes, g->mask, lanes[__builtin_ctz(g->mask)].param); break;
        case CN_HOST_TOGETHER:
            for (int i = 0; i < warp_size; i++) data[i] = reinterpret_cast<void*>(lanes[i].value);
            g->compute(data);
            return;
        case CN_HOST_MATCH_ANY:
            for (uint32_t rest = g->mask; rest != 0; rest &= rest - 1) {
                uint64_t same = 0;
                for (uint32_t others = g->mask; others != 0; others &= others - 1) {
                    same |= lanes[__builtin_ctz(others)].value == lanes[__builtin_ctz(rest)].value ? others & -others : 0;
                }
                lanes[__builtin_ctz(rest)].result = same;
            }
            return;
        default: shuffle(w, g, lanes, warp_at); return;
    }
    for (uint32_t rest = g->mask; rest != 0; rest &= rest - 1) lanes[__builtin_ctz(rest)].result = all;
}

uint64_t meet(const group* wanted, uint64_t value, unsigned param) {
    worker* w = tls;
    const int me = w->current;
    const int warp_at = me / warp_size;
    warp* p = &w->warps[warp_at];
    thread* lanes = &w->threads[warp_at * warp_size];
    group* g = join(w, p, wanted, warp_at);
    void* tag = wanted->op == CN_HOST_SYNCWARP ? g->tag : nullptr;

    if (tag != nullptr) cn_fiber_release(tag);
    w->threads[me].value = value;
    w->threads[me].param = param;
    g->arrived |= 1u << (me % warp_size);
    if (g->arrived == g->mask) {
        complete(w, g, lanes, warp_at);
        make_ready(w, warp_at, g->mask);
        *g = p->groups[--p->group_count];
    }
    wait(w);
    if (tag != nullptr) cn_fiber_acquire(tag);
    return w->threads[me].result;
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
    if (bad != cudaSuccess) return bad;
    if (owner.w == nullptr) tls = owner.w = create_worker();
    cn_host_count_kernel(kernel->name);
    worker* w = tls;
    w->kernel = kernel;
    w->args = args;
    w->grid = grid;
    if (w->block.x != block.x || w->block.y != block.y || w->block.z != block.z || w->thread_count == 0) {
        w->block = block;
        index_threads(w);
    }
    w->seed = w->random = current_seed();
    w->poison = static_cast<unsigned char>(w->seed == 0 ? 0xff : 0x3d + 0x1b * w->seed);
    w->dynamic_bytes = shared;
    w->ring_next = 0;
    run_blocks(w);
    free_kept(w);
    return cudaSuccess;
}

void cn_host_fail(const char* file, int line, const char* what) { fail_text(file, line, what); }

uint3 cn_host_thread_index(void) { return tls->threads[tls->current].index; }
uint3 cn_host_block_index(void) { return tls->block_index; }
dim3 cn_host_block_dim(void) { return tls->block; }
dim3 cn_host_grid_dim(void) { return tls->grid; }
int cn_host_lane(void) { return tls->current % warp_size; }

int cn_host_barrier(cn_host_op op, int predicate, const char* file, int line) {
    worker* w = tls;
    barrier* b = &w->sync;

    if (b->arrived == 0) {
        b->op = op;
        b->file = file;
        b->line = line;
        b->first = w->current;
        b->count = 0;
        b->turn++;
    }
    if (w->ended > 0 || b->op != op || !same_place(b->file, b->line, file, line)) {
        char x[96], y[96], text[400];
        describe(x, sizeof x, w->current);
        describe(y, sizeof y, b->first);
        if (w->ended > 0) {
            snprintf(text, sizeof text, "divergent barrier: %s waits at %s, %d threads have ended", x, op_name(op), w->ended);
        } else {
            snprintf(text, sizeof text, "divergent barrier: %s is here, %s at %s:%d", x, y, b->file, b->line);
        }
        fail_text(file, line, text);
    }
    void* tag = cn_fiber_has_tsan() ? &w->sync_tags->barrier[b->turn & 1] : nullptr;
    if (tag != nullptr) cn_fiber_release(tag);
    if (predicate) b->count++;
    if (++b->arrived == w->thread_count) {
        b->result = op == CN_HOST_SYNCTHREADS_COUNT ? b->count : op == CN_HOST_SYNCTHREADS_AND ? b->count == w->thread_count : b->count > 0;
        b->arrived = 0;
        for (int i = 0; i < w->warp_count; i++) make_ready(w, i, w->warps[i].exists);
    }
    wait(w);
    if (tag != nullptr) cn_fiber_acquire(tag);
    return b->result;
}

uint64_t cn_host_warp(cn_host_op op, unsigned mask, uint64_t value, unsigned param, const char* file, int line) {
    const group wanted = {mask, 0, op, file, line, nullptr, nullptr};
    return meet(&wanted, value, param);
}

void cn_host_together(cn_host_compute compute, void* data, const char* file, int line) {
    const group wanted = {0xffffffffu, 0, CN_HOST_TOGETHER, file, line, compute, nullptr};
    meet(&wanted, reinterpret_cast<uint64_t>(data), 0);
}

void* cn_host_shared(const cn_host_site* site, size_t bytes, size_t align) {
    worker* w = tls;
    for (int i = 0; i < w->site_count; i++) {
        if (w->sites[i].site == site) return w->sites[i].memory;
    }
    if (w->site_count == max_sites) fail_text(site->file, site->line, "too many shared arrays");
    shared_array* s = &w->sites[w->site_count++];
    s->site = site;
    s->bytes = bytes;
    s->memory = take_shared(w, bytes, align < 16 ? 16 : align, site->file, site->line);
    return s->memory;
}

/* Without any, an address that can be had but not read: kernels ask before they know whether they need it. */
void* cn_host_dynamic_shared(void) { return tls->dynamic ? tls->dynamic : reinterpret_cast<void*>(static_cast<uintptr_t>(16)); }

void cn_host_fence(void) {
    static uint64_t tag;
    cn_fiber_release(&tag);
    cn_fiber_acquire(&tag);
}

void cn_host_async_push(void* dst, const void* src, int bytes) {
    worker* w = tls;
    const int t = w->current;
    if (w->copies_end[t] - w->copies_begin[t] == max_copies) fail_text(__FILE__, __LINE__, "too many asynchronous copies of a thread");
    w->copies_used = true;
    cn_host_count_bytes(src, static_cast<size_t>(bytes), false);
    w->copies[t][w->copies_end[t]++ % max_copies] = cn_host_copy{dst, src, bytes, w->copy_groups[t]};
}

void cn_host_async_commit(void) {
    tls->copies_used = true;
    tls->copy_groups[tls->current]++;
}

int cn_host_async_take(int pending, cn_host_copy* out) {
    worker* w = tls;
    const int t = w->current;

    if (w->copies_begin[t] == w->copies_end[t]) return 0;
    *out = w->copies[t][w->copies_begin[t] % max_copies];
    if (out->group >= w->copy_groups[t] - pending) return 0;
    w->copies_begin[t]++;
    return 1;
}

}  // extern "C"
