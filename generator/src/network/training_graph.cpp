// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/training_graph.h"

#include <cmath>
#include <set>

#include "vaultrain/error.h"
#include "vaultrain/random.h"
#include "vaultrain/recipe.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// A fully connected layer as found in the graph.
struct Layer {
  const Node* node = nullptr;
  const Tensor* weight = nullptr;
  bool weight_is_out_in = false;
  const Tensor* bias = nullptr;
  bool relu = false;
};

class Differentiator {
 public:
  Differentiator(const Graph& graph, int64_t batch) : graph_(graph) {
    result_.file = graph.file;
    result_.batch = batch;
  }

  TrainingGraph Run() {
    FindLayers();
    AddTensorsAndForward();
    AddLoss();
    AddBackwardAndUpdate();
    return std::move(result_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void Refuse(const Node& node, fmt::format_string<Args...> format,
                           Args&&... args) const {
    RefuseInput("{}: node {} ({}): {}", graph_.file, Quote(node.name), OperatorOf(node.kind).name,
                fmt::format(format, std::forward<Args>(args)...));
  }

  // ---- from nodes to layers

  void FindLayers() {
    for (int tensor = graph_.input; tensor != graph_.output;) {
      const Tensor& from = graph_.tensors[tensor];
      if (from.consumers.size() != 1) {
        RefuseInput(
            "{}: tensor {} has {} uses; accepted for training: a chain, each output used "
            "once",
            graph_.file, Quote(from.name), from.consumers.size());
      }
      const Node& node = graph_.nodes[from.consumers[0]];
      AddNode(node);
      tensor = node.outputs[0];
    }
    if (layers_.empty()) {
      RefuseInput("{}: the network has no Gemm or MatMul; accepted: at least one", graph_.file);
    }
    if (layers_.back().relu) {
      Refuse(*layers_.back().node,
             "a ReLU follows the last layer; accepted: a linear last layer, "
             "whose outputs are the logits of the loss");
    }
  }

  void AddNode(const Node& node) {
    if (softmax_) {
      Refuse(*softmax_, "softmax is accepted only at the end, where the loss includes it");
    }
    switch (node.kind) {
      case OperatorKind::kGemm:
        AddLayer(node, node.Int("transB") != 0);
        if (node.inputs.size() > 2) SetBias(node, graph_.tensors[node.inputs[2]]);
        break;
      case OperatorKind::kMatMul:
        AddLayer(node, false);
        break;
      case OperatorKind::kAdd: {
        const Tensor& first = graph_.tensors[node.inputs[0]];
        SetBias(node, first.is_data() ? graph_.tensors[node.inputs[1]] : first);
        break;
      }
      case OperatorKind::kRelu:
        if (layers_.empty()) {
          Refuse(node, "a ReLU of the input is not supported; accepted: after a Gemm or MatMul");
        }
        layers_.back().relu = true;
        break;
      case OperatorKind::kSoftmax:
        softmax_ = &node;
        break;
      case OperatorKind::kIdentity:
      case OperatorKind::kFlatten:
      case OperatorKind::kReshape:
        break;  // a sample stays the same row of numbers
    }
  }

  void AddLayer(const Node& node, bool weight_is_out_in) {
    Layer layer;
    layer.node = &node;
    layer.weight = &graph_.tensors[node.inputs[1]];
    layer.weight_is_out_in = weight_is_out_in;
    Claim(node, *layer.weight);
    layers_.push_back(layer);
  }

  void SetBias(const Node& node, const Tensor& bias) {
    if (bias.is_data()) {
      Refuse(node, "the sum of two activations is not supported yet; accepted: a bias");
    }
    if (layers_.empty() || layers_.back().relu || layers_.back().bias) {
      Refuse(node, "accepted: one bias, directly after its Gemm or MatMul");
    }
    Layer& layer = layers_.back();
    int64_t out = layer.weight->shape[layer.weight_is_out_in ? 0 : 1];
    if (bias.shape.empty() || bias.shape.back() != out || Elements(bias.shape) != out) {
      Refuse(node, "bias {} is {}; accepted: one value per output, [{}]", Quote(bias.name),
             ShapeText(bias.shape), out);
    }
    Claim(node, bias);
    layer.bias = &bias;
  }

  // A parameter belongs to one layer.
  void Claim(const Node& node, const Tensor& parameter) {
    if (!claimed_.insert(&parameter).second) {
      Refuse(node, "parameter {} is shared between nodes; accepted: one use of each",
             Quote(parameter.name));
    }
  }

  // ---- from layers to operations

  std::string LayerName(const Node& node) {
    std::string name;
    for (char c : node.name.substr(0, 60)) {
      bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == '.' || c == '-';
      name += plain ? c : '_';
    }
    std::string unique = name;
    for (int i = 2; !layer_names_.insert(unique).second; ++i) {
      unique = fmt::format("{}_{}", name, i);
    }
    return unique;
  }

  int Add(std::string name, TensorKind kind, FormatClass format, int64_t rows, int64_t cols) {
    TrainingTensor tensor;
    tensor.name = std::move(name);
    tensor.kind = kind;
    tensor.format = format;
    tensor.rows = rows;
    tensor.cols = cols;
    result_.tensors.push_back(std::move(tensor));
    return static_cast<int>(result_.tensors.size()) - 1;
  }

  void AddTensorsAndForward() {
    using enum FormatClass;
    int64_t batch = result_.batch;
    result_.features = Elements(graph_.tensors[graph_.input].shape);
    layer_names_ = {"input", "label", "loss"};
    int x = result_.input = Add("input", TensorKind::kInput, kOperand, batch, result_.features);
    for (const Layer& layer : layers_) {
      TrainingLayer made;
      made.name = LayerName(*layer.node);
      made.in = layer.weight->shape[layer.weight_is_out_in ? 1 : 0];
      made.out = layer.weight->shape[layer.weight_is_out_in ? 0 : 1];
      made.relu = layer.relu;
      made.bias = layer.bias != nullptr;

      TrainingOp op;
      op.kind = TrainingOpKind::kLinearForward;
      op.layer = static_cast<int>(result_.layers.size());
      op.m = batch;
      op.n = made.out;
      op.k = made.in;
      op.relu = made.relu;
      int w = Add(made.name + ".W", TensorKind::kWeight, kMaster, made.out, made.in);
      result_.tensors[w].start = CanonicalWeight(layer, made);
      op.operands = {{Role::kX, x}, {Role::kW, w}};
      if (layer.bias) {
        int b = Add(made.name + ".b", TensorKind::kBias, kMaster, 1, made.out);
        result_.tensors[b].start = layer.bias->values;
        op.operands.push_back({Role::kB, b});
      }
      x = Add(made.name + ".Y", TensorKind::kActivation, kOperand, batch, made.out);
      op.operands.push_back({Role::kY, x});
      result_.layers.push_back(std::move(made));
      result_.ops.push_back(std::move(op));
    }
    result_.logits = x;
    result_.classes = result_.layers.back().out;
    if (result_.classes < 2) {
      Refuse(*layers_.back().node, "the last layer has {} output; accepted: 2 or more classes",
             result_.classes);
    }
  }

  // Weights in our layout [out][in].
  static std::vector<float> CanonicalWeight(const Layer& layer, const TrainingLayer& made) {
    const std::vector<float>& from = layer.weight->values;
    if (layer.weight_is_out_in || from.empty()) return from;
    std::vector<float> to(from.size());
    for (int64_t i = 0; i < made.in; ++i) {
      for (int64_t o = 0; o < made.out; ++o) to[o * made.in + i] = from[i * made.out + o];
    }
    return to;
  }

  void AddLoss() {
    TrainingOp op;
    op.kind = TrainingOpKind::kSoftmaxCrossEntropy;
    op.layer = static_cast<int>(result_.layers.size()) - 1;
    op.m = result_.batch;
    op.n = result_.classes;
    result_.label = Add("label", TensorKind::kLabel, FormatClass::kLabel, result_.batch, 1);
    result_.loss = Add("loss", TensorKind::kLoss, FormatClass::kLoss, result_.batch, 1);
    dz_ = Add(result_.layers.back().name + ".dZ", TensorKind::kGradient, FormatClass::kOperand,
              result_.batch, result_.classes);
    op.operands = {{Role::kLogits, result_.logits},
                   {Role::kLabel, result_.label},
                   {Role::kLoss, result_.loss},
                   {Role::kDz, dz_}};
    result_.ops.push_back(std::move(op));
  }

  void AddBackwardAndUpdate() {
    for (int l = static_cast<int>(result_.layers.size()) - 1; l >= 0; --l) {
      const TrainingLayer& layer = result_.layers[l];
      const TrainingOp forward = result_.ops[l];  // FF operations come first, one per layer
      int x = forward.Tensor(Role::kX);
      int w = forward.Tensor(Role::kW);
      int b = forward.Tensor(Role::kB);
      int dz = dz_;
      if (l > 0) {
        TrainingOp op;
        op.phase = Phase::kBackPropagation;
        op.kind = TrainingOpKind::kLinearBackward;
        op.layer = l;
        op.m = result_.batch;
        op.n = layer.in;
        op.k = layer.out;
        op.mask = result_.layers[l - 1].relu;
        dz_ = Add(result_.layers[l - 1].name + ".dZ", TensorKind::kGradient, FormatClass::kOperand,
                  result_.batch, layer.in);
        op.operands = {{Role::kDz, dz}, {Role::kW, w}, {Role::kX, x}, {Role::kDx, dz_}};
        result_.ops.push_back(std::move(op));
      }
      TrainingOp op;
      op.phase = Phase::kWeightUpdate;
      op.kind = TrainingOpKind::kLinearUpdate;
      op.layer = l;
      op.m = layer.out;
      op.n = layer.in;
      op.k = result_.batch;
      op.operands = {{Role::kDz, dz}, {Role::kX, x}, {Role::kW, w}};
      if (b >= 0) op.operands.push_back({Role::kB, b});
      result_.ops.push_back(std::move(op));
    }
  }

  const Graph& graph_;
  TrainingGraph result_;
  std::vector<Layer> layers_;
  const Node* softmax_ = nullptr;
  std::set<const Tensor*> claimed_;
  std::set<std::string> layer_names_;
  int dz_ = -1;  // gradient of the layer at hand
};

}  // namespace

std::string_view PhaseName(Phase phase) {
  constexpr std::string_view kNames[] = {"FF", "BP", "UP"};
  return kNames[static_cast<int>(phase)];
}

int TrainingOp::Tensor(Role role) const {
  for (const Operand& operand : operands) {
    if (operand.role == role) return operand.tensor;
  }
  return -1;
}

int64_t TrainingGraph::MacsNeeded() const {
  int64_t macs = 0;
  for (const TrainingOp& op : ops) macs += op.MacsNeeded();
  return macs;
}

int64_t TrainingGraph::Parameters() const {
  int64_t parameters = 0;
  for (const TrainingTensor& tensor : tensors) {
    if (tensor.is_parameter()) parameters += tensor.elements();
  }
  return parameters;
}

TrainingGraph Differentiate(const Graph& graph, int64_t batch) {
  if (batch < 1 || batch > kMaxBatch) {
    RefuseInput("{}: batch {}; accepted: 1 to {}", graph.file, batch, kMaxBatch);
  }
  return Differentiator(graph, batch).Run();
}

std::vector<std::vector<float>> StartingParameters(const TrainingGraph& graph,
                                                   const Recipe& recipe) {
  std::vector<std::vector<float>> parameters(graph.tensors.size());
  int layer = 0;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const TrainingTensor& tensor = graph.tensors[i];
    if (!tensor.is_parameter()) continue;
    if (tensor.kind == TensorKind::kWeight) ++layer;
    parameters[i] = tensor.start;
    if (!tensor.start.empty()) continue;
    parameters[i].assign(tensor.elements(), 0.0f);
    if (tensor.kind == TensorKind::kWeight) {
      Random random(recipe.seed, fmt::format("weights/{}", layer));
      FillHeNormal(random, tensor.cols, parameters[i]);
    }
  }
  return parameters;
}

}  // namespace vaultrain
