// SPDX-License-Identifier: Apache-2.0
//
// ONNX messages behind a plain C interface, because Swift cannot import protobuf's C++ headers.
//
// `xi_onnx_read` is the only function that can fail. All others read what it made: they neither allocate nor
// throw, an index must be below the count that the matching `*_info` gives, and what they return lives as
// long as the model.
#ifndef CONNX_H
#define CONNX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xi_onnx_model xi_onnx_model;
typedef struct xi_onnx_graph xi_onnx_graph;
typedef struct xi_onnx_node xi_onnx_node;
typedef struct xi_onnx_attribute xi_onnx_attribute;
typedef struct xi_onnx_tensor xi_onnx_tensor;
typedef struct xi_onnx_value xi_onnx_value;
typedef struct xi_onnx_function xi_onnx_function;
typedef struct xi_onnx_sparse xi_onnx_sparse;

/// Bytes of the file: not terminated, not necessarily UTF-8.
typedef struct {
  const char *bytes;
  size_t count;
} xi_onnx_text;

typedef struct {
  xi_onnx_text key;
  xi_onnx_text value;
} xi_onnx_entry;

typedef enum {
  XI_ONNX_OK = 0,
  /// Not a model, or one beyond the reader's limits.
  XI_ONNX_MALFORMED = 1,
  XI_ONNX_NO_MEMORY = 2,
  XI_ONNX_INTERNAL = 3
} xi_onnx_status;

/// Reads a serialised ModelProto. `raw_data` of tensors is not copied: `xi_onnx_tensor_info` says where it
/// lies in `bytes`, which may go away afterwards. On failure `*model` is untouched and `message` (terminated,
/// at most `message_size` bytes) says why.
xi_onnx_status xi_onnx_read(
  const void *bytes, size_t size, xi_onnx_model **model, char *message, size_t message_size);
void xi_onnx_free(xi_onnx_model *model);

typedef struct {
  /// NULL if the file has none.
  const xi_onnx_graph *graph;
  size_t opset_count;
  size_t metadata_count;
  size_t function_count;
} xi_onnx_model_info;

typedef struct {
  xi_onnx_text domain;
  int64_t version;
} xi_onnx_opset;

xi_onnx_model_info xi_onnx_model_get(const xi_onnx_model *model);
xi_onnx_opset xi_onnx_model_opset(const xi_onnx_model *model, size_t index);
xi_onnx_entry xi_onnx_model_metadata(const xi_onnx_model *model, size_t index);
const xi_onnx_function *xi_onnx_model_function(const xi_onnx_model *model, size_t index);

/// A function of the model's own: what its calls stand for.
typedef struct {
  xi_onnx_text name;
  xi_onnx_text domain;
  size_t input_count;
  size_t output_count;
  size_t node_count;
  size_t opset_count;
  /// Attributes that have a value where a call does not give them.
  size_t default_count;
} xi_onnx_function_info;

xi_onnx_function_info xi_onnx_function_get(const xi_onnx_function *function);
xi_onnx_text xi_onnx_function_input(const xi_onnx_function *function, size_t index);
xi_onnx_text xi_onnx_function_output(const xi_onnx_function *function, size_t index);
const xi_onnx_node *xi_onnx_function_node(const xi_onnx_function *function, size_t index);
xi_onnx_opset xi_onnx_function_opset(const xi_onnx_function *function, size_t index);
const xi_onnx_attribute *xi_onnx_function_default(const xi_onnx_function *function, size_t index);

typedef struct {
  xi_onnx_text name;
  size_t node_count;
  size_t initializer_count;
  size_t sparse_initializer_count;
  size_t input_count;
  size_t output_count;
} xi_onnx_graph_info;

xi_onnx_graph_info xi_onnx_graph_get(const xi_onnx_graph *graph);
const xi_onnx_node *xi_onnx_graph_node(const xi_onnx_graph *graph, size_t index);
const xi_onnx_tensor *xi_onnx_graph_initializer(const xi_onnx_graph *graph, size_t index);
const xi_onnx_sparse *xi_onnx_graph_sparse_initializer(const xi_onnx_graph *graph, size_t index);
const xi_onnx_value *xi_onnx_graph_input(const xi_onnx_graph *graph, size_t index);
const xi_onnx_value *xi_onnx_graph_output(const xi_onnx_graph *graph, size_t index);

typedef struct {
  xi_onnx_text operation;
  xi_onnx_text domain;
  xi_onnx_text name;
  size_t input_count;
  size_t output_count;
  size_t attribute_count;
} xi_onnx_node_info;

xi_onnx_node_info xi_onnx_node_get(const xi_onnx_node *node);
xi_onnx_text xi_onnx_node_input(const xi_onnx_node *node, size_t index);
xi_onnx_text xi_onnx_node_output(const xi_onnx_node *node, size_t index);
const xi_onnx_attribute *xi_onnx_node_attribute(const xi_onnx_node *node, size_t index);

/// Numbered as `AttributeProto.AttributeType`.
typedef enum {
  XI_ONNX_ATTRIBUTE_UNKNOWN = 0,
  XI_ONNX_ATTRIBUTE_FLOAT = 1,
  XI_ONNX_ATTRIBUTE_INT = 2,
  XI_ONNX_ATTRIBUTE_STRING = 3,
  XI_ONNX_ATTRIBUTE_TENSOR = 4,
  XI_ONNX_ATTRIBUTE_GRAPH = 5,
  XI_ONNX_ATTRIBUTE_FLOATS = 6,
  XI_ONNX_ATTRIBUTE_INTS = 7,
  XI_ONNX_ATTRIBUTE_STRINGS = 8,
  XI_ONNX_ATTRIBUTE_TENSORS = 9,
  XI_ONNX_ATTRIBUTE_GRAPHS = 10,
  XI_ONNX_ATTRIBUTE_SPARSE_TENSOR = 11,
  XI_ONNX_ATTRIBUTE_SPARSE_TENSORS = 12,
  XI_ONNX_ATTRIBUTE_TYPE_PROTO = 13,
  XI_ONNX_ATTRIBUTE_TYPE_PROTOS = 14
} xi_onnx_attribute_type;

typedef struct {
  xi_onnx_text name;
  /// Of the function attribute that this one stands for; empty outside of functions.
  xi_onnx_text reference;
  /// Told from the fields present where an old file does not say it.
  xi_onnx_attribute_type type;
  float f;
  int64_t i;
  xi_onnx_text s;
  /// NULL if absent.
  const xi_onnx_tensor *t;
  /// NULL if absent.
  const xi_onnx_graph *g;
  /// NULL if absent.
  const xi_onnx_sparse *sparse;
  const float *floats;
  size_t float_count;
  const int64_t *ints;
  size_t int_count;
  size_t string_count;
} xi_onnx_attribute_info;

xi_onnx_attribute_info xi_onnx_attribute_get(const xi_onnx_attribute *attribute);
xi_onnx_text xi_onnx_attribute_string(const xi_onnx_attribute *attribute, size_t index);

typedef struct {
  xi_onnx_text name;
  /// `TensorProto.DataType`.
  int32_t type;
  const int64_t *dimensions;
  size_t rank;
  int is_external;
  int is_segment;
  /// Whether `raw_offset` and `raw_size` say where the elements lie in the bytes that were read.
  int has_raw;
  uint64_t raw_offset;
  uint64_t raw_size;
  const float *floats;
  size_t float_count;
  const int32_t *int32s;
  size_t int32_count;
  const int64_t *int64s;
  size_t int64_count;
  const double *doubles;
  size_t double_count;
  const uint64_t *uint64s;
  size_t uint64_count;
  size_t external_count;
} xi_onnx_tensor_info;

xi_onnx_tensor_info xi_onnx_tensor_get(const xi_onnx_tensor *tensor);
xi_onnx_entry xi_onnx_tensor_external(const xi_onnx_tensor *tensor, size_t index);

/// The elements of a tensor that are not zero.
typedef struct {
  /// Of rank 1; its name is that of the sparse tensor. NULL if absent.
  const xi_onnx_tensor *values;
  /// Where they stand: one number each, or one for each axis. NULL if absent.
  const xi_onnx_tensor *indices;
  const int64_t *dimensions;
  size_t rank;
} xi_onnx_sparse_info;

xi_onnx_sparse_info xi_onnx_sparse_get(const xi_onnx_sparse *sparse);

typedef enum { XI_ONNX_VALUE_UNDECLARED = 0, XI_ONNX_VALUE_TENSOR = 1, XI_ONNX_VALUE_OTHER = 2 } xi_onnx_value_kind;

typedef struct {
  xi_onnx_text name;
  xi_onnx_value_kind kind;
  /// `TensorProto.DataType`, 0 if the file does not say.
  int32_t type;
  int has_shape;
  size_t rank;
} xi_onnx_value_info;

typedef enum {
  XI_ONNX_DIMENSION_UNKNOWN = 0,
  XI_ONNX_DIMENSION_FIXED = 1,
  XI_ONNX_DIMENSION_NAMED = 2
} xi_onnx_dimension_kind;

typedef struct {
  xi_onnx_dimension_kind kind;
  int64_t extent;
  xi_onnx_text name;
} xi_onnx_dimension;

xi_onnx_value_info xi_onnx_value_get(const xi_onnx_value *value);
xi_onnx_dimension xi_onnx_value_dimension(const xi_onnx_value *value, size_t index);

#ifdef __cplusplus
}
#endif

#endif
