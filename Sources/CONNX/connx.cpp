// SPDX-License-Identifier: Apache-2.0
#include "connx.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

#include <climits>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <vector>

#include "skeleton.h"

/// A function, and what its attributes are where a call does not give them.
struct lp_onnx_function {
  const onnx::FunctionProto &proto;
  std::vector<onnx::AttributeProto> defaults;
};

struct lp_onnx_model {
  std::unique_ptr<onnx::ModelProto> proto;
  std::deque<lp_onnx_function> functions;
};

namespace {

/// Each other opaque C type is the protobuf message of its name.
template <class Message, class Opaque> const Message &as(const Opaque *opaque) {
  return *reinterpret_cast<const Message *>(opaque);
}
template <class Opaque, class Message> const Opaque *opaque(const Message &message) {
  return reinterpret_cast<const Opaque *>(&message);
}

const onnx::ModelProto &of(const lp_onnx_model *model) { return *model->proto; }
const onnx::GraphProto &of(const lp_onnx_graph *graph) { return as<onnx::GraphProto>(graph); }
const onnx::NodeProto &of(const lp_onnx_node *node) { return as<onnx::NodeProto>(node); }
const onnx::AttributeProto &of(const lp_onnx_attribute *attribute) { return as<onnx::AttributeProto>(attribute); }
const onnx::TensorProto &of(const lp_onnx_tensor *tensor) { return as<onnx::TensorProto>(tensor); }
const onnx::ValueInfoProto &of(const lp_onnx_value *value) { return as<onnx::ValueInfoProto>(value); }
const onnx::SparseTensorProto &of(const lp_onnx_sparse *sparse) { return as<onnx::SparseTensorProto>(sparse); }
const onnx::FunctionProto &of(const lp_onnx_function *function) { return function->proto; }

lp_onnx_text text(const std::string &string) { return {string.data(), string.size()}; }
size_t count(int size) { return static_cast<size_t>(size); }
int at(size_t index) { return static_cast<int>(index); }

void report(const char *what, char *message, size_t size) {
  if (size == 0) return;
  std::strncpy(message, what, size - 1);
  message[size - 1] = '\0';
}

std::unique_ptr<onnx::ModelProto> parse(const std::string &skeleton) {
  if (skeleton.size() > INT_MAX) throw std::bad_alloc();
  auto model = std::make_unique<onnx::ModelProto>();
  google::protobuf::io::CodedInputStream input(
    reinterpret_cast<const uint8_t *>(skeleton.data()), at(skeleton.size()));
  // A graph in a graph is three messages deep; the skeleton bounds the graphs.
  input.SetRecursionLimit(200);
  if (!model->ParseFromCodedStream(&input)) {
    throw connx::Malformed("this is not an ONNX model: protobuf cannot read it");
  }
  return model;
}

/// The field `attribute_proto` of a function, which an older libonnx does not know.
std::vector<onnx::AttributeProto> defaults(const onnx::FunctionProto &function) {
  std::vector<onnx::AttributeProto> result;
  const auto &fields = function.GetReflection()->GetUnknownFields(function);
  for (int i = 0; i < fields.field_count(); i++) {
    const auto &field = fields.field(i);
    if (field.number() != connx::attributeDefaults
        || field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
      continue;
    }
    if (!result.emplace_back().ParseFromString(field.length_delimited())) {
      throw connx::Malformed("this is not an ONNX model: protobuf cannot read an attribute of a function");
    }
  }
  if (const auto *known = function.GetDescriptor()->FindFieldByNumber(connx::attributeDefaults)) {
    for (int i = 0; i < function.GetReflection()->FieldSize(function, known); i++) {
      result.emplace_back().CopyFrom(function.GetReflection()->GetRepeatedMessage(function, known, i));
    }
  }
  return result;
}

/// IR versions 1 and 2 do not store the type.
lp_onnx_attribute_type type(const onnx::AttributeProto &a) {
  if (a.has_type()) return static_cast<lp_onnx_attribute_type>(a.type());
  if (a.has_f()) return LP_ONNX_ATTRIBUTE_FLOAT;
  if (a.has_i()) return LP_ONNX_ATTRIBUTE_INT;
  if (a.has_s()) return LP_ONNX_ATTRIBUTE_STRING;
  if (a.has_t()) return LP_ONNX_ATTRIBUTE_TENSOR;
  if (a.has_g()) return LP_ONNX_ATTRIBUTE_GRAPH;
  if (a.floats_size()) return LP_ONNX_ATTRIBUTE_FLOATS;
  if (a.ints_size()) return LP_ONNX_ATTRIBUTE_INTS;
  if (a.strings_size()) return LP_ONNX_ATTRIBUTE_STRINGS;
  return LP_ONNX_ATTRIBUTE_UNKNOWN;
}

}  // namespace

lp_onnx_status lp_onnx_read(
  const void *bytes, size_t size, lp_onnx_model **model, char *message, size_t message_size) {
  try {
    auto result = std::make_unique<lp_onnx_model>();
    result->proto = parse(connx::skeleton(static_cast<const uint8_t *>(bytes), size));
    for (const auto &function : result->proto->functions()) {
      result->functions.push_back({function, defaults(function)});
    }
    *model = result.release();
    return LP_ONNX_OK;
  } catch (const connx::Malformed &error) {
    report(error.what(), message, message_size);
    return LP_ONNX_MALFORMED;
  } catch (const std::bad_alloc &) {
    report("no memory to read the model", message, message_size);
    return LP_ONNX_NO_MEMORY;
  } catch (const std::exception &error) {
    report(error.what(), message, message_size);
    return LP_ONNX_INTERNAL;
  } catch (...) {
    report("unknown error while reading the model", message, message_size);
    return LP_ONNX_INTERNAL;
  }
}

void lp_onnx_free(lp_onnx_model *model) { delete model; }

lp_onnx_model_info lp_onnx_model_get(const lp_onnx_model *model) {
  const auto &m = of(model);
  return {
    m.has_graph() ? opaque<lp_onnx_graph>(m.graph()) : nullptr, count(m.opset_import_size()),
    count(m.metadata_props_size()), count(m.functions_size())};
}

lp_onnx_opset lp_onnx_model_opset(const lp_onnx_model *model, size_t index) {
  const auto &opset = of(model).opset_import(at(index));
  return {text(opset.domain()), opset.version()};
}

lp_onnx_entry lp_onnx_model_metadata(const lp_onnx_model *model, size_t index) {
  const auto &entry = of(model).metadata_props(at(index));
  return {text(entry.key()), text(entry.value())};
}

const lp_onnx_function *lp_onnx_model_function(const lp_onnx_model *model, size_t index) {
  return &model->functions[index];
}

lp_onnx_function_info lp_onnx_function_get(const lp_onnx_function *function) {
  const auto &f = of(function);
  return {
    text(f.name()), text(f.domain()), count(f.input_size()), count(f.output_size()), count(f.node_size()),
    count(f.opset_import_size()), function->defaults.size()};
}

lp_onnx_text lp_onnx_function_input(const lp_onnx_function *function, size_t index) {
  return text(of(function).input(at(index)));
}

lp_onnx_text lp_onnx_function_output(const lp_onnx_function *function, size_t index) {
  return text(of(function).output(at(index)));
}

const lp_onnx_node *lp_onnx_function_node(const lp_onnx_function *function, size_t index) {
  return opaque<lp_onnx_node>(of(function).node(at(index)));
}

lp_onnx_opset lp_onnx_function_opset(const lp_onnx_function *function, size_t index) {
  const auto &opset = of(function).opset_import(at(index));
  return {text(opset.domain()), opset.version()};
}

const lp_onnx_attribute *lp_onnx_function_default(const lp_onnx_function *function, size_t index) {
  return opaque<lp_onnx_attribute>(function->defaults[index]);
}

lp_onnx_graph_info lp_onnx_graph_get(const lp_onnx_graph *graph) {
  const auto &g = of(graph);
  return {
    text(g.name()), count(g.node_size()), count(g.initializer_size()), count(g.sparse_initializer_size()),
    count(g.input_size()), count(g.output_size())};
}

const lp_onnx_node *lp_onnx_graph_node(const lp_onnx_graph *graph, size_t index) {
  return opaque<lp_onnx_node>(of(graph).node(at(index)));
}

const lp_onnx_tensor *lp_onnx_graph_initializer(const lp_onnx_graph *graph, size_t index) {
  return opaque<lp_onnx_tensor>(of(graph).initializer(at(index)));
}

const lp_onnx_sparse *lp_onnx_graph_sparse_initializer(const lp_onnx_graph *graph, size_t index) {
  return opaque<lp_onnx_sparse>(of(graph).sparse_initializer(at(index)));
}

const lp_onnx_value *lp_onnx_graph_input(const lp_onnx_graph *graph, size_t index) {
  return opaque<lp_onnx_value>(of(graph).input(at(index)));
}

const lp_onnx_value *lp_onnx_graph_output(const lp_onnx_graph *graph, size_t index) {
  return opaque<lp_onnx_value>(of(graph).output(at(index)));
}

lp_onnx_node_info lp_onnx_node_get(const lp_onnx_node *node) {
  const auto &n = of(node);
  return {
    text(n.op_type()), text(n.domain()), text(n.name()), count(n.input_size()), count(n.output_size()),
    count(n.attribute_size())};
}

lp_onnx_text lp_onnx_node_input(const lp_onnx_node *node, size_t index) { return text(of(node).input(at(index))); }
lp_onnx_text lp_onnx_node_output(const lp_onnx_node *node, size_t index) { return text(of(node).output(at(index))); }

const lp_onnx_attribute *lp_onnx_node_attribute(const lp_onnx_node *node, size_t index) {
  return opaque<lp_onnx_attribute>(of(node).attribute(at(index)));
}

lp_onnx_attribute_info lp_onnx_attribute_get(const lp_onnx_attribute *attribute) {
  const auto &a = of(attribute);
  lp_onnx_attribute_info info = {};
  info.name = text(a.name());
  info.reference = text(a.ref_attr_name());
  info.type = type(a);
  info.f = a.f();
  info.i = a.i();
  info.s = text(a.s());
  info.t = a.has_t() ? opaque<lp_onnx_tensor>(a.t()) : nullptr;
  info.g = a.has_g() ? opaque<lp_onnx_graph>(a.g()) : nullptr;
  info.sparse = a.has_sparse_tensor() ? opaque<lp_onnx_sparse>(a.sparse_tensor()) : nullptr;
  info.floats = a.floats().data();
  info.float_count = count(a.floats_size());
  info.ints = a.ints().data();
  info.int_count = count(a.ints_size());
  info.string_count = count(a.strings_size());
  return info;
}

lp_onnx_text lp_onnx_attribute_string(const lp_onnx_attribute *attribute, size_t index) {
  return text(of(attribute).strings(at(index)));
}

lp_onnx_tensor_info lp_onnx_tensor_get(const lp_onnx_tensor *tensor) {
  const auto &t = of(tensor);
  connx::RawData raw = {};
  if (t.raw_data().size() == sizeof raw) std::memcpy(&raw, t.raw_data().data(), sizeof raw);
  lp_onnx_tensor_info info = {};
  info.name = text(t.name());
  info.type = t.data_type();
  info.dimensions = t.dims().data();
  info.rank = count(t.dims_size());
  info.is_external = t.data_location() == onnx::TensorProto::EXTERNAL;
  info.is_segment = t.has_segment();
  info.has_raw = t.has_raw_data();
  info.raw_offset = raw.offset;
  info.raw_size = raw.size;
  info.floats = t.float_data().data();
  info.float_count = count(t.float_data_size());
  info.int32s = t.int32_data().data();
  info.int32_count = count(t.int32_data_size());
  info.int64s = t.int64_data().data();
  info.int64_count = count(t.int64_data_size());
  info.doubles = t.double_data().data();
  info.double_count = count(t.double_data_size());
  info.uint64s = t.uint64_data().data();
  info.uint64_count = count(t.uint64_data_size());
  info.external_count = count(t.external_data_size());
  return info;
}

lp_onnx_entry lp_onnx_tensor_external(const lp_onnx_tensor *tensor, size_t index) {
  const auto &entry = of(tensor).external_data(at(index));
  return {text(entry.key()), text(entry.value())};
}

lp_onnx_sparse_info lp_onnx_sparse_get(const lp_onnx_sparse *sparse) {
  const auto &s = of(sparse);
  return {
    s.has_values() ? opaque<lp_onnx_tensor>(s.values()) : nullptr,
    s.has_indices() ? opaque<lp_onnx_tensor>(s.indices()) : nullptr, s.dims().data(), count(s.dims_size())};
}

lp_onnx_value_info lp_onnx_value_get(const lp_onnx_value *value) {
  const auto &v = of(value);
  lp_onnx_value_info info = {};
  info.name = text(v.name());
  switch (v.type().value_case()) {
    case onnx::TypeProto::VALUE_NOT_SET: info.kind = LP_ONNX_VALUE_UNDECLARED; break;
    case onnx::TypeProto::kTensorType: info.kind = LP_ONNX_VALUE_TENSOR; break;
    default: info.kind = LP_ONNX_VALUE_OTHER;
  }
  info.type = v.type().tensor_type().elem_type();
  info.has_shape = v.type().tensor_type().has_shape();
  info.rank = count(v.type().tensor_type().shape().dim_size());
  return info;
}

lp_onnx_dimension lp_onnx_value_dimension(const lp_onnx_value *value, size_t index) {
  const auto &dimension = of(value).type().tensor_type().shape().dim(at(index));
  switch (dimension.value_case()) {
    case onnx::TensorShapeProto_Dimension::kDimValue:
      return {LP_ONNX_DIMENSION_FIXED, dimension.dim_value(), {nullptr, 0}};
    case onnx::TensorShapeProto_Dimension::kDimParam:
      return {LP_ONNX_DIMENSION_NAMED, 0, text(dimension.dim_param())};
    default: return {LP_ONNX_DIMENSION_UNKNOWN, 0, {nullptr, 0}};
  }
}
