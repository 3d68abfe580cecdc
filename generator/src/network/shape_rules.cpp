// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/shape_rules.h"

#include <utility>

#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {

bool HasInput(const Node& node, size_t position) {
  return position < node.inputs.size() && node.inputs[position] >= 0;
}

const Tensor& Input(const Graph& graph, const Node& node, size_t position) {
  if (!HasInput(node, position)) {
    RefuseNode(graph, node, "input {} is left out", position);
  }
  return graph.tensors[node.inputs[position]];
}

const Tensor& AnyData(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = Input(graph, node, position);
  if (!tensor.is_data()) {
    RefuseNode(graph, node, "input {} {} must be an activation with the batch as first dimension",
               position, Quote(tensor.name));
  }
  return tensor;
}

const Tensor& FloatData(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = AnyData(graph, node, position);
  if (tensor.type != ElementType::kFloat) {
    RefuseNode(graph, node, "input {} {} has element type INT64; accepted: FLOAT", position,
               Quote(tensor.name));
  }
  return tensor;
}

const Tensor& DataInput(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = FloatData(graph, node, position);
  if (tensor.batch_axis != 0) {
    RefuseNode(graph, node, "input {} {} has the batch as dimension {}; accepted: the first",
               position, Quote(tensor.name), tensor.batch_axis);
  }
  return tensor;
}

const Tensor& ParameterInput(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = Input(graph, node, position);
  if (!tensor.is_parameter || tensor.type != ElementType::kFloat) {
    RefuseNode(graph, node, "input {} {} must be a float initialiser or a parameter input",
               position, Quote(tensor.name));
  }
  return tensor;
}

const Tensor& ParameterOfShape(const Graph& graph, const Node& node, size_t position,
                               const char* what, const std::vector<int64_t>& shape) {
  const Tensor& tensor = ParameterInput(graph, node, position);
  if (tensor.shape != shape) {
    RefuseNode(graph, node, "shape mismatch: {} {} is {}; accepted: {}", what, Quote(tensor.name),
               ShapeText(tensor.shape), ShapeText(shape));
  }
  return tensor;
}

const std::vector<int64_t>& ConstantInts(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = Input(graph, node, position);
  if (tensor.type != ElementType::kInt64 || tensor.ints.empty() || tensor.shape.size() > 1) {
    RefuseNode(graph, node, "input {} {} must be a constant list of integers", position,
               Quote(tensor.name));
  }
  return tensor.ints;
}

void RefuseInputsBefore(const Graph& graph, const Node& node, int64_t opset) {
  if (graph.opset < opset && node.inputs.size() > 1) {
    RefuseNode(graph, node, "{} inputs come with opset {}; the file is of opset {}",
               node.inputs.size(), opset, graph.opset);
  }
}

std::vector<int64_t> FileShape(const Tensor& tensor) {
  std::vector<int64_t> shape = tensor.shape;
  for (int64_t i = 0; tensor.is_data() && i < tensor.batch_axis; ++i) {
    std::swap(shape[i], shape[i + 1]);
  }
  return shape;
}

int64_t FileAxis(const Graph& graph, const Node& node, int64_t axis, size_t rank) {
  const auto dims = static_cast<int64_t>(rank);
  if (axis < -dims || axis >= dims) {
    RefuseNode(graph, node, "axis {} of {} dimensions; accepted: {} to {}", axis, dims, -dims,
               dims - 1);
  }
  return axis < 0 ? axis + dims : axis;
}

int64_t BehindBatch(int64_t file_axis, int64_t batch_axis) {
  if (file_axis == batch_axis) return 0;
  return file_axis < batch_axis ? file_axis + 1 : file_axis;
}

int64_t GraphAxis(const Graph& graph, const Node& node, const Tensor& tensor, int64_t axis) {
  const int64_t in_file = FileAxis(graph, node, axis, tensor.shape.size());
  if (in_file == tensor.batch_axis) {
    RefuseNode(graph, node, "axis {} of {} is the batch and mixes samples; accepted: other axes",
               axis, Quote(tensor.name));
  }
  return BehindBatch(in_file, tensor.batch_axis);
}

void SetShapeOf(Graph& graph, const Node& node, size_t output, std::vector<int64_t> shape,
                int64_t batch_axis) {
  if (node.outputs[output] < 0) return;
  Tensor& tensor = graph.tensors[node.outputs[output]];
  tensor.shape = std::move(shape);
  tensor.batch_axis = batch_axis;
}

void SetShape(Graph& graph, const Node& node, std::vector<int64_t> shape, int64_t batch_axis) {
  SetShapeOf(graph, node, 0, std::move(shape), batch_axis);
}

}  // namespace vaultrain
