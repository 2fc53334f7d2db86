/* One model, eight threads at once, each with its own last error: the same bits as one thread alone. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 20, IMAGES = 6 };

static limpid_model *model;
static unsigned char pixels[3][32 * 32 * 3];
static limpid_image_view views[IMAGES];
static float expected[IMAGES * 3];
static float expected_map[32 * 32];

static void *work(void *argument) {
  const long number = (long)argument;
  int round;
  char path[64];
  sprintf(path, "/no/model-%ld.onnx", number);
  for (round = 0; round < ROUNDS; round++) {
    limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
    limpid_explanation *why = NULL;
    limpid_model *none = NULL;
    float p[IMAGES * 3];
    options.threads = (int32_t)(1 + (number + round) % 3);
    options.batch_size = (int32_t)(1 + (number + round) % IMAGES);
    CHECK(limpid_model_load_file(path, NULL, &none) == LIMPID_ERROR_NOT_FOUND);
    CHECK(limpid_classify(model, views, IMAGES, &options, p, IMAGES * 3) == LIMPID_OK);
    CHECK(memcmp(p, expected, sizeof p) == 0);
    CHECK(limpid_explain(model, NULL, views, 1, NULL, 1, &options, &why) == LIMPID_OK);
    CHECK(memcmp(limpid_explanation_map(why, 0).values, expected_map, sizeof expected_map) == 0);
    CHECK(strstr(limpid_last_error(), path) != NULL);
    limpid_explanation_free(why);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  limpid_explanation *why = NULL;
  long i;
  model = load_colours();
  for (i = 0; i < IMAGES; i++) views[i] = quarter(pixels[i % 3], (int)(i % 3));
  CHECK(limpid_classify(model, views, IMAGES, NULL, expected, IMAGES * 3) == LIMPID_OK);
  CHECK(limpid_explain(model, NULL, views, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  memcpy(expected_map, limpid_explanation_map(why, 0).values, sizeof expected_map);
  limpid_explanation_free(why);
  for (i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  for (i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK(strstr(limpid_last_error(), "/no/") == NULL);
  limpid_model_free(model);
  return 0;
}
