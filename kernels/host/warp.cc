/* Operations of a warp: the lanes of a mask meet, then what they posted is worked on. */
#include <cstdio>

#include "kernels/host/worker.h"

using namespace cn_host_scheduler;

namespace {

[[noreturn]] void fail_lanes(const worker* w, const group* a, const char* what, int other) {
    char x[96], y[96], text[400];
    describe(x, sizeof x, w->now, w->current);
    describe(y, sizeof y, w->now, other);
    snprintf(text, sizeof text, "wrong lane mask 0x%08x of %s by %s: %s: %s", a->mask, op_name(a->op), x, what, y);
    fail_text(a->file, a->line, text);
}

/* The group that the current thread's lane joins. */
group* join(worker* w, warp* p, const group* wanted, int warp_at) {
    const uint32_t bit = 1u << (w->current % warp_size);

    if (!(wanted->mask & bit)) fail_lanes(w, wanted, "the mask lacks the calling lane", w->current);
    for (int i = 0; i < p->group_count; i++) {
        group* g = &p->groups[i];
        if (g->mask == wanted->mask && g->op == wanted->op && !(g->arrived & bit) &&
            same_place(g->file, g->line, wanted->file, wanted->line))
            return g;
    }
    for (int i = 0; i < p->group_count; i++) {  // lanes that wait for this one, and this one for them
        const group* g = &p->groups[i];
        if ((g->mask & bit) && (g->arrived & wanted->mask)) {
            char text[200];
            snprintf(text, sizeof text, "a lane of it waits at %s, mask 0x%08x, %s:%d", op_name(g->op), g->mask,
                     g->file, g->line);
            fail_lanes(w, wanted, text, warp_at * warp_size + __builtin_ctz(g->arrived & wanted->mask));
        }
    }
    if (wanted->mask & ~p->exists) fail_lanes(w, wanted, "the mask names lanes beyond the block", w->current);
    if (wanted->mask & p->ended)
        fail_lanes(w, wanted, "the mask names a lane that has ended",
                   warp_at * warp_size + __builtin_ctz(wanted->mask & p->ended));
    group* g = &p->groups[p->group_count++];
    *g = *wanted;
    if (cn_fiber_has_tsan()) g->tag = &w->now->sync_tags->warp[warp_at][p->tag_turn++ % warp_tags];
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
        if (!((g->mask >> source) & 1))
            fail_lanes(w, g, "a lane reads one outside the mask", warp_at * warp_size + lane);
        lanes[lane].result = lanes[source].value;
    }
}

void complete(const worker* w, const group* g, thread* lanes, int warp_at) {
    uint64_t all = 0;
    void* data[warp_size];

    switch (g->op) {
        case CN_HOST_SYNCWARP: return;
        case CN_HOST_BALLOT:
            for (uint32_t rest = g->mask; rest != 0; rest &= rest - 1)
                all |= lanes[__builtin_ctz(rest)].value ? rest & -rest : 0;
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
                    same |=
                        lanes[__builtin_ctz(others)].value == lanes[__builtin_ctz(rest)].value ? others & -others : 0;
                }
                lanes[__builtin_ctz(rest)].result = same;
            }
            return;
        default: shuffle(w, g, lanes, warp_at); return;
    }
    for (uint32_t rest = g->mask; rest != 0; rest &= rest - 1) lanes[__builtin_ctz(rest)].result = all;
}

uint64_t gather(const group* wanted, uint64_t value, unsigned param) {
    worker* w = get_worker();
    const int me = w->current;
    const int warp_at = me / warp_size;
    team* m = w->now;
    warp* p = &m->warps[warp_at];
    thread* lanes = &m->threads[warp_at * warp_size];
    group* g = join(w, p, wanted, warp_at);
    void* tag = wanted->op == CN_HOST_SYNCWARP ? g->tag : nullptr;

    if (tag != nullptr) cn_fiber_release(tag);
    m->threads[me].value = value;
    m->threads[me].param = param;
    g->arrived |= 1u << (me % warp_size);
    if (g->arrived == g->mask) {
        complete(w, g, lanes, warp_at);
        make_ready(m, warp_at, g->mask);
        *g = p->groups[--p->group_count];
    }
    wait(w);
    if (tag != nullptr) cn_fiber_acquire(tag);
    return m->threads[me].result;
}

}  // namespace

extern "C" {

uint64_t cn_host_warp(cn_host_op op, unsigned mask, uint64_t value, unsigned param, const char* file, int line) {
    const group wanted = {mask, 0, op, file, line, nullptr, nullptr};
    return gather(&wanted, value, param);
}

void cn_host_together(cn_host_compute compute, void* data, const char* file, int line) {
    const group wanted = {0xffffffffu, 0, CN_HOST_TOGETHER, file, line, compute, nullptr};
    gather(&wanted, reinterpret_cast<uint64_t>(data), 0);
}

}  // extern "C"
