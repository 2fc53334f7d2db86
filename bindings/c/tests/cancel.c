/* A call may be stopped at any of its steps; it then gives nothing and keeps nothing. */
#include "check.h"

#include <pthread.h>

struct stop {
  uint64_t calls, at, last;
  pthread_t thread;
};

static int32_t progress(void *user, uint64_t done, uint64_t total) {
  struct stop *stop = user;
  CHECK(done <= total && done >= stop->last);
  CHECK(pthread_equal(stop->thread, pthread_self()));
  stop->last = done;
  return stop->calls++ == stop->at;
}

int main(void) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_model *model = load_colours();
  limpid_image_view views[20];
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  struct stop stop;
  uint64_t steps = 0, at;
  size_t i;
  float p[60];

  for (i = 0; i < 20; i++) views[i] = quarter(pixels, 1);
  options.progress = progress;
  options.user = &stop;
  stop.thread = pthread_self();
  stop.calls = stop.last = 0;
  stop.at = UINT64_MAX;
  CHECK(limpid_classify(model, views, 20, &options, p, 60) == LIMPID_OK);
  steps = stop.calls;
  CHECK(steps >= 2);

  for (at = 0; at < steps; at++) {
    limpid_explanation *why = NULL;
    limpid_tensors *tensors = NULL;
    const char *name = "features";
    stop.calls = stop.last = 0;
    stop.at = at;
    FAILS(LIMPID_ERROR_CANCELLED, "progress", limpid_classify(model, views, 20, &options, p, 60));
    stop.calls = stop.last = 0;
    FAILS(LIMPID_ERROR_CANCELLED, "progress", limpid_explain(model, NULL, views, 20, NULL, 1, &options, &why));
    stop.calls = stop.last = 0;
    CHECK(limpid_fetch(model, views, 20, &name, 1, &options, &tensors) != LIMPID_OK || stop.calls <= at);
    CHECK(!why);
    limpid_tensors_free(tensors);
  }
  limpid_model_free(model);
  return 0;
}
