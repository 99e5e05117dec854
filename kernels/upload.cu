/* Exchanging the last two axes: tiles go through shared memory, so that both sides are read and written in rows. */
#include "kernels/upload.h"

#include "kernels/launch.h"

#define TILE 32
#define ROWS 8 /* of a tile that a block moves at once */

template <typename T>
CN_KERNEL(TILE* ROWS) swap_tiles(cn_swap_args a) {
    CN_SHARED(T, tile, [TILE][TILE + 1]);
    const T* x = static_cast<const T*>(a.x);
    T* y = static_cast<T*>(a.y);
    int64_t across = (a.columns + TILE - 1) / TILE, down = (a.rows + TILE - 1) / TILE;

    for (int64_t t = blockIdx.x; t < a.count * across * down; t += gridDim.x) {
        int64_t at = t / (across * down) * a.rows * a.columns;
        int64_t row = t / across % down * TILE, column = t % across * TILE;
        for (int i = threadIdx.y; i < TILE; i += ROWS) {
            if (row + i < a.rows && column + threadIdx.x < a.columns) tile[i][threadIdx.x] = x[at + (row + i) * a.columns + column + threadIdx.x];
        }
        __syncthreads();
        for (int i = threadIdx.y; i < TILE; i += ROWS) {
            if (column + i < a.columns && row + threadIdx.x < a.rows) y[at + (column + i) * a.rows + row + threadIdx.x] = tile[threadIdx.x][i];
        }
        __syncthreads();
    }
}

extern "C" cudaError_t cn_k_swap(const cn_queue* q, const cn_swap_args* a) {
    int64_t tiles = a->count * ((a->rows + TILE - 1) / TILE) * ((a->columns + TILE - 1) / TILE);
    dim3 grid(static_cast<unsigned>(tiles > 1048576 ? 1048576 : tiles)), block(TILE, ROWS);

    if (tiles == 0) return cudaSuccess;
    switch (a->size) {
        case 1: return cn_launch(q, swap_tiles<uint8_t>, grid, block, 0, *a);
        case 2: return cn_launch(q, swap_tiles<uint16_t>, grid, block, 0, *a);
        case 4: return cn_launch(q, swap_tiles<uint32_t>, grid, block, 0, *a);
        default: return cn_launch(q, swap_tiles<uint64_t>, grid, block, 0, *a);
    }
}

CN_KERNEL(32) begin_run(cn_begin_args a) {
    if (threadIdx.x != 0) return;
    a.words->seed = a.seed;
    a.words->counter = a.counter;
    if (!a.keep_fault) a.words->fault = CN_FAULT_NONE;
}

extern "C" cudaError_t cn_k_begin(const cn_queue* q, const cn_begin_args* a) { return cn_launch(q, begin_run, dim3(1), dim3(1), 0, *a); }
