// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The operator table: which ONNX operators a graph may hold, with what attributes, and the shape
// rule of each.

#include <algorithm>

#include "network/image_window.h"
#include "network/shape_rules.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// The image behind a window; a line where the input is one.
void SetImage(Graph& graph, const Node& node, int64_t channels) {
  const Image to = WindowOf(graph, node).to;
  std::vector<int64_t> shape = {kBatchDim, channels};
  if (Input(graph, node, 0).shape.size() == 4) shape.push_back(to.height);
  shape.push_back(to.width);
  SetShape(graph, node, std::move(shape));
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

void InferGemm(Graph& graph, Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& weight = ParameterInput(graph, node, 1);
  if (data.shape.size() != 2 || weight.shape.size() != 2) {
    RefuseNode(graph, node, "{} {} and {} {} must both have two dimensions", Quote(data.name),
               ShapeText(data.shape), Quote(weight.name), ShapeText(weight.shape));
  }
  const size_t in_axis = node.Int("transB") ? 1 : 0;
  if (data.shape[1] != weight.shape[in_axis]) {
    RefuseNode(graph, node, "shape mismatch: {} has {} features, {} {} accepts {}",
               Quote(data.name), data.shape[1], Quote(weight.name), ShapeText(weight.shape),
               weight.shape[in_axis]);
  }
  SetShape(graph, node, {kBatchDim, weight.shape[1 - in_axis]});
  if (!HasInput(node, 2)) return;
  const Tensor& bias = ParameterInput(graph, node, 2);
  const std::vector<int64_t>& shape = graph.tensors[node.outputs[0]].shape;
  if (!Broadcasts(bias.shape, shape)) {
    RefuseNode(graph, node, "shape mismatch: bias {} {} does not broadcast to {}", Quote(bias.name),
               ShapeText(bias.shape), ShapeText(shape));
  }
}

// The last two dimensions are matrices; those before them count matrices, and are equal.
void InferMatMul(Graph& graph, Node& node) {
  const Tensor& left = FloatData(graph, node, 0);
  const Tensor& right = Input(graph, node, 1);
  const std::vector<int64_t>& a = left.shape;
  const std::vector<int64_t>& b = right.shape;
  const auto rank = static_cast<int64_t>(a.size());
  const int64_t columns = right.is_data() ? 2 : 1;  // last dimensions that hold no batch
  bool fits = right.type == ElementType::kFloat && left.batch_axis < rank - columns;
  if (right.is_data()) {
    fits = fits && a.size() == b.size() && left.batch_axis == right.batch_axis &&
           std::equal(a.begin(), a.end() - 2, b.begin());
  } else {
    fits = fits && b.size() == 2;
  }
  if (!fits) {
    RefuseNode(graph, node,
               "{} {} by {} {}; accepted: [N,..,K] by a parameter [K,M], or [N,..,T,K] by an "
               "activation [N,..,K,M]",
               Quote(left.name), ShapeText(FileShape(left)), Quote(right.name),
               ShapeText(FileShape(right)));
  }
  if (a.back() != b[b.size() - 2]) {
    RefuseNode(graph, node, "shape mismatch: {} has {} features, {} {} accepts {}",
               Quote(left.name), a.back(), Quote(right.name), ShapeText(b), b[b.size() - 2]);
  }
  std::vector<int64_t> shape = a;
  shape.back() = b.back();
  SetShape(graph, node, std::move(shape), left.batch_axis);
}

void InferElementwise(Graph& graph, Node& node) {
  bool parameter_first = !Input(graph, node, 0).is_data();
  const Tensor& data = FloatData(graph, node, parameter_first);
  const Tensor& other = Input(graph, node, !parameter_first);
  bool fits = other.type == ElementType::kFloat;
  std::vector<int64_t> shape = data.shape;
  if (other.is_data()) {
    // Samples meet samples only where both have them in the same place.
    fits = fits && other.shape.size() == shape.size() && other.batch_axis == data.batch_axis;
    for (size_t i = 1; fits && i < shape.size(); ++i) {
      fits = shape[i] == other.shape[i] || shape[i] == 1 || other.shape[i] == 1;
      shape[i] = std::max(shape[i], other.shape[i]);
    }
    fits = fits && Elements(shape) <= kMaxElements;
  } else {
    // Nothing along the batch, nor before it, where the file's order is not the graph's.
    const size_t behind = data.shape.size() - data.batch_axis - 1;
    fits = fits && Broadcasts(other.shape, data.shape);
    for (size_t i = 0; fits && i + behind < other.shape.size(); ++i) fits = other.shape[i] == 1;
  }
  if (!fits) {
    RefuseNode(graph, node, "shape mismatch: {} {} does not broadcast to {} {}", Quote(other.name),
               ShapeText(other.shape), Quote(data.name), ShapeText(FileShape(data)));
  }
  SetShape(graph, node, std::move(shape), data.batch_axis);
}

void InferConv(Graph& graph, Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  const Tensor& weight = ParameterInput(graph, node, 1);
  if (weight.shape.size() != data.shape.size() || data.shape.size() < 3) {
    RefuseNode(graph, node,
               "{} {} and {} {} do not fit; accepted: [N,C,H,W] with [M,C,h,w], or [N,C,W] "
               "with [M,C,w]",
               Quote(data.name), ShapeText(data.shape), Quote(weight.name),
               ShapeText(weight.shape));
  }
  const int64_t channels = data.shape[1];
  const int64_t out = weight.shape[0];
  const int64_t group = node.Int("group");
  if (channels % group != 0 || out % group != 0 || weight.shape[1] != channels / group) {
    RefuseNode(graph, node, "shape mismatch: {} has {} channels in {} group(s); {} {} accepts {}",
               Quote(data.name), channels, group, Quote(weight.name), ShapeText(weight.shape),
               weight.shape[1] * group);
  }
  if (HasInput(node, 2)) {
    const Tensor& bias = ParameterInput(graph, node, 2);
    if (bias.shape != std::vector<int64_t>{out}) {
      RefuseNode(graph, node, "shape mismatch: bias {} is {}; accepted: [{}]", Quote(bias.name),
                 ShapeText(bias.shape), out);
    }
  }
  SetImage(graph, node, out);
}

void InferPool(Graph& graph, Node& node) {
  DataInput(graph, node, 0);
  SetImage(graph, node, WindowOf(graph, node).to.channels);
}

void InferSame(Graph& graph, Node& node) {
  const Tensor& data = FloatData(graph, node, 0);
  SetShape(graph, node, data.shape, data.batch_axis);
}

void InferIdentity(Graph& graph, Node& node) {
  const Tensor& data = AnyData(graph, node, 0);
  SetShape(graph, node, data.shape, data.batch_axis);
  graph.tensors[node.outputs[0]].type = data.type;
}

void InferSoftmax(Graph& graph, Node& node) {
  const Tensor& data = FloatData(graph, node, 0);
  const int64_t axis = GraphAxis(graph, node, data, node.Int("axis"));
  // It took all dimensions from the axis together.
  if (graph.opset < 13 && axis + 1 != static_cast<int64_t>(data.shape.size())) {
    RefuseNode(graph, node, "axis {} before opset 13; accepted: the last", node.Int("axis"));
  }
  node.attributes["axis"] = axis;
  SetShape(graph, node, data.shape, data.batch_axis);
}

void InferDropout(Graph& graph, Node& node) {
  RefuseInputsBefore(graph, node, 12);
  const Tensor& data = FloatData(graph, node, 0);
  if (HasInput(node, 1)) {
    const Tensor& ratio = Input(graph, node, 1);
    if (ratio.type != ElementType::kFloat || ratio.values.size() != 1) {
      RefuseNode(graph, node, "the ratio {} must be a constant float", Quote(ratio.name));
    }
    node.attributes["ratio"] = ratio.values[0];
  }
  int64_t training_mode = 0;
  if (HasInput(node, 2)) {
    const Tensor& mode = Input(graph, node, 2);
    if (mode.type != ElementType::kBool || mode.ints.size() != 1) {
      RefuseNode(graph, node, "the training mode {} must be a constant BOOL", Quote(mode.name));
    }
    training_mode = mode.ints[0] != 0;
  }
  if (node.Float("ratio") < 0 || node.Float("ratio") >= 1) {
    RefuseNode(graph, node, "ratio = {}; accepted: 0 and up, below 1", node.Float("ratio"));
  }
  node.attributes["training_mode"] = training_mode;
  node.inputs.resize(1);
  SetShape(graph, node, data.shape, data.batch_axis);
}

// ---- normalisations

// [N,C,..] with parameters per channel, or as many as count says.
void InferOfChannels(Graph& graph, Node& node, size_t parameters, int64_t count = 0) {
  const Tensor& data = DataInput(graph, node, 0);
  if (data.shape.size() < 2) {
    RefuseNode(graph, node, "{} is {}; accepted: [N,C] or more dimensions", Quote(data.name),
               ShapeText(data.shape));
  }
  if (count == 0) count = data.shape[1];
  constexpr const char* kNames[] = {"scale", "bias", "mean", "variance"};
  for (size_t i = 0; i < parameters; ++i) {
    ParameterOfShape(graph, node, i + 1, kNames[i], {count});
  }
  SetShape(graph, node, data.shape);
}

void InferBatchNormalization(Graph& graph, Node& node) { InferOfChannels(graph, node, 4); }

void InferInstanceNormalization(Graph& graph, Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  if (data.shape.size() < 3) {
    RefuseNode(graph, node, "{} is {}; accepted: [N,C,D] or more dimensions", Quote(data.name),
               ShapeText(data.shape));
  }
  InferOfChannels(graph, node, 2);
}

void InferGroupNormalization(Graph& graph, Node& node) {
  const Tensor& data = DataInput(graph, node, 0);
  const int64_t groups = node.Int("num_groups");
  if (data.shape.size() < 3 || data.shape[1] % groups != 0) {
    RefuseNode(graph, node,
               "{} {} in {} groups; accepted: [N,C,D] or more dimensions, C a multiple of the "
               "groups",
               Quote(data.name), ShapeText(data.shape), groups);
  }
  InferOfChannels(graph, node, 2, graph.opset < 21 ? groups : 0);
}

void InferLayerNormalization(Graph& graph, Node& node) {
  const Tensor& data = FloatData(graph, node, 0);
  const int64_t axis = GraphAxis(graph, node, data, node.Int("axis"));
  if (axis <= data.batch_axis) {
    RefuseNode(graph, node, "axis {} of {} mixes samples; accepted: those behind the batch",
               node.Int("axis"), Quote(data.name));
  }
  const std::vector<int64_t> normalised(data.shape.begin() + axis, data.shape.end());
  ParameterOfShape(graph, node, 1, "scale", normalised);
  if (HasInput(node, 2)) ParameterOfShape(graph, node, 2, "bias", normalised);
  node.attributes["axis"] = axis;
  SetShape(graph, node, data.shape, data.batch_axis);
}

std::vector<Operator> MakeOperators() {
  using enum OperatorKind;
  constexpr int64_t kZero = 0, kOne = 1, kLast = -1;
  constexpr int kMany = 1 << 16;  // inputs or outputs
  constexpr double kAnyInt = 9.3e18;
  constexpr double kMost = 65536;  // of what a window is made of
  const std::vector<int64_t> none;
  const AttributeRule auto_pad = {
      "auto_pad", "NOTSET", 0, 0, {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}};
  const AttributeRule kernel_shape = {"kernel_shape", none, 1, kMost};
  const AttributeRule strides = {"strides", none, 1, kMost};
  const AttributeRule pads = {"pads", none, 0, kMost};
  const AttributeRule ceil_mode = {"ceil_mode", kZero, 0, 1, {}, 10};
  const AttributeRule axis = {"axis", kZero, -8, 8, {}, kMinOpset, kMaxOpset, true};
  const AttributeRule epsilon = {"epsilon", 1e-5f, 0, 1};
  // An attribute that became an input.
  auto list_until = [&](std::string_view name, int until) {
    return AttributeRule{name, none, -kAnyInt, kAnyInt, {}, kMinOpset, until};
  };
  // One direction, the default activations; neither clip nor activation_alpha and activation_beta.
  auto recurrent = [&](std::vector<AttributeRule> own) {
    own.insert(own.end(), {{"direction", "forward", 0, 0, {"forward"}},
                           {"activations", std::vector<std::string>(), 0, 0, {"Sigmoid", "Tanh"}},
                           {"hidden_size", kZero, 1, static_cast<double>(kMaxElements)},
                           {"layout", kZero, 0, 1, {}, 14}});
    return own;
  };
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
      // Its second output, the indices, must not be used; so storage_order changes nothing.
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
       {auto_pad,
        kernel_shape,
        strides,
        pads,
        ceil_mode,
        {"count_include_pad", kZero, 0, 1},
        {"dilations", none, 1, 1, {}, 19}},
       InferPool},
      {"GlobalMaxPool", kGlobalMaxPool, 1, 1, {}, InferPool},
      {"GlobalAveragePool", kGlobalAveragePool, 1, 1, {}, InferPool},
      {"Add", kAdd, 2, 2, {}, InferElementwise},
      {"Mul", kMul, 2, 2, {}, InferElementwise},
      {"Relu", kRelu, 1, 1, {}, InferSame},
      {"LeakyRelu", kLeakyRelu, 1, 1, {{"alpha", 0.01f, -1e6, 1e6}}, InferSame},
      {"Sigmoid", kSigmoid, 1, 1, {}, InferSame},
      {"Tanh", kTanh, 1, 1, {}, InferSame},
      {"Identity", kIdentity, 1, 1, {}, InferIdentity},
      {"Flatten", kFlatten, 1, 1, {{"axis", kOne, -8, 8}}, InferFlatten},
      {"Reshape", kReshape, 2, 2, {{"allowzero", kZero, 0, 1, {}, 14}}, InferReshape},
      {"Softmax",
       kSoftmax,
       1,
       1,
       {{"axis", kOne, -8, 8, {}, kMinOpset, 12}, {"axis", kLast, -8, 8, {}, 13}},
       InferSoftmax},
      {"Sub", kSub, 2, 2, {}, InferElementwise},
      {"Div", kDiv, 2, 2, {}, InferElementwise},
      {"Concat", kConcat, 1, kMany, {axis}, InferConcat},
      {"Slice",
       kSlice,
       1,
       5,
       {list_until("starts", 9), list_until("ends", 9), list_until("axes", 9)},
       InferSlice},
      {"Split",
       kSplit,
       1,
       2,
       {{"axis", kZero, -8, 8}, list_until("split", 12), {"num_outputs", kZero, 1, kMany, {}, 18}},
       InferSplit,
       kMany},
      {"Transpose", kTranspose, 1, 1, {{"perm", none, 0, 7}}, InferTranspose},
      {"Squeeze", kSqueeze, 1, 2, {list_until("axes", 12)}, InferSqueeze},
      {"Unsqueeze", kUnsqueeze, 1, 2, {list_until("axes", 12)}, InferUnsqueeze},
      {"Gather", kGather, 2, 2, {{"axis", kZero, -8, 8}}, InferGather},
      {"Dropout",
       kDropout,
       1,
       3,
       {{"ratio", 0.5f, 0, 1, {}, kMinOpset, 11}, {"seed", kZero, -kAnyInt, kAnyInt, {}, 12}},
       InferDropout},
      {"BatchNormalization",
       kBatchNormalization,
       5,
       5,
       {epsilon,
        {"momentum", 0.9f, 0, 1},
        {"spatial", kOne, 1, 1, {}, kMinOpset, 8},
        {"training_mode", kZero, 0, 1, {}, 14}},
       InferBatchNormalization},
      {"InstanceNormalization",
       kInstanceNormalization,
       3,
       3,
       {epsilon},
       InferInstanceNormalization},
      {"GroupNormalization",
       kGroupNormalization,
       3,
       3,
       {epsilon,
        {"num_groups", kOne, 1, static_cast<double>(kMaxElements), {}, 18, kMaxOpset, true},
        {"stash_type", kOne, 1, 1, {}, 21}},
       InferGroupNormalization,
       1,
       18},
      {"LayerNormalization",
       kLayerNormalization,
       2,
       3,
       {{"axis", kLast, -8, 8}, epsilon, {"stash_type", kOne, 1, 1}},
       InferLayerNormalization,
       1,
       17},
      {"RNN", kRnn, 3, 6, recurrent({}), InferRecurrent, 2},
      {"LSTM", kLstm, 3, 8, recurrent({{"input_forget", kZero, 0, 0}}), InferRecurrent, 3},
      {"GRU", kGru, 3, 6, recurrent({{"linear_before_reset", kZero, 0, 1}}), InferRecurrent, 2},
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
