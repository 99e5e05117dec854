/* What `cornu bench` is made of: models of config and seed, random inputs, the printing of profiles. */
#ifndef CORNU_CLI_BENCH_H
#define CORNU_CLI_BENCH_H

#include "cli.h"
#include "json_out.h"

/* ---- bench_random.c ---- */

/* Number i of stream `stream` under a seed, in [0, 1), a multiple of 2^-24: Philox 4x32-10 with the key `seed` and the counter (i / 4, stream, 0), word
 * i modulo 4. bench/weights.py gives the same. */
float bench_uniform(uint64_t seed, uint32_t stream, uint64_t i);
/* out[i] = low + (high - low) * bench_uniform(seed, stream, i), rounded once. */
void bench_fill(uint64_t seed, uint32_t stream, double low, double high, float* out, uint64_t count);

/* ---- bench_weights.c ---- */

/* Loads a model; one of config and seed (bench/make_models.py) gets its weights by bench_fill, variable k from stream k. save: where to write that model, or NULL.
 * Returns an exit code; the reason is said. */
int bench_load(const char* path, const char* config_path, uint64_t seed, const char* save, int overwrite, cornu_model** out);

/* ---- bench_inputs.c ---- */

typedef struct bench_inputs {
    int count;
    cornu_tensor* tensors; /* [count], host memory; dtype 0 where an optional input is left out */
    void** memory;         /* [count] */
} bench_inputs;

/* Random inputs for a batch: numbers in the range that the model's "bench" key has, else floats in [-1, 1), integers in the vocabularies of the
 * model's Embedding layers, else 0 or 1. shape: text of --shape, or NULL. */
int bench_inputs_make(cornu_model* model, cornu_session* session, int64_t batch, const char* shape, uint64_t seed, bench_inputs* out);
void bench_inputs_free(bench_inputs* inputs);

/* ---- bench_profile.c ---- */

void bench_profile_print(const cornu_profile* profile, FILE* out);
/* The keys "run_ms", "steps_ms", "peak_gb_per_s", "peak_gflop_per_s" and "profile", into an open object. */

void bench_profile_json(const cornu_profile* profile, cli_json* json);

#endif
