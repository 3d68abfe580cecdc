// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/training_graph.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "network/image_window.h"
#include "vaultrain/error.h"
#include "vaultrain/random.h"
#include "vaultrain/recipe.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// What a program can count without overflow, far above what any machine can do.
constexpr double kMaxMacs = 1e15;

// Places in the window of a maximum, whose index is stored like a label.
constexpr int64_t kMaxIndices = 65536;

// A layer as found in the graph.
struct Layer {
  const Node* node = nullptr;
  LayerKind kind = LayerKind::kLinear;
  Image from, to;
  Window window;
  const Tensor* weight = nullptr;
  bool weight_is_out_in = false;
  const Tensor* bias = nullptr;
  bool relu = false;
  bool count_pad = false;
};

std::string ImageText(const Image& image) {
  return fmt::format("[{},{},{}]", image.channels, image.height, image.width);
}

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
    RefuseInput("{}: {}", NodeText(graph_, node), fmt::format(format, std::forward<Args>(args)...));
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
    auto learns = [](const Layer& layer) { return layer.kind == LayerKind::kLinear; };
    const auto first = std::find_if(layers_.begin(), layers_.end(), learns);
    if (first == layers_.end()) {
      RefuseInput("{}: the network has no Gemm, MatMul or Conv; accepted: at least one",
                  graph_.file);
    }
    first_linear_ = static_cast<int>(first - layers_.begin());
    const Layer& last = layers_.back();
    if (last.relu) {
      Refuse(*last.node,
             "a ReLU follows the last layer; accepted: a linear last layer, "
             "whose outputs are the logits of the loss");
    }
    if (last.to.pixels() != 1) {
      Refuse(*last.node, "the network ends in {}; accepted: one pixel, whose channels are logits",
             ImageText(last.to));
    }
  }

  void AddNode(const Node& node) {
    if (softmax_) {
      Refuse(*softmax_, "softmax is accepted only at the end, where the loss includes it");
    }
    switch (node.kind) {
      case OperatorKind::kGemm:
        AddFullyConnected(node, node.Int("transB") != 0);
        if (node.inputs.size() > 2) SetBias(node, node.inputs[2]);
        break;
      case OperatorKind::kMatMul:
        AddFullyConnected(node, false);
        break;
      case OperatorKind::kConv:
        if (node.Int("group") != 1) {
          Refuse(node, "group = {} cannot be trained yet; accepted: 1", node.Int("group"));
        }
        AddOfWindow(node, LayerKind::kLinear);
        SetWeight(node, true);
        if (node.inputs.size() > 2) SetBias(node, node.inputs[2]);
        break;
      case OperatorKind::kMaxPool:
      case OperatorKind::kGlobalMaxPool:
        AddOfWindow(node, LayerKind::kMaxPool);
        break;
      case OperatorKind::kAveragePool:
      case OperatorKind::kGlobalAveragePool:
        AddOfWindow(node, LayerKind::kAveragePool);
        break;
      case OperatorKind::kAdd:
        SetBias(node, node.inputs[graph_.tensors[node.inputs[0]].is_data() ? 1 : 0]);
        break;
      case OperatorKind::kRelu:
        if (layers_.empty()) {
          Refuse(node,
                 "a ReLU of the input is not supported; accepted: after a Gemm, MatMul or "
                 "Conv");
        }
        if (!Rectify(layers_.size() - 1)) {
          Refuse(node,
                 "a ReLU behind {} cannot be trained yet; accepted: after a Gemm, MatMul or Conv, "
                 "or a MaxPool behind one",
                 Quote(layers_.back().node->name));
        }
        break;
      case OperatorKind::kSoftmax:
        softmax_ = &node;
        break;
      case OperatorKind::kIdentity:
      case OperatorKind::kFlatten:
      case OperatorKind::kReshape:
        break;  // a sample stays the same row of numbers
      case OperatorKind::kMul:
      case OperatorKind::kLeakyRelu:
      case OperatorKind::kSigmoid:
      case OperatorKind::kTanh:
        Refuse(node,
               "cannot be trained yet; accepted: Gemm, MatMul, Conv, MaxPool, AveragePool, "
               "GlobalMaxPool, GlobalAveragePool, Add of a bias, Relu, Flatten, Reshape, Identity, "
               "Softmax");
    }
  }

  // Makes the outputs of a layer max(., 0) by a ReLU of the linear layer behind them, if that is
  // the same.
  bool Rectify(size_t at) {
    Layer& layer = layers_[at];
    if (layer.kind == LayerKind::kLinear) return layer.relu = true;
    if (at == 0) return false;
    // The maximum of rectified values is the rectified maximum, their mean is not below 0.
    return layer.kind == LayerKind::kMaxPool ? Rectify(at - 1) : IsRectified(at - 1);
  }

  bool IsRectified(size_t at) const {
    const Layer& layer = layers_[at];
    return layer.kind == LayerKind::kLinear ? layer.relu : at > 0 && IsRectified(at - 1);
  }

  // A product of all values of a sample: flat, or with the image as its window.
  void AddFullyConnected(const Node& node, bool weight_is_out_in) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[1]].shape;
    const int64_t in = shape[weight_is_out_in ? 1 : 0];
    Layer& layer = layers_.emplace_back();
    layer.node = &node;
    layer.from = layers_.size() == 1 ? Image{1, 1, in} : layers_[layers_.size() - 2].to;
    layer.to = {1, 1, shape[weight_is_out_in ? 0 : 1]};
    layer.window.kernel_h = layer.from.height;
    layer.window.kernel_w = layer.from.width;
    SetWeight(node, weight_is_out_in);
  }

  void AddOfWindow(const Node& node, LayerKind kind) {
    const ImageWindow found = WindowOf(graph_, node);
    if (!layers_.empty() && layers_.back().to != found.from) {
      Refuse(node, "takes images {}, which a Reshape made of {}; accepted: the image that {} gives",
             ImageText(found.from), ImageText(layers_.back().to), Quote(layers_.back().node->name));
    }
    if (CountTaps(found.from, found.to, found.window).some_see_nothing) {
      Refuse(node,
             "some positions of its window see nothing but padding; accepted: windows that "
             "reach into the image");
    }
    Layer& layer = layers_.emplace_back();
    layer.node = &node;
    layer.kind = kind;
    layer.from = found.from;
    layer.to = found.to;
    layer.window = found.window;
    if (kind == LayerKind::kMaxPool && found.window.taps() > kMaxIndices) {
      Refuse(node, "a window of {} values; accepted for a maximum: up to {}", found.window.taps(),
             kMaxIndices);
    }
    if (node.kind != OperatorKind::kAveragePool || node.Int("count_include_pad") == 0) return;
    if (found.hangs_over) {
      Refuse(node,
             "ceil_mode lets the last window reach behind the padding, which "
             "count_include_pad = 1 would have to tell apart; accepted: one of the two");
    }
    const Window& w = found.window;
    layer.count_pad = w.pad_top + w.pad_left + w.pad_bottom + w.pad_right > 0;
  }

  // Of the layer added last.
  void SetWeight(const Node& node, bool weight_is_out_in) {
    layers_.back().weight = &graph_.tensors[node.inputs[1]];
    layers_.back().weight_is_out_in = weight_is_out_in;
    Claim(node, *layers_.back().weight);
  }

  void SetBias(const Node& node, int tensor) {
    const Tensor& bias = graph_.tensors[tensor];
    if (bias.is_data()) {
      Refuse(node, "the sum of two activations is not supported yet; accepted: a bias");
    }
    if (layers_.empty() || layers_.back().kind != LayerKind::kLinear || layers_.back().relu ||
        layers_.back().bias) {
      Refuse(node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
    }
    Layer& layer = layers_.back();
    // An Add counts its axes from the last; behind the channels of an image lie those of the
    // pixels.
    const int64_t out = layer.to.channels;
    const size_t behind =
        node.kind == OperatorKind::kAdd ? graph_.tensors[node.outputs[0]].shape.size() - 2 : 0;
    const std::vector<int64_t>& shape = bias.shape;
    if (shape.size() <= behind || shape[shape.size() - 1 - behind] != out ||
        Elements(shape) != out) {
      Refuse(node, "bias {} is {}; accepted: one value per output, [{}{}]", Quote(bias.name),
             ShapeText(shape), out, fmt::join(std::vector<std::string>(behind, ",1"), ""));
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
    // The numbers before were found taken.
    int& i = next_number_.try_emplace(name, 2).first->second;
    for (; !layer_names_.insert(unique).second; ++i) {
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

  // Of each sample, an image.
  int AddSamples(std::string name, TensorKind kind, FormatClass format, const Image& image) {
    const int made = Add(std::move(name), kind, format, result_.batch, image.features());
    result_.tensors[made].image = image;
    return made;
  }

  TrainingLayer Made(const Layer& layer) {
    TrainingLayer made;
    made.name = LayerName(*layer.node);
    made.kind = layer.kind;
    made.from = layer.from;
    made.to = layer.to;
    made.window = layer.window;
    made.relu = layer.relu;
    made.bias = layer.bias != nullptr;
    made.count_pad = layer.count_pad;
    if (layer.kind == LayerKind::kLinear) {
      made.in = layer.window.taps() * layer.from.channels;
      made.out = layer.to.channels;
    }
    return made;
  }

  // Of one phase; each product of FF has one in BP and one in UP.
  int64_t Macs(const Layer& layer) const {
    if (layer.kind != LayerKind::kLinear) return 0;
    const int64_t taps = CountTaps(layer.from, layer.to, layer.window).all;
    const double macs = static_cast<double>(taps) * static_cast<double>(layer.from.channels) *
                        static_cast<double>(layer.to.channels) * static_cast<double>(result_.batch);
    if (macs > kMaxMacs) {
      Refuse(*layer.node, "{:.3g} multiply-accumulates a step; accepted: up to {:.3g}", macs,
             kMaxMacs);
    }
    return taps * layer.from.channels * layer.to.channels * result_.batch;
  }

  void AddTensorsAndForward() {
    using enum FormatClass;
    result_.features = Elements(graph_.tensors[graph_.input].shape);
    layer_names_ = {"input", "label", "loss"};
    int x = result_.input = AddSamples("input", TensorKind::kInput, kOperand, layers_.front().from);
    for (const Layer& layer : layers_) {
      TrainingLayer made = Made(layer);
      TrainingOp op;
      op.layer = static_cast<int>(result_.layers.size());
      op.operands = {{Role::kX, x}};
      if (layer.kind == LayerKind::kLinear) {
        op.kind = TrainingOpKind::kLinearForward;
        op.macs = Macs(layer);
        op.relu = made.relu;
        const int w = Add(made.name + ".W", TensorKind::kWeight, kMaster, made.out, made.in);
        result_.tensors[w].start = CanonicalWeight(layer, made);
        op.operands.push_back({Role::kW, w});
        if (layer.bias) {
          const int b = Add(made.name + ".b", TensorKind::kBias, kMaster, 1, made.out);
          result_.tensors[b].start = layer.bias->values;
          op.operands.push_back({Role::kB, b});
        }
      } else {
        op.kind = TrainingOpKind::kPoolForward;
      }
      x = AddSamples(made.name + ".Y", TensorKind::kActivation, kOperand, made.to);
      op.operands.push_back({Role::kY, x});
      if (layer.kind == LayerKind::kMaxPool && HasBackward(op.layer)) {
        const int index =
            AddSamples(made.name + ".I", TensorKind::kIndex, FormatClass::kLabel, made.to);
        op.operands.push_back({Role::kIndex, index});
      }
      result_.layers.push_back(std::move(made));
      result_.ops.push_back(std::move(op));
    }
    result_.logits = x;
    result_.classes = result_.layers.back().to.channels;
    if (result_.classes < 2) {
      Refuse(*layers_.back().node, "the last layer has {} output; accepted: 2 or more classes",
             result_.classes);
    }
  }

  // Whether a gradient goes through a layer: not where no weights lie before it.
  bool HasBackward(int layer) const { return layer > first_linear_; }

  // Weights in our layout [out][ky][kx][c], of [out][c][ky][kx] or the transpose.
  static std::vector<float> CanonicalWeight(const Layer& layer, const TrainingLayer& made) {
    const std::vector<float>& from = layer.weight->values;
    const int64_t taps = made.window.taps();
    const int64_t channels = made.from.channels;
    if ((layer.weight_is_out_in && taps == 1) || from.empty()) return from;
    std::vector<float> to(from.size());
    for (int64_t o = 0; o < made.out; ++o) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t feature = c * taps + tap;
          to[o * made.in + tap * channels + c] =
              from[layer.weight_is_out_in ? o * made.in + feature : feature * made.out + o];
        }
      }
    }
    return to;
  }

  void AddLoss() {
    const TrainingLayer& last = result_.layers.back();
    TrainingOp op;
    op.kind = TrainingOpKind::kSoftmaxCrossEntropy;
    op.layer = static_cast<int>(result_.layers.size()) - 1;
    const Image one = {1, 1, 1};
    result_.label = AddSamples("label", TensorKind::kLabel, FormatClass::kLabel, one);
    result_.loss = AddSamples("loss", TensorKind::kLoss, FormatClass::kLoss, one);
    dz_ = AddSamples(last.name + ".dZ", TensorKind::kGradient, FormatClass::kOperand, last.to);
    op.operands = {{Role::kLogits, result_.logits},
                   {Role::kLabel, result_.label},
                   {Role::kLoss, result_.loss},
                   {Role::kDz, dz_}};
    result_.ops.push_back(std::move(op));
  }

  void AddBackwardAndUpdate() {
    for (int l = static_cast<int>(result_.layers.size()) - 1; l >= first_linear_; --l) {
      const TrainingLayer& layer = result_.layers[l];
      const TrainingOp forward = result_.ops[l];  // FF operations come first, one per layer
      const bool linear = layer.kind == LayerKind::kLinear;
      const int x = forward.Tensor(Role::kX);
      const int dz = dz_;
      if (HasBackward(l)) {
        const TrainingLayer& before = result_.layers[l - 1];
        TrainingOp op;
        op.phase = Phase::kBackPropagation;
        op.kind = linear ? TrainingOpKind::kLinearBackward : TrainingOpKind::kPoolBackward;
        op.layer = l;
        op.macs = forward.macs;
        op.mask = before.relu;
        dz_ = AddSamples(before.name + ".dZ", TensorKind::kGradient, FormatClass::kOperand,
                         before.to);
        op.operands = {{Role::kDz, dz}};
        for (Role role : {Role::kW, Role::kIndex}) {
          if (forward.Tensor(role) >= 0) op.operands.push_back({role, forward.Tensor(role)});
        }
        op.operands.push_back({Role::kX, x});
        op.operands.push_back({Role::kDx, dz_});
        result_.ops.push_back(std::move(op));
      }
      if (!linear) continue;
      TrainingOp op;
      op.phase = Phase::kWeightUpdate;
      op.kind = TrainingOpKind::kLinearUpdate;
      op.layer = l;
      op.macs = forward.macs;
      op.operands = {{Role::kDz, dz}, {Role::kX, x}, {Role::kW, forward.Tensor(Role::kW)}};
      if (layer.bias) op.operands.push_back({Role::kB, forward.Tensor(Role::kB)});
      result_.ops.push_back(std::move(op));
    }
  }

  const Graph& graph_;
  TrainingGraph result_;
  std::vector<Layer> layers_;
  int first_linear_ = 0;  // layer
  const Node* softmax_ = nullptr;
  std::set<const Tensor*> claimed_;
  std::set<std::string> layer_names_;
  std::map<std::string, int> next_number_;  // of layers of one name
  int dz_ = -1;                             // gradient of the layer at hand
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
  for (const TrainingOp& op : ops) macs += op.macs;
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
