/* Reading, drawing and encoding of a large image asks every half a second of work and more often whether to go on, and stops where it
 * is told to; then it gives nothing. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <time.h>

enum { SIDE = 3000, RUNS = 3, MOST = 20000 };

/* `apart[i]`: the least time from question i - 1, or the beginning, to question i, or the end, of all runs. Each of them asks at the same
 * places, so what a stalling machine adds to one run is not in the others; what the work takes is in all. */
struct watch {
  double last;
  double *apart;
  long calls, at;
};

/* Of this thread. A virtual machine counts what its host takes from it, too. */
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void passed(struct watch *watch) {
  const double time = now();
  if (watch->apart) {
    CHECK(watch->calls < MOST);
    if (time - watch->last < watch->apart[watch->calls]) watch->apart[watch->calls] = time - watch->last;
  }
  watch->last = now();
}

static int32_t progress(void *user, uint64_t done, uint64_t total) {
  struct watch *watch = user;
  CHECK(done <= total);
  passed(watch);
  return watch->calls++ == watch->at;
}

static limpid_image_view view;
static limpid_bytes *png, *jpeg;
static limpid_explanation *why;

static limpid_status load(const limpid_bytes *file, struct watch *watch) {
  limpid_image_options options = LIMPID_IMAGE_OPTIONS_INIT;
  limpid_image *image = NULL;
  limpid_status status;
  options.progress = progress;
  options.user = watch;
  status = limpid_image_load_memory_with(limpid_bytes_data(file), limpid_bytes_size(file), &options, &image);
  CHECK((image != NULL) == (status == LIMPID_OK));
  limpid_image_free(image);
  return status;
}

static limpid_status load_png(struct watch *watch) { return load(png, watch); }
static limpid_status load_jpeg(struct watch *watch) { return load(jpeg, watch); }

static limpid_status encode(int32_t quality, struct watch *watch) {
  limpid_image_options options = LIMPID_IMAGE_OPTIONS_INIT;
  limpid_bytes *bytes = NULL;
  limpid_status status;
  options.progress = progress;
  options.user = watch;
  status = quality ? limpid_encode_jpeg_with(&view, quality, &options, &bytes) : limpid_encode_png_with(&view, &options, &bytes);
  CHECK((bytes != NULL) == (status == LIMPID_OK));
  limpid_bytes_free(bytes);
  return status;
}

static limpid_status encode_png(struct watch *watch) { return encode(0, watch); }
static limpid_status encode_jpeg(struct watch *watch) { return encode(90, watch); }

static limpid_status render(const limpid_image_view *over, const char *style, int32_t scale, struct watch *watch) {
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  limpid_image *image = NULL;
  limpid_status status;
  options.style = style;
  options.scale = scale;
  options.progress = progress;
  options.user = watch;
  status = limpid_explanation_render(why, 0, over, &options, &image);
  CHECK((image != NULL) == (status == LIMPID_OK));
  limpid_image_free(image);
  return status;
}

static limpid_status draw(struct watch *watch) { return render(&view, NULL, 2, watch); }
static limpid_status draw_alone(struct watch *watch) { return render(NULL, NULL, 1, watch); }
static limpid_status draw_scouter(struct watch *watch) { return render(&view, "scouter", 100, watch); }

static const struct {
  const char *name;
  limpid_status (*run)(struct watch *);
} calls[] = {
    {"reading PNG", load_png},   {"reading JPEG", load_jpeg}, {"encoding PNG", encode_png},  {"encoding JPEG", encode_jpeg},
    {"drawing", draw}, {"drawing a map alone", draw_alone}, {"drawing as SCOUTER", draw_scouter},
};

/* How often the call asks, and the longest time between two questions. */
static long ask(size_t i, double *longest) {
  static double apart[MOST];
  long count = -1;
  for (long k = 0; k < MOST; k++) apart[k] = 1e9;
  /* Under valgrind nothing is measured. */
  for (int run = 0; run < (getenv("WRAPPER") ? 1 : RUNS); run++) {
    struct watch watch = {now(), apart, 0, -1};
    CHECK(calls[i].run(&watch) == LIMPID_OK);
    passed(&watch);
    CHECK(count < 0 || count == watch.calls);
    count = watch.calls;
  }
  *longest = 0;
  for (long k = 0; k <= count; k++) *longest = apart[k] > *longest ? apart[k] : *longest;
  return count;
}

int main(void) {
  limpid_model *model = load_colours();
  unsigned char *pixels = malloc((size_t)SIDE * SIDE * 3);
  CHECK(pixels != NULL);
  for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++) pixels[i] = (unsigned char)(i * 2654435761u >> 13);
  view.pixels = pixels;
  view.width = view.height = SIDE;
  view.format = LIMPID_PIXEL_RGB8;
  CHECK(limpid_encode_png(&view, &png) == LIMPID_OK && limpid_encode_jpeg(&view, 90, &jpeg) == LIMPID_OK);
  CHECK(limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    struct watch watch = {0, NULL, 0, -1};
    double longest;
    const long count = ask(i, &longest);
    if (getenv("VERBOSE")) printf("%s: asked %ld times, at most %.3f s apart\n", calls[i].name, count, longest);
    CHECK(count > 0);
    if (!getenv("WRAPPER")) CHECK(longest < 0.5);
    for (int k = 0; k < 3; k++) {
      watch.calls = 0;
      watch.at = k * (count - 1) / 2;
      CHECK(calls[i].run(&watch) == LIMPID_ERROR_CANCELLED);
      CHECK(watch.calls == watch.at + 1);
    }
  }
  limpid_explanation_free(why);
  limpid_bytes_free(png);
  limpid_bytes_free(jpeg);
  limpid_model_free(model);
  free(pixels);
  return 0;
}
