/* Hosts that forbid, change or end what a library takes for granted, each in a process of its own: system calls refused, or ending the
 * process (seccomp), before and after the library is loaded; no threads; no /proc; cores that come and go while it computes; another
 * rounding, and exceptions of arithmetic that end the process; many short-lived threads; an end in the middle of calls. The same bits.
 *   sandbox [CASE] */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_TRIED = 77, MAPS = 3, MOST = 96 };

static const char *const methods[MAPS] = {"grad-cam", "rise", "smooth-grad"};
static const limpid_parameter few[MAPS] = {{"sign", 1}, {"masks", 32}, {"samples", 4}};
static unsigned char pixels[32 * 32 * 3];
static limpid_image_view view; /* of them, the same for all threads */

struct found {
  float scores[3];
  float maps[MAPS][32 * 32];
};

static struct found use(const limpid_model *model, limpid_progress_fn progress) {
  struct found found;
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  memset(&found, 0, sizeof found);
  options.threads = 2;
  options.progress = progress;
  CHECK(limpid_classify(model, &view, 1, &options, found.scores, 3) == LIMPID_OK);
  for (int i = 0; i < MAPS; i++) {
    limpid_explanation *why = NULL;
    options.parameters = &few[i];
    options.parameter_count = 1;
    CHECK(limpid_explain(model, methods[i], &view, 1, NULL, 1, &options, &why) == LIMPID_OK);
    memcpy(found.maps[i], limpid_explanation_map(why, 0).values, sizeof found.maps[i]);
    limpid_explanation_free(why);
  }
  return found;
}

static struct found load_and_use(void) {
  limpid_model *model = load_colours();
  const struct found found = use(model, NULL);
  limpid_model_free(model);
  return found;
}

static int same(const struct found *a, const struct found *b) { return memcmp(a, b, sizeof *a) == 0; }

/* ---- System calls */

/* `listed` ones get `then`, the others `otherwise`. */
static int filter(const int *listed, size_t count, unsigned then, unsigned otherwise) {
  struct sock_filter program[MOST + 4];
  struct sock_fprog all = {0, program};
  CHECK(count <= MOST);
  program[all.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < count; i++) {
    program[all.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)listed[i], (unsigned char)(count - i), 0);
  }
  program[all.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
  program[all.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, then);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 0;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0) == 0;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const int dispensable[] = {
    SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_clone, SYS_clone3, SYS_madvise, SYS_sysinfo, SYS_prlimit64, SYS_getrlimit,
    SYS_getrandom, SYS_sched_yield, SYS_membarrier, SYS_rseq, SYS_memfd_create, SYS_uname, SYS_getcpu,
};

static int refused_from_the_start(void) {
  char *words[] = {"/proc/self/exe", "limited", NULL};
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0 || !filter(dispensable, COUNT(dispensable), SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW)) return NOT_TRIED;
  path[length] = 0;
  execv(path, words);
  return NOT_TRIED;
}

static int limited(void) {
  const struct found a = load_and_use(), b = load_and_use();
  return !same(&a, &b);
}

/* A renderer of a browser: what is not needed to compute ends the process. */
static int killed_for_others(void) {
  static const int needed[] = {
      SYS_read, SYS_write, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_brk, SYS_futex, SYS_exit_group, SYS_exit, SYS_clock_gettime,
      SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_gettid, SYS_getpid, SYS_madvise, SYS_mremap, SYS_sched_yield, SYS_sched_getaffinity,
      SYS_tgkill, SYS_close,
  };
  limpid_model *model = load_colours();
  const struct found a = use(model, NULL);
  struct found b;
  if (!filter(needed, COUNT(needed), SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS)) return NOT_TRIED;
  b = use(model, NULL);
  limpid_model_free(model);
  return !same(&a, &b);
}

/* A sandbox that lets nothing be opened, nor memory be made executable: a status for files, the rest as before. */
static int nothing_opened(void) {
  static const int openers[] = {SYS_openat, SYS_openat2, SYS_socket, SYS_execve, SYS_clone, SYS_clone3, SYS_pipe2};
  limpid_model *model = load_colours(), *none = NULL;
  limpid_image *image = NULL;
  const struct found a = use(model, NULL);
  struct found b;
  if (!filter(openers, COUNT(openers), SECCOMP_RET_ERRNO | EACCES, SECCOMP_RET_ALLOW)) return NOT_TRIED;
  b = use(model, NULL);
  FAILS(LIMPID_ERROR_IO, "colours", limpid_model_load_file(getenv("COLOURS"), NULL, &none));
  FAILS(LIMPID_ERROR_IO, "image.png", limpid_image_load_file("image.png", &image));
  limpid_model_free(model);
  return !same(&a, &b);
}

/* No thread can be begun. (A limit of processes does not bind root.) */
static int no_threads(void) {
  static const int starters[] = {SYS_clone, SYS_clone3};
  struct found a, b;
  if (!filter(starters, COUNT(starters), SECCOMP_RET_ERRNO | EAGAIN, SECCOMP_RET_ALLOW)) return NOT_TRIED;
  a = load_and_use();
  b = load_and_use();
  return !same(&a, &b);
}

static int no_proc(void) {
  struct found a, b;
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return NOT_TRIED;
  a = load_and_use();
  if (mount("none", "/proc", "tmpfs", 0, NULL) != 0 || mount("none", "/sys", "tmpfs", 0, NULL) != 0) return NOT_TRIED;
  CHECK(access("/proc/self", F_OK) != 0);
  b = load_and_use();
  return !same(&a, &b);
}

/* ---- Cores */

static volatile int is_over;

static void *move_about(void *unused) {
  cpu_set_t all, one;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
  for (int i = 0; !is_over; i++) {
    CPU_ZERO(&one);
    for (int core = 0, k = 0; core < CPU_SETSIZE; core++) {
      if (CPU_ISSET(core, &all) && k++ == i % CPU_COUNT(&all)) CPU_SET(core, &one);
    }
    sched_setaffinity(getpid(), sizeof one, i % 3 == 2 ? &all : &one);
    usleep(500);
  }
  return unused;
}

static int other_cores(void) {
  pthread_t mover;
  const struct found a = load_and_use();
  int differ = 0;
  CHECK(pthread_create(&mover, NULL, move_about, NULL) == 0);
  for (int i = 0; i < 30; i++) {
    const struct found b = load_and_use();
    differ |= !same(&a, &b);
  }
  is_over = 1;
  pthread_join(mover, NULL);
  return differ;
}

/* ---- Arithmetic */

static int as_host_set;

/* The host's callbacks round as it does. */
static int32_t look(void *user, uint64_t done, uint64_t total) {
  (void)user, (void)done, (void)total;
  as_host_set &= fegetround() == FE_UPWARD;
  return 0;
}

static int other_arithmetic(void) {
  const struct found a = load_and_use();
  limpid_model *model = load_colours();
  struct found b;
  feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW | FE_INEXACT);
  b = load_and_use();
  CHECK(fegetexcept() == (FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_UNDERFLOW | FE_INEXACT));
  CHECK(same(&a, &b));
  fedisableexcept(FE_ALL_EXCEPT);
  fesetround(FE_UPWARD);
  b = load_and_use();
  CHECK(fegetround() == FE_UPWARD && same(&a, &b));
  as_host_set = 1;
  b = use(model, look);
  CHECK(as_host_set && fegetround() == FE_UPWARD && same(&a, &b));
#ifdef __x86_64__
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); /* what is not normal is 0 */
  b = load_and_use();
  CHECK((__builtin_ia32_stmxcsr() & 0x8040) == 0x8040 && same(&a, &b));
#endif
  limpid_model_free(model);
  return 0;
}

/* ---- Threads and ends */

static struct found expected;

static void *one_call(void *model) {
  const struct found found = use(model, NULL);
  CHECK(same(&found, &expected));
  return NULL;
}

static long resident(void) {
  long size = 0, pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2) pages = 0;
  if (file) fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

/* As an addon has them, whose workers come and go: nothing stays of a thread. */
static int short_lived_threads(void) {
  limpid_model *model = load_colours();
  long before = 0;
  expected = use(model, NULL);
  for (int i = 0; i < 600; i++) {
    pthread_t threads[4];
    for (int k = 0; k < 4; k++) CHECK(pthread_create(&threads[k], NULL, one_call, model) == 0);
    for (int k = 0; k < 4; k++) CHECK(pthread_join(threads[k], NULL) == 0);
    if (i == 100) before = resident();
  }
  CHECK(resident() < before + (8 << 20));
  limpid_model_free(model);
  return 0;
}

static void *call_on(void *model) {
  for (;;) use(model, NULL);
  return NULL;
}

/* The program ends, with what it does at its end, while others compute. */
static int end_in_calls(void) {
  limpid_model *model = load_colours();
  pthread_t thread;
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread, NULL, call_on, model) == 0);
  usleep((unsigned)(getpid() % 40) * 1000);
  exit(0);
}

static int ends_in_calls(void) {
  for (int i = 0; i < 40; i++) {
    int status;
    const pid_t child = fork();
    if (child == 0) end_in_calls();
    CHECK(waitpid(child, &status, 0) == child);
    if (status) return 1;
  }
  return 0;
}

static const struct {
  const char *name;
  int (*run)(void);
  int times; /* more than one where a fault is one by chance: what a refused call leaves unwritten differs from process to process */
} cases[] = {
    {"system calls refused from the start", refused_from_the_start, 8}, {"other system calls end the process", killed_for_others, 1},
    {"nothing can be opened", nothing_opened, 1}, {"no threads", no_threads, 1}, {"no /proc", no_proc, 1},
    {"cores that come and go", other_cores, 1}, {"another arithmetic", other_arithmetic, 1}, {"short-lived threads", short_lived_threads, 1},
    {"an end in the middle of calls", ends_in_calls, 1},
};

int main(int argc, char **argv) {
  int bad = 0;
  view = quarter(pixels, 1);
  if (argc > 1 && !strcmp(argv[1], "limited")) return limited();
  for (size_t i = 0; i < COUNT(cases); i++) {
    int status = 0;
    if (argc > 1 && strcmp(argv[1], cases[i].name)) continue;
    for (int k = 0; k < cases[i].times && status == 0; k++) {
      const pid_t child = fork();
      if (child == 0) exit(cases[i].run());
      CHECK(waitpid(child, &status, 0) == child);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_TRIED) printf("--  %s: not tried, this system does not let it\n", cases[i].name);
    else if (status) {
      fprintf(stderr, "%s: %s %d\n", cases[i].name, WIFSIGNALED(status) ? "signal" : "exit",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      bad = 1;
    }
  }
  return bad;
}
