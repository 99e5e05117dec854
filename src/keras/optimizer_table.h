/* The rows of optimizer.def, for the files optimizer*.c. */
#ifndef CN_KERAS_OPTIMIZER_TABLE_H
#define CN_KERAS_OPTIMIZER_TABLE_H

#include "keras/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cn_optimizer_def {
    const char* class_name;
};

typedef enum cn_slot_kind { CN_SLOT_LIKE, CN_SLOT_ROWS, CN_SLOT_COLS, CN_SLOT_SCALAR } cn_slot_kind;
typedef enum cn_slot_when {
    CN_WHEN_ALWAYS,
    CN_WHEN_MOMENTUM,
    CN_WHEN_AMSGRAD,
    CN_WHEN_CENTERED,
    CN_WHEN_ADAMW,
    CN_WHEN_KERAS3
} cn_slot_when;

typedef struct cn_slot_def {
    const char* class_name;
    int group;
    const char *name, *tf, *legacy;
    cn_slot_kind kind;
    cn_slot_when when;
} cn_slot_def;

typedef struct cn_hyper_def {
    const char* class_name; /* "" for the keys that all but the wrappers have */
    const char* key;
    const char* fallback; /* JSON */
} cn_hyper_def;

extern const cn_slot_def cn_slot_defs[];
extern const size_t cn_slot_def_count;
extern const cn_hyper_def cn_hyper_defs[];
extern const size_t cn_hyper_def_count;

/* LossScaleOptimizer and MultiOptimizer, which keep others' variables beside their own. */
bool cn_optimizer_is_loss_scale(const cn_optimizer* optimizer);
bool cn_optimizer_is_multi(const cn_optimizer* optimizer);
/* Whether that is a legacy object's decay: InverseTimeDecay(learning_rate, 1, decay). 0 for none. */
double cn_optimizer_decay(const cn_optimizer* optimizer);

#ifdef __cplusplus
}
#endif

#endif
