/* What the parts of host execution's scheduler share: block.cc (threads, blocks, barriers) and warp.cc (operations of a warp). */
#ifndef CN_KERNELS_HOST_WORKER_H
#define CN_KERNELS_HOST_WORKER_H

#include "kernels/host/block.h"
#include "kernels/host/fiber.h"

namespace cn_host_scheduler {

const int max_threads = 1024;
const int warp_size = 32;
const int max_warps = max_threads / warp_size;
const unsigned ring_size = 2048;
const unsigned most_together = 64;        // blocks that are alive at once
const unsigned most_fibers = 24576;       // a process may have 65530 mappings; a stack is two
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

/* Blocks that wait for each other: all threads of them have come to cn_host_meet with one counter. */
struct meeting {
    uint32_t* counter;  // NULL: free
    unsigned members, turn, arrived;
    const char* file;
    int line;
    uint3 first;  // block that came
};

/* A block that is alive. */
struct team {
    uint3 block_index;
    int ended;
    uint32_t warps_ready;
    barrier sync;
    uint32_t* counter;  // of the meeting that its threads come to, or NULL
    meeting* waits_for; // or NULL
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
    void* dynamic;
    tags* sync_tags;
};

struct worker {
    cn_fiber main;
    cn_fiber* running;
    cn_fiber* free_fibers;
    cn_fiber* fibers[most_fibers];
    unsigned fiber_count;
    unsigned ring_next;

    const cn_host_kernel* kernel;
    void** args;
    dim3 grid, block;
    uint64_t seed, random;
    unsigned char poison;
    int thread_count, warp_count;  // of a block
    size_t dynamic_bytes;

    team* teams[most_together];    // made when they are needed first
    unsigned alive;                // how many of them there are in this launch
    bool together;                 // a team a block, else one team for all
    meeting meetings[most_together];
    team* now;                     // at work
    int current;                   // thread of it

    void* kept[2 * kept_blocks];   // until the launch ends
    int kept_count;
    uint64_t start_tag, end_tag;
};

/* Of this OS thread. */
worker* get_worker();
[[noreturn]] void fail_text(const char* file, int line, const char* what);
/* "thread (0,0,0) of block (1,0,0)" */
void describe(char* text, size_t size, const team* m, int t);
const char* op_name(cn_host_op op);
bool same_place(const char* file_a, int line_a, const char* file_b, int line_b);
void make_ready(team* m, int warp_at, uint32_t lanes);
/* The current thread waits until something makes it ready. */
void wait(worker* w);

}  // namespace cn_host_scheduler

#endif
