/* The demonstration: a trained model that ships with the repository classifies pictures that it was not trained on.
 *
 *   cornu_demo [FOLDER [COUNT]]      FOLDER of digits.keras and held_back.npz, COUNT pictures to show (default 8)
 *
 * Shows the first COUNT pictures with the model's probabilities, then counts how many of all it gets right, and compares
 * with the probabilities that Keras gave, which held_back.npz holds beside pictures and labels. */
#include <cornu.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8, CLASSES = 10, BAR = 24 };

/* The held-back set: pictures uint8 [n, 8, 8, 1], labels uint8 [n], keras float32 [n, 10]. Borrowed from arrays. */
typedef struct demo_set {
    cornu_array* arrays;
    int array_count;
    int64_t count;
    const uint8_t* pictures;
    const uint8_t* labels;
    const float* keras;
} demo_set;

static int fail(void) {
    fprintf(stderr, "cornu_demo: %s\n", cornu_last_error());
    return 1;
}

static const cornu_tensor* find(const demo_set* set, const char* name, cornu_dtype dtype, int64_t row) {
    for (int i = 0; i < set->array_count; i++) {
        const cornu_tensor* t = &set->arrays[i].tensor;
        if (strcmp(set->arrays[i].name, name) != 0) continue;
        return t->dtype == dtype && t->ndim > 0 && cornu_tensor_count(t) == t->dims[0] * row ? t : NULL;
    }
    return NULL;
}

static int open_set(const char* path, demo_set* set) {
    const cornu_tensor *pictures, *labels, *keras;

    memset(set, 0, sizeof *set);
    if (cornu_arrays_load(path, &set->arrays, &set->array_count)) return fail();
    pictures = find(set, "pictures", CORNU_UINT8, SIDE * SIDE);
    labels = find(set, "labels", CORNU_UINT8, 1);
    keras = find(set, "probabilities", CORNU_FLOAT32, CLASSES);
    if (!pictures || !labels || !keras || labels->dims[0] != pictures->dims[0] || keras->dims[0] != pictures->dims[0]) {
        fprintf(stderr, "cornu_demo: %s: not the set that train.py writes\n", path);
        return 1;
    }
    set->count = pictures->dims[0];
    set->pictures = pictures->data;
    set->labels = labels->data;
    set->keras = keras->data;
    return 0;
}

/* Class of the greatest of 10 scores. */
static int best_of(const float* scores) {
    int best = 0;
    for (int c = 1; c < CLASSES; c++) {
        if (scores[c] > scores[best]) best = c;
    }
    return best;
}

/* One row of a picture, two characters a pixel, from blank to full. */
static void print_pixels(const uint8_t* row) {
    static const char* const shades[] = {"  ", "\u2591\u2591", "\u2592\u2592", "\u2593\u2593", "\u2588\u2588"};
    for (int x = 0; x < SIDE; x++) fputs(shades[row[x] * 5 / 256], stdout);
}

/* The picture on the left, ten bars of probabilities on the right. */
static void show(int64_t index, const uint8_t* picture, const float* scores, int label) {
    int best = best_of(scores);

    printf("picture %lld: it is a %d, Cornu says %d%s\n", (long long)index, label, best, best == label ? "" : "  <-- wrong");
    for (int c = 0; c < CLASSES; c++) {
        int filled = (int)lrintf(scores[c] * BAR);
        int y = c - (CLASSES - SIDE) / 2;
        printf("    ");
        if (y >= 0 && y < SIDE) print_pixels(picture + (ptrdiff_t)y * SIDE);
        else printf("%*s", 2 * SIDE, "");
        printf("    %d ", c);
        for (int i = 0; i < BAR; i++) fputs(i < filled ? "\u2588" : "\u00b7", stdout);
        printf(" %5.1f %%\n", 100.0 * (double)scores[c]);
    }
    printf("\n");
}

/* scores: float32 [set->count, 10]. Returns 0 if they are those of Keras, rounding aside. */
static int report(const demo_set* set, const float* scores, int shown) {
    int64_t right = 0;
    float worst = 0;

    for (int64_t i = 0; i < set->count; i++) {
        const float* row = scores + i * CLASSES;
        if (i < shown) show(i, set->pictures + i * SIDE * SIDE, row, set->labels[i]);
        right += best_of(row) == set->labels[i];
        for (int c = 0; c < CLASSES; c++) worst = fmaxf(worst, fabsf(row[c] - set->keras[i * CLASSES + c]));
    }
    printf("%lld of %lld pictures that the model was not trained on are right (%.1f %%).\n", (long long)right,
           (long long)set->count, 100.0 * (double)right / (double)set->count);
    printf("Largest difference to the probabilities that Keras gave: %.1e.\n", (double)worst);
    return isfinite(worst) && worst < 1e-3F ? 0 : 1;
}

/* Runs the model on the whole set at once and reports. */
static int classify(cornu_model* model, const demo_set* set, int shown) {
    cornu_session* session = NULL;
    cornu_session_info info = {.size = sizeof info};
    cornu_tensor in = cornu_tensor_of(CORNU_UINT8, (void*)set->pictures, 4, (int)set->count, SIDE, SIDE, 1);
    cornu_tensor out = {0}; /* the library's */
    int code = 1;

    if (cornu_session_create(model, NULL, &session) || cornu_session_get_info(session, &info) ||
        cornu_session_run(session, &in, 1, &out, 1)) {
        fail();
    } else if (out.dtype != CORNU_FLOAT32 || cornu_tensor_count(&out) != set->count * CLASSES) {
        fprintf(stderr, "cornu_demo: the model does not give %d probabilities a picture\n", CLASSES);
    } else {
        printf("Cornu %s on %s, from C, without Python.\n\n", cornu_version(), info.device);
        code = report(set, out.data, shown);
    }
    cornu_tensor_release(&out);
    cornu_session_destroy(session);
    return code;
}

int main(int argc, char** argv) {
    const char* folder = argc > 1 ? argv[1] : "tools/demo_model";
    int shown = argc > 2 ? atoi(argv[2]) : 8;
    char model_path[4096], set_path[4096];
    cornu_model* model = NULL;
    demo_set set;
    int code;

    (void)snprintf(model_path, sizeof model_path, "%s/digits.keras", folder);
    (void)snprintf(set_path, sizeof set_path, "%s/held_back.npz", folder);
    code = open_set(set_path, &set);
    if (code == 0) code = cornu_model_load(model_path, NULL, &model) ? fail() : classify(model, &set, shown);
    cornu_model_destroy(model);
    cornu_arrays_free(set.arrays, set.array_count);
    return code;
}
