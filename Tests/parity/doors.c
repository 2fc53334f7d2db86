/* Writes, as raw float32 on standard output, what a C program gets of a model: the named tensors of an image, or the
 * scores and grids of every class.
 *
 *   doors fetch MODEL IMAGE NAME...
 *   doors explain MODEL IMAGE METHOD CLASSES
 *
 * or, as text, a line for each image that a filter is named after: its index, its activation, words and similarities.
 *
 *   doors words MODEL IMAGE... FILTER
 */
#include <limpid/limpid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(void) { return fprintf(stderr, "%s\n", limpid_last_error()), 1; }

static int fetch(const limpid_model *model, const limpid_image_view *view, char **names, size_t count) {
  limpid_tensors *tensors = NULL;
  size_t i;
  if (limpid_fetch(model, view, 1, (const char *const *)names, count, NULL, &tensors)) return fail();
  for (i = 0; i < limpid_tensors_count(tensors); i++) {
    limpid_tensor_view tensor = limpid_tensors_get(tensors, i);
    size_t elements = 1, axis;
    for (axis = 0; axis < tensor.rank; axis++) elements *= (size_t)tensor.shape[axis];
    fwrite(tensor.data, sizeof(float), elements, stdout);
  }
  limpid_tensors_free(tensors);
  return 0;
}

static int explain(const limpid_model *model, const limpid_image_view *view, const char *method, size_t classes) {
  limpid_explanation *why = NULL;
  int32_t *wanted = malloc(classes * sizeof *wanted);
  size_t i;
  for (i = 0; i < classes; i++) wanted[i] = (int32_t)i;
  if (limpid_explain(model, method, view, 1, wanted, classes, NULL, &why)) return fail();
  for (i = 0; i < limpid_explanation_count(why); i++) {
    limpid_map_view grid = limpid_explanation_grid(why, i);
    float head[4];
    head[0] = limpid_explanation_score(why, i);
    head[1] = grid.minimum;
    head[2] = grid.maximum;
    head[3] = (float)limpid_explanation_is_degenerate(why, i);
    fwrite(head, sizeof(float), 4, stdout);
    fwrite(grid.values, sizeof(float), (size_t)grid.width * (size_t)grid.height, stdout);
  }
  limpid_explanation_free(why);
  free(wanted);
  return 0;
}

static int words(const limpid_model *model, const limpid_image_view *views, size_t count, int32_t filter) {
  limpid_filter_names *names = NULL;
  size_t rank, word;
  float number;
  if (limpid_name_filters(model, views, count, &filter, 1, NULL, &names)) return fail();
  for (rank = 0; rank < limpid_filter_names_image_count(names, 0); rank++) {
    const char *text;
    printf("%d", (int)limpid_filter_names_image(names, 0, rank, &number));
    printf(" %.9g", (double)number);
    for (word = 0; (text = limpid_filter_names_image_word(names, 0, rank, word, &number)) != NULL; word++)
      printf(" %s %.9g", text, (double)number);
    printf("\n");
  }
  limpid_filter_names_free(names);
  return 0;
}

static int draw(const limpid_model *model, const limpid_image_view *view, const char *path, const char *style) {
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  limpid_explanation *why = NULL;
  limpid_image *drawn = NULL;
  limpid_image_view result;
  options.style = style;
  if (limpid_explain(model, NULL, view, 1, NULL, 1, NULL, &why)) return fail();
  if (limpid_explanation_render(why, 0, view, &options, &drawn)) return fail();
  result = limpid_image_get_view(drawn);
  if (limpid_save_png(&result, path)) return fail();
  limpid_image_free(drawn);
  limpid_explanation_free(why);
  return 0;
}

int main(int argc, char **argv) {
  enum { MOST = 32 };
  limpid_model *model = NULL;
  limpid_image *images[MOST];
  limpid_image_view views[MOST];
  size_t count, i;
  int result;
  if (argc < 5 || argc > MOST + 4) return 2;
  count = strcmp(argv[1], "words") == 0 ? (size_t)argc - 4 : 1;
  if (limpid_model_load_file(argv[2], NULL, &model)) return fail();
  for (i = 0; i < count; i++) {
    if (limpid_image_load_file(argv[3 + i], &images[i])) return fail();
    views[i] = limpid_image_get_view(images[i]);
  }
  if (strcmp(argv[1], "words") == 0)
    result = words(model, views, count, (int32_t)atol(argv[argc - 1]));
  else if (strcmp(argv[1], "fetch") == 0)
    result = fetch(model, views, argv + 4, (size_t)argc - 4);
  else if (strcmp(argv[1], "draw") == 0)
    result = draw(model, views, argv[4], argv[5]);
  else
    result = explain(model, views, argv[4], (size_t)atol(argv[5]));
  for (i = 0; i < count; i++) limpid_image_free(images[i]);
  limpid_model_free(model);
  return result;
}
