/* Models and pictures with a damaged byte, or cut short: a status, or an answer, but never the end of the host. */
#include "check.h"

static unsigned char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  unsigned char *bytes = malloc(1 << 20);
  CHECK(file && bytes);
  *size = fread(bytes, 1, 1 << 20, file);
  CHECK(*size > 0);
  fclose(file);
  return bytes;
}

/* 1 where the model could be loaded. */
static int try_model(const void *bytes, size_t size) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_image_view view = quarter(pixels, 0);
  limpid_model_options options = LIMPID_MODEL_OPTIONS_INIT;
  limpid_model *model = NULL;
  limpid_explanation *why = NULL;
  float p[64];
  options.memory_limit = 64 << 20;
  options.threads = 1;
  if (limpid_model_load_memory(bytes, size, &options, &model) != LIMPID_OK) {
    CHECK(model == NULL && limpid_last_error()[0] != '\0');
    return 0;
  }
  (void)limpid_classify(model, &view, 1, NULL, p, 64);
  if (limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why) == LIMPID_OK) {
    (void)limpid_explanation_map(why, 0);
    limpid_explanation_free(why);
  }
  limpid_model_free(model);
  return 1;
}

static int try_image(const void *bytes, size_t size) {
  limpid_image *image = NULL;
  int loaded = limpid_image_load_memory(bytes, size, &image) == LIMPID_OK;
  CHECK(loaded == (image != NULL));
  limpid_image_free(image);
  return loaded;
}

/* The fraction of a file's damaged versions that still load, by each of a few kinds of damage. */
static void damage(const char *path, int (*attempt)(const void *, size_t)) {
  static const unsigned char changes[] = {0x01, 0x08, 0x80, 0xff};
  size_t size, i, c;
  int loaded = 0;
  unsigned char *bytes = read_file(path, &size);
  CHECK(attempt(bytes, size));
  for (i = 0; i < size; i++) {
    unsigned char *cut = malloc(i + 1); /* of its own, so that the sanitizers see a byte too many */
    CHECK(cut);
    memcpy(cut, bytes, i);
    loaded += attempt(cut, i);
    free(cut);
    for (c = 0; c < sizeof changes; c++) {
      bytes[i] ^= changes[c];
      loaded += attempt(bytes, size);
      bytes[i] ^= changes[c];
    }
  }
  CHECK((size_t)loaded < size * 5);
  free(bytes);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  damage(getenv("COLOURS"), try_model);
  damage(argv[1], try_image);
  return 0;
}
