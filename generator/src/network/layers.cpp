// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/layers.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <optional>
#include <set>

#include "network/image_window.h"
#include "network/moves.h"
#include "network/values.h"
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
        RefuseNode(graph_, *layer.node, "has no {} per channel; accepted: with scale and bias",
                   layer.weight ? "bias" : "scale");
      }
    }
    const bool learns = std::any_of(layers_.begin(), layers_.end(),
                                    [](const Layer& l) { return l.kind == LayerKind::kLinear; });
    if (!learns) {
      RefuseInput("{}: the network has no Gemm, MatMul or Conv; accepted: at least one",
                  graph_.file);
    }
    Value output = *values_.Find(graph_.output);
    if (output.places && output.layer + 1 == static_cast<int>(layers_.size())) {
      const auto count = static_cast<int64_t>(output.places->size());
      output = values_.Arranged(*layers_.back().node, values_.RowOf(output), {1, 1, count}, false);
    }
    const Layer& last = layers_.back();
    if (last.relu || (last.kind == LayerKind::kActivation && last.function == Function::kRelu)) {
      RefuseNode(graph_, *last.node,
                 "a ReLU follows the last layer; accepted: a linear last layer, "
                 "whose outputs are the logits of the loss");
    }
    if (output.layer + 1 != static_cast<int>(layers_.size()) || output.image != last.to) {
      RefuseNode(graph_, *last.node,
                 "the network goes on from here; accepted: one end, of one layer");
    }
    if (last.to.pixels() != 1) {
      RefuseNode(graph_, *last.node,
                 "the network ends in {}; accepted: one pixel, whose channels are logits",
                 ImageText(last.to));
    }
    return {std::move(layers_), *values_.input(), values_.input_has_channels_last(), softmax_};
  }

 private:
  void AddNode(const Node& node) {
    switch (node.kind) {
      case OperatorKind::kGemm:
        AddFullyConnected(node, node.Int("transB") != 0);
        if (node.inputs.size() > 2) AddBias(node, node.inputs[2]);
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
        Slice(values_, node);
        break;
      case OperatorKind::kSplit:
        Split(values_, node);
        break;
      case OperatorKind::kTranspose:
        Transpose(values_, node);
        break;
      case OperatorKind::kDropout:
        if (node.Int("training_mode") != 0 && node.Float("ratio") > 0) {
          AddOfOne(node, LayerKind::kDropout);
          layers_.back().ratio = node.Float("ratio");
        } else {
          values_.Forward(node);
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
        values_.Forward(node);  // a sample stays the same row of numbers
        break;
      case OperatorKind::kGather:
        AddLookup(node);
        break;
    }
  }

  void Give(const Node& node, bool channels_last) {
    const int made = static_cast<int>(layers_.size()) - 1;
    values_.Set(node.outputs[0], {made, layers_.back().to, 0, 0, channels_last, nullptr});
  }

  // ---- nodes

  // A ReLU becomes part of the layer that makes its input, where that is used for nothing else.
  void AddRelu(const Node& node) {
    const Value value = values_.AnyInput(node, 0);
    if (value.layer < 0) {
      RefuseNode(graph_, node, "a ReLU of the input is not supported; accepted: after a layer");
    }
    if (values_.IsPrivate(value) && Rectify(value)) {
      values_.Set(node.outputs[0], value);
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
        return values_.IsPrivate(layer.inputs[0]) && Rectify(layer.inputs[0]);
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
    const Value value = values_.Whole(node, values_.AnyInput(node, position));
    Layer& layer = values_.Add(node, kind);
    layer.inputs = {value};
    layer.from = layer.to = value.image;
    Give(node, value.channels_last);
  }

  // A product of all values of a sample: flat, or with the image as its window.
  void AddFullyConnected(const Node& node, bool weight_is_out_in) {
    const Tensor& weight = graph_.tensors[node.inputs[1]];
    if (weight.is_data()) return AddProduct(node);
    const std::vector<int64_t>& shape = weight.shape;
    if (graph_.tensors[node.inputs[0]].shape.size() > 2) return AddOfSteps(node, shape[1]);
    const Value value = values_.AnyInput(node, 0);
    Layer& layer = values_.Add(node, LayerKind::kLinear);
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
    const Value* made = values_.Find(node.inputs[position]);
    if (made != nullptr && made->channels_last && made->image.channels == shape.back()) {
      return *made;
    }
    return values_.Input(node, position, Rows(shape), true);
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
    Layer& layer = values_.Add(node, LayerKind::kLinear);
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
    const int tensor = node.inputs[position];
    const std::vector<int64_t>& shape = graph_.tensors[tensor].shape;
    const Image rows = Rows(shape);
    const Value* made = values_.Find(tensor);
    if (made == nullptr) return values_.Input(node, position, rows, true);
    const Value value = *made;
    if (!value.places) {
      // A line of channels before its steps.
      *turned = shape.size() == 3 && !value.channels_last &&
                value.image == Image{1, rows.channels, rows.width};
      return values_.Whole(node, *turned ? value : values_.Input(node, position, rows, true));
    }
    // Rows that are neighbouring channels stay channels.
    const Values::Row row = values_.RowOf(value);
    const auto are_channels = [&](int64_t first, int64_t second) {
      return row[first].layer >= 0 && row[first].layer == row[second].layer &&
             row[second].place - row[first].place == layers_[row[first].layer].to.pixels();
    };
    *turned = rows.width > 1 && rows.channels > 1 && are_channels(0, rows.channels) &&
              !are_channels(0, 1);
    if (!*turned) return values_.Input(node, position, rows, true);
    Values::Row columns;
    for (int64_t i = 0; i < rows.features(); ++i) {
      const int64_t pixel = i / rows.width;  // a column of one of the matrices
      const int64_t matrix = pixel / rows.channels;
      columns.push_back(
          row[(matrix * rows.width + i % rows.width) * rows.channels + pixel % rows.channels]);
    }
    return values_.Arranged(node, columns, {rows.height, rows.channels, rows.width}, true);
  }

  // Of two activations.
  void AddProduct(const Node& node) {
    std::array<bool, 2> turned = {};
    const Value a = Matrix(node, 0, &turned[0]);
    const Value b = Matrix(node, 1, &turned[1]);
    Layer& layer = values_.Add(node, LayerKind::kProduct);
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
      return values_.Forward(node);
    }
    const int64_t inner =
        std::accumulate(shape.begin() + axis + 1, shape.end(), int64_t{1}, std::multiplies<>());
    const int64_t outer = Elements(shape) / inner / shape[axis];
    const int64_t channels = shape[axis];
    if (inner > 1 && outer > 1) {
      // Places of the values behind each other along the axis, and back.
      const Values::Row row = values_.RowOf(node, node.inputs[0]);
      Values::Row moved, back(row.size());
      for (int64_t i = 0; i < Elements(shape); ++i) {
        const int64_t step = i / channels, c = i % channels;
        const int64_t from = (step / inner * channels + c) * inner + step % inner;
        moved.push_back(row[from]);
        back[from].place = c * outer * inner + step;
      }
      AddSoftmaxOf(node, values_.Arranged(node, moved, {1, outer * inner, channels}, true));
      for (Values::Origin& origin : back) origin.layer = static_cast<int>(layers_.size()) - 1;
      return values_.SetRow(node.outputs[0], back);
    }
    const bool last = inner == 1;
    const Value* made = values_.Find(node.inputs[0]);
    const bool fits = made != nullptr && !made->places && made->image.channels == channels &&
                      (made->channels_last == last || made->image.pixels() == 1);
    const Value value = fits   ? values_.Whole(node, *made)
                        : last ? values_.Input(node, 0, Rows(shape), true)
                               : values_.Input(node, 0, {1, inner * outer, channels}, false);
    AddSoftmaxOf(node, value);
    Give(node, value.channels_last);
  }

  void AddSoftmaxOf(const Node& node, const Value& value) {
    Layer& layer = values_.Add(node, LayerKind::kSoftmax);
    layer.inputs = {value};
    layer.from = layer.to = value.image;
  }

  // Whether nothing but a new shape follows.
  bool IsLast(int tensor) const {
    while (tensor != graph_.output) {
      if (graph_.tensors[tensor].consumers.size() != 1) return false;
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
    if (table.is_data()) return GatherPlaces(values_, node);
    if (table.shape.size() != 2) {
      RefuseNode(graph_, node, "a table of {} cannot be trained yet; accepted: [classes,values]",
                 ShapeText(table.shape));
    }
    const int64_t steps = Elements(graph_.tensors[node.inputs[1]].shape);
    const Value value = values_.Input(node, 1, {1, steps, table.shape[0]}, true);
    Layer& layer = values_.Add(node, LayerKind::kLinear);
    layer.inputs = {value};
    layer.from = value.image;
    layer.to = {1, steps, table.shape[1]};
    layer.lookup = true;
    SetWeight(node, node.inputs[0], false, false);
    Give(node, true);
  }

  void AddOfWindow(const Node& node, LayerKind kind) {
    const ImageWindow found = WindowOf(graph_, node);
    const Value value = values_.Whole(node, values_.Input(node, 0, found.from, false));
    if (CountTaps(found.from, found.to, found.window).some_see_nothing) {
      RefuseNode(graph_, node,
                 "some positions of its window see nothing but padding; accepted: windows that "
                 "reach into the image");
    }
    Layer& layer = values_.Add(node, kind);
    layer.inputs = {value};
    layer.from = found.from;
    layer.to = found.to;
    layer.window = found.window;
    Give(node, false);
    if (kind == LayerKind::kMaxPool && found.window.taps() > kMaxIndices) {
      RefuseNode(graph_, node, "a window of {} values; accepted for a maximum: up to {}",
                 found.window.taps(), kMaxIndices);
    }
    if (node.kind != OperatorKind::kAveragePool || node.Int("count_include_pad") == 0) return;
    if (found.hangs_over) {
      RefuseNode(graph_, node,
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
      const Value value = values_.AnyInput(node, data);
      const Tensor& parameter = graph_.tensors[node.inputs[1 - data]];
      const bool of_channel =
          value.image.channels == 1 && (kind == LayerKind::kAdd        ? TakesBias(value)
                                        : kind == LayerKind::kMultiply ? TakesScale(value)
                                                                       : false);
      if (parameter.values.size() == 1 && !of_channel) {
        return AddAffine(node, kind, data, parameter.values[0]);
      }
      if (kind == LayerKind::kSubtract || kind == LayerKind::kDivide) {
        RefuseNode(graph_, node, "with a parameter cannot be trained yet; accepted: of two layers");
      }
      if (kind == LayerKind::kMultiply) {
        SetScale(value, node, node.inputs[1 - data]);
      } else {
        if (!TakesBias(value)) {
          RefuseNode(graph_, node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
        }
        SetBias(layers_[value.layer], node, node.inputs[1 - data], value.channels_last);
      }
      values_.Set(node.outputs[0], value);
      return;
    }
    Value a, b;
    const std::vector<int64_t>& shape = graph_.tensors[node.outputs[0]].shape;
    const bool stretched[2] = {graph_.tensors[node.inputs[0]].shape != shape,
                               graph_.tensors[node.inputs[1]].shape != shape};
    if (stretched[0] && stretched[1]) {
      a = Broadcast(values_, node, 0, ImageOf(shape), false);
      b = Broadcast(values_, node, 1, ImageOf(shape), false);
    } else if (stretched[0]) {
      b = values_.Whole(node, values_.AnyInput(node, 1));
      a = Broadcast(values_, node, 0, b.image, b.channels_last);
    } else {
      a = values_.Whole(node, values_.AnyInput(node, 0));
      b = stretched[1] ? Broadcast(values_, node, 1, a.image, a.channels_last)
                       : values_.Whole(node, values_.AnyInput(node, 1));
    }
    const bool same_order = a.channels_last == b.channels_last || a.image.pixels() == 1;
    if (a.image != b.image || !same_order) {
      b = values_.Arranged(node, values_.RowOf(node, node.inputs[1]), a.image, a.channels_last);
    }
    Layer& layer = values_.Add(node, kind);
    layer.inputs = {a, b};
    layer.from = layer.to = a.image;
    Give(node, a.channels_last);
  }

  // Of a Gemm: for each output, or a number for all.
  void AddBias(const Node& node, int tensor) {
    const Tensor& bias = graph_.tensors[tensor];
    if (bias.values.size() != 1 || layers_.back().to.channels == 1) {
      return SetBias(layers_.back(), node, tensor);
    }
    const Value product = *values_.Find(node.outputs[0]);
    Layer& layer = values_.Add(node, LayerKind::kActivation);
    layer.inputs = {product};
    layer.from = layer.to = product.image;
    layer.function = Function::kAffine;
    layer.slope = 1;
    layer.shift = bias.values[0];
    Give(node, product.channels_last);
  }

  // With one number for all values, which is no parameter.
  void AddAffine(const Node& node, LayerKind kind, int data, float number) {
    if (kind == LayerKind::kDivide && (data == 1 || number == 0)) {
      RefuseNode(graph_, node,
                 "a quotient by {}cannot be trained; accepted: by a number other than 0",
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
    return values_.IsPrivate(value) && TakesBias(layers_[value.layer]);
  }
  static bool TakesBias(const Layer& layer) {
    const bool takes = layer.kind == LayerKind::kLinear || layer.kind == LayerKind::kNormalise;
    return takes && !layer.relu && layer.bias == nullptr;
  }
  bool TakesScale(const Value& value) const {
    return values_.IsPrivate(value) && layers_[value.layer].kind == LayerKind::kNormalise &&
           layers_[value.layer].weight == nullptr && TakesBias(layers_[value.layer]);
  }

  void SetBias(Layer& layer, const Node& node, int tensor, bool channels_last = false) {
    if (!TakesBias(layer)) {
      RefuseNode(graph_, node, "accepted: one bias, directly after its Gemm, MatMul or Conv");
    }
    layer.bias = PerChannel(node, tensor, "bias", layer.to.channels, channels_last);
  }

  // The scale of a normalisation that has none of its own.
  void SetScale(const Value& value, const Node& node, int tensor) {
    if (!TakesScale(value)) {
      RefuseNode(graph_, node,
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
    // Those of a LayerNormalization have the dimensions that it normalises.
    const bool of_row = node.kind == OperatorKind::kLayerNormalization;
    if (of_row && Elements(shape) == channels) {
      Claim(node, parameter);
      return &parameter;
    }
    if (shape.size() <= behind || shape[shape.size() - 1 - behind] != channels ||
        Elements(shape) != channels) {
      RefuseNode(graph_, node, "{} {} is {}; accepted: one value per output, [{}{}]", what,
                 Quote(parameter.name), ShapeText(shape), channels,
                 fmt::join(std::vector<std::string>(behind, ",1"), ""));
    }
    Claim(node, parameter);
    return &parameter;
  }

  // ---- normalisation

  // As the layers of normalisation take it: steps [N,..,C] of LayerNormalization, else channels
  // [N,C,..], of which a Reshape may have put some side by side.
  Value ToNormalise(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const int64_t all = Elements(shape);
    const Value* found = values_.Find(node.inputs[0]);
    const bool is_image = found != nullptr && !found->places;
    const Image image = is_image ? found->image : Image();
    const bool last = is_image && found->channels_last && image.pixels() > 1;
    if (node.kind == OperatorKind::kLayerNormalization) {
      const int64_t together = std::accumulate(shape.begin() + node.Int("axis"), shape.end(),
                                               int64_t{1}, std::multiplies<>());
      const bool fits = is_image && together == image.channels && (image.pixels() == 1 || last);
      if (fits) return values_.Whole(node, *found);
      return values_.Whole(node, values_.Input(node, 0, {1, all / together, together}, true));
    }
    const bool of_batch = node.kind == OperatorKind::kBatchNormalization;
    const int64_t groups =
        node.kind == OperatorKind::kGroupNormalization ? node.Int("num_groups") : shape[1];
    const int64_t scales = Elements(graph_.tensors[node.inputs[1]].shape);
    const bool fits = is_image && !last &&
                      (of_batch ? shape[1] == image.channels : image.channels % groups == 0) &&
                      (scales == image.channels || HasOnly(node.inputs[1], 1));
    if (fits) return values_.Whole(node, *found);
    const bool as_image = shape.size() == 3 || shape.size() == 4;
    const Image channels = as_image ? ImageOf(shape) : Image{1, all / shape[1], shape[1]};
    return values_.Whole(node, values_.Input(node, 0, channels, false));
  }

  // Groups of channels of the value that a node takes.
  void AddNormalisation(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const Value value = ToNormalise(node);
    const Image& image = value.image;
    Layer layer;
    layer.node = &node;
    layer.kind = LayerKind::kNormalise;
    layer.inputs = {value};
    layer.from = layer.to = image;
    layer.epsilon = node.Float("epsilon");
    if (node.kind == OperatorKind::kLayerNormalization) {
      if (image.pixels() > 1) layer.norm = Norm::kSteps;
    } else if (node.kind == OperatorKind::kBatchNormalization) {
      layer.fixed = node.Int("training_mode") == 0;
      layer.norm = Norm::kBatch;
      layer.momentum = node.Float("momentum");
      layer.mean = PerChannel(node, node.inputs[3], "mean", image.channels, true);
      layer.variance = PerChannel(node, node.inputs[4], "variance", image.channels, true);
    } else {
      layer.groups =
          node.kind == OperatorKind::kGroupNormalization ? node.Int("num_groups") : shape[1];
    }
    const bool has_bias = node.inputs.size() > 2 && node.inputs[2] >= 0;
    if (Elements(graph_.tensors[node.inputs[1]].shape) == image.channels) {
      layer.weight = PerChannel(node, node.inputs[1], "scale", image.channels, true);
      if (has_bias) layer.bias = PerChannel(node, node.inputs[2], "bias", image.channels, true);
    } else if (!HasOnly(node.inputs[1], 1) || (has_bias && !HasOnly(node.inputs[2], 0))) {
      RefuseNode(
          graph_, node,
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
    const Value value = values_.Whole(
        node, values_.Input(node, 0, Rows(graph_.tensors[node.inputs[0]].shape), true));
    Layer& layer = values_.Add(node, LayerKind::kRecurrent);
    layer.inputs = {value};
    layer.cell = node.kind == OperatorKind::kLstm       ? Cell::kLstm
                 : node.kind == OperatorKind::kRnn      ? Cell::kRnn
                 : node.Int("linear_before_reset") == 1 ? Cell::kGru
                                                        : Cell::kResetGru;
    const auto& activations = std::get<std::vector<std::string>>(node.attributes.at("activations"));
    if (layer.cell == Cell::kRnn && !activations.empty() && activations[0] != "Tanh") {
      RefuseNode(graph_, node, "activation {} cannot be trained yet; accepted: Tanh",
                 activations[0]);
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
    if (node.outputs[0] >= 0) values_.Set(node.outputs[0], {made, layer.to, 0, 0, true, nullptr});
    if (node.outputs[1] >= 0) {
      const Image last = {1, 1, layer.to.channels};
      values_.Set(node.outputs[1], {made, last, 0, layer.to.width - 1, true, nullptr});
    }
    if (node.outputs.size() > 2 && node.outputs[2] >= 0) {
      RefuseNode(graph_, node, "Y_c, the last state, cannot be used yet; accepted: Y and Y_h");
    }
  }

  void AddConcat(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.outputs[0]].shape;
    if (!JoinsChannels(values_, node)) {
      const std::optional<Value> first = values_.SeenAt(node.inputs[0]);
      const bool last = first && first->channels_last && shape.size() > 2;
      const Image image =
          last ? Image{1, Elements(shape) / shape.back(), shape.back()} : ImageOf(shape);
      return values_.Set(node.outputs[0],
                         values_.Arranged(node, Joined(values_, node), image, last));
    }
    std::vector<Value> inputs;
    Image image;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(values_.Whole(node, values_.AnyInput(node, static_cast<int>(i))));
      const Value& value = inputs.back();
      image = {value.image.height, value.image.width, image.channels + value.image.channels};
    }
    Layer& layer = values_.Add(node, LayerKind::kConcat);
    layer.inputs = std::move(inputs);
    layer.from = layer.to = image;
    Give(node, layer.inputs[0].channels_last);
  }

  // A parameter belongs to one layer.
  void Claim(const Node& node, const Tensor& parameter) {
    if (!claimed_.insert(&parameter).second) {
      RefuseNode(graph_, node, "parameter {} is shared between nodes; accepted: one use of each",
                 Quote(parameter.name));
    }
  }

  const Graph& graph_;
  std::vector<Layer> layers_;
  Values values_ = {graph_, layers_};
  const Node* softmax_ = nullptr;
  std::set<const Tensor*> claimed_;
};

}  // namespace

Layers FindLayers(const Graph& graph) { return Finder(graph).Run(); }

}  // namespace vaultrain
