/* Ways to make a product by our own tiles: their sizes, and sums in one piece or split. For convolutions, and for
 * products beside the library. */
#ifndef CN_BACKEND_CUDA_TILES_H
#define CN_BACKEND_CUDA_TILES_H

#include "backend/cuda/cuda.h"
#include "kernels/implicit.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_TILE_WAYS (2 * CN_IMPLICIT_TILES)

typedef struct cn_tile_ways {
    cn_implicit_how ways[CN_TILE_WAYS]; /* the guess first; partial is not filled in: the frame's scratch */
    int count;
} cn_tile_ways;

/* Cells of the result. */
static inline int64_t cn_conv_rows(const cn_conv_args* a) {
    return a->batch * a->y_dims[0] * a->y_dims[1] * a->y_dims[2];
}
/* Elements of a sum. */
static inline int64_t cn_conv_inner(const cn_conv_args* a) {
    return a->channels / a->groups * a->k_dims[0] * a->k_dims[1] * a->k_dims[2];
}

/* For what cn_implicit_fits; asks for the scratch of the greediest. */
void cn_tile_ways_find(cn_cuda_executable* e, const cn_conv_args* args, bool tf32, bool by_filters, cn_tile_ways* out);

/* "tiles of 64 x 64, 4 parts of the sum", to text[CN_CUDA_WAY_TEXT]. */
void cn_tile_way_name(const cn_implicit_how* how, char* text);

#ifdef __cplusplus
}
#endif

#endif
