/* Cornu: runs, inspects and saves Keras models, without Python.
 *
 * Conventions. Every function that can fail returns a cornu_status; on failure cornu_last_error() holds one sentence with the file,
 * the member or layer, the key, what was found and what is allowed. Result pointers come last and are set to NULL or
 * zero on failure. Options structs begin with their size: initialise them with their CORNU_..._INIT macro. NULL options
 * mean the defaults. Strings are UTF-8; where a pointer comes with a size, it is also NUL-terminated unless said otherwise.
 * "borrowed until X" means the library owns the memory and keeps it unchanged until X.
 * Threads: *thread-safe* functions may be called by any number of threads at once; the others by one thread at a time
 * on one object. */
#ifndef CORNU_H
#define CORNU_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) || defined(__CYGWIN__)
#define CORNU_API
#else
#define CORNU_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CORNU_VERSION_MAJOR 0
#define CORNU_VERSION_MINOR 1
#define CORNU_VERSION_PATCH 0

/* "MAJOR.MINOR.PATCH" of the library that is loaded. Static storage. Thread-safe. */
CORNU_API const char* cornu_version(void);

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

typedef enum cornu_status {
    CORNU_OK = 0,
    CORNU_BAD_ARGUMENT = 1, /* the caller's fault: NULL, a wrong shape, dtype or name; nothing was done */
    CORNU_NO_MEMORY = 2,    /* an allocation failed, or a memory limit set by the caller would be exceeded */
    CORNU_NOT_FOUND = 3,    /* a file, member, variable or key is not there */
    CORNU_IO_ERROR = 4,     /* the operating system refused to read or write; the message has its reason */
    CORNU_BAD_FILE = 5,     /* the file is empty, truncated, damaged, of another format, or exceeds a limit on files */
    CORNU_REFUSED = 6,      /* the file holds code or a path, which safe_mode refuses */
    CORNU_UNSUPPORTED = 7,  /* the file is good, but holds something that cannot run or be written here */
    CORNU_EXISTS = 8,       /* the target of a save exists and overwrite is 0 */
    CORNU_NO_DEVICE = 9,    /* the device that was asked for is not here */
    CORNU_DEVICE_ERROR = 10, /* a device call failed; outputs are undefined, the session stays usable */
    CORNU_DEVICE_LOST = 11, /* the device context is dead; every later device call returns this at once */
    CORNU_CANCELLED = 12    /* the caller's progress function asked to stop */
} cornu_status;

/* Name of a status, "OK", "BAD_ARGUMENT", ...; "UNKNOWN" for other numbers. Static storage. Thread-safe. */
CORNU_API const char* cornu_status_name(cornu_status status);

/* The sentence of the last failure on this thread, "" if there was none. Borrowed until the next failing call on this
 * thread. Thread-safe. */
CORNU_API const char* cornu_last_error(void);

/* Frees memory that a function of this library gave away (each says so). NULL is allowed. Thread-safe. */
CORNU_API void cornu_free(void* memory);

/* ---- Tensors --------------------------------------------------------------------------------------------------- */

typedef enum cornu_dtype {
    CORNU_FLOAT32 = 1,
    CORNU_FLOAT64 = 2,
    CORNU_FLOAT16 = 3,
    CORNU_BFLOAT16 = 4,
    CORNU_INT8 = 5,
    CORNU_INT16 = 6,
    CORNU_INT32 = 7,
    CORNU_INT64 = 8,
    CORNU_UINT8 = 9,
    CORNU_UINT16 = 10,
    CORNU_UINT32 = 11,
    CORNU_UINT64 = 12,
    CORNU_BOOL = 13,      /* one byte, 0 or 1 */
    CORNU_COMPLEX64 = 14, /* two float32: real, imaginary */
    CORNU_COMPLEX128 = 15,
    CORNU_STRING = 16 /* elements are cornu_string */
} cornu_dtype;

/* Keras's name of a dtype, "float32", "bfloat16", "string", ...; "unknown" for other numbers. Thread-safe. */
CORNU_API const char* cornu_dtype_name(cornu_dtype dtype);
/* Bytes of one element; sizeof(cornu_string) for strings; 0 for other numbers. Thread-safe. */
CORNU_API size_t cornu_dtype_size(cornu_dtype dtype);

/* One element of a string tensor: size bytes of UTF-8, which may hold NUL bytes. */
typedef struct cornu_string {
    const char* data;
    size_t size;
} cornu_string;

#define CORNU_MAX_DIMS 16

/* A dense row-major tensor. A value: copying the struct does not copy the elements. */
typedef struct cornu_tensor {
    cornu_dtype dtype;
    int32_t ndim;                 /* 0 is a scalar */
    int64_t dims[CORNU_MAX_DIMS]; /* dims[ndim ...] are 0 */
    void* data;                   /* elements; the caller's, or the library's when owner is not NULL */
    void* owner;                  /* library-private; NULL when data is the caller's */
    int32_t device;               /* CORNU_HOST, or the CUDA device number that data lives on */
} cornu_tensor;

#define CORNU_HOST (-1)

/* A tensor over the caller's data, borrowed. ndim dimensions follow, each an int. ndim outside 0..CORNU_MAX_DIMS gives a
 * tensor of ndim -1, which every function refuses. Thread-safe. */
CORNU_API cornu_tensor cornu_tensor_of(cornu_dtype dtype, void* data, int ndim, ...);
/* The same with dims[ndim]. Thread-safe. */
CORNU_API cornu_tensor cornu_tensor_shaped(cornu_dtype dtype, void* data, int ndim, const int64_t* dims);
/* Number of elements, the product of the dims: 1 for a scalar, -1 for an invalid tensor or an overflow. Thread-safe. */
CORNU_API int64_t cornu_tensor_count(const cornu_tensor* tensor);
/* DLPack (dlpack.h, version 0.6 on): a view of a DLManagedTensor, which stays the caller's and must outlive the view. Dense row-major tensors of the CPU and of
 * CUDA devices. CORNU_BAD_ARGUMENT: another device, dtype, vector lanes or strides. Thread-safe. */
CORNU_API cornu_status cornu_tensor_from_dlpack(const void* dl_managed_tensor, cornu_tensor* out);
/* A new DLManagedTensor over the tensor's elements. Elements owned by the library go with it: its deleter frees them, and tensor->owner is NULL afterwards; the
 * caller's must outlive it. CORNU_BAD_ARGUMENT: strings. CORNU_NO_MEMORY. */
CORNU_API cornu_status cornu_tensor_to_dlpack(cornu_tensor* tensor, void** dl_managed_tensor);
/* A copy of a dense tensor's elements in new memory of a device: CORNU_HOST, or a CUDA device's number. The elements are the library's: cornu_tensor_release frees them.
 * Complete on return. CORNU_BAD_ARGUMENT: strings, or no elements to copy; CORNU_NO_DEVICE; CORNU_NO_MEMORY; CORNU_DEVICE_ERROR. Thread-safe. */
CORNU_API cornu_status cornu_tensor_copy(const cornu_tensor* tensor, int32_t device, cornu_tensor* out);
/* Frees elements owned by the library and sets data and owner to NULL. Leaves the caller's data alone. */
CORNU_API void cornu_tensor_release(cornu_tensor* tensor);

/* ---- Models: documents that load, change and save -------------------------------------------------------------- */

typedef struct cornu_model cornu_model;

typedef enum cornu_format {
    CORNU_FORMAT_AUTO = 0,     /* loading: by content; saving: by the path's extension */
    CORNU_FORMAT_KERAS = 1,    /* .keras, a zip archive */
    CORNU_FORMAT_KERAS_DIR = 2, /* the same members in a directory */
    CORNU_FORMAT_WEIGHTS = 3,  /* .weights.h5 of Keras 3 */
    CORNU_FORMAT_H5 = 4,       /* .h5 of Keras 1, Keras 2, tf.keras and Keras 3: a whole model */
    CORNU_FORMAT_H5_WEIGHTS = 5, /* .h5 with layer_names: weights only; saved only when asked for by this number */
    CORNU_FORMAT_JSON = 6,     /* .json: the architecture only */
    CORNU_FORMAT_SHARDED = 7,  /* .weights.json: weights of Keras 3 in several .weights.h5 */
    CORNU_FORMAT_NPZ = 8       /* .npz: weights keyed by their paths */
} cornu_format;

/* Whose form a legacy file (.h5, .json) is written in. */
typedef enum cornu_dialect {
    CORNU_DIALECT_AUTO = 0,  /* as the model's file has it where that is of the same format, else Keras 3.15 */
    CORNU_DIALECT_KERAS = 1, /* Keras 3.15 */
    CORNU_DIALECT_TF = 2     /* tf.keras 2.15 and tf_keras */
} cornu_dialect;

/* Told once for each thing that the format of a save cannot hold and that is therefore left out, in one sentence. */
typedef void (*cornu_note)(void* user, const char* sentence);

/* Called now and then during long work with done and total units (bytes, say). Another result than 0 cancels: the work
 * ends with CORNU_CANCELLED. */
typedef int (*cornu_progress)(void* user, uint64_t done, uint64_t total);

typedef struct cornu_load_options {
    size_t size;             /* sizeof(cornu_load_options) */
    int safe_mode;           /* 1: refuse a file that holds code or a path. 0: such layers load as data that is never run */
    int compile;             /* 1: read compile_config and optimizer state as such. 0: keep them only as data */
    const char* config_path; /* architecture JSON for a file that holds weights only, or NULL */
    uint64_t max_bytes;      /* refuse files that would take more host memory; 0: no limit */
    cornu_progress progress; /* or NULL */
    void* progress_user;
    const char* const* custom_objects; /* names of classes that the caller declares as his own. Nothing loads or runs otherwise for it */
    int n_custom_objects;
} cornu_load_options;
#define CORNU_LOAD_OPTIONS_INIT {sizeof(cornu_load_options), 1, 1, NULL, 0, NULL, NULL, NULL, 0}

typedef struct cornu_save_options {
    size_t size;           /* sizeof(cornu_save_options) */
    cornu_format format;   /* CORNU_FORMAT_AUTO: by the extension; in memory, as the model was loaded */
    int overwrite;         /* 1: replace an existing target. 0: CORNU_EXISTS */
    int include_optimizer; /* 0: leave the optimizer's variables out */
    cornu_progress progress;
    void* progress_user;
    cornu_dialect dialect; /* of CORNU_FORMAT_H5, CORNU_FORMAT_H5_WEIGHTS and CORNU_FORMAT_JSON */
    uint64_t shard_bytes;  /* of CORNU_FORMAT_SHARDED: most bytes of variables in one file; 0: 5 GiB */
    cornu_note note;       /* or NULL */
    void* note_user;
    int zipped;            /* of .keras, whatever the path ends with: 1: one file; 0: a directory; -1: as format says */
} cornu_save_options;
#define CORNU_SAVE_OPTIONS_INIT \
    {sizeof(cornu_save_options), CORNU_FORMAT_AUTO, 1, 1, NULL, NULL, CORNU_DIALECT_AUTO, 0, NULL, NULL, -1}

/* Opens a model file or directory; its content decides the format. Variables stay in the file until somebody needs
 * them, so the file must not change while the model lives. The model is the caller's: cornu_model_destroy.
 * CORNU_NOT_FOUND, CORNU_IO_ERROR, CORNU_BAD_FILE, CORNU_REFUSED, CORNU_NO_MEMORY, CORNU_BAD_ARGUMENT. Thread-safe. */
CORNU_API cornu_status cornu_model_load(const char* path, const cornu_load_options* options, cornu_model** out);
/* The same from size bytes of memory, borrowed until the model is destroyed. Thread-safe. */
CORNU_API cornu_status cornu_model_load_memory(const void* data, size_t size, const cornu_load_options* options,
                                               cornu_model** out);
/* Writes the model to a path. The target is replaced at once when all is written and synced: after a failure or a crash it is what it was
 * before. JSON that was not changed is written from its original text. CORNU_EXISTS; CORNU_UNSUPPORTED, naming it: what the model holds
 * and would be another model without, but the format cannot hold; CORNU_IO_ERROR: no room, or the target cannot be written. */
CORNU_API cornu_status cornu_model_save(cornu_model* model, const char* path, const cornu_save_options* options);
/* Writes the model to memory, which is the caller's: cornu_free. */
CORNU_API cornu_status cornu_model_save_memory(cornu_model* model, const cornu_save_options* options, void** out,
                                               size_t* out_size);
/* Gives the model up; it is freed when its last session is. NULL is allowed. */
CORNU_API void cornu_model_destroy(cornu_model* model);

/* ---- Weights from another file --------------------------------------------------------------------------------- */

typedef enum cornu_weights_match {
    CORNU_WEIGHTS_MATCHED = 0,   /* a variable of the model that the file has a value for */
    CORNU_WEIGHTS_MISSING = 1,   /* ... has none for */
    CORNU_WEIGHTS_MISMATCHED = 2, /* ... has one of another shape for */
    CORNU_WEIGHTS_UNUSED = 3     /* a variable of the file that the model does not have */
} cornu_weights_match;

/* Told of each variable. path: as Keras 3 stores it, "layers/dense/vars/0"; of an unused one, as the file has it. */
typedef void (*cornu_weights_note)(void* user, cornu_weights_match what, const char* path);

typedef struct cornu_weights_options {
    size_t size;       /* sizeof(cornu_weights_options) */
    int by_name;       /* 1: legacy HDF5 only: give layers the weights of layers of the same name, leave the others as they are */
    int skip_mismatch; /* 1: leave variables as they are that the file has none, or one of another shape, for */
    int require_all;   /* 1: fail unless every variable of the model and of the file is matched */
    const char* layer; /* load into this layer only, "encoder" or "encoder/dense"; NULL: the whole model */
    cornu_weights_note note; /* or NULL */
    void* note_user;
} cornu_weights_options;
#define CORNU_WEIGHTS_OPTIONS_INIT {sizeof(cornu_weights_options), 0, 0, 0, NULL, NULL, NULL}

typedef struct cornu_weights_report {
    size_t size; /* sizeof(cornu_weights_report), set by the caller */
    int64_t matched, missing, mismatched, unused;
} cornu_weights_report;

/* Gives the model's variables the values of another file, of any format that cornu_model_load reads: Keras 3's by their paths, those of
 * legacy HDF5 layer by layer in order, or by_name. The variables of the optimizer are left alone. A model that was loaded from an architecture
 * alone gets its variables here. report may be NULL; it is filled in after a failure as well. Waits for running sessions; their next
 * run uses the new values. CORNU_NOT_FOUND: no such file, or variables are missing; CORNU_BAD_ARGUMENT: other shapes, an unknown layer, unused
 * variables with require_all; CORNU_BAD_FILE: other numbers of layers or weights. Nothing is changed then. */
CORNU_API cornu_status cornu_model_load_weights(cornu_model* model, const char* path, const cornu_weights_options* options,
                                                cornu_weights_report* report);

/* What a model file says of itself. Strings are borrowed until the model is destroyed; NULL where the file does not say. */
typedef struct cornu_model_info {
    size_t size; /* sizeof(cornu_model_info), set by the caller */
    cornu_format format;
    const char* format_name;  /* "keras", "keras-dir", "weights.h5", "h5", "h5-weights", "json", "weights.json", "npz" */
    const char* keras_version;
    const char* date_saved;
    const char* class_name; /* of the root object: "Functional", "Sequential", ... */
    const char* name;       /* of the model */
    const char* optimizer;  /* class name, NULL if the model is not compiled */
    int64_t layer_count;    /* layers of the root model */
    int64_t variable_count; /* all variables in the file, those of the optimizer too */
    int64_t parameter_count;          /* elements of the layers' variables */
    int64_t trainable_count;          /* of them trainable, as far as the file tells */
    int64_t optimizer_parameter_count; /* elements of the optimizer's variables */
    int64_t asset_count;
    uint64_t weight_bytes; /* bytes of the layers' variables */
    uint64_t optimizer_bytes;
} cornu_model_info;

CORNU_API cornu_status cornu_model_get_info(cornu_model* model, cornu_model_info* info);

/* One variable of the file. Strings are borrowed until the model is destroyed. */
typedef struct cornu_variable_info {
    size_t size;       /* sizeof(cornu_variable_info), set by the caller */
    const char* path;  /* in the weights file: "layers/dense/vars/0", "optimizer/vars/3" */
    const char* layer; /* name of the layer that owns it, or NULL */
    cornu_dtype dtype;
    int32_t ndim;
    int64_t dims[CORNU_MAX_DIMS];
    uint64_t bytes;
    uint64_t version; /* 0 as loaded; raised by every cornu_model_set_variable */
    int is_optimizer; /* 1: belongs to the optimizer */
} cornu_variable_info;

/* Number of variables; they are numbered in file order of their groups. */
CORNU_API int64_t cornu_model_variable_count(cornu_model* model);
CORNU_API cornu_status cornu_model_variable_info(cornu_model* model, int64_t index, cornu_variable_info* info);
/* Copies a variable by its path into out: into the caller's data when out->data is not NULL (dtype and shape must be the variable's), else
 * into memory owned by the library, released by cornu_tensor_release. */
CORNU_API cornu_status cornu_model_get_variable(cornu_model* model, const char* path, cornu_tensor* out);
/* Gives a variable new values. The shape must be the variable's; another dtype is converted as Keras's assign does. Waits for running
 * sessions; their next run uses the new values. */
CORNU_API cornu_status cornu_model_set_variable(cornu_model* model, const char* path, const cornu_tensor* value);

typedef enum cornu_json_part {
    CORNU_JSON_CONFIG = 0,
    CORNU_JSON_METADATA = 1,
    CORNU_JSON_COMPILE = 2 /* compile_config of an archive, training_config of legacy HDF5; read only */
} cornu_json_part;

/* The JSON text of the value at a JSON pointer (RFC 6901: "" is the whole document, "/config/layers/1/config/units"),
 * in its original spelling where it was not changed. The text is the caller's: cornu_free. */
CORNU_API cornu_status cornu_model_get_json(cornu_model* model, cornu_json_part part, const char* pointer, char** out);
/* Replaces the value at a JSON pointer by that of a JSON text, or adds a key to an existing object. Sessions that exist are not changed. */
CORNU_API cornu_status cornu_model_set_json(cornu_model* model, cornu_json_part part, const char* pointer,
                                            const char* text);

/* One layer of the root model, or of a model nested in it, in the order of the file; nested layers follow their model. */
typedef struct cornu_layer_info {
    size_t size; /* sizeof(cornu_layer_info), set by the caller */
    const char* name;
    const char* class_name;
    const char* path; /* in the weights file: "layers/dense" */
    int32_t depth;    /* 0 in the root model, 1 in a model nested in it, ... */
    int32_t trainable;
    int64_t parameter_count;
    const char* output_shape; /* as summary() writes it, "(None, 10)", "?" where it cannot be told */
    const char* inputs;       /* names of the layers it is called on, "a, b"; "" for none */
    const char* missing;      /* why it cannot run here, NULL if it can */
} cornu_layer_info;

CORNU_API int64_t cornu_model_layer_count(cornu_model* model);
CORNU_API cornu_status cornu_model_layer_info(cornu_model* model, int64_t index, cornu_layer_info* info);

/* One file under assets/ of the archive. Name borrowed until the model is destroyed. */
CORNU_API int64_t cornu_model_asset_count(cornu_model* model);
CORNU_API cornu_status cornu_model_asset_info(cornu_model* model, int64_t index, const char** name, uint64_t* bytes);

/* ---- Compile state: losses, metrics and the optimizer ---------------------------------------------------------- */

/* What a model was compiled with, in a typed form. All of it is in compile_config as well (cornu_model_get_json). Strings are borrowed until the
 * model is destroyed. A model loaded with compile 0 counts as not compiled. */
typedef struct cornu_compile_info {
    size_t size;  /* sizeof(cornu_compile_info), set by the caller */
    int compiled; /* 0: all that follows is 0 */
    int32_t objective_count; /* losses and metrics: cornu_model_objective */
    int32_t optimizer_count; /* 1, and one for each inside a wrapper: cornu_model_optimizer; 0: none */
    int32_t run_eagerly;
    int32_t jit_compile;
    int64_t steps_per_execution;
    int64_t slot_count; /* variables of the optimizers: cornu_model_slot */
} cornu_compile_info;
CORNU_API cornu_status cornu_model_compile_info(cornu_model* model, cornu_compile_info* info);

typedef enum cornu_objective_kind {
    CORNU_OBJECTIVE_LOSS = 0,
    CORNU_OBJECTIVE_METRIC = 1,
    CORNU_OBJECTIVE_WEIGHTED_METRIC = 2
} cornu_objective_kind;

/* A loss or metric of one output, in the order of the file: losses, metrics, weighted metrics. */
typedef struct cornu_objective {
    size_t size; /* sizeof(cornu_objective), set by the caller */
    cornu_objective_kind kind;
    const char* output;     /* name of the output it is for; NULL where the model has no name for it */
    int32_t output_index;   /* -1: every output, or one that the model does not have under that name */
    const char* spelled;    /* as the file names it: "mse" */
    const char* class_name; /* class or function of Keras that it means: "mean_squared_error"; as spelled where Keras has none such */
    int is_function;
    int is_known;  /* 1: Keras 3.15 has it; 0: a custom one */
    double weight; /* of a loss: its entry in loss_weights, 1 without */
} cornu_objective;
CORNU_API cornu_status cornu_model_objective(cornu_model* model, int32_t index, cornu_objective* objective);

/* A parameter of a loss, metric, optimizer or schedule. */
typedef struct cornu_parameter {
    size_t size; /* sizeof(cornu_parameter), set by the caller */
    const char* name;
    const char* text; /* its value as JSON: 0.9, true, null, "sum", [1, 2] */
    double number;    /* its value where that is a number, 0 or 1 for booleans, NaN for others */
    int is_default;   /* 1: the file does not say, Keras's default is given */
} cornu_parameter;

typedef enum cornu_parameter_of {
    CORNU_OF_OBJECTIVE = 0, /* which: index of cornu_model_objective */
    CORNU_OF_OPTIMIZER = 1, /* which: index of cornu_model_optimizer; learning_rate is in the optimizer's info */
    CORNU_OF_SCHEDULE = 2   /* which: index of the optimizer whose schedule it is */
} cornu_parameter_of;
/* Parameter i, in Keras's order. CORNU_NOT_FOUND past the last. */
CORNU_API cornu_status cornu_model_parameter(cornu_model* model, cornu_parameter_of of, int32_t which, int32_t i, cornu_parameter* parameter);

/* An optimizer. Number 0 is the model's; LossScaleOptimizer and MultiOptimizer have inner ones, numbered from 1. */
typedef struct cornu_optimizer_info {
    size_t size;            /* sizeof(cornu_optimizer_info), set by the caller */
    const char* class_name; /* "Adam", also where the file spells it "Custom>Adam" or "adam" */
    const char* name;       /* of the instance, "" where the file does not say */
    int is_known;           /* 1: a class of Keras 3.15 */
    const char* variables;  /* for a MultiOptimizer's inner one: paths of the variables that it trains, as a regular expression; NULL: all others */
    int64_t iterations;     /* steps done, as stored (not divided by gradient_accumulation_steps); -1: the file does not say */
    double learning_rate;   /* the one that the next step uses: stored, or the schedule's; NaN where that is not known */
    const char* schedule;   /* class of the schedule that gives the learning rate, NULL for a plain one */
    double loss_scale;      /* LossScaleOptimizer: the dynamic scale, and */
    int64_t good_steps;     /* the steps since it last changed; else NaN and -1 */
    int use_ema;
    int64_t gradient_accumulation_steps; /* 0: none */
    const char* unknown; /* why the stored variables cannot be told apart, NULL when they can */
} cornu_optimizer_info;
CORNU_API cornu_status cornu_model_optimizer(cornu_model* model, int32_t which, cornu_optimizer_info* info);

/* A variable of an optimizer, in the order of Keras 3: the stored one, but for files of older form. */
typedef struct cornu_slot {
    size_t size;      /* sizeof(cornu_slot), set by the caller */
    const char* path; /* for cornu_model_get_variable: "optimizer/vars/3" */
    const char* name; /* what it is: "momentum", "velocity", "average", "gradient_accumulator", "iteration", ...; NULL where that is not known */
    int32_t optimizer;    /* number of the optimizer that it belongs to */
    const char* variable; /* path of the layer's variable that it goes with, NULL for none */
    const char* layer;    /* name of that variable's layer, NULL for none */
} cornu_slot;
CORNU_API cornu_status cornu_model_slot(cornu_model* model, int64_t index, cornu_slot* slot);

/* The schedule's learning rate at a step. CORNU_NOT_FOUND: the optimizer has none. CORNU_UNSUPPORTED: one that is not Keras's. */
CORNU_API cornu_status cornu_model_schedule_value(cornu_model* model, int32_t which, int64_t step, double* out);
/* Change the learning rate (in the config and, where the file has one, the variable) and the step counter. Number 0 of a LossScaleOptimizer
 * stands for what it wraps, as in Keras. CORNU_BAD_ARGUMENT: a schedule gives the rate. CORNU_NOT_FOUND: no such optimizer, or no counter.
 * CORNU_UNSUPPORTED: the file is not of Keras 3's own form; save it as .keras first. */
CORNU_API cornu_status cornu_model_set_learning_rate(cornu_model* model, int32_t which, double value);
CORNU_API cornu_status cornu_model_set_iterations(cornu_model* model, int32_t which, int64_t value);

/* ---- Comparing and checking models ----------------------------------------------------------------------------- */

typedef enum cornu_difference_kind {
    CORNU_DIFF_CONFIG = 0,  /* layers and how they are connected */
    CORNU_DIFF_COMPILE = 1, /* losses, metrics and the optimizer's config */
    CORNU_DIFF_WEIGHT = 2,
    CORNU_DIFF_OPTIMIZER = 3, /* the optimizer's variables */
    CORNU_DIFF_ASSET = 4
} cornu_difference_kind;

/* Something in which two models differ. Strings are borrowed until the diff is destroyed. */
typedef struct cornu_difference {
    size_t size; /* sizeof(cornu_difference), set by the caller */
    cornu_difference_kind kind;
    const char* place; /* "layer 'dense': units", a variable's path, an asset's name */
    const char* a;     /* what each has, as text: JSON, "float32 (3, 4)", "12 bytes"; NULL: nothing */
    const char* b;
    int has_errors;     /* 1: of elements of one shape; then */
    double max_error;   /* the largest |a - b|; infinite where one has a NaN and the other not */
    double mean_error;  /* over all elements */
    int64_t count;      /* elements */
    int64_t different;  /* of them that differ */
} cornu_difference;

typedef struct cornu_diff cornu_diff;
/* Compares two models, also of different formats: configs by value, whatever the order of keys and the spelling of numbers, identities of shared objects
 * left out; variables by their place, those of optimizers by what they are. Versions and dates are not compared. *out is the caller's:
 * cornu_diff_destroy; without differences it has none. Thread-safe. */
CORNU_API cornu_status cornu_model_diff(cornu_model* a, cornu_model* b, cornu_diff** out);
CORNU_API int64_t cornu_diff_count(const cornu_diff* diff);
CORNU_API cornu_status cornu_diff_get(const cornu_diff* diff, int64_t index, cornu_difference* difference);
CORNU_API void cornu_diff_destroy(cornu_diff* diff);

typedef enum cornu_severity {
    CORNU_PROBLEM = 0, /* refused, misread or not runnable */
    CORNU_NOTE = 1     /* good to know; nothing is refused or misread */
} cornu_severity;

/* Something that check has found. Strings are borrowed until the check is destroyed. */
typedef struct cornu_finding {
    size_t size; /* sizeof(cornu_finding), set by the caller */
    cornu_severity severity;
    const char* who;    /* "keras": Keras 3.15 refuses or misreads it; "cornu": it does not run here */
    const char* code;   /* a word that stays the same: "unknown-class", "unknown-key", "missing-variable", ... */
    const char* place;  /* "layer 'dense' (Dense)", "compile_config", a variable, a member of the archive, "file" */
    const char* what;   /* one sentence */
    const char* remedy; /* one sentence */
} cornu_finding;

typedef struct cornu_check_options {
    size_t size;                      /* sizeof(cornu_check_options) */
    const char* const* custom_objects; /* names that the caller declares: found as declared, not as unknown */
    int n_custom_objects;
} cornu_check_options;
#define CORNU_CHECK_OPTIONS_INIT {sizeof(cornu_check_options), NULL, 0}

typedef struct cornu_check cornu_check;
/* Looks for every reason for which Keras 3.15 would refuse or misread the file, and for which Cornu would not run it. Load with safe_mode 0, so that
 * a file with code can be checked; nothing of it is run. *out is the caller's: cornu_check_destroy. Thread-safe. */
CORNU_API cornu_status cornu_model_check(cornu_model* model, const cornu_check_options* options, cornu_check** out);
CORNU_API int64_t cornu_check_count(const cornu_check* check);
CORNU_API cornu_status cornu_check_get(const cornu_check* check, int64_t index, cornu_finding* finding);
CORNU_API void cornu_check_destroy(cornu_check* check);

/* ---- Sessions: models that run --------------------------------------------------------------------------------- */

typedef struct cornu_session cornu_session;

/* What a CUDA session makes of the model's float32. Values whose dtype the model's own policies chose (float16, bfloat16, float64), integers and
 * bools are the same in every mode; so are inputs, outputs, states and variables. The CPU computes float32 whatever is asked for. */
typedef enum cornu_precision {
    CORNU_PRECISION_DEFAULT = 0, /* convolutions and large products round their factors to TF32, as TensorFlow and JAX do; else float32 */
    CORNU_PRECISION_STRICT = 1,  /* float32 */
    CORNU_PRECISION_TF32 = 2,    /* every convolution and product of matrices rounds its factors to TF32 */
    CORNU_PRECISION_BF16 = 3,    /* values and weights are bfloat16 from the first product on, sums float32; what bfloat16 does not suit stays float32 */
    CORNU_PRECISION_FP16 = 4     /* the same with float16, whose largest number is 65504 */
} cornu_precision;

/* A device has several ways of making some layers; which is the fastest is found out by timing them once for each problem, device and
 * set of library versions, and remembered in files. Every way is right within the precision asked for; bits may differ. */
typedef enum cornu_tune {
    CORNU_TUNE_DEFAULT = 0, /* as the environment's CORNU_TUNE says (off, fast, full), else fast */
    CORNU_TUNE_OFF = 1,     /* a guess by size; no file is read or written */
    CORNU_TUNE_FAST = 2,    /* what the files do not know is timed, for 2 seconds at most when shapes are seen for the first time */
    CORNU_TUNE_FULL = 3     /* all of it is timed, however long it takes */
} cornu_tune;

typedef struct cornu_session_options {
    size_t size;        /* sizeof(cornu_session_options) */
    const char* device; /* "auto", "cpu", "reference" (the slow exact one), "cuda", "cuda:N"; NULL: "auto" */
    cornu_precision precision;
    int threads;                /* CPU threads; 0: as many as the machine has */
    int training;               /* Keras's `training` argument: 0 or 1 */
    uint64_t seed;              /* of the random layers, at training 1 */
    uint64_t max_bytes;         /* refuse runs that need more memory for activations; 0: the memory of the machine */
    const char* const* outputs; /* names of layers whose outputs to return instead of the model's */
    int n_outputs;
    cornu_tune tune;        /* on a CUDA device */
    double tune_seconds;    /* for timing, instead of the above; 0: as above */
    int deterministic;      /* 1: the same bits on every machine with this device and these libraries: no timing, no files */
    const char* plan_cache; /* folder of the files; NULL: CORNU_PLAN_CACHE, else cornu/ in XDG_CACHE_HOME or ~/.cache; "": none */
} cornu_session_options;
#define CORNU_SESSION_OPTIONS_INIT \
    {sizeof(cornu_session_options), NULL, CORNU_PRECISION_DEFAULT, 0, 0, 0, 0, NULL, 0, CORNU_TUNE_DEFAULT, 0.0, 0, NULL}

/* Makes a model ready to run. Whatever cannot run is refused, all of it in one message. The session keeps the model
 * alive. CORNU_UNSUPPORTED, CORNU_BAD_FILE (missing or misshapen variables), CORNU_NO_DEVICE, CORNU_NO_MEMORY.
 * Thread-safe: any number of threads may each have sessions on one model. */
CORNU_API cornu_status cornu_session_create(cornu_model* model, const cornu_session_options* options,
                                            cornu_session** out);
CORNU_API void cornu_session_destroy(cornu_session* session);

/* An input or output of a session. name is borrowed until the session is destroyed. */
typedef struct cornu_port {
    size_t size; /* sizeof(cornu_port), set by the caller */
    const char* name;
    cornu_dtype dtype;
    int32_t ndim;                 /* -1: not known before shapes are given */
    int64_t dims[CORNU_MAX_DIMS]; /* -1: any; the first is the batch */
    int optional;                 /* 1: the input may be left out: a tensor of dtype 0 */
} cornu_port;

/* Inputs and outputs in flattened order, as Keras flattens lists, tuples and dicts (dicts by sorted key). */
CORNU_API int cornu_session_input_count(cornu_session* session);
CORNU_API int cornu_session_output_count(cornu_session* session);
CORNU_API cornu_status cornu_session_input(cornu_session* session, int index, cornu_port* port);
CORNU_API cornu_status cornu_session_output(cornu_session* session, int index, cornu_port* port);

/* Fills in dtype, ndim and dims of out[n_out] for inputs of the shapes in in[n_in], whose data is not read. */
CORNU_API cornu_status cornu_session_output_shapes(cornu_session* session, const cornu_tensor* in, int n_in,
                                                   cornu_tensor* out, int n_out);

/* Runs the model once. in[i] is dense row-major memory, of the host or of the session's device (in[i].device), shaped as cornu_session_input(s, i)
 * with the batch filled in, borrowed until return; another numeric dtype of host memory is converted as Keras does. out[i].data is the caller's memory for that output, whose
 * dtype and shape must fit, or NULL: then the library allocates it and cornu_tensor_release frees it.
 * CORNU_BAD_ARGUMENT: a count, shape or dtype does not fit; nothing ran. CORNU_DEVICE_ERROR: outputs undefined.
 * One thread at a time on one session. */
CORNU_API cornu_status cornu_session_run(cornu_session* session, const cornu_tensor* in, int n_in, cornu_tensor* out,
                                         int n_out);

/* The same on a stream of the caller's. Where every input and output is on the device and no layer keeps a state, the call only enqueues: the tensors'
 * memory must stay until the stream has come that far, and what a kernel finds wrong is told by cornu_session_wait. Otherwise it
 * returns when the outputs are complete. stream: a cudaStream_t of the session's device, created by the CUDA runtime of this process; NULL: the session's own.
 * Runs of one session follow each other also on different streams. CORNU_BAD_ARGUMENT: also for a stream of another device, from CUDA 12.8 on. Every call on a
 * CUDA session leaves its device as the thread's current one. */
CORNU_API cornu_status cornu_session_run_on_stream(cornu_session* session, const cornu_tensor* in, int n_in, cornu_tensor* out, int n_out, void* stream);
/* Waits for every run that was enqueued and fails as the first of them did. */
CORNU_API cornu_status cornu_session_wait(cornu_session* session);

/* Makes everything ready for inputs of the shapes in in[n_in], whose data is not read: the plan, weights on the device, the choice of ways. The
 * first run of these shapes does it otherwise. Fails as cornu_session_run does. */
CORNU_API cornu_status cornu_session_prepare(cornu_session* session, const cornu_tensor* in, int n_in);

/* A problem that a device has several ways of solving, and the way that was chosen. */
typedef struct cornu_tuning {
    size_t size;         /* sizeof(cornu_tuning), set by the caller */
    const char* problem; /* "matmul float32 1 x 512 x 784 ..."; borrowed until the session's next call */
    int ways, way;       /* how many, and which; way 0 is the guess by size */
    int steps;           /* of the model that are this problem */
    int known, timed;    /* 1: it was found in the files; it was timed now. Neither: way 0, untimed */
    double guess_ms, best_ms; /* of way 0 and of the way chosen; 0: not timed */
    const char* name;    /* what the way chosen is: "cuBLASLt 2", "tiles of 64 x 64"; borrowed as problem is */
} cornu_tuning;
/* Rows of the shapes that the session last ran or was made ready for; none on a device without such choices. */
CORNU_API int cornu_session_tuning_count(cornu_session* session);
CORNU_API cornu_status cornu_session_tuning_get(cornu_session* session, int index, cornu_tuning* row);
/* Why what was found out could not be written to the files, "" if it could. Borrowed until the session's next call. */
CORNU_API const char* cornu_session_tuning_note(cornu_session* session);

/* States of layers with stateful=True: they last from run to run of one session, begin as zeros and are never saved. Numbered in the order
 * in which the layers are called. */
CORNU_API int cornu_session_state_count(cornu_session* session);
/* "layers/lstm/states/0" (h; 1 is c), borrowed until the session is destroyed; NULL if there is none. */
CORNU_API const char* cornu_session_state_name(cornu_session* session, int index);
/* Copies a state into out: into the caller's data when out->data is not NULL (dtype and shape must be the state's), else into memory owned by the library,
 * released by cornu_tensor_release. CORNU_BAD_ARGUMENT: also before the first run, when its shape is not known. */
CORNU_API cornu_status cornu_session_state_get(cornu_session* session, int index, cornu_tensor* out);
/* Gives a state other values; another numeric dtype is converted. Before the first run any shape is taken, and the run checks it. */
CORNU_API cornu_status cornu_session_state_set(cornu_session* session, int index, const cornu_tensor* value);
/* Makes every state zeros again. */
CORNU_API void cornu_session_state_reset(cornu_session* session);

/* What a session runs on. Strings are borrowed until the session is destroyed. */
typedef struct cornu_session_info {
    size_t size; /* sizeof(cornu_session_info), set by the caller */
    const char* device;    /* "cpu", "cuda:0 (NVIDIA H200)", ... */
    const char* backend;   /* "reference", "cpu", "cuda" */
    const char* precision; /* what is used: "float32", "tf32", "bf16", "fp16", or for the default of CUDA a sentence */
    uint64_t arena_bytes;  /* of the last run's activations */
    uint64_t runs;
} cornu_session_info;
CORNU_API cornu_status cornu_session_get_info(cornu_session* session, cornu_session_info* info);

/* ---- Where the time of a run goes ---- */

typedef struct cornu_profile cornu_profile;
/* Runs the model 3 times and then `runs` times twice: as cornu_session_run does, and step by step with a clock around each step: events on a CUDA device. in is
 * that of cornu_session_run. Steps of a batch that the CPU splits over threads run on one thread, part after part. *out is the caller's: cornu_profile_destroy. States of layers
 * go on by that many runs. CORNU_BAD_ARGUMENT: also runs outside 1 to 10000. One thread at a time on one session. */
CORNU_API cornu_status cornu_session_profile(cornu_session* session, const cornu_tensor* in, int n_in, int runs, cornu_profile** out);
CORNU_API void cornu_profile_destroy(cornu_profile* profile);

/* The whole. Strings are borrowed until the profile is destroyed. */
typedef struct cornu_profile_info {
    size_t size; /* sizeof(cornu_profile_info), set by the caller */
    const char* device;      /* as cornu_session_info has it */
    int64_t step_count;      /* rows */
    double run_ms;           /* median of an ordinary run; on a CUDA device of the captured graph, without copies of host tensors */
    double steps_ms;         /* sum of the rows' times */
    double peak_gb_per_s;    /* the most that the device's memory gives, in 1e9 bytes; 0: not known */
    double peak_gflop_per_s; /* the most that its dense products give in the session's precision, in 1e9 operations; 0: not known */
} cornu_profile_info;
CORNU_API cornu_status cornu_profile_get_info(const cornu_profile* profile, cornu_profile_info* info);

/* One step: what the device does for one node of the graph, in order. Strings are borrowed until the profile is destroyed. */
typedef struct cornu_profile_step {
    size_t size; /* sizeof(cornu_profile_step), set by the caller */
    const char* layer;  /* it came from, "" where no layer has it */
    const char* op;     /* "matmul", "conv", ...: an op of cornu_support_get */
    const char* kernel; /* the first kernel or library function that it launched; "" on the CPU */
    const char* result; /* type of what it makes, "f32[1,112,112,64]" */
    int32_t launches;   /* kernels and library calls in one run */
    double ms;          /* median */
    uint64_t flops;     /* of one run: what the result asks for; a multiplication and an addition are two */
    uint64_t bytes;     /* each input read once and the result written once: what has to move at least */
} cornu_profile_step;
/* CORNU_NOT_FOUND past the last. */
CORNU_API cornu_status cornu_profile_get_step(const cornu_profile* profile, int64_t index, cornu_profile_step* step);

/* The text form of the graph for the given input shapes (data not read). The text is the caller's: cornu_free. */
CORNU_API cornu_status cornu_session_graph_text(cornu_session* session, const cornu_tensor* in, int n_in, char** out);

/* ---- Arrays in files: numpy's .npz and .npy -------------------------------------------------------------------- */

/* A named array. Made by cornu_arrays_load: both parts are the library's. */
typedef struct cornu_array {
    const char* name; /* "" for a .npy */
    cornu_tensor tensor;
} cornu_array;

/* Reads a .npz or .npy, by content. The arrays are the caller's: cornu_arrays_free. Pickled objects are refused.
 * CORNU_NOT_FOUND, CORNU_IO_ERROR, CORNU_BAD_FILE, CORNU_UNSUPPORTED, CORNU_NO_MEMORY. Thread-safe. */
CORNU_API cornu_status cornu_arrays_load(const char* path, cornu_array** out, int* out_count);
CORNU_API void cornu_arrays_free(cornu_array* arrays, int count);
/* Writes arrays as .npz, or one array as .npy where the path ends so, by atomic replace. Thread-safe. */
CORNU_API cornu_status cornu_arrays_save(const char* path, const cornu_array* arrays, int count, int overwrite);

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

/* The CUDA backend, a plug-in that is opened when it is first asked for: CORNU_CUDA_LIBRARY names it, else libcornu_cuda.so beside this
 * library. A process keeps the one that it opened. The plug-in looks for cuBLASLt, which it needs, and for cuDNN 9, which it can do without and
 * tries where ways are timed: CORNU_CUBLASLT_LIBRARY and CORNU_CUDNN_LIBRARY name their files ("none": without cuDNN), else they are looked for beside the
 * plug-in, where the system looks for libraries, and below CUDA_PATH and /usr/local/cuda. */
typedef struct cornu_cuda_info {
    size_t size;       /* sizeof(cornu_cuda_info), set by the caller */
    int devices;       /* that can be used; 0: device "auto" is the CPU */
    char plugin[1024]; /* path of the plug-in, "" if none could be opened */
    char kind[64];     /* "CUDA 13.0", "host execution" */
    char reason[1024]; /* why no device can be used and what to do, "" if one can */
} cornu_cuda_info;
/* CORNU_OK also where there is no device. CORNU_BAD_ARGUMENT. Thread-safe. */
CORNU_API cornu_status cornu_cuda_get_info(cornu_cuda_info* out);

/* ---- What this build supports ---------------------------------------------------------------------------------- */

/* One row of the tables in the code: a layer class, an op or a file format. Static storage. */
typedef struct cornu_support {
    size_t size;       /* sizeof(cornu_support), set by the caller */
    const char* kind;  /* "layer", "op", "activation", "format", "backend" */
    const char* name;  /* "Dense" */
    const char* limits; /* what is refused and why, "" for nothing */
} cornu_support;
CORNU_API int cornu_support_count(void);
CORNU_API cornu_status cornu_support_get(int index, cornu_support* row);

#ifdef __cplusplus
}
#endif

#endif
