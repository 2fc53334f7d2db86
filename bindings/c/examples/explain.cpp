// explain-cpp MODEL IMAGE OUT.png: the same as explain.c, in C++ with limpid.hpp.
#include <limpid/limpid.hpp>

#include <iostream>

int main(int argc, char **argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " MODEL IMAGE OUT.png\n";
    return 2;
  }
  limpid::Model model(limpid_model_load_file, argv[1], nullptr);
  limpid::Image image(limpid_image_load_file, argv[2]);
  const limpid_image_view view = limpid_image_get_view(image);

  limpid::Explanation why(limpid_explain, model, nullptr, &view, 1, nullptr, 1, nullptr);
  limpid::Image overlay(limpid_explanation_render, why, 0, &view, nullptr);
  const limpid_image_view picture = limpid_image_get_view(overlay);
  limpid::check(limpid_save_png(&picture, argv[3]));

  const auto index = limpid_explanation_class(why, 0);
  const char *label = limpid_model_class_name(model, static_cast<size_t>(index));
  std::cout << "class " << index << ' ' << (label ? label : "") << '\n';
} catch (const limpid::Error &error) {
  std::cerr << limpid_status_name(error.status) << ": " << error.what() << '\n';
  return 1;
}
