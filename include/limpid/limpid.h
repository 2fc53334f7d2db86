/**
 * @file limpid.h
 * @brief Classify images and explain the decision.
 *
 * Rules that hold for every function:
 *  - A fallible function returns ::limpid_status and writes its result through its last
 *    parameter, only on success. ::limpid_last_error then describes a failure on this thread.
 *  - What a function hands out through a `**out` parameter is the caller's, and is given back to
 *    the matching `*_free`, which accepts NULL. Every other pointer that the library returns is
 *    borrowed from the object it was asked of, and lives as long as that object.
 *  - A function that takes `const limpid_model *` may run on any number of threads at once.
 *  - Text is UTF-8 and NUL-terminated; paths are bytes, passed to the system unchanged.
 *  - Callbacks run on the thread of the call that was given them, and never after it returns.
 *  - In an options struct, zero means the default and `struct_size` is `sizeof` the struct.
 *
 * A complete program, `why MODEL IMAGE OUT.png [PREPROCESSING]`: Grad-CAM of the class that a classifier sees in an
 * image, drawn over it. For plain exports PREPROCESSING is "imagenet", or what the network was trained with.
 * @code
 *   #include <limpid/limpid.h>
 *   #include <stdio.h>
 *
 *   static int fail(void) {
 *     fprintf(stderr, "%s\n", limpid_last_error());
 *     return 1;
 *   }
 *
 *   int main(int argc, char **argv) {
 *     limpid_model *model = NULL;
 *     limpid_image *image = NULL, *overlay = NULL;
 *     limpid_explanation *why = NULL;
 *     limpid_image_view view, drawn;
 *     limpid_model_options loading = LIMPID_MODEL_OPTIONS_INIT;
 *     limpid_render_options style = LIMPID_RENDER_OPTIONS_INIT;
 *     const char *label;
 *     int32_t found;
 *
 *     if (argc < 4) return 2;
 *     loading.preprocess = argc > 4 ? argv[4] : NULL;
 *     if (limpid_model_load_file(argv[1], &loading, &model)) return fail();
 *     if (limpid_image_load_file(argv[2], &image)) return fail();
 *     view = limpid_image_get_view(image);
 *     if (limpid_explain(model, "grad-cam", &view, 1, NULL, 1, NULL, &why)) return fail();
 *     found = limpid_explanation_class(why, 0);
 *     label = limpid_model_class_name(model, (size_t)found);
 *     printf("class %d %s\n", (int)found, label ? label : "");
 *     style.colormap = "turbo";
 *     if (limpid_explanation_render(why, 0, &view, &style, &overlay)) return fail();
 *     drawn = limpid_image_get_view(overlay);
 *     if (limpid_save_png(&drawn, argv[3])) return fail();
 *     limpid_image_free(overlay);
 *     limpid_explanation_free(why);
 *     limpid_image_free(image);
 *     limpid_model_free(model);
 *     return 0;
 *   }
 * @endcode
 */
#ifndef LIMPID_LIMPID_H
#define LIMPID_LIMPID_H

#include <stddef.h>
#include <stdint.h>

#define LIMPID_VERSION_MAJOR 0
#define LIMPID_VERSION_MINOR 2
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
  LIMPID_ERROR_INVALID_ARGUMENT = 1, /* NULL, wrong size, value out of range: the caller's mistake */
  LIMPID_ERROR_NOT_FOUND = 2,        /* no such file, method, parameter, layer, tensor, colour map */
  LIMPID_ERROR_IO = 3,               /* the system refused to read or write */
  LIMPID_ERROR_INVALID_MODEL = 4,    /* not ONNX, damaged, or contradicting itself */
  LIMPID_ERROR_INVALID_IMAGE = 5,    /* not PNG, JPEG or WebP, damaged, or truncated */
  LIMPID_ERROR_UNSUPPORTED = 6,      /* valid, but not done here: operator, type, size, newer struct */
  LIMPID_ERROR_BUFFER_TOO_SMALL = 7, /* `capacity` is less than the result */
  LIMPID_ERROR_CANCELLED = 8,        /* the progress callback asked to stop */
  LIMPID_ERROR_INTERNAL = 9,         /* a defect of the library */
  LIMPID_STATUS_MAX_ENUM = 0x7fffffff
} limpid_status;

/** The status as a word, "invalid model"; never NULL. */
LIMPID_API const char *limpid_status_name(limpid_status status);

/** What went wrong in this thread's last failed call: what, where, and what to do. Valid until the
    thread's next call; "" where nothing failed yet. Never NULL. */
LIMPID_API const char *limpid_last_error(void);

/* ---- Library -------------------------------------------------------------------------- */

typedef enum limpid_log_level {
  LIMPID_LOG_ERROR = 1,
  LIMPID_LOG_WARNING = 2,
  LIMPID_LOG_INFO = 3,
  LIMPID_LOG_DEBUG = 4,
  LIMPID_LOG_MAX_ENUM = 0x7fffffff
} limpid_log_level;

/** Receives one message; `user` is what was registered with it. May be called by any thread. */
typedef void (*limpid_log_fn)(void *user, limpid_log_level level, const char *message);

/** Told that `done` of `total` units of work are done, before every step of every run. Returns 0 to go
    on; anything else stops the call, which then returns ::LIMPID_ERROR_CANCELLED. */
typedef int32_t (*limpid_progress_fn)(void *user, uint64_t done, uint64_t total);

/** The version of the library that is loaded, "0.2.0". */
LIMPID_API const char *limpid_version(void);
/** The same as one number: major * 1000000 + minor * 1000 + patch. */
LIMPID_API uint32_t limpid_version_number(void);
/** Version, kernels chosen for this processor, and what the library was built with, in one line. */
LIMPID_API const char *limpid_build_info(void);
/** Sends messages up to `level` to `handler`; NULL (the start) keeps the library silent. */
LIMPID_API void limpid_set_log_handler(limpid_log_fn handler, void *user, limpid_log_level level);

/* ---- Images --------------------------------------------------------------------------- */

typedef enum limpid_pixel_format {
  LIMPID_PIXEL_RGB8 = 1,
  LIMPID_PIXEL_RGBA8 = 2, /* alpha is ignored, but by models that take it (limpid_model_info.image_alpha) */
  LIMPID_PIXEL_GRAY8 = 3,
  LIMPID_PIXEL_MODEL_F32 = 4, /* planar float32 [channels of the model, height, width], fed to it as it is */
  /* Samples of 16 bits in the processor's byte order. Models get all of their bits; drawn and in JPEG they are rounded to
     bytes. */
  LIMPID_PIXEL_GRAY16 = 5,
  LIMPID_PIXEL_RGB16 = 6,
  LIMPID_PIXEL_MAX_ENUM = 0x7fffffff
} limpid_pixel_format;

/** Pixels of the caller, or borrowed from a limpid_image. */
typedef struct limpid_image_view {
  const void *pixels;
  int64_t row_stride; /* bytes from one row to the next; 0 when rows touch */
  int32_t width;
  int32_t height;
  limpid_pixel_format format;
  int32_t reserved; /* 0 */
} limpid_image_view;

typedef struct limpid_bytes limpid_bytes;
typedef struct limpid_image limpid_image;

LIMPID_API const void *limpid_bytes_data(const limpid_bytes *bytes);
LIMPID_API size_t limpid_bytes_size(const limpid_bytes *bytes);
LIMPID_API void limpid_bytes_free(limpid_bytes *bytes);

/** Decodes a PNG, JPEG or WebP file to RGB, as Pillow's `Image.open(path).convert("RGB")` does: alpha is
    dropped, EXIF orientation and colour profiles are ignored. WebP needs libwebp.so.7 on the machine. */
LIMPID_API limpid_status limpid_image_load_file(const char *path, limpid_image **out);
LIMPID_API limpid_status limpid_image_load_memory(const void *data, size_t size, limpid_image **out);

/** What calls that read or encode images may be told. */
typedef struct limpid_image_options {
  size_t struct_size;
  /* 1: of gray PNG files of 16 bits the high byte is kept, as it always is of RGB of 16 bits. 0: they are cut off at 255,
     as by Pillow, and a warning is logged where that loses something. */
  int32_t high_byte;
  int32_t reserved;
  limpid_progress_fn progress; /* asked some dozen times a second whether to go on; NULL: nobody is */
  void *user;                  /* for `progress` */
  /* 16: gray and RGB PNG files of 16 bits are read as LIMPID_PIXEL_GRAY16 and LIMPID_PIXEL_RGB16, their alpha dropped. 0 and 8:
     everything as 8 bits. What a model wants is in limpid_model_info.image_bits. */
  int32_t bits;
  int32_t alpha; /* 1: LIMPID_PIXEL_RGBA8, opaque where the file has no alpha (limpid_model_info.image_alpha); not with 16 bits */
} limpid_image_options;

#define LIMPID_IMAGE_OPTIONS_INIT { sizeof(limpid_image_options), 0, 0, NULL, NULL, 0, 0 }

/** The same with options; NULL: as above. */
LIMPID_API limpid_status limpid_image_load_file_with(const char *path, const limpid_image_options *options,
                                                     limpid_image **out);
LIMPID_API limpid_status limpid_image_load_memory_with(const void *data, size_t size,
                                                       const limpid_image_options *options, limpid_image **out);
/** An all-zero view where `image` is NULL. */
LIMPID_API limpid_image_view limpid_image_get_view(const limpid_image *image);
LIMPID_API void limpid_image_free(limpid_image *image);

/* ---- Models --------------------------------------------------------------------------- */

/** A loaded ONNX model; never changes, so threads may share it. */
typedef struct limpid_model limpid_model;

/** A bound on the error of the logits, relative, against float64. The processor's fastest kernel that
    keeps the bound is used; where it has none but float32, all are float32: limpid_model_info.computed_precision.
    In bfloat16 both factors of products with known weights of many channels are rounded, in gradients too; sums are
    float32, and so is all else (docs/performance.md). Networks whose float32 is worse than 1e-5 may leave the bounds.
    On processors with AMX, FAST and BFLOAT16 ask the system to let this process use it (docs/robustness.md). */
typedef enum limpid_precision {
  LIMPID_PRECISION_DEFAULT = 0,  /* float32 */
  LIMPID_PRECISION_FLOAT32 = 1,  /* every product and sum in float32 */
  LIMPID_PRECISION_FAST = 2,     /* within 1e-4 */
  LIMPID_PRECISION_BFLOAT16 = 3, /* within 2e-2 */
  LIMPID_PRECISION_MAX_ENUM = 0x7fffffff
} limpid_precision;

typedef struct limpid_model_options {
  size_t struct_size;
  /* Bytes that one call may use, 0: the machine's memory. Images that are decoded, drawings and encoded files are bounded
     by the size of an image, and are outside of it (docs/robustness.md). */
  uint64_t memory_limit;
  int32_t threads;       /* 0: one per core that this process may use */
  limpid_precision precision;
  /* How images are prepared, in place of what the file says: "imagenet" (as torchvision does: shorter side 256, middle
     224), "imagenet-exact" (all of the image, 224 by 224), or steps as in docs/model-format.md, with semicolons
     between them. NULL: as the file says. */
  const char *preprocess;
  int32_t copy; /* 1: files are read into memory, and may become shorter or be gone afterwards */
  int32_t reserved;
  /* Asked while a model is read, and while what depends on its constants alone is computed, whether to go on. NULL: nobody
     is; what a load computes is bounded (docs/robustness.md). */
  limpid_progress_fn progress;
  void *user;
  int32_t refuse_links; /* 1: external data behind a symbolic link in the model's folder is refused, not followed */
  int32_t reserved_2;
} limpid_model_options;

#define LIMPID_MODEL_OPTIONS_INIT \
  { sizeof(limpid_model_options), 0, 0, LIMPID_PRECISION_DEFAULT, NULL, 0, 0, NULL, NULL, 0, 0 }

typedef struct limpid_model_info {
  size_t struct_size;
  const char *name;
  const char *family; /* "scouter", "tame", "lcam", "ca-stream", "lavise", "classifier" */
  size_t class_count; /* 0 where it depends on what is fed */
  size_t method_count;
  size_t layer_count;
  size_t input_count;
  size_t output_count;
  int32_t input_width; /* 0: any; likewise height and channels */
  int32_t input_height;
  int32_t input_channels;
  int32_t reserved;
  /* "logits", "log_probabilities", "probabilities" (classes that exclude each other),
     "independent_probabilities" (multi-label, or one unit), "values" (a regression); NULL where no output holds
     scores, or several could (limpid_run_options.output chooses) */
  const char *score_kind;
  const char *score_output; /* the name of that output; NULL likewise */
  const char *image_input;  /* the name of the input that an image goes to; NULL where it has none */
  const char *image_layout; /* "nchw", "nhwc", "chw", "hwc" or "nhw"; NULL likewise */
  limpid_precision precision;          /* as it was loaded; never DEFAULT */
  limpid_precision computed_precision; /* what that comes to on this processor: the same, or FLOAT32 */
  /* How image files are read for it (limpid_image_options), as its preprocessing says: `alpha` and `depth 16`. */
  int32_t image_alpha;
  int32_t image_bits; /* 8 or 16 */
} limpid_model_info;

#define LIMPID_MODEL_INFO_INIT \
  { sizeof(limpid_model_info), NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, \
    LIMPID_PRECISION_DEFAULT, LIMPID_PRECISION_DEFAULT, 0, 0 }

typedef struct limpid_method_info {
  size_t struct_size;
  const char *name;    /* "scouter", "tame", ...: what limpid_explain takes */
  const char *summary; /* one sentence */
  size_t parameter_count;
  const char *const *draws;          /* names of the draws that it reads */
  const char *const *draw_summaries; /* one sentence for each */
  size_t draw_count;
  int32_t taps_layers;   /* whether it reads limpid_run_options.layers; else layers are refused */
  int32_t draws_numbers; /* whether it reads limpid_run_options.seed; else a seed is refused */
} limpid_method_info;

#define LIMPID_METHOD_INFO_INIT { sizeof(limpid_method_info), NULL, NULL, 0, NULL, NULL, 0, 0, 0 }

typedef struct limpid_parameter_info {
  size_t struct_size;
  const char *name;
  const char *summary;
  double default_value; /* 0 for a choice; likewise minimum and maximum */
  double minimum;
  double maximum;
  const char *const *choices; /* the words that it can be; NULL for a number */
  size_t choice_count;        /* 0 for a number */
  const char *default_choice; /* NULL for a number */
  int32_t is_integer;         /* whether it is a whole number */
  int32_t reserved;
} limpid_parameter_info;

#define LIMPID_PARAMETER_INFO_INIT { sizeof(limpid_parameter_info), NULL, NULL, 0, 0, 0, NULL, 0, NULL, 0, 0 }

/** Numbered as in ONNX. Each element has a byte or more to itself, also where it has fewer bits: an integer then fills its byte,
    a floating-point number has its lowest bits, as in arrays of the Python package ml_dtypes. */
typedef enum limpid_element_type {
  LIMPID_FLOAT32 = 1,
  LIMPID_UINT8 = 2,
  LIMPID_INT8 = 3,
  LIMPID_UINT16 = 4,
  LIMPID_INT16 = 5,
  LIMPID_INT32 = 6,
  LIMPID_INT64 = 7,
  LIMPID_BOOL = 9,
  LIMPID_FLOAT16 = 10,
  LIMPID_FLOAT64 = 11,
  LIMPID_UINT32 = 12,
  LIMPID_UINT64 = 13,
  LIMPID_BFLOAT16 = 16,
  LIMPID_FLOAT8E4M3FN = 17,
  LIMPID_FLOAT8E4M3FNUZ = 18,
  LIMPID_FLOAT8E5M2 = 19,
  LIMPID_FLOAT8E5M2FNUZ = 20,
  LIMPID_UINT4 = 21,
  LIMPID_INT4 = 22,
  LIMPID_FLOAT4E2M1 = 23,
  LIMPID_FLOAT8E8M0 = 24,
  LIMPID_UINT2 = 25,
  LIMPID_INT2 = 26,
  LIMPID_ELEMENT_TYPE_MAX_ENUM = 0x7fffffff
} limpid_element_type;

/** What the file declares of an input or output. */
typedef struct limpid_value_info {
  size_t struct_size;
  const char *name;
  const int64_t *shape;            /* -1 where an extent is open */
  const char *const *extent_names; /* what the file calls an open extent, "batch"; NULL where it gives no name */
  size_t rank;
  limpid_element_type type;
  int32_t has_shape; /* 0 where the file declares none: then the rank is open as well */
} limpid_value_info;

#define LIMPID_VALUE_INFO_INIT { sizeof(limpid_value_info), NULL, NULL, NULL, 0, LIMPID_FLOAT32, 0 }

/** Loads an ONNX file; weights stay in a memory map of it, or of its external data, unless the options say `copy`. Where a
    mapped file becomes shorter, reading what is gone ends the process (SIGBUS): replace such files, do not rewrite them. */
LIMPID_API limpid_status limpid_model_load_file(const char *path, const limpid_model_options *options,
                                                limpid_model **out);
/** Loads an ONNX model from memory, which is copied once and may be freed after the call. */
LIMPID_API limpid_status limpid_model_load_memory(const void *data, size_t size,
                                                  const limpid_model_options *options,
                                                  limpid_model **out);
LIMPID_API void limpid_model_free(limpid_model *model);

/** The caller sets `out->struct_size`. */
LIMPID_API limpid_status limpid_model_get_info(const limpid_model *model, limpid_model_info *out);
/** The label of a class; NULL past the end or where the model has no labels. */
LIMPID_API const char *limpid_model_class_name(const limpid_model *model, size_t class_index);
/** How many classes `output` scores (NULL: the output that is found); 0 where that depends on what is fed.
    LIMPID_ERROR_INVALID_ARGUMENT, listing the outputs, where none holds scores, or several could. */
LIMPID_API limpid_status limpid_model_class_count(const limpid_model *model, const char *output, size_t *out);
/** A value that CAM methods may tap, best first; NULL past the end. */
LIMPID_API const char *limpid_model_layer_name(const limpid_model *model, size_t layer_index);
LIMPID_API const char *limpid_model_input_name(const limpid_model *model, size_t input_index);
LIMPID_API const char *limpid_model_output_name(const limpid_model *model, size_t output_index);
/** What the file declares of an input; LIMPID_ERROR_NOT_FOUND past the end. The caller sets `out->struct_size`. */
LIMPID_API limpid_status limpid_model_get_input(const limpid_model *model, size_t input_index,
                                                limpid_value_info *out);
LIMPID_API limpid_status limpid_model_get_output(const limpid_model *model, size_t output_index,
                                                 limpid_value_info *out);
/** The value of a metadata key of the file; NULL where it has none. */
LIMPID_API const char *limpid_model_metadata(const limpid_model *model, const char *key);
/** The methods that can explain this model, best first; LIMPID_ERROR_NOT_FOUND past the end.
    The caller sets `out->struct_size`. */
LIMPID_API limpid_status limpid_model_get_method(const limpid_model *model, size_t method_index,
                                                 limpid_method_info *out);
LIMPID_API limpid_status limpid_model_get_parameter(const limpid_model *model, const char *method,
                                                    size_t parameter_index,
                                                    limpid_parameter_info *out);

/* ---- Running -------------------------------------------------------------------------- */

typedef struct limpid_tensor_view {
  const char *name;
  const void *data; /* dense, in the ONNX order of axes */
  const int64_t *shape;
  size_t rank;
  limpid_element_type type;
  int32_t reserved; /* 0 */
} limpid_tensor_view;

typedef struct limpid_parameter {
  const char *name;
  double value;
} limpid_parameter;

/** A parameter that is one of several words. */
typedef struct limpid_choice {
  const char *name;
  const char *value;
} limpid_choice;

/** What the method does not read, by its limpid_method_info, is refused; so are parameters, choices, layers,
    draws and a seed in calls that run no method. */
typedef struct limpid_run_options {
  size_t struct_size;
  const limpid_parameter *parameters; /* of the explanation method: its numbers */
  size_t parameter_count;
  const char *layer; /* value that the method taps, before `layers`; NULL: none */
  uint64_t seed;     /* of the method's random numbers */
  limpid_progress_fn progress; /* NULL: none */
  void *user;                  /* for `progress` */
  int32_t threads;             /* 0: as the model was loaded */
  int32_t batch_size;          /* images that run at once; 0: the library chooses */
  const limpid_choice *choices; /* of the explanation method: its words */
  size_t choice_count;
  const limpid_tensor_view *draws; /* random draws and other arrays that the method reads, by name */
  size_t draw_count;
  const char *const *layers; /* values that the method taps; none: the model's first choice */
  size_t layer_count;
  const char *output; /* the output that holds the scores, of those that could; NULL: the one that is found */
  /* Inputs beside the image, by name: one row for all images, or a row for each. For calls that take images. */
  const limpid_tensor_view *feeds;
  size_t feed_count;
} limpid_run_options;

#define LIMPID_RUN_OPTIONS_INIT \
  { sizeof(limpid_run_options), NULL, 0, NULL, 0, NULL, NULL, 0, 0, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, 0 }

/** Stands for the class that the model predicts for the image. */
#define LIMPID_CLASS_PREDICTED (-1)

/** Writes [image_count, class_count] probabilities, image by image. `capacity` counts floats. Where the class count depends
    on what is fed, the shape that limpid_fetch gives of the score output tells it. */
LIMPID_API limpid_status limpid_classify(const limpid_model *model, const limpid_image_view *images,
                                         size_t image_count, const limpid_run_options *options,
                                         float *probabilities, size_t capacity);

/** Why the model sees these classes (or why not) in these images: one map for each. */
typedef struct limpid_explanation limpid_explanation;

typedef struct limpid_map_view {
  const float *values; /* row-major; NULL where there is no such map */
  int32_t width;
  int32_t height;
  float minimum; /* the range that rendering spreads over the colours; for some methods that of all classes */
  float maximum;
} limpid_map_view;

/**
 * Explains `classes_per_image` classes of each image.
 *
 * @param method         one of limpid_model_get_method; NULL: the model's first
 * @param class_indices  [image_count, classes_per_image], each a class or LIMPID_CLASS_PREDICTED;
 *                       NULL: the predicted class (classes_per_image is then 1)
 *
 * Explanation i is of image i / classes_per_image.
 */
LIMPID_API limpid_status limpid_explain(const limpid_model *model, const char *method,
                                        const limpid_image_view *images, size_t image_count,
                                        const int32_t *class_indices, size_t classes_per_image,
                                        const limpid_run_options *options, limpid_explanation **out);
LIMPID_API size_t limpid_explanation_count(const limpid_explanation *explanation);
/** The class that explanation `index` is of; -1 past the end, and where the model has no classes. */
LIMPID_API int32_t limpid_explanation_class(const limpid_explanation *explanation, size_t index);
/** The model's own score (logit) of that class, with its sign; NaN past the end. */
LIMPID_API float limpid_explanation_score(const limpid_explanation *explanation, size_t index);
/** 1 where the map says nothing, because it is constant but for rounding (1e-5 of its largest
    magnitude) or not finite; else 0. */
LIMPID_API int32_t limpid_explanation_is_degenerate(const limpid_explanation *explanation,
                                                    size_t index);
/** The map at the size of the image, in its place; what the model did not see (outside of a centre
    crop) has the minimum. Made at the first call. All zeros past the end, and where there is no memory for it: maps that
    were asked for stay as long as the explanation, and count against the model's `memory_limit` together; then
    ::limpid_last_error says so. */
LIMPID_API limpid_map_view limpid_explanation_map(const limpid_explanation *explanation, size_t index);
/** The same with a status, and a way to stop: of `options` the progress is read. */
LIMPID_API limpid_status limpid_explanation_map_with(const limpid_explanation *explanation, size_t index,
                                                     const limpid_run_options *options, limpid_map_view *out);
/** The map as the method produced it, covering what the model saw. */
LIMPID_API limpid_map_view limpid_explanation_grid(const limpid_explanation *explanation, size_t index);
/** The method that made the explanations; never NULL but for NULL. */
LIMPID_API const char *limpid_explanation_method(const limpid_explanation *explanation);
/** The seed of the method's random numbers; 0 where it draws none. */
LIMPID_API uint64_t limpid_explanation_seed(const limpid_explanation *explanation);
/** The name of parameter `parameter` of the method, in the order of limpid_model_get_parameter; NULL past the end.
    What was used comes in `*number` (NaN for a word) or `*word` (NULL for a number); both may be NULL. */
LIMPID_API const char *limpid_explanation_parameter(const limpid_explanation *explanation, size_t parameter,
                                                    double *number, const char **word);
/** How many named arrays the method gives beside the map of explanation `index`. */
LIMPID_API size_t limpid_explanation_detail_count(const limpid_explanation *explanation, size_t index);
/** Such an array; all zero past the end. */
LIMPID_API limpid_tensor_view limpid_explanation_detail(const limpid_explanation *explanation, size_t index,
                                                        size_t detail);

/** Which part of an image the model saw. */
typedef struct limpid_field {
  int32_t width; /* of the image; 0 where there is no such explanation */
  int32_t height;
  double x; /* what the model saw, in pixels of the image; may reach beyond it */
  double y;
  double seen_width;
  double seen_height;
} limpid_field;

/** The part of its image that explanation `index` is about, which its grid covers. */
LIMPID_API limpid_field limpid_explanation_field(const limpid_explanation *explanation, size_t index);
LIMPID_API void limpid_explanation_free(limpid_explanation *explanation);

/* ---- Named tensors: what ONNX users call inputs, outputs and intermediate values ------- */

typedef struct limpid_tensors limpid_tensors;

/** The named values for a batch of images, as limpid_classify would feed them. Outputs and
    intermediate values alike. */
LIMPID_API limpid_status limpid_fetch(const limpid_model *model, const limpid_image_view *images,
                                      size_t image_count, const char *const *names,
                                      size_t name_count, const limpid_run_options *options,
                                      limpid_tensors **out);
/** Runs the model, or the part of it between them, from the tensors `feeds` to the values `names`.
    No preprocessing. */
LIMPID_API limpid_status limpid_run(const limpid_model *model, const limpid_tensor_view *feeds,
                                    size_t feed_count, const char *const *names, size_t name_count,
                                    const limpid_run_options *options, limpid_tensors **out);
/** The gradients of sum(`target->data` * value `target->name`) by each of the values `names`, inputs or inner ones, in
    their shapes (reverse mode). `target->data` NULL stands for ones of whatever shape the value has. No preprocessing.
    LIMPID_ERROR_UNSUPPORTED, naming the node, where an operator between them has no known gradient. */
LIMPID_API limpid_status limpid_run_gradient(const limpid_model *model, const limpid_tensor_view *feeds,
                                             size_t feed_count, const limpid_tensor_view *target,
                                             const char *const *names, size_t name_count,
                                             const limpid_run_options *options, limpid_tensors **out);
/** The gradients of a score of each of `classes_per_image` classes of each image by the values `names`: inner values,
    modules of the exporting program ("layer4"), or "input". Tensor i is [image_count * classes_per_image, ...], image by
    image. Of `options` the choice "of" (logit, probability, log-probability) and the parameters "sign" and "versus" say what
    is differentiated, as for explanation methods. */
LIMPID_API limpid_status limpid_gradient(const limpid_model *model, const limpid_image_view *images,
                                         size_t image_count, const int32_t *class_indices,
                                         size_t classes_per_image, const char *const *names,
                                         size_t name_count, const limpid_run_options *options,
                                         limpid_tensors **out);
/** What is usual for a layer over many images, for methods that need to know it (iba): the tensors "mean", "std" and
    "active", [channels, rows, columns] each. Of `options` the layer is read; NULL: the model's own choice. */
LIMPID_API limpid_status limpid_estimate(const limpid_model *model, const limpid_image_view *images,
                                         size_t image_count, const limpid_run_options *options,
                                         limpid_tensors **out);
LIMPID_API size_t limpid_tensors_count(const limpid_tensors *tensors);
/** Tensor `index`, in the order of the names; all zero past the end. */
LIMPID_API limpid_tensor_view limpid_tensors_get(const limpid_tensors *tensors, size_t index);
LIMPID_API void limpid_tensors_free(limpid_tensors *tensors);

/* ---- Rendering ------------------------------------------------------------------------ */

typedef struct limpid_render_options {
  size_t struct_size;
  const char *colormap; /* NULL: the style's */
  const char *style;    /* NULL: "default"; "scouter" and "tame" draw as these papers' programs do */
  float opacity;        /* of the map over the image, above 0 to 1; 0: the style's */
  int32_t width;        /* 0: the size of the image, or of the map without one; likewise height */
  int32_t height;
  int32_t scale; /* every pixel of the image first becomes a square of so many; 0: 1 */
  const limpid_field *field; /* for limpid_render: what of the image the map covers; NULL: all of it */
  limpid_progress_fn progress; /* asked some dozen times a second whether to go on; NULL: nobody is */
  void *user;                  /* for `progress` */
} limpid_render_options;

#define LIMPID_RENDER_OPTIONS_INIT { sizeof(limpid_render_options), NULL, NULL, 0.0f, 0, 0, 0, NULL, NULL, NULL }

/** The names of the colour maps; NULL past the end. */
LIMPID_API const char *limpid_colormap_name(size_t index);

/** The image as the model sees it: resized and cropped, before it becomes numbers. */
LIMPID_API limpid_status limpid_model_preprocess(const limpid_model *model, const limpid_image_view *image,
                                                 limpid_image **out);
/** The same with a way to stop: of `options` the progress is read. */
LIMPID_API limpid_status limpid_model_preprocess_with(const limpid_model *model, const limpid_image_view *image,
                                                      const limpid_run_options *options, limpid_image **out);
/** Draws explanation `index` over the image that was explained, in its place: what the model did not see stays as
    it is. The styles of papers draw on the image as the model saw it. Without an image (NULL): the map alone. What drawing
    takes counts against the model's `memory_limit`. */
LIMPID_API limpid_status limpid_explanation_render(const limpid_explanation *explanation, size_t index,
                                                   const limpid_image_view *image,
                                                   const limpid_render_options *options, limpid_image **out);
/** Colours any map, over an image, around `options->field` of which it stays as it is, or alone (`image` NULL). */
LIMPID_API limpid_status limpid_render(const limpid_map_view *map, const limpid_image_view *image,
                                       const limpid_render_options *options, limpid_image **out);
/** A PNG file; of LIMPID_PIXEL_GRAY16 and LIMPID_PIXEL_RGB16 one of 16 bits. */
LIMPID_API limpid_status limpid_encode_png(const limpid_image_view *image, limpid_bytes **out);
LIMPID_API limpid_status limpid_save_png(const limpid_image_view *image, const char *path);
/** `quality`: 1 to 100, as libjpeg counts; 0: 85. Alpha is dropped. LIMPID_ERROR_UNSUPPORTED for a side above 65,500. */
LIMPID_API limpid_status limpid_encode_jpeg(const limpid_image_view *image, int32_t quality, limpid_bytes **out);
LIMPID_API limpid_status limpid_save_jpeg(const limpid_image_view *image, int32_t quality, const char *path);
LIMPID_API limpid_status limpid_encode_png_with(const limpid_image_view *image, const limpid_image_options *options,
                                                limpid_bytes **out);
LIMPID_API limpid_status limpid_encode_jpeg_with(const limpid_image_view *image, int32_t quality,
                                                 const limpid_image_options *options, limpid_bytes **out);

/** An explanation with the image that was explained, for limpid_report. */
typedef struct limpid_report_item {
  const char *name; /* what the page calls the image; NULL: "image 1" … Items of one name and the same pixels stand together */
  limpid_image_view image;
  const limpid_explanation *explanation;
  size_t index; /* which of them */
} limpid_report_item;

/** One page of HTML that needs nothing but itself (docs/reports.md): images, what the model sees in them, and the maps of
    any methods and classes beside them. Sizes in `options` do not count. Every image is classified once. */
LIMPID_API limpid_status limpid_report(const limpid_model *model, const limpid_report_item *items, size_t count,
                                       const limpid_render_options *options, limpid_bytes **out);

/* ---- Measuring explanations ------------------------------------------------------------ */

/** What a metric found: one number for each map, or image. */
typedef struct limpid_measurement limpid_measurement;

typedef struct limpid_metric_info {
  size_t struct_size;
  const char *name;    /* "insertion", "pointing-game", ...: what limpid_measure takes */
  const char *summary; /* one sentence: what the number means, and whether more is better */
  size_t parameter_count;
  const char *const *draws;          /* names of the draws, labels and other arrays that it reads */
  const char *const *draw_summaries; /* one sentence for each */
  size_t draw_count;
  const char *maps; /* what of explanations it reads: "grid", "map" (at the size of the image), "attribution"
                       (every colour's), "scores" (of classes, where there is no model), "none" */
  int32_t needs_model;
  int32_t needs_method;  /* whether it explains changed images, by limpid_measure_options.method */
  int32_t draws_numbers; /* whether it reads limpid_run_options.seed */
  int32_t reserved;
  const char *better; /* which values are the good ones: "more", "less", or "neither", where that depends on its parameters
                         or on what is measured */
} limpid_metric_info;

#define LIMPID_METRIC_INFO_INIT { sizeof(limpid_metric_info), NULL, NULL, 0, NULL, NULL, 0, NULL, 0, 0, 0, 0, NULL }

typedef struct limpid_measure_options {
  size_t struct_size;
  const limpid_run_options *run; /* parameters, draws and seed of the metric, progress, threads; NULL: none */
  const char *method; /* for a metric that needs one: one of limpid_model_get_method; NULL: the model's first */
  const limpid_run_options *method_options; /* of that method: parameters, choices, draws, layers, seed; the rest is in `run`; NULL: none */
} limpid_measure_options;

#define LIMPID_MEASURE_OPTIONS_INIT { sizeof(limpid_measure_options), NULL, NULL, NULL }

/** The metrics; LIMPID_ERROR_NOT_FOUND past the end. The caller sets `out->struct_size`. */
LIMPID_API limpid_status limpid_get_metric(size_t index, limpid_metric_info *out);
LIMPID_API limpid_status limpid_metric_get_parameter(const char *metric, size_t parameter_index,
                                                     limpid_parameter_info *out);

/**
 * Measures explanations of images.
 *
 * @param model          NULL, with no images, where the metric needs none
 * @param maps           [image_count * classes_per_image, height, width], over what the model saw; or
 *                       [..., channels, height, width]; NULL where the metric reads none
 * @param class_indices  [image_count, classes_per_image], the classes that the maps are of (without images: as many as
 *                       maps), or what is true for metrics of a classifier; NULL: what the model predicts
 */
LIMPID_API limpid_status limpid_measure(const limpid_model *model, const char *metric,
                                        const limpid_image_view *images, size_t image_count,
                                        const limpid_tensor_view *maps, const int32_t *class_indices,
                                        size_t classes_per_image, const limpid_measure_options *options,
                                        limpid_measurement **out);
/** float64 [maps]; NaN where the number is undefined. */
LIMPID_API limpid_tensor_view limpid_measurement_values(const limpid_measurement *measurement);
/** The mean over the maps, as the metric averages; NaN where nothing is defined. */
LIMPID_API double limpid_measurement_mean(const limpid_measurement *measurement);
/** float64 [maps, points]; all zero where the metric draws no curve. */
LIMPID_API limpid_tensor_view limpid_measurement_curve(const limpid_measurement *measurement);
/** Array `index` that the metric gives beside its values; all zero past the end. */
LIMPID_API limpid_tensor_view limpid_measurement_detail(const limpid_measurement *measurement, size_t index);
/** What was used for parameter `index`, as limpid_explanation_parameter. */
LIMPID_API const char *limpid_measurement_parameter(const limpid_measurement *measurement, size_t index,
                                                    double *number, const char **word);
/** The seed of the metric's random numbers; 0 where it draws none. */
LIMPID_API uint64_t limpid_measurement_seed(const limpid_measurement *measurement);
LIMPID_API void limpid_measurement_free(limpid_measurement *measurement);

/* ---- Evaluating over data sets --------------------------------------------------------- */

/** Methods and metrics over a data set: what is done with each image, and what was found so far. It keeps what it needs of
    its model. Any threads may use it at once; what is summed up while records are added is what was found by then. */
typedef struct limpid_evaluation limpid_evaluation;

/** A method or a metric with its settings. */
typedef struct limpid_use {
  const char *name; /* as in limpid_model_get_method and limpid_get_metric; "rise@few" for another use of the same */
  const limpid_run_options *options; /* its parameters, layers, draws, seed; NULL: none */
} limpid_use;

typedef struct limpid_evaluation_options {
  size_t struct_size;
  const char *data;       /* a folder or a list; NULL: samples come by limpid_evaluation_add_sample */
  const char *data_name;  /* how results call it; NULL: its path */
  const char *format;     /* as in docs/evaluating.md; NULL: told by what lies there */
  const char *images;     /* where the images of lists and annotations lie; NULL: beside them */
  const char *class_file; /* names of the classes in their order, one a line; NULL: none */
  const char *split;      /* "test", "train", "all"; NULL: as suits the format */
  uint64_t first_classes; /* only images of so many classes; 0: of all */
  uint64_t limit;         /* only the first so many images; 0: all */
  uint64_t sample;        /* only so many images, drawn by `seed`; 0: all */
  uint64_t seed;          /* of `sample` and of the bootstrap */
  const limpid_use *methods;
  size_t method_count;
  const limpid_use *metrics;
  size_t metric_count;
  const char *explained; /* "predicted", "truth", "least", a class by its number or label; NULL: as suits the data set */
  const int32_t *class_table; /* in place of `explained`: for each true class the one to explain */
  size_t class_table_count;
  const limpid_run_options *run; /* of every run: output, feeds, threads, batch size; NULL: none */
  double confidence;             /* what intervals cover; 0: 0.95 */
  int64_t resamples;             /* of the bootstrap; 0: 1000; negative: no intervals */
  int32_t high_byte;             /* as in limpid_image_options, for all images */
  int32_t bits;                  /* likewise; 0: as the model says (limpid_model_info.image_bits) */
} limpid_evaluation_options;

#define LIMPID_EVALUATION_OPTIONS_INIT \
  { sizeof(limpid_evaluation_options), NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, 0, NULL, 0, NULL, NULL, 0, \
    NULL, 0, 0, 0, 0 }

/** Reads what the data set says; no image yet. Everything that can be wrong with the settings is said here. */
LIMPID_API limpid_status limpid_evaluation_create(const limpid_model *model, const limpid_evaluation_options *options,
                                                  limpid_evaluation **out);
/** Adds a sample whose file the caller has. `truth` is its class, -1 where that is not known; `boxes`, [box_count, 4], are
    x1, y1, x2, y2 of its objects in pixels, the latter two outside. Its index goes to `*index`, unless NULL. */
LIMPID_API limpid_status limpid_evaluation_add_sample(limpid_evaluation *evaluation, const char *name, int32_t truth,
                                                      const double *boxes, size_t box_count, size_t *index);
/** Before the sample is evaluated, and before a store is opened or the sample stamped: what each of its boxes is, in words ("dog"),
    `count` as many as it has boxes, for the metric "recall". */
LIMPID_API limpid_status limpid_evaluation_name_boxes(limpid_evaluation *evaluation, size_t index, const char *const *words,
                                                      size_t count);
/** A text that is another where the sample's file is another (its digest, or size and time), by which a store, whether it is
    opened before or afterwards, tells whether its record holds still. Without it a sample of the caller's is known by its name. */
LIMPID_API limpid_status limpid_evaluation_stamp_sample(limpid_evaluation *evaluation, size_t index, const char *stamp);
/** Gives the file of sample `index`: sets `*data` and `*size`, to bytes that stay until it is called again, or leaves them
    where the data set can read the file itself. Returns 0; anything else: the file cannot be had. */
typedef int32_t (*limpid_file_fn)(void *user, size_t index, const void **data, size_t *size);
/** Where the files of samples come from that the caller has, wherever one is read and not given: in limpid_evaluation_run,
    and for the images of the report. NULL: from nowhere. A file is read as the options say, but with all bits where
    limpid_evaluation_show_image gave the sample's image as one of 16 bits, also from within `files`. */
LIMPID_API limpid_status limpid_evaluation_set_files(limpid_evaluation *evaluation, limpid_file_fn files, void *user);
/** How many samples there are. */
LIMPID_API size_t limpid_evaluation_count(const limpid_evaluation *evaluation);
/** The file that the pixels of sample `index` are in; NULL past the end, and where the caller has it. */
LIMPID_API const char *limpid_evaluation_sample_path(limpid_evaluation *evaluation, size_t index);
/** 1 where sample `index` has a record that is not of a failure; else 0. */
LIMPID_API int32_t limpid_evaluation_is_done(const limpid_evaluation *evaluation, size_t index);
/** Keeps records in a file from now on, and takes those that it has: an evaluation that was stopped goes on. Refused
    where the file keeps records of other settings. LIMPID_ERROR_UNSUPPORTED where SQLite is not installed. */
LIMPID_API limpid_status limpid_evaluation_open_store(limpid_evaluation *evaluation, const char *path);
/** Evaluates every sample that has no record, or one of a failure. What was found until it fails, or is stopped, stays. Of
    `options` the progress is read. */
LIMPID_API limpid_status limpid_evaluation_run(limpid_evaluation *evaluation, const limpid_run_options *options);
/** The same with `workers` images at once, 1 to 1024, each on a thread of its own: the same records, and the same results.
    Let each run on one thread (`threads` of limpid_evaluation_options.run). Progress is told on the thread that calls; the
    caller's files are asked for on any of them, one at a time. */
LIMPID_API limpid_status limpid_evaluation_run_with(limpid_evaluation *evaluation, int32_t workers,
                                                    const limpid_run_options *options);
/** The record of sample `index`, to be added here or in another process: the same bytes wherever it is made, but for the
    times in it. What is wrong with the image becomes a record that says so. Of `options` the progress is read.

    @param data  the image's file, where the caller has it; NULL: the data set's own */
LIMPID_API limpid_status limpid_evaluation_evaluate(const limpid_evaluation *evaluation, size_t index, const void *data,
                                                    size_t size, const limpid_run_options *options, limpid_bytes **out);
/** The same of an image that the caller has in memory, as pixels: not as LIMPID_PIXEL_MODEL_F32. */
LIMPID_API limpid_status limpid_evaluation_evaluate_image(const limpid_evaluation *evaluation, size_t index,
                                                          const limpid_image_view *image, const limpid_run_options *options,
                                                          limpid_bytes **out);
/** The image of a sample that has a record already, out of a store, for the report: where no `files` are set, the report
    shows of the caller's images those that it was given here, or to be evaluated. It keeps a few of them at a time. */
LIMPID_API limpid_status limpid_evaluation_show_image(limpid_evaluation *evaluation, size_t index,
                                                      const limpid_image_view *image);
/** The record of a sample whose file the caller could not get, and why. */
LIMPID_API limpid_status limpid_evaluation_fail(const limpid_evaluation *evaluation, size_t index, const char *reason,
                                                limpid_bytes **out);
/** Takes a record down, in any order; refuses those of other settings. */
LIMPID_API limpid_status limpid_evaluation_add(limpid_evaluation *evaluation, const void *record, size_t size);
/** One of the documents that limpid_evaluation_write writes, by name: "results.json", "results.csv", "images.csv",
    "curves.csv", "timing.json", "report.html". */
LIMPID_API limpid_status limpid_evaluation_document(const limpid_evaluation *evaluation, const char *name,
                                                    limpid_bytes **out);
/** Writes all of them into a folder, which is made where it does not exist. */
LIMPID_API limpid_status limpid_evaluation_write(const limpid_evaluation *evaluation, const char *folder);
/** The same with a way to stop explaining the images that the report shows: it then has those until there, and says so. Of
    `options` the progress is read. */
LIMPID_API limpid_status limpid_evaluation_write_with(const limpid_evaluation *evaluation, const char *folder,
                                                      const limpid_run_options *options);
LIMPID_API void limpid_evaluation_free(limpid_evaluation *evaluation);

/* ---- Naming filters (LaViSE) ---------------------------------------------------------- */

/** What filters of a layer are called, and after which images. */
typedef struct limpid_filter_names limpid_filter_names;

/** Gives image `index` of a set that need not be in memory at once: fills `*view`, whose pixels must
    stay until the next image is asked for. An image may be asked for twice. Returns 0; anything else
    stops the call, which then returns ::LIMPID_ERROR_CANCELLED. */
typedef int32_t (*limpid_image_fn)(void *user, size_t index, limpid_image_view *view);

/**
 * Names filters of a model's target layer: of the images that excite a filter most, the words that are
 * nearest to what it sees in each, counted. Memory does not grow with the number of images.
 *
 * @param filters  NULL (and filter_count 0): every filter of the layer, in order
 * @param options  `parameters` are those of limpid_naming_get_parameter
 *
 * In the accessors `filter` counts the filters of this call. LIMPID_ERROR_UNSUPPORTED for models that
 * `limpid-convert lavise` did not make.
 */
LIMPID_API limpid_status limpid_name_filters(const limpid_model *model, const limpid_image_view *images,
                                             size_t image_count, const int32_t *filters,
                                             size_t filter_count, const limpid_run_options *options,
                                             limpid_filter_names **out);
/** The same of images that `source` gives one by one; `source_user` is for it. */
LIMPID_API limpid_status limpid_name_filters_from(const limpid_model *model, limpid_image_fn source,
                                                  void *source_user, size_t image_count,
                                                  const int32_t *filters, size_t filter_count,
                                                  const limpid_run_options *options,
                                                  limpid_filter_names **out);
/** limpid_estimate of images that `source` gives one by one. */
LIMPID_API limpid_status limpid_estimate_from(const limpid_model *model, limpid_image_fn source, void *source_user,
                                              size_t image_count, const limpid_run_options *options,
                                              limpid_tensors **out);
/** Keeps what `limpid_estimate` made of a layer in the file `path` (safetensors), beside what it has of other layers.
    NULL: `<model file>.statistics.safetensors`, where methods find it. LIMPID_ERROR_INVALID_ARGUMENT for NULL where the
    model was loaded from memory, and for a file that is of another model. */
LIMPID_API limpid_status limpid_store_statistics(const limpid_model *model, const limpid_tensors *statistics,
                                                 const char *path);
/** The parameters of naming; LIMPID_ERROR_NOT_FOUND past the end. The caller sets `out->struct_size`. */
LIMPID_API limpid_status limpid_naming_get_parameter(size_t parameter_index, limpid_parameter_info *out);
/** How many filters were named. */
LIMPID_API size_t limpid_filter_names_filter_count(const limpid_filter_names *names);
/** How many words a filter's name has. */
LIMPID_API size_t limpid_filter_names_count(const limpid_filter_names *names, size_t filter);
/** Word `rank` of a filter's name, most common first, and in `*score` (unless NULL) how many images it
    is a word of, weighted; NULL past the end. */
LIMPID_API const char *limpid_filter_names_word(const limpid_filter_names *names, size_t filter,
                                                size_t rank, float *score);
/** How many images a filter is named after; 0 where it is inactive, because no image excites it. */
LIMPID_API size_t limpid_filter_names_image_count(const limpid_filter_names *names, size_t filter);
/** Index of image `rank`, most exciting first, and in `*activation` (unless NULL) the filter's largest
    activation in it; -1 past the end. */
LIMPID_API int64_t limpid_filter_names_image(const limpid_filter_names *names, size_t filter, size_t rank,
                                             float *activation);
/** Word `word` for what the filter sees in image `rank`, nearest first, and in `*similarity` (unless
    NULL) its cosine; NULL past the end. */
LIMPID_API const char *limpid_filter_names_image_word(const limpid_filter_names *names, size_t filter,
                                                      size_t rank, size_t word, float *similarity);
/** What activations of the filter's region are above; NaN where the method needs no region. */
LIMPID_API double limpid_filter_names_threshold(const limpid_filter_names *names, size_t filter);
LIMPID_API void limpid_filter_names_free(limpid_filter_names *names);

/** The filter that the method "lavise" looked at; -1 for other methods and past the end. */
LIMPID_API int32_t limpid_explanation_filter(const limpid_explanation *explanation, size_t index);
/** Word `rank` for what that filter sees in the image, nearest first, and in `*similarity` (unless NULL)
    its cosine; NULL past the end, and at once where the filter is inactive in the image. */
LIMPID_API const char *limpid_explanation_word(const limpid_explanation *explanation, size_t index,
                                               size_t rank, float *similarity);

#ifdef __cplusplus
}
#endif

#endif /* LIMPID_LIMPID_H */
