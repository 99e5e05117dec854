/* numpy's .npy and .npz (a zip of .npy): versions 1 to 3, C or Fortran order, either byte order, <U and |S strings;
 * pickled objects and structured types are refused. */
#ifndef CN_ARCHIVE_NPY_H
#define CN_ARCHIVE_NPY_H

#include "archive/sink.h"
#include "archive/source.h"

#ifdef __cplusplus
extern "C" {
#endif

bool cn_npy_sniff(cn_source* source);
/* Reads an array into a tensor owned by the library (cornu_tensor_release), row-major, host byte order. Strings become
 * cornu_string of UTF-8, all in the one owned block (|S keeps its bytes as they are); trailing NULs are padding. Elements
 * must be exactly the rest of the source. CORNU_BAD_FILE, CORNU_UNSUPPORTED, CORNU_NO_MEMORY. */
cornu_status cn_npy_read(cn_source* source, cornu_tensor* out);
/* Reads the header alone: dtype and shape of what cn_npy_read would give, its data NULL. The same failures. */
cornu_status cn_npy_shape(cn_source* source, cornu_tensor* out);
/* Appends a tensor in host memory as numpy.save writes it (version 1). bfloat16 is refused (CORNU_UNSUPPORTED): numpy
 * has none. Strings become <U. CORNU_BAD_ARGUMENT: an invalid tensor, or strings that are no UTF-8. */
cornu_status cn_npy_write(cn_sink* sink, const cornu_tensor* tensor);
/* The same, handing the bytes in order to put. */
typedef cornu_status (*cn_npy_put)(void* user, const void* data, uint64_t size);
cornu_status cn_npy_put_to(cn_npy_put put, void* user, const cornu_tensor* tensor);

typedef struct cn_npz_array {
    const char* name; /* member name without ".npy" */
    cornu_tensor tensor;
} cn_npz_array;

/* Reads every array of a .npz. Free with cn_npz_free. */
cornu_status cn_npz_read(cn_source* source, cn_npz_array** out, size_t* out_count);
void cn_npz_free(cn_npz_array* arrays, size_t count);
/* Writes arrays as an uncompressed .npz to a sink. */
cornu_status cn_npz_write(cn_sink* sink, const cn_npz_array* arrays, size_t count);

#ifdef __cplusplus
}
#endif

#endif
