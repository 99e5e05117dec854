/* Matrix functions of small matrices. */
#include "backend/cuda/cuda.h"
#include "base/size.h"
#include "kernels/linalg.h"

/* Working memory up to this many bytes is shared memory. */
#define SHARED_LIMIT 40960
/* The most matrices in working memory that is not, and the most bytes of it if one matrix does not need more. */
#define MOST_SLOTS 256
#define MOST_SCRATCH (UINT64_C(256) << 20)

_Static_assert((int)CN_K_CHOLESKY == (int)CN_LINALG_CHOLESKY && (int)CN_K_SOLVE == (int)CN_LINALG_SOLVE && (int)CN_K_LU_PERM == (int)CN_LINALG_LU_PERM &&
                   (int)CN_K_QR_R == (int)CN_LINALG_QR_R && (int)CN_K_PINV == (int)CN_LINALG_PINV,
               "the kernels number the matrix functions as the graph does");

static cornu_status launch_linalg(const cn_cuda_step* step, const cn_cuda_frame* frame) {
    cn_linalg_args a = *(const cn_linalg_args*)step->data;

    a.x = cn_cuda_in(step, frame, 0);
    a.right = cn_cuda_in(step, frame, 1);
    a.y = cn_cuda_out(step, frame);
    a.scratch = frame->scratch;
    a.words = frame->words;
    return CN_CUDA_OK(cn_k_linalg(&frame->queue, &a));
}

/* Sizes of the working memory, and where it is. */
static cornu_status place_work(cn_cuda_executable* e, cn_linalg_args* a) {
    const uint64_t most = (uint64_t)(a->m > a->n ? a->m : a->n);
    uint64_t cells, right, doubles, bytes;
    int64_t slots = a->count < MOST_SLOTS ? a->count : MOST_SLOTS;

    if (!cn_size_mul(most, most, &cells) || !cn_size_mul((uint64_t)a->n, (uint64_t)a->columns, &right)) return CN_NO_MEMORY(SIZE_MAX);
    a->work.a = (uint64_t)a->m * (uint64_t)a->n;
    a->work.b = cells > right ? cells : right;
    a->work.v = most;
    if (!cn_size_add(a->work.a, a->work.b, &doubles) || !cn_size_add(doubles, 2 * most, &doubles) || !cn_size_mul(doubles, sizeof(double), &bytes)) {
        return CN_NO_MEMORY(SIZE_MAX);
    }
    if (bytes <= SHARED_LIMIT) {
        a->shared_bytes = bytes ? bytes : sizeof(double);
        a->slots = a->count < 65536 ? a->count : 65536;
        return CORNU_OK;
    }
    while (slots > 1 && bytes > MOST_SCRATCH / (uint64_t)slots) slots /= 2;
    a->slots = slots;
    if (!cn_size_mul(bytes, (uint64_t)slots, &bytes)) return CN_NO_MEMORY(SIZE_MAX);
    cn_cuda_need_scratch(e, bytes);
    return CORNU_OK;
}

cornu_status cn_cuda_prepare_linalg(cn_cuda_executable* e, cn_cuda_step* step) {
    const cn_linalg_attr* attr = &step->node->attr.linalg;
    const cn_type *x = cn_cuda_input_type(e, step->node, 0), *right = cn_cuda_input_type(e, step->node, 1);
    cn_linalg_args* a = cn_cuda_data(e, step, sizeof *a);

    if (!a) return CN_NO_MEMORY(sizeof *a);
    a->node = (int)step->node->output;
    a->dtype = (int)x->dtype;
    a->y_dtype = (int)cn_cuda_type(e, step->node)->dtype;
    a->kind = (int)attr->kind;
    a->lower = attr->lower;
    a->full = attr->full;
    a->rcond = attr->rcond;
    a->count = 1;
    for (int i = 0; i < x->ndim - 2; i++) a->count *= x->dims[i];
    a->m = x->dims[x->ndim - 2];
    a->n = x->dims[x->ndim - 1];
    a->columns = right ? right->dims[right->ndim - 1] : a->n;
    step->launch = launch_linalg;
    return place_work(e, a);
}
