/* The guess among tiles: the largest of which there are enough for a device; of small results the sum is split. Results
 * of few rows or columns have small tiles alone: there is nothing to gain. */
#include "backend/cuda/tiles.h"

#include <stdio.h>

#include "base/size.h"

#define ENOUGH_BLOCKS 132 /* for the processors of a large device */
#define FEW_LINES 32      /* rows or columns */
#define MOST_SPLITS 16
#define LEAST_STEPS 8 /* of a split */

static int64_t blocks_of(const cn_conv_args* a, cn_implicit_tile tile) {
    int rows = cn_implicit_rows(tile), columns = cn_implicit_columns(tile);
    return (cn_conv_rows(a) + rows - 1) / rows * ((a->filters + columns - 1) / columns);
}

/* In how many parts a sum is made so that there is work for a whole device. */
static int splits_for(const cn_conv_args* a, cn_implicit_tile tile) {
    int64_t blocks = blocks_of(a, tile), splits = 2 * ENOUGH_BLOCKS / blocks;
    int64_t most = cn_conv_inner(a) / cn_implicit_depth(a->dtype) / LEAST_STEPS;

    if (splits > most) splits = most;
    if (splits > MOST_SPLITS) splits = MOST_SPLITS;
    return blocks >= ENOUGH_BLOCKS || splits < 1 ? 1 : (int)splits;
}

static cn_implicit_tile guess_of(const cn_conv_args* a) {
    if (cn_conv_rows(a) <= FEW_LINES || a->filters <= FEW_LINES) return CN_IMPLICIT_32X32;
    for (int t = CN_IMPLICIT_TILES - 1; t >= 0; t--) {
        if (blocks_of(a, (cn_implicit_tile)t) >= ENOUGH_BLOCKS) return (cn_implicit_tile)t;
    }
    return blocks_of(a, CN_IMPLICIT_64X64) * MOST_SPLITS >= ENOUGH_BLOCKS ? CN_IMPLICIT_64X64 : CN_IMPLICIT_32X32;
}

/* A way that is there already is left out. Sums that are split need a place. */
static void add_way(cn_cuda_executable* e, const cn_conv_args* a, cn_implicit_how how, cn_tile_ways* out) {
    uint64_t bytes = (uint64_t)how.splits * sizeof(float);

    for (int i = 0; i < out->count; i++) {
        if (out->ways[i].tile == how.tile && out->ways[i].splits == how.splits) return;
    }
    if (!cn_size_mul(bytes, (uint64_t)(cn_conv_rows(a) * a->filters), &bytes)) return;
    if (how.splits > 1) cn_cuda_need_scratch(e, bytes);
    out->ways[out->count++] = how;
}

void cn_tile_ways_find(cn_cuda_executable* e, const cn_conv_args* args, bool tf32, bool by_filters, cn_tile_ways* out) {
    cn_implicit_how how = {.tile = guess_of(args), .tf32 = tf32, .by_filters = by_filters};

    *out = (cn_tile_ways){.count = 0};
    how.splits = splits_for(args, how.tile);
    add_way(e, args, how, out);
    for (int t = 0; t < CN_IMPLICIT_TILES; t++) {
        how.tile = (cn_implicit_tile)t;
        if (t > 0 && (cn_conv_rows(args) <= FEW_LINES || args->filters <= FEW_LINES)) continue;
        how.splits = 1;
        add_way(e, args, how, out);
        how.splits = splits_for(args, how.tile);
        add_way(e, args, how, out);
    }
}

void cn_tile_way_name(const cn_implicit_how* how, char* text) {
    int n = snprintf(text, CN_CUDA_WAY_TEXT, "tiles of %d x %d", cn_implicit_rows(how->tile), cn_implicit_columns(how->tile));
    if (how->splits > 1) (void)snprintf(text + n, CN_CUDA_WAY_TEXT - (size_t)n, ", %d parts of the sum", how->splits);
}
