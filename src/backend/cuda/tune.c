/* Timing, once for each problem that the plan cache does not know. Every way runs in a captured graph of n launches, with the device's L2
 * overwritten before each, on values that are drawn at random: weights that lie in the cache, or zeros, would flatter it.
 *
 *     | overwrite L2 | step | overwrite L2 | step | ...      median of 5, less what overwriting alone takes
 *
 * A way must be 3 % faster than the guess to replace it, and give the guess's numbers. Problems that cost the model most come first; when the
 * seconds are used up, the others keep the guess and are not remembered. What a library takes to make its plans does not count as seconds. */
#include "backend/cuda/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cuda/cudnn.h"
#include "backend/cuda/device.h"
#include "backend/cuda/plan_cache.h"
#include "base/dtype.h"
#include "base/philox.h"

#define PATTERN_BYTES ((uint64_t)1 << 20) /* of random values, repeated */
#define COMPARED_BYTES ((uint64_t)1 << 20) /* of a result */
#define MOST_LAUNCHES 50
#define WANTED_MS 1.0 /* of a captured graph */
#define SAMPLES 5
#define LEAST_NS 100.0 /* less cannot be told from noise */
#define GAIN 0.97
#define FAST_SECONDS 2.0
#define LIMIT 3e-2 /* relative L2 distance between two ways, bfloat16 included */

typedef struct problem {
    cornu_tuning row;
    cn_cuda_step* step; /* the first of them */
    double guess_ns;
} problem;

typedef struct timer {
    cn_cuda_executable* e;
    cudaStream_t stream;
    cudaEvent_t start, end;
    void* arena;
    void* overwritten; /* NULL: not even that much memory is left */
    uint64_t overwritten_bytes;
    double overwriting_ns;
    double until;        /* when the seconds are used up */
    char *pattern, *wanted, *found; /* pinned: random values; the guess's result; another way's */
} timer;

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- values ---- */

/* Up to PATTERN_BYTES of numbers in [-1, 1), which every dtype that is computed with can hold. */
static cornu_status draw(timer* t, cornu_dtype dtype, uint64_t* bytes) {
    float numbers[1024];
    uint64_t size = cornu_dtype_size(dtype), count = PATTERN_BYTES / size, done = 0;

    for (uint64_t block = 0; done < count; block++) {
        uint64_t n = count - done < 1024 ? count - done : 1024;
        for (uint64_t i = 0; i < n; i++) {
            uint32_t words[4];
            cn_philox_element(1, 0, (uint32_t)block, i, words);
            numbers[i] = 2.0f * cn_philox_uniform(words[0]) - 1.0f;
        }
        CN_TRY(cn_dtype_convert(dtype, t->pattern + done * size, CORNU_FLOAT32, numbers, (int64_t)n));
        done += n;
    }
    *bytes = count * size;
    return CORNU_OK;
}

/* Gives the step's inputs that are no weights random values. */
static cornu_status fill_inputs(timer* t, const cn_cuda_step* step) {
    const cn_plan* plan = t->e->plan;

    for (int k = 0; k < step->node->input_count; k++) {
        cn_id v = step->node->inputs[k];
        const cn_type* type = v == CN_NONE ? NULL : &plan->graph->types[v];
        uint64_t at = 0, bytes, total;
        if (!type || plan->places[v].kind == CN_PLACE_CONSTANT || type->dtype == CORNU_STRING) continue;
        total = cn_type_bytes(type);
        CN_TRY(draw(t, type->dtype, &bytes));
        for (; at < total; at += bytes) {
            uint64_t n = total - at < bytes ? total - at : bytes;
            CN_CUDA(cn_calls()->MemcpyAsync((char*)t->e->frame.values[v] + at, t->pattern, n, cudaMemcpyDefault, t->stream));
        }
        CN_CUDA(cn_calls()->StreamSynchronize(t->stream)); /* the pattern is drawn anew for the next */
    }
    return CORNU_OK;
}

static cornu_status read_result(timer* t, const cn_cuda_step* step, char* out, uint64_t* bytes) {
    const cn_type* type = cn_cuda_type(t->e, step->node);

    *bytes = cn_type_bytes(type) < COMPARED_BYTES ? cn_type_bytes(type) : COMPARED_BYTES;
    CN_CUDA(cn_calls()->MemcpyAsync(out, cn_cuda_out(step, &t->e->frame), *bytes, cudaMemcpyDefault, t->stream));
    return CN_CUDA_OK(cn_calls()->StreamSynchronize(t->stream));
}

/* Whether both ways have made the same, as far as floats go. */
static bool same_result(const timer* t, const cn_cuda_step* step, uint64_t bytes) {
    cornu_dtype dtype = cn_cuda_type(t->e, step->node)->dtype;
    uint64_t size = cornu_dtype_size(dtype);
    double distance = 0.0, norm = 0.0;

    if (!cn_dtype_is_float(dtype)) return memcmp(t->wanted, t->found, bytes) == 0;
    for (uint64_t at = 0; at + size <= bytes; at += size) {
        double pair[2];
        if (cn_dtype_convert(CORNU_FLOAT64, &pair[0], dtype, t->wanted + at, 1) != CORNU_OK) return false;
        if (cn_dtype_convert(CORNU_FLOAT64, &pair[1], dtype, t->found + at, 1) != CORNU_OK) return false;
        if (!isfinite(pair[0]) && !isfinite(pair[1])) continue;
        distance += (pair[0] - pair[1]) * (pair[0] - pair[1]);
        norm += pair[0] * pair[0];
    }
    return distance <= LIMIT * LIMIT * norm;
}

/* ---- time ---- */

/* count times: overwrite L2, launch the step (NULL: nothing). */
static cornu_status enqueue(timer* t, const cn_cuda_step* step, int count) {
    for (int i = 0; i < count; i++) {
        if (t->overwritten) CN_CUDA(cn_calls()->MemsetAsync(t->overwritten, i & 0xff, t->overwritten_bytes, t->stream));
        if (step) CN_TRY(step->launch(step, &t->e->frame));
    }
    return CORNU_OK;
}

static cornu_status elapsed(timer* t, cudaGraphExec_t graph, double* ms) {
    float found;

    CN_CUDA(cn_calls()->EventRecord(t->start, t->stream));
    CN_CUDA(cn_calls()->GraphLaunch(graph, t->stream));
    CN_CUDA(cn_calls()->EventRecord(t->end, t->stream));
    CN_CUDA(cn_calls()->EventSynchronize(t->end));
    CN_CUDA(cn_calls()->EventElapsedTime(&found, t->start, t->end));
    *ms = found;
    return CORNU_OK;
}

static int by_value(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

/* Median time of a graph of count launches, for one launch. */
static cornu_status time_graph(timer* t, const cn_cuda_step* step, int count, double* ns) {
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    double samples[SAMPLES], warm;
    cudaError_t end;
    cornu_status st;

    CN_CUDA(cn_calls()->StreamBeginCapture(t->stream, cudaStreamCaptureModeThreadLocal));
    st = enqueue(t, step, count);
    end = cn_calls()->StreamEndCapture(t->stream, &graph);
    if (st == CORNU_OK) st = cn_cuda_check(end, "cudaStreamEndCapture", __FILE__, __LINE__);
    if (st == CORNU_OK) st = CN_CUDA_OK(cn_calls()->GraphInstantiate(&exec, graph, 0));
    if (st != CORNU_OK) exec = NULL;
    if (st == CORNU_OK) st = elapsed(t, exec, &warm);
    for (int i = 0; i < SAMPLES && st == CORNU_OK; i++) st = elapsed(t, exec, &samples[i]);
    if (exec) (void)cn_calls()->GraphExecDestroy(exec);
    if (graph) (void)cn_calls()->GraphDestroy(graph);
    if (st != CORNU_OK) return st;
    qsort(samples, SAMPLES, sizeof samples[0], by_value);
    *ns = samples[SAMPLES / 2] * 1e6 / count;
    return CORNU_OK;
}

/* Time of the step as its way says. */
static cornu_status time_step(timer* t, const cn_cuda_step* step, double* ns) {
    double one;
    int count = MOST_LAUNCHES;

    CN_TRY(time_graph(t, step, 1, &one));
    if (one * MOST_LAUNCHES > WANTED_MS * 1e6) count = (int)(WANTED_MS * 1e6 / one) + 1;
    CN_TRY(time_graph(t, step, count, ns));
    *ns = *ns > t->overwriting_ns + LEAST_NS ? *ns - t->overwriting_ns : LEAST_NS;
    return CORNU_OK;
}

/* Runs a way once on random inputs, which loads its kernels too, as a capture could not, and reads its result. */
static cornu_status run_way(timer* t, cn_cuda_step* step, int way, char* out, uint64_t* bytes) {
    double start = seconds_now();
    cornu_status st;

    step->way = way;
    st = step->take ? step->take(t->e, step) : CORNU_OK;
    t->until += seconds_now() - start;
    CN_TRY(st);
    CN_TRY(fill_inputs(t, step));
    CN_TRY(step->launch(step, &t->e->frame));
    return read_result(t, step, out, bytes);
}

/* Time of a way that makes what the guess has made (t->wanted); infinite for one that fails or makes something else. */
static cornu_status try_way(timer* t, cn_cuda_step* step, int way, double* ns) {
    uint64_t bytes = 0;
    cornu_status st = run_way(t, step, way, t->found, &bytes);

    *ns = INFINITY;
    if (st == CORNU_OK && !same_result(t, step, bytes)) return CORNU_OK;
    if (st == CORNU_OK) st = time_step(t, step, ns);
    if (st == CORNU_OK || st == CORNU_DEVICE_LOST) return st;
    (void)cn_calls()->GetLastError();
    *ns = INFINITY;
    return CORNU_OK;
}

static cornu_status time_ways(timer* t, problem* p) {
    double best = p->guess_ns;
    uint64_t bytes;

    CN_TRY(run_way(t, p->step, 0, t->wanted, &bytes));
    p->row.way = 0;
    for (int way = 1; way < p->row.ways; way++) {
        double ns;
        CN_TRY(try_way(t, p->step, way, &ns));
        if (ns >= GAIN * p->guess_ns || ns >= best) continue;
        best = ns;
        p->row.way = way;
    }
    p->row.guess_ms = p->guess_ns * 1e-6;
    p->row.best_ms = best * 1e-6;
    p->row.timed = 1;
    return CORNU_OK;
}

static void close_timer(timer* t) {
    if (t->start) (void)cn_calls()->EventDestroy(t->start);
    if (t->end) (void)cn_calls()->EventDestroy(t->end);
    if (t->arena) (void)cn_calls()->Free(t->arena);
    if (t->overwritten) (void)cn_calls()->Free(t->overwritten);
    if (t->pattern) (void)cn_calls()->FreeHost(t->pattern);
    cn_cuda_bind(t->e, NULL);
}

static cornu_status open_timer(timer* t, cn_cuda_executable* e) {
    const cn_plan* plan = e->plan;

    t->e = e;
    t->stream = e->frame.queue.stream;
    CN_CUDA(cn_calls()->EventCreateWithFlags(&t->start, cudaEventDefault));
    CN_CUDA(cn_calls()->EventCreateWithFlags(&t->end, cudaEventDefault));
    CN_CUDA(cn_calls()->MallocHost((void**)&t->pattern, PATTERN_BYTES + 2 * COMPARED_BYTES));
    t->wanted = t->pattern + PATTERN_BYTES;
    t->found = t->wanted + COMPARED_BYTES;
    CN_CUDA(cn_calls()->Malloc(&t->arena, plan->arena_bytes ? plan->arena_bytes : 1));
    CN_CUDA(cn_calls()->MemsetAsync(t->arena, 0, plan->arena_bytes ? plan->arena_bytes : 1, t->stream));
    t->overwritten_bytes = 2 * cn_device_l2_bytes(e->device);
    if (t->overwritten_bytes == 0 || cn_calls()->Malloc(&t->overwritten, t->overwritten_bytes) != cudaSuccess) {
        t->overwritten = NULL;
        (void)cn_calls()->GetLastError();
    }
    cn_cuda_bind(e, t->arena);
    return t->overwritten ? time_graph(t, NULL, MOST_LAUNCHES, &t->overwriting_ns) : CORNU_OK;
}

/* ---- problems ---- */

static int by_cost(const void* a, const void* b) {
    const problem *p = a, *q = b;
    double x = p->guess_ns * p->row.steps, y = q->guess_ns * q->row.steps;
    return (x < y) - (x > y);
}

/* One for each text that steps have; *out and its texts live in the executable's arena. */
static cornu_status collect(cn_cuda_executable* e, problem** out, int* count) {
    problem* problems = cn_arena_array(&e->arena, (size_t)e->step_count + 1, sizeof *problems);

    *out = problems;
    *count = 0;
    if (!problems) return CN_NO_MEMORY((size_t)e->step_count * sizeof *problems);
    for (int i = 0; i < e->step_count; i++) {
        cn_cuda_step* step = &e->steps[i];
        int j = 0;
        if (step->ways < 2 || !step->problem) continue;
        while (j < *count && strcmp(problems[j].row.problem, step->problem) != 0) j++;
        if (j == *count) {
            problems[j].row.problem = step->problem;
            problems[j].row.ways = step->ways;
            problems[j].step = step;
            (*count)++;
        }
        problems[j].row.steps++;
    }
    return CORNU_OK;
}

static void take_known(const cn_plan_cache* cache, problem* problems, int count) {
    for (int i = 0; i < count; i++) {
        const cn_plan_row* row = cn_plan_cache_find(cache, problems[i].row.problem, problems[i].row.ways);
        if (!row) continue;
        problems[i].row.known = 1;
        problems[i].row.way = row->way;
        problems[i].row.best_ms = (double)row->best_ns * 1e-6;
        problems[i].row.guess_ms = (double)row->guess_ns * 1e-6;
        problems[i].guess_ns = (double)row->guess_ns;
    }
}

static cornu_status time_unknown(cn_cuda_executable* e, problem* problems, int count, double seconds) {
    timer t = {0};
    cornu_status st = open_timer(&t, e);

    t.until = seconds_now() + seconds;
    for (int i = 0; i < count && st == CORNU_OK && seconds_now() <= t.until; i++) {
        uint64_t bytes;
        if (problems[i].row.known) continue;
        st = run_way(&t, problems[i].step, 0, t.wanted, &bytes);
        if (st == CORNU_OK) st = time_step(&t, problems[i].step, &problems[i].guess_ns);
    }
    if (st == CORNU_OK) qsort(problems, (size_t)count, sizeof *problems, by_cost);
    for (int i = 0; i < count && st == CORNU_OK && seconds_now() <= t.until; i++) {
        if (problems[i].row.known || problems[i].guess_ns <= 0.0) continue; /* the seconds ended before its turn */
        st = time_ways(&t, &problems[i]);
    }
    close_timer(&t);
    return st;
}

static void remember(cn_cuda_executable* e, cn_plan_cache* cache, const problem* problems, int count) {
    cornu_status st = CORNU_OK;

    for (int i = 0; i < count && st == CORNU_OK; i++) {
        const cornu_tuning* row = &problems[i].row;
        cn_plan_row line = {row->problem, row->way, row->ways, (int64_t)(row->best_ms * 1e6), (int64_t)(row->guess_ms * 1e6)};
        if (row->timed) st = cn_plan_cache_put(cache, &line);
    }
    if (st == CORNU_OK) st = cn_plan_cache_save(cache);
    if (st != CORNU_OK) e->tuning.note = cn_arena_strdup(&e->arena, cornu_last_error());
}

static cornu_tune level_of(const cn_device_options* options) {
    const char* text = getenv("CORNU_TUNE");

    if (options->tune != CORNU_TUNE_DEFAULT) return options->tune;
    if (text && strcmp(text, "off") == 0) return CORNU_TUNE_OFF;
    if (text && strcmp(text, "fast") == 0) return CORNU_TUNE_FAST;
    if (text && strcmp(text, "full") == 0) return CORNU_TUNE_FULL;
    return strcmp(cn_calls_kind(), "host execution") == 0 ? CORNU_TUNE_OFF : CORNU_TUNE_FAST; /* its times mean nothing */
}

bool cn_cuda_is_tuned(const cn_device_options* options) { return !options->deterministic && level_of(options) != CORNU_TUNE_OFF; }

/* Sets the way of every step of a problem, up to one that cannot take it. */
static cornu_status set_way(cn_cuda_executable* e, const cornu_tuning* row) {
    for (int i = 0; i < e->step_count; i++) {
        cn_cuda_step* step = &e->steps[i];
        if (step->ways < 2 || !step->problem || strcmp(step->problem, row->problem) != 0) continue;
        step->way = row->way;
        if (step->take) CN_TRY(step->take(e, step));
    }
    return CORNU_OK;
}

/* Where a step cannot take the way, as without memory for one more of them, all have the guess: the row speaks of each. */
static cornu_status take_way(cn_cuda_executable* e, cornu_tuning* row) {
    cornu_status st = set_way(e, row);

    if (st == CORNU_OK || st == CORNU_DEVICE_LOST || row->way == 0) return st;
    row->way = 0;
    row->best_ms = row->guess_ms;
    return set_way(e, row);
}

cornu_status cn_cuda_tune(cn_cuda_executable* e, const cn_device_options* options) {
    cornu_tune level = cn_cuda_is_tuned(options) ? level_of(options) : CORNU_TUNE_OFF;
    double seconds = options->tune_seconds != 0.0 ? options->tune_seconds : level == CORNU_TUNE_FULL ? INFINITY : FAST_SECONDS;
    cn_plan_cache cache = {0};
    problem* problems;
    cornu_tuning* rows;
    int count;
    bool unknown = false;
    cornu_status st = CORNU_OK;

    CN_TRY(collect(e, &problems, &count));
    rows = cn_arena_array(&e->arena, (size_t)count + 1, sizeof *rows);
    if (!rows) return CN_NO_MEMORY((size_t)count * sizeof *rows);
    if (count > 0 && level != CORNU_TUNE_OFF) {
        CN_STEP(cn_plan_cache_open(&cache, options->plan_cache, cn_device_title(e->device)));
        take_known(&cache, problems, count);
        for (int i = 0; i < count; i++) unknown |= !problems[i].row.known;
        if (unknown && seconds > 0.0) {
            st = time_unknown(e, problems, count, seconds);
            if (st == CORNU_NO_MEMORY) st = CORNU_OK; /* of the device: the guess needs no more of it */
            if (st != CORNU_OK) goto done;
            remember(e, &cache, problems, count);
        }
    }
    qsort(problems, (size_t)count, sizeof *problems, by_cost);
    cn_cuda_dnn_keep_taken(e);
    for (int i = 0; i < count; i++) {
        char name[CN_CUDA_WAY_TEXT] = "";
        CN_STEP(take_way(e, &problems[i].row));
        problems[i].step->name_way(problems[i].step, problems[i].row.way, name);
        problems[i].row.name = cn_arena_strdup(&e->arena, name);
        if (!problems[i].row.name) {
            st = CN_NO_MEMORY(sizeof name);
            goto done;
        }
        rows[i] = problems[i].row;
    }
    cn_cuda_dnn_keep_taken(e);
    e->tuning.rows = rows;
    e->tuning.count = count;
done:
    cn_plan_cache_close(&cache);
    return st;
}
