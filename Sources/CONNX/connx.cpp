// SPDX-License-Identifier: Apache-2.0
#include "connx.h"

#include <cstring>
#include <new>

#include "decoder.h"

namespace {

void report(const char *what, char *message, size_t size) {
  if (size == 0) return;
  std::strncpy(message, what, size - 1);
  message[size - 1] = '\0';
}

/// IR versions 1 and 2 do not store the type.
lp_onnx_attribute_type type(const lp_onnx_attribute &a) {
  if (a.hasType) return a.type;
  if (a.hasFloat) return LP_ONNX_ATTRIBUTE_FLOAT;
  if (a.hasInt) return LP_ONNX_ATTRIBUTE_INT;
  if (a.hasString) return LP_ONNX_ATTRIBUTE_STRING;
  if (a.tensor) return LP_ONNX_ATTRIBUTE_TENSOR;
  if (a.graph) return LP_ONNX_ATTRIBUTE_GRAPH;
  if (!a.floats.empty()) return LP_ONNX_ATTRIBUTE_FLOATS;
  if (!a.ints.empty()) return LP_ONNX_ATTRIBUTE_INTS;
  if (!a.strings.empty()) return LP_ONNX_ATTRIBUTE_STRINGS;
  return LP_ONNX_ATTRIBUTE_UNKNOWN;
}

}  // namespace

lp_onnx_status lp_onnx_read(
  const void *bytes, size_t size, lp_onnx_model **model, char *message, size_t message_size) {
  try {
    *model = connx::decode({static_cast<const uint8_t *>(bytes), size}).release();
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
  }
}

void lp_onnx_free(lp_onnx_model *model) { delete model; }

lp_onnx_model_info lp_onnx_model_get(const lp_onnx_model *m) {
  return {m->graph.get(), m->opsets.size(), m->metadata.size(), m->functions.size()};
}

lp_onnx_opset lp_onnx_model_opset(const lp_onnx_model *model, size_t index) { return model->opsets[index]; }
lp_onnx_entry lp_onnx_model_metadata(const lp_onnx_model *model, size_t index) { return model->metadata[index]; }

const lp_onnx_function *lp_onnx_model_function(const lp_onnx_model *model, size_t index) {
  return model->functions[index].get();
}

lp_onnx_function_info lp_onnx_function_get(const lp_onnx_function *f) {
  return {f->name,           f->domain,        f->inputs.size(),  f->outputs.size(),
          f->nodes.size(),   f->opsets.size(), f->defaults.size()};
}

lp_onnx_text lp_onnx_function_input(const lp_onnx_function *function, size_t index) {
  return function->inputs[index];
}

lp_onnx_text lp_onnx_function_output(const lp_onnx_function *function, size_t index) {
  return function->outputs[index];
}

const lp_onnx_node *lp_onnx_function_node(const lp_onnx_function *function, size_t index) {
  return function->nodes[index].get();
}

lp_onnx_opset lp_onnx_function_opset(const lp_onnx_function *function, size_t index) {
  return function->opsets[index];
}

const lp_onnx_attribute *lp_onnx_function_default(const lp_onnx_function *function, size_t index) {
  return function->defaults[index].get();
}

lp_onnx_graph_info lp_onnx_graph_get(const lp_onnx_graph *g) {
  return {
    g->name, g->nodes.size(), g->initializers.size(), g->sparseInitializers.size(), g->inputs.size(),
    g->outputs.size()};
}

const lp_onnx_node *lp_onnx_graph_node(const lp_onnx_graph *graph, size_t index) {
  return graph->nodes[index].get();
}

const lp_onnx_tensor *lp_onnx_graph_initializer(const lp_onnx_graph *graph, size_t index) {
  return graph->initializers[index].get();
}

const lp_onnx_sparse *lp_onnx_graph_sparse_initializer(const lp_onnx_graph *graph, size_t index) {
  return graph->sparseInitializers[index].get();
}

const lp_onnx_value *lp_onnx_graph_input(const lp_onnx_graph *graph, size_t index) {
  return graph->inputs[index].get();
}

const lp_onnx_value *lp_onnx_graph_output(const lp_onnx_graph *graph, size_t index) {
  return graph->outputs[index].get();
}

lp_onnx_node_info lp_onnx_node_get(const lp_onnx_node *n) {
  return {n->operation, n->domain, n->name, n->inputs.size(), n->outputs.size(), n->attributes.size(), n->metadata.size()};
}

lp_onnx_text lp_onnx_node_input(const lp_onnx_node *node, size_t index) { return node->inputs[index]; }
lp_onnx_text lp_onnx_node_output(const lp_onnx_node *node, size_t index) { return node->outputs[index]; }

lp_onnx_entry lp_onnx_node_metadata(const lp_onnx_node *node, size_t index) { return node->metadata[index]; }

const lp_onnx_attribute *lp_onnx_node_attribute(const lp_onnx_node *node, size_t index) {
  return node->attributes[index].get();
}

lp_onnx_attribute_info lp_onnx_attribute_get(const lp_onnx_attribute *a) {
  lp_onnx_attribute_info info = {};
  info.name = a->name;
  info.reference = a->reference;
  info.type = type(*a);
  info.f = a->f;
  info.i = a->i;
  info.s = a->s;
  info.t = a->tensor.get();
  info.g = a->graph.get();
  info.sparse = a->sparse.get();
  info.floats = a->floats.data();
  info.float_count = a->floats.size();
  info.ints = a->ints.data();
  info.int_count = a->ints.size();
  info.string_count = a->strings.size();
  return info;
}

lp_onnx_text lp_onnx_attribute_string(const lp_onnx_attribute *attribute, size_t index) {
  return attribute->strings[index];
}

lp_onnx_tensor_info lp_onnx_tensor_get(const lp_onnx_tensor *t) {
  lp_onnx_tensor_info info = {};
  info.name = t->name;
  info.type = t->type;
  info.dimensions = t->dimensions.data();
  info.rank = t->dimensions.size();
  info.is_external = t->isExternal;
  info.is_segment = t->isSegment;
  info.has_raw = t->hasRaw;
  info.raw_offset = t->rawOffset;
  info.raw_size = t->rawSize;
  info.floats = t->floats.data();
  info.float_count = t->floats.size();
  info.int32s = t->int32s.data();
  info.int32_count = t->int32s.size();
  info.int64s = t->int64s.data();
  info.int64_count = t->int64s.size();
  info.doubles = t->doubles.data();
  info.double_count = t->doubles.size();
  info.uint64s = t->uint64s.data();
  info.uint64_count = t->uint64s.size();
  info.external_count = t->external.size();
  return info;
}

lp_onnx_entry lp_onnx_tensor_external(const lp_onnx_tensor *tensor, size_t index) { return tensor->external[index]; }

lp_onnx_sparse_info lp_onnx_sparse_get(const lp_onnx_sparse *s) {
  return {s->values.get(), s->indices.get(), s->dimensions.data(), s->dimensions.size()};
}

lp_onnx_value_info lp_onnx_value_get(const lp_onnx_value *v) {
  return {v->name, v->kind, v->type, v->hasShape, v->shape.size()};
}

lp_onnx_dimension lp_onnx_value_dimension(const lp_onnx_value *value, size_t index) { return value->shape[index]; }
