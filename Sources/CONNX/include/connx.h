// SPDX-License-Identifier: Apache-2.0
//
// The messages of an ONNX file, read by a decoder of our own: protobuf's classes in one process with those of a host are a
// danger to both (docs/robustness.md).
//
// `lp_onnx_read` is the only function that can fail. All others read what it made: they neither allocate nor
// throw, an index must be below the count that the matching `*_info` gives, and what they return lives as
// long as the model.
#ifndef CONNX_H
#define CONNX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lp_onnx_model lp_onnx_model;
typedef struct lp_onnx_graph lp_onnx_graph;
typedef struct lp_onnx_node lp_onnx_node;
typedef struct lp_onnx_attribute lp_onnx_attribute;
typedef struct lp_onnx_tensor lp_onnx_tensor;
typedef struct lp_onnx_value lp_onnx_value;
typedef struct lp_onnx_function lp_onnx_function;
typedef struct lp_onnx_sparse lp_onnx_sparse;

/// Bytes of the file: not terminated, not necessarily UTF-8.
typedef struct {
  const char *bytes;
  size_t count;
} lp_onnx_text;

typedef struct {
  lp_onnx_text key;
  lp_onnx_text value;
} lp_onnx_entry;

typedef enum {
  LP_ONNX_OK = 0,
  /// Not a model, or one beyond the reader's limits.
  LP_ONNX_MALFORMED = 1,
  LP_ONNX_NO_MEMORY = 2,
  LP_ONNX_INTERNAL = 3
} lp_onnx_status;

/// Reads a serialised ModelProto. `raw_data` of tensors is not copied: `lp_onnx_tensor_info` says where it
/// lies in `bytes`, where texts lie too: they must stay until `lp_onnx_free`. On failure `*model` is untouched and `message` (terminated,
/// at most `message_size` bytes) says why.
lp_onnx_status lp_onnx_read(
  const void *bytes, size_t size, lp_onnx_model **model, char *message, size_t message_size);
void lp_onnx_free(lp_onnx_model *model);

typedef struct {
  /// NULL if the file has none.
  const lp_onnx_graph *graph;
  size_t opset_count;
  size_t metadata_count;
  size_t function_count;
} lp_onnx_model_info;

typedef struct {
  lp_onnx_text domain;
  int64_t version;
} lp_onnx_opset;

lp_onnx_model_info lp_onnx_model_get(const lp_onnx_model *model);
lp_onnx_opset lp_onnx_model_opset(const lp_onnx_model *model, size_t index);
lp_onnx_entry lp_onnx_model_metadata(const lp_onnx_model *model, size_t index);
const lp_onnx_function *lp_onnx_model_function(const lp_onnx_model *model, size_t index);

/// A function of the model's own: what its calls stand for.
typedef struct {
  lp_onnx_text name;
  lp_onnx_text domain;
  size_t input_count;
  size_t output_count;
  size_t node_count;
  size_t opset_count;
  /// Attributes that have a value where a call does not give them.
  size_t default_count;
} lp_onnx_function_info;

lp_onnx_function_info lp_onnx_function_get(const lp_onnx_function *function);
lp_onnx_text lp_onnx_function_input(const lp_onnx_function *function, size_t index);
lp_onnx_text lp_onnx_function_output(const lp_onnx_function *function, size_t index);
const lp_onnx_node *lp_onnx_function_node(const lp_onnx_function *function, size_t index);
lp_onnx_opset lp_onnx_function_opset(const lp_onnx_function *function, size_t index);
const lp_onnx_attribute *lp_onnx_function_default(const lp_onnx_function *function, size_t index);

typedef struct {
  lp_onnx_text name;
  size_t node_count;
  size_t initializer_count;
  size_t sparse_initializer_count;
  size_t input_count;
  size_t output_count;
} lp_onnx_graph_info;

lp_onnx_graph_info lp_onnx_graph_get(const lp_onnx_graph *graph);
const lp_onnx_node *lp_onnx_graph_node(const lp_onnx_graph *graph, size_t index);
const lp_onnx_tensor *lp_onnx_graph_initializer(const lp_onnx_graph *graph, size_t index);
const lp_onnx_sparse *lp_onnx_graph_sparse_initializer(const lp_onnx_graph *graph, size_t index);
const lp_onnx_value *lp_onnx_graph_input(const lp_onnx_graph *graph, size_t index);
const lp_onnx_value *lp_onnx_graph_output(const lp_onnx_graph *graph, size_t index);

typedef struct {
  lp_onnx_text operation;
  lp_onnx_text domain;
  lp_onnx_text name;
  size_t input_count;
  size_t output_count;
  size_t attribute_count;
  size_t metadata_count;
} lp_onnx_node_info;

lp_onnx_node_info lp_onnx_node_get(const lp_onnx_node *node);
lp_onnx_text lp_onnx_node_input(const lp_onnx_node *node, size_t index);
lp_onnx_text lp_onnx_node_output(const lp_onnx_node *node, size_t index);
const lp_onnx_attribute *lp_onnx_node_attribute(const lp_onnx_node *node, size_t index);
lp_onnx_entry lp_onnx_node_metadata(const lp_onnx_node *node, size_t index);

/// Numbered as `AttributeProto.AttributeType`.
typedef enum {
  LP_ONNX_ATTRIBUTE_UNKNOWN = 0,
  LP_ONNX_ATTRIBUTE_FLOAT = 1,
  LP_ONNX_ATTRIBUTE_INT = 2,
  LP_ONNX_ATTRIBUTE_STRING = 3,
  LP_ONNX_ATTRIBUTE_TENSOR = 4,
  LP_ONNX_ATTRIBUTE_GRAPH = 5,
  LP_ONNX_ATTRIBUTE_FLOATS = 6,
  LP_ONNX_ATTRIBUTE_INTS = 7,
  LP_ONNX_ATTRIBUTE_STRINGS = 8,
  LP_ONNX_ATTRIBUTE_TENSORS = 9,
  LP_ONNX_ATTRIBUTE_GRAPHS = 10,
  LP_ONNX_ATTRIBUTE_SPARSE_TENSOR = 11,
  LP_ONNX_ATTRIBUTE_SPARSE_TENSORS = 12,
  LP_ONNX_ATTRIBUTE_TYPE_PROTO = 13,
  LP_ONNX_ATTRIBUTE_TYPE_PROTOS = 14
} lp_onnx_attribute_type;

typedef struct {
  lp_onnx_text name;
  /// Of the function attribute that this one stands for; empty outside of functions.
  lp_onnx_text reference;
  /// Told from the fields present where an old file does not say it.
  lp_onnx_attribute_type type;
  float f;
  int64_t i;
  lp_onnx_text s;
  /// NULL if absent.
  const lp_onnx_tensor *t;
  /// NULL if absent.
  const lp_onnx_graph *g;
  /// NULL if absent.
  const lp_onnx_sparse *sparse;
  const float *floats;
  size_t float_count;
  const int64_t *ints;
  size_t int_count;
  size_t string_count;
} lp_onnx_attribute_info;

lp_onnx_attribute_info lp_onnx_attribute_get(const lp_onnx_attribute *attribute);
lp_onnx_text lp_onnx_attribute_string(const lp_onnx_attribute *attribute, size_t index);

typedef struct {
  lp_onnx_text name;
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
} lp_onnx_tensor_info;

lp_onnx_tensor_info lp_onnx_tensor_get(const lp_onnx_tensor *tensor);
lp_onnx_entry lp_onnx_tensor_external(const lp_onnx_tensor *tensor, size_t index);

/// The elements of a tensor that are not zero.
typedef struct {
  /// Of rank 1; its name is that of the sparse tensor. NULL if absent.
  const lp_onnx_tensor *values;
  /// Where they stand: one number each, or one for each axis. NULL if absent.
  const lp_onnx_tensor *indices;
  const int64_t *dimensions;
  size_t rank;
} lp_onnx_sparse_info;

lp_onnx_sparse_info lp_onnx_sparse_get(const lp_onnx_sparse *sparse);

typedef enum { LP_ONNX_VALUE_UNDECLARED = 0, LP_ONNX_VALUE_TENSOR = 1, LP_ONNX_VALUE_OTHER = 2 } lp_onnx_value_kind;

typedef struct {
  lp_onnx_text name;
  lp_onnx_value_kind kind;
  /// `TensorProto.DataType`, 0 if the file does not say.
  int32_t type;
  int has_shape;
  size_t rank;
} lp_onnx_value_info;

typedef enum {
  LP_ONNX_DIMENSION_UNKNOWN = 0,
  LP_ONNX_DIMENSION_FIXED = 1,
  LP_ONNX_DIMENSION_NAMED = 2
} lp_onnx_dimension_kind;

typedef struct {
  lp_onnx_dimension_kind kind;
  int64_t extent;
  lp_onnx_text name;
} lp_onnx_dimension;

lp_onnx_value_info lp_onnx_value_get(const lp_onnx_value *value);
lp_onnx_dimension lp_onnx_value_dimension(const lp_onnx_value *value, size_t index);

#ifdef __cplusplus
}
#endif

#endif
