/* explain MODEL IMAGE OUT.png [METHOD [PARAMETER=VALUE]...]: why the model sees the predicted class. */
#include <limpid/limpid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARAMETERS = 16 };

/* Draws a line on the terminal; a program with windows would ask here whether "Stop" was pressed. */
static int32_t show_progress(void *user, uint64_t done, uint64_t total) {
  (void)user;
  fprintf(stderr, "\r%3.0f %%", 100.0 * (double)done / (double)(total ? total : 1));
  return 0;
}

static int fail(void) {
  fprintf(stderr, "\n%s\n", limpid_last_error());
  return 1;
}

static void list_methods(const limpid_model *model) {
  limpid_method_info method = LIMPID_METHOD_INFO_INIT;
  size_t i;
  for (i = 0; limpid_model_get_method(model, i, &method) == LIMPID_OK; i++)
    fprintf(stderr, "  %-24s %s\n", method.name, method.summary);
}

int main(int argc, char **argv) {
  limpid_parameter numbers[MAX_PARAMETERS];
  limpid_choice words[MAX_PARAMETERS];
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_model *model = NULL;
  limpid_image *image = NULL, *overlay = NULL;
  limpid_explanation *why = NULL;
  limpid_image_view view, drawn;
  const char *label;
  int i;

  if (argc < 4) return fprintf(stderr, "usage: %s MODEL IMAGE OUT.png [METHOD [NAME=VALUE]...]\n", argv[0]), 2;
  options.progress = show_progress;
  options.parameters = numbers;
  options.choices = words;
  for (i = 5; i < argc && i < MAX_PARAMETERS; i++) {
    char *end, *equals = strchr(argv[i], '=');
    double number;
    if (!equals) return fprintf(stderr, "%s: NAME=VALUE was expected\n", argv[i]), 2;
    *equals = '\0';
    number = strtod(equals + 1, &end);
    if (*end) {
      words[options.choice_count].name = argv[i];
      words[options.choice_count++].value = equals + 1;
    } else {
      numbers[options.parameter_count].name = argv[i];
      numbers[options.parameter_count++].value = number;
    }
  }

  if (limpid_model_load_file(argv[1], NULL, &model)) return fail();
  if (limpid_image_load_file(argv[2], &image)) return fail();
  view = limpid_image_get_view(image);
  switch (limpid_explain(model, argc > 4 ? argv[4] : NULL, &view, 1, NULL, 1, &options, &why)) {
    case LIMPID_OK: break;
    case LIMPID_ERROR_NOT_FOUND: fail(); list_methods(model); return 1;
    default: return fail();
  }
  label = limpid_model_class_name(model, (size_t)limpid_explanation_class(why, 0));
  printf("\rclass %d %s, score %g\n", (int)limpid_explanation_class(why, 0), label ? label : "",
         (double)limpid_explanation_score(why, 0));
  if (limpid_explanation_is_degenerate(why, 0)) printf("the map says nothing: it is constant\n");

  if (limpid_explanation_render(why, 0, &view, NULL, &overlay)) return fail();
  drawn = limpid_image_get_view(overlay);
  if (limpid_save_png(&drawn, argv[3])) return fail();

  limpid_image_free(overlay);
  limpid_explanation_free(why);
  limpid_image_free(image);
  limpid_model_free(model);
  return 0;
}
