/* Learning rate schedules: their parameters and their value at a step. */
#ifndef CN_KERAS_SCHEDULE_H
#define CN_KERAS_SCHEDULE_H

#include "archive/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The class of a schedule's object {class_name, config}; "" if it has none. */
const char* cn_schedule_class(const cn_json* schedule);
/* Whether the class is one of Keras's. */
bool cn_schedule_is_known(const cn_json* schedule);
/* The learning rate at a step. CORNU_UNSUPPORTED: a class that is not Keras's. CORNU_BAD_FILE: a parameter is missing or no number. */
cornu_status cn_schedule_value(const cn_json* schedule, int64_t step, double* out);

#ifdef __cplusplus
}
#endif

#endif
