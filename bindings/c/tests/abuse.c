/* Callers' mistakes: each gives a status and a message that helps, and never more than that. */
#include "check.h"

static unsigned char pixels[32 * 32 * 3];
static const limpid_status invalid = LIMPID_ERROR_INVALID_ARGUMENT;

static void test_null(const limpid_model *model) {
  limpid_image_view view = quarter(pixels, 0);
  limpid_map_view map = limpid_explanation_map(NULL, 0);
  limpid_model *loaded = NULL;
  limpid_image *image = NULL;
  limpid_explanation *why = NULL;
  limpid_tensors *tensors = NULL;
  limpid_bytes *bytes = NULL;
  const char *name = "logits";
  float p[3];

  FAILS(invalid, "path is NULL", limpid_model_load_file(NULL, NULL, &loaded));
  FAILS(invalid, "out is NULL", limpid_model_load_file("x", NULL, NULL));
  FAILS(invalid, "data is NULL", limpid_model_load_memory(NULL, 1, NULL, &loaded));
  FAILS(invalid, "path is NULL", limpid_image_load_file(NULL, &image));
  FAILS(invalid, "model is NULL", limpid_model_get_info(NULL, NULL));
  FAILS(invalid, "out is NULL", limpid_model_get_info(model, NULL));
  FAILS(invalid, "model is NULL", limpid_classify(NULL, &view, 1, NULL, p, 3));
  FAILS(invalid, "images is NULL", limpid_classify(model, NULL, 1, NULL, p, 3));
  FAILS(invalid, "probabilities is NULL", limpid_classify(model, &view, 1, NULL, NULL, 3));
  FAILS(invalid, "out is NULL", limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, NULL));
  FAILS(invalid, "names is NULL", limpid_fetch(model, &view, 1, NULL, 1, NULL, &tensors));
  FAILS(invalid, "feeds is NULL", limpid_run(model, NULL, 1, &name, 1, NULL, &tensors));
  FAILS(invalid, "map is NULL", limpid_render(NULL, NULL, NULL, &image));
  FAILS(invalid, "values is NULL", limpid_render(&map, NULL, NULL, &image));
  FAILS(invalid, "image is NULL", limpid_encode_png(NULL, &bytes));
  FAILS(invalid, "path is NULL", limpid_save_png(&view, NULL));
  name = NULL;
  FAILS(invalid, "name is NULL", limpid_fetch(model, &view, 1, &name, 1, NULL, &tensors));
  /* A failed call leaves its result alone. */
  CHECK(!loaded && !image && !why && !tensors && !bytes);

  limpid_model_free(NULL);
  limpid_image_free(NULL);
  limpid_bytes_free(NULL);
  limpid_explanation_free(NULL);
  limpid_tensors_free(NULL);
  CHECK(limpid_bytes_data(NULL) == NULL && limpid_bytes_size(NULL) == 0);
  CHECK(limpid_image_get_view(NULL).pixels == NULL);
  CHECK(limpid_model_class_name(NULL, 0) == NULL && limpid_model_metadata(model, NULL) == NULL);
  CHECK(limpid_explanation_count(NULL) == 0 && limpid_explanation_class(NULL, 0) == -1);
  CHECK(limpid_tensors_count(NULL) == 0 && limpid_tensors_get(NULL, 0).data == NULL);
}

static void test_files(void) {
  limpid_model *model = NULL;
  limpid_image *image = NULL;
  limpid_image_options decoding = LIMPID_IMAGE_OPTIONS_INIT;
  limpid_image_view view = quarter(pixels, 0);
  FAILS(LIMPID_ERROR_NOT_FOUND, "/no/such.onnx", limpid_model_load_file("/no/such.onnx", NULL, &model));
  FAILS(LIMPID_ERROR_NOT_FOUND, "/no/such.png", limpid_image_load_file("/no/such.png", &image));
  FAILS(LIMPID_ERROR_IO, "directory", limpid_model_load_file("/", NULL, &model));
  FAILS(LIMPID_ERROR_NOT_FOUND, "/no/such.png", limpid_save_png(&view, "/no/such.png"));
  FAILS(LIMPID_ERROR_INVALID_MODEL, "", limpid_model_load_memory("rubbish", 7, NULL, &model));
  FAILS(LIMPID_ERROR_INVALID_MODEL, "", limpid_model_load_memory("", 0, NULL, &model));
  FAILS(LIMPID_ERROR_INVALID_IMAGE, "PNG", limpid_image_load_memory("rubbish", 7, &image));
  FAILS(LIMPID_ERROR_INVALID_IMAGE, "empty", limpid_image_load_memory("", 0, &image));
  FAILS(LIMPID_ERROR_INVALID_IMAGE, "empty", limpid_image_load_memory_with("", 0, &decoding, &image));
  FAILS(LIMPID_ERROR_NOT_FOUND, "/no/such.png", limpid_image_load_file_with("/no/such.png", &decoding, &image));
  decoding.struct_size = 1;
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "struct_size", limpid_image_load_memory_with("x", 1, &decoding, &image));
  CHECK(!model && !image);
}

/* Structs of callers that were compiled with another version of the header. */
static void test_struct_sizes(const limpid_model *model) {
  struct { limpid_run_options known; uint64_t later[2]; } newer;
  struct { limpid_model_info known; uint64_t later; } info;
  limpid_image_view view = quarter(pixels, 0);
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_model_options loading = LIMPID_MODEL_OPTIONS_INIT;
  limpid_model *loaded = NULL;
  float p[3];
  size_t size;

  for (size = 0; size < sizeof(size_t); size++) {
    options.struct_size = size;
    FAILS(invalid, "sizeof(limpid_run_options)", limpid_classify(model, &view, 1, &options, p, 3));
  }
  options.struct_size = (size_t)-1;
  FAILS(invalid, "struct_size", limpid_classify(model, &view, 1, &options, p, 3));

  /* An older, shorter struct: what lies beyond it is not looked at. */
  options.struct_size = offsetof(limpid_run_options, threads);
  options.threads = -5;
  CHECK(limpid_classify(model, &view, 1, &options, p, 3) == LIMPID_OK);

  memset(&newer, 0, sizeof newer);
  newer.known.struct_size = sizeof newer;
  CHECK(limpid_classify(model, &view, 1, &newer.known, p, 3) == LIMPID_OK);
  newer.later[1] = 1;
  FAILS(LIMPID_ERROR_UNSUPPORTED, "newer", limpid_classify(model, &view, 1, &newer.known, p, 3));

  memset(&info, 0xff, sizeof info);
  info.known.struct_size = sizeof info;
  CHECK(limpid_model_get_info(model, &info.known) == LIMPID_OK);
  CHECK(info.known.struct_size == sizeof info && info.known.class_count == 3 && info.later == 0);
  memset(&info, 0xff, sizeof info);
  info.known.struct_size = offsetof(limpid_model_info, class_count);
  CHECK(limpid_model_get_info(model, &info.known) == LIMPID_OK);
  CHECK(info.known.name != NULL && info.known.class_count == (size_t)-1);
  info.known.struct_size = 0;
  FAILS(invalid, "limpid_model_info", limpid_model_get_info(model, &info.known));

  loading.threads = -1;
  FAILS(invalid, "threads", limpid_model_load_file("x", &loading, &loaded));
  loading.threads = 0;
  loading.precision = (limpid_precision)9;
  FAILS(invalid, "limpid_precision", limpid_model_load_file("x", &loading, &loaded));
}

static void test_images(const limpid_model *model) {
  const limpid_image_view good = quarter(pixels, 0);
  limpid_image_view view;
  float p[3];
#define BAD(status, words, change) \
  view = good; \
  change; \
  FAILS(status, words, limpid_classify(model, &view, 1, NULL, p, 3))
  BAD(invalid, "pixels", view.pixels = NULL);
  BAD(invalid, "0x32", view.width = 0);
  BAD(invalid, "-1", view.height = -1);
  BAD(LIMPID_ERROR_UNSUPPORTED, "too many", view.width = view.height = 0x7fffffff);
  BAD(invalid, "stride", view.row_stride = 95);
  BAD(invalid, "stride", view.row_stride = -96);
  BAD(invalid, "stride", view.row_stride = INT64_MAX);
  BAD(invalid, "limpid_pixel_format", view.format = (limpid_pixel_format)0);
  BAD(invalid, "limpid_pixel_format", view.format = (limpid_pixel_format)99);
  BAD(LIMPID_ERROR_UNSUPPORTED, "reserved", view.reserved = 1);
  BAD(invalid, "must be 32", view.format = LIMPID_PIXEL_MODEL_F32; view.width = 31);
  BAD(invalid, "stride", view.format = LIMPID_PIXEL_MODEL_F32; view.row_stride = 4);
  BAD(invalid, "out of range", view.format = LIMPID_PIXEL_MODEL_F32; view.row_stride = INT64_MAX);
  BAD(invalid, "pixels is NULL", view.format = LIMPID_PIXEL_MODEL_F32; view.pixels = NULL);
  FAILS(invalid, "image_count", limpid_classify(model, &good, 0, NULL, p, 3));
  FAILS(invalid, "out of range", limpid_classify(model, &good, (size_t)-1, NULL, p, 3));
  FAILS(LIMPID_ERROR_BUFFER_TOO_SMALL, "has 3", limpid_classify(model, &good, 1, NULL, p, 2));
}

static void test_explain(const limpid_model *model) {
  const limpid_image_view view = quarter(pixels, 0);
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_parameter parameters[2] = {{"slots", 0}, {"slot", 0}}, foreign = {"nonsense", 3};
  limpid_choice choice = {"slot", "first"};
  const char *layers[1] = {"features"};
  limpid_tensor_view draw = {0};
  limpid_tensors *out = NULL;
  int64_t three = 3;
  float p[3] = {0, 0, 0};
  limpid_explanation *why = NULL;
  int32_t index = 3;
  FAILS(invalid, "class 3", limpid_explain(model, NULL, &view, 1, &index, 1, NULL, &why));
  index = -2;
  FAILS(invalid, "class -2", limpid_explain(model, NULL, &view, 1, &index, 1, NULL, &why));
  index = 0;
  FAILS(invalid, "classes_per_image", limpid_explain(model, NULL, &view, 1, &index, 0, NULL, &why));
  FAILS(invalid, "classes_per_image", limpid_explain(model, NULL, &view, 1, &index, (size_t)-1, NULL, &why));
  FAILS(invalid, "must be 1", limpid_explain(model, NULL, &view, 1, NULL, 2, NULL, &why));
  FAILS(LIMPID_ERROR_NOT_FOUND, "scouter", limpid_explain(model, "scooter", &view, 1, NULL, 1, NULL, &why));
  FAILS(invalid, "UTF-8", limpid_explain(model, "\xff", &view, 1, NULL, 1, NULL, &why));

  options.parameters = parameters;
  options.parameter_count = 1;
  FAILS(LIMPID_ERROR_NOT_FOUND, "slot", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  parameters[0].name = "slot";
  options.parameter_count = 2;
  FAILS(invalid, "twice", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  options.parameter_count = 1;
  parameters[0].value = 1e300;
  FAILS(invalid, "between", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  parameters[0].value = 0;
  parameters[0].value /= parameters[0].value;
  FAILS(invalid, "between", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  parameters[0].name = NULL;
  FAILS(invalid, "NULL", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  options.parameters = NULL;
  FAILS(invalid, "parameters is NULL", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  options.parameter_count = 0;
  options.parameter_count = 0;
  options.choices = &choice;
  options.choice_count = 1;
  FAILS(invalid, "it must be a number", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  choice.value = NULL;
  FAILS(invalid, "NULL", limpid_explain(model, "scouter", &view, 1, NULL, 1, &options, &why));
  options.choice_count = 0;
  /* What no method of this model reads is refused, not ignored. */
  options.layer = layers[0];
  FAILS(invalid, "taps no layer", limpid_explain(model, NULL, &view, 1, NULL, 1, &options, &why));
  FAILS(invalid, "taps no layer", limpid_classify(model, &view, 1, &options, p, 3));
  options.layer = NULL;
  options.layers = layers;
  options.layer_count = 1;
  FAILS(invalid, "taps no layer", limpid_explain(model, NULL, &view, 1, NULL, 1, &options, &why));
  FAILS(invalid, "taps no layer", limpid_fetch(model, &view, 1, layers, 1, &options, &out));
  options.layer_count = 0;
  options.seed = 7;
  FAILS(invalid, "the seed 7", limpid_explain(model, NULL, &view, 1, NULL, 1, &options, &why));
  FAILS(invalid, "the seed 7", limpid_classify(model, &view, 1, &options, p, 3));
  options.seed = 0;
  draw.name = "noise";
  draw.data = p;
  draw.shape = &three;
  draw.rank = 1;
  draw.type = LIMPID_FLOAT32;
  options.draws = &draw;
  options.draw_count = 1;
  FAILS(LIMPID_ERROR_NOT_FOUND, "\"noise\"", limpid_explain(model, NULL, &view, 1, NULL, 1, &options, &why));
  FAILS(LIMPID_ERROR_NOT_FOUND, "\"noise\"", limpid_classify(model, &view, 1, &options, p, 3));
  options.draw_count = 0;
  options.parameters = &foreign;
  options.parameter_count = 1;
  FAILS(LIMPID_ERROR_NOT_FOUND, "nonsense", limpid_classify(model, &view, 1, &options, p, 3));
  options.parameter_count = 0;
  options.batch_size = -1;
  FAILS(invalid, "batch_size", limpid_explain(model, NULL, &view, 1, NULL, 1, &options, &why));
  CHECK(!why);
}

static void test_tensors(const limpid_model *model) {
  static double values[3 * 32 * 32];
  int64_t shape[4] = {1, 3, 32, 32};
  const char *logits = "logits", *unknown = "nothing";
  limpid_image_view view = quarter(pixels, 0);
  limpid_tensors *out = NULL;
  limpid_tensor_view twice[2], feed;
  memset(&feed, 0, sizeof feed);
  feed.name = "input";
  feed.data = values;
  feed.shape = shape;
  feed.rank = 4;
  feed.type = LIMPID_FLOAT32;
  FAILS(LIMPID_ERROR_NOT_FOUND, "nothing", limpid_fetch(model, &view, 1, &unknown, 1, NULL, &out));
  FAILS(LIMPID_ERROR_NOT_FOUND, "nothing", limpid_run(model, &feed, 1, &unknown, 1, NULL, &out));
  FAILS(invalid, "name_count", limpid_run(model, &feed, 1, &logits, 0, NULL, &out));
  FAILS(invalid, "\"input\"", limpid_run(model, NULL, 0, &logits, 1, NULL, &out));
  twice[0] = twice[1] = feed;
  FAILS(invalid, "twice", limpid_run(model, twice, 2, &logits, 1, NULL, &out));
  feed.type = LIMPID_FLOAT64;
  FAILS(invalid, "float64", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  feed.type = (limpid_element_type)8;
  FAILS(invalid, "limpid_element_type", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  feed.type = LIMPID_FLOAT32;
  feed.rank = 3;
  FAILS(invalid, "shape", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  feed.rank = 1000;
  feed.shape = NULL;
  FAILS(invalid, "shape is NULL", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  feed.rank = 4;
  feed.shape = shape;
  shape[3] = -1;
  FAILS(invalid, "negative", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  shape[0] = shape[3] = INT64_MAX;
  FAILS(LIMPID_ERROR_UNSUPPORTED, "too many", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  shape[0] = 1;
  shape[3] = 32;
  feed.data = NULL;
  FAILS(invalid, "data is NULL", limpid_run(model, &feed, 1, &logits, 1, NULL, &out));
  CHECK(!out);
}

static void test_rendering(void) {
  float values[4] = {0, 1, 2, 3};
  limpid_map_view map = {values, 2, 2, 0, 3};
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  limpid_image_view planes = quarter(pixels, 0);
  limpid_image *image = NULL;
  options.colormap = "mauve";
  FAILS(LIMPID_ERROR_NOT_FOUND, "viridis", limpid_render(&map, NULL, &options, &image));
  options.colormap = NULL;
  options.style = "baroque";
  FAILS(LIMPID_ERROR_NOT_FOUND, "scouter", limpid_render(&map, NULL, &options, &image));
  options.style = NULL;
  options.opacity = 2;
  FAILS(invalid, "opacity", limpid_render(&map, NULL, &options, &image));
  options.opacity = 0;
  options.width = -1;
  FAILS(invalid, "", limpid_render(&map, NULL, &options, &image));
  options.width = 0x7fffffff;
  FAILS(invalid, "", limpid_render(&map, NULL, &options, &image));
  map.width = -1;
  FAILS(invalid, "", limpid_render(&map, NULL, NULL, &image));
  map.width = 2;
  planes.format = LIMPID_PIXEL_MODEL_F32;
  FAILS(LIMPID_ERROR_UNSUPPORTED, "MODEL_F32", limpid_render(&map, &planes, NULL, &image));
  CHECK(!image);
  /* Maps that are no numbers are drawn all the same. */
  values[0] = values[3] = (float)strtod("nan", NULL);
  map.maximum = (float)strtod("inf", NULL);
  CHECK(limpid_render(&map, NULL, NULL, &image) == LIMPID_OK);
  limpid_image_free(image);
}

static void test_reports(const limpid_model *model) {
  limpid_image_view view = quarter(pixels, 0);
  limpid_explanation *why = NULL;
  limpid_bytes *page = NULL;
  limpid_report_item item = {NULL, {0}, NULL, 0};
  FAILS(invalid, "items is NULL", limpid_report(model, NULL, 1, NULL, &page));
  FAILS(invalid, "no explanations", limpid_report(model, &item, 0, NULL, &page));
  FAILS(invalid, "explanation is NULL", limpid_report(model, &item, 1, NULL, &page));
  CHECK(limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  item.explanation = why;
  FAILS(invalid, "", limpid_report(model, &item, 1, NULL, &page));
  item.image = view;
  item.image.height = 31;
  FAILS(invalid, "32x31", limpid_report(model, &item, 1, NULL, &page));
  item.image = view;
  item.index = 1;
  FAILS(LIMPID_ERROR_NOT_FOUND, "there are 1", limpid_report(model, &item, 1, NULL, &page));
  item.index = 0;
  item.name = "\xff";
  FAILS(invalid, "UTF-8", limpid_report(model, &item, 1, NULL, &page));
  item.name = "</title>";
  CHECK(!page);
  CHECK(limpid_report(model, &item, 1, NULL, &page) == LIMPID_OK);
  CHECK(limpid_bytes_size(page) > 1000 && !memcmp(limpid_bytes_data(page), "<!DOCTYPE html>", 15));
  limpid_bytes_free(page);
  limpid_explanation_free(why);
}

int main(void) {
  limpid_model *model = load_colours();
  test_null(model);
  test_files();
  test_struct_sizes(model);
  test_images(model);
  test_explain(model);
  test_tensors(model);
  test_rendering();
  test_reports(model);
  limpid_model_free(model);
  return 0;
}
