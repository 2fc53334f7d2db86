/* Lets each allocation of 512 KiB or more fail in turn, and each map of a file, in everything that a host does with images and
 * models: each must come to a status. Writing to a full disk as well. Prints how much was tried.
 *   allocation MODEL WIDTH HEIGHT */
#define _GNU_SOURCE
#include <errno.h>
#include <limpid/limpid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

/* Less than that is what a small graph's own names and tables take, which Swift's containers hold; an image of 900x700 pixels
   takes more in every form. */
enum { LARGE = 524288 };

/* `seen` counts large allocations since a step began; number `chosen` fails. */
static long seen, chosen, maps_seen, map_chosen;

static int fails(size_t size) {
  if (size < LARGE || __sync_add_and_fetch(&seen, 1) != chosen) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t n) { return fails(n) ? NULL : __libc_malloc(n); }
void *calloc(size_t a, size_t b) { return fails(a * b) ? NULL : __libc_calloc(a, b); }
void *realloc(void *p, size_t n) { return fails(n) ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return fails(n) ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **out, size_t a, size_t n) {
  void *memory = fails(n) ? NULL : __libc_memalign(a, n);
  if (!memory) return ENOMEM;
  *out = memory;
  return 0;
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
  if (file >= 0 && __sync_add_and_fetch(&maps_seen, 1) == map_chosen) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}

static const char *path;
static limpid_image_view picture;
static limpid_bytes *png, *jpeg;
static limpid_model *model;
static limpid_explanation *why;

static limpid_status load(void) {
  limpid_model *made = NULL;
  limpid_status status = limpid_model_load_file(path, NULL, &made);
  limpid_model_free(made);
  return status;
}

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
  limpid_status status = limpid_image_load_file("allocation.png", &image);
  limpid_image_free(image);
  return status;
}

static limpid_status classify(void) {
  float scores[4096];
  limpid_model *made = NULL;
  limpid_status status = limpid_model_load_file(path, NULL, &made);
  if (!status) status = limpid_classify(made, &picture, 1, NULL, scores, sizeof scores / sizeof *scores);
  limpid_model_free(made);
  return status;
}

static limpid_status explain(void) {
  limpid_explanation *made = NULL;
  limpid_status status = limpid_explain(model, NULL, &picture, 1, NULL, 1, NULL, &made);
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

static limpid_status render(const char *style) {
  limpid_image *image = NULL;
  limpid_status status;
  limpid_render_options options = LIMPID_RENDER_OPTIONS_INIT;
  options.style = style;
  status = limpid_explanation_render(why, 0, &picture, &options, &image);
  limpid_image_free(image);
  return status;
}

static limpid_status render_default(void) { return render(NULL); }
static limpid_status render_scouter(void) { return render("scouter"); }
static limpid_status render_tame(void) { return render("tame"); }

static limpid_status render_alone(void) {
  limpid_image *image = NULL;
  limpid_status status = limpid_explanation_render(why, 0, NULL, NULL, &image);
  limpid_image_free(image);
  return status;
}

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

static limpid_status save(void) { return limpid_save_png(&picture, "allocation.png"); }

static const struct {
  const char *name;
  limpid_status (*run)(void);
} steps[] = {
    {"load", load},
    {"decode PNG", decode_png},
    {"decode JPEG", decode_jpeg},
    {"read", read_file},
    {"classify", classify},
    {"explain", explain},
    {"map", map},
    {"render", render_default},
    {"render scouter", render_scouter},
    {"render tame", render_tame},
    {"render alone", render_alone},
    {"encode PNG", encode_png},
    {"encode JPEG", encode_jpeg},
    {"save", save},
};

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, limpid_last_error());
  return 1;
}

/* Each large allocation of a step fails once. */
static int without_memory(size_t step, int *tried) {
  for (long n = 1;; n++) {
    limpid_status status;
    if (getenv("VERBOSE")) fprintf(stderr, "%s: allocation %ld\n", steps[step].name, n);
    seen = 0;
    chosen = n;
    status = steps[step].run();
    chosen = 0;
    if (seen < n) return status ? fail(steps[step].name) : 0;
    if (status == LIMPID_ERROR_INTERNAL) return fail(steps[step].name);
    ++*tried;
  }
}

/* Each map of a file of a step fails once. */
static int without_maps(size_t step, int *tried) {
  for (long n = 1;; n++) {
    limpid_status status;
    maps_seen = 0;
    map_chosen = n;
    status = steps[step].run();
    map_chosen = 0;
    if (maps_seen < n) return status ? fail(steps[step].name) : 0;
    if (status != LIMPID_ERROR_IO) return fail(steps[step].name);
    ++*tried;
  }
}

int main(int argc, char **argv) {
  const size_t count = sizeof steps / sizeof *steps;
  int allocations = 0, maps = 0;
  unsigned char *pixels;
  if (argc < 4) return 2;
  path = argv[1];
  picture.width = atoi(argv[2]);
  picture.height = atoi(argv[3]);
  picture.format = LIMPID_PIXEL_RGB8;
  pixels = malloc((size_t)picture.width * picture.height * 3);
  if (!pixels) return 2;
  for (size_t i = 0; i < (size_t)picture.width * picture.height * 3; i++) pixels[i] = (unsigned char)(i * 2654435761u >> 13);
  picture.pixels = pixels;
  if (limpid_encode_png(&picture, &png) || limpid_encode_jpeg(&picture, 90, &jpeg)) return fail("encode");
  if (limpid_save_png(&picture, "allocation.png")) return fail("save");
  if (limpid_model_load_file(path, NULL, &model)) return fail("load");
  if (limpid_explain(model, NULL, &picture, 1, NULL, 1, NULL, &why)) return fail("explain");

  for (size_t i = 0; i < count; i++) {
    if (without_memory(i, &allocations) || without_maps(i, &maps)) return 1;
  }
  if (limpid_save_png(&picture, "/dev/full") != LIMPID_ERROR_IO) return fail("a full disk");
  printf("%d allocations and %d maps of files failed, and a full disk, in %zu calls: each is a status\n", allocations, maps, count);
  limpid_explanation_free(why);
  limpid_model_free(model);
  limpid_bytes_free(png);
  limpid_bytes_free(jpeg);
  free(pixels);
  return 0;
}
