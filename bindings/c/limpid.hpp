/**
 * @file limpid.hpp
 * @brief limpid.h for C++11 and later: objects that free themselves, exceptions instead of statuses, strings and vectors.
 *
 * @code
 *   limpid::Model model("model.onnx");
 *   limpid::Image image("bird.jpg");
 *   limpid::Explanation why = model.explain(image, "grad-cam");
 *   std::cout << model.label(why.class_index(0)) << '\n';
 *   why.render(0, image).save_png("why.png");
 * @endcode
 *
 * Each class owns one handle of the C header; it can be moved, is empty when it is made without arguments, and goes
 * wherever the C functions take a handle. What there is no method for is made by the C function whose last parameter
 * gives the handle: `limpid::Tensors found(limpid_estimate, model, views, count, nullptr);`. An empty object has no labels
 * and a size of 0; what can fail throws an Error.
 *
 * With C++17 names may be std::filesystem::path; with C++20 there are views without a copy (std::span).
 */
#ifndef LIMPID_LIMPID_HPP
#define LIMPID_LIMPID_HPP

#include <limpid/limpid.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 202002L && defined(__has_include)
#  if __has_include(<span>)
#    include <span>
#    define LIMPID_HAS_SPAN 1
#  endif
#endif

namespace limpid {

/// A call that failed: its status, and as `what()` the text of limpid_last_error().
class Error : public std::runtime_error {
 public:
  explicit Error(limpid_status code) : std::runtime_error(limpid_last_error()), status(code) {}
  Error(limpid_status code, const std::string &message) : std::runtime_error(message), status(code) {}
  const limpid_status status;
};

/// Throws where `status` is not LIMPID_OK. To be called right after the call that gave it.
inline void check(limpid_status status) {
  if (status != LIMPID_OK) throw Error(status);
}

/// The owner of a `T` that `Free` gives back. Can be moved, not copied; empty by default.
template <typename T, void (*Free)(T *)>
class Owned {
 public:
  Owned() noexcept = default;
  /// Takes over an object that a C function gave.
  explicit Owned(T *object) noexcept : object_(object) {}
  /// Calls a C function whose last parameter gives the object.
  template <typename... Parameters, typename... Arguments>
  explicit Owned(limpid_status (*make)(Parameters...), Arguments &&...arguments) {
    T *made = nullptr;
    check(make(std::forward<Arguments>(arguments)..., &made));
    object_.reset(made);
  }
  operator const T *() const noexcept { return object_.get(); }
  T *get() const noexcept { return object_.get(); }
  bool empty() const noexcept { return !object_; }
  void reset() noexcept { object_.reset(); }
  /// The object, which is the caller's to free.
  T *release() noexcept { return object_.release(); }

 private:
  struct Deleter {
    void operator()(T *object) const noexcept { Free(object); }
  };
  std::unique_ptr<T, Deleter> object_;
};

namespace detail {

inline const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }
inline std::string or_empty(const char *text) { return text ? std::string(text) : std::string(); }

inline std::vector<const char *> pointers(const std::vector<std::string> &texts) {
  std::vector<const char *> found;
  for (const std::string &text : texts) found.push_back(text.c_str());
  return found;
}

template <typename Handle>
std::vector<std::string> names(const char *(*name)(const Handle *, std::size_t), const Handle *handle) {
  std::vector<std::string> found;
  while (const char *text = name(handle, found.size())) found.emplace_back(text);
  return found;
}

template <typename T>
struct ElementType;
template <>
struct ElementType<float> : std::integral_constant<limpid_element_type, LIMPID_FLOAT32> {};
template <>
struct ElementType<double> : std::integral_constant<limpid_element_type, LIMPID_FLOAT64> {};
template <>
struct ElementType<std::int64_t> : std::integral_constant<limpid_element_type, LIMPID_INT64> {};
template <>
struct ElementType<std::int32_t> : std::integral_constant<limpid_element_type, LIMPID_INT32> {};
template <>
struct ElementType<std::uint8_t> : std::integral_constant<limpid_element_type, LIMPID_UINT8> {};

}  // namespace detail

using Bytes = Owned<limpid_bytes, limpid_bytes_free>;

/// A tensor to be fed, or one that was found: a name, a shape, and numbers in the order of its axes.
class Tensor {
 public:
  /// Borrows `data`, which has to live as long as this is used.
  template <typename T>
  Tensor(std::string name, const T *data, std::vector<std::int64_t> shape)
      : name_(std::move(name)), shape_(std::move(shape)), data_(data), type_(detail::ElementType<T>::value) {}
  limpid_tensor_view view() const {
    return {name_.c_str(), data_, shape_.data(), shape_.size(), type_, 0};
  }

 private:
  std::string name_;
  std::vector<std::int64_t> shape_;
  const void *data_;
  limpid_element_type type_;
};

/// The numbers in a view of a tensor, which must be of type T; none of one past the end.
template <typename T>
std::vector<T> values(const limpid_tensor_view &view) {
  if (!view.data) return std::vector<T>();
  if (view.type != detail::ElementType<T>::value) {
    throw Error(LIMPID_ERROR_INVALID_ARGUMENT, "the tensor has numbers of another type");
  }
  std::size_t count = 1;
  for (std::size_t axis = 0; axis < view.rank; axis++) count *= static_cast<std::size_t>(view.shape[axis]);
  const T *first = static_cast<const T *>(view.data);
  return std::vector<T>(first, first + count);
}

/// The shape in a view of a tensor.
inline std::vector<std::int64_t> shape(const limpid_tensor_view &view) {
  return std::vector<std::int64_t>(view.shape, view.shape + view.rank);
}

/// Pixels of the program's: RGB8 unless said otherwise, rows that touch.
inline limpid_image_view pixels(const void *data, std::int32_t width, std::int32_t height,
                                limpid_pixel_format format = LIMPID_PIXEL_RGB8) {
  return {data, 0, width, height, format, 0};
}

/// Pixels that the library owns: of a file, or a drawing.
class Image : public Owned<limpid_image, limpid_image_free> {
 public:
  using Owned::Owned;
  Image() = default;
  /// Decodes a PNG, JPEG or WebP file.
  explicit Image(const std::string &path) : Owned(limpid_image_load_file, path.c_str()) {}
  explicit Image(const char *path) : Owned(limpid_image_load_file, path) {}
  Image(const std::string &path, const limpid_image_options &options)
      : Owned(limpid_image_load_file_with, path.c_str(), &options) {}
  /// Decodes the contents of such a file.
  static Image decode(const void *data, std::size_t size) { return Image(limpid_image_load_memory, data, size); }
  static Image decode(const void *data, std::size_t size, const limpid_image_options &options) {
    return Image(limpid_image_load_memory_with, data, size, &options);
  }

  limpid_image_view view() const { return limpid_image_get_view(*this); }
  std::int32_t width() const { return view().width; }
  std::int32_t height() const { return view().height; }
  std::vector<std::uint8_t> png() const {
    const limpid_image_view own = view();
    return copied(Bytes(limpid_encode_png, &own));
  }
  std::vector<std::uint8_t> jpeg(std::int32_t quality = 0) const {
    const limpid_image_view own = view();
    return copied(Bytes(limpid_encode_jpeg, &own, quality));
  }
  void save_png(const std::string &path) const {
    const limpid_image_view own = view();
    check(limpid_save_png(&own, path.c_str()));
  }
  void save_jpeg(const std::string &path, std::int32_t quality = 0) const {
    const limpid_image_view own = view();
    check(limpid_save_jpeg(&own, quality, path.c_str()));
  }

 private:
  static std::vector<std::uint8_t> copied(const Bytes &bytes) {
    const std::uint8_t *first = static_cast<const std::uint8_t *>(limpid_bytes_data(bytes));
    return std::vector<std::uint8_t>(first, first + limpid_bytes_size(bytes));
  }
};

/// One image or several, as arguments: an Image, a view, or a vector of views. Lives no longer than these.
class Images {
 public:
  Images(const Image &image) : one_(image.view()), many_(nullptr), count_(1) {}
  Images(const limpid_image_view &view) : one_(view), many_(nullptr), count_(1) {}
  Images(const std::vector<limpid_image_view> &views) : one_(), many_(views.data()), count_(views.size()) {}
  const limpid_image_view *data() const { return many_ ? many_ : &one_; }
  std::size_t size() const { return count_; }

 private:
  limpid_image_view one_;
  const limpid_image_view *many_;
  std::size_t count_;
};

/// Which classes are explained: none said, the predicted one of each image.
class Classes {
 public:
  Classes() = default;
  /// These of every image; LIMPID_CLASS_PREDICTED stands for the predicted one.
  Classes(std::initializer_list<std::int32_t> classes) : rows_{std::vector<std::int32_t>(classes)} {}
  Classes(std::vector<std::int32_t> classes) : rows_{std::move(classes)} {}
  /// A row for each image; all of one length.
  static Classes of_each_image(std::vector<std::vector<std::int32_t>> rows) {
    Classes found;
    found.rows_ = std::move(rows);
    found.are_of_each_ = true;
    return found;
  }
  /// How many there are of each image, as C counts; 1 for the predicted one.
  std::size_t per_image() const { return rows_.empty() ? 1 : rows_[0].size(); }
  /// [images, per_image]; none for the predicted ones.
  std::vector<std::int32_t> flat(std::size_t images) const {
    std::vector<std::int32_t> found;
    if (are_of_each_ && rows_.size() != images) {
      throw Error(LIMPID_ERROR_INVALID_ARGUMENT, "there must be a row of classes for each image");
    }
    for (std::size_t i = 0; !rows_.empty() && i < images; i++) {
      const std::vector<std::int32_t> &row = rows_[are_of_each_ ? i : 0];
      if (row.empty() || row.size() != rows_[0].size()) {
        throw Error(LIMPID_ERROR_INVALID_ARGUMENT, "rows of classes must be of one length, and not empty");
      }
      found.insert(found.end(), row.begin(), row.end());
    }
    return found;
  }

 private:
  std::vector<std::vector<std::int32_t>> rows_;
  bool are_of_each_ = false;
};

/// limpid_run_options, with what they point to.
class Options {
 public:
  /// A parameter of the method: a number, or a word.
  Options &set(std::string name, double value) { return numbers_.emplace_back(std::move(name), value), *this; }
  Options &set(std::string name, std::string word) {
    return words_.emplace_back(std::move(name), std::move(word)), *this;
  }
  /// A value that the method taps; may be said more than once.
  Options &layer(std::string name) { return layers_.push_back(std::move(name)), *this; }
  Options &seed(std::uint64_t value) { return options_.seed = value, *this; }
  Options &threads(std::int32_t count) { return options_.threads = count, *this; }
  Options &batch_size(std::int32_t count) { return options_.batch_size = count, *this; }
  /// The output that holds the scores.
  Options &output(std::string name) { return output_ = std::move(name), *this; }
  /// An input beside the image.
  Options &feed(Tensor tensor) { return feeds_.push_back(std::move(tensor)), *this; }
  /// Draws that the method reads.
  Options &draw(Tensor tensor) { return draws_.push_back(std::move(tensor)), *this; }
  /// Told that `done` of `total` is done; stops the call by `false`. What it throws ends the call and reaches the caller.
  Options &progress(std::function<bool(std::uint64_t, std::uint64_t)> report) {
    return progress_ = std::move(report), *this;
  }

  /// Calls `function` with these as a limpid_run_options, and throws where it fails.
  template <typename Function>
  void call(Function function) const {
    limpid_run_options options = options_;
    std::vector<limpid_parameter> numbers;
    for (const auto &each : numbers_) numbers.push_back({each.first.c_str(), each.second});
    std::vector<limpid_choice> words;
    for (const auto &each : words_) words.push_back({each.first.c_str(), each.second.c_str()});
    std::vector<limpid_tensor_view> draws, feeds;
    for (const Tensor &each : draws_) draws.push_back(each.view());
    for (const Tensor &each : feeds_) feeds.push_back(each.view());
    const std::vector<const char *> layers = detail::pointers(layers_);
    options.parameters = numbers.data(), options.parameter_count = numbers.size();
    options.choices = words.data(), options.choice_count = words.size();
    options.draws = draws.data(), options.draw_count = draws.size();
    options.feeds = feeds.data(), options.feed_count = feeds.size();
    options.layers = layers.data(), options.layer_count = layers.size();
    options.output = detail::or_null(output_);
    Report report{&progress_, nullptr};
    if (progress_) options.progress = tell, options.user = &report;
    const limpid_status status = function(&options);
    if (report.error) std::rethrow_exception(report.error);
    check(status);
  }

 private:
  struct Report {
    const std::function<bool(std::uint64_t, std::uint64_t)> *function;
    std::exception_ptr error;
  };
  static std::int32_t tell(void *user, std::uint64_t done, std::uint64_t total) {
    Report &report = *static_cast<Report *>(user);
    try {
      return (*report.function)(done, total) ? 0 : 1;
    } catch (...) {
      report.error = std::current_exception();  // must not go through the library
      return 1;
    }
  }

  limpid_run_options options_ = LIMPID_RUN_OPTIONS_INIT;
  std::vector<std::pair<std::string, double>> numbers_;
  std::vector<std::pair<std::string, std::string>> words_;
  std::vector<std::string> layers_;
  std::vector<Tensor> draws_, feeds_;
  std::string output_;
  std::function<bool(std::uint64_t, std::uint64_t)> progress_;
};

/// Named tensors that the library owns.
class Tensors : public Owned<limpid_tensors, limpid_tensors_free> {
 public:
  using Owned::Owned;
  Tensors() = default;
  std::size_t size() const { return limpid_tensors_count(*this); }
  limpid_tensor_view operator[](std::size_t index) const { return limpid_tensors_get(*this, index); }
  template <typename T = float>
  std::vector<T> values(std::size_t index) const {
    return limpid::values<T>((*this)[index]);
  }
};

/// What limpid_render_options are, with words instead of pointers.
struct Style {
  std::string colormap;
  std::string style;
  float opacity = 0;
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::int32_t scale = 0;
  limpid_render_options options() const {
    return {sizeof(limpid_render_options), detail::or_null(colormap), detail::or_null(style), opacity, width, height, scale,
            nullptr, nullptr, nullptr};
  }
};

/// Why a model sees classes in images.
class Explanation : public Owned<limpid_explanation, limpid_explanation_free> {
 public:
  using Owned::Owned;
  Explanation() = default;
  std::size_t size() const { return limpid_explanation_count(*this); }
  std::int32_t class_index(std::size_t index) const { return limpid_explanation_class(*this, index); }
  float score(std::size_t index) const { return limpid_explanation_score(*this, index); }
  bool is_degenerate(std::size_t index) const { return limpid_explanation_is_degenerate(*this, index) != 0; }
  std::string method() const { return detail::or_empty(limpid_explanation_method(*this)); }
  std::uint64_t seed() const { return limpid_explanation_seed(*this); }
  /// At the size of the image; as the method made it. Borrowed.
  limpid_map_view map(std::size_t index) const { return limpid_explanation_map(*this, index); }
  limpid_map_view grid(std::size_t index) const { return limpid_explanation_grid(*this, index); }
  limpid_field field(std::size_t index) const { return limpid_explanation_field(*this, index); }
  /// Arrays beside the map; borrowed.
  std::vector<limpid_tensor_view> details(std::size_t index) const {
    std::vector<limpid_tensor_view> found(limpid_explanation_detail_count(*this, index));
    for (std::size_t i = 0; i < found.size(); i++) found[i] = limpid_explanation_detail(*this, index, i);
    return found;
  }
  /// Drawn over the image that was explained, or alone.
  Image render(std::size_t index, const Images &image, const Style &style = Style()) const {
    const limpid_render_options options = style.options();
    return Image(limpid_explanation_render, *this, index, image.data(), &options);
  }
  Image render(std::size_t index, const Style &style = Style()) const {
    const limpid_render_options options = style.options();
    return Image(limpid_explanation_render, *this, index, nullptr, &options);
  }
};

/// The numbers of a map; those of a std::span are borrowed.
inline std::vector<float> values(const limpid_map_view &map) {
  const std::size_t count = static_cast<std::size_t>(map.width) * static_cast<std::size_t>(map.height);
  return map.values ? std::vector<float>(map.values, map.values + count) : std::vector<float>();
}
#ifdef LIMPID_HAS_SPAN
inline std::span<const float> span(const limpid_map_view &map) {
  return {map.values, static_cast<std::size_t>(map.width) * static_cast<std::size_t>(map.height)};
}
#endif

/// What a metric found.
class Measurement : public Owned<limpid_measurement, limpid_measurement_free> {
 public:
  using Owned::Owned;
  Measurement() = default;
  double mean() const { return limpid_measurement_mean(*this); }
  std::vector<double> values() const { return limpid::values<double>(limpid_measurement_values(*this)); }
  /// [maps, points]; all zero where the metric draws none. Borrowed.
  limpid_tensor_view curve() const { return limpid_measurement_curve(*this); }
};

/// Words for filters.
class FilterNames : public Owned<limpid_filter_names, limpid_filter_names_free> {
 public:
  using Owned::Owned;
  FilterNames() = default;
  std::size_t size() const { return limpid_filter_names_filter_count(*this); }
  /// Words and how many images they are of, most common first.
  std::vector<std::pair<std::string, float>> words(std::size_t filter) const {
    std::vector<std::pair<std::string, float>> found;
    float count = 0;
    while (const char *word = limpid_filter_names_word(*this, filter, found.size(), &count)) found.emplace_back(word, count);
    return found;
  }
};

/// An ONNX model; any number of threads may use it at once.
class Model : public Owned<limpid_model, limpid_model_free> {
 public:
  using Owned::Owned;
  Model() = default;
  explicit Model(const std::string &path, const limpid_model_options &options = LIMPID_MODEL_OPTIONS_INIT)
      : Owned(limpid_model_load_file, path.c_str(), &options) {}
  explicit Model(const char *path) : Owned(limpid_model_load_file, path, nullptr) {}
  /// The contents of an ONNX file.
  static Model from_memory(const void *data, std::size_t size,
                           const limpid_model_options &options = LIMPID_MODEL_OPTIONS_INIT) {
    return Model(limpid_model_load_memory, data, size, &options);
  }

  limpid_model_info info() const {
    limpid_model_info found = LIMPID_MODEL_INFO_INIT;
    check(limpid_model_get_info(*this, &found));
    return found;
  }
  std::string name() const { return info().name; }
  std::string family() const { return info().family; }
  std::vector<std::string> labels() const { return detail::names(limpid_model_class_name, get_const()); }
  std::vector<std::string> layers() const { return detail::names(limpid_model_layer_name, get_const()); }
  std::vector<std::string> inputs() const { return detail::names(limpid_model_input_name, get_const()); }
  std::vector<std::string> outputs() const { return detail::names(limpid_model_output_name, get_const()); }
  /// The names of the methods that can explain it, best first.
  std::vector<std::string> methods() const {
    std::vector<std::string> found;
    limpid_method_info method = LIMPID_METHOD_INFO_INIT;
    for (std::size_t count = info().method_count; found.size() < count;) {
      check(limpid_model_get_method(*this, found.size(), &method));
      found.emplace_back(method.name);
    }
    return found;
  }
  limpid_value_info input(std::size_t index) const { return value(limpid_model_get_input, index); }
  limpid_value_info output(std::size_t index) const { return value(limpid_model_get_output, index); }
  /// A class's label; "" where it has none.
  std::string label(std::int32_t class_index) const {
    return class_index < 0 ? std::string()
                           : detail::or_empty(limpid_model_class_name(*this, static_cast<std::size_t>(class_index)));
  }
  /// "" where the file has no such key.
  std::string metadata(const std::string &key) const {
    return detail::or_empty(limpid_model_metadata(*this, key.c_str()));
  }
  std::size_t class_count(const std::string &of_output = "") const {
    std::size_t count = 0;
    check(limpid_model_class_count(*this, detail::or_null(of_output), &count));
    return count;
  }

  /// [images, classes] probabilities, image by image. `output` of the options must be `of_output`.
  std::vector<float> classify(const Images &images, const Options &options = Options(),
                              const std::string &of_output = "") const {
    std::vector<float> found(class_count(of_output) * images.size() + 1);
    options.call([&](const limpid_run_options *run) {
      return limpid_classify(*this, images.data(), images.size(), run, found.data(), found.size() - 1);
    });
    found.pop_back();
    return found;
  }
  /// method: "" for the model's first.
  Explanation explain(const Images &images, const std::string &method = "", const Classes &classes = Classes(),
                      const Options &options = Options()) const {
    const std::vector<std::int32_t> indices = classes.flat(images.size());
    return made<Explanation, limpid_explanation>(options, [&](const limpid_run_options *run, limpid_explanation **out) {
      return limpid_explain(*this, detail::or_null(method), images.data(), images.size(),
                            indices.empty() ? nullptr : indices.data(), classes.per_image(), run, out);
    });
  }
  /// Outputs and inner values of images.
  Tensors fetch(const Images &images, const std::vector<std::string> &names, const Options &options = Options()) const {
    const std::vector<const char *> wanted = detail::pointers(names);
    return made<Tensors, limpid_tensors>(options, [&](const limpid_run_options *run, limpid_tensors **out) {
      return limpid_fetch(*this, images.data(), images.size(), wanted.data(), wanted.size(), run, out);
    });
  }
  /// From the tensors `feeds` to the values `names`, without preprocessing.
  Tensors run(const std::vector<Tensor> &feeds, const std::vector<std::string> &names,
              const Options &options = Options()) const {
    std::vector<limpid_tensor_view> fed;
    for (const Tensor &each : feeds) fed.push_back(each.view());
    const std::vector<const char *> wanted = detail::pointers(names);
    return made<Tensors, limpid_tensors>(options, [&](const limpid_run_options *run, limpid_tensors **out) {
      return limpid_run(*this, fed.data(), fed.size(), wanted.data(), wanted.size(), run, out);
    });
  }
  /// The gradients of each class's score by the values `names`, or "input".
  Tensors gradient(const Images &images, const Classes &classes = Classes(),
                   const std::vector<std::string> &names = {"input"}, const Options &options = Options()) const {
    const std::vector<std::int32_t> indices = classes.flat(images.size());
    const std::vector<const char *> wanted = detail::pointers(names);
    return made<Tensors, limpid_tensors>(options, [&](const limpid_run_options *run, limpid_tensors **out) {
      return limpid_gradient(*this, images.data(), images.size(), indices.empty() ? nullptr : indices.data(),
                             classes.per_image(), wanted.data(), wanted.size(), run, out);
    });
  }
  /// Measures maps over what the model saw: [images * n, height, width].
  Measurement measure(const Images &images, const Tensor &maps, const std::string &metric,
                      const Classes &classes = Classes(), const Options &options = Options()) const {
    const limpid_tensor_view view = maps.view();
    const std::vector<std::int32_t> indices = classes.flat(images.size());
    return made<Measurement, limpid_measurement>(
        options, [&](const limpid_run_options *run, limpid_measurement **out) {
          limpid_measure_options measuring = LIMPID_MEASURE_OPTIONS_INIT;
          measuring.run = run;
          return limpid_measure(*this, metric.c_str(), images.data(), images.size(), &view,
                                indices.empty() ? nullptr : indices.data(), classes.per_image(), &measuring, out);
        });
  }
  /// The image as the model sees it.
  Image preprocess(const Images &image, const Options &options = Options()) const {
    return made<Image, limpid_image>(options, [&](const limpid_run_options *run, limpid_image **out) {
      return limpid_model_preprocess_with(*this, image.data(), run, out);
    });
  }

 private:
  const limpid_model *get_const() const { return *this; }
  limpid_value_info value(limpid_status (*describe)(const limpid_model *, std::size_t, limpid_value_info *),
                          std::size_t index) const {
    limpid_value_info found = LIMPID_VALUE_INFO_INIT;
    check(describe(*this, index, &found));
    return found;
  }
  template <typename Result, typename T, typename Function>
  static Result made(const Options &options, Function function) {
    T *out = nullptr;
    options.call([&](const limpid_run_options *run) { return function(run, &out); });
    return Result(out);
  }
};

/// Methods and metrics over a data set, and what was found so far.
class Evaluation : public Owned<limpid_evaluation, limpid_evaluation_free> {
 public:
  using Owned::Owned;
  Evaluation() = default;
  Evaluation(const Model &model, const limpid_evaluation_options &options)
      : Owned(limpid_evaluation_create, static_cast<const limpid_model *>(model), &options) {}
  std::size_t size() const { return limpid_evaluation_count(*this); }
  bool is_done(std::size_t index) const { return limpid_evaluation_is_done(*this, index) != 0; }
  void open_store(const std::string &path) { check(limpid_evaluation_open_store(get(), path.c_str())); }
  /// `workers` images at once.
  void run(const Options &options = Options(), std::int32_t workers = 1) {
    options.call([&](const limpid_run_options *run) { return limpid_evaluation_run_with(get(), workers, run); });
  }
  void write(const std::string &folder) const { check(limpid_evaluation_write(*this, folder.c_str())); }
  /// One of the documents that `write` writes: "results.json", …
  std::string document(const std::string &name) const {
    const Bytes bytes(limpid_evaluation_document, get(), name.c_str());
    return std::string(static_cast<const char *>(limpid_bytes_data(bytes)), limpid_bytes_size(bytes));
  }
};

}  // namespace limpid

#endif
