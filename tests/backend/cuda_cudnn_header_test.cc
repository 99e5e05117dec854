// The numbers and types of cudnn_api.h against cuDNN's own headers, where they are installed.
#if __has_include(<cudnn.h>)

#include <cudnn.h>

#include <type_traits>

#include "backend/cuda/cudnn_api.h"

#define CN_DNN(name, number) static_assert((long long)CUDNN_##name == (number), "CUDNN_" #name);
CN_DNN_CONSTANTS(CN_DNN)
#undef CN_DNN

namespace {

// A type of cuDNN's as cudnn_api.h has it: enumerations are ints, handles and descriptors are pointers.
template <typename T, bool = std::is_enum<T>::value>
struct Plain {
    typedef T type;
};
template <typename T>
struct Plain<T, true> {
    static_assert(sizeof(T) == sizeof(int), "an enumeration that is no int");
    typedef int type;
};
template <typename T>
struct Plain<T*, false> {
    typedef typename Plain<typename std::remove_const<T>::type>::type pointed;
    typedef typename std::conditional<std::is_const<T>::value, const pointed, pointed>::type* type;
};
#define SAME(theirs, ours)        \
    template <>                   \
    struct Plain<theirs, false> { \
        typedef ours type;        \
    };
SAME(cudnnHandle_t, cn_dnn_handle_t)
SAME(cudnnTensorDescriptor_t, cn_dnn_tensor_t)
SAME(cudnnDropoutDescriptor_t, cn_dnn_dropout_t)
SAME(cudnnRNNDescriptor_t, cn_dnn_rnn_t)
SAME(cudnnRNNDataDescriptor_t, cn_dnn_rnn_data_t)

template <typename F>
struct Signature;
template <typename R, typename... A>
struct Signature<R (*)(A...)> {
    typedef typename Plain<R>::type (*type)(typename Plain<A>::type...);
};

// Each function of cuDNN's is the member of the table.
#define CN_CALL(result, name, parameters, arguments)                                                            \
    static_assert(std::is_same<Signature<decltype(&cudnn##name)>::type, decltype(cn_cudnn_calls::name)>::value, \
                  "cudnn" #name);
CN_CUDNN_CALLS(CN_CALL)
#undef CN_CALL

}  // namespace

#endif
