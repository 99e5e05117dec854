/* Tensors as text and as JSON. */
#ifndef CORNU_CLI_VALUES_H
#define CORNU_CLI_VALUES_H

#include "cornu.h"
#include "json_out.h"

/* "(1, 10)", as numpy writes shapes; free() it. -1 is None. */
char* cli_shape_text(const int64_t* dims, int ndim);
void cli_json_shape(cli_json* json, const char* key, const int64_t* dims, int ndim);
/* The elements as nested arrays. NaN and infinities are null, a complex number is [real, imaginary]. */
void cli_json_values(cli_json* json, const char* key, const cornu_tensor* tensor);
/* The elements for a reader: nested brackets, long axes cut in the middle. */
void cli_print_values(const cornu_tensor* tensor, FILE* out);
/* For scores of one item, real [1, n] with n > 1: the best classes and their scores. Returns 0 where it is not that. */
int cli_print_top_classes(const cornu_tensor* tensor, FILE* out);

#endif
