/* A guest in somebody else's process: dlopen changes no signal handler, the library can be closed and opened
   again, a child made by fork can go on using it, and OpenBLAS is the host's. Takes the path of the library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limpid/limpid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      _exit(1); \
    } \
  } while (0)

typedef limpid_status (*load_fn)(const char *, const limpid_model_options *, limpid_model **);
typedef limpid_status (*classify_fn)(const limpid_model *, const limpid_image_view *, size_t,
                                     const limpid_run_options *, float *, size_t);
typedef void (*free_fn)(limpid_model *);

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  CHECK(found != NULL);
  return found;
}

static void use(void *library) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  limpid_model *model = NULL;
  float p[3];
  CHECK(((load_fn)symbol(library, "limpid_model_load_file"))(getenv("COLOURS"), NULL, &model) == LIMPID_OK);
  CHECK(((classify_fn)symbol(library, "limpid_classify"))(model, &view, 1, NULL, p, 3) == LIMPID_OK);
  ((free_fn)symbol(library, "limpid_model_free"))(model);
}

/* Not opened unless asked for; where the host has it, its settings stay. */
static void share_openblas(void *library) {
  void *blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD);
  void (*set_threads)(int);
  int (*get_threads)(void);
  CHECK(blas == NULL);
  if (!(blas = dlopen("libopenblas.so.0", RTLD_NOW))) return;
  *(void **)&set_threads = symbol(blas, "openblas_set_num_threads");
  *(void **)&get_threads = symbol(blas, "openblas_get_num_threads");
  set_threads(2);
  setenv("LIMPID_KERNELS", "openblas", 1);
  use(library);
  CHECK(get_threads() == 2);
}

int main(int argc, char **argv) {
  struct sigaction before[NSIG], after;
  int number, status, round;
  pid_t child;
  void *library;
  CHECK(argc == 2);
  for (number = 1; number < NSIG; number++) sigaction(number, NULL, &before[number]);

  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  CHECK(library != NULL);
  use(library);
  for (number = 1; number < NSIG; number++) {
    if (sigaction(number, NULL, &after) != 0) continue;
    CHECK(after.sa_handler == before[number].sa_handler && after.sa_flags == before[number].sa_flags);
  }

  child = fork();
  if (child == 0) {
    use(library);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);

  for (round = 0; round < 3; round++) {
    dlclose(library);
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    use(library);
  }
  share_openblas(library);
  return 0;
}
