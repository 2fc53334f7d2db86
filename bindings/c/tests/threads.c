/* One model, eight threads at once, each with its own last error: the same bits as one thread alone. And on whichever core a
 * thread calls, there are helpers that the system cannot put behind it. */
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>

enum { THREADS = 8, ROUNDS = 20, IMAGES = 6 };

static limpid_model *model;
static unsigned char pixels[3][32 * 32 * 3];
static limpid_image_view views[IMAGES];
static float expected[IMAGES * 3];
static float expected_map[32 * 32];

static void *work(void *argument) {
  const long number = (long)argument;
  int round;
  char path[64];
  sprintf(path, "/no/model-%ld.onnx", number);
  for (round = 0; round < ROUNDS; round++) {
    limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
    limpid_explanation *why = NULL;
    limpid_model *none = NULL;
    float p[IMAGES * 3];
    options.threads = (int32_t)(1 + (number + round) % 3);
    options.batch_size = (int32_t)(1 + (number + round) % IMAGES);
    CHECK(limpid_model_load_file(path, NULL, &none) == LIMPID_ERROR_NOT_FOUND);
    CHECK(limpid_classify(model, views, IMAGES, &options, p, IMAGES * 3) == LIMPID_OK);
    CHECK(memcmp(p, expected, sizeof p) == 0);
    CHECK(limpid_explain(model, NULL, views, 1, NULL, 1, &options, &why) == LIMPID_OK);
    CHECK(memcmp(limpid_explanation_map(why, 0).values, expected_map, sizeof expected_map) == 0);
    CHECK(strstr(limpid_last_error(), path) != NULL);
    limpid_explanation_free(why);
  }
  return NULL;
}

static void helpers_are_elsewhere(void) {
  cpu_set_t cores, avoided;
  DIR *tasks = opendir("/proc/self/task");
  struct dirent *task;
  CHECK(tasks != NULL && sched_getaffinity(0, sizeof cores, &cores) == 0);
  CPU_ZERO(&avoided);
  while ((task = readdir(tasks)) != NULL) {
    char path[300], name[32] = "";
    cpu_set_t own;
    FILE *file;
    int core;
    sprintf(path, "/proc/self/task/%s/comm", task->d_name);
    file = fopen(path, "r");
    if (!file || !fgets(name, sizeof name, file)) name[0] = 0;
    if (file) fclose(file);
    if (strcmp(name, "limpid\n") != 0) continue;
    CHECK(sched_getaffinity(atoi(task->d_name), sizeof own, &own) == 0);
    for (core = 0; core < CPU_SETSIZE; core++) {
      if (CPU_ISSET(core, &cores) && !CPU_ISSET(core, &own)) CPU_SET(core, &avoided);
    }
  }
  closedir(tasks);
  CHECK(CPU_COUNT(&cores) == 1 || CPU_EQUAL(&avoided, &cores));
}

int main(void) {
  pthread_t threads[THREADS];
  limpid_explanation *why = NULL;
  long i;
  model = load_colours();
  for (i = 0; i < IMAGES; i++) views[i] = quarter(pixels[i % 3], (int)(i % 3));
  CHECK(limpid_classify(model, views, IMAGES, NULL, expected, IMAGES * 3) == LIMPID_OK);
  CHECK(limpid_explain(model, NULL, views, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  memcpy(expected_map, limpid_explanation_map(why, 0).values, sizeof expected_map);
  limpid_explanation_free(why);
  for (i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  for (i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  helpers_are_elsewhere();
  CHECK(strstr(limpid_last_error(), "/no/") == NULL);
  limpid_model_free(model);
  return 0;
}
