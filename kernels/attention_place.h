/* Where a block of an attention kernel works: some queries of one head. Device code. */
#ifndef CN_KERNELS_ATTENTION_PLACE_H
#define CN_KERNELS_ATTENTION_PLACE_H

#include "kernels/attention.h"
#include "kernels/launch.h"

namespace {

/* Blocks are counted by their queries, then by heads, then by the batch. */
template <typename E>
struct place {
    int64_t b, h, first; /* first query */
    const E *q, *k, *v;  /* of the first query; of the first key */
    E* y;

    CN_DEVICE place(const cn_attention_args& a, int queries) {
        const int64_t tiles = (a.queries + queries - 1) / queries, head = blockIdx.x / tiles;
        const int64_t kv = head / a.heads * a.kv_heads + head % a.heads / (a.heads / a.kv_heads);
        b = head / a.heads;
        h = head % a.heads;
        first = blockIdx.x % tiles * queries;
        q = static_cast<const E*>(a.q) + (head * a.queries + first) * a.depth;
        k = static_cast<const E*>(a.k) + kv * a.keys * a.depth;
        v = static_cast<const E*>(a.v) + kv * a.keys * a.width;
        y = static_cast<E*>(a.y) + (head * a.queries + first) * a.width;
    }
};

}  // namespace

#endif
