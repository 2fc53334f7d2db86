// explain-cpp MODEL IMAGE OUT.png: the same as explain.c, in C++ with limpid.hpp.
#include <limpid/limpid.hpp>

#include <iostream>

int main(int argc, char **argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " MODEL IMAGE OUT.png\n";
    return 2;
  }
  const limpid::Model model(argv[1]);
  const limpid::Image image(argv[2]);
  const limpid::Explanation why = model.explain(image);
  why.render(0, image).save_png(argv[3]);
  std::cout << "class " << why.class_index(0) << ' ' << model.label(why.class_index(0)) << '\n';
} catch (const limpid::Error &error) {
  std::cerr << limpid_status_name(error.status) << ": " << error.what() << '\n';
  return 1;
}
