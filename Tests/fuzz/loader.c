/* libFuzzer harness: a model from memory is loaded, planned and run, within 64 MiB. Twice, and what comes out must be
 * the same though new memory holds other bytes: results that nothing wrote, or that come from such, are findings.
 *
 * An input that is named "type@extents", like "1@2,3,8,8" (types as in limpid_element_type), is fed with a tensor of
 * that type and shape, so that a model file says by itself how it is to be run. With FUZZ_VERBOSE in the environment it
 * tells how each went. */
#include <limpid/limpid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = 8, MAX_RANK = 8, MAX_BYTES = 1 << 20 };

/* What new memory holds: scripts/fuzz links the library's only call of posix_memalign to this. */
static unsigned char fill;

int __real_posix_memalign(void **pointer, size_t alignment, size_t size);
int __wrap_posix_memalign(void **pointer, size_t alignment, size_t size);

int __wrap_posix_memalign(void **pointer, size_t alignment, size_t size) {
  const int status = __real_posix_memalign(pointer, alignment, size);
  /* Of large blocks the start, to be quick. */
  if (status == 0) memset(*pointer, fill, size < MAX_BYTES ? size : MAX_BYTES);
  return status;
}

static void hash(uint64_t *sum, const void *data, size_t size) {
  const unsigned char *bytes = data;
  size_t i;
  for (i = 0; i < size; i++) *sum = (*sum ^ bytes[i]) * 0x100000001B3u;
}

/* A little of everything that an element can be: zeros, small numbers, and all bits. */
static const unsigned char *noise(void) {
  static unsigned char bytes[MAX_BYTES];
  if (bytes[1] == 0) {
    uint32_t state = 1;
    size_t i;
    for (i = 0; i + 4 <= sizeof bytes; i += 4) {
      const float small = (float)(int32_t)(state = state * 1664525u + 1013904223u) / 1e9f;
      memcpy(bytes + i, &small, 4);
    }
    bytes[1] = 1;
  }
  return bytes;
}

static size_t element_bytes(long type) {
  switch (type) {
    case LIMPID_UINT8: case LIMPID_INT8: case LIMPID_BOOL: return 1;
    case LIMPID_UINT16: case LIMPID_INT16: case LIMPID_FLOAT16: case LIMPID_BFLOAT16: return 2;
    case LIMPID_INT64: case LIMPID_UINT64: case LIMPID_FLOAT64: return 8;
    default: return 4;
  }
}

/* 1 where `name` describes a tensor that is small enough to be fed. */
static int parse(const char *name, limpid_tensor_view *view, int64_t *shape) {
  char *end;
  const long type = strtol(name, &end, 10);
  double bytes = (double)element_bytes(type);
  memset(view, 0, sizeof *view);
  if (*end++ != '@') return 0;
  while (*end && view->rank < MAX_RANK) {
    const long long extent = strtoll(end, &end, 10);
    shape[view->rank++] = extent;
    bytes *= extent < 0 ? 0 : (double)extent;
    if (*end++ != ',') break;
  }
  view->name = name;
  view->type = (limpid_element_type)type;
  view->shape = shape;
  view->data = noise();
  return bytes <= MAX_BYTES;
}

static void hash_all(const limpid_tensors *tensors, uint64_t *sum) {
  size_t i, axis;
  for (i = 0; i < limpid_tensors_count(tensors); i++) {
    const limpid_tensor_view view = limpid_tensors_get(tensors, i);
    size_t bytes = element_bytes(view.type);
    for (axis = 0; axis < view.rank; axis++) bytes *= (size_t)view.shape[axis];
    hash(sum, view.shape, view.rank * sizeof *view.shape);
    hash(sum, view.data, bytes);
  }
}

/* The backward pass of each output by each input that is a floating-point tensor. */
static void differentiate(const limpid_model *model, const limpid_tensor_view *feeds, size_t feed_count,
                          const char *const *outputs, size_t output_count, uint64_t *sum) {
  size_t i, k;
  for (k = 0; k < output_count; k++) {
    for (i = 0; i < feed_count; i++) {
      limpid_tensor_view target;
      limpid_tensors *tensors = NULL;
      if (feeds[i].type != LIMPID_FLOAT32) continue;
      memset(&target, 0, sizeof target);
      target.name = outputs[k];
      if (limpid_run_gradient(model, feeds, feed_count, &target, &feeds[i].name, 1, NULL, &tensors) == LIMPID_OK)
        hash_all(tensors, sum);
      if (getenv("FUZZ_VERBOSE")) fprintf(stderr, "gradient: %s\n", tensors ? "ran" : limpid_last_error());
      limpid_tensors_free(tensors);
    }
  }
}

static void run(const limpid_model *model, uint64_t *sum) {
  limpid_tensor_view feeds[MAX_INPUTS];
  int64_t shapes[MAX_INPUTS][MAX_RANK];
  const char *names[4];
  const char *name;
  limpid_tensors *tensors = NULL;
  size_t feed_count = 0, name_count = 0;
  while (feed_count < MAX_INPUTS && (name = limpid_model_input_name(model, feed_count))) {
    if (!parse(name, &feeds[feed_count], shapes[feed_count])) return;
    feed_count++;
  }
  while (name_count < 4 && (name = limpid_model_output_name(model, name_count))) names[name_count++] = name;
  if (limpid_run(model, feeds, feed_count, names, name_count, NULL, &tensors) == LIMPID_OK) hash_all(tensors, sum);
  if (getenv("FUZZ_VERBOSE")) fprintf(stderr, "%s\n", tensors ? "ran" : limpid_last_error());
  limpid_tensors_free(tensors);
  differentiate(model, feeds, feed_count, names, name_count, sum);
}

static void explain(const limpid_model *model, uint64_t *sum) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  limpid_explanation *why = NULL;
  float p[64];
  memset(p, 0, sizeof p);
  if (limpid_classify(model, &view, 1, NULL, p, 64) == LIMPID_OK) hash(sum, p, sizeof p);
  if (limpid_explain(model, NULL, &view, 1, NULL, 1, NULL, &why) == LIMPID_OK) {
    const limpid_map_view map = limpid_explanation_map(why, 0);
    if (map.values) hash(sum, map.values, (size_t)map.width * map.height * sizeof *map.values);
  }
  limpid_explanation_free(why);
}

/* A number that depends on all results. */
static uint64_t results(const uint8_t *data, size_t size) {
  limpid_model_options options = LIMPID_MODEL_OPTIONS_INIT;
  limpid_model *model = NULL;
  uint64_t sum = 0xCBF29CE484222325u;
  options.memory_limit = 64 << 20;
  options.threads = 1;
  if (limpid_model_load_memory(data, size, &options, &model) != LIMPID_OK) {
    if (limpid_last_error()[0] == '\0') abort();
    if (getenv("FUZZ_VERBOSE")) fprintf(stderr, "not loaded: %s\n", limpid_last_error());
    return 0;
  }
  run(model, &sum);
  explain(model, &sum);
  limpid_model_free(model);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t first;
  fill = 0x00;
  first = results(data, size);
  fill = 0xB5; /* -1.3e-6 as a float */
  if (first != 0 && results(data, size) != first) {
    fprintf(stderr, "ERROR: the results depend on what new memory held\n");
    abort();
  }
  return 0;
}
