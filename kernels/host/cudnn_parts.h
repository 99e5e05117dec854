/* What the files of cuDNN's stand-in share. A descriptor that is finalized never changes; others hold it by shared_ptr,
 * so that it may be destroyed as soon as it has been given to the next one, which the library allows:
 *
 *     TENSOR, CONVOLUTION, POINTWISE -> OPERATION_... -> OPERATIONGRAPH -> ENGINEHEUR -> ENGINECFG -> EXECUTION_PLAN
 *     ENGINECFG -> ENGINE, which is asked for its notes */
#ifndef CN_KERNELS_HOST_CUDNN_PARTS_H
#define CN_KERNELS_HOST_CUDNN_PARTS_H

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "kernels/host/cudnn.h"

struct cn_dnn_handle {
    int device;
    cudaStream_t stream;
};
struct cn_dnn_dropout {
    bool set;
};
struct cn_dnn_tensor {
    int type = -1; /* until it is set */
    std::vector<int> dims, strides;
};

#define WORKSPACE_ALIGNMENT 256 /* in bytes, that is demanded of workspaces */

namespace cn_dnn {

/* CUDNN_STATUS_ of each name. */
#define CN_DNN_STATUSES(S)                           \
    S(SUCCESS, 0)                                    \
    S(NOT_INITIALIZED, 1001)                         \
    S(BAD_PARAM, 2000)                               \
    S(BAD_PARAM_NULL_POINTER, 2002)                  \
    S(BAD_PARAM_MISALIGNED_POINTER, 2003)            \
    S(BAD_PARAM_NOT_FINALIZED, 2004)                 \
    S(BAD_PARAM_OUT_OF_BOUND, 2005)                  \
    S(BAD_PARAM_SIZE_INSUFFICIENT, 2006)             \
    S(BAD_PARAM_STREAM_MISMATCH, 2007)               \
    S(BAD_PARAM_SHAPE_MISMATCH, 2008)                \
    S(BAD_PARAM_DUPLICATED_ENTRIES, 2009)            \
    S(BAD_PARAM_ATTRIBUTE_TYPE, 2010)                \
    S(BAD_PARAM_DESCRIPTOR_TYPE, 2012)               \
    S(NOT_SUPPORTED, 3000)                           \
    S(NOT_SUPPORTED_GRAPH_PATTERN, 3001)             \
    S(NOT_SUPPORTED_SHAPE, 3002)                     \
    S(NOT_SUPPORTED_DATA_TYPE, 3003)                 \
    S(NOT_SUPPORTED_LAYOUT, 3004)                    \
    S(INTERNAL_ERROR, 4000)                          \
    S(INTERNAL_ERROR_HOST_ALLOCATION_FAILED, 4003)   \
    S(INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, 4004) \
    S(EXECUTION_FAILED, 5000)                        \
    S(EXECUTION_FAILED_CUDART, 5003)

enum status {
#define S(name, number) name = number,
    CN_DNN_STATUSES(S)
#undef S
};

/* Says what is wrong, on stderr and to cudnnGetLastErrorString; returns code. */
cn_dnn_status refuse(status code, const char* format, ...) __attribute__((format(printf, 2, 3)));
/* The same where nothing is wrong, but something is not to be had, which a caller has to live with: nothing on stderr. */
cn_dnn_status decline(status code, const char* format, ...) __attribute__((format(printf, 2, 3)));
/* Of putting work on a stream. */
cn_dnn_status status_of(cudaError_t error);
/* A handle that was made, while its device is the current one. */
cn_dnn_status check_handle(cn_dnn_handle_t handle);

/* Things that were made and not destroyed. */
template <typename T>
class kept {
public:
    bool has(T* object) {
        std::lock_guard<std::mutex> guard(lock_);
        return set_.count(object) > 0;
    }
    void add(T* object) {
        std::lock_guard<std::mutex> guard(lock_);
        set_.insert(object);
    }
    /* Whether it was there, and is no more. */
    bool take(T* object) {
        std::lock_guard<std::mutex> guard(lock_);
        return set_.erase(object) > 0;
    }
    long count() {
        std::lock_guard<std::mutex> guard(lock_);
        return static_cast<long>(set_.size());
    }

private:
    std::mutex lock_;
    std::set<T*> set_;
};

struct objects {
    kept<cn_dnn_handle> handles;
    kept<cn_dnn_tensor> tensors;
    kept<cn_dnn_dropout> dropouts;
    kept<cn_dnn_rnn> rnns;
    kept<cn_dnn_rnn_data> rnn_data;
};
objects& all();
long descriptor_count();

/* ---- values ---- */

size_t size_of(int type); /* 0: not a type that is known here */
double load(int type, const void* x, int64_t i);
void store(int type, void* y, int64_t i, double v);
/* v rounded to a float of so many bits of fraction, to nearest even; 10: TF32. NaN and infinities stay. */
float round_bits(double v, int bits);
bool overlap(const void* x, size_t x_bytes, const void* y, size_t y_bytes);
/* Elements of the storage from the first to behind the last. */
int64_t extent(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides);

/* ---- descriptors ---- */

struct attribute {
    int type;
    int64_t count;
    std::vector<unsigned char> bytes;
    std::vector<std::shared_ptr<struct descriptor>> descriptors; /* of the type BACKEND_DESCRIPTOR */
};

struct tensor {
    int64_t id, alignment;
    int type;
    std::vector<int64_t> dims, strides;
    bool is_virtual = false, by_value = false;
    size_t bytes() const { return static_cast<size_t>(extent(dims, strides)) * size_of(type); }
};

struct convolution {
    std::vector<int64_t> dilations, strides, before, after; /* one each spatial axis */
};

/* in: convolution x, w; pointwise x, b (absent for one operand); attention q, k, v, scale (may be absent). */
struct operation {
    int kind;
    std::shared_ptr<const tensor> in[4], out;
    convolution conv;
    int mode = 0; /* of a pointwise operation */
    bool keeps_nan = false; /* of relu; else NaN becomes 0 */
};

struct graph {
    std::vector<operation> ops;
    int device;
    /* Tensors that memory is given for. */
    std::vector<std::shared_ptr<const tensor>> given() const;
};

enum spoil { SPOIL_NONE, SPOIL_TF32, SPOIL_HALF_INPUTS, SPOIL_BITS, SPOIL_HALF_SUMS, SPOIL_NOISE };

struct engine {
    const char* name;
    std::vector<int> numerical, behavior;
    int64_t workspace;
    bool builds;
    spoil spoils;
};

struct descriptor {
    int kind = 0;
    bool final = false;
    std::map<int, attribute> set;
    /* By kind, once it is finalized. */
    std::shared_ptr<const tensor> as_tensor;
    convolution as_convolution;
    int mode = 0;
    bool keeps_nan = false;
    std::shared_ptr<const operation> as_operation;
    std::shared_ptr<const graph> as_graph;
    std::vector<engine> engines; /* of a heuristic: all; of a configuration, an engine or a plan: one */
};

/* The engines of a graph in a mode of the heuristic, best first; often there is none. */
cn_dnn_status engines_of(const graph& g, int mode, std::vector<engine>* out);
/* Whether the shapes of an operation fit. */
cn_dnn_status check_convolution(const operation& op);
cn_dnn_status check_pointwise(const operation& op);
cn_dnn_status check_attention(const operation& op);
/* Whether every virtual tensor is made once before it is used, and an id names one tensor. */
cn_dnn_status check_graph(const graph& g);
/* Runs a graph on memory that has been checked. */
typedef std::map<int64_t, void*> memory; /* of each id */
void run_graph(const graph& g, const engine& e, const memory& m);

}  // namespace cn_dnn

#endif
