/* Explains, maps, draws and encodes a large image; or explains many classes of it by one method after the other. Exits with 1 where a
 * call fails.
 *   space MODEL SIDE [CLASSES METHOD...] */
#include <limpid/limpid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what) {
  printf("%s: %s\n", what, limpid_last_error());
  return 1;
}

static int explain_classes(limpid_model *model, const limpid_image_view *view, size_t count, const char *method) {
  const limpid_parameter few[] = {{"masks", 8}, {"samples", 2}, {"stride_x", 64}, {"stride_y", 64}, {"window_width", 64},
                                  {"window_height", 64}};
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_method_info info = LIMPID_METHOD_INFO_INIT;
  limpid_parameter given[6];
  limpid_explanation *why = NULL;
  limpid_status status;
  int32_t *classes = malloc(count * sizeof *classes);
  size_t i, k, p;
  if (!classes) return 1;
  for (i = 0; i < count; i++) classes[i] = (int32_t)(i % 3);
  for (i = 0; limpid_model_get_method(model, i, &info) == LIMPID_OK; i++) {
    if (strcmp(info.name, method)) continue;
    for (p = 0; p < info.parameter_count; p++) {
      limpid_parameter_info parameter = LIMPID_PARAMETER_INFO_INIT;
      if (limpid_model_get_parameter(model, method, p, &parameter) != LIMPID_OK) continue;
      for (k = 0; k < sizeof few / sizeof *few; k++) {
        if (!strcmp(few[k].name, parameter.name)) given[options.parameter_count++] = few[k];
      }
    }
  }
  options.parameters = given;
  status = limpid_explain(model, method, view, 1, classes, count, &options, &why);
  free(classes);
  limpid_explanation_free(why);
  return status == LIMPID_OK ? 0 : fail(method);
}

int main(int argc, char **argv) {
  limpid_image_view view = {0}, drawn;
  limpid_model *model = NULL;
  limpid_bytes *file = NULL, *encoded = NULL;
  limpid_image *image = NULL, *overlay = NULL;
  limpid_explanation *why = NULL;
  if (argc < 3) return 2;
  view.width = view.height = atoi(argv[2]);
  view.format = LIMPID_PIXEL_GRAY8;
  view.pixels = calloc((size_t)view.width, (size_t)view.height);
  if (!view.pixels) return puts("the test's own memory"), 1;
  if (argc > 4) {
    limpid_model_options options = LIMPID_MODEL_OPTIONS_INIT;
    int failed = 0;
    options.preprocess = "scale 1/255";
    if (limpid_model_load_file(argv[1], &options, &model)) return fail("load");
    for (int i = 4; i < argc; i++) failed |= explain_classes(model, &view, (size_t)atol(argv[3]), argv[i]);
    return failed;
  }
  if (limpid_encode_png(&view, &file)) return fail("encode");
  free((void *)view.pixels);
  if (limpid_image_load_memory(limpid_bytes_data(file), limpid_bytes_size(file), &image)) return fail("decode");
  view = limpid_image_get_view(image);
  if (limpid_model_load_file(argv[1], NULL, &model)) return fail("load");
  if (limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why)) return fail("explain");
  if (!limpid_explanation_map(why, 0).values) return fail("map");
  if (limpid_explanation_render(why, 0, &view, NULL, &overlay)) return fail("render");
  drawn = limpid_image_get_view(overlay);
  if (limpid_encode_png(&drawn, &encoded)) return fail("encode the drawing");
  puts("ok");
  return 0;
}
