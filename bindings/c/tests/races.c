/* Eight threads, each of which loads, classifies, explains, differentiates, measures and frees, models of its own and one that all
 * share: the same bits as one thread alone. For the thread sanitizer (scripts/sanitize thread), which the library and this
 * are built with.
 *   races MODEL [ROUNDS] */
#include "check.h"

#include <pthread.h>

enum { THREADS = 8, SIDE = 48, METHODS = 6 };

static const char *const methods[METHODS] = {"grad-cam", "saliency", "rise", "occlusion", "smooth-grad", "lime"};
static const char *path;
static long rounds = 3;
static limpid_model *shared;
static unsigned char pixels[SIDE * SIDE * 3];
static limpid_image_view view;

/* What one round finds. */
struct found {
  float scores[16];
  float maps[METHODS][SIDE * SIDE];
  double insertion;
  float gradient;
};
static struct found expected;

static void explain(const limpid_model *model, const limpid_run_options *running, struct found *out) {
  for (int i = 0; i < METHODS; i++) {
    limpid_parameter few[] = {{"masks", 8}, {"samples", 8}};
    limpid_run_options options = *running;
    limpid_explanation *why = NULL;
    limpid_map_view map;
    options.parameters = !strcmp(methods[i], "rise") ? &few[0] : &few[1];
    options.parameter_count = strcmp(methods[i], "grad-cam") && strcmp(methods[i], "saliency") && strcmp(methods[i], "occlusion");
    CHECK(limpid_explain(model, methods[i], &view, 1, NULL, 1, &options, &why) == LIMPID_OK);
    map = limpid_explanation_map(why, 0);
    CHECK(map.values != NULL);
    memcpy(out->maps[i], map.values, sizeof out->maps[i]);
    if (i == 0) {
      limpid_image *drawing = NULL;
      limpid_bytes *bytes = NULL;
      limpid_image_view drawn;
      CHECK(limpid_explanation_render(why, 0, &view, NULL, &drawing) == LIMPID_OK);
      drawn = limpid_image_get_view(drawing);
      CHECK(limpid_encode_png(&drawn, &bytes) == LIMPID_OK);
      limpid_bytes_free(bytes);
      limpid_image_free(drawing);
    }
    limpid_explanation_free(why);
  }
}

static void differentiate(const limpid_model *model, const limpid_run_options *running, struct found *out) {
  const char *input = "input";
  limpid_tensors *gradients = NULL;
  const float *values;
  CHECK(limpid_gradient(model, &view, 1, NULL, 1, &input, 1, running, &gradients) == LIMPID_OK);
  values = limpid_tensors_get(gradients, 0).data;
  out->gradient = values[7];
  limpid_tensors_free(gradients);
}

static void measure(const limpid_model *model, const limpid_run_options *running, struct found *out) {
  const int64_t shape[] = {1, SIDE, SIDE};
  limpid_measure_options options = LIMPID_MEASURE_OPTIONS_INIT;
  limpid_tensor_view maps = {0};
  limpid_measurement *measurement = NULL;
  maps.data = out->maps[0];
  maps.shape = shape;
  maps.rank = 3;
  maps.type = LIMPID_FLOAT32;
  options.run = running;
  CHECK(limpid_measure(model, "insertion", &view, 1, &maps, NULL, 1, &options, &measurement) == LIMPID_OK);
  out->insertion = limpid_measurement_mean(measurement);
  limpid_measurement_free(measurement);
}

static void one_round(const limpid_model *model, int threads, struct found *out) {
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  options.threads = threads;
  memset(out, 0, sizeof *out);
  CHECK(limpid_classify(model, &view, 1, &options, out->scores, 16) == LIMPID_OK);
  explain(model, &options, out);
  differentiate(model, &options, out);
  measure(model, &options, out);
}

static void *work(void *argument) {
  const long number = (long)argument;
  struct found *found = malloc(sizeof *found);
  CHECK(found != NULL);
  for (long round = 0; round < rounds; round++) {
    limpid_model *own = NULL, *none = NULL;
    CHECK(limpid_model_load_file("/no/model.onnx", NULL, &none) == LIMPID_ERROR_NOT_FOUND);
    CHECK(limpid_model_load_file(path, NULL, &own) == LIMPID_OK);
    one_round((number + round) % 2 ? own : shared, (int)(1 + (number + round) % 3), found);
    CHECK(memcmp(found, &expected, sizeof expected) == 0);
    limpid_model_free(own);
  }
  free(found);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  limpid_model_info info = LIMPID_MODEL_INFO_INIT;
  if (argc < 2) return 2;
  path = argv[1];
  if (argc > 2) rounds = atol(argv[2]);
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (unsigned char)(i * 2654435761u >> 13);
  view.pixels = pixels;
  view.width = view.height = SIDE;
  view.format = LIMPID_PIXEL_RGB8;
  CHECK(limpid_model_load_file(path, NULL, &shared) == LIMPID_OK);
  CHECK(limpid_model_get_info(shared, &info) == LIMPID_OK && info.class_count <= 16);
  one_round(shared, 1, &expected);
  for (long i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  for (long i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  limpid_model_free(shared);
  printf("%d threads, %ld rounds each of loading, classifying, %d methods, a gradient, a metric: the bits of one thread\n", THREADS,
         rounds, METHODS);
  return 0;
}
