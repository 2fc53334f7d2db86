/* The few words that the tests are written in. A failed check ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <limpid/limpid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s\n  last error: %s\n", __FILE__, __LINE__, #condition, limpid_last_error()); \
      exit(1); \
    } \
  } while (0)

/* The call fails with this status and a message that has `words` in it. */
#define FAILS(status, words, call) \
  do { \
    CHECK((call) == (status)); \
    CHECK(strstr(limpid_last_error(), (words)) != NULL); \
  } while (0)

/* Tests/Fixtures/onnx/colours.onnx: 3 classes (red, green, blue), pictures of 32x32, maps of 8x8. */
__attribute__((unused)) static limpid_model *load_colours(void) {
  limpid_model *model = NULL;
  const char *path = getenv("COLOURS");
  CHECK(path != NULL);
  CHECK(limpid_model_load_file(path, NULL, &model) == LIMPID_OK);
  return model;
}

/* A picture of 32x32, black but for its upper left quarter, which has one colour. */
__attribute__((unused)) static limpid_image_view quarter(unsigned char *pixels, int channel) {
  limpid_image_view view;
  int x, y;
  memset(pixels, 0, 32 * 32 * 3);
  for (y = 0; y < 16; y++)
    for (x = 0; x < 16; x++) pixels[(y * 32 + x) * 3 + channel] = 255;
  memset(&view, 0, sizeof view);
  view.pixels = pixels;
  view.width = view.height = 32;
  view.format = LIMPID_PIXEL_RGB8;
  return view;
}

#endif
