/* A new HDF5 file being made from a document's variables, in memory or, where it is large, beside the target of the save. */
#ifndef CN_KERAS_BUILD_H
#define CN_KERAS_BUILD_H

#include "keras/parts.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_build {
    cn_document* doc;
    cn_save_job* job;
    cn_h5_writer* writer;
    char* temporary;            /* NULL: in memory */
    const char* name;           /* of the result, in messages */
    const cn_variable* variable; /* the one being written */
    void* whole;                 /* its elements, where they cannot be read piece by piece */
} cn_build;

/* bytes: of the variables that will be written. Zero-initialise; cn_build_close in any case. */
cornu_status cn_build_open(cn_build* build, cn_document* doc, cn_save_job* job, uint64_t bytes, const char* name);
/* A variable's elements as the data set at path. CORNU_BAD_FILE: the path is taken. */
cornu_status cn_build_variable(cn_build* build, const char* path, const cn_variable* variable);
/* Text as h5py writes str and bytes: variable length, UTF-8 or ASCII. */
cornu_status cn_build_text(cn_build* build, const char* path, const char* name, const char* text, size_t size, bool utf8);
/* A list of names as Keras writes it: in pieces NAME0, NAME1, ... of fixed length where it is larger than an attribute can be; no names are an
 * empty array of float64. CORNU_UNSUPPORTED: one of them is larger than that. */
cornu_status cn_build_names(cn_build* build, const char* path, const char* name, const char* const* names, size_t count);
/* Ends the file; *out are its bytes, the caller's to close. A temporary file's name is gone when build is closed, its bytes when *out is. */
cornu_status cn_build_finish(cn_build* build, cn_source** out);
void cn_build_close(cn_build* build);

/* weights.c: a path beside the target that no file has. NULL: no memory. */
char* cn_temporary_beside(const char* path);
/* weights.c: whether the elements lie in the file as they are, in the source of the weights from node->offset on. */
bool cn_variable_is_plain(const cn_document* doc, const cn_variable* variable);

#ifdef __cplusplus
}
#endif

#endif
