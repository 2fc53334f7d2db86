/* Explains, maps, draws and encodes a large image; exits with 1 where a call fails.
 *   space MODEL SIDE */
#include <limpid/limpid.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what) {
  printf("%s: %s\n", what, limpid_last_error());
  return 1;
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
