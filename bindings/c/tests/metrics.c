/* Measuring maps: what needs no model against numbers by hand, what needs one against what the model says. */
#include "check.h"

#include <math.h>

static limpid_tensor_view tensor(const char *name, const void *data, const int64_t *shape, size_t rank,
                                 limpid_element_type type) {
  limpid_tensor_view view;
  memset(&view, 0, sizeof view);
  view.name = name;
  view.data = data;
  view.shape = shape;
  view.rank = rank;
  view.type = type;
  return view;
}

static void test_maps_alone(void) {
  /* Two maps of 2x3; the largest values are at (2, 0) and (0, 1). */
  static const unsigned char maps[] = {0, 51, 204, 0, 0, 0, 0, 0, 0, 255, 0, 255};
  static const float boxes[] = {2, 0, 3, 1, 1, 0, 3, 2};
  static const int64_t map_shape[] = {2, 2, 3}, box_shape[] = {2, 1, 4};
  static const limpid_parameter tolerance = {"tolerance", 0};
  limpid_tensor_view view = tensor("maps", maps, map_shape, 3, LIMPID_UINT8);
  limpid_tensor_view draw = tensor("boxes", boxes, box_shape, 3, LIMPID_FLOAT32);
  limpid_run_options run = LIMPID_RUN_OPTIONS_INIT;
  limpid_measure_options options = LIMPID_MEASURE_OPTIONS_INIT;
  limpid_measurement *found = NULL;
  limpid_tensor_view values;
  double number = 0;
  const char *word = NULL;
  run.draws = &draw;
  run.draw_count = 1;
  options.run = &run;

  CHECK(limpid_measure(NULL, "area-size", NULL, 0, &view, NULL, 0, NULL, &found) == LIMPID_OK);
  values = limpid_measurement_values(found);
  CHECK(values.rank == 1 && values.shape[0] == 2 && values.type == LIMPID_FLOAT64);
  CHECK(fabs(((const double *)values.data)[0] - 1 / 6.0) < 1e-12);
  CHECK(fabs(((const double *)values.data)[1] - 2 / 6.0) < 1e-12);
  CHECK(fabs(limpid_measurement_mean(found) - 0.25) < 1e-12);
  CHECK(limpid_measurement_curve(found).data == NULL && limpid_measurement_detail(found, 0).data == NULL);
  CHECK(strcmp(limpid_measurement_parameter(found, 0, &number, &word), "compat") == 0 && strcmp(word, "none") == 0);
  CHECK(limpid_measurement_parameter(found, 1, NULL, NULL) == NULL && limpid_measurement_seed(found) == 0);
  limpid_measurement_free(found);

  CHECK(limpid_measure(NULL, "precision", NULL, 0, &view, NULL, 0, &options, &found) == LIMPID_OK);
  values = limpid_measurement_values(found);
  CHECK(fabs(((const double *)values.data)[0] - 0.8) < 1e-12);
  CHECK(fabs(((const double *)values.data)[1] - 0.5) < 1e-12);
  limpid_measurement_free(found);

  run.parameters = &tolerance;
  run.parameter_count = 1;
  CHECK(limpid_measure(NULL, "pointing-game", NULL, 0, &view, NULL, 0, &options, &found) == LIMPID_OK);
  values = limpid_measurement_values(found);
  CHECK(((const double *)values.data)[0] == 1 && ((const double *)values.data)[1] == 0);
  limpid_measurement_free(found);
}

static void test_images(const limpid_model *model) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_image_view image = quarter(pixels, 0);
  limpid_explanation *why = NULL;
  limpid_measurement *found = NULL;
  limpid_measure_options options = LIMPID_MEASURE_OPTIONS_INIT;
  limpid_map_view grid;
  limpid_tensor_view maps, curve;
  int64_t shape[3] = {1, 0, 0};
  const double *points;
  float probabilities[3];
  int32_t index;
  CHECK(limpid_classify(model, &image, 1, NULL, probabilities, 3) == LIMPID_OK);
  CHECK(limpid_explain(model, NULL, &image, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  index = limpid_explanation_class(why, 0);
  grid = limpid_explanation_grid(why, 0);
  shape[1] = grid.height;
  shape[2] = grid.width;
  maps = tensor("maps", grid.values, shape, 3, LIMPID_FLOAT32);
  CHECK(limpid_measure(model, "insertion", &image, 1, &maps, &index, 1, NULL, &found) == LIMPID_OK);
  curve = limpid_measurement_curve(found);
  CHECK(curve.rank == 2 && curve.shape[0] == 1 && curve.shape[1] == 33);
  points = (const double *)curve.data;
  CHECK(fabs(points[32] - (double)probabilities[index]) < 1e-5);
  limpid_measurement_free(found);
  CHECK(limpid_measure(model, "average-drop", &image, 1, &maps, NULL, 1, NULL, &found) == LIMPID_OK);
  CHECK(strcmp(limpid_measurement_detail(found, 0).name, "original") == 0);
  CHECK(fabs(*(const double *)limpid_measurement_detail(found, 0).data - (double)probabilities[index]) < 1e-5);
  limpid_measurement_free(found);

  options.method = "scouter";
  CHECK(limpid_measure(model, "sensitivity", &image, 1, NULL, &index, 1, &options, &found) == LIMPID_OK);
  CHECK(limpid_measurement_mean(found) >= 0);
  limpid_measurement_free(found);
  found = NULL;
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "leave it out",
        limpid_measure(model, "insertion", &image, 1, &maps, &index, 1, &options, &found));
  FAILS(LIMPID_ERROR_NOT_FOUND, "insertoin",
        limpid_measure(model, "insertoin", &image, 1, &maps, NULL, 1, NULL, &found));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "needs a model",
        limpid_measure(NULL, "insertion", NULL, 0, &maps, NULL, 1, NULL, &found));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "needs maps",
        limpid_measure(model, "insertion", &image, 1, NULL, NULL, 1, NULL, &found));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "metric", limpid_measure(model, NULL, &image, 1, &maps, NULL, 1, NULL, &found));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "out",
        limpid_measure(model, "insertion", &image, 1, &maps, NULL, 1, NULL, NULL));
  CHECK(found == NULL);
  limpid_explanation_free(why);
}

static void test_list(void) {
  limpid_metric_info metric = LIMPID_METRIC_INFO_INIT;
  limpid_parameter_info parameter = LIMPID_PARAMETER_INFO_INIT;
  size_t i, j;
  for (i = 0; limpid_get_metric(i, &metric) == LIMPID_OK; i++) {
    CHECK(metric.name != NULL && metric.summary != NULL && metric.maps != NULL);
    for (j = 0; j < metric.parameter_count; j++)
      CHECK(limpid_metric_get_parameter(metric.name, j, &parameter) == LIMPID_OK && parameter.name != NULL);
    FAILS(LIMPID_ERROR_NOT_FOUND, "no parameter", limpid_metric_get_parameter(metric.name, j, &parameter));
  }
  CHECK(i == 15);
  CHECK(limpid_measurement_values(NULL).data == NULL && isnan(limpid_measurement_mean(NULL)));
  limpid_measurement_free(NULL);
}

int main(void) {
  limpid_model *model = load_colours();
  test_maps_alone();
  test_images(model);
  test_list();
  limpid_model_free(model);
  return 0;
}
