/**
 * @file limpid.h
 * @brief Classify images and explain the decision.
 *
 * Rules that hold for every function:
 *  - A fallible function returns ::limpid_status and writes its result through its last
 *    parameter, only on success. ::limpid_last_error then describes a failure on this thread.
 *  - What a `*_load_*`, `limpid_explain` or `limpid_render` call hands out is the caller's, and is
 *    given back to the matching `*_free`, which accepts NULL. Every other pointer that the
 *    library returns is borrowed from the object it was asked of.
 *  - A function that takes `const limpid_model *` may run on any number of threads at once.
 *  - Text is UTF-8 and NUL-terminated; paths are bytes, passed to the system unchanged.
 *  - Callbacks run on the thread of the call that was given them, and never after it returns.
 *  - In an options struct, zero means the default and `struct_size` is `sizeof` the struct.
 */
#ifndef LIMPID_LIMPID_H
#define LIMPID_LIMPID_H

#include <stddef.h>
#include <stdint.h>

#define LIMPID_VERSION_MAJOR 0
#define LIMPID_VERSION_MINOR 1
#define LIMPID_VERSION_PATCH 0

#ifndef LIMPID_API
#  if defined(__GNUC__)
#    define LIMPID_API __attribute__((visibility("default")))
#  else
#    define LIMPID_API
#  endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status --------------------------------------------------------------------------- */

typedef enum limpid_status {
  LIMPID_OK = 0,
  LIMPID_ERROR_INVALID_ARGUMENT = 1,
  LIMPID_ERROR_NOT_FOUND = 2,
  LIMPID_ERROR_IO = 3,
  LIMPID_ERROR_INVALID_MODEL = 4,
  LIMPID_ERROR_INVALID_IMAGE = 5,
  LIMPID_ERROR_UNSUPPORTED = 6,
  LIMPID_ERROR_BUFFER_TOO_SMALL = 7,
  LIMPID_ERROR_CANCELLED = 8,
  LIMPID_ERROR_INTERNAL = 9,
  LIMPID_STATUS_MAX_ENUM = 0x7fffffff
} limpid_status;

LIMPID_API const char *limpid_status_name(limpid_status status);
LIMPID_API const char *limpid_last_error(void);

/* ---- Library -------------------------------------------------------------------------- */

typedef enum limpid_log_level {
  LIMPID_LOG_ERROR = 1,
  LIMPID_LOG_WARNING = 2,
  LIMPID_LOG_INFO = 3,
  LIMPID_LOG_DEBUG = 4,
  LIMPID_LOG_MAX_ENUM = 0x7fffffff
} limpid_log_level;

typedef void (*limpid_log_fn)(void *user, limpid_log_level level, const char *message);
typedef int32_t (*limpid_progress_fn)(void *user, uint64_t done, uint64_t total);

LIMPID_API const char *limpid_version(void);
LIMPID_API uint32_t limpid_version_number(void);
LIMPID_API const char *limpid_build_info(void);
LIMPID_API void limpid_set_log_handler(limpid_log_fn handler, void *user, limpid_log_level level);

/* ---- Views and images ----------------------------------------------------------------- */

typedef enum limpid_pixel_format {
  LIMPID_PIXEL_RGB8 = 1,
  LIMPID_PIXEL_RGBA8 = 2,
  LIMPID_PIXEL_GRAY8 = 3,
  LIMPID_PIXEL_MODEL_F32 = 4, /* planar float32, already the size and scale of the model input */
  LIMPID_PIXEL_MAX_ENUM = 0x7fffffff
} limpid_pixel_format;

typedef struct limpid_image_view {
  const void *pixels;
  int64_t row_stride; /* bytes; 0 when rows touch */
  int32_t width;
  int32_t height;
  limpid_pixel_format format;
  int32_t reserved;
} limpid_image_view;

typedef struct limpid_map_view {
  const float *values; /* row-major */
  int32_t width;
  int32_t height;
  float minimum;
  float maximum;
} limpid_map_view;

typedef struct limpid_bytes limpid_bytes;
typedef struct limpid_image limpid_image;

LIMPID_API const void *limpid_bytes_data(const limpid_bytes *bytes);
LIMPID_API size_t limpid_bytes_size(const limpid_bytes *bytes);
LIMPID_API void limpid_bytes_free(limpid_bytes *bytes);

LIMPID_API limpid_status limpid_image_load_file(const char *path, limpid_image **out);
LIMPID_API limpid_status limpid_image_load_memory(const void *data, size_t size, limpid_image **out);
LIMPID_API limpid_image_view limpid_image_get_view(const limpid_image *image);
LIMPID_API void limpid_image_free(limpid_image *image);

/* ---- Models --------------------------------------------------------------------------- */

typedef struct limpid_model limpid_model;

typedef enum limpid_precision {
  LIMPID_PRECISION_DEFAULT = 0,  /* float32 */
  LIMPID_PRECISION_FLOAT32 = 1,  /* every product and sum in float32 */
  LIMPID_PRECISION_FAST = 2,     /* float32-grade: within 1e-4 of float64, relative, at the logits */
  LIMPID_PRECISION_BFLOAT16 = 3, /* bfloat16 products, float32 sums */
  LIMPID_PRECISION_MAX_ENUM = 0x7fffffff
} limpid_precision;

typedef struct limpid_model_options {
  size_t struct_size;
  uint64_t memory_limit; /* bytes that one call may use; 0: no limit */
  int32_t threads;       /* 0: one per core that this process may use */
  limpid_precision precision;
} limpid_model_options;

typedef struct limpid_model_info {
  size_t struct_size;
  const char *name;
  const char *family; /* "scouter", "tame", "ca-stream", "lavise", "classifier" */
  size_t class_count;
  size_t method_count;
  size_t layer_count;
  int32_t input_width;
  int32_t input_height;
  int32_t input_channels;
  int32_t reserved;
} limpid_model_info;

typedef struct limpid_method_info {
  size_t struct_size;
  const char *name;    /* "scouter", "rise", ...: what limpid_explain takes */
  const char *summary; /* one sentence */
  size_t parameter_count;
} limpid_method_info;

typedef struct limpid_parameter_info {
  size_t struct_size;
  const char *name;
  const char *summary;
  double default_value;
  double minimum;
  double maximum;
} limpid_parameter_info;

LIMPID_API limpid_status limpid_model_load_file(const char *path, const limpid_model_options *options,
                                       limpid_model **out);
LIMPID_API limpid_status limpid_model_load_memory(const void *data, size_t size,
                                         const limpid_model_options *options, limpid_model **out);
LIMPID_API void limpid_model_free(limpid_model *model);
LIMPID_API limpid_status limpid_model_get_info(const limpid_model *model, limpid_model_info *out);
LIMPID_API const char *limpid_model_class_name(const limpid_model *model, size_t class_index);
LIMPID_API const char *limpid_model_layer_name(const limpid_model *model, size_t layer_index);
LIMPID_API const char *limpid_model_metadata(const limpid_model *model, const char *key);
LIMPID_API limpid_status limpid_model_get_method(const limpid_model *model, size_t method_index,
                                        limpid_method_info *out);
LIMPID_API limpid_status limpid_model_get_parameter(const limpid_model *model, const char *method,
                                           size_t parameter_index, limpid_parameter_info *out);

/* ---- Running -------------------------------------------------------------------------- */

typedef struct limpid_parameter {
  const char *name;
  double value;
} limpid_parameter;

typedef struct limpid_run_options {
  size_t struct_size;
  const limpid_parameter *parameters;
  size_t parameter_count;
  const char *layer;
  uint64_t seed;
  limpid_progress_fn progress; /* non-zero cancels the call */
  void *user;
  int32_t threads;
  int32_t batch_size;
} limpid_run_options;

#define LIMPID_RUN_OPTIONS_INIT { sizeof(limpid_run_options), NULL, 0, NULL, 0, NULL, NULL, 0, 0 }
#define LIMPID_CLASS_PREDICTED (-1)

typedef struct limpid_explanation limpid_explanation;

LIMPID_API limpid_status limpid_classify(const limpid_model *model, const limpid_image_view *images,
                                size_t image_count, const limpid_run_options *options,
                                float *probabilities, size_t capacity);

LIMPID_API limpid_status limpid_explain(const limpid_model *model, const char *method,
                               const limpid_image_view *images, size_t image_count,
                               const int32_t *class_indices, const limpid_run_options *options,
                               limpid_explanation **out);
LIMPID_API size_t limpid_explanation_count(const limpid_explanation *explanation);
LIMPID_API int32_t limpid_explanation_class(const limpid_explanation *explanation, size_t index);
LIMPID_API float limpid_explanation_score(const limpid_explanation *explanation, size_t index);
LIMPID_API limpid_map_view limpid_explanation_map(const limpid_explanation *explanation, size_t index);
LIMPID_API limpid_map_view limpid_explanation_grid(const limpid_explanation *explanation, size_t index);
LIMPID_API void limpid_explanation_free(limpid_explanation *explanation);

/* ---- Named tensors: what ONNX users call outputs and intermediate values ----------------- */

typedef struct limpid_tensors limpid_tensors;

typedef struct limpid_tensor_view {
  const char *name;
  const float *values; /* dense, in the ONNX order of axes */
  const int64_t *shape;
  size_t rank;
} limpid_tensor_view;

LIMPID_API limpid_status limpid_fetch(const limpid_model *model, const limpid_image_view *images,
                                      size_t image_count, const char *const *names,
                                      size_t name_count, const limpid_run_options *options,
                                      limpid_tensors **out);
LIMPID_API size_t limpid_tensors_count(const limpid_tensors *tensors);
LIMPID_API limpid_tensor_view limpid_tensors_get(const limpid_tensors *tensors, size_t index);
LIMPID_API void limpid_tensors_free(limpid_tensors *tensors);

/* ---- Rendering ------------------------------------------------------------------------ */

typedef struct limpid_render_options {
  size_t struct_size;
  const char *colormap; /* NULL: "viridis" */
  float opacity;        /* of the map over the image; 0: the default */
  int32_t width;        /* 0: the size of the image, or of the map without one */
  int32_t height;
  int32_t reserved;
} limpid_render_options;

LIMPID_API limpid_status limpid_render(const limpid_map_view *map, const limpid_image_view *image,
                              const limpid_render_options *options, limpid_image **out);
LIMPID_API limpid_status limpid_encode_png(const limpid_image_view *image, limpid_bytes **out);
LIMPID_API limpid_status limpid_save_png(const limpid_image_view *image, const char *path);

/* ---- Metrics -------------------------------------------------------------------------- */

LIMPID_API size_t limpid_metric_count(void);
LIMPID_API const char *limpid_metric_name(size_t index);
LIMPID_API limpid_status limpid_evaluate(const limpid_model *model, const char *metric,
                                const limpid_image_view *images, const limpid_map_view *maps,
                                const int32_t *class_indices, size_t count,
                                const limpid_run_options *options, double *values);

/* ---- Naming filters (LaViSE) ---------------------------------------------------------- */

typedef struct limpid_filter_names limpid_filter_names;

LIMPID_API limpid_status limpid_name_filters(const limpid_model *model, const limpid_image_view *images,
                                    size_t image_count, const int32_t *filters,
                                    size_t filter_count, const limpid_run_options *options,
                                    limpid_filter_names **out);
LIMPID_API size_t limpid_filter_names_count(const limpid_filter_names *names, size_t filter);
LIMPID_API const char *limpid_filter_names_word(const limpid_filter_names *names, size_t filter,
                                          size_t rank, float *score);
LIMPID_API void limpid_filter_names_free(limpid_filter_names *names);

#ifdef __cplusplus
}
#endif

#endif /* LIMPID_LIMPID_H */
