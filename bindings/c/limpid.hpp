/**
 * @file limpid.hpp
 * @brief limpid.h for C++11 and later: objects that free themselves, exceptions instead of statuses.
 *
 * Each class stands for one handle of the C header. It is made by the C function whose last parameter
 * gives that handle, and goes wherever the C functions take one:
 * @code
 *   limpid::Model model(limpid_model_load_file, "model.onnx", nullptr);
 *   limpid::Image image(limpid_image_load_file, "bird.jpg");
 *   auto view = limpid_image_get_view(image);
 *   limpid::Explanation why(limpid_explain, model, nullptr, &view, 1, nullptr, 1, nullptr);
 *   limpid::check(limpid_save_png(&view, "copy.png"));
 * @endcode
 */
#ifndef LIMPID_LIMPID_HPP
#define LIMPID_LIMPID_HPP

#include <limpid/limpid.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace limpid {

/// A call that failed: its status, and as `what()` the text of limpid_last_error().
class Error : public std::runtime_error {
 public:
  explicit Error(limpid_status status) : std::runtime_error(limpid_last_error()), status(status) {}
  const limpid_status status;
};

/// Throws where `status` is not LIMPID_OK. To be called right after the call that gave it.
inline void check(limpid_status status) {
  if (status != LIMPID_OK) throw Error(status);
}

/// The owner of a `T` that `Free` gives back. Can be moved, not copied.
template <typename T, void (*Free)(T *)>
class Owned {
 public:
  template <typename... Parameters, typename... Arguments>
  explicit Owned(limpid_status (*make)(Parameters...), Arguments &&...arguments) : object_(nullptr, Free) {
    T *made = nullptr;
    check(make(std::forward<Arguments>(arguments)..., &made));
    object_.reset(made);
  }
  operator const T *() const { return object_.get(); }

 private:
  std::unique_ptr<T, void (*)(T *)> object_;
};

using Model = Owned<limpid_model, limpid_model_free>;
using Image = Owned<limpid_image, limpid_image_free>;
using Bytes = Owned<limpid_bytes, limpid_bytes_free>;
using Explanation = Owned<limpid_explanation, limpid_explanation_free>;
using Tensors = Owned<limpid_tensors, limpid_tensors_free>;

}  // namespace limpid

#endif
