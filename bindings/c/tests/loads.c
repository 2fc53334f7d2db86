/* Two hundred models loaded, used and freed need no more memory than a few. */
#include "check.h"

#include <unistd.h>

static long resident_kilobytes(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
  fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void load_use_free(void) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_image_view view = quarter(pixels, 0);
  limpid_model *model = load_colours();
  limpid_explanation *why = NULL;
  CHECK(limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  CHECK(limpid_explanation_map(why, 0).values != NULL);
  limpid_explanation_free(why);
  limpid_model_free(model);
}

int main(void) {
  long before;
  int i;
  for (i = 0; i < 50; i++) load_use_free();
  before = resident_kilobytes();
  for (i = 0; i < 200; i++) load_use_free();
  CHECK(before > 0);
#ifndef __SANITIZE_ADDRESS__ /* it keeps freed memory, and looks for leaks itself */
  CHECK(resident_kilobytes() - before < 2048);
#endif
  return 0;
}
