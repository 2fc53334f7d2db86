/* Evaluations by eight workers, two of them side by side with one model and a store each, stopped by their callbacks and gone on with,
 * looked at by other threads meanwhile; then two threads on one evaluation, one explanation and one image. For the thread sanitizer
 * (scripts/check-races), which the library and this are built with.
 *   races-evaluation MODEL FOLDER      the folder is the program's own */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <sys/stat.h>

enum { CLASSES = 3, EACH = 6, IMAGES = CLASSES * EACH, SIDE = 24, WORKERS = 8, STOPPED_AT = 5 };

static limpid_model *model;
static const char *folder;

static const limpid_image_view *colour(int number) {
  static _Thread_local unsigned char own[SIDE * SIDE * 3];
  static _Thread_local limpid_image_view view;
  for (size_t i = 0; i < sizeof own; i++) own[i] = (unsigned char)((i + (size_t)number) * 2654435761u >> 13);
  view.pixels = own;
  view.width = view.height = SIDE;
  view.format = LIMPID_PIXEL_RGB8;
  return &view;
}

static void make_images(void) {
  char path[4096];
  for (int c = 0; c < CLASSES; c++) {
    snprintf(path, sizeof path, "%s/set/%d", folder, c);
    CHECK(mkdir(path, 0700) == 0);
    for (int i = 0; i < EACH; i++) {
      snprintf(path, sizeof path, "%s/set/%d/%d.png", folder, c, i);
      CHECK(limpid_save_png(colour(c * EACH + i), path) == LIMPID_OK);
    }
  }
}

static limpid_evaluation *create(int has_data) {
  char set[4096];
  limpid_parameter few = {"masks", 16};
  limpid_run_options one = LIMPID_RUN_OPTIONS_INIT, masks = LIMPID_RUN_OPTIONS_INIT;
  const limpid_use methods[] = {{"grad-cam", NULL}, {"rise", &masks}}, metrics[] = {{"insertion", NULL}, {"confusion", NULL}};
  limpid_evaluation_options options = LIMPID_EVALUATION_OPTIONS_INIT;
  limpid_evaluation *evaluation = NULL;
  snprintf(set, sizeof set, "%s/set", folder);
  one.threads = 1;
  masks.parameters = &few;
  masks.parameter_count = 1;
  options.data = has_data ? set : NULL;
  options.explained = "predicted";
  options.methods = methods;
  options.method_count = 2;
  options.metrics = metrics;
  options.metric_count = has_data ? 2 : 1;
  options.run = &one;
  options.resamples = 20;
  CHECK(limpid_evaluation_create(model, &options, &evaluation) == LIMPID_OK);
  return evaluation;
}

struct watch {
  limpid_evaluation *evaluation;
  size_t stop_at;
  long calls;
};

static size_t done(const limpid_evaluation *evaluation) {
  size_t count = 0;
  for (size_t i = 0; i < limpid_evaluation_count(evaluation); i++) count += (size_t)limpid_evaluation_is_done(evaluation, i);
  return count;
}

static int32_t progress(void *user, uint64_t part, uint64_t total) {
  struct watch *watch = user;
  CHECK(part <= total);
  watch->calls++;
  return watch->stop_at > 0 && done(watch->evaluation) >= watch->stop_at;
}

static char *document(const limpid_evaluation *evaluation, const char *name) {
  limpid_bytes *bytes = NULL;
  char *text;
  CHECK(limpid_evaluation_document(evaluation, name, &bytes) == LIMPID_OK);
  text = calloc(1, limpid_bytes_size(bytes) + 1);
  CHECK(text != NULL);
  memcpy(text, limpid_bytes_data(bytes), limpid_bytes_size(bytes));
  limpid_bytes_free(bytes);
  return text;
}

static char *expected;

/* Stopped in the middle, opened again from its store as after the end of a process, and run to its end. */
static void *stopped_and_resumed(void *name) {
  char store[4096];
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  struct watch watch = {create(1), STOPPED_AT, 0};
  limpid_status status;
  char *found;
  snprintf(store, sizeof store, "%s/%s.sqlite", folder, (const char *)name);
  options.progress = progress;
  options.user = &watch;
  status = limpid_evaluation_open_store(watch.evaluation, store);
  CHECK(status == LIMPID_OK || status == LIMPID_ERROR_UNSUPPORTED); /* no SQLite here */
  status = limpid_evaluation_run_with(watch.evaluation, WORKERS, &options);
  /* Others may have worked on all the rest by then. */
  CHECK(status == LIMPID_ERROR_CANCELLED && watch.calls > 0 && done(watch.evaluation) >= STOPPED_AT);
  limpid_evaluation_free(watch.evaluation);
  watch.evaluation = create(1);
  watch.stop_at = 0;
  if (limpid_evaluation_open_store(watch.evaluation, store) == LIMPID_OK) CHECK(done(watch.evaluation) >= STOPPED_AT);
  CHECK(limpid_evaluation_run_with(watch.evaluation, WORKERS, &options) == LIMPID_OK);
  CHECK(done(watch.evaluation) == IMAGES);
  found = document(watch.evaluation, "images.csv");
  CHECK(strcmp(found, expected) == 0);
  free(found);
  limpid_evaluation_free(watch.evaluation);
  return NULL;
}

static limpid_evaluation *shared;

static void *run_shared(void *unused) {
  CHECK(limpid_evaluation_run_with(shared, WORKERS / 2, NULL) == LIMPID_OK);
  return unused;
}

/* What a host asks while it runs. */
static void *look_on(void *unused) {
  for (int i = 0; i < 20 || done(shared) < IMAGES; i++) {
    limpid_bytes *record = NULL;
    CHECK(limpid_evaluation_sample_path(shared, (size_t)i % IMAGES) != NULL);
    if (i % 4 == 0) free(document(shared, i % 8 ? "results.json" : "images.csv"));
    CHECK(limpid_evaluation_evaluate(shared, (size_t)i % IMAGES, NULL, 0, NULL, &record) == LIMPID_OK);
    CHECK(limpid_evaluation_add(shared, limpid_bytes_data(record), limpid_bytes_size(record)) == LIMPID_OK);
    limpid_bytes_free(record);
  }
  return unused;
}

/* Samples of the caller's, added while others are evaluated. */
static void *add_samples(void *first) {
  for (int i = 0; i < EACH; i++) {
    char name[32];
    limpid_bytes *record = NULL;
    size_t index = 0;
    snprintf(name, sizeof name, "image %d", (int)(long)first + i);
    CHECK(limpid_evaluation_add_sample(shared, name, 1, NULL, 0, &index) == LIMPID_OK);
    CHECK(limpid_evaluation_stamp_sample(shared, index, "as it was") == LIMPID_OK);
    CHECK(limpid_evaluation_evaluate_image(shared, index, colour(i), NULL, &record) == LIMPID_OK);
    CHECK(limpid_evaluation_add(shared, limpid_bytes_data(record), limpid_bytes_size(record)) == LIMPID_OK);
    limpid_bytes_free(record);
    CHECK(limpid_evaluation_is_done(shared, index) == 1);
  }
  return NULL;
}

static limpid_explanation *why;
static limpid_image *image;

static void *use_shared(void *unused) {
  const limpid_image_view view = limpid_image_get_view(image);
  for (int i = 0; i < 8; i++) {
    limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
    limpid_image *drawing = NULL;
    limpid_bytes *bytes = NULL;
    float scores[16];
    double number;
    const char *word;
    const size_t index = (size_t)i % CLASSES;
    const limpid_map_view map = limpid_explanation_map(why, index);
    CHECK(map.values != NULL && map.values == limpid_explanation_map(why, index).values);
    CHECK(limpid_explanation_grid(why, index).values != NULL);
    limpid_explanation_parameter(why, 0, &number, &word);
    CHECK(limpid_explanation_render(why, index, &view, &options, &drawing) == LIMPID_OK);
    CHECK(limpid_encode_png(&view, &bytes) == LIMPID_OK);
    CHECK(limpid_classify(model, &view, 1, NULL, scores, 16) == LIMPID_OK);
    limpid_bytes_free(bytes);
    limpid_image_free(drawing);
  }
  return unused;
}

static void together(void *(*first)(void *), void *a, void *(*second)(void *), void *b) {
  pthread_t threads[2];
  CHECK(pthread_create(&threads[0], NULL, first, a) == 0 && pthread_create(&threads[1], NULL, second, b) == 0);
  CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
}

int main(int argc, char **argv) {
  const int32_t classes[CLASSES] = {0, 1, 2};
  char path[4096];
  limpid_evaluation *alone;
  if (argc < 3) return 2;
  folder = argv[2];
  snprintf(path, sizeof path, "%s/set", folder);
  CHECK(mkdir(path, 0700) == 0);
  make_images();
  CHECK(limpid_model_load_file(argv[1], NULL, &model) == LIMPID_OK);

  alone = create(1);
  CHECK(limpid_evaluation_run(alone, NULL) == LIMPID_OK && done(alone) == IMAGES);
  expected = document(alone, "images.csv");
  limpid_evaluation_free(alone);
  together(stopped_and_resumed, "a", stopped_and_resumed, "b");

  shared = create(1);
  together(run_shared, NULL, look_on, NULL);
  limpid_evaluation_free(shared);
  shared = create(1);
  together(run_shared, NULL, run_shared, NULL);
  CHECK(done(shared) == IMAGES);
  limpid_evaluation_free(shared);
  shared = create(0);
  together(add_samples, (void *)0, add_samples, (void *)100);
  CHECK(done(shared) == 2 * EACH);
  limpid_evaluation_free(shared);

  snprintf(path, sizeof path, "%s/set/0/0.png", folder);
  CHECK(limpid_image_load_file(path, &image) == LIMPID_OK);
  const limpid_image_view view = limpid_image_get_view(image);
  CHECK(limpid_explain(model, NULL, &view, 1, classes, CLASSES, NULL, &why) == LIMPID_OK);
  together(use_shared, NULL, use_shared, NULL);
  limpid_explanation_free(why);
  limpid_image_free(image);
  limpid_model_free(model);
  free(expected);
  printf("%d images by %d workers, two evaluations side by side, stopped and gone on with; two threads on one evaluation, explanation "
         "and image: the results of one\n", IMAGES, WORKERS);
  return 0;
}
