/* What the header promises, on a model whose answers are known. */
#include "check.h"

#include <math.h>

static unsigned char red[32 * 32 * 3], blue[32 * 32 * 3];

static void test_library(void) {
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", LIMPID_VERSION_MAJOR, LIMPID_VERSION_MINOR, LIMPID_VERSION_PATCH);
  CHECK(strcmp(limpid_version(), version) == 0);
  CHECK(limpid_version_number() == LIMPID_VERSION_MAJOR * 1000000 + LIMPID_VERSION_MINOR * 1000 + LIMPID_VERSION_PATCH);
  CHECK(strstr(limpid_build_info(), limpid_version()) != NULL);
  CHECK(strcmp(limpid_status_name(LIMPID_ERROR_INVALID_MODEL), "invalid model") == 0);
  CHECK(limpid_status_name((limpid_status)77) != NULL);
  CHECK(strcmp(limpid_colormap_name(0), "viridis") == 0);
  CHECK(limpid_colormap_name(1000) == NULL && limpid_colormap_name((size_t)-1) == NULL);
}

static void test_model(const limpid_model *model) {
  limpid_model_info info;
  limpid_method_info method = LIMPID_METHOD_INFO_INIT;
  limpid_parameter_info parameter = LIMPID_PARAMETER_INFO_INIT;
  size_t i;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(limpid_model_get_info(model, &info) == LIMPID_OK);
  CHECK(strcmp(info.name, "colours") == 0 && strcmp(info.family, "scouter") == 0);
  CHECK(info.class_count == 3 && info.input_count == 1 && info.output_count == 2 && info.layer_count == 1);
  CHECK(info.input_width == 32 && info.input_height == 32 && info.input_channels == 3);
  CHECK(strcmp(limpid_model_class_name(model, 2), "blue") == 0 && limpid_model_class_name(model, 3) == NULL);
  CHECK(strcmp(limpid_model_layer_name(model, 0), "features") == 0 && limpid_model_layer_name(model, 1) == NULL);
  CHECK(strcmp(limpid_model_input_name(model, 0), "input") == 0 && limpid_model_input_name(model, 1) == NULL);
  CHECK(strcmp(limpid_model_output_name(model, 1), "attention") == 0 && limpid_model_output_name(model, 2) == NULL);
  CHECK(strcmp(limpid_model_metadata(model, "limpid.format"), "1") == 0 && limpid_model_metadata(model, "x") == NULL);

  CHECK(info.method_count >= 1);
  for (i = 0; i < info.method_count; i++) {
    size_t p;
    CHECK(limpid_model_get_method(model, i, &method) == LIMPID_OK && method.summary[0] != '\0');
    for (p = 0; p < method.parameter_count; p++) {
      CHECK(limpid_model_get_parameter(model, method.name, p, &parameter) == LIMPID_OK);
      CHECK(parameter.minimum <= parameter.default_value && parameter.default_value <= parameter.maximum);
    }
    FAILS(LIMPID_ERROR_NOT_FOUND, method.name, limpid_model_get_parameter(model, method.name, p, &parameter));
  }
  FAILS(LIMPID_ERROR_NOT_FOUND, "no method", limpid_model_get_method(model, info.method_count, &method));
}

static void test_values(const limpid_model *model) {
  limpid_value_info value = LIMPID_VALUE_INFO_INIT;
  CHECK(limpid_model_get_input(model, 0, &value) == LIMPID_OK);
  CHECK(strcmp(value.name, "input") == 0 && value.type == LIMPID_FLOAT32 && value.has_shape == 1 && value.rank == 4);
  CHECK(value.shape[0] == -1 || value.shape[0] == 1);
  CHECK(value.shape[1] == 3 && value.shape[2] == 32 && value.shape[3] == 32 && value.extent_names[1] == NULL);
  CHECK(limpid_model_get_output(model, 1, &value) == LIMPID_OK && strcmp(value.name, "attention") == 0);
  FAILS(LIMPID_ERROR_NOT_FOUND, "no input 1", limpid_model_get_input(model, 1, &value));
  FAILS(LIMPID_ERROR_NOT_FOUND, "no output 2", limpid_model_get_output(model, 2, &value));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "out is NULL", limpid_model_get_input(model, 0, NULL));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "model is NULL", limpid_model_get_output(NULL, 0, &value));
  value.struct_size = 0;
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "struct_size", limpid_model_get_input(model, 0, &value));
}

static void test_classify(const limpid_model *model) {
  limpid_image_view views[2], wide;
  static unsigned char rows[32 * 200];
  float p[6], q[6];
  int y;
  views[0] = quarter(red, 0);
  views[1] = quarter(blue, 2);
  CHECK(limpid_classify(model, views, 2, NULL, p, 6) == LIMPID_OK);
  /* Logits 2, -1, -1: the softmax of them. */
  CHECK(fabs((double)p[0] - 1 / (1 + 2 * exp(-3))) < 1e-5 && fabs((double)(p[0] + p[1] + p[2]) - 1) < 1e-5);
  CHECK(p[5] == p[0] && p[3] == p[1]);

  /* Rows that do not touch. */
  for (y = 0; y < 32; y++) memcpy(rows + 200 * y, red + 96 * y, 96);
  wide = views[0];
  wide.pixels = rows;
  wide.row_stride = 200;
  CHECK(limpid_classify(model, &wide, 1, NULL, q, 3) == LIMPID_OK && memcmp(p, q, sizeof *q * 3) == 0);
}

static void test_planes(const limpid_model *model) {
  static float planes[3 * 32 * 32], apart[3 * 32 * 40];
  limpid_image_view view = quarter(red, 0), strided;
  float p[3], q[3], r[3];
  int i;
  for (i = 0; i < 32 * 32; i++) planes[i] = (float)red[3 * i] / 255;
  for (i = 0; i < 3 * 32; i++) memcpy(apart + 40 * i, planes + 32 * i, 32 * sizeof(float));
  CHECK(limpid_classify(model, &view, 1, NULL, p, 3) == LIMPID_OK);
  view.format = LIMPID_PIXEL_MODEL_F32;
  view.pixels = planes;
  strided = view;
  strided.pixels = apart;
  strided.row_stride = 40 * sizeof(float);
  CHECK(limpid_classify(model, &view, 1, NULL, q, 3) == LIMPID_OK && memcmp(p, q, sizeof p) == 0);
  CHECK(limpid_classify(model, &strided, 1, NULL, r, 3) == LIMPID_OK && memcmp(p, r, sizeof p) == 0);
}

static void test_explain(const limpid_model *model) {
  const int32_t classes[4] = {2, LIMPID_CLASS_PREDICTED, 0, 1};
  limpid_image_view views[2];
  limpid_explanation *why = NULL;
  limpid_map_view map, grid;
  views[0] = quarter(red, 0);
  views[1] = quarter(blue, 2);
  CHECK(limpid_explain(model, NULL, views, 2, classes, 2, NULL, &why) == LIMPID_OK);
  CHECK(limpid_explanation_count(why) == 4);
  CHECK(limpid_explanation_class(why, 0) == 2 && limpid_explanation_class(why, 1) == 0);
  CHECK(limpid_explanation_class(why, 2) == 0 && limpid_explanation_class(why, 3) == 1);
  CHECK(fabs((double)limpid_explanation_score(why, 1) - 2) < 1e-5);
  CHECK(fabs((double)limpid_explanation_score(why, 0) + 1) < 1e-5);
  CHECK(!limpid_explanation_is_degenerate(why, 1));

  grid = limpid_explanation_grid(why, 1);
  CHECK(grid.width == 8 && grid.height == 8 && grid.values[0] > 0.99f && grid.values[63] == 0.5f);
  map = limpid_explanation_map(why, 1);
  CHECK(map.width == 32 && map.height == 32 && map.values[0] > 0.99f && map.values[1023] == 0.5f);
  CHECK(map.minimum < 0.02f && map.maximum > 0.99f); /* of all classes: the other two are below 0.5 */
  CHECK(limpid_explanation_map(why, 1).values == map.values);

  CHECK(limpid_explanation_class(why, 4) == -1 && isnan(limpid_explanation_score(why, 4)));
  CHECK(limpid_explanation_map(why, 4).values == NULL && limpid_explanation_grid(why, (size_t)-1).values == NULL);
  limpid_explanation_free(why);
}

static void test_tensors(const limpid_model *model) {
  const char *names[2] = {"logits", "features"};
  limpid_image_view view = quarter(red, 0);
  limpid_tensors *fetched = NULL, *tail = NULL;
  limpid_tensor_view logits, features, fed;
  CHECK(limpid_fetch(model, &view, 1, names, 2, NULL, &fetched) == LIMPID_OK);
  CHECK(limpid_tensors_count(fetched) == 2);
  logits = limpid_tensors_get(fetched, 0);
  features = limpid_tensors_get(fetched, 1);
  CHECK(strcmp(logits.name, "logits") == 0 && logits.type == LIMPID_FLOAT32);
  CHECK(logits.rank == 2 && logits.shape[0] == 1 && logits.shape[1] == 3);
  CHECK(features.rank == 4 && features.shape[1] == 3 && features.shape[2] == 8 && features.shape[3] == 8);
  CHECK(limpid_tensors_get(fetched, 2).data == NULL);

  /* The part of the model behind the features gives the same bits. */
  fed = features;
  CHECK(limpid_run(model, &fed, 1, names, 1, NULL, &tail) == LIMPID_OK);
  CHECK(memcmp(limpid_tensors_get(tail, 0).data, logits.data, 3 * sizeof(float)) == 0);
  limpid_tensors_free(tail);
  limpid_tensors_free(fetched);
}

static void test_pictures(const limpid_model *model) {
  const char *path = "contract-test.png";
  limpid_image_view view = quarter(red, 0), shown, again;
  limpid_image *picture = NULL, *overlay = NULL, *file = NULL, *memory = NULL;
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  limpid_bytes *png = NULL;
  limpid_explanation *why = NULL;
  limpid_map_view map;

  CHECK(limpid_model_preprocess(model, &view, &picture) == LIMPID_OK);
  shown = limpid_image_get_view(picture);
  CHECK(shown.width == 32 && shown.height == 32 && shown.format == LIMPID_PIXEL_RGB8);
  CHECK(memcmp(shown.pixels, red, sizeof red) == 0);

  CHECK(limpid_encode_png(&view, &png) == LIMPID_OK && limpid_bytes_size(png) > 8);
  CHECK(memcmp(limpid_bytes_data(png), "\x89PNG", 4) == 0);
  CHECK(limpid_image_load_memory(limpid_bytes_data(png), limpid_bytes_size(png), &memory) == LIMPID_OK);
  CHECK(memcmp(limpid_image_get_view(memory).pixels, red, sizeof red) == 0);
  CHECK(limpid_save_png(&view, path) == LIMPID_OK && limpid_image_load_file(path, &file) == LIMPID_OK);
  CHECK(memcmp(limpid_image_get_view(file).pixels, red, sizeof red) == 0);
  remove(path);

  CHECK(limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  map = limpid_explanation_map(why, 0);
  options.colormap = "gray";
  options.opacity = 1;
  options.width = 64;
  CHECK(limpid_render(&map, NULL, &options, &overlay) == LIMPID_OK);
  again = limpid_image_get_view(overlay);
  CHECK(again.width == 64 && again.height == 64);
  CHECK(((const unsigned char *)again.pixels)[0] > 250 && ((const unsigned char *)again.pixels)[64 * 64 * 3 - 1] < 140);
  limpid_image_free(overlay);
  limpid_explanation_free(why);
  limpid_image_free(file);
  limpid_image_free(memory);
  limpid_bytes_free(png);
  limpid_image_free(picture);
}

/* JPEG files, and maps that cover a part of an image. */
static void test_jpeg_and_fields(void) {
  static unsigned char pixels[40 * 40 * 3];
  const float values[1] = {1};
  limpid_image_view view = {pixels, 0, 40, 40, LIMPID_PIXEL_RGB8, 0}, again;
  limpid_map_view map = {values, 1, 1, 0, 1};
  limpid_field field = {40, 40, 10, 20, 8, 4};
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  limpid_image *drawn = NULL, *read = NULL;
  limpid_bytes *small = NULL, *large = NULL;
  int x, y;
  options.colormap = "gray";
  options.opacity = 1;
  options.field = &field;
  CHECK(limpid_render(&map, &view, &options, &drawn) == LIMPID_OK);
  again = limpid_image_get_view(drawn);
  for (y = 0; y < 40; y++) {
    for (x = 0; x < 40; x++) {
      int inside = x >= 10 && x < 18 && y >= 20 && y < 24;
      CHECK(((const unsigned char *)again.pixels)[(y * 40 + x) * 3] == (inside ? 255 : 0));
    }
  }
  field.seen_width = 0;
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "cannot be drawn", limpid_render(&map, &view, &options, &read));
  field.seen_width = NAN;
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "cannot be drawn", limpid_render(&map, &view, &options, &read));
  field.seen_width = field.seen_height = 60000;
  FAILS(LIMPID_ERROR_UNSUPPORTED, "too many", limpid_render(&map, &view, &options, &read));

  CHECK(limpid_encode_jpeg(&again, 0, &large) == LIMPID_OK && limpid_encode_jpeg(&again, 10, &small) == LIMPID_OK);
  CHECK(limpid_bytes_size(small) < limpid_bytes_size(large));
  CHECK(limpid_image_load_memory(limpid_bytes_data(large), limpid_bytes_size(large), &read) == LIMPID_OK);
  CHECK(((const unsigned char *)limpid_image_get_view(read).pixels)[(22 * 40 + 14) * 3] > 200);
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "quality of 101", limpid_encode_jpeg(&again, 101, &small));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "quality of -1", limpid_save_jpeg(&again, -1, "x.jpg"));
  FAILS(LIMPID_ERROR_NOT_FOUND, "/no/such.jpg", limpid_save_jpeg(&again, 0, "/no/such.jpg"));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "image is NULL", limpid_save_jpeg(NULL, 0, "x.jpg"));
  limpid_bytes_free(small);
  limpid_bytes_free(large);
  limpid_image_free(read);
  limpid_image_free(drawn);
}

struct log { int count; char text[1024]; };

static void keep_log(void *user, limpid_log_level level, const char *message) {
  struct log *log = user;
  log->count++;
  CHECK(level >= LIMPID_LOG_ERROR && level <= LIMPID_LOG_INFO);
  strncpy(log->text, message, sizeof log->text - 1);
}

static void test_log(void) {
  struct log log;
  memset(&log, 0, sizeof log);
  limpid_set_log_handler(keep_log, &log, LIMPID_LOG_INFO);
  limpid_model_free(load_colours());
  CHECK(log.count == 1 && strstr(log.text, "colours") != NULL);
  limpid_set_log_handler(keep_log, &log, LIMPID_LOG_ERROR);
  limpid_model_free(load_colours());
  limpid_set_log_handler(NULL, NULL, LIMPID_LOG_ERROR);
  limpid_model_free(load_colours());
  CHECK(log.count == 1);
}

int main(void) {
  limpid_model *model = load_colours();
  CHECK(limpid_last_error()[0] == '\0');
  test_library();
  test_model(model);
  test_values(model);
  test_classify(model);
  test_planes(model);
  test_explain(model);
  test_tensors(model);
  test_pictures(model);
  test_jpeg_and_fields();
  test_log();
  limpid_model_free(model);
  return 0;
}
