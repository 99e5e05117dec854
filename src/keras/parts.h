/* What a document is made of, for the files of keras/ alone.
 *
 *   cn_document
 *     source ---- the file or memory; NULL for a directory
 *     zip ------- over source, for an archive
 *     members --- every member in the order of the archive, each with its bytes as a source
 *     h5 -------- over the source of the weights; index and variables point into its tree
 *     state ----> cn_config_state (config text, layers) of now -> the one before the last cn_document_set_json -> ...
 *
 * Older states live as long as the document, because strings and layers of theirs were given out. */
#ifndef CN_KERAS_PARTS_H
#define CN_KERAS_PARTS_H

#include <pthread.h>

#include "archive/limits.h"
#include "archive/zip.h"
#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MEMBER_CONFIG "config.json"
#define CN_MEMBER_METADATA "metadata.json"
#define CN_MEMBER_WEIGHTS "model.weights.h5"
#define CN_MEMBER_NPZ "model.weights.npz"
#define CN_MEMBER_ASSETS "assets/"

/* ---- members ---- */

typedef struct cn_member {
    const char* name;
    cn_source* source; /* owned by the document, but for the file itself (weights only) */
} cn_member;

/* ---- the config and its layers ---- */

typedef struct cn_config_state cn_config_state;
typedef struct cn_layer_node cn_layer_node;

/* Every cn_layer lies in one of these. */
struct cn_layer_node {
    cn_layer layer; /* first, so that a cn_layer* is one of these */
    cn_config_state* state;
    cn_layer** by_name;      /* layer.layers sorted by name, layer.layer_count of them */
    const cn_variable** own; /* variables of "<path>/vars", own_count of them */
    size_t own_count;
    const char* attributes; /* of a sub-layer: as cn_layer_sub was asked for it */
    cn_layer_node* subs;    /* sub-layers made so far; under state->lock */
    cn_layer_node* next;    /* in the parent's subs */
};

struct cn_config_state {
    cn_json_doc* config; /* NULL for a state that only changed the metadata, or of weights only */
    cn_json_doc* metadata;
    bool owns_config, owns_metadata;       /* else they are an older state's */
    bool config_changed, metadata_changed; /* against the file */
    cn_arena arena;                        /* layers; after the build under lock */
    pthread_mutex_t lock;
    const cn_layer* root;
    const cn_layer** by_path; /* all layers that are no sub-layers, sorted by path */
    size_t by_path_count;
    cn_document* upgraded; /* of this state, or NULL when it needs none; made under upgrade_lock */
    bool upgrade_known;    /* whether upgraded says something */
    pthread_mutex_t upgrade_lock;
    cn_config_state* older;
    uint64_t layer_total; /* layers built so far, against CN_LIMIT_LAYERS */
};

/* Layers of one config, those of nested models included. */
#define CN_LIMIT_LAYERS ((uint64_t)1000000)

/* ---- the weights file ---- */

/* An object of the weights file by its path with '\' (which Keras on Windows wrote) as '/'. */
typedef struct cn_weight_entry {
    const char* path;
    const cn_h5_node* node;
    cn_variable* variable; /* NULL for a group */
} cn_weight_entry;

/* Where the elements of a variable come from that is no data set of doc->h5. */
typedef struct cn_origin cn_origin;
struct cn_origin {
    cornu_status (*read)(const cn_document* doc, const cn_variable* variable, void* dst);
    const cn_h5* h5;        /* a shard, for node */
    const cn_h5_node* node; /* of h5, or NULL */
    cn_source* source;      /* a .npy */
    const cn_document* doc;   /* whose variables from are */
    const cn_variable** from; /* from_count variables that this one was made from */
    int from_count;
    const struct cn_conversion* conversion; /* how from become this one's elements; NULL: they are them */
};

/* ---- formats ---- */

typedef struct cn_save_job cn_save_job;

/* A row of the table of formats. */
typedef struct cn_format {
    cornu_format id;
    const char* name;      /* of cornu_model_info.format_name */
    const char* extension; /* by which a save recognises it */
    /* Reads the document; doc->source is open, or for a directory dir_fd. */
    cornu_status (*open)(cn_document* doc, int dir_fd, const cornu_load_options* options);
    /* Writes to job->sink, up to but not including the commit. */
    cornu_status (*save)(cn_document* doc, cn_save_job* job);
} cn_format;

extern const cn_format cn_format_keras;     /* format_keras.c */
extern const cn_format cn_format_keras_dir; /* format_keras.c */
extern const cn_format cn_format_weights;   /* format_weights.c */
extern const cn_format cn_format_h5;         /* format_h5.c */
extern const cn_format cn_format_h5_weights; /* format_h5.c */
extern const cn_format cn_format_json;       /* format_json.c */
extern const cn_format cn_format_sharded;    /* format_json.c */
extern const cn_format cn_format_npz;        /* format_npz.c */

/* The row of a format, NULL if it has none. */
const cn_format* cn_format_of(cornu_format id);
/* The row for what doc->source (or the directory) holds; CORNU_BAD_FILE or CORNU_UNSUPPORTED says what it is instead.
 */
cornu_status cn_format_sniff(cn_document* doc, int dir_fd, const cn_format** out);
/* CORNU_BAD_ARGUMENT when there is a directory at path that holds something else than a model's members: a save would
 * remove it. */
cornu_status cn_format_check_directory(const char* path);

struct cn_save_job {
    cn_sink* sink;
    const char* path; /* NULL when saving to memory */
    cornu_save_options options;
    uint64_t done, total; /* bytes, for options.progress */
    cn_buf made, stale;   /* paths, NUL behind each: of files in place already, which go when the save fails, and of those that go when it is done */
};

/* Counts size more bytes as done; CORNU_CANCELLED when the caller wants to stop. */
cornu_status cn_save_progress(cn_save_job* job, uint64_t size);

/* ---- the document ---- */

/* One file of sharded weights. */
typedef struct cn_shard {
    const char* name;
    cn_source* source;
    cn_h5* h5;
} cn_shard;

/* Why a layer could not be brought to Keras 3.15's form. */
typedef struct cn_upgrade_note {
    const char* layer;
    const char* text;
} cn_upgrade_note;

struct cn_document {
    cn_arena arena;
    const char* name; /* the path, or "<memory>" */
    const cn_format* format;
    cn_source* source;
    cn_zip* zip;
    cn_member* members;
    size_t member_count, member_capacity;
    cn_asset* assets; /* the members under assets/ */
    size_t asset_count;
    bool safe_mode, compile;
    const char** declared; /* classes that the caller says are his, declared_count of them */
    size_t declared_count;

    cn_source* weights_source; /* borrowed: a member's source, or doc->source */
    cn_h5* h5;
    cn_weight_entry* index; /* sorted by path */
    size_t index_count;
    cn_variable* variables; /* in file order */
    size_t variable_count;
    bool variables_changed;
    const char* writer_version; /* keras_version of the metadata, "" if none */
    const char* backend;        /* that wrote a legacy file, "" if it does not say */

    /* Legacy HDF5: the group with layer_names, and its path with '/' behind it; NULL otherwise. */
    const cn_h5_node* legacy;
    const char* legacy_prefix;
    cn_json_doc* training; /* training_config */

    cn_json_doc* shard_map; /* of sharded weights: the names of the shards lie in it */
    cn_shard* shards;
    size_t shard_count;

    const cn_document* view_of; /* an upgraded document borrows the sources of this one; else NULL */
    const char* notes;          /* of an upgraded document */
    const cn_upgrade_note* note_list;
    size_t note_count;

    cn_config_state* state;
};

/* members.c: adds a member and takes its source over, also when it fails; assets are listed as such. */
cornu_status cn_document_add_member(cn_document* doc, const char* name, cn_source* source);
/* Room for count members. */
cornu_status cn_document_reserve(cn_document* doc, size_t count);
const cn_member* cn_document_member(const cn_document* doc, const char* name);

/* weights.c: opens the HDF5 file in source (borrowed) and lists its variables. */
cornu_status cn_weights_open(cn_document* doc, cn_source* source);
/* The same for HDF5 of any content. */
cornu_status cn_weights_list(cn_document* doc, cn_source* source);
/* Makes the index from doc->variables, for a document without an HDF5 file of its own. */
cornu_status cn_weights_index(cn_document* doc);
/* Whether the tree is a weights file of Keras 3; else *why says what it is. */
bool cn_weights_is_keras3(const cn_h5* h5, const char** why);
const cn_weight_entry* cn_weights_find(const cn_document* doc, const char* path);
/* Whether the file has the object at path or something below it. */
bool cn_weights_has(const cn_document* doc, const char* path);
/* Whether it has a dataset at or below path. */
bool cn_weights_has_data(const cn_document* doc, const char* path);
/* Whether any variable lies in a group "vars". */
bool cn_weights_has_vars(const cn_document* doc);
/* doc->index[*begin .. *end - 1] are the objects below path. */
void cn_weights_range(const cn_document* doc, const char* path, size_t* begin, size_t* end);
/* Bytes that the rewriting of the weights will count as progress, 0 when the file's own bytes can be written. */
uint64_t cn_weights_rewrite_bytes(const cn_document* doc, const cornu_save_options* options);
/* The bytes of the weights file as they are to be saved. *owned: what to close afterwards, NULL when they are the
 * document's. */
cornu_status cn_weights_build(cn_document* doc, cn_save_job* job, cn_source** out, cn_source** owned);

/* layers.c: builds the layers of state->config into the state. */
cornu_status cn_layers_build(cn_document* doc, cn_config_state* state);
/* The innermost layer that path lies in; NULL if none does. */
const cn_layer* cn_layers_owner(const cn_config_state* state, const char* path);

/* safe.c: CORNU_REFUSED naming the layer, when the config holds code or a path. */
cornu_status cn_config_check_safe(const cn_document* doc, const cn_json* root);
/* The same for one object alone, not what is in it. */
cornu_status cn_config_check_object(const char* file, const char* layer, const cn_json* object);

/* state.c: parses the config and the metadata (NULL for none) into a new state. Metadata that are no JSON are kept as a
 * member only. */
cornu_status cn_state_create(cn_document* doc, cn_source* config, cn_source* metadata, cn_config_state** out);
/* Builds the state's layers and makes it the document's; takes it over, also when it fails: then nothing is changed. */
cornu_status cn_state_adopt(cn_document* doc, cn_config_state* state);
/* The same from the text of a config, named what in messages. */
cornu_status cn_state_create_text(cn_document* doc, const char* text, uint64_t size, const char* what, cn_config_state** out);
/* Builds the layers of the present config anew, for other variables. */
cornu_status cn_state_renew(cn_document* doc);
/* Frees a state, not those older than it. NULL is allowed. */
void cn_state_destroy(cn_config_state* state);

/* format_weights.c: writes the HDF5 file alone. */
cornu_status cn_weights_save(cn_document* doc, cn_save_job* job);
/* format_weights.c: gives weights that have no config of their own the one that options->config_path names, or none. */
cornu_status cn_config_adopt(cn_document* doc, const cornu_load_options* options);

/* format_h5.c: whether the tree is legacy HDF5; reads it, the config included. */
bool cn_h5_is_legacy(const cn_h5* h5);
cornu_status cn_h5_open_legacy(cn_document* doc, const cornu_load_options* options);
/* The list of names (layer_names, weight_names) of a group, in arena, also where it is chunked into layer_names0, ...; none when there
 * is no such attribute. CORNU_BAD_FILE: it is no list of strings. */
cornu_status cn_h5_names(const cn_document* doc, const cn_h5_node* group, const char* key, cn_arena* arena, const char*** out,
                         size_t* count);

/* format_json.c: what a file that begins with '{' is. */
cornu_status cn_json_sniff(cn_document* doc, const cn_format** out);
/* format_npz.c: whether all members are .npy. */
bool cn_npz_is_plain(const cn_zip* zip);

/* upgrade.c: raises the version of what was made from a variable. */
void cn_upgrade_follow(cn_document* doc, const cn_variable* variable);

/* save.c: writes all of a source. */
cornu_status cn_save_source(cn_save_job* job, cn_source* source,
                            cornu_status (*write)(void* to, const void* data, uint64_t size), void* to);

#ifdef __cplusplus
}
#endif

#endif
