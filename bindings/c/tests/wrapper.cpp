// limpid.hpp: every handle and method, on the model whose answers are known; compiled as each standard from C++11 on.
#include <limpid/limpid.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>
#if __cplusplus >= 201703L
#  include <filesystem>
#endif

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1); \
    } \
  } while (0)

#define THROWS(code, words, expression) \
  do { \
    try { \
      (void)(expression); \
      CHECK(false); \
    } catch (const limpid::Error &error) { \
      CHECK(error.status == code && std::string(error.what()).find(words) != std::string::npos); \
    } \
  } while (0)

static std::vector<unsigned char> quarter(std::size_t channel) {
  std::vector<unsigned char> pixels(32 * 32 * 3);
  for (std::size_t y = 0; y < 16; y++) {
    for (std::size_t x = 0; x < 16; x++) pixels[(y * 32 + x) * 3 + channel] = 255;
  }
  return pixels;
}

static void test_owners(const std::string &path) {
  limpid::Model model;
  CHECK(model.empty() && model.get() == nullptr && model.labels().empty());
  THROWS(LIMPID_ERROR_INVALID_ARGUMENT, "model is NULL", model.info());
  limpid::Image image;
  limpid::Bytes bytes;
  limpid::Explanation why;
  limpid::Tensors tensors;
  limpid::Measurement measurement;
  limpid::FilterNames names;
  limpid::Evaluation evaluation;
  CHECK(image.empty() && bytes.empty() && tensors.size() == 0 && why.size() == 0 && names.size() == 0);
  CHECK(measurement.empty() && evaluation.empty() && evaluation.size() == 0);

  model = limpid::Model(path);
  limpid::Model moved(std::move(model));
  CHECK(!moved.empty() && moved.name() == "colours");
  std::vector<limpid::Model> several;
  several.push_back(std::move(moved));
  several.emplace_back(path.c_str());
  CHECK(several[0].family() == "scouter" && several[1].labels().size() == 3);
  limpid::Model taken(several[0].release());
  CHECK(several[0].empty() && !taken.empty());
  taken.reset();
  CHECK(taken.empty());
  THROWS(LIMPID_ERROR_NOT_FOUND, "/no/such.onnx", limpid::Model("/no/such.onnx"));
  // As the first version of this header had it.
  limpid::Model made(limpid_model_load_file, path.c_str(), nullptr);
  CHECK(made.info().class_count == 3);
#if __cplusplus >= 201703L
  CHECK(limpid::Model(std::filesystem::path(path)).info().class_count == 3);
#endif
}

static void test_model(const limpid::Model &model) {
  CHECK(model.label(2) == "blue" && model.label(-1).empty() && model.label(9).empty());
  CHECK(model.inputs() == std::vector<std::string>{"input"} && model.outputs().size() == 2);
  CHECK(model.layers() == std::vector<std::string>{"features"});
  CHECK(model.input(0).rank == 4 && model.input(0).type == LIMPID_FLOAT32);
  CHECK(std::string(model.output(1).name) == "attention");
  THROWS(LIMPID_ERROR_NOT_FOUND, "no output 7", model.output(7));
  CHECK(model.metadata("limpid.format") == "1" && model.metadata("x").empty());
  CHECK(model.methods().front() == "scouter" && model.class_count() == 3);
}

static void test_calls(const limpid::Model &model) {
  const std::vector<unsigned char> red = quarter(0), blue = quarter(2);
  const limpid_image_view one = limpid::pixels(red.data(), 32, 32);
  const std::vector<limpid_image_view> both = {one, limpid::pixels(blue.data(), 32, 32)};
  const std::vector<float> p = model.classify(both), q = model.classify(one, limpid::Options().threads(1).batch_size(1));
  CHECK(p.size() == 6 && q.size() == 3 && p[0] == q[0] && p[5] == p[0]);
  CHECK(std::abs(static_cast<double>(p[0]) - 1 / (1 + 2 * std::exp(-3))) < 1e-5);

  const limpid::Explanation why = model.explain(both, "scouter", {0, LIMPID_CLASS_PREDICTED}, limpid::Options().set("slot", 0));
  CHECK(why.size() == 4 && why.class_index(1) == 0 && why.class_index(3) == 2 && why.method() == "scouter");
  CHECK(std::abs(why.score(0) - 2) < 0.1f && !why.is_degenerate(0) && why.seed() == 0);
  CHECK(limpid::values(why.map(0)).size() == 32 * 32 && limpid::values(why.grid(0))[0] > 0.99f);
  CHECK(why.field(0).seen_width == 32 && limpid::values(why.map(99)).empty());
#ifdef LIMPID_HAS_SPAN
  CHECK(limpid::span(why.grid(0)).size() == 64 && limpid::span(why.map(99)).empty());
#endif
  const limpid::Explanation rows =
      model.explain(both, "grad-cam", limpid::Classes::of_each_image({{1}, {2}}), limpid::Options().layer("features").set("of", "logit"));
  CHECK(rows.size() == 2 && rows.class_index(0) == 1 && rows.class_index(1) == 2);
}

static void test_refusals(const limpid::Model &model) {
  const std::vector<unsigned char> red = quarter(0);
  const limpid_image_view one = limpid::pixels(red.data(), 32, 32);
  THROWS(LIMPID_ERROR_INVALID_ARGUMENT, "a row of classes", model.explain(one, "", limpid::Classes::of_each_image({{1}, {2}})));
  THROWS(LIMPID_ERROR_INVALID_ARGUMENT, "one length", model.explain(one, "", std::vector<std::int32_t>()));
  THROWS(LIMPID_ERROR_NOT_FOUND, "scooter", model.explain(one, "scooter"));
  THROWS(LIMPID_ERROR_CANCELLED, "", model.classify(one, limpid::Options().progress([](std::uint64_t, std::uint64_t) { return false; })));
  try {
    model.classify(one, limpid::Options().progress([](std::uint64_t, std::uint64_t) -> bool { throw std::out_of_range("mine"); }));
    CHECK(false);
  } catch (const std::out_of_range &error) {
    CHECK(std::string(error.what()) == "mine");
  }
}

static void test_tensors(const limpid::Model &model) {
  std::vector<float> planes(3 * 32 * 32);
  for (std::size_t i = 0; i < 32 * 16; i++) planes[i] = 1;
  const limpid::Tensor fed("input", planes.data(), {1, 3, 32, 32});
  const limpid::Tensors found = model.run({fed}, {"features", "logits"});
  CHECK(found.size() == 2 && limpid::shape(found[0]) == (std::vector<std::int64_t>{1, 3, 8, 8}));
  CHECK(found.values(1).size() == 3 && found.values(0).size() == 192 && found.values(2).empty());
  THROWS(LIMPID_ERROR_INVALID_ARGUMENT, "another type", found.values<double>(0));

  const std::vector<unsigned char> red = quarter(0);
  const limpid_image_view one = limpid::pixels(red.data(), 32, 32);
  CHECK(model.fetch(one, {"logits"}).values(0).size() == 3);
  CHECK(model.gradient(one, {0, 1}).values(0).size() == 2 * 3 * 32 * 32);

  const limpid::Explanation why = model.explain(one, "grad-cam");
  const std::vector<float> grid = limpid::values(why.grid(0));
  const limpid::Tensor maps("maps", grid.data(), {1, why.grid(0).height, why.grid(0).width});
  const limpid::Measurement measured = model.measure(one, maps, "deletion", {0}, limpid::Options().set("step", 64));
  CHECK(measured.values().size() == 1 && std::abs(measured.values()[0] - measured.mean()) < 1e-12);
  CHECK(measured.curve().rank == 2);
}

static void test_images(const limpid::Model &model, const std::string &picture) {
  const limpid::Image image(picture);
  const limpid::Explanation why = model.explain(image);
  CHECK(model.label(why.class_index(0)) == "red" && model.preprocess(image).width() == 32);
  limpid::Style style;
  style.colormap = "gray";
  style.width = 64;
  const limpid::Image drawn = why.render(0, image, style);
  CHECK(drawn.width() == 64 && why.render(0).height() == image.height());
  drawn.save_png("wrapper.png");
  drawn.save_jpeg("wrapper.jpg", 90);
  const std::vector<std::uint8_t> png = drawn.png();
  const limpid::Image again = limpid::Image::decode(png.data(), png.size()), file("wrapper.png");
  CHECK(again.width() == 64 && file.height() == drawn.height() && drawn.jpeg(90).size() > 100);
  THROWS(LIMPID_ERROR_INVALID_IMAGE, "", limpid::Image::decode("x", 1));
  THROWS(LIMPID_ERROR_NOT_FOUND, "/no/such", drawn.save_png("/no/such/x.png"));
}

static void test_threads(const limpid::Model &model) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&model] {
      const std::vector<unsigned char> blue = quarter(2);
      for (int round = 0; round < 20; round++) CHECK(model.classify(limpid::pixels(blue.data(), 32, 32)).size() == 3);
      THROWS(LIMPID_ERROR_NOT_FOUND, "such", limpid::Image("/no/such.png"));
    });
  }
  for (std::thread &thread : threads) thread.join();
}

static void test_evaluation(const limpid::Model &model, const std::string &picture) {
  limpid_evaluation_options options = LIMPID_EVALUATION_OPTIONS_INIT;
  std::ofstream("list.txt") << picture << " 0\n";
  options.data = "list.txt";
  limpid::Evaluation evaluation(model, options);
  CHECK(evaluation.size() == 1 && !evaluation.is_done(0));
  evaluation.run();
  CHECK(evaluation.is_done(0) && evaluation.document("results.json").find("accuracy") != std::string::npos);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  const limpid::Model model(argv[1]);
  std::ifstream file(argv[1], std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  limpid_model_options options = LIMPID_MODEL_OPTIONS_INIT;
  options.threads = 1;
  CHECK(limpid::Model::from_memory(bytes.data(), bytes.size(), options).name() == "colours");
  test_owners(argv[1]);
  test_model(model);
  test_calls(model);
  test_refusals(model);
  test_tensors(model);
  test_images(model, argv[2]);
  test_threads(model);
  test_evaluation(model, argv[2]);
  return 0;
}
