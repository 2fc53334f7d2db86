// SPDX-License-Identifier: Apache-2.0
//
// The messages of an ONNX file, with the fields that the loader reads. Texts lie in the file.
#pragma once

#include "connx.h"

#include <memory>
#include <vector>

/// A message is the opaque C type of its name; it lies apart, so that its address stays.
template <class Message> using Messages = std::vector<std::unique_ptr<Message>>;

struct lp_onnx_tensor {
  lp_onnx_text name = {};
  int32_t type = 0;
  std::vector<int64_t> dimensions;
  bool isExternal = false;
  bool isSegment = false;
  bool hasRaw = false;
  uint64_t rawOffset = 0;
  uint64_t rawSize = 0;
  std::vector<float> floats;
  std::vector<int32_t> int32s;
  std::vector<int64_t> int64s;
  std::vector<double> doubles;
  std::vector<uint64_t> uint64s;
  std::vector<lp_onnx_entry> external;
};

struct lp_onnx_sparse {
  std::unique_ptr<lp_onnx_tensor> values;
  std::unique_ptr<lp_onnx_tensor> indices;
  std::vector<int64_t> dimensions;
};

struct lp_onnx_value {
  lp_onnx_text name = {};
  lp_onnx_value_kind kind = LP_ONNX_VALUE_UNDECLARED;
  int32_t type = 0;
  bool hasShape = false;
  std::vector<lp_onnx_dimension> shape;
};

struct lp_onnx_attribute {
  lp_onnx_text name = {};
  lp_onnx_text reference = {};
  lp_onnx_attribute_type type = LP_ONNX_ATTRIBUTE_UNKNOWN;
  bool hasType = false;
  bool hasFloat = false;
  bool hasInt = false;
  bool hasString = false;
  float f = 0;
  int64_t i = 0;
  lp_onnx_text s = {};
  std::unique_ptr<lp_onnx_tensor> tensor;
  std::unique_ptr<lp_onnx_graph> graph;
  std::unique_ptr<lp_onnx_sparse> sparse;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<lp_onnx_text> strings;
};

struct lp_onnx_node {
  lp_onnx_text operation = {};
  lp_onnx_text domain = {};
  lp_onnx_text name = {};
  std::vector<lp_onnx_text> inputs;
  std::vector<lp_onnx_text> outputs;
  Messages<lp_onnx_attribute> attributes;
  std::vector<lp_onnx_entry> metadata;
};

struct lp_onnx_graph {
  lp_onnx_text name = {};
  Messages<lp_onnx_node> nodes;
  Messages<lp_onnx_tensor> initializers;
  Messages<lp_onnx_sparse> sparseInitializers;
  Messages<lp_onnx_value> inputs;
  Messages<lp_onnx_value> outputs;
};

struct lp_onnx_function {
  lp_onnx_text name = {};
  lp_onnx_text domain = {};
  std::vector<lp_onnx_text> inputs;
  std::vector<lp_onnx_text> outputs;
  Messages<lp_onnx_node> nodes;
  std::vector<lp_onnx_opset> opsets;
  Messages<lp_onnx_attribute> defaults;
};

struct lp_onnx_model {
  std::unique_ptr<lp_onnx_graph> graph;
  std::vector<lp_onnx_opset> opsets;
  std::vector<lp_onnx_entry> metadata;
  Messages<lp_onnx_function> functions;
};
