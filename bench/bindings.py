"""The structs of cornu.h that the comparisons pass to libcornu by ctypes."""
import ctypes


class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("ndim", ctypes.c_int32), ("dims", ctypes.c_int64 * 16), ("data", ctypes.c_void_p),
                ("owner", ctypes.c_void_p), ("device", ctypes.c_int32)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("device", ctypes.c_char_p), ("precision", ctypes.c_int), ("threads", ctypes.c_int),
                ("training", ctypes.c_int), ("seed", ctypes.c_uint64), ("max_bytes", ctypes.c_uint64), ("outputs", ctypes.c_void_p),
                ("n_outputs", ctypes.c_int)]


def tensor(array):
    dims = (ctypes.c_int64 * 16)(*array.shape)
    return Tensor(1, array.ndim, dims, array.ctypes.data, None, -1)
