/* Reading a layer's config. Every failure says which layer, which key, what was found and what is allowed.
 * The getters take a default for a key that is absent; a key that is there with a wrong type is CORNU_BAD_FILE. */
#ifndef CN_KERAS_CONFIG_H
#define CN_KERAS_CONFIG_H

#include "keras/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

cornu_status cn_config_int(const cn_layer* layer, const char* key, int64_t fallback, int64_t low, int64_t high,
                           int64_t* out);
cornu_status cn_config_double(const cn_layer* layer, const char* key, double fallback, double* out);
cornu_status cn_config_bool(const cn_layer* layer, const char* key, bool fallback, bool* out);
/* A string, or fallback when the key is absent or null. Borrowed from the document. */
cornu_status cn_config_string(const cn_layer* layer, const char* key, const char* fallback, const char** out);
/* One of the allowed values, "valid|same|causal": *out is its index. Compares without case, as Keras does. */
cornu_status cn_config_choice(const cn_layer* layer, const char* key, const char* fallback, const char* allowed,
                              int* out);
/* An int (repeated n times) or a list of exactly n ints, each in [low, high]; fallback for each when absent or null. */
cornu_status cn_config_ints(const cn_layer* layer, const char* key, int n, int64_t fallback, int64_t low, int64_t high,
                            int64_t* out);
/* A list of 0 to max ints, or one int, each in [low, high]; null gives -1 for that element when null_allowed. *n is 0 when the key is absent. */
cornu_status cn_config_list(const cn_layer* layer, const char* key, int max, int64_t low, int64_t high,
                            bool null_allowed, int64_t* out, int* n);
/* The value, NULL when absent or null. */
const cn_json* cn_config_get(const cn_layer* layer, const char* key);
/* The failure "layer 'x' (Conv2D): <key> is <what the file has>; <allowed>", as CORNU_BAD_FILE or CORNU_UNSUPPORTED. */
cornu_status cn_config_bad(const cn_layer* layer, const char* key, const char* allowed);
cornu_status cn_config_unsupported(const cn_layer* layer, const char* key, const char* why);
/* Names of the layer's dtype policy: the compute dtype and the variable dtype. Policies as strings, objects and maps;
 * "mixed_float16" computes in float16 with float32 variables. Quantized policies are CORNU_UNSUPPORTED by name. */
cornu_status cn_config_dtype(const cn_layer* layer, cornu_dtype* compute, cornu_dtype* variable);

#ifdef __cplusplus
}
#endif

#endif
