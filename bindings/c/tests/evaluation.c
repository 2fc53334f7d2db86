/* Evaluating: samples that the caller has, records from several threads, added in any order, and what goes wrong. */
#include "check.h"

#include <pthread.h>

static const limpid_status invalid = LIMPID_ERROR_INVALID_ARGUMENT;

enum { SAMPLES = 6 };

static limpid_bytes *files[SAMPLES];

static limpid_evaluation *make(const limpid_model *model, const limpid_evaluation_options *options) {
  static const double boxes[] = {0, 0, 16, 16};
  limpid_evaluation *evaluation = NULL;
  size_t i, index = 99;
  CHECK(limpid_evaluation_create(model, options, &evaluation) == LIMPID_OK);
  for (i = 0; i < SAMPLES; i++) {
    char name[] = "image 0";
    name[6] = (char)('0' + i);
    CHECK(limpid_evaluation_add_sample(evaluation, name, (int32_t)(i % 3), boxes, 1, &index) == LIMPID_OK);
    CHECK(index == i);
  }
  CHECK(limpid_evaluation_count(evaluation) == SAMPLES && limpid_evaluation_sample_path(evaluation, 0) == NULL);
  return evaluation;
}

static limpid_bytes *record(const limpid_evaluation *evaluation, size_t i) {
  limpid_bytes *bytes = NULL;
  CHECK(limpid_evaluation_evaluate(evaluation, i, limpid_bytes_data(files[i]), limpid_bytes_size(files[i]), NULL, &bytes) ==
        LIMPID_OK);
  return bytes;
}

static void add(limpid_evaluation *evaluation, limpid_bytes *bytes) {
  CHECK(limpid_evaluation_add(evaluation, limpid_bytes_data(bytes), limpid_bytes_size(bytes)) == LIMPID_OK);
  limpid_bytes_free(bytes);
}

static limpid_bytes *document(const limpid_evaluation *evaluation, const char *name) {
  limpid_bytes *bytes = NULL;
  CHECK(limpid_evaluation_document(evaluation, name, &bytes) == LIMPID_OK);
  return bytes;
}

static int same(limpid_bytes *a, limpid_bytes *b) {
  int result = limpid_bytes_size(a) == limpid_bytes_size(b) &&
               memcmp(limpid_bytes_data(a), limpid_bytes_data(b), limpid_bytes_size(a)) == 0;
  limpid_bytes_free(a);
  limpid_bytes_free(b);
  return result;
}

/* Whether the bytes, which end in no NUL, have `words` in them. */
static int has(limpid_bytes *bytes, const char *words) {
  const char *data = limpid_bytes_data(bytes);
  size_t size = limpid_bytes_size(bytes), length = strlen(words), i;
  for (i = 0; i + length <= size; i++) {
    if (memcmp(data + i, words, length) == 0) return 1;
  }
  return 0;
}

struct job {
  const limpid_evaluation *evaluation;
  size_t first;
  limpid_bytes *records[SAMPLES / 2];
};

static void *work(void *argument) {
  struct job *job = argument;
  size_t i;
  for (i = 0; i < SAMPLES / 2; i++) job->records[i] = record(job->evaluation, job->first + i);
  return NULL;
}

static void test_records(const limpid_model *model, const limpid_evaluation_options *options) {
  limpid_evaluation *one = make(model, options), *two = make(model, options);
  struct job jobs[2];
  pthread_t threads[2];
  size_t i, k;
  for (i = 0; i < SAMPLES; i++) add(one, record(one, i));
  for (k = 0; k < 2; k++) {
    jobs[k].evaluation = two;
    jobs[k].first = k * SAMPLES / 2;
    CHECK(pthread_create(&threads[k], NULL, work, &jobs[k]) == 0);
  }
  for (k = 0; k < 2; k++) CHECK(pthread_join(threads[k], NULL) == 0);
  CHECK(limpid_evaluation_is_done(two, 0) == 0);
  for (k = 2; k-- > 0;) {
    for (i = SAMPLES / 2; i-- > 0;) add(two, jobs[k].records[i]);
  }
  CHECK(limpid_evaluation_is_done(two, 0) == 1 && limpid_evaluation_is_done(two, SAMPLES) == 0);
  CHECK(same(document(one, "results.json"), document(two, "results.json")));
  CHECK(same(document(one, "images.csv"), document(two, "images.csv")));
  limpid_evaluation_free(one);
  limpid_evaluation_free(two);
}

static int32_t give(void *user, size_t index, const void **data, size_t *size) {
  if (index == 2) return 1;
  *data = limpid_bytes_data(files[index]);
  *size = limpid_bytes_size(files[index]);
  ++*(int *)user;
  return 0;
}

static void test_files(const limpid_model *model, const limpid_evaluation_options *options) {
  limpid_evaluation *evaluation = make(model, options), *other = make(model, options);
  limpid_bytes *bytes;
  int given = 0;
  size_t i;
  CHECK(limpid_evaluation_set_files(evaluation, give, &given) == LIMPID_OK);
  CHECK(limpid_evaluation_run(evaluation, NULL) == LIMPID_OK && given == SAMPLES - 1);
  CHECK(!limpid_evaluation_is_done(evaluation, 2) && limpid_evaluation_is_done(evaluation, 3));
  CHECK(limpid_evaluation_fail(other, 2, "\"image 2\": the caller cannot give its file", &bytes) == LIMPID_OK);
  add(other, bytes);
  for (i = 0; i < SAMPLES; i++) {
    if (i != 2) add(other, record(other, i));
  }
  CHECK(same(document(evaluation, "results.json"), document(other, "results.json")));
  limpid_evaluation_free(evaluation);
  limpid_evaluation_free(other);
}

/* Files are asked for by several threads, but by one at a time. */
static void test_workers(const limpid_model *model, const limpid_evaluation_options *options) {
  limpid_evaluation *one = make(model, options), *many;
  int32_t workers;
  int given = 0;
  CHECK(limpid_evaluation_set_files(one, give, &given) == LIMPID_OK);
  CHECK(limpid_evaluation_run(one, NULL) == LIMPID_OK);
  for (workers = 2; workers <= 9; workers += 7) {
    many = make(model, options);
    given = 0;
    CHECK(limpid_evaluation_set_files(many, give, &given) == LIMPID_OK);
    CHECK(limpid_evaluation_run_with(many, workers, NULL) == LIMPID_OK && given == SAMPLES - 1);
    CHECK(same(document(one, "results.json"), document(many, "results.json")));
    CHECK(same(document(one, "images.csv"), document(many, "images.csv")));
    CHECK(same(document(one, "report.html"), document(many, "report.html")));
    limpid_evaluation_free(many);
  }
  FAILS(invalid, "0 workers", limpid_evaluation_run_with(one, 0, NULL));
  FAILS(invalid, "1025 workers", limpid_evaluation_run_with(one, 1025, NULL));
  FAILS(invalid, "evaluation is NULL", limpid_evaluation_run_with(NULL, 1, NULL));
  limpid_evaluation_free(one);
}

/* Images in memory: the records of their files, and the report shows them, though nobody can be asked for them again. */
static void test_images(const limpid_model *model, const limpid_evaluation_options *options) {
  limpid_evaluation *of_files = make(model, options), *of_images = make(model, options);
  limpid_bytes *bytes = NULL;
  limpid_image *image = NULL;
  limpid_image_view view, tensor;
  size_t i;
  for (i = 0; i < SAMPLES; i++) {
    add(of_files, record(of_files, i));
    CHECK(limpid_image_load_memory(limpid_bytes_data(files[i]), limpid_bytes_size(files[i]), &image) == LIMPID_OK);
    view = limpid_image_get_view(image);
    CHECK(limpid_evaluation_evaluate_image(of_images, i, &view, NULL, &bytes) == LIMPID_OK);
    add(of_images, bytes);
    CHECK(limpid_evaluation_show_image(of_images, i, &view) == LIMPID_OK);
    tensor = view;
    tensor.format = LIMPID_PIXEL_MODEL_F32;
    FAILS(LIMPID_ERROR_UNSUPPORTED, "for models only", limpid_evaluation_evaluate_image(of_images, i, &tensor, NULL, &bytes));
    FAILS(LIMPID_ERROR_NOT_FOUND, "no sample 6", limpid_evaluation_show_image(of_images, SAMPLES, &view));
    FAILS(LIMPID_ERROR_NOT_FOUND, "no sample 6", limpid_evaluation_evaluate_image(of_images, SAMPLES, &view, NULL, &bytes));
    limpid_image_free(image);
  }
  FAILS(invalid, "image is NULL", limpid_evaluation_evaluate_image(of_images, 0, NULL, NULL, &bytes));
  FAILS(invalid, "image is NULL", limpid_evaluation_show_image(of_images, 0, NULL));
  CHECK(same(document(of_files, "images.csv"), document(of_images, "images.csv")));
  bytes = document(of_images, "report.html");
  CHECK(has(bytes, "<article"));
  CHECK(same(document(of_files, "report.html"), bytes));
  limpid_evaluation_free(of_files);
  limpid_evaluation_free(of_images);
}

static void test_failures(const limpid_model *model, limpid_evaluation_options *options) {
  static const char *const words[] = {"dog", "traffic light"};
  limpid_evaluation *evaluation = make(model, options), *none = NULL;
  limpid_bytes *bytes = NULL;
  CHECK(limpid_evaluation_evaluate(evaluation, 0, "rubbish", 7, NULL, &bytes) == LIMPID_OK);
  CHECK(has(bytes, "neither a PNG, JPEG nor WebP"));
  add(evaluation, bytes);
  CHECK(limpid_evaluation_fail(evaluation, 1, "out of reach", &bytes) == LIMPID_OK);
  add(evaluation, bytes);
  CHECK(limpid_evaluation_is_done(evaluation, 1) == 0);
  bytes = document(evaluation, "results.json");
  CHECK(has(bytes, "out of reach"));
  limpid_bytes_free(bytes);
  bytes = NULL;

  FAILS(LIMPID_ERROR_NOT_FOUND, "no sample 6", limpid_evaluation_evaluate(evaluation, 6, NULL, 0, NULL, &bytes));
  FAILS(invalid, "no record", limpid_evaluation_add(evaluation, "{}", 2));
  FAILS(invalid, "JSON", limpid_evaluation_add(evaluation, "{", 1));
  FAILS(invalid, "record is NULL", limpid_evaluation_add(evaluation, NULL, 1));
  FAILS(LIMPID_ERROR_NOT_FOUND, "images.csv", limpid_evaluation_document(evaluation, "all", &bytes));
  FAILS(invalid, "no class 3", limpid_evaluation_add_sample(evaluation, "x", 3, NULL, 0, NULL));
  FAILS(invalid, "2 words for the 1 boxes", limpid_evaluation_name_boxes(evaluation, 0, words, 2));
  FAILS(invalid, "words is NULL", limpid_evaluation_name_boxes(evaluation, 0, NULL, 1));
  FAILS(LIMPID_ERROR_NOT_FOUND, "no sample 6", limpid_evaluation_name_boxes(evaluation, 6, words, 1));
  CHECK(limpid_evaluation_name_boxes(evaluation, 5, words, 1) == LIMPID_OK);
  FAILS(invalid, "stamp is NULL", limpid_evaluation_stamp_sample(evaluation, 0, NULL));
  FAILS(LIMPID_ERROR_NOT_FOUND, "no sample 6", limpid_evaluation_stamp_sample(evaluation, 6, "x"));
  FAILS(invalid, "evaluation is NULL", limpid_evaluation_run(NULL, NULL));
  FAILS(invalid, "evaluation is NULL", limpid_evaluation_write(NULL, "x"));
  FAILS(invalid, "folder is NULL", limpid_evaluation_write(evaluation, NULL));
  FAILS(LIMPID_ERROR_IO, "cannot open the store", limpid_evaluation_open_store(evaluation, "/no/such/store"));
  FAILS(invalid, "model is NULL", limpid_evaluation_create(NULL, options, &none));
  options->data = "/no/such/folder";
  FAILS(LIMPID_ERROR_NOT_FOUND, "/no/such/folder", limpid_evaluation_create(model, options, &none));
  options->data = NULL;
  options->methods = NULL;
  FAILS(invalid, "methods is NULL", limpid_evaluation_create(model, options, &none));
  CHECK(!none && !bytes && limpid_evaluation_count(NULL) == 0 && limpid_evaluation_is_done(NULL, 0) == 0);
  CHECK(limpid_evaluation_sample_path(NULL, 0) == NULL);
  limpid_evaluation_free(evaluation);
  limpid_evaluation_free(NULL);
}

int main(void) {
  static unsigned char pixels[32 * 32 * 3];
  limpid_model *model = load_colours();
  static const limpid_parameter masks = {"masks", 20};
  limpid_run_options rise = LIMPID_RUN_OPTIONS_INIT;
  limpid_use methods[2], metrics[3];
  limpid_evaluation_options options = LIMPID_EVALUATION_OPTIONS_INIT;
  int i;
  for (i = 0; i < SAMPLES; i++) {
    limpid_image_view view = quarter(pixels, i % 3);
    pixels[32 * 32 * 3 - 1 - i] = (unsigned char)(200 - i);
    CHECK(limpid_encode_png(&view, &files[i]) == LIMPID_OK);
  }
  rise.parameters = &masks;
  rise.parameter_count = 1;
  methods[0].name = "scouter";
  methods[0].options = NULL;
  methods[1].name = "rise@few";
  methods[1].options = &rise;
  metrics[0].name = "deletion";
  metrics[1].name = "precision";
  metrics[2].name = "confusion";
  metrics[0].options = metrics[1].options = metrics[2].options = NULL;
  options.methods = methods;
  options.method_count = 2;
  options.metrics = metrics;
  options.metric_count = 3;
  options.explained = "truth";
  options.resamples = 50;
  test_records(model, &options);
  test_files(model, &options);
  test_workers(model, &options);
  test_images(model, &options);
  test_failures(model, &options);
  for (i = 0; i < SAMPLES; i++) limpid_bytes_free(files[i]);
  limpid_model_free(model);
  return 0;
}
