/* Writes, as raw float32 on standard output, what a C program gets of a model: the named tensors of an image, or the
 * scores and grids of every class.
 *
 *   doors fetch MODEL IMAGE NAME...
 *   doors explain MODEL IMAGE METHOD CLASSES
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

int main(int argc, char **argv) {
  limpid_model *model = NULL;
  limpid_image *image = NULL;
  limpid_image_view view;
  int result;
  if (argc < 5) return 2;
  if (limpid_model_load_file(argv[2], NULL, &model) || limpid_image_load_file(argv[3], &image)) return fail();
  view = limpid_image_get_view(image);
  result = strcmp(argv[1], "fetch") == 0 ? fetch(model, &view, argv + 4, (size_t)argc - 4)
                                         : explain(model, &view, argv[4], (size_t)atol(argv[5]));
  limpid_image_free(image);
  limpid_model_free(model);
  return result;
}
