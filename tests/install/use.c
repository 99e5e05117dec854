#include <cornu.h>
#include <stdio.h>

int main(int argc, char **argv) {
    cornu_model *model = NULL;
    cornu_session *session = NULL;
    if (argc < 3 || cornu_model_load(argv[1], NULL, &model) || cornu_session_create(model, NULL, &session)) {
        fprintf(stderr, "%s\n", cornu_last_error());
        return 1;
    }
    float image[8 * 8 * 1] = {0}, scores[10];
    cornu_tensor in = cornu_tensor_of(CORNU_FLOAT32, image, 4, 1, 8, 8, 1);
    cornu_tensor out = cornu_tensor_of(CORNU_FLOAT32, scores, 2, 1, 10);
    if (cornu_session_run(session, &in, 1, &out, 1) || cornu_model_save(model, argv[2], NULL)) {
        fprintf(stderr, "%s\n", cornu_last_error());
        return 1;
    }
    for (int i = 0; i < 10; i++) printf("%.6f\n", (double)scores[i]);
    cornu_session_destroy(session);
    cornu_model_destroy(model);
    return 0;
}
