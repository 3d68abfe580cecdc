// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/layers.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "network/image_window.h"
#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// Places in the window of a maximum, whose index is stored like a label.
constexpr int64_t kMaxIndices = 65536;

std::string ImageText(const Image& image) {
  return fmt::format("[{},{},{}]", image.channels, image.height, image.width);
}

class Finder {
 public:
  explicit Finder(const Graph& graph) : graph_(graph) {}

  Layers Run() {
    for (const Node& node : graph_.nodes) AddNode(node);
    const bool learns = std::any_of(layers_.begin(), layers_.end(),
                                    [](const Layer& l) { return l.kind == LayerKind::kLinear; });
    if (!learns) {
      RefuseInput("{}: the network has no Gemm, MatMul or Conv; accepted: at least one",
                  graph_.file);
    }
    const Value& output = values_.at(graph_.output);
    const Layer& last = layers_.back();
    if (last.relu || (last.kind == LayerKind::kActivation && last.function == Function::kRelu)) {
      Refuse(*last.node,
             "a ReLU follows the last layer; accepted: a linear last layer, "
             "whose outputs are the logits of the loss");
    }
    if (output.layer + 1 != static_cast<int>(layers_.size()) || output.image != last.to) {
      Refuse(*last.node, "the network goes on from here; accepted: one end, of one layer");
    }
    if (last.to.pixels() != 1) {
      Refuse(*last.node, "the network ends in {}; accepted: one pixel, whose channels are logits",
             ImageText(last.to));
    }
    return {std::move(layers_), *input_, input_has_channels_last_};
  }

 private:
  template <typename... Args>
  [[noreturn]] void Refuse(const Node& node, fmt::format_string<Args...> format,
                           Args&&... args) const {
    RefuseInput("{}: {}", NodeText(graph_, node), fmt::format(format, std::forward<Args>(args)...));
  }

  void AddNode(const Node& node) {
    if (softmax_) {
      Refuse(*softmax_, "softmax is accepted only at the end, where the loss includes it");
    }
    switch (node.kind) {
      case OperatorKind::kGemm:
        AddFullyConnected(node, node.Int("transB") != 0);
        if (node.inputs.size() > 2) SetBias(layers_.back(), node, node.inputs[2]);
        break;
      case OperatorKind::kMatMul:
        AddFullyConnected(node, false);
        break;
      case OperatorKind::kConv:
        if (node.Int("group") != 1) {
          Refuse(node, "group = {} cannot be trained yet; accepted: 1", node.Int("group"));
        }
        AddOfWindow(node, LayerKind::kLinear);
        SetWeight(node, node.inputs[1], true, true);
        if (node.inputs.size() > 2) SetBias(layers_.back(), node, node.inputs[2]);
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
      case OperatorKind::kMul:
        AddOfTwo(node);
        break;
      case OperatorKind::kRelu:
        AddRelu(node);
        break;
      case OperatorKind::kLeakyRelu:
        AddActivation(node, Function::kLeakyRelu);
        layers_.back().slope = std::get<float>(node.attributes.at("alpha"));
        break;
      case OperatorKind::kSigmoid:
        AddActivation(node, Function::kSigmoid);
        break;
      case OperatorKind::kTanh:
        AddActivation(node, Function::kTanh);
        break;
      case OperatorKind::kSoftmax:
        softmax_ = &node;
        Forward(node);
        break;
      case OperatorKind::kIdentity:
      case OperatorKind::kFlatten:
      case OperatorKind::kReshape:
        Forward(node);  // a sample stays the same row of numbers
        break;
    }
  }

  // ---- values

  // What a node's output is.
  void Set(const Node& node, const Value& value) { values_[node.outputs[0]] = value; }

  // The same numbers under another shape.
  void Forward(const Node& node) {
    const auto found = values_.find(node.inputs[0]);
    if (found != values_.end()) {
      Set(node, found->second);
    } else {
      raw_input_.insert(node.outputs[0]);
    }
  }

  // The image that a node takes; of the network's input the first node that asks says what it is.
  Value Input(const Node& node, int position, const Image& image, bool channels_last) {
    const int tensor = node.inputs[position];
    if (tensor == graph_.input || raw_input_.count(tensor) > 0) {
      if (!input_) {
        input_ = image;
        input_has_channels_last_ = channels_last;
      }
      if (*input_ != image || input_has_channels_last_ != channels_last) {
        Refuse(node, "takes the input as images {}, another node as {}; accepted: the same",
               ImageText(image), ImageText(*input_));
      }
      return {-1, image, 0, 0, channels_last};
    }
    const Value& value = values_.at(tensor);
    const bool same_order = value.channels_last == channels_last || value.image.pixels() == 1 ||
                            value.image.channels == 1;
    if (value.image != image || !same_order) {
      Refuse(node, "takes images {}, which a Reshape made of {}; accepted: the image that {} gives",
             ImageText(image), ImageText(value.image), Quote(NameOf(value)));
    }
    return value;
  }

  std::string NameOf(const Value& value) const {
    return value.layer < 0 ? graph_.tensors[graph_.input].name : layers_[value.layer].node->name;
  }

  // A value whatever its image is; of the network's input a row of features.
  Value AnyInput(const Node& node, int position) {
    const auto found = values_.find(node.inputs[position]);
    if (found != values_.end()) return found->second;
    const Image image =
        input_ ? *input_ : Image{1, 1, Elements(graph_.tensors[node.inputs[position]].shape)};
    return Input(node, position, image, input_has_channels_last_);
  }

  bool IsUsedOnce(int tensor) const { return graph_.tensors[tensor].consumers.size() == 1; }

  // Whether an output is used as a whole and by one node alone, through reshapes.
  bool IsPrivate(const Value& value) const {
    if (value.layer < 0 || value.image != layers_[value.layer].to) return false;
    for (const auto& [tensor, other] : values_) {
      if (other.layer == value.layer && !IsUsedOnce(tensor)) return false;
    }
    return true;
  }

  Layer& Add(const Node& node, LayerKind kind) {
    Layer& layer = layers_.emplace_back();
    layer.node = &node;
    layer.kind = kind;
    return layer;
  }

  void Give(const Node& node, bool channels_last) {
    const int made = static_cast<int>(layers_.size()) - 1;
    Set(node, {made, layers_.back().to, 0, 0, channels_last});
  }

  // ---- nodes

  // A ReLU becomes part of the layer that makes its input, where that is used for nothing else.
  void AddRelu(const Node& node) {
    const Value value = AnyInput(node, 0);
    if (value.layer < 0) {
      Refuse(node, "a ReLU of the input is not supported; accepted: after a layer");
    }
    if (IsPrivate(value) && Rectify(value)) {
      Set(node, value);
    } else {
      AddActivation(node, Function::kRelu);
    }
  }

  // Makes a value max(., 0), if the layer that makes it, or one behind it, can.
  bool Rectify(const Value& value) {
    Layer& layer = layers_[value.layer];
    switch (layer.kind) {
      case LayerKind::kLinear:
      case LayerKind::kAdd:
      case LayerKind::kNormalise:
        return layer.relu = true;
      case LayerKind::kMaxPool:
        // The maximum of rectified values is the rectified maximum,
        return IsPrivate(layer.inputs[0]) && Rectify(layer.inputs[0]);
      case LayerKind::kAveragePool:
        return IsRectified(layer.inputs[0]);  // their mean is not below 0.
      default:
        return false;
    }
  }

  bool IsRectified(const Value& value) const {
    if (value.layer < 0) return false;
    const Layer& layer = layers_[value.layer];
    const bool is_pool = layer.kind == LayerKind::kMaxPool || layer.kind == LayerKind::kAveragePool;
    return layer.relu || (is_pool && IsRectified(layer.inputs[0]));
  }

  void AddActivation(const Node& node, Function function) {
    const Value value = Whole(node, AnyInput(node, 0));
    Layer& layer = Add(node, LayerKind::kActivation);
    layer.inputs = {value};
    layer.from = layer.to = value.image;
    layer.function = function;
    Give(node, value.channels_last);
  }

  // Only windows can leave pixels out.
  Value Whole(const Node& node, const Value& value) const {
    if (value.layer >= 0 && value.image != layers_[value.layer].to) {
      Refuse(node, "takes a part of the pixels of {}; accepted: Gemm, MatMul or Conv of a part",
             Quote(NameOf(value)));
    }
    return value;
  }

  // A product of all values of a sample: flat, or with the image as its window.
  void AddFullyConnected(const Node& node, bool weight_is_out_in) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[1]].shape;
    const Value value = AnyInput(node, 0);
    Layer& layer = Add(node, LayerKind::kLinear);
    layer.inputs = {value};
    layer.from = value.layer < 0 ? value.image : layers_[value.layer].to;
    layer.to = {1, 1, shape[weight_is_out_in ? 0 : 1]};
    layer.window.kernel_h = value.image.height;
    layer.window.kernel_w = value.image.width;
    layer.window.pad_top = -value.top;
    layer.window.pad_left = -value.left;
    layer.window.pad_bottom = value.top + value.image.height - layer.from.height;
    layer.window.pad_right = value.left + value.image.width - layer.from.width;
    SetWeight(node, node.inputs[1], weight_is_out_in, !value.channels_last);
    Give(node, false);
  }

  void AddOfWindow(const Node& node, LayerKind kind) {
    const ImageWindow found = WindowOf(graph_, node);
    const Value value = Whole(node, Input(node, 0, found.from, false));
    if (CountTaps(found.from, found.to, found.window).some_see_nothing) {
      Refuse(node,
             "some positions of its window see nothing but padding; accepted: windows that "
             "reach into the image");
    }
    Layer& layer = Add(node, kind);
    layer.inputs = {value};
    layer.from = found.from;
    layer.to = found.to;
    layer.window = found.window;
    Give(node, false);
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
  void SetWeight(const Node& node, int tensor, bool weight_is_out_in, bool channels_first) {
    Layer& layer = layers_.back();
    layer.weight = &graph_.tensors[tensor];
    layer.weight_is_out_in = weight_is_out_in;
    layer.weight_has_channels_first = channels_first;
    Claim(node, *layer.weight);
  }

  // The sum or product of two activations, or a bias.
  void AddOfTwo(const Node& node) {
    const bool both =
        graph_.tensors[node.inputs[0]].is_data() && graph_.tensors[node.inputs[1]].is_data();
    if (!both) {
      const int data = graph_.tensors[node.inputs[0]].is_data() ? 0 : 1;
      if (node.kind == OperatorKind::kMul) {
        Refuse(node, "a product with a parameter cannot be trained yet; accepted: of two layers");
      }
      const Value value = AnyInput(node, data);
      if (!IsPrivate(value)) {
        Refuse(node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
      }
      SetBias(layers_[value.layer], node, node.inputs[1 - data]);
      Set(node, value);
      return;
    }
    const Value a = Whole(node, AnyInput(node, 0));
    const Value b = Whole(node, AnyInput(node, 1));
    if (a.image != b.image || (a.channels_last != b.channels_last && a.image.pixels() > 1)) {
      Refuse(node, "takes images {} and {}, which Reshapes made; accepted: of one shape",
             ImageText(a.image), ImageText(b.image));
    }
    Layer& layer =
        Add(node, node.kind == OperatorKind::kAdd ? LayerKind::kAdd : LayerKind::kMultiply);
    layer.inputs = {a, b};
    layer.from = layer.to = a.image;
    Give(node, a.channels_last);
  }

  void SetBias(Layer& layer, const Node& node, int tensor) {
    const Tensor& bias = graph_.tensors[tensor];
    if (layer.kind != LayerKind::kLinear || layer.relu || layer.bias) {
      Refuse(node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
    }
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

  const Graph& graph_;
  std::vector<Layer> layers_;
  std::map<int, Value> values_;  // of tensors that layers make
  std::set<int> raw_input_;      // tensors that are the network's input
  std::optional<Image> input_;   // as the first node takes it
  bool input_has_channels_last_ = false;
  const Node* softmax_ = nullptr;
  std::set<const Tensor*> claimed_;
};

}  // namespace

Layers FindLayers(const Graph& graph) { return Finder(graph).Run(); }

}  // namespace vaultrain
