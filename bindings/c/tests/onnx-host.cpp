/* A host that has ONNX's protobuf classes of its own, and functions with the names of the library's inner ones: neither
   may meet the library's. With a second argument, the library is opened by that path. Prints how many nodes it reads,
   before and after the library has loaded the same model. */
#include "onnx.pb.h"

#include <dlfcn.h>
#include <fstream>
#include <iostream>
#include <limpid/limpid.h>

#define MINE(name) \
  extern "C" __attribute__((visibility("default"))) void name() { \
    std::cerr << #name " of the host was called" << std::endl; \
    std::abort(); \
  }
MINE(lp_onnx_read)
MINE(lp_onnx_graph_get)
MINE(lp_sgemm)
MINE(lp_processor_features)
MINE(lp_available_cores)
MINE(lp_decode_jpeg)
MINE(lp_decode_png)
MINE(swift_retain)
MINE(swift_release)
MINE(swift_allocObject)
MINE(dispatch_apply_f)

static int nodes(const char *path) {
  onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  return model.ParseFromIstream(&file) ? model.graph().node_size() : -1;
}

template <class Function> static Function find(void *library, const char *name, Function linked) {
  return library ? reinterpret_cast<Function>(dlsym(library, name)) : linked;
}

int main(int argc, char **argv) {
  const char *path = std::getenv("COLOURS");
  const int before = nodes(path);
  void *library = NULL;
  if (argc > 1 && !(library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL))) return std::cerr << dlerror() << std::endl, 1;
#ifdef OPENS
#define FUNCTION(name) find<decltype(&name)>(library, #name, NULL)
#else
#define FUNCTION(name) find(library, #name, &name)
#endif
  static unsigned char pixels[32 * 32 * 3];
  limpid_image_view view = {pixels, 0, 32, 32, LIMPID_PIXEL_RGB8, 0};
  float p[3];
  for (int i = 0; i < 3; i++) {
    limpid_model *model = NULL;
    if (FUNCTION(limpid_model_load_file)(path, NULL, &model) || FUNCTION(limpid_classify)(model, &view, 1, NULL, p, 3)) {
      return std::cerr << FUNCTION(limpid_last_error)() << std::endl, 1;
    }
    FUNCTION(limpid_model_free)(model);
  }
  const int after = nodes(path);
  std::cout << before << " " << after << std::endl;
  return before > 0 && before == after ? 0 : 1;
}
