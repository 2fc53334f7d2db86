// SPDX-License-Identifier: Apache-2.0
#include "decoder.h"

#include <climits>
#include <cstring>
#include <string>

namespace connx {
namespace {

/// Graphs within graphs. The largest exported models nest two or three deep.
constexpr int maxGraphDepth = 32;
/// Messages and texts: nodes, names, attributes, tensors... A 10 000-node model has about 100 000.
constexpr int maxItems = 1'000'000;

/// One overload of `read` for each message. The numbers of the fields are those of ONNX's schema, onnx.proto.
///
/// As the encoding wants it, of a field that is not repeated the last value counts, and messages that are given twice
/// are merged.
class Decoder {
 public:
  explicit Decoder(Bytes file) : file(file) {}

  void read(Bytes message, lp_onnx_model &model) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(7): one(field, model.graph); break;
        case bytes(8): read(next(field), model.opsets.emplace_back()); break;
        case bytes(14): read(next(field), model.metadata.emplace_back()); break;
        case bytes(25): add(field, model.functions); break;
      }
    });
  }

 private:
  const Bytes file;
  int items = 0;
  int graphDepth = 0;

  template <class Read> void each(Bytes message, Read read) {
    for (Wire wire(file.start, message); !wire.isAtEnd();) read(wire.field());
  }

  /// Counts a message or a text.
  Bytes next(const Field &field) {
    if (++items > maxItems) {
      throw Malformed(
        "the model has more than " + std::to_string(maxItems) + " nodes, names, attributes and tensors");
    }
    return field.content;
  }

  lp_onnx_text text(const Field &field) {
    const Bytes content = next(field);
    return {reinterpret_cast<const char *>(content.start), content.count};
  }

  template <class Message> void add(const Field &field, Messages<Message> &messages) {
    const Bytes content = next(field);
    messages.push_back(std::make_unique<Message>());
    read(content, *messages.back());
  }

  template <class Message> void one(const Field &field, std::unique_ptr<Message> &message) {
    const Bytes content = next(field);
    if (!message) message = std::make_unique<Message>();
    read(content, *message);
  }

  /// Numbers of a repeated field: one, or several in a field with a length.
  template <class Number> void varints(const Field &field, std::vector<Number> &numbers) {
    if ((field.key & 7) == 0) return numbers.push_back(static_cast<Number>(field.number));
    const Bytes content = next(field);
    size_t count = 0;
    for (size_t i = 0; i < content.count; i++) count += content.start[i] < 0x80;
    numbers.reserve(numbers.size() + count);
    for (Wire wire(file.start, content); !wire.isAtEnd();) numbers.push_back(static_cast<Number>(wire.varint()));
  }

  template <class Number> static Number fixed(uint64_t bits) {
    Number number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
  }

  template <class Number> void fixed(const Field &field, std::vector<Number> &numbers) {
    if ((field.key & 7) != 2) return numbers.push_back(fixed<Number>(field.number));
    const Bytes content = next(field);
    numbers.reserve(numbers.size() + content.count / sizeof(Number));
    for (Wire wire(file.start, content); !wire.isAtEnd();) {
      numbers.push_back(fixed<Number>(wire.fixed(sizeof(Number))));
    }
  }

  void read(Bytes message, lp_onnx_opset &opset) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): opset.domain = text(field); break;
        case varint(2): opset.version = static_cast<int64_t>(field.number); break;
      }
    });
  }

  void read(Bytes message, lp_onnx_entry &entry) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): entry.key = text(field); break;
        case bytes(2): entry.value = text(field); break;
      }
    });
  }

  void read(Bytes message, lp_onnx_function &function) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): function.name = text(field); break;
        case bytes(4): function.inputs.push_back(text(field)); break;
        case bytes(5): function.outputs.push_back(text(field)); break;
        case bytes(7): add(field, function.nodes); break;
        case bytes(9): read(next(field), function.opsets.emplace_back()); break;
        case bytes(10): function.domain = text(field); break;
        case bytes(11): add(field, function.defaults); break;
      }
    });
  }

  void read(Bytes message, lp_onnx_graph &graph) {
    if (++graphDepth > maxGraphDepth) {
      throw Malformed("the model nests graphs more than " + std::to_string(maxGraphDepth) + " deep");
    }
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): add(field, graph.nodes); break;
        case bytes(2): graph.name = text(field); break;
        case bytes(5): add(field, graph.initializers); break;
        case bytes(11): add(field, graph.inputs); break;
        case bytes(12): add(field, graph.outputs); break;
        case bytes(15): add(field, graph.sparseInitializers); break;
      }
    });
    graphDepth--;
  }

  void read(Bytes message, lp_onnx_node &node) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): node.inputs.push_back(text(field)); break;
        case bytes(2): node.outputs.push_back(text(field)); break;
        case bytes(3): node.name = text(field); break;
        case bytes(4): node.operation = text(field); break;
        case bytes(5): add(field, node.attributes); break;
        case bytes(7): node.domain = text(field); break;
        case bytes(9): read(next(field), node.metadata.emplace_back()); break;
      }
    });
  }

  void read(Bytes message, lp_onnx_attribute &attribute) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): attribute.name = text(field); break;
        case fixed32(2): attribute.f = fixed<float>(field.number), attribute.hasFloat = true; break;
        case varint(3): attribute.i = static_cast<int64_t>(field.number), attribute.hasInt = true; break;
        case bytes(4): attribute.s = text(field), attribute.hasString = true; break;
        case bytes(5): one(field, attribute.tensor); break;
        case bytes(6): one(field, attribute.graph); break;
        case fixed32(7):
        case bytes(7): fixed(field, attribute.floats); break;
        case varint(8):
        case bytes(8): varints(field, attribute.ints); break;
        case bytes(9): attribute.strings.push_back(text(field)); break;
        case varint(20):
          // Values that the schema does not name are as if not there.
          if (field.number > LP_ONNX_ATTRIBUTE_TYPE_PROTOS) break;
          attribute.type = static_cast<lp_onnx_attribute_type>(field.number);
          attribute.hasType = true;
          break;
        case bytes(21): attribute.reference = text(field); break;
        case bytes(22): one(field, attribute.sparse); break;
      }
    });
  }

  void read(Bytes message, lp_onnx_tensor &tensor) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case varint(1):
        case bytes(1): varints(field, tensor.dimensions); break;
        case varint(2): tensor.type = static_cast<int32_t>(field.number); break;
        case bytes(3): tensor.isSegment = true; break;
        case fixed32(4):
        case bytes(4): fixed(field, tensor.floats); break;
        case varint(5):
        case bytes(5): varints(field, tensor.int32s); break;
        case varint(7):
        case bytes(7): varints(field, tensor.int64s); break;
        case bytes(8): tensor.name = text(field); break;
        case bytes(9):
          tensor.hasRaw = true;
          tensor.rawOffset = static_cast<uint64_t>(field.content.start - file.start);
          tensor.rawSize = field.content.count;
          break;
        case fixed64(10):
        case bytes(10): fixed(field, tensor.doubles); break;
        case varint(11):
        case bytes(11): varints(field, tensor.uint64s); break;
        case bytes(13): read(next(field), tensor.external.emplace_back()); break;
        case varint(14): if (field.number <= 1) tensor.isExternal = field.number == 1; break;
      }
    });
  }

  void read(Bytes message, lp_onnx_sparse &sparse) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): one(field, sparse.values); break;
        case bytes(2): one(field, sparse.indices); break;
        case varint(3):
        case bytes(3): varints(field, sparse.dimensions); break;
      }
    });
  }

  void read(Bytes message, lp_onnx_value &value) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1): value.name = text(field); break;
        case bytes(2): readType(next(field), value); break;
      }
    });
  }

  /// A TypeProto is one of several: the last counts.
  void readType(Bytes message, lp_onnx_value &value) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case bytes(1):
          value.kind = LP_ONNX_VALUE_TENSOR;
          readTensorType(next(field), value);
          break;
        case bytes(4):
        case bytes(5):
        case bytes(7):
        case bytes(8):
        case bytes(9):
          value.kind = LP_ONNX_VALUE_OTHER;
          value.type = 0;
          value.hasShape = false;
          value.shape.clear();
          break;
      }
    });
  }

  void readTensorType(Bytes message, lp_onnx_value &value) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case varint(1): value.type = static_cast<int32_t>(field.number); break;
        case bytes(2):
          value.hasShape = true;
          each(next(field), [&](const Field &dimension) {
            if (dimension.key == bytes(1)) read(next(dimension), value.shape.emplace_back());
          });
          break;
      }
    });
  }

  void read(Bytes message, lp_onnx_dimension &dimension) {
    each(message, [&](const Field &field) {
      switch (field.key) {
        case varint(1): dimension = {LP_ONNX_DIMENSION_FIXED, static_cast<int64_t>(field.number), {}}; break;
        case bytes(2): dimension = {LP_ONNX_DIMENSION_NAMED, 0, text(field)}; break;
      }
    });
  }
};

/// What files that are taken for models by mistake begin with.
const struct {
  const char *prefix;
  const char *what;
} strangers[] = {
  {"version https://git-lfs", "a Git LFS pointer; fetch the file itself with \"git lfs pull\""},
  {"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint; convert it first"},
  {"\x80\x02", "a pickle, such as an old PyTorch checkpoint; convert it first"},
  {"\x89HDF", "an HDF5 file, such as a Keras model; convert it first"},
  {"<!", "a web page"},
};

}  // namespace

std::unique_ptr<lp_onnx_model> decode(Bytes file) {
  if (file.count == 0) throw Malformed("this is not an ONNX model: it is empty");
  for (const auto &stranger : strangers) {
    const size_t count = std::strlen(stranger.prefix);
    if (file.count >= count && std::memcmp(file.start, stranger.prefix, count) == 0) {
      throw Malformed(std::string("this is not an ONNX model: it is ") + stranger.what);
    }
  }
  if (file.count > INT_MAX) {
    throw Malformed("the model is larger than 2 GiB; save its weights as external data");
  }
  auto model = std::make_unique<lp_onnx_model>();
  Decoder(file).read(file, *model);
  return model;
}

}  // namespace connx
