/* Hosts of many kinds, each in a process of its own: the library opened and closed again and again, or bound deeply, every method on
 * a stack of 64 KiB, signals during calls, closed standard streams, a removed folder, a locale with commas, no descriptors left, long
 * paths, full devices, masks of permissions, limits of stacks and threads. The same scores, or a status.
 *   surroundings LIBRARY MODEL IMAGE */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <limpid/limpid.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *library, *model_path, *image_path;
static float expected[16];
/* Whether every method explains, or one. */
static int every_method;

static int same(const char *what, int flags) {
  float scores[16] = {0};
  limpid_model *model = NULL;
  limpid_image *image = NULL;
  limpid_explanation *why = NULL;
  limpid_image_view view;
  void *lib = dlopen(library, flags);
  if (!lib) return fprintf(stderr, "%s: %s\n", what, dlerror()), 1;
#define F(name) __typeof__(&name) p_##name = (__typeof__(&name))dlsym(lib, #name)
  F(limpid_model_load_file); F(limpid_image_load_file); F(limpid_image_get_view); F(limpid_classify); F(limpid_explain);
  F(limpid_explanation_map); F(limpid_model_get_method); F(limpid_explanation_free); F(limpid_image_free); F(limpid_model_free); F(limpid_last_error);
  if (p_limpid_model_load_file(model_path, NULL, &model) || p_limpid_image_load_file(image_path, &image)) goto failed;
  view = p_limpid_image_get_view(image);
  if (p_limpid_classify(model, &view, 1, NULL, scores, 16)) goto failed;
  if (p_limpid_explain(model, "grad-cam", &view, 1, NULL, 1, NULL, &why) || !p_limpid_explanation_map(why, 0).values) goto failed;
  for (size_t i = 0; every_method; i++) {
    limpid_method_info info = LIMPID_METHOD_INFO_INIT;
    limpid_explanation *other = NULL;
    if (p_limpid_model_get_method(model, i, &info)) break;
    p_limpid_explain(model, info.name, &view, 1, NULL, 1, NULL, &other); /* some want arrays of the caller's */
    p_limpid_explanation_free(other);
  }
  if (expected[0] == 0 && expected[1] == 0) memcpy(expected, scores, sizeof expected);
  p_limpid_explanation_free(why);
  p_limpid_image_free(image);
  p_limpid_model_free(model);
  dlclose(lib);
  if (memcmp(scores, expected, sizeof scores)) return fprintf(stderr, "%s: other scores\n", what), 1;
  return 0;
failed:
  fprintf(stderr, "%s: %s\n", what, p_limpid_last_error());
  return 1;
}

static void *on_stack(void *argument) { return (void *)(long)same(argument, RTLD_NOW); }
static int small_stack(size_t size) {
  char what[64];
  pthread_t thread;
  pthread_attr_t a;
  void *result = (void *)1;
  every_method = 1;
  sprintf(what, "a stack of %zu KiB", size >> 10);
  pthread_attr_init(&a);
  if (pthread_attr_setstacksize(&a, size)) return fprintf(stderr, "no such stack\n"), 1;
  if (pthread_create(&thread, &a, on_stack, what)) return 1;
  pthread_join(thread, &result);
  return (int)(long)result;
}

static void tick(int s) { (void)s; }
static int signals(int restart) {
  struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  struct sigaction action = {0};
  int result = 0;
  action.sa_handler = tick;
  action.sa_flags = restart;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &every, NULL);
  for (int i = 0; i < 20 && !result; i++) result = same("signals", RTLD_NOW);
  setitimer(ITIMER_REAL, &never, NULL);
  return result;
}
static int with_signals(void) { return signals(0) || signals(SA_RESTART); }
static int reopened(void) { return same("opened again", RTLD_NOW) || same("opened again", RTLD_LAZY | RTLD_GLOBAL) || same("deep", RTLD_NOW | RTLD_DEEPBIND); }
static int deep(void) { return same("bound deeply", RTLD_NOW | RTLD_DEEPBIND | RTLD_LOCAL); }
static int stack64(void) { return small_stack(65536); }
static int closed_streams(void) { close(0); close(1); int r; int e = dup(2); close(2); r = same("closed streams", RTLD_NOW); dup2(e, 2); return r; }
static int removed_folder(void) {
  char f[] = "/tmp/limpid-gone-XXXXXX";
  if (!mkdtemp(f) || chdir(f) || rmdir(f)) return 1;
  return same("a removed folder", RTLD_NOW);
}
static int locale(void) {
  const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  for (int i = 0; i < 3 && !setlocale(LC_ALL, names[i]); i++) {}
  return same("a locale", RTLD_NOW);
}
static int no_descriptors(void) {
  struct rlimit few = {3, 3};
  void *lib = dlopen(library, RTLD_NOW);
  __typeof__(&limpid_model_load_file) load = (__typeof__(&limpid_model_load_file))dlsym(lib, "limpid_model_load_file");
  __typeof__(&limpid_image_load_file) read = (__typeof__(&limpid_image_load_file))dlsym(lib, "limpid_image_load_file");
  __typeof__(&limpid_last_error) error = (__typeof__(&limpid_last_error))dlsym(lib, "limpid_last_error");
  limpid_model *m = NULL; limpid_image *i = NULL;
  setrlimit(RLIMIT_NOFILE, &few);
  if (load(model_path, NULL, &m) != LIMPID_ERROR_IO) return fprintf(stderr, "no descriptors: %s\n", error()), 1;
  if (read(image_path, &i) != LIMPID_ERROR_IO) return fprintf(stderr, "no descriptors: %s\n", error()), 1;
  return 0;
}
static int long_path(void) {
  char *p = malloc(1 << 20);
  void *lib = dlopen(library, RTLD_NOW);
  __typeof__(&limpid_model_load_file) load = (__typeof__(&limpid_model_load_file))dlsym(lib, "limpid_model_load_file");
  __typeof__(&limpid_save_png) save = (__typeof__(&limpid_save_png))dlsym(lib, "limpid_save_png");
  limpid_image_view v = {"abc", 0, 1, 1, LIMPID_PIXEL_RGB8, 0};
  limpid_model *m = NULL;
  memset(p, 'a', 1 << 20); p[0] = '/'; p[(1 << 20) - 1] = 0;
  if (load(p, NULL, &m) == LIMPID_OK || save(&v, p) != LIMPID_ERROR_IO) return 1;
  if (save(&v, "/dev/full") != LIMPID_ERROR_IO) return 2;
  return 0;
}
static int umask_and_mode(void) {
  void *lib = dlopen(library, RTLD_NOW);
  __typeof__(&limpid_save_png) save = (__typeof__(&limpid_save_png))dlsym(lib, "limpid_save_png");
  limpid_image_view v = {"abc", 0, 1, 1, LIMPID_PIXEL_RGB8, 0};
  struct stat st;
  umask(077);
  if (save(&v, "umask.png") || stat("umask.png", &st) || (st.st_mode & 0777) != 0600) return 1;
  unlink("umask.png");
  umask(022);
  return save(&v, "umask.png") || stat("umask.png", &st) || (st.st_mode & 0777) != 0644 || unlink("umask.png");
}
static int stack_limit(void) { struct rlimit r = {262144, 262144}; setrlimit(RLIMIT_STACK, &r); return same("RLIMIT_STACK of 256 KiB", RTLD_NOW); }
static int no_threads(void) { struct rlimit r = {1, 1}; setrlimit(RLIMIT_NPROC, &r); return same("RLIMIT_NPROC", RTLD_NOW); }

static const struct { const char *name; int (*run)(void); } cases[] = {
  {"opened, closed, opened", reopened}, {"RTLD_DEEPBIND first", deep}, {"a stack of 64 KiB", stack64}, {"signals every 0.5 ms", with_signals},
  {"closed standard streams", closed_streams}, {"a removed folder", removed_folder}, {"a locale with commas", locale},
  {"no descriptors left", no_descriptors}, {"a path of a mebibyte, a full device", long_path}, {"umask", umask_and_mode}, {"a stack limit", stack_limit}, {"no threads", no_threads},
};

int main(int argc, char **argv) {
  int bad = 0;
  if (argc < 4) return 2;
  library = realpath(argv[1], NULL); model_path = realpath(argv[2], NULL); image_path = realpath(argv[3], NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int status;
    pid_t child;
    fflush(stderr);
    child = fork();
    if (!child) _exit(cases[i].run());
    waitpid(child, &status, 0);
    if (status) { fprintf(stderr, "%s: %s %d\n", cases[i].name, WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)); bad = 1; }
  }
  return bad;
}
