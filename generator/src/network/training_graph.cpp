// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/training_graph.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "network/image_window.h"
#include "network/layers.h"
#include "vaultrain/error.h"
#include "vaultrain/random.h"
#include "vaultrain/recipe.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// What a program can count without overflow, far above what any machine can do.
constexpr double kMaxMacs = 1e15;

class Differentiator {
 public:
  Differentiator(const Graph& graph, int64_t batch, Loss loss)
      : graph_(graph), found_(FindLayers(graph)) {
    result_.file = graph.file;
    result_.batch = batch;
    result_.loss_kind = loss;
  }

  TrainingGraph Run() {
    AddInput();
    for (const Layer& layer : found_.layers) AddForward(layer);
    CheckClasses();
    AddLoss();
    for (int l = static_cast<int>(outputs_.size()) - 1; l >= 0; --l) AddBackward(l);
    return std::move(result_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void Refuse(const Node& node, fmt::format_string<Args...> format,
                           Args&&... args) const {
    RefuseNode(graph_, node, "{}", fmt::format(format, std::forward<Args>(args)...));
  }

  // ---- tensors

  // What the layers of a node are called.
  std::string LayerName(const Node& node, const char* suffix = "") {
    std::string name;
    for (char c : node.name.substr(0, 60)) {
      bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == '.' || c == '-';
      name += plain ? c : '_';
    }
    name += suffix;
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

  int AddParameter(std::string name, TensorKind kind, int64_t rows, int64_t cols,
                   std::vector<float> start) {
    const int made = Add(std::move(name), kind, FormatClass::kMaster, rows, cols);
    result_.tensors[made].start = std::move(start);
    result_.tensors[made].fan_in = cols;
    return made;
  }

  int AddGradient(const std::string& name, const Image& image) {
    return AddSamples(name, TensorKind::kGradient, FormatClass::kOperand, image);
  }

  const TrainingTensor& TensorAt(int tensor) const { return result_.tensors[tensor]; }

  // ---- feed-forward

  void AddInput() {
    layer_names_ = {"input", "label", "target", "loss"};
    const Image& image = found_.input;
    result_.features = image.features();
    result_.input = AddSamples("input", TensorKind::kInput, FormatClass::kOperand, image);
    result_.sequence = found_.input_has_channels_last && image.pixels() > 1;
  }

  // What the network knows of a layer's output.
  struct Output {
    int op = -1;     // that makes it
    int layer = -1;  // of TrainingGraph
    int tensor = -1;
    int uses = 0;
    bool learns = false;         // parameters lie at it or before
    std::vector<int> gradients;  // from the uses that have been differentiated
    bool masked = false;         // the only one of them is zero already where the ReLU was
  };

  int TensorOf(const Value& value) const {
    return value.layer < 0 ? result_.input : outputs_[value.layer].tensor;
  }
  bool Learns(const Value& value) const { return value.layer >= 0 && outputs_[value.layer].learns; }

  TrainingLayer Made(const Layer& layer) {
    TrainingLayer made;
    // That of the node is its own layer's.
    made.name = LayerName(*layer.node, layer.kind == LayerKind::kArrange ? ".arranged" : "");
    made.kind = layer.kind;
    made.from = layer.from;
    made.to = layer.to;
    made.window = layer.window;
    made.relu = layer.relu;
    made.bias = layer.bias != nullptr;
    made.count_pad = layer.count_pad;
    made.function = layer.function;
    made.slope = layer.slope;
    made.shift = layer.shift;
    made.ratio = layer.ratio;
    made.norm = layer.norm;
    made.groups = layer.groups;
    made.epsilon = layer.epsilon;
    made.momentum = layer.momentum;
    made.fixed = layer.fixed;
    made.cell = layer.cell;
    made.places = layer.places;
    if (layer.kind == LayerKind::kLinear) {
      made.in = layer.window.taps() * layer.from.channels;
      made.out = layer.to.channels / layer.groups;
    }
    return made;
  }

  // Of one phase; each product of FF has one in BP and one in UP.
  int64_t Macs(const Node& node, const TrainingLayer& layer) const {
    const int64_t taps = CountTaps(layer.from, layer.to, layer.window).all;
    const int64_t channels = layer.from.channels / layer.groups;  // that an output sees
    const double macs = static_cast<double>(taps) * static_cast<double>(channels) *
                        static_cast<double>(layer.to.channels) * static_cast<double>(result_.batch);
    return Counted(node, macs);
  }

  // Below kMaxMacs a double is exact.
  int64_t Counted(const Node& node, double macs) const {
    if (macs > kMaxMacs) {
      Refuse(node, "{:.3g} multiply-accumulates a step; accepted: up to {:.3g}", macs, kMaxMacs);
    }
    return static_cast<int64_t>(macs);
  }

  // Of the product of two activations, in FF or by one of them.
  int64_t ProductMacs(const Node& node, const Layer& layer) const {
    const Image& left = layer.inputs[0].image;
    const int64_t depth = layer.turned[0] ? left.width : left.channels;
    const double macs = static_cast<double>(layer.to.features()) * static_cast<double>(depth) *
                        static_cast<double>(result_.batch);
    return Counted(node, macs);
  }

  int AddLayer(TrainingLayer layer) {
    result_.layers.push_back(std::move(layer));
    return static_cast<int>(result_.layers.size()) - 1;
  }

  void AddForward(const Layer& layer) {
    TrainingLayer made = Made(layer);
    Output output;
    output.learns = layer.HasParameters();
    for (const Value& input : layer.inputs) {
      output.learns = output.learns || Learns(input);
      if (input.layer >= 0) ++outputs_[input.layer].uses;
    }
    if (layer.kind == LayerKind::kConcat || layer.kind == LayerKind::kSlice) {
      return AddCopies(layer, std::move(made), output);
    }
    if (layer.kind == LayerKind::kRecurrent) return AddRecurrent(layer, std::move(made), output);
    TrainingOp op;
    if (layer.kind == LayerKind::kArrange) {
      op.kind = TrainingOpKind::kArrange;
      for (const Value& input : layer.inputs) op.operands.push_back({Role::kX, TensorOf(input)});
      return AddMade(std::move(made), std::move(op), output);
    }
    op.operands = {{Role::kX, TensorOf(layer.inputs[0])}};
    if (layer.inputs.size() > 1) op.operands.push_back({Role::kX2, TensorOf(layer.inputs[1])});
    op.relu = made.relu;
    switch (layer.kind) {
      case LayerKind::kLinear:
        op.kind = TrainingOpKind::kLinearForward;
        op.macs = Macs(*layer.node, made);
        if (layer.lookup) {
          op.macs = 0;
          result_.one_hot = true;
        }
        op.operands.push_back({Role::kW, AddParameter(made.name + ".W", TensorKind::kWeight,
                                                      made.out, made.in, Weights(layer, made))});
        result_.tensors.back().fan_in = made.in / made.groups;
        break;
      case LayerKind::kNormalise:
        op.kind = TrainingOpKind::kNormaliseForward;
        op.operands.push_back({Role::kW, AddParameter(made.name + ".W", TensorKind::kScale, 1,
                                                      made.to.channels, layer.weight->values)});
        break;
      case LayerKind::kMaxPool:
      case LayerKind::kAveragePool:
        op.kind = TrainingOpKind::kPoolForward;
        break;
      case LayerKind::kSoftmax:
        op.kind = TrainingOpKind::kSoftmaxForward;
        break;
      case LayerKind::kProduct:
        op.kind = TrainingOpKind::kProduct;
        op.macs = ProductMacs(*layer.node, layer);
        op.turned = layer.turned;
        break;
      default:
        op.kind = TrainingOpKind::kElementForward;
        break;
    }
    if (layer.bias) {
      op.operands.push_back({Role::kB, AddParameter(made.name + ".b", TensorKind::kBias, 1,
                                                    made.to.channels, layer.bias->values)});
    }
    if (layer.norm == Norm::kBatch) {
      const int64_t channels = made.to.channels;
      op.operands.push_back({Role::kMean, AddParameter(made.name + ".mean", TensorKind::kMean, 1,
                                                       channels, layer.mean->values)});
      op.operands.push_back(
          {Role::kVariance, AddParameter(made.name + ".variance", TensorKind::kVariance, 1,
                                         channels, layer.variance->values)});
    }
    AddMade(std::move(made), std::move(op), output,
            layer.kind == LayerKind::kMaxPool && Learns(layer.inputs[0]));
  }

  // The layer with the operation that makes its output.
  void AddMade(TrainingLayer made, TrainingOp op, Output output, bool has_index = false) {
    output.tensor =
        AddSamples(made.name + ".Y", TensorKind::kActivation, FormatClass::kOperand, made.to);
    op.operands.push_back({Role::kY, output.tensor});
    if (has_index) {
      op.operands.push_back({Role::kIndex, AddSamples(made.name + ".I", TensorKind::kIndex,
                                                      FormatClass::kLabel, made.to)});
    }
    op.layer = output.layer = AddLayer(std::move(made));
    output.op = static_cast<int>(result_.ops.size());
    result_.ops.push_back(std::move(op));
    outputs_.push_back(std::move(output));
  }

  void AddCopies(const Layer& layer, TrainingLayer made, Output output) {
    output.tensor =
        AddSamples(made.name + ".Y", TensorKind::kActivation, FormatClass::kOperand, made.to);
    output.layer = AddLayer(std::move(made));
    int64_t channel = layer.channel;
    for (const Value& input : layer.inputs) {
      TrainingOp op;
      op.kind = TrainingOpKind::kCopy;
      op.layer = output.layer;
      op.channel = channel;
      op.operands = {{Role::kX, TensorOf(input)}, {Role::kY, output.tensor}};
      channel += input.image.channels;
      output.op = static_cast<int>(result_.ops.size());
      result_.ops.push_back(std::move(op));
    }
    outputs_.push_back(std::move(output));
  }

  // W x + b is a linear layer of its own, except in FF; so is V (r h').
  void AddRecurrent(const Layer& layer, TrainingLayer made, Output output) {
    const int64_t hidden = layer.to.channels;
    const bool resets = layer.cell == Cell::kResetGru;
    TrainingLayer sums;
    sums.name = made.name;
    sums.from = layer.from;
    sums.to = {made.to.height, made.to.width, GatesOf(layer.cell) * hidden};
    sums.in = sums.from.channels;
    sums.out = sums.to.channels;
    sums.bias = layer.bias != nullptr;
    // What it is in UP: sums of a step see h of the step before.
    made.name = LayerName(*layer.node, ".h");
    made.from = layer.to;
    made.to = sums.to;
    made.to.channels -= resets ? hidden : 0;
    made.window = {};
    made.window.pad_left = 1;
    made.window.pad_right = -1;
    made.in = hidden;
    made.out = made.to.channels;
    // Of a GRU both biases of the file stay apart, of others they are as one.
    made.bias = sums.bias && layer.cell == Cell::kGru;
    TrainingLayer of_reset = made;
    of_reset.to.channels = of_reset.out = hidden;
    TrainingOp op;
    op.kind = TrainingOpKind::kRecurrentForward;
    op.macs = Macs(*layer.node, sums) + Macs(*layer.node, made);
    std::vector<float> u = layer.recurrent->values, v;
    if (resets) {
      of_reset.name = LayerName(*layer.node, ".n");
      op.macs += Macs(*layer.node, of_reset);
      if (!u.empty()) v.assign(u.begin() + static_cast<std::ptrdiff_t>(made.out * hidden), u.end());
      u.resize(u.size() - v.size());
    }
    op.operands = {{Role::kX, TensorOf(layer.inputs[0])},
                   {Role::kW, AddParameter(sums.name + ".W", TensorKind::kWeight, sums.out, sums.in,
                                           layer.weight->values)},
                   {Role::kU, AddParameter(made.name + ".W", TensorKind::kWeight, made.out, made.in,
                                           std::move(u))}};
    if (resets) {
      op.operands.push_back({Role::kV, AddParameter(of_reset.name + ".W", TensorKind::kWeight,
                                                    hidden, hidden, std::move(v))});
      op.operands.push_back({Role::kReset, AddSamples(of_reset.name + ".X", TensorKind::kActivation,
                                                      FormatClass::kOperand, layer.to)});
      AddLayer(std::move(of_reset));
    }
    if (layer.bias) {
      std::vector<float> b = layer.bias->values, d;
      if (!b.empty()) d.assign(b.begin() + static_cast<std::ptrdiff_t>(sums.out), b.end());
      b.resize(d.size());
      for (size_t i = 0; i < b.size() && !made.bias; ++i) b[i] += d[i];
      op.operands.push_back(
          {Role::kB, AddParameter(sums.name + ".b", TensorKind::kBias, 1, sums.out, b)});
      if (made.bias) {
        op.operands.push_back(
            {Role::kD, AddParameter(made.name + ".b", TensorKind::kBias, 1, made.out, d)});
      }
    }
    output.tensor =
        AddSamples(made.name + ".Y", TensorKind::kActivation, FormatClass::kOperand, layer.to);
    op.operands.push_back({Role::kY, output.tensor});
    AddLayer(std::move(sums));
    op.layer = output.layer = AddLayer(std::move(made));
    output.op = static_cast<int>(result_.ops.size());
    result_.ops.push_back(std::move(op));
    outputs_.push_back(std::move(output));
  }

  // Weights in our layout [j][ky][kx][c], of [out][c of a group][ky][kx] or the transpose.
  static std::vector<float> Weights(const Layer& layer, const TrainingLayer& made) {
    const std::vector<float>& from = layer.weight->values;
    const int64_t taps = made.window.taps();
    const int64_t channels = made.from.channels;
    const int64_t of_group = channels / made.groups;
    const bool as_they_are = taps == 1 || !layer.weight_has_channels_first;
    if ((layer.weight_is_out_in && as_they_are && made.groups == 1) || from.empty()) return from;
    std::vector<float> to(from.size());
    for (int64_t j = 0; j < made.out; ++j) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t o = c / of_group * made.out + j;
          const int64_t seen = c % of_group;
          const int64_t feature = as_they_are ? tap * of_group + seen : seen * taps + tap;
          to[j * made.in + tap * channels + c] =
              from[layer.weight_is_out_in ? o * taps * of_group + feature
                                          : feature * made.to.channels + o];
        }
      }
    }
    return to;
  }

  void CheckClasses() {
    result_.logits = outputs_.back().tensor;
    result_.classes = result_.layers.back().to.channels;
    if (result_.loss_kind == Loss::kMeanSquare) {
      if (found_.softmax != nullptr) {
        Refuse(*found_.softmax, "under loss = \"mse\"; accepted: outputs without softmax");
      }
    } else if (result_.classes < 2) {
      Refuse(*found_.layers.back().node,
             "the last layer has {} output; accepted: 2 or more classes", result_.classes);
    }
  }

  // ---- the loss and what goes back

  void AddLoss() {
    const TrainingLayer& last = result_.layers.back();
    TrainingOp op;
    const bool by_class = result_.loss_kind == Loss::kSoftmaxCrossEntropy;
    op.kind = by_class ? TrainingOpKind::kSoftmaxCrossEntropy : TrainingOpKind::kMeanSquare;
    op.layer = static_cast<int>(result_.layers.size()) - 1;
    const Image one = {1, 1, 1};
    result_.label = by_class
                        ? AddSamples("label", TensorKind::kLabel, FormatClass::kLabel, one)
                        : AddSamples("target", TensorKind::kLabel, FormatClass::kLoss, last.to);
    result_.loss = AddSamples("loss", TensorKind::kLoss, FormatClass::kLoss, one);
    const int dz = AddGradient(last.name + ".dZ", last.to);
    op.operands = {{Role::kLogits, result_.logits},
                   {Role::kLabel, result_.label},
                   {Role::kLoss, result_.loss},
                   {Role::kDz, dz}};
    result_.ops.push_back(std::move(op));
    outputs_.back().gradients = {dz};
    outputs_.back().masked = true;
  }

  // The tensor for what a layer gives back to one of its inputs: the whole gradient of that output
  // where nothing else takes it. `mask` says whether the layer is to apply the mask of a ReLU;
  // those that cannot give none.
  int GradientOf(const Value& input, const TrainingLayer& by, bool* mask) {
    Output& output = outputs_[input.layer];
    const TrainingLayer& layer = result_.layers[output.layer];
    const bool whole = output.uses == 1 && (mask != nullptr || !layer.relu);
    if (mask != nullptr) *mask = whole && layer.relu;
    output.masked = whole;
    const std::string name =
        whole ? layer.name + ".dZ"
              : fmt::format("{}.dZ.{}.{}", layer.name, by.name, output.gradients.size());
    const int made = AddGradient(name, TensorAt(output.tensor).image);
    output.gradients.push_back(made);
    return made;
  }

  // The gradient itself is what an input gets.
  void PassOn(const Value& input, int gradient) {
    Output& output = outputs_[input.layer];
    output.gradients.push_back(gradient);
    output.masked = !result_.layers[output.layer].relu;
  }

  // The gradient of an output, whole and masked.
  int GradientOf(Output& output) {
    const TrainingLayer& layer = result_.layers[output.layer];
    std::vector<int> parts = output.gradients;
    if (parts.size() == 1 && output.masked) return parts[0];
    for (int i = 0;; ++i) {
      TrainingOp op;
      op.phase = Phase::kBackPropagation;
      op.kind = TrainingOpKind::kSumGradients;
      op.layer = output.layer;
      const size_t count = std::min<size_t>(parts.size(), 2);
      const bool last = parts.size() == count;
      const int sum =
          AddGradient(last ? layer.name + ".dZ" : fmt::format("{}.dZ.{}", layer.name, i),
                      TensorAt(output.tensor).image);
      for (size_t part = 0; part < count; ++part) {
        op.operands.push_back({Role::kPart, parts[part]});
      }
      op.mask = last && layer.relu;
      if (op.mask) op.operands.push_back({Role::kX, output.tensor});
      op.operands.push_back({Role::kDx, sum});
      result_.ops.push_back(std::move(op));
      parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count));
      parts.insert(parts.begin(), sum);
      if (last) return sum;
    }
  }

  void AddBackward(int index) {
    const Layer& found = found_.layers[index];
    if (!outputs_[index].learns) return;
    const int dz = GradientOf(outputs_[index]);
    const TrainingLayer layer = result_.layers[outputs_[index].layer];
    const TrainingOp forward = result_.ops[outputs_[index].op];
    TrainingOp op;
    op.phase = Phase::kBackPropagation;
    op.layer = forward.layer;
    op.operands = {{Role::kDz, dz}};
    auto take = [&](std::initializer_list<Role> roles) {
      for (Role role : roles) {
        if (forward.Tensor(role) >= 0) op.operands.push_back({role, forward.Tensor(role)});
      }
    };
    auto back_to = [&](const Value& input) {
      const int dx = GradientOf(input, layer, &op.mask);
      op.operands.push_back({Role::kDx, dx});
      result_.ops.push_back(op);
    };
    const Value& input = found.inputs[0];
    switch (found.kind) {
      case LayerKind::kLinear:
        if (Learns(input)) {
          op.kind = TrainingOpKind::kLinearBackward;
          op.macs = forward.macs;
          take({Role::kW, Role::kX});
          back_to(input);
        }
        AddUpdate(forward, forward.layer, dz, Role::kX, Role::kW, Role::kB, forward.macs);
        return;
      case LayerKind::kMaxPool:
      case LayerKind::kAveragePool:
        op.kind = TrainingOpKind::kPoolBackward;
        take({Role::kIndex, Role::kX});
        return back_to(input);
      case LayerKind::kActivation:
        op.kind = TrainingOpKind::kElementBackward;
        take({Role::kX, Role::kY});
        return back_to(input);
      case LayerKind::kDropout:
        op.kind = TrainingOpKind::kElementBackward;
        take({Role::kX});
        return back_to(input);
      case LayerKind::kSoftmax: {
        op.kind = TrainingOpKind::kSoftmaxBackward;
        take({Role::kY});
        op.operands.push_back({Role::kDx, GradientOf(input, layer, nullptr)});
        result_.ops.push_back(op);
        return;
      }
      case LayerKind::kProduct:
        for (const int side : {0, 1}) AddProductBackward(found, forward, dz, side);
        return;
      case LayerKind::kNormalise:
        op.kind = TrainingOpKind::kNormaliseBackward;
        take({Role::kX, Role::kW, Role::kB});
        if (found.fixed) take({Role::kMean, Role::kVariance});
        if (Learns(input)) return back_to(input);
        result_.ops.push_back(op);
        return;
      case LayerKind::kAdd:
        for (const Value& each : found.inputs) {
          if (Learns(each)) PassOn(each, dz);
        }
        return;
      case LayerKind::kSubtract:
        if (Learns(input)) PassOn(input, dz);
        if (!Learns(found.inputs[1])) return;
        op.kind = TrainingOpKind::kElementBackward;
        op.operands.push_back({Role::kX, TensorOf(found.inputs[1])});
        return back_to(found.inputs[1]);
      case LayerKind::kMultiply:
      case LayerKind::kDivide:
        for (int i = 0; i < 2; ++i) {
          if (!Learns(found.inputs[i])) continue;
          op.kind = TrainingOpKind::kElementBackward;
          op.operands = {{Role::kDz, dz},
                         {Role::kX, TensorOf(found.inputs[i])},
                         {Role::kX2, TensorOf(found.inputs[1 - i])}};
          if (found.kind == LayerKind::kDivide && i == 1) take({Role::kY});
          back_to(found.inputs[i]);
        }
        return;
      case LayerKind::kConcat:
      case LayerKind::kSlice: {
        op.kind = TrainingOpKind::kCopy;
        op.channel = found.channel;
        for (const Value& each : found.inputs) {
          op.operands = {{Role::kDz, dz}};
          if (Learns(each)) {
            const int dx = GradientOf(each, layer, nullptr);
            op.operands.push_back({Role::kDx, dx});
            result_.ops.push_back(op);
          }
          op.channel += each.image.channels;
        }
        return;
      }
      case LayerKind::kArrange:
        op.kind = TrainingOpKind::kArrange;
        for (const Value& each : found.inputs) {
          op.operands = {{Role::kDz, dz}};
          if (Learns(each)) {
            op.operands.push_back({Role::kDx, GradientOf(each, layer, nullptr)});
            result_.ops.push_back(op);
          }
          op.first_place += each.image.features();
        }
        return;
      case LayerKind::kRecurrent:
        AddRecurrentBackward(found, forward, dz);
        return;
    }
  }

  // With Y = A B, dA = dY B^T and dB = A^T dY, and of an operand that is turned the transpose of
  // all that.
  void AddProductBackward(const Layer& found, const TrainingOp& forward, int dz, int side) {
    const Value& input = found.inputs[side];
    if (!Learns(input)) return;
    const int other = TensorOf(found.inputs[1 - side]);
    const bool other_turned = found.turned[1 - side];
    TrainingOp op;
    op.phase = Phase::kBackPropagation;
    op.kind = TrainingOpKind::kProduct;
    op.layer = forward.layer;
    op.macs = forward.macs;
    // dY comes first in the gradient of A, and where B is turned.
    const bool gradient_first = (side == 0) != found.turned[side];
    if (gradient_first) {
      op.operands = {{Role::kX, dz}, {Role::kX2, other}};
    } else {
      op.operands = {{Role::kX, other}, {Role::kX2, dz}};
    }
    const bool turns_other = other_turned == found.turned[side];
    op.turned[gradient_first ? 0 : 1] = found.turned[side];
    op.turned[gradient_first ? 1 : 0] = turns_other;
    op.operands.push_back({Role::kDx, GradientOf(input, result_.layers[forward.layer], nullptr)});
    result_.ops.push_back(std::move(op));
  }

  void AddRecurrentBackward(const Layer& found, const TrainingOp& forward, int dz) {
    const int cell = forward.layer;
    const int sums = cell - 1;
    const TrainingLayer& of_sums = result_.layers[sums];
    const bool resets = found.cell == Cell::kResetGru;
    const int64_t u_macs = Macs(*found.node, result_.layers[cell]);
    const int64_t v_macs = resets ? Macs(*found.node, result_.layers[cell - 2]) : 0;
    const int64_t w_macs = forward.macs - u_macs - v_macs;
    TrainingOp op;
    op.phase = Phase::kBackPropagation;
    op.kind = TrainingOpKind::kRecurrentBackward;
    op.layer = cell;
    op.macs = u_macs + v_macs;
    const int dsums = AddGradient(of_sums.name + ".dZ", of_sums.to);
    op.operands = {{Role::kDz, dz},
                   {Role::kU, forward.Tensor(Role::kU)},
                   {Role::kY, forward.Tensor(Role::kY)},
                   {Role::kDx, dsums}};
    int of_state = dsums, of_reset = -1;
    if (found.cell == Cell::kGru || resets) {
      of_state = AddGradient(result_.layers[cell].name + ".dS", result_.layers[cell].to);
      op.operands.push_back({Role::kDx, of_state});
    }
    if (resets) {
      of_reset = AddGradient(result_.layers[cell - 2].name + ".dZ", result_.layers[cell - 2].to);
      op.operands.push_back({Role::kV, forward.Tensor(Role::kV)});
      op.operands.push_back({Role::kDx, of_reset});
    }
    result_.ops.push_back(std::move(op));
    if (Learns(found.inputs[0])) {
      TrainingOp back;
      back.phase = Phase::kBackPropagation;
      back.kind = TrainingOpKind::kLinearBackward;
      back.layer = sums;
      back.macs = w_macs;
      const int x = forward.Tensor(Role::kX);
      const int dx = GradientOf(found.inputs[0], result_.layers[sums], &back.mask);
      back.operands = {
          {Role::kDz, dsums}, {Role::kW, forward.Tensor(Role::kW)}, {Role::kX, x}, {Role::kDx, dx}};
      result_.ops.push_back(std::move(back));
    }
    AddUpdate(forward, sums, dsums, Role::kX, Role::kW, Role::kB, w_macs);
    AddUpdate(forward, cell, of_state, Role::kY, Role::kU, Role::kD, u_macs);
    if (resets) {
      AddUpdate(forward, cell - 2, of_reset, Role::kReset, Role::kV, Role::kB, v_macs);
    }
  }

  void AddUpdate(const TrainingOp& forward, int layer, int dz, Role x, Role w, Role b,
                 int64_t macs) {
    TrainingOp op;
    op.phase = Phase::kWeightUpdate;
    op.kind = TrainingOpKind::kLinearUpdate;
    op.layer = layer;
    op.macs = macs;
    op.operands = {{Role::kDz, dz}, {Role::kX, forward.Tensor(x)}, {Role::kW, forward.Tensor(w)}};
    if (result_.layers[layer].bias) op.operands.push_back({Role::kB, forward.Tensor(b)});
    result_.ops.push_back(std::move(op));
  }

  const Graph& graph_;
  const Layers found_;
  TrainingGraph result_;
  std::vector<Output> outputs_;  // of found_.layers
  std::set<std::string> layer_names_;
  std::map<std::string, int> next_number_;  // of layers of one name
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

std::vector<int> TrainingOp::Tensors(Role role) const {
  std::vector<int> found;
  for (const Operand& operand : operands) {
    if (operand.role == role) found.push_back(operand.tensor);
  }
  return found;
}

int64_t TrainingGraph::MacsNeeded() const {
  int64_t macs = 0;
  for (const TrainingOp& op : ops) macs += op.macs;
  return macs;
}

int64_t TrainingGraph::Parameters() const {
  int64_t parameters = 0;
  for (const TrainingTensor& tensor : tensors) {
    if (tensor.is_trained()) parameters += tensor.elements();
  }
  return parameters;
}

int TrainingGraph::InputSteps() const {
  return sequence ? static_cast<int>(tensors[input].image.pixels()) : 1;
}

int64_t TrainingGraph::InputPlace(int64_t value) const {
  const Image& image = tensors[input].image;
  if (!sequence) return value;
  return value % image.pixels() * image.channels + value / image.pixels();
}

Loss LossOf(const Recipe& recipe) {
  return recipe.loss == "mse" ? Loss::kMeanSquare : Loss::kSoftmaxCrossEntropy;
}

TrainingGraph Differentiate(const Graph& graph, int64_t batch, Loss loss) {
  if (batch < 1 || batch > kMaxBatch) {
    RefuseInput("{}: batch {}; accepted: 1 to {}", graph.file, batch, kMaxBatch);
  }
  return Differentiator(graph, batch, loss).Run();
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
    const bool is_factor =
        tensor.kind == TensorKind::kScale || tensor.kind == TensorKind::kVariance;
    parameters[i].assign(tensor.elements(), is_factor ? 1.0f : 0.0f);
    if (tensor.kind == TensorKind::kWeight) {
      Random random(recipe.seed, fmt::format("weights/{}", layer));
      FillHeNormal(random, tensor.fan_in, parameters[i]);
    }
  }
  return parameters;
}

}  // namespace vaultrain
