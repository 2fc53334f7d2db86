/* Naming filters, on a model (Tests/Fixtures/onnx/filters.onnx) whose filters see red, green, blue, and nothing. */
#include "check.h"

#include <math.h>

static unsigned char pixels[3][32 * 32 * 3];
static limpid_image_view views[3];

/* Gives the views one by one, all in the same memory. */
static int32_t give(void *user, size_t index, limpid_image_view *view) {
  static unsigned char memory[32 * 32 * 3];
  size_t *asked = (size_t *)user;
  if (++*asked == 1000) return 1;
  memcpy(memory, pixels[index], sizeof memory);
  *view = views[index];
  view->pixels = memory;
  return 0;
}

static int32_t stop(void *user, uint64_t done, uint64_t total) {
  (void)user, (void)total;
  return done > 0;
}

static void check_names(const limpid_filter_names *names) {
  float number = 0;
  CHECK(limpid_filter_names_filter_count(names) == 4);
  /* Images 0 and 2 have red in them, image 2 blue, too: what filter 0 sees there is purple. */
  CHECK(limpid_filter_names_image_count(names, 0) == 2 && limpid_filter_names_count(names, 0) == 2);
  CHECK(strcmp(limpid_filter_names_word(names, 0, 0, &number), "red") == 0 && number == 1);
  CHECK(strcmp(limpid_filter_names_word(names, 0, 1, NULL), "purple") == 0);
  CHECK(limpid_filter_names_word(names, 0, 2, &number) == NULL);
  CHECK(limpid_filter_names_image(names, 0, 0, &number) == 0 && fabs((double)number - 2) < 1e-5);
  CHECK(limpid_filter_names_image(names, 0, 1, NULL) == 2 && limpid_filter_names_image(names, 0, 2, NULL) == -1);
  CHECK(strcmp(limpid_filter_names_image_word(names, 0, 1, 0, &number), "purple") == 0 && fabs((double)number - 1) < 1e-5);
  CHECK(limpid_filter_names_image_word(names, 0, 1, 1, NULL) == NULL);
  CHECK(limpid_filter_names_image_word(names, 0, 7, 0, NULL) == NULL);
  CHECK(strcmp(limpid_filter_names_word(names, 1, 0, NULL), "green") == 0);
  /* No image excites the last filter. */
  CHECK(limpid_filter_names_image_count(names, 3) == 0 && limpid_filter_names_count(names, 3) == 0);
  CHECK(limpid_filter_names_word(names, 3, 0, NULL) == NULL && limpid_filter_names_word(names, 4, 0, NULL) == NULL);
}

static void test_naming(const limpid_model *model) {
  static const limpid_parameter one = {"words", 1};
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_filter_names *names = NULL;
  size_t asked = 0;
  options.parameters = &one;
  options.parameter_count = 1;
  CHECK(limpid_name_filters(model, views, 3, NULL, 0, &options, &names) == LIMPID_OK);
  check_names(names);
  CHECK(isnan(limpid_filter_names_threshold(names, 0)));
  limpid_filter_names_free(names);
  CHECK(limpid_name_filters_from(model, give, &asked, 3, NULL, 0, &options, &names) == LIMPID_OK);
  CHECK(asked == 3);
  check_names(names);
  limpid_filter_names_free(names);
}

static void test_regions(const limpid_model *model) {
  static const limpid_parameter region[] = {{"quantile", 0.5}};
  static const limpid_choice attention = {"attention", "activation"};
  static const int32_t first = 0;
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_filter_names *names = NULL;
  size_t asked = 0;
  options.parameters = region;
  options.parameter_count = 1;
  options.choices = &attention;
  options.choice_count = 1;
  CHECK(limpid_name_filters_from(model, give, &asked, 3, &first, 1, &options, &names) == LIMPID_OK);
  CHECK(asked == 5); /* two images again, once their threshold is known */
  CHECK(limpid_filter_names_threshold(names, 0) == 0);
  limpid_filter_names_free(names);
}

static void test_mistakes(const limpid_model *model) {
  static const limpid_parameter unknown = {"wrods", 1};
  static const int32_t wrong[] = {4, -1};
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_parameter_info parameter = LIMPID_PARAMETER_INFO_INIT;
  limpid_filter_names *names = NULL;
  limpid_model *colours = load_colours();
  size_t asked = 997, i;
  FAILS(LIMPID_ERROR_UNSUPPORTED, "lavise", limpid_name_filters(colours, views, 3, NULL, 0, NULL, &names));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "model", limpid_name_filters(NULL, views, 3, NULL, 0, NULL, &names));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "out", limpid_name_filters(model, views, 3, NULL, 0, NULL, NULL));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "image_count", limpid_name_filters(model, NULL, 0, NULL, 0, NULL, &names));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "filters", limpid_name_filters(model, views, 3, NULL, 2, NULL, &names));
  for (i = 0; i < 2; i++)
    FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "out of range",
          limpid_name_filters(model, views, 3, &wrong[i], 1, NULL, &names));
  FAILS(LIMPID_ERROR_INVALID_ARGUMENT, "source", limpid_name_filters_from(model, NULL, NULL, 3, NULL, 0, NULL, &names));
  FAILS(LIMPID_ERROR_CANCELLED, "", limpid_name_filters_from(model, give, &asked, 3, NULL, 0, NULL, &names));
  options.progress = stop;
  FAILS(LIMPID_ERROR_CANCELLED, "", limpid_name_filters(model, views, 3, NULL, 0, &options, &names));
  options.progress = NULL;
  options.parameters = &unknown;
  options.parameter_count = 1;
  FAILS(LIMPID_ERROR_NOT_FOUND, "wrods", limpid_name_filters(model, views, 3, NULL, 0, &options, &names));
  CHECK(names == NULL);
  for (i = 0; limpid_naming_get_parameter(i, &parameter) == LIMPID_OK; i++)
    CHECK(parameter.minimum <= parameter.default_value && parameter.default_value <= parameter.maximum);
  CHECK(i == 6);
  CHECK(limpid_filter_names_filter_count(NULL) == 0 && limpid_filter_names_word(NULL, 0, 0, NULL) == NULL);
  limpid_filter_names_free(NULL);
  limpid_model_free(colours);
}

static void test_one_image(const limpid_model *model) {
  static const limpid_parameter filter = {"filter", 2};
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_explanation *why = NULL;
  float similarity = 0;
  options.parameters = &filter;
  options.parameter_count = 1;
  CHECK(limpid_explain(model, "lavise", views, 3, NULL, 1, &options, &why) == LIMPID_OK);
  CHECK(limpid_explanation_filter(why, 2) == 2 && limpid_explanation_filter(why, 3) == -1);
  CHECK(strcmp(limpid_explanation_word(why, 2, 0, &similarity), "purple") == 0 && similarity > 0.99f);
  CHECK(limpid_explanation_word(why, 2, 5, NULL) == NULL);
  CHECK(limpid_explanation_class(why, 2) == -1);
  CHECK(limpid_explanation_word(why, 0, 0, NULL) == NULL && limpid_explanation_is_degenerate(why, 0) == 1);
  limpid_explanation_free(why);
}

int main(void) {
  limpid_model *model = NULL;
  const char *path = getenv("FILTERS");
  int i;
  CHECK(path != NULL && limpid_model_load_file(path, NULL, &model) == LIMPID_OK);
  for (i = 0; i < 2; i++) views[i] = quarter(pixels[i], i); /* red, green */
  views[2] = quarter(pixels[2], 0);                         /* less red, and blue */
  for (i = 0; i < 32 * 32 * 3; i += 3) {
    pixels[2][i] = (unsigned char)(pixels[2][i] / 2);
    pixels[2][i + 2] = pixels[2][i];
  }
  test_naming(model);
  test_regions(model);
  test_mistakes(model);
  test_one_image(model);
  limpid_model_free(model);
  return 0;
}
