/* Writes, as raw float32 on standard output, the map that a C program gets of a method and one class.
 *
 *   methods MODEL PLANES HEIGHT WIDTH METHOD CLASS LAYER [parameter=VALUE | draw:TYPE:EXTENT,...=FILE]...
 *
 * PLANES and FILE are raw numbers, LAYER is "" for the model's own choice, TYPE a limpid_element_type.
 */
#include <limpid/limpid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

static int fail(void) { return fprintf(stderr, "%s\n", limpid_last_error()), 1; }

static void *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  long size;
  void *data;
  if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) exit(2);
  rewind(file);
  data = malloc((size_t)size + 1);
  if (fread(data, 1, (size_t)size, file) != (size_t)size) exit(2);
  fclose(file);
  return data;
}

/* "grid:2:300,7,7=grid.raw" */
static limpid_tensor_view draw(char *word, char *path, int64_t *shape) {
  limpid_tensor_view view;
  memset(&view, 0, sizeof view);
  view.name = strtok(word, ":");
  view.type = (limpid_element_type)atoi(strtok(NULL, ":"));
  view.shape = shape;
  for (word = strtok(NULL, ","); word; word = strtok(NULL, ",")) shape[view.rank++] = atoll(word);
  view.data = contents(path);
  return view;
}

int main(int argc, char **argv) {
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_parameter parameters[MOST];
  limpid_choice choices[MOST];
  limpid_tensor_view draws[MOST];
  int64_t shapes[MOST][8];
  limpid_image_view image;
  limpid_map_view map;
  limpid_model *model = NULL;
  limpid_explanation *why = NULL;
  int32_t wanted;
  int i;
  if (argc < 8 || argc > 8 + MOST) return 2;
  memset(&image, 0, sizeof image);
  image.pixels = contents(argv[2]);
  image.height = atoi(argv[3]);
  image.width = atoi(argv[4]);
  image.format = LIMPID_PIXEL_MODEL_F32;
  wanted = atoi(argv[6]);
  options.layer = *argv[7] ? argv[7] : NULL;
  options.parameters = parameters;
  options.choices = choices;
  options.draws = draws;
  for (i = 8; i < argc; i++) {
    char *value = strchr(argv[i], '='), *end;
    double number;
    *value++ = '\0';
    number = strtod(value, &end);
    if (strchr(argv[i], ':')) {
      draws[options.draw_count] = draw(argv[i], value, shapes[options.draw_count]);
      options.draw_count++;
    } else if (*end == '\0') {
      parameters[options.parameter_count].name = argv[i];
      parameters[options.parameter_count++].value = number;
    } else {
      choices[options.choice_count].name = argv[i];
      choices[options.choice_count++].value = value;
    }
  }
  if (limpid_model_load_file(argv[1], NULL, &model)) return fail();
  if (limpid_explain(model, argv[5], &image, 1, &wanted, 1, &options, &why)) return fail();
  map = limpid_explanation_map(why, 0);
  fwrite(map.values, sizeof(float), (size_t)map.width * (size_t)map.height, stdout);
  limpid_explanation_free(why);
  limpid_model_free(model);
  return 0;
}
