/* A server that forks while its threads load, classify and explain: each child loads, classifies on two threads and
   gets the same numbers. A child that hangs is ended by its alarm. Also: loading starts no thread.
     fork FORKS            so many children, of threads that have been at it for a while
     fork cold MICROSECONDS    one child, so long after the process's first calls */
#define _GNU_SOURCE
#include <dirent.h>
#include <limpid/limpid.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, limpid_last_error()); \
      _exit(1); \
    } \
  } while (0)

static limpid_model *shared;
static unsigned char pixels[32 * 32 * 3];
static float expected[3];
static volatile int stops;

static int thread_count(void) {
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;
  struct dirent *entry;
  while ((entry = readdir(tasks))) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void classify(const limpid_model *model, int threads) {
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  float p[3];
  options.threads = threads;
  CHECK(limpid_classify(model, &view, 1, &options, p, 3) == LIMPID_OK);
  CHECK(memcmp(p, expected, sizeof p) == 0);
}

static limpid_model *loaded(void) {
  limpid_model *model = NULL;
  CHECK(limpid_model_load_file(getenv("COLOURS"), NULL, &model) == LIMPID_OK);
  return model;
}

static void load_and_classify(void) {
  limpid_model *model = loaded();
  classify(model, 2);
  limpid_model_free(model);
}

static void *classifies(void *unused) {
  while (!stops) classify(shared, 1);
  return unused;
}

static void *classifies_on_two(void *unused) {
  while (!stops) classify(shared, 2);
  return unused;
}

static void *loads(void *unused) {
  while (!stops) load_and_classify();
  return unused;
}

static void explain(const limpid_model *model) {
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  limpid_explanation *why = NULL;
  CHECK(limpid_explain(model, "recipro-cam", &view, 1, NULL, 1, NULL, &why) == LIMPID_OK);
  CHECK(limpid_explanation_map(why, 0).values != NULL);
  limpid_explanation_free(why);
}

static void *explains(void *unused) {
  while (!stops) explain(shared);
  return unused;
}

static void *allocates(void *unused) {
  unsigned round;
  for (round = 1; !stops; round++) free(malloc(round * 7919 % 100000));
  return unused;
}

static void *first_calls(void *unused) {
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  float p[3];
  limpid_model *model = loaded();
  CHECK(limpid_classify(model, &view, 1, NULL, p, 3) == LIMPID_OK);
  explain(model);
  limpid_model_free(model);
  return unused;
}

/* How a child ended; 0 is well. */
static int outcome(pid_t child, const char *what, int number) {
  int end;
  CHECK(child > 0 && waitpid(child, &end, 0) == child);
  if (WIFSIGNALED(end)) fprintf(stderr, "%s %d: signal %d\n", what, number, WTERMSIG(end));
  else if (end) fprintf(stderr, "%s %d: exit %d\n", what, number, WEXITSTATUS(end));
  return end;
}

/* What is done once in a process, such as filling tables, may be half done in another thread when the process forks. */
static int cold(int microseconds) {
  pthread_t threads[3];
  pid_t child;
  int i, end;
  for (i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, first_calls, NULL) == 0);
  usleep(microseconds);
  child = fork();
  if (child == 0) {
    alarm(60);
    first_calls(NULL);
    _exit(0);
  }
  end = outcome(child, "child after microseconds", microseconds);
  for (i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  return end != 0;
}

int main(int argc, char **argv) {
  static void *(*const work[])(void *) = {
    classifies, classifies, classifies_on_two, classifies_on_two, loads, explains, allocates, allocates};
  enum { count = sizeof work / sizeof *work };
  const int forks = argc > 1 ? atoi(argv[1]) : 0;
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  pthread_t threads[count];
  int i, good = 0;

  if (argc > 2) return cold(atoi(argv[2]));
  shared = loaded();
  CHECK(thread_count() == 1);
  CHECK(limpid_classify(shared, &view, 1, NULL, expected, 3) == LIMPID_OK);

  for (i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, work[i], NULL) == 0);
  for (i = 0; i < forks; i++) {
    pid_t child;
    usleep(i * 37 % 900); /* so that the fork falls into different moments of the calls */
    child = fork();
    if (child == 0) {
      alarm(60);
      classify(shared, 1);
      classify(shared, 2);
      load_and_classify();
      _exit(0);
    }
    if (outcome(child, "child", i) == 0) good++;
  }
  stops = 1;
  for (i = 0; i < count; i++) pthread_join(threads[i], NULL);
  limpid_model_free(shared);
  if (good != forks) fprintf(stderr, "%d of %d children did as their parent\n", good, forks);
  return good != forks;
}
