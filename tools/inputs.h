/* What --input gives to a model: arrays of a .npz or .npy, or a picture, one tensor for each input of the session. */
#ifndef CORNU_CLI_INPUTS_H
#define CORNU_CLI_INPUTS_H

#include "cornu.h"

typedef struct cli_inputs {
    int count;             /* of the session's inputs */
    cornu_tensor* tensors; /* [count]; dtype 0 where an optional input was left out */
    int64_t rows;          /* first axis of all of them; -1 where there is none */
    cornu_array* arrays;   /* what the tensors point into */
    int array_count;
    float* pixels;
} cli_inputs;

/* Reads and matches. Returns an exit code; the reason is said. */
int cli_inputs_read(cornu_session* session, const char* path, cli_inputs* out);
void cli_inputs_free(cli_inputs* inputs);
/* One port of the session as its functions give it; a failure leaves it empty. */
cornu_port cli_input_port(cornu_session* session, int index);

#endif
