/* Put before a program (LD_PRELOAD), so that it stops, with all its threads, after each page that it writes into a file at some
 * place, as SQLite does: a test then looks at what is kept, and lets it go on (SIGCONT) or ends it, however the machine stalls. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

enum { PAGE = 4096 };
typedef ssize_t (*writer)(int, const void *, size_t, off64_t);

static ssize_t write_and_stop(const char *name, int file, const void *bytes, size_t size, off64_t place) {
  const ssize_t written = ((writer)dlsym(RTLD_NEXT, name))(file, bytes, size, place);
  if (size >= PAGE) raise(SIGSTOP);
  return written;
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t place) {
  return write_and_stop("pwrite64", file, bytes, size, place);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t place) {
  return write_and_stop("pwrite", file, bytes, size, place);
}
