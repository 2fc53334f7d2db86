// SPDX-License-Identifier: Apache-2.0
#include "skeleton.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <onnx/onnx_pb.h>

#include <climits>
#include <cstring>

namespace connx {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::internal::WireFormatLite;

/// Graphs within graphs. The largest exported models nest two or three deep.
constexpr int maxGraphDepth = 32;
/// Messages and texts: nodes, names, attributes, tensors... A 10 000-node model has about 100 000.
constexpr int maxItems = 1'000'000;

/// What becomes of a field: kept as it is, replaced by a `RawData`, emptied, or walked as a message of that kind.
enum class Part {
  keep, raw, empty, model, graph, node, attribute, tensor, sparse, value, type, tensorType, shape, dimension,
  entry, opset, function
};

/// A field that the loader reads; all others are left out.
struct Field {
  Part message;
  int number;
  Part part;
};

constexpr Field fields[] = {
  {Part::model, onnx::ModelProto::kGraphFieldNumber, Part::graph},
  {Part::model, onnx::ModelProto::kOpsetImportFieldNumber, Part::opset},
  {Part::model, onnx::ModelProto::kMetadataPropsFieldNumber, Part::entry},
  {Part::model, onnx::ModelProto::kFunctionsFieldNumber, Part::function},
  {Part::graph, onnx::GraphProto::kNodeFieldNumber, Part::node},
  {Part::graph, onnx::GraphProto::kNameFieldNumber, Part::keep},
  {Part::graph, onnx::GraphProto::kInitializerFieldNumber, Part::tensor},
  {Part::graph, onnx::GraphProto::kSparseInitializerFieldNumber, Part::sparse},
  {Part::graph, onnx::GraphProto::kInputFieldNumber, Part::value},
  {Part::graph, onnx::GraphProto::kOutputFieldNumber, Part::value},
  {Part::node, onnx::NodeProto::kInputFieldNumber, Part::keep},
  {Part::node, onnx::NodeProto::kOutputFieldNumber, Part::keep},
  {Part::node, onnx::NodeProto::kAttributeFieldNumber, Part::attribute},
  {Part::node, onnx::NodeProto::kOpTypeFieldNumber, Part::keep},
  {Part::node, onnx::NodeProto::kDomainFieldNumber, Part::keep},
  {Part::node, onnx::NodeProto::kNameFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kNameFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kRefAttrNameFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kTypeFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kFFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kIFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kSFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kTFieldNumber, Part::tensor},
  {Part::attribute, onnx::AttributeProto::kGFieldNumber, Part::graph},
  {Part::attribute, onnx::AttributeProto::kSparseTensorFieldNumber, Part::sparse},
  {Part::attribute, onnx::AttributeProto::kTpFieldNumber, Part::empty},
  {Part::attribute, onnx::AttributeProto::kFloatsFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kIntsFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kStringsFieldNumber, Part::keep},
  {Part::attribute, onnx::AttributeProto::kTensorsFieldNumber, Part::empty},
  {Part::attribute, onnx::AttributeProto::kGraphsFieldNumber, Part::empty},
  {Part::attribute, onnx::AttributeProto::kSparseTensorsFieldNumber, Part::empty},
  {Part::attribute, onnx::AttributeProto::kTypeProtosFieldNumber, Part::empty},
  {Part::tensor, onnx::TensorProto::kNameFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kDimsFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kDataTypeFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kRawDataFieldNumber, Part::raw},
  {Part::tensor, onnx::TensorProto::kFloatDataFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kInt32DataFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kInt64DataFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kDoubleDataFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kUint64DataFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kSegmentFieldNumber, Part::empty},
  {Part::tensor, onnx::TensorProto::kDataLocationFieldNumber, Part::keep},
  {Part::tensor, onnx::TensorProto::kExternalDataFieldNumber, Part::entry},
  {Part::sparse, onnx::SparseTensorProto::kValuesFieldNumber, Part::tensor},
  {Part::sparse, onnx::SparseTensorProto::kIndicesFieldNumber, Part::tensor},
  {Part::sparse, onnx::SparseTensorProto::kDimsFieldNumber, Part::keep},
  {Part::value, onnx::ValueInfoProto::kNameFieldNumber, Part::keep},
  {Part::value, onnx::ValueInfoProto::kTypeFieldNumber, Part::type},
  {Part::type, onnx::TypeProto::kTensorTypeFieldNumber, Part::tensorType},
  {Part::type, onnx::TypeProto::kSequenceTypeFieldNumber, Part::empty},
  {Part::type, onnx::TypeProto::kMapTypeFieldNumber, Part::empty},
  {Part::type, onnx::TypeProto::kOptionalTypeFieldNumber, Part::empty},
  {Part::type, onnx::TypeProto::kSparseTensorTypeFieldNumber, Part::empty},
  {Part::type, onnx::TypeProto::kOpaqueTypeFieldNumber, Part::empty},
  {Part::tensorType, onnx::TypeProto_Tensor::kElemTypeFieldNumber, Part::keep},
  {Part::tensorType, onnx::TypeProto_Tensor::kShapeFieldNumber, Part::shape},
  {Part::shape, onnx::TensorShapeProto::kDimFieldNumber, Part::dimension},
  {Part::dimension, onnx::TensorShapeProto_Dimension::kDimValueFieldNumber, Part::keep},
  {Part::dimension, onnx::TensorShapeProto_Dimension::kDimParamFieldNumber, Part::keep},
  {Part::entry, onnx::StringStringEntryProto::kKeyFieldNumber, Part::keep},
  {Part::entry, onnx::StringStringEntryProto::kValueFieldNumber, Part::keep},
  {Part::opset, onnx::OperatorSetIdProto::kDomainFieldNumber, Part::keep},
  {Part::opset, onnx::OperatorSetIdProto::kVersionFieldNumber, Part::keep},
  {Part::function, onnx::FunctionProto::kNameFieldNumber, Part::keep},
  {Part::function, onnx::FunctionProto::kDomainFieldNumber, Part::keep},
  {Part::function, onnx::FunctionProto::kInputFieldNumber, Part::keep},
  {Part::function, onnx::FunctionProto::kOutputFieldNumber, Part::keep},
  {Part::function, onnx::FunctionProto::kNodeFieldNumber, Part::node},
  {Part::function, onnx::FunctionProto::kOpsetImportFieldNumber, Part::opset},
  {Part::function, attributeDefaults, Part::attribute},
};

const Field *find(Part message, int number) {
  for (const Field &field : fields) {
    if (field.message == message && field.number == number) return &field;
  }
  return nullptr;
}

class Walk {
 public:
  Walk(const uint8_t *bytes, int size) : bytes(bytes), end(size), input(bytes, size) {}

  std::string run() {
    message(Part::model, end);
    return std::move(output);
  }

 private:
  const uint8_t *bytes;
  /// Where the innermost message ends.
  int end;
  CodedInputStream input;
  std::string output;
  int items = 0;
  int graphDepth = 0;

  [[noreturn]] void malformed(int position) {
    throw Malformed(
      "this is not an ONNX model: unreadable data at byte " + std::to_string(position)
      + " (the file may be incomplete)");
  }

  void message(Part kind, int size) {
    const int outer = end;
    end = input.CurrentPosition() + size;
    while (input.CurrentPosition() < end) field(kind);
    end = outer;
  }

  void field(Part kind) {
    const int start = input.CurrentPosition();
    uint32_t tag = 0;
    if (!input.ReadVarint32(&tag) || WireFormatLite::GetTagFieldNumber(tag) == 0) malformed(start);
    const Field *known = find(kind, WireFormatLite::GetTagFieldNumber(tag));
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      scalar(tag, start);
      if (known && known->part == Part::keep) copy(start);
      return;
    }
    const int size = length(start);
    if (!known) {
      input.Skip(size);
      return;
    }
    if (++items > maxItems) {
      throw Malformed(
        "the model has more than " + std::to_string(maxItems) + " nodes, names, attributes and tensors");
    }
    switch (known->part) {
      case Part::keep:
        input.Skip(size);
        copy(start);
        break;
      case Part::raw: raw(tag, size); break;
      default: nested(tag, known->part, size);
    }
  }

  /// Passes over a value that is not length-delimited. ONNX has no groups.
  void scalar(uint32_t tag, int start) {
    uint64_t ignored = 0;
    bool isRead = false;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT: isRead = input.ReadVarint64(&ignored); break;
      case WireFormatLite::WIRETYPE_FIXED64: isRead = input.Skip(8); break;
      case WireFormatLite::WIRETYPE_FIXED32: isRead = input.Skip(4); break;
      default: break;
    }
    if (!isRead || input.CurrentPosition() > end) malformed(start);
  }

  /// The length of the field that starts at `start`, which the bytes left are enough for.
  int length(int start) {
    uint32_t size = 0;
    if (!input.ReadVarint32(&size) || input.CurrentPosition() > end
        || size > static_cast<uint32_t>(end - input.CurrentPosition())) {
      malformed(start);
    }
    return static_cast<int>(size);
  }

  void copy(int start) {
    output.append(reinterpret_cast<const char *>(bytes) + start, input.CurrentPosition() - start);
  }

  void raw(uint32_t tag, int size) {
    const RawData place = {static_cast<uint64_t>(input.CurrentPosition()), static_cast<uint64_t>(size)};
    input.Skip(size);
    appendVarint(tag);
    appendVarint(sizeof place);
    output.append(reinterpret_cast<const char *>(&place), sizeof place);
  }

  void nested(uint32_t tag, Part kind, int size) {
    const bool isGraph = kind == Part::graph;
    if (isGraph && ++graphDepth > maxGraphDepth) {
      throw Malformed("the model nests graphs more than " + std::to_string(maxGraphDepth) + " deep");
    }
    appendVarint(tag);
    // The length is known when the message is written; a varint may have leading zeros, so five bytes do.
    const size_t place = output.size();
    output.append(5, '\0');
    if (kind == Part::empty) input.Skip(size);
    else message(kind, size);
    size_t written = output.size() - place - 5;
    for (int i = 0; i < 5; i++, written >>= 7) {
      output[place + i] = static_cast<char>((written & 0x7f) | (i < 4 ? 0x80 : 0));
    }
    if (isGraph) graphDepth--;
  }

  void appendVarint(uint32_t value) {
    for (; value >= 0x80; value >>= 7) output.push_back(static_cast<char>(value | 0x80));
    output.push_back(static_cast<char>(value));
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

std::string skeleton(const uint8_t *bytes, size_t size) {
  if (size == 0) throw Malformed("this is not an ONNX model: it is empty");
  for (const auto &stranger : strangers) {
    const size_t count = std::strlen(stranger.prefix);
    if (size >= count && std::memcmp(bytes, stranger.prefix, count) == 0) {
      throw Malformed(std::string("this is not an ONNX model: it is ") + stranger.what);
    }
  }
  if (size > INT_MAX) {
    throw Malformed("the model is larger than 2 GiB; save its weights as external data");
  }
  return Walk(bytes, static_cast<int>(size)).run();
}

}  // namespace connx
