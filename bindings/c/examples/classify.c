/* classify MODEL IMAGE...: the five most probable classes of each image. */
#include <limpid/limpid.h>

#include <stdio.h>
#include <stdlib.h>

static void print_best(const limpid_model *model, const char *path, float *probabilities, size_t count) {
  int rank;
  printf("%s\n", path);
  for (rank = 0; rank < 5 && (size_t)rank < count; rank++) {
    size_t i, best = 0;
    const char *label;
    for (i = 1; i < count; i++)
      if (probabilities[i] > probabilities[best]) best = i;
    label = limpid_model_class_name(model, best);
    printf("  %6.2f %%  %lu %s\n", 100.0 * (double)probabilities[best], (unsigned long)best, label ? label : "");
    probabilities[best] = -1;
  }
}

int main(int argc, char **argv) {
  limpid_model *model = NULL;
  limpid_model_info info = LIMPID_MODEL_INFO_INIT;
  float *probabilities = NULL;
  int i, failures = 0;

  if (argc < 3) return fprintf(stderr, "usage: %s MODEL IMAGE...\n", argv[0]), 2;
  if (limpid_model_load_file(argv[1], NULL, &model) || limpid_model_get_info(model, &info))
    return fprintf(stderr, "%s\n", limpid_last_error()), 1;
  probabilities = malloc((info.class_count ? info.class_count : 1) * sizeof(float));
  if (!probabilities) return 1;

  for (i = 2; i < argc; i++) {
    limpid_image *image = NULL;
    limpid_image_view view;
    if (!limpid_image_load_file(argv[i], &image)) view = limpid_image_get_view(image);
    if (image && !limpid_classify(model, &view, 1, NULL, probabilities, info.class_count)) {
      print_best(model, argv[i], probabilities, info.class_count);
    } else {
      fprintf(stderr, "%s\n", limpid_last_error());
      failures++;
    }
    limpid_image_free(image);
  }
  free(probabilities);
  limpid_model_free(model);
  return failures != 0;
}
