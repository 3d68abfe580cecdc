// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/layers.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
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
    for (const Layer& layer : layers_) {
      if (layer.kind == LayerKind::kNormalise && (!layer.weight || !layer.bias)) {
        Refuse(*layer.node, "has no {} per channel; accepted: with scale and bias",
               layer.weight ? "bias" : "scale");
      }
    }
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
    return {std::move(layers_), *input_, input_has_channels_last_, softmax_};
  }

 private:
  template <typename... Args>
  [[noreturn]] void Refuse(const Node& node, fmt::format_string<Args...> format,
                           Args&&... args) const {
    RefuseInput("{}: {}", NodeText(graph_, node), fmt::format(format, std::forward<Args>(args)...));
  }

  void AddNode(const Node& node) {
    switch (node.kind) {
      case OperatorKind::kGemm:
        AddFullyConnected(node, node.Int("transB") != 0);
        if (node.inputs.size() > 2) SetBias(layers_.back(), node, node.inputs[2]);
        break;
      case OperatorKind::kMatMul:
        AddFullyConnected(node, false);
        break;
      case OperatorKind::kConv:
        AddOfWindow(node, LayerKind::kLinear);
        layers_.back().groups = node.Int("group");
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
        AddOfTwo(node, LayerKind::kAdd);
        break;
      case OperatorKind::kSub:
        AddOfTwo(node, LayerKind::kSubtract);
        break;
      case OperatorKind::kDiv:
        AddOfTwo(node, LayerKind::kDivide);
        break;
      case OperatorKind::kMul:
        AddOfTwo(node, LayerKind::kMultiply);
        break;
      case OperatorKind::kRelu:
        AddRelu(node);
        break;
      case OperatorKind::kLeakyRelu:
        AddActivation(node, Function::kLeakyRelu);
        layers_.back().slope = node.Float("alpha");
        break;
      case OperatorKind::kSigmoid:
        AddActivation(node, Function::kSigmoid);
        break;
      case OperatorKind::kTanh:
        AddActivation(node, Function::kTanh);
        break;
      case OperatorKind::kInstanceNormalization:
      case OperatorKind::kGroupNormalization:
      case OperatorKind::kLayerNormalization:
      case OperatorKind::kBatchNormalization:
        AddNormalisation(node);
        break;
      case OperatorKind::kRnn:
      case OperatorKind::kLstm:
      case OperatorKind::kGru:
        AddRecurrent(node);
        break;
      case OperatorKind::kConcat:
        AddConcat(node);
        break;
      case OperatorKind::kSlice:
        Crop(node);
        break;
      case OperatorKind::kSplit:
        Split(node);
        break;
      case OperatorKind::kTranspose:
        Transpose(node);
        break;
      case OperatorKind::kDropout:
        if (node.Int("training_mode") != 0 && node.Float("ratio") > 0) {
          AddOfOne(node, LayerKind::kDropout);
          layers_.back().ratio = node.Float("ratio");
        } else {
          Forward(node);
        }
        break;
      case OperatorKind::kSoftmax:
        AddSoftmax(node);
        break;
      case OperatorKind::kIdentity:
      case OperatorKind::kFlatten:
      case OperatorKind::kReshape:
      case OperatorKind::kSqueeze:
      case OperatorKind::kUnsqueeze:
        Forward(node);  // a sample stays the same row of numbers
        break;
      case OperatorKind::kGather:
        AddLookup(node);
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
      case LayerKind::kSubtract:
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

  void AddActivation(const Node& node, Function function, int position = 0) {
    AddOfOne(node, LayerKind::kActivation, position);
    layers_.back().function = function;
  }

  // Value by value.
  void AddOfOne(const Node& node, LayerKind kind, int position = 0) {
    const Value value = Whole(node, AnyInput(node, position));
    Layer& layer = Add(node, kind);
    layer.inputs = {value};
    layer.from = layer.to = value.image;
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
    const Tensor& weight = graph_.tensors[node.inputs[1]];
    if (weight.is_data()) return AddProduct(node);
    const std::vector<int64_t>& shape = weight.shape;
    if (graph_.tensors[node.inputs[0]].shape.size() > 2) return AddOfSteps(node, shape[1]);
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

  // [N,..,features]: as it lies where the features are channels, else in rows of the steps.
  Value Sequence(const Node& node, int position) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[position]].shape;
    const auto made = values_.find(node.inputs[position]);
    if (made != values_.end() && made->second.channels_last &&
        made->second.image.channels == shape.back()) {
      return made->second;
    }
    return Input(node, position, Rows(shape), true);
  }

  // [N,..,T,features] as images whose rows have T pixels.
  static Image Rows(const std::vector<int64_t>& shape) {
    const int64_t features = shape.back();
    const int64_t steps = shape.size() > 2 ? shape[shape.size() - 2] : 1;
    return {Elements(shape) / (steps * features), steps, features};
  }

  // The same product of every step.
  void AddOfSteps(const Node& node, int64_t outputs) {
    const Value value = Sequence(node, 0);
    Layer& layer = Add(node, LayerKind::kLinear);
    layer.inputs = {value};
    layer.from = value.layer < 0 ? value.image : layers_[value.layer].to;
    layer.to = {value.image.height, value.image.width, outputs};
    layer.window.pad_top = -value.top;
    layer.window.pad_left = -value.left;
    layer.window.pad_bottom = value.top + value.image.height - layer.from.height;
    layer.window.pad_right = value.left + value.image.width - layer.from.width;
    SetWeight(node, node.inputs[1], false, false);
    Give(node, true);
  }

  // [N,..,rows,columns]: as images, or as what a Transpose of its last two dimensions takes.
  Value Matrix(const Node& node, int position, bool* turned) {
    const Tensor* tensor = &graph_.tensors[node.inputs[position]];
    std::vector<int64_t> shape = tensor->shape;
    const auto made = values_.find(node.inputs[position]);
    // A line of channels before its steps.
    *turned = made != values_.end() && shape.size() == 3 && !made->second.channels_last &&
              made->second.image == Image{1, shape[2], shape[1]};
    if (*turned) return Whole(node, made->second);
    return Whole(node, Input(node, position, Rows(shape), true));
  }

  // Of two activations.
  void AddProduct(const Node& node) {
    std::array<bool, 2> turned = {};
    const Value a = Matrix(node, 0, &turned[0]);
    const Value b = Matrix(node, 1, &turned[1]);
    Layer& layer = Add(node, LayerKind::kProduct);
    layer.inputs = {a, b};
    layer.turned = turned;
    layer.from = a.image;
    layer.to = {a.image.height, turned[0] ? a.image.channels : a.image.width,
                turned[1] ? b.image.width : b.image.channels};
    Give(node, true);
  }

  // At the end of the network it belongs to the loss.
  void AddSoftmax(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const int64_t axis = node.Int("axis");
    if (Elements(shape) == shape[axis] && IsLast(node.outputs[0])) {
      softmax_ = &node;
      return Forward(node);
    }
    const int64_t inner =
        std::accumulate(shape.begin() + axis + 1, shape.end(), int64_t{1}, std::multiplies<>());
    const int64_t outer = Elements(shape) / inner / shape[axis];
    if (inner > 1 && outer > 1) {
      Refuse(node,
             "of {} along axis {} cannot be trained yet; accepted: the first or the last axis",
             ShapeText(shape), axis);
    }
    const bool last = inner == 1;
    const auto made = values_.find(node.inputs[0]);
    const bool fits = made != values_.end() && made->second.image.channels == shape[axis] &&
                      (made->second.channels_last == last || made->second.image.pixels() == 1);
    const Value value = fits ? made->second : Input(node, 0, {1, inner * outer, shape[axis]}, last);
    Layer& layer = Add(node, LayerKind::kSoftmax);
    layer.inputs = {Whole(node, value)};
    layer.from = layer.to = value.image;
    Give(node, value.channels_last);
  }

  // Whether nothing but a new shape follows.
  bool IsLast(int tensor) const {
    while (tensor != graph_.output) {
      if (!IsUsedOnce(tensor)) return false;
      const Node& next = graph_.nodes[graph_.tensors[tensor].consumers[0]];
      const std::set<OperatorKind> keep = {OperatorKind::kIdentity, OperatorKind::kFlatten,
                                           OperatorKind::kReshape, OperatorKind::kSqueeze,
                                           OperatorKind::kUnsqueeze};
      if (keep.count(next.kind) == 0) return false;
      tensor = next.outputs[0];
    }
    return true;
  }

  // Rows of a table by the classes of the steps: a product with a one for each class.
  void AddLookup(const Node& node) {
    const Tensor& table = graph_.tensors[node.inputs[0]];
    if (table.is_data()) {
      Refuse(node,
             "of an activation cannot be trained yet; accepted: one place, without dimension");
    }
    if (table.shape.size() != 2) {
      Refuse(node, "a table of {} cannot be trained yet; accepted: [classes,values]",
             ShapeText(table.shape));
    }
    const int64_t steps = Elements(graph_.tensors[node.inputs[1]].shape);
    const Value value = Input(node, 1, {1, steps, table.shape[0]}, true);
    Layer& layer = Add(node, LayerKind::kLinear);
    layer.inputs = {value};
    layer.from = value.image;
    layer.to = {1, steps, table.shape[1]};
    layer.lookup = true;
    SetWeight(node, node.inputs[0], false, false);
    Give(node, true);
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

  // Two activations value by value; or a bias, or a scale.
  void AddOfTwo(const Node& node, LayerKind kind) {
    const bool both =
        graph_.tensors[node.inputs[0]].is_data() && graph_.tensors[node.inputs[1]].is_data();
    if (!both) {
      const int data = graph_.tensors[node.inputs[0]].is_data() ? 0 : 1;
      const Value value = AnyInput(node, data);
      const Tensor& parameter = graph_.tensors[node.inputs[1 - data]];
      const bool of_channel =
          value.image.channels == 1 && (kind == LayerKind::kAdd        ? TakesBias(value)
                                        : kind == LayerKind::kMultiply ? TakesScale(value)
                                                                       : false);
      if (parameter.values.size() == 1 && !of_channel) {
        return AddAffine(node, kind, data, parameter.values[0]);
      }
      if (kind == LayerKind::kSubtract || kind == LayerKind::kDivide) {
        Refuse(node, "with a parameter cannot be trained yet; accepted: of two layers");
      }
      if (kind == LayerKind::kMultiply) {
        SetScale(value, node, node.inputs[1 - data]);
      } else {
        if (!TakesBias(value)) {
          Refuse(node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
        }
        SetBias(layers_[value.layer], node, node.inputs[1 - data], value.channels_last);
      }
      Set(node, value);
      return;
    }
    const Value a = Whole(node, AnyInput(node, 0));
    const Value b = Whole(node, AnyInput(node, 1));
    if (a.image != b.image || (a.channels_last != b.channels_last && a.image.pixels() > 1)) {
      Refuse(node, "takes images {} and {}, which Reshapes made; accepted: of one shape",
             ImageText(a.image), ImageText(b.image));
    }
    Layer& layer = Add(node, kind);
    layer.inputs = {a, b};
    layer.from = layer.to = a.image;
    Give(node, a.channels_last);
  }

  // With one number for all values, which is no parameter.
  void AddAffine(const Node& node, LayerKind kind, int data, float number) {
    if (kind == LayerKind::kDivide && (data == 1 || number == 0)) {
      Refuse(node, "a quotient by {}cannot be trained; accepted: by a number other than 0",
             data == 1 ? "an activation of a number " : "0 ");
    }
    AddActivation(node, Function::kAffine, data);
    Layer& layer = layers_.back();
    layer.slope = kind == LayerKind::kMultiply                ? number
                  : kind == LayerKind::kDivide                ? 1 / number
                  : kind == LayerKind::kSubtract && data == 1 ? -1.0F
                                                              : 1.0F;
    if (kind == LayerKind::kAdd) layer.shift = number;
    if (kind == LayerKind::kSubtract) layer.shift = data == 1 ? number : -number;
  }

  bool TakesBias(const Value& value) const {
    return IsPrivate(value) && TakesBias(layers_[value.layer]);
  }
  static bool TakesBias(const Layer& layer) {
    const bool takes = layer.kind == LayerKind::kLinear || layer.kind == LayerKind::kNormalise;
    return takes && !layer.relu && layer.bias == nullptr;
  }
  bool TakesScale(const Value& value) const {
    return IsPrivate(value) && layers_[value.layer].kind == LayerKind::kNormalise &&
           layers_[value.layer].weight == nullptr && TakesBias(layers_[value.layer]);
  }

  void SetBias(Layer& layer, const Node& node, int tensor, bool channels_last = false) {
    if (!TakesBias(layer)) {
      Refuse(node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
    }
    layer.bias = PerChannel(node, tensor, "bias", layer.to.channels, channels_last);
  }

  // The scale of a normalisation that has none of its own.
  void SetScale(const Value& value, const Node& node, int tensor) {
    if (!TakesScale(value)) {
      Refuse(node,
             "a product with a parameter cannot be trained yet; accepted: of two layers, or as "
             "the scale directly behind a normalisation without one");
    }
    Layer& layer = layers_[value.layer];
    layer.weight = PerChannel(node, tensor, "scale", layer.to.channels, value.channels_last);
  }

  // An Add or Mul counts its axes from the last; behind the channels of an image lie those of the
  // pixels.
  const Tensor* PerChannel(const Node& node, int tensor, const char* what, int64_t channels,
                           bool channels_last) {
    const Tensor& parameter = graph_.tensors[tensor];
    const bool by_node = node.kind == OperatorKind::kAdd || node.kind == OperatorKind::kMul;
    const size_t behind =
        by_node && !channels_last ? graph_.tensors[node.outputs[0]].shape.size() - 2 : 0;
    const std::vector<int64_t>& shape = parameter.shape;
    if (shape.size() <= behind || shape[shape.size() - 1 - behind] != channels ||
        Elements(shape) != channels) {
      Refuse(node, "{} {} is {}; accepted: one value per output, [{}{}]", what,
             Quote(parameter.name), ShapeText(shape), channels,
             fmt::join(std::vector<std::string>(behind, ",1"), ""));
    }
    Claim(node, parameter);
    return &parameter;
  }

  // ---- normalisation

  // Groups of channels of the value that a node takes, which a Reshape may have put side by side.
  void AddNormalisation(const Node& node) {
    const Value value = Whole(node, AnyInput(node, 0));
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    if (value.layer < 0) {
      Refuse(node, "the input cannot be normalised yet; accepted: outputs of a layer");
    }
    const Image& image = value.image;
    Layer layer;
    layer.node = &node;
    layer.kind = LayerKind::kNormalise;
    layer.inputs = {value};
    layer.from = layer.to = image;
    layer.epsilon = node.Float("epsilon");
    if (node.kind == OperatorKind::kLayerNormalization) {
      const int64_t together = std::accumulate(shape.begin() + node.Int("axis"), shape.end(),
                                               int64_t{1}, std::multiplies<>());
      if (together != image.channels || (image.pixels() > 1 && !value.channels_last)) {
        Refuse(node,
               "of {} from axis {} on cannot be trained yet; accepted: vectors [N,C], and each "
               "step of sequences [N,T,C]",
               ShapeText(shape), node.Int("axis"));
      }
      if (image.pixels() > 1) layer.norm = Norm::kSteps;
    } else if (node.kind == OperatorKind::kBatchNormalization) {
      if (node.Int("training_mode") == 0) {
        Refuse(node, "training_mode = 0 has no statistics of the batch; accepted for training: 1");
      }
      if (shape[1] != image.channels || (value.channels_last && image.pixels() > 1)) {
        Refuse(node, "of {} made of images {}; accepted: [N,C,..] with their channels",
               ShapeText(shape), ImageText(image));
      }
      layer.norm = Norm::kBatch;
      layer.momentum = node.Float("momentum");
      layer.mean = PerChannel(node, node.inputs[3], "mean", image.channels, true);
      layer.variance = PerChannel(node, node.inputs[4], "variance", image.channels, true);
    } else {
      layer.groups =
          node.kind == OperatorKind::kGroupNormalization ? node.Int("num_groups") : shape[1];
      if (image.channels % layer.groups != 0 || (value.channels_last && image.pixels() > 1)) {
        Refuse(node, "{} groups of images {}; accepted: [N,C,..] whose channels they share",
               layer.groups, ImageText(image));
      }
    }
    const bool has_bias = node.inputs.size() > 2 && node.inputs[2] >= 0;
    if (Elements(graph_.tensors[node.inputs[1]].shape) == image.channels) {
      layer.weight = PerChannel(node, node.inputs[1], "scale", image.channels, true);
      if (has_bias) layer.bias = PerChannel(node, node.inputs[2], "bias", image.channels, true);
    } else if (!HasOnly(node.inputs[1], 1) || (has_bias && !HasOnly(node.inputs[2], 0))) {
      Refuse(node,
             "scale and bias of groups of channels cannot be trained; accepted: constants 1 and "
             "0, and a Mul and an Add per channel behind it");
    }
    layers_.push_back(std::move(layer));
    Give(node, value.channels_last);
  }

  bool HasOnly(int tensor, float value) const {
    const std::vector<float>& values = graph_.tensors[tensor].values;
    return !values.empty() &&
           std::all_of(values.begin(), values.end(), [&](float each) { return each == value; });
  }

  // ---- sequences

  void AddRecurrent(const Node& node) {
    const Value value =
        Whole(node, Input(node, 0, Rows(graph_.tensors[node.inputs[0]].shape), true));
    Layer& layer = Add(node, LayerKind::kRecurrent);
    layer.inputs = {value};
    layer.cell = node.kind == OperatorKind::kLstm       ? Cell::kLstm
                 : node.kind == OperatorKind::kRnn      ? Cell::kRnn
                 : node.Int("linear_before_reset") == 1 ? Cell::kGru
                                                        : Cell::kResetGru;
    const auto& activations = std::get<std::vector<std::string>>(node.attributes.at("activations"));
    if (layer.cell == Cell::kRnn && !activations.empty() && activations[0] != "Tanh") {
      Refuse(node, "activation {} cannot be trained yet; accepted: Tanh", activations[0]);
    }
    layer.from = value.image;
    layer.to = {1, value.image.width, node.Int("hidden_size")};
    SetWeight(node, node.inputs[1], true, false);
    layer.recurrent = &graph_.tensors[node.inputs[2]];
    Claim(node, *layer.recurrent);
    if (node.inputs.size() > 3 && node.inputs[3] >= 0) {
      layer.bias = &graph_.tensors[node.inputs[3]];
      Claim(node, *layer.bias);
    }
    const int made = static_cast<int>(layers_.size()) - 1;
    if (node.outputs[0] >= 0) values_[node.outputs[0]] = {made, layer.to, 0, 0, true};
    if (node.outputs[1] >= 0) {
      const Image last = {1, 1, layer.to.channels};
      values_[node.outputs[1]] = {made, last, 0, layer.to.width - 1, true};
    }
    if (node.outputs.size() > 2 && node.outputs[2] >= 0) {
      Refuse(node, "Y_c, the last state, cannot be used yet; accepted: Y and Y_h");
    }
  }

  // ---- arrangement

  enum class Axis { kNone, kChannels, kRows, kColumns };

  // What the dimensions of a tensor are of a value, the batch's first; those of size 1 are nothing.
  std::vector<Axis> AxesOf(const Node& node, const Value& value) const {
    struct Extent {
      Axis axis;
      int64_t size;
    };
    std::vector<Extent> extents = {{Axis::kRows, value.image.height},
                                   {Axis::kColumns, value.image.width}};
    extents.insert(value.channels_last ? extents.end() : extents.begin(),
                   {Axis::kChannels, value.image.channels});
    extents.erase(std::remove_if(extents.begin(), extents.end(),
                                 [](const Extent& extent) { return extent.size == 1; }),
                  extents.end());
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    std::vector<Axis> axes = {Axis::kNone};
    size_t next = 0;
    for (size_t i = 1; i < shape.size(); ++i) {
      axes.push_back(Axis::kNone);
      if (shape[i] == 1) continue;
      if (next == extents.size() || extents[next].size != shape[i]) {
        Refuse(node, "takes {} made of images {} by a Reshape; accepted: their own dimensions",
               ShapeText(shape), ImageText(value.image));
      }
      axes.back() = extents[next++].axis;
    }
    return axes;
  }

  Value Made(const Node& node) {
    const Value value = AnyInput(node, 0);
    if (value.layer < 0) {
      Refuse(node, "the input cannot be arranged anew; accepted: outputs of a layer");
    }
    return value;
  }

  // Channels move behind the pixels, or before them.
  void Transpose(const Node& node) {
    Value value = Made(node);
    const std::vector<Axis> axes = AxesOf(node, value);
    std::vector<Axis> moved;
    for (int64_t from : node.Ints("perm")) {
      if (axes[from] != Axis::kNone) moved.push_back(axes[from]);
    }
    auto is_order = [&](std::initializer_list<Axis> order) {
      size_t at = 0;
      for (Axis axis : order) at += at < moved.size() && moved[at] == axis;
      return at == moved.size();
    };
    if (is_order({Axis::kChannels, Axis::kRows, Axis::kColumns})) {
      value.channels_last = false;
    } else if (is_order({Axis::kRows, Axis::kColumns, Axis::kChannels})) {
      value.channels_last = true;
    } else {
      Refuse(node, "perm {} cannot be trained yet; accepted: channels first or last",
             ShapeText(node.Ints("perm")));
    }
    Set(node, value);
  }

  // A part of a value along an axis: of the pixels, for the windows of the next layer, or channels,
  // as a layer that copies them.
  Value PartOf(const Node& node, Value value, Axis axis, int64_t start, int64_t end) {
    switch (axis) {
      case Axis::kNone:
        break;
      case Axis::kRows:
        value.top += start;
        value.image.height = end - start;
        break;
      case Axis::kColumns:
        value.left += start;
        value.image.width = end - start;
        break;
      case Axis::kChannels: {
        Layer layer;
        layer.node = &node;
        layer.kind = LayerKind::kSlice;
        layer.inputs = {Whole(node, value)};
        layer.from = layer.to = value.image;
        layer.to.channels = end - start;
        layer.channel = start;
        value.layer = static_cast<int>(layers_.size());
        value.image = layer.to;
        layers_.push_back(std::move(layer));
        break;
      }
    }
    return value;
  }

  void Crop(const Node& node) {
    Value value = Made(node);
    const std::vector<Axis> axes = AxesOf(node, value);
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const std::vector<int64_t>& starts = node.Ints("starts");
    // Channels first: they are taken of all pixels.
    for (const bool of_channels : {true, false}) {
      for (size_t i = 0; i < starts.size(); ++i) {
        const int64_t axis = node.Ints("axes")[i];
        const int64_t end = node.Ints("ends")[i];
        if (starts[i] == 0 && end == shape[axis] && node.Ints("steps")[i] == 1) continue;
        if (node.Ints("steps")[i] != 1 || axes[axis] == Axis::kNone) {
          Refuse(node,
                 "of axis {} by steps of {} cannot be trained yet; accepted: pixels, steps of a "
                 "sequence or channels, by steps of 1",
                 axis, node.Ints("steps")[i]);
        }
        if ((axes[axis] == Axis::kChannels) != of_channels) continue;
        value = PartOf(node, value, axes[axis], starts[i], end);
      }
    }
    Set(node, value);
  }

  // Parts that follow each other.
  void Split(const Node& node) {
    const Value value = Made(node);
    const int64_t axis = node.Int("axis");
    const Axis along = AxesOf(node, value)[axis];
    int64_t start = 0;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const int64_t end = start + node.Ints("split")[i];
      if (node.outputs.size() > 1 && along == Axis::kNone) {
        Refuse(node,
               "of axis {} cannot be trained yet; accepted: pixels, steps of a sequence or "
               "channels",
               axis);
      }
      if (node.outputs[i] >= 0) {
        values_[node.outputs[i]] =
            node.outputs.size() > 1 ? PartOf(node, value, along, start, end) : value;
      }
      start = end;
    }
  }

  void AddConcat(const Node& node) {
    std::vector<Value> inputs;
    Image image;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(Whole(node, AnyInput(node, static_cast<int>(i))));
      const Value& value = inputs.back();
      const bool fits =
          value.image.height == inputs[0].image.height &&
          value.image.width == inputs[0].image.width &&
          (value.image.pixels() == 1 || value.channels_last == inputs[0].channels_last);
      if (!fits) Refuse(node, "of images of different sizes; accepted: along the channels");
      image = {value.image.height, value.image.width, image.channels + value.image.channels};
    }
    const int64_t rank = static_cast<int64_t>(graph_.tensors[node.outputs[0]].shape.size());
    const bool last = inputs[0].channels_last && image.pixels() > 1;
    if (node.Int("axis") != (last ? rank - 1 : 1)) {
      Refuse(node, "along axis {} cannot be trained yet; accepted: along the channels",
             node.Int("axis"));
    }
    Layer& layer = Add(node, LayerKind::kConcat);
    layer.inputs = std::move(inputs);
    layer.from = layer.to = image;
    Give(node, layer.inputs[0].channels_last);
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
