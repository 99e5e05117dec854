/* The document: everything that a model file holds, as it stood there. It is the only truth: loading, inspecting, changing
 * and saving work on it alone, and it knows nothing of what can run.
 *
 *   .keras archive or directory              cn_document
 *     metadata.json  ------------------------> metadata (JSON tree with original text)
 *     config.json    ------------------------> config   (JSON tree with original text), layers (keras/layer.h)
 *     model.weights.h5 ----------------------> weights  (HDF5 tree), variables (windows into the file, or new values)
 *     assets/...     ------------------------> assets   (windows)
 *
 * One thread at a time, but for reading variables, which is thread-safe while nobody changes the document. */
#ifndef CN_KERAS_DOCUMENT_H
#define CN_KERAS_DOCUMENT_H

#include "archive/hdf5.h"
#include "archive/json.h"
#include "archive/sink.h"
#include "archive/source.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cn_document cn_document;
typedef struct cn_layer cn_layer;

typedef struct cn_variable {
    const char* path; /* of its dataset in the weights file, without a leading '/' */
    cornu_dtype dtype;
    int ndim;
    int64_t dims[CORNU_MAX_DIMS];
    int64_t count;    /* elements */
    uint64_t version; /* 0 as loaded; raised by every cn_document_set_variable */
    bool is_optimizer;
    const cn_layer* layer; /* that owns it, NULL if none does */
    const cn_h5_node* node; /* where the file has it; NULL where origin says it */
    const struct cn_origin* origin; /* of variables that are no data set of the document's own HDF5 file; private to keras/ */
    void* value;            /* new elements, host order; NULL while the file's count */
} cn_variable;

typedef struct cn_asset {
    const char* name;  /* "assets/layers/string_lookup/vocabulary.txt" */
    cn_source* source; /* its bytes */
} cn_asset;

/* Opens a path (file or directory) by its content. options may be NULL.
 * Errors are those of cornu_model_load; every message names file, member or layer, and key. */
cornu_status cn_document_open(const char* path, const cornu_load_options* options, cn_document** out);
cornu_status cn_document_open_memory(const void* data, uint64_t size, const cornu_load_options* options,
                                     cn_document** out);
void cn_document_close(cn_document* doc);

/* Writes the document; format AUTO means by the extension of path. */
cornu_status cn_document_save(cn_document* doc, const char* path, const cornu_save_options* options);
cornu_status cn_document_save_memory(cn_document* doc, const cornu_save_options* options, void** out,
                                     uint64_t* out_size);

/* Borrowed until close. */
cornu_format cn_document_format(const cn_document* doc);
const char* cn_document_format_name(const cn_document* doc); /* "keras", "keras-dir", "weights.h5", "h5", ... */
const char* cn_document_name(const cn_document* doc);      /* the path, for messages */
cn_json_doc* cn_document_config_doc(cn_document* doc);     /* NULL for a file of weights only */
cn_json_doc* cn_document_metadata_doc(cn_document* doc);   /* NULL when there is none */
const char* cn_document_keras_version(const cn_document* doc); /* "3.15.1", NULL if the file does not say */
/* Whether compile_config and optimizer state count as such (cornu_load_options.compile). */
bool cn_document_is_compiled(const cn_document* doc);
/* Whether the caller declared a class of that name as his own (cornu_load_options.custom_objects); registered names count with and without
 * their package. */
bool cn_document_is_declared(const cn_document* doc, const char* class_name);
const char* cn_document_date_saved(const cn_document* doc);    /* NULL if the file does not say */
const cn_h5_node* cn_document_weights(const cn_document* doc); /* root of the weights file, NULL if none */
size_t cn_document_variable_count(const cn_document* doc);
cn_variable* cn_document_variable_at(const cn_document* doc, size_t i);
cn_variable* cn_document_variable(const cn_document* doc, const char* path); /* NULL if there is none */
size_t cn_document_asset_count(const cn_document* doc);
const cn_asset* cn_document_asset_at(const cn_document* doc, size_t i);

/* Copies a variable's elements (as variable->dtype, host order) to dst. Thread-safe among readers. */
cornu_status cn_document_read(const cn_document* doc, const cn_variable* variable, void* dst);
/* Gives a variable new values of any numeric dtype, converted to its own. */
cornu_status cn_document_set_variable(cn_document* doc, cn_variable* variable, const cornu_tensor* value);
/* Changes the config or metadata by JSON pointer and builds the layers anew. On failure nothing is changed. */
cornu_status cn_document_set_json(cn_document* doc, cornu_json_part part, const char* pointer, const char* text);

/* The root object of the config: a Functional, a Sequential or any other layer; NULL for weights only. */
const cn_layer* cn_document_root(const cn_document* doc);

#ifdef __cplusplus
}
#endif

#endif
