// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The operator table: which ONNX operators a graph may hold, with what attributes, and the shape
// rule of each.

#include <fmt/ranges.h>

#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// "FILE: node 'fc1' (Gemm)", the head of every message about a node.
std::string Where(const Graph& graph, const Node& node) {
  return fmt::format("{}: node {} ({})", graph.file, Quote(node.name), OperatorOf(node.kind).name);
}

const Tensor& Input(const Graph& graph, const Node& node, size_t position) {
  return graph.tensors[node.inputs[position]];
}

bool HasInput(const Node& node, size_t position) {
  return position < node.inputs.size() && node.inputs[position] >= 0;
}

const Tensor& DataInput(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = Input(graph, node, position);
  if (!tensor.is_data()) {
    RefuseInput("{}: input {} {} must be an activation with the batch as first dimension",
                Where(graph, node), position, Quote(tensor.name));
  }
  return tensor;
}

const Tensor& ParameterInput(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = Input(graph, node, position);
  if (!tensor.is_parameter || tensor.type != ElementType::kFloat) {
    RefuseInput("{}: input {} {} must be a float initialiser or a parameter input",
                Where(graph, node), position, Quote(tensor.name));
  }
  return tensor;
}

void SetShape(Graph& graph, const Node& node, std::vector<int64_t> shape) {
  graph.tensors[node.outputs[0]].shape = std::move(shape);
}

// Data [N,in] times a weight matrix whose dimension in_axis counts inputs.
void InferProduct(Graph& graph, const Node& node, int in_axis) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& weight = ParameterInput(graph, node, 1);
  if (data.shape.size() != 2 || weight.shape.size() != 2) {
    RefuseInput("{}: {} {} and {} {} must both have two dimensions", Where(graph, node),
                Quote(data.name), ShapeText(data.shape), Quote(weight.name),
                ShapeText(weight.shape));
  }
  if (data.shape[1] != weight.shape[in_axis]) {
    RefuseInput("{}: shape mismatch: {} has {} features, {} {} accepts {}", Where(graph, node),
                Quote(data.name), data.shape[1], Quote(weight.name), ShapeText(weight.shape),
                weight.shape[in_axis]);
  }
  SetShape(graph, node, {kBatchDim, weight.shape[1 - in_axis]});
}

// Whether a parameter can be added to each sample of data: aligned right, dimensions equal or 1,
// nothing along the batch.
bool Broadcasts(const std::vector<int64_t>& parameter, const std::vector<int64_t>& data) {
  if (parameter.size() > data.size()) return false;
  for (size_t i = 1; i <= parameter.size(); ++i) {
    int64_t from = parameter[parameter.size() - i];
    if (from != 1 && from != data[data.size() - i]) return false;
  }
  return true;
}

void InferGemm(Graph& graph, const Node& node) {
  InferProduct(graph, node, node.Int("transB") ? 1 : 0);
  if (!HasInput(node, 2)) return;
  const Tensor& bias = ParameterInput(graph, node, 2);
  const std::vector<int64_t>& shape = graph.tensors[node.outputs[0]].shape;
  if (!Broadcasts(bias.shape, shape)) {
    RefuseInput("{}: shape mismatch: bias {} {} does not broadcast to {}", Where(graph, node),
                Quote(bias.name), ShapeText(bias.shape), ShapeText(shape));
  }
}

void InferMatMul(Graph& graph, const Node& node) { InferProduct(graph, node, 0); }

void InferAdd(Graph& graph, const Node& node) {
  bool parameter_first = !Input(graph, node, 0).is_data();
  const Tensor& data = DataInput(graph, node, parameter_first);
  const Tensor& other = Input(graph, node, !parameter_first);
  bool fits = other.is_data() ? other.shape == data.shape : Broadcasts(other.shape, data.shape);
  if (other.type != ElementType::kFloat || !fits) {
    RefuseInput("{}: shape mismatch: {} {} does not broadcast to {} {}", Where(graph, node),
                Quote(other.name), ShapeText(other.shape), Quote(data.name), ShapeText(data.shape));
  }
  SetShape(graph, node, data.shape);
}

void InferSame(Graph& graph, const Node& node) {
  SetShape(graph, node, DataInput(graph, node, 0).shape);
}

void InferFlatten(Graph& graph, const Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  int64_t axis = node.Int("axis");
  if (axis < 0) axis += static_cast<int64_t>(data.shape.size());
  if (axis != 1) {
    RefuseInput("{}: axis {} mixes samples; accepted: 1", Where(graph, node), node.Int("axis"));
  }
  SetShape(graph, node, {kBatchDim, Elements(data.shape)});
}

void InferReshape(Graph& graph, const Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& target = Input(graph, node, 1);
  if (target.type != ElementType::kInt64 || target.ints.empty() || target.shape.size() != 1) {
    RefuseInput("{}: the target shape {} must be a constant list of int64", Where(graph, node),
                Quote(target.name));
  }
  auto refuse = [&] {
    RefuseInput(
        "{}: cannot reshape {} to [{}]; accepted: the batch first (as 0, -1 or its number), then "
        "dimensions that hold {} features",
        Where(graph, node), ShapeText(data.shape), fmt::join(target.ints, ","),
        Elements(data.shape));
  };
  std::vector<int64_t> shape = target.ints;
  if (shape.size() > 8 || shape.size() < 2) refuse();
  int wildcard = -1;
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && node.Int("allowzero") == 0) {
      if (i >= data.shape.size()) refuse();
      shape[i] = data.shape[i];
      if (i == 0) continue;
    } else if (shape[i] == -1) {
      if (wildcard >= 0) refuse();
      wildcard = static_cast<int>(i);
      continue;
    } else if (i == 0) {
      if (graph.file_batch == 0 || shape[i] != graph.file_batch) refuse();
      continue;
    }
    if (shape[i] <= 0 || shape[i] > kMaxElements / known) refuse();
    known *= shape[i];
  }
  shape[0] = kBatchDim;
  int64_t features = Elements(data.shape);
  if (wildcard > 0) {
    if (features % known != 0) refuse();
    shape[wildcard] = features / known;
    known = features;
  }
  if (known != features) refuse();
  SetShape(graph, node, shape);
}

void InferSoftmax(Graph& graph, const Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  int64_t axis = node.Int("axis");
  if (axis < 0) axis += static_cast<int64_t>(data.shape.size());
  if (data.shape.size() != 2 || axis != 1) {
    RefuseInput("{}: softmax of {} along axis {}; accepted: batch x classes along axis 1",
                Where(graph, node), ShapeText(data.shape), node.Int("axis"));
  }
  SetShape(graph, node, data.shape);
}

std::vector<Operator> MakeOperators() {
  using enum OperatorKind;
  constexpr int64_t kZero = 0, kOne = 1, kLast = -1;
  return {
      {"Gemm",
       kGemm,
       2,
       3,
       {{"alpha", 1.0f, 1, 1},
        {"beta", 1.0f, 1, 1},
        {"transA", kZero, 0, 0},
        {"transB", kZero, 0, 1}},
       InferGemm},
      {"MatMul", kMatMul, 2, 2, {}, InferMatMul},
      {"Add", kAdd, 2, 2, {}, InferAdd},
      {"Relu", kRelu, 1, 1, {}, InferSame},
      {"Identity", kIdentity, 1, 1, {}, InferSame},
      {"Flatten", kFlatten, 1, 1, {{"axis", kOne, -8, 8}}, InferFlatten},
      {"Reshape", kReshape, 2, 2, {{"allowzero", kZero, 0, 1}}, InferReshape},
      // Opset 13 moved the default axis from 1 to -1; for batch x classes they are the same.
      {"Softmax", kSoftmax, 1, 1, {{"axis", kLast, -8, 8}}, InferSoftmax},
  };
}

}  // namespace

const std::vector<Operator>& Operators() {
  static const std::vector<Operator> operators = MakeOperators();
  return operators;
}

const Operator& OperatorOf(OperatorKind kind) {
  for (const Operator& op : Operators()) {
    if (op.kind == kind) return op;
  }
  throw Error(ExitStatus::kInternal, "an operator kind is missing in the operator table");
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t dim : shape) {
    text += text.empty() ? "" : ",";
    text += dim == kBatchDim ? "N" : std::to_string(dim);
  }
  return "[" + text + "]";
}

int64_t Elements(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t dim : shape) elements *= dim == kBatchDim ? 1 : dim;
  return elements;
}

}  // namespace vaultrain
