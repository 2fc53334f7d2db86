/* What a host meets where the system refuses: in everything that it does with images and models, each allocation of FLOOR bytes
 * or more fails in turn, all from some one on, and each map, read, write, opening and renaming of a file and each start of a
 * thread. Everything must come to a status. Prints how much was tried.
 *   faults MODEL WIDTH HEIGHT [FLOOR]        the floor is 64 KiB */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limpid/limpid.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

/* What can be made to go wrong. Number `chosen` of `kind` since a step began fails, and where `lasts`, all after it. */
enum kind { NOTHING, ALLOCATION, MAP, READ, READ_INTERRUPTED, READ_SHORT, WRITE, WRITE_INTERRUPTED, WRITE_SHORT, OPEN, STATUS, RENAME, THREAD };
static enum kind kind;
static long seen, chosen, floor_size = 65536;
static int lasts;

static int fails(enum kind what, int error) {
  long number;
  if (what != kind) return 0;
  number = __sync_add_and_fetch(&seen, 1);
  if (lasts ? number < chosen : number != chosen) return 0;
  errno = error;
  return 1;
}

static int refused(size_t size) { return size >= (size_t)floor_size && fails(ALLOCATION, ENOMEM); }

void *malloc(size_t n) { return refused(n) ? NULL : __libc_malloc(n); }
void *calloc(size_t a, size_t b) { return refused(a * b) ? NULL : __libc_calloc(a, b); }
void *realloc(void *p, size_t n) { return refused(n) ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return refused(n) ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **out, size_t a, size_t n) {
  void *memory = refused(n) ? NULL : __libc_memalign(a, n);
  if (!memory) return ENOMEM;
  *out = memory;
  return 0;
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
  if (file >= 0 && fails(MAP, ENOMEM)) return MAP_FAILED;
  return (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}

ssize_t read(int file, void *to, size_t count) {
  if (fails(READ, EIO) || fails(READ_INTERRUPTED, EINTR)) return -1;
  if (count > 1 && fails(READ_SHORT, 0)) count = 1;
  return syscall(SYS_read, file, to, count);
}

ssize_t write(int file, const void *from, size_t count) {
  if (fails(WRITE, ENOSPC) || fails(WRITE_INTERRUPTED, EINTR)) return -1;
  if (count > 1 && fails(WRITE_SHORT, 0)) count = 1;
  return syscall(SYS_write, file, from, count);
}

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list rest;
    va_start(rest, flags);
    mode = (mode_t)va_arg(rest, int);
    va_end(rest);
  }
  return fails(OPEN, EMFILE) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int fstat(int file, struct stat *out) {
  return fails(STATUS, EIO) ? -1 : (int)syscall(SYS_fstat, file, out);
}

int rename(const char *from, const char *to) {
  return fails(RENAME, EIO) ? -1 : (int)syscall(SYS_rename, from, to);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
  static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (fails(THREAD, EAGAIN)) return EAGAIN;
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
  return real(thread, attributes, start, argument);
}

static const char *path, *method;
static limpid_image_view picture;
static limpid_bytes *png, *jpeg;
static limpid_model *model;
static limpid_explanation *why;

static limpid_status load_as(int32_t copy) {
  limpid_model_options options = LIMPID_MODEL_OPTIONS_INIT;
  limpid_model *made = NULL;
  limpid_status status;
  options.copy = copy;
  status = limpid_model_load_file(path, &options, &made);
  limpid_model_free(made);
  return status;
}

static limpid_status load(void) { return load_as(0); }
static limpid_status load_copy(void) { return load_as(1); }

static limpid_status decode(const limpid_bytes *file) {
  limpid_image *image = NULL;
  limpid_status status = limpid_image_load_memory(limpid_bytes_data(file), limpid_bytes_size(file), &image);
  limpid_image_free(image);
  return status;
}

static limpid_status decode_png(void) { return decode(png); }
static limpid_status decode_jpeg(void) { return decode(jpeg); }

static limpid_status read_file(void) {
  limpid_image *image = NULL;
  limpid_status status = limpid_image_load_file("faults.png", &image);
  limpid_image_free(image);
  return status;
}

static limpid_status classify(void) {
  float scores[4096];
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_model *made = NULL;
  limpid_status status = limpid_model_load_file(path, NULL, &made);
  options.threads = 2;
  if (!status) status = limpid_classify(made, &picture, 1, &options, scores, sizeof scores / sizeof *scores);
  limpid_model_free(made);
  return status;
}

/* Few of whatever a method has many of. */
static size_t few(limpid_parameter *found, size_t capacity) {
  static const char *const many[] = {"masks", "samples", "iterations", "steps", "places", "copies", "segments", "integration"};
  static const double number[] = {4, 4, 2, 2, 2, 2, 16, 2};
  limpid_parameter_info info = LIMPID_PARAMETER_INFO_INIT;
  size_t count = 0;
  for (size_t i = 0; count < capacity && !limpid_model_get_parameter(model, method, i, &info); i++) {
    for (size_t k = 0; k < sizeof many / sizeof *many; k++) {
      if (strcmp(info.name, many[k]) || info.choices || number[k] < info.minimum || number[k] > info.maximum) continue;
      found[count].name = info.name;
      found[count++].value = number[k];
    }
  }
  return count;
}

static limpid_status explain(void) {
  limpid_parameter parameters[16];
  limpid_run_options options = LIMPID_RUN_OPTIONS_INIT;
  limpid_explanation *made = NULL;
  limpid_status status;
  options.parameters = parameters;
  options.parameter_count = method ? few(parameters, 16) : 0;
  status = limpid_explain(model, method, &picture, 1, NULL, 1, &options, &made);
  limpid_explanation_free(made);
  return status;
}

static limpid_status map(void) {
  limpid_explanation *made = NULL;
  limpid_status status = limpid_explain(model, NULL, &picture, 1, NULL, 1, NULL, &made);
  if (!status && !limpid_explanation_map(made, 0).values) status = LIMPID_ERROR_UNSUPPORTED;
  limpid_explanation_free(made);
  return status;
}

static limpid_status gradient(void) {
  const char *input = "input";
  limpid_tensors *made = NULL;
  limpid_status status = limpid_gradient(model, &picture, 1, NULL, 1, &input, 1, NULL, &made);
  limpid_tensors_free(made);
  return status;
}

static limpid_status fetch(void) {
  const char *input = limpid_model_input_name(model, 0);
  limpid_tensors *made = NULL;
  limpid_status status = limpid_fetch(model, &picture, 1, &input, 1, NULL, &made);
  limpid_tensors_free(made);
  return status;
}

static limpid_status measure(void) {
  const limpid_map_view grid = limpid_explanation_grid(why, 0);
  const int64_t shape[] = {1, grid.height, grid.width};
  limpid_tensor_view maps = {0};
  limpid_measurement *made = NULL;
  limpid_status status;
  maps.data = grid.values;
  maps.shape = shape;
  maps.rank = 3;
  maps.type = LIMPID_FLOAT32;
  status = limpid_measure(model, "insertion", &picture, 1, &maps, NULL, 1, NULL, &made);
  limpid_measurement_free(made);
  return status;
}

static limpid_status report(void) {
  limpid_report_item item = {0};
  limpid_bytes *bytes = NULL;
  limpid_status status;
  item.image = picture;
  item.explanation = why;
  status = limpid_report(model, &item, 1, NULL, &bytes);
  limpid_bytes_free(bytes);
  return status;
}

static limpid_status render(const char *style, const limpid_image_view *over) {
  limpid_image *image = NULL;
  limpid_status status;
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  options.style = style;
  status = limpid_explanation_render(why, 0, over, &options, &image);
  limpid_image_free(image);
  return status;
}

static limpid_status render_default(void) { return render(NULL, &picture); }
static limpid_status render_scouter(void) { return render("scouter", &picture); }
static limpid_status render_tame(void) { return render("tame", &picture); }
static limpid_status render_alone(void) { return render(NULL, NULL); }

static limpid_status encode_png(void) {
  limpid_bytes *bytes = NULL;
  limpid_status status = limpid_encode_png(&picture, &bytes);
  limpid_bytes_free(bytes);
  return status;
}

static limpid_status encode_jpeg(void) {
  limpid_bytes *bytes = NULL;
  limpid_status status = limpid_encode_jpeg(&picture, 90, &bytes);
  limpid_bytes_free(bytes);
  return status;
}

static limpid_status save(void) { return limpid_save_png(&picture, "faults.png"); }
static limpid_status save_jpeg(void) { return limpid_save_jpeg(&picture, 90, "faults.jpg"); }

static const struct {
  const char *name;
  limpid_status (*run)(void);
} steps[] = {
    {"load", load},
    {"load a copy", load_copy},
    {"decode PNG", decode_png},
    {"decode JPEG", decode_jpeg},
    {"read", read_file},
    {"load and classify", classify},
    {"map", map},
    {"gradient", gradient},
    {"fetch", fetch},
    {"measure", measure},
    {"report", report},
    {"render", render_default},
    {"render scouter", render_scouter},
    {"render tame", render_tame},
    {"render alone", render_alone},
    {"encode PNG", encode_png},
    {"encode JPEG", encode_jpeg},
    {"save PNG", save},
    {"save JPEG", save_jpeg},
};

static int fail(const char *what) {
  fprintf(stderr, "%s (fault %d, number %ld%s): %s\n", what, (int)kind, chosen, lasts ? " and all after it" : "", limpid_last_error());
  return 1;
}

/* What a call may come to where the fault occurs. */
static int is_right(enum kind what, limpid_status status) {
  switch (what) {
    case ALLOCATION: return status == LIMPID_OK || status == LIMPID_ERROR_UNSUPPORTED;
    case READ_INTERRUPTED: case READ_SHORT: case WRITE_INTERRUPTED: case WRITE_SHORT: case THREAD: return status == LIMPID_OK;
    case OPEN: return status == LIMPID_OK || status == LIMPID_ERROR_IO;  /* where no file beside it can be made, it is written in place */
    default: return status == LIMPID_ERROR_IO;
  }
}

/* Each fault of a kind that a step can meet, one after the other. */
static int without(enum kind what, int lasting, const char *name, limpid_status (*run)(void), int *tried) {
  for (long n = 1;; n += 1 + n / 8) {
    limpid_status status;
    if (getenv("VERBOSE")) fprintf(stderr, "%s: fault %d, number %ld%s\n", name, (int)what, n, lasting ? " and all after it" : "");
    seen = 0;
    chosen = n;
    lasts = lasting;
    kind = what;
    status = run();
    kind = NOTHING;
    if (seen < n) return status ? fail(name) : 0;
    if (!is_right(what, status)) return fail(name);
    ++*tried;
  }
}

int main(int argc, char **argv) {
  static const char *const names[] = {"", "allocations", "maps of files", "reads", "interrupted reads", "short reads", "writes", "interrupted writes",
                                      "short writes", "openings", "sizes of files", "renamings", "starts of threads"};
  int tried[THREAD + 1] = {0}, lasting = 0;
  size_t calls = sizeof steps / sizeof *steps, methods = 0;
  limpid_method_info info = LIMPID_METHOD_INFO_INIT;
  unsigned char *pixels;
  if (argc < 4) return 2;
  path = argv[1];
  picture.width = atoi(argv[2]);
  picture.height = atoi(argv[3]);
  picture.format = LIMPID_PIXEL_RGB8;
  if (argc > 4) floor_size = atol(argv[4]);
  pixels = malloc((size_t)picture.width * picture.height * 3);
  if (!pixels) return 2;
  for (size_t i = 0; i < (size_t)picture.width * picture.height * 3; i++) pixels[i] = (unsigned char)(i * 2654435761u >> 13);
  picture.pixels = pixels;
  if (limpid_encode_png(&picture, &png) || limpid_encode_jpeg(&picture, 90, &jpeg)) return fail("encode");
  if (limpid_save_png(&picture, "faults.png")) return fail("save");
  if (limpid_model_load_file(path, NULL, &model)) return fail("load");
  /* The first call of the process that wants helpers: where none can be started it does without. */
  kind = THREAD;
  lasts = 1;
  chosen = 1;
  if (limpid_explain(model, NULL, &picture, 1, NULL, 1, NULL, &why)) return fail("explain without threads");
  kind = NOTHING;
  tried[THREAD] = (int)seen;
  limpid_explanation_free(why);
  if (limpid_explain(model, NULL, &picture, 1, NULL, 1, NULL, &why)) return fail("explain");

  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    for (enum kind what = ALLOCATION; what <= THREAD; what++) {
      if (without(what, 0, steps[i].name, steps[i].run, &tried[what])) return 1;
    }
    if (without(ALLOCATION, 1, steps[i].name, steps[i].run, &lasting)) return 1;
  }
  for (size_t i = 0; !limpid_model_get_method(model, i, &info); i++) {
    method = info.name;
    if (explain()) continue; /* wants arrays that this host has not */
    if (without(ALLOCATION, 0, info.name, explain, &tried[ALLOCATION]) || without(ALLOCATION, 1, info.name, explain, &lasting)) return 1;
    methods++;
  }
  if (limpid_save_png(&picture, "/dev/full") != LIMPID_ERROR_IO) return fail("a full disk");
  printf("%zu calls and %zu methods:", calls, methods);
  for (int what = ALLOCATION; what <= THREAD; what++) printf(" %d %s,", tried[what], names[what]);
  printf(" %d times all further allocations of %ld bytes or more, a full disk: each came to a status\n", lasting, floor_size);
  limpid_explanation_free(why);
  limpid_model_free(model);
  limpid_bytes_free(png);
  limpid_bytes_free(jpeg);
  free(pixels);
  return 0;
}
