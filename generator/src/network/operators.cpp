// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The operator table: which ONNX operators a graph may hold, with what attributes, and the shape
// rule of each.

#include <fmt/ranges.h>

#include "network/image_window.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

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
                NodeText(graph, node), position, Quote(tensor.name));
  }
  return tensor;
}

const Tensor& ParameterInput(const Graph& graph, const Node& node, size_t position) {
  const Tensor& tensor = Input(graph, node, position);
  if (!tensor.is_parameter || tensor.type != ElementType::kFloat) {
    RefuseInput("{}: input {} {} must be a float initialiser or a parameter input",
                NodeText(graph, node), position, Quote(tensor.name));
  }
  return tensor;
}

void SetShape(Graph& graph, const Node& node, std::vector<int64_t> shape) {
  graph.tensors[node.outputs[0]].shape = std::move(shape);
}

// The image behind a window; a line where the input is one.
void SetImage(Graph& graph, const Node& node, int64_t channels) {
  const Image to = WindowOf(graph, node).to;
  std::vector<int64_t> shape = {kBatchDim, channels};
  if (Input(graph, node, 0).shape.size() == 4) shape.push_back(to.height);
  shape.push_back(to.width);
  SetShape(graph, node, std::move(shape));
}

// Data [N,in] times a weight matrix whose dimension in_axis counts inputs.
void InferProduct(Graph& graph, const Node& node, int in_axis) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& weight = ParameterInput(graph, node, 1);
  if (data.shape.size() != 2 || weight.shape.size() != 2) {
    RefuseInput("{}: {} {} and {} {} must both have two dimensions", NodeText(graph, node),
                Quote(data.name), ShapeText(data.shape), Quote(weight.name),
                ShapeText(weight.shape));
  }
  if (data.shape[1] != weight.shape[in_axis]) {
    RefuseInput("{}: shape mismatch: {} has {} features, {} {} accepts {}", NodeText(graph, node),
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
    RefuseInput("{}: shape mismatch: bias {} {} does not broadcast to {}", NodeText(graph, node),
                Quote(bias.name), ShapeText(bias.shape), ShapeText(shape));
  }
}

void InferMatMul(Graph& graph, const Node& node) { InferProduct(graph, node, 0); }

void InferElementwise(Graph& graph, const Node& node) {
  bool parameter_first = !Input(graph, node, 0).is_data();
  const Tensor& data = DataInput(graph, node, parameter_first);
  const Tensor& other = Input(graph, node, !parameter_first);
  bool fits = other.is_data() ? other.shape == data.shape : Broadcasts(other.shape, data.shape);
  if (other.type != ElementType::kFloat || !fits) {
    RefuseInput("{}: shape mismatch: {} {} does not broadcast to {} {}", NodeText(graph, node),
                Quote(other.name), ShapeText(other.shape), Quote(data.name), ShapeText(data.shape));
  }
  SetShape(graph, node, data.shape);
}

void InferConv(Graph& graph, const Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& weight = ParameterInput(graph, node, 1);
  if (weight.shape.size() != data.shape.size() || data.shape.size() < 3) {
    RefuseInput(
        "{}: {} {} and {} {} do not fit; accepted: [N,C,H,W] with [M,C,h,w], or [N,C,W] "
        "with [M,C,w]",
        NodeText(graph, node), Quote(data.name), ShapeText(data.shape), Quote(weight.name),
        ShapeText(weight.shape));
  }
  const int64_t channels = data.shape[1];
  const int64_t out = weight.shape[0];
  const int64_t group = node.Int("group");
  if (channels % group != 0 || out % group != 0 || weight.shape[1] != channels / group) {
    RefuseInput("{}: shape mismatch: {} has {} channels in {} group(s); {} {} accepts {}",
                NodeText(graph, node), Quote(data.name), channels, group, Quote(weight.name),
                ShapeText(weight.shape), weight.shape[1] * group);
  }
  if (HasInput(node, 2)) {
    const Tensor& bias = ParameterInput(graph, node, 2);
    if (bias.shape != std::vector<int64_t>{out}) {
      RefuseInput("{}: shape mismatch: bias {} is {}; accepted: [{}]", NodeText(graph, node),
                  Quote(bias.name), ShapeText(bias.shape), out);
    }
  }
  SetImage(graph, node, out);
}

void InferPool(Graph& graph, const Node& node) {
  SetImage(graph, node, DataInput(graph, node, 0).shape[1]);
}

void InferSame(Graph& graph, const Node& node) {
  SetShape(graph, node, DataInput(graph, node, 0).shape);
}

void InferFlatten(Graph& graph, const Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  int64_t axis = node.Int("axis");
  if (axis < 0) axis += static_cast<int64_t>(data.shape.size());
  if (axis != 1) {
    RefuseInput("{}: axis {} mixes samples; accepted: 1", NodeText(graph, node), node.Int("axis"));
  }
  SetShape(graph, node, {kBatchDim, Elements(data.shape)});
}

void InferReshape(Graph& graph, const Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& target = Input(graph, node, 1);
  if (target.type != ElementType::kInt64 || target.ints.empty() || target.shape.size() != 1) {
    RefuseInput("{}: the target shape {} must be a constant list of int64", NodeText(graph, node),
                Quote(target.name));
  }
  auto refuse = [&] {
    RefuseInput(
        "{}: cannot reshape {} to [{}]; accepted: the batch first (as 0, -1 or its number), then "
        "dimensions that hold {} features",
        NodeText(graph, node), ShapeText(data.shape), fmt::join(target.ints, ","),
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
                NodeText(graph, node), ShapeText(data.shape), node.Int("axis"));
  }
  SetShape(graph, node, data.shape);
}

std::vector<Operator> MakeOperators() {
  using enum OperatorKind;
  constexpr int64_t kZero = 0, kOne = 1, kLast = -1;
  constexpr double kMost = 65536;  // of what a window is made of
  const std::vector<int64_t> none;
  const AttributeRule auto_pad = {
      "auto_pad", "NOTSET", 0, 0, {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}};
  const AttributeRule kernel_shape = {"kernel_shape", none, 1, kMost};
  const AttributeRule strides = {"strides", none, 1, kMost};
  const AttributeRule pads = {"pads", none, 0, kMost};
  const AttributeRule ceil_mode = {"ceil_mode", kZero, 0, 1, {}, 10};
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
      {"Conv",
       kConv,
       2,
       3,
       {auto_pad,
        kernel_shape,
        strides,
        pads,
        {"dilations", none, 1, kMost},
        {"group", kOne, 1, static_cast<double>(kMaxElements)}},
       InferConv},
      // Its second output, the indices, is not read; so storage_order changes nothing.
      {"MaxPool",
       kMaxPool,
       1,
       1,
       {auto_pad,
        kernel_shape,
        strides,
        pads,
        ceil_mode,
        {"dilations", none, 1, kMost, {}, 10},
        {"storage_order", kZero, 0, 1, {}, 8}},
       InferPool},
      {"AveragePool",
       kAveragePool,
       1,
       1,
       {auto_pad, kernel_shape, strides, pads, ceil_mode, {"count_include_pad", kZero, 0, 1}},
       InferPool},
      {"GlobalMaxPool", kGlobalMaxPool, 1, 1, {}, InferPool},
      {"GlobalAveragePool", kGlobalAveragePool, 1, 1, {}, InferPool},
      {"Add", kAdd, 2, 2, {}, InferElementwise},
      {"Mul", kMul, 2, 2, {}, InferElementwise},
      {"Relu", kRelu, 1, 1, {}, InferSame},
      {"LeakyRelu", kLeakyRelu, 1, 1, {{"alpha", 0.01f, -1e6, 1e6}}, InferSame},
      {"Sigmoid", kSigmoid, 1, 1, {}, InferSame},
      {"Tanh", kTanh, 1, 1, {}, InferSame},
      {"Identity", kIdentity, 1, 1, {}, InferSame},
      {"Flatten", kFlatten, 1, 1, {{"axis", kOne, -8, 8}}, InferFlatten},
      {"Reshape", kReshape, 2, 2, {{"allowzero", kZero, 0, 1, {}, 14}}, InferReshape},
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

std::string NodeText(const Graph& graph, const Node& node) {
  return fmt::format("{}: node {} ({})", graph.file, Quote(node.name), OperatorOf(node.kind).name);
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
