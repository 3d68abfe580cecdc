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

// Values of a sample that are brought to other places one by one.
constexpr int64_t kMaxArranged = 1 << 18;

std::string ImageText(const Image& image) {
  return fmt::format("[{},{},{}]", image.channels, image.height, image.width);
}

// A shape as an image: [N,C,H,W], [N,C,W], or as a vector.
Image ImageOf(const std::vector<int64_t>& shape) {
  if (shape.size() == 3) return {1, shape[2], shape[1]};
  if (shape.size() == 4) return {shape[2], shape[3], shape[1]};
  return {1, 1, Elements(shape)};
}

// The values of a sample of one shape, the batch's dimension left out, as those of another: an
// index into each dimension becomes the place of a value.
class Walk {
 public:
  explicit Walk(const std::vector<int64_t>& shape) : sizes_(shape.begin() + 1, shape.end()) {}

  // Calls visit(index) for each value, in order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    std::vector<int64_t> index(sizes_.size(), 0);
    for (;;) {
      visit(index);
      size_t d = sizes_.size();
      while (d > 0 && ++index[d - 1] == sizes_[d - 1]) index[--d] = 0;
      if (d == 0) return;
    }
  }
  int64_t PlaceOf(const std::vector<int64_t>& index) const {
    int64_t place = 0;
    for (size_t d = 0; d < sizes_.size(); ++d) place = place * sizes_[d] + index[d];
    return place;
  }

 private:
  std::vector<int64_t> sizes_;
};

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
    Value output = values_.at(graph_.output);
    if (output.places && output.layer + 1 == static_cast<int>(layers_.size())) {
      const auto count = static_cast<int64_t>(output.places->size());
      output = Arranged(*layers_.back().node, RowOf(output), {1, 1, count}, false);
    }
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
      if (*input_ == image && input_has_channels_last_ == channels_last) {
        return {-1, image, 0, 0, channels_last, nullptr};
      }
      return Arranged(node, RowOf(node, tensor), image, channels_last);
    }
    const Value& value = values_.at(tensor);
    const bool same_order = value.channels_last == channels_last || value.image.pixels() == 1 ||
                            value.image.channels == 1;
    if (!value.places && value.image == image && same_order) return value;
    return Arranged(node, RowOf(node, tensor), image, channels_last);
  }

  std::string NameOf(const Value& value) const {
    return value.layer < 0 ? graph_.tensors[graph_.input].name : layers_[value.layer].node->name;
  }

  // A value whatever its image is; of the network's input a row of features.
  Value AnyInput(const Node& node, int position) {
    const int tensor = node.inputs[position];
    const Image image = ImageOf(graph_.tensors[tensor].shape);
    const auto found = values_.find(tensor);
    if (found == values_.end()) {
      return Input(node, position, input_ ? *input_ : image, input_has_channels_last_);
    }
    if (!found->second.places) return found->second;
    return Arranged(node, RowOf(node, tensor), image, false);
  }

  // ---- values at other places

  // The values of a tensor in the order of the file: where each lies in what layers make, or in the
  // input as the file has it.
  struct Origin {
    int layer = -1;
    int64_t place = 0;
  };
  using Row = std::vector<Origin>;

  Row RowOf(const Node& node, int tensor) const {
    const int64_t count = Elements(graph_.tensors[tensor].shape);
    if (graph_.tensors[tensor].type != ElementType::kFloat) {
      Refuse(node, "brings classes to other places; accepted: activations");
    }
    CheckCount(node, count);
    const auto found = values_.find(tensor);
    Row row(count);
    if (found == values_.end() || (found->second.layer < 0 && !found->second.places)) {
      for (int64_t i = 0; i < count; ++i) row[i].place = i;
      return row;
    }
    return RowOf(found->second);
  }

  void CheckCount(const Node& node, int64_t count) const {
    if (count > kMaxArranged) {
      Refuse(node, "brings {} values of a sample to other places; accepted: up to {}", count,
             kMaxArranged);
    }
  }

  // Not of the network's input without places.
  Row RowOf(const Value& value) const {
    Row row;
    if (value.places) {
      for (const int64_t place : *value.places) row.push_back({value.layer, place});
      return row;
    }
    const Image& all = layers_[value.layer].to;
    const Image& image = value.image;
    for (int64_t i = 0; i < image.features(); ++i) {
      const int64_t c = value.channels_last ? i % image.channels : i / image.pixels();
      const int64_t pixel = value.channels_last ? i / image.channels : i % image.pixels();
      const int64_t y = value.top + pixel / image.width, x = value.left + pixel % image.width;
      row.push_back({value.layer, (c * all.height + y) * all.width + x});
    }
    return row;
  }

  // Values of one layer, for whatever takes them: all of it in one of its two orders, or places.
  void SetRow(int output, const Row& row) {
    const int layer = row.front().layer;
    for (const bool last : {false, true}) {
      if (layer < 0) break;
      const Value whole = {layer, layers_[layer].to, 0, 0, last, nullptr};
      const Row in_order = RowOf(whole);
      const bool same =
          std::equal(row.begin(), row.end(), in_order.begin(), in_order.end(),
                     [](const Origin& a, const Origin& b) { return a.place == b.place; });
      if (!same) continue;
      values_[output] = whole;
      return;
    }
    auto places = std::make_shared<std::vector<int64_t>>();
    for (const Origin& origin : row) places->push_back(origin.place);
    values_[output] = {layer, {}, 0, 0, false, std::move(places)};
  }

  // The image of such values: a layer brings them to their places, unless they are there.
  Value Arranged(const Node& node, const Row& row, const Image& image, bool channels_last) {
    Row wanted;  // [channel][y][x]
    for (int64_t i = 0; i < image.features(); ++i) {
      const int64_t c = i / image.pixels(), pixel = i % image.pixels();
      wanted.push_back(row[channels_last ? pixel * image.channels + c : i]);
    }
    const bool of_input = std::any_of(wanted.begin(), wanted.end(),
                                      [](const Origin& origin) { return origin.layer < 0; });
    if (of_input && !input_) DecideInput(row, image, channels_last);
    Layer layer;
    layer.node = &node;
    layer.kind = LayerKind::kArrange;
    layer.from = layer.to = image;
    std::map<int, int64_t> first;  // of each layer's values in those of all
    int64_t count = 0;
    for (Origin& origin : wanted) {
      const Image from = origin.layer < 0 ? *input_ : layers_[origin.layer].to;
      if (first.try_emplace(origin.layer, count).second) {
        layer.inputs.push_back({origin.layer, from, 0, 0, false, nullptr});
        count += from.features();
      }
      if (origin.layer < 0 && input_has_channels_last_) {
        origin.place = origin.place % from.channels * from.pixels() + origin.place / from.channels;
      }
      layer.places.push_back(static_cast<int32_t>(first.at(origin.layer) + origin.place));
    }
    bool as_it_is = layer.inputs.size() == 1 && layer.inputs[0].image == image;
    for (size_t i = 0; as_it_is && i < layer.places.size(); ++i) {
      as_it_is = layer.places[i] == static_cast<int32_t>(i);
    }
    if (as_it_is) return {layer.inputs[0].layer, image, 0, 0, channels_last, nullptr};
    // What another node took in the same way is there.
    int made = 0;
    for (const Layer& other : layers_) {
      if (other.kind == LayerKind::kArrange && other.to == image && other.places == layer.places &&
          other.inputs.size() == layer.inputs.size() &&
          std::equal(other.inputs.begin(), other.inputs.end(), layer.inputs.begin(),
                     [](const Value& a, const Value& b) { return a.layer == b.layer; })) {
        return {made, image, 0, 0, channels_last, nullptr};
      }
      ++made;
    }
    layers_.push_back(std::move(layer));
    return {made, image, 0, 0, channels_last, nullptr};
  }

  // The host can lay the input out as the first node takes it, where that is all of it.
  void DecideInput(const Row& row, const Image& image, bool channels_last) {
    const std::vector<int64_t>& shape = graph_.tensors[graph_.input].shape;
    input_ = ImageOf(shape);
    if (static_cast<int64_t>(row.size()) != Elements(shape)) return;
    for (const bool last : {false, true}) {
      bool fits = true;
      for (int64_t i = 0; fits && i < image.features(); ++i) {
        const int64_t c = i / image.pixels(), pixel = i % image.pixels();
        const int64_t in_row = channels_last ? pixel * image.channels + c : i;
        const int64_t in_file = last ? pixel * image.channels + c : i;
        fits = row[in_row].layer < 0 && row[in_row].place == in_file;
      }
      if (!fits) continue;
      input_ = image;
      input_has_channels_last_ = last;
      return;
    }
  }

  bool IsUsedOnce(int tensor) const { return graph_.tensors[tensor].consumers.size() == 1; }

  // Whether an output is used as a whole and by one node alone, through reshapes.
  bool IsPrivate(const Value& value) const {
    if (value.layer < 0 || value.places || value.image != layers_[value.layer].to) return false;
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
    Set(node, {made, layers_.back().to, 0, 0, channels_last, nullptr});
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

  // Only the windows of Gemm and MatMul can leave pixels out.
  Value Whole(const Node& node, const Value& value) {
    if (value.layer < 0 || value.image == layers_[value.layer].to) return value;
    return Arranged(node, RowOf(value), value.image, value.channels_last);
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
    const int tensor = node.inputs[position];
    const std::vector<int64_t>& shape = graph_.tensors[tensor].shape;
    const Image rows = Rows(shape);
    const auto made = values_.find(tensor);
    if (made == values_.end()) return Input(node, position, rows, true);
    const Value value = made->second;
    if (!value.places) {
      // A line of channels before its steps.
      *turned = shape.size() == 3 && !value.channels_last &&
                value.image == Image{1, rows.channels, rows.width};
      return Whole(node, *turned ? value : Input(node, position, rows, true));
    }
    // Rows that are neighbouring channels stay channels.
    const Row row = RowOf(value);
    const auto are_channels = [&](int64_t first, int64_t second) {
      return row[first].layer >= 0 && row[first].layer == row[second].layer &&
             row[second].place - row[first].place == layers_[row[first].layer].to.pixels();
    };
    *turned = rows.width > 1 && rows.channels > 1 && are_channels(0, rows.channels) &&
              !are_channels(0, 1);
    if (!*turned) return Input(node, position, rows, true);
    Row columns;
    for (int64_t i = 0; i < rows.features(); ++i) {
      const int64_t pixel = i / rows.width;  // a column of one of the matrices
      const int64_t matrix = pixel / rows.channels;
      columns.push_back(
          row[(matrix * rows.width + i % rows.width) * rows.channels + pixel % rows.channels]);
    }
    return Arranged(node, columns, {rows.height, rows.channels, rows.width}, true);
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
    const int64_t channels = shape[axis];
    if (inner > 1 && outer > 1) {
      // Places of the values behind each other along the axis, and back.
      const Row row = RowOf(node, node.inputs[0]);
      Row moved, back(row.size());
      for (int64_t i = 0; i < Elements(shape); ++i) {
        const int64_t step = i / channels, c = i % channels;
        const int64_t from = (step / inner * channels + c) * inner + step % inner;
        moved.push_back(row[from]);
        back[from].place = c * outer * inner + step;
      }
      AddSoftmaxOf(node, Arranged(node, moved, {1, outer * inner, channels}, true));
      for (Origin& origin : back) origin.layer = static_cast<int>(layers_.size()) - 1;
      return SetRow(node.outputs[0], back);
    }
    const bool last = inner == 1;
    const auto made = values_.find(node.inputs[0]);
    const bool fits = made != values_.end() && !made->second.places &&
                      made->second.image.channels == channels &&
                      (made->second.channels_last == last || made->second.image.pixels() == 1);
    const Value value = fits   ? Whole(node, made->second)
                        : last ? Input(node, 0, Rows(shape), true)
                               : Input(node, 0, {1, inner * outer, channels}, false);
    AddSoftmaxOf(node, value);
    Give(node, value.channels_last);
  }

  void AddSoftmaxOf(const Node& node, const Value& value) {
    Layer& layer = Add(node, LayerKind::kSoftmax);
    layer.inputs = {value};
    layer.from = layer.to = value.image;
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
    if (table.is_data()) return TakePlaces(node);
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
    Value a, b;
    const std::vector<int64_t>& shape = graph_.tensors[node.outputs[0]].shape;
    const bool stretched[2] = {graph_.tensors[node.inputs[0]].shape != shape,
                               graph_.tensors[node.inputs[1]].shape != shape};
    if (stretched[0] && stretched[1]) {
      a = Stretched(node, 0, ImageOf(shape), false);
      b = Stretched(node, 1, ImageOf(shape), false);
    } else if (stretched[0]) {
      b = Whole(node, AnyInput(node, 1));
      a = Stretched(node, 0, b.image, b.channels_last);
    } else {
      a = Whole(node, AnyInput(node, 0));
      b = stretched[1] ? Stretched(node, 1, a.image, a.channels_last)
                       : Whole(node, AnyInput(node, 1));
    }
    const bool same_order = a.channels_last == b.channels_last || a.image.pixels() == 1;
    if (a.image != b.image || !same_order) {
      b = Arranged(node, RowOf(node, node.inputs[1]), a.image, a.channels_last);
    }
    Layer& layer = Add(node, kind);
    layer.inputs = {a, b};
    layer.from = layer.to = a.image;
    Give(node, a.channels_last);
  }

  // A value as often as the shape of the output has it.
  Value Stretched(const Node& node, int position, const Image& image, bool channels_last) {
    const std::vector<int64_t>& to = graph_.tensors[node.outputs[0]].shape;
    std::vector<int64_t> from = graph_.tensors[node.inputs[position]].shape;
    from.insert(from.begin() + 1, to.size() - from.size(), 1);
    const Row row = RowOf(node, node.inputs[position]);
    CheckCount(node, Elements(to));
    Row all;
    const Walk walk(from);
    Walk(to).ForEach([&](std::vector<int64_t> index) {
      for (size_t d = 0; d < index.size(); ++d) index[d] = from[d + 1] == 1 ? 0 : index[d];
      all.push_back(row[walk.PlaceOf(index)]);
    });
    return Arranged(node, all, image, channels_last);
  }

  // Of a Gemm: for each output, or a number for all.
  void AddBias(const Node& node, int tensor) {
    const Tensor& bias = graph_.tensors[tensor];
    if (bias.values.size() != 1 || layers_.back().to.channels == 1) {
      return SetBias(layers_.back(), node, tensor);
    }
    const Value product = values_.at(node.outputs[0]);
    Layer& layer = Add(node, LayerKind::kActivation);
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
    // Those of a LayerNormalization have the dimensions that it normalises.
    const bool of_row = node.kind == OperatorKind::kLayerNormalization;
    if (of_row && Elements(shape) == channels) {
      Claim(node, parameter);
      return &parameter;
    }
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

  // As the layers of normalisation take it: steps [N,..,C] of LayerNormalization, else channels
  // [N,C,..], of which a Reshape may have put some side by side.
  Value ToNormalise(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const int64_t all = Elements(shape);
    const auto found = values_.find(node.inputs[0]);
    const bool is_image = found != values_.end() && !found->second.places;
    const Image image = is_image ? found->second.image : Image();
    const bool last = is_image && found->second.channels_last && image.pixels() > 1;
    if (node.kind == OperatorKind::kLayerNormalization) {
      const int64_t together = std::accumulate(shape.begin() + node.Int("axis"), shape.end(),
                                               int64_t{1}, std::multiplies<>());
      const bool fits = is_image && together == image.channels && (image.pixels() == 1 || last);
      if (fits) return Whole(node, found->second);
      return Whole(node, Input(node, 0, {1, all / together, together}, true));
    }
    const bool of_batch = node.kind == OperatorKind::kBatchNormalization;
    const int64_t groups =
        node.kind == OperatorKind::kGroupNormalization ? node.Int("num_groups") : shape[1];
    const int64_t scales = Elements(graph_.tensors[node.inputs[1]].shape);
    const bool fits = is_image && !last &&
                      (of_batch ? shape[1] == image.channels : image.channels % groups == 0) &&
                      (scales == image.channels || HasOnly(node.inputs[1], 1));
    if (fits) return Whole(node, found->second);
    const bool as_image = shape.size() == 3 || shape.size() == 4;
    const Image channels = as_image ? ImageOf(shape) : Image{1, all / shape[1], shape[1]};
    return Whole(node, Input(node, 0, channels, false));
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
    if (node.outputs[0] >= 0) values_[node.outputs[0]] = {made, layer.to, 0, 0, true, nullptr};
    if (node.outputs[1] >= 0) {
      const Image last = {1, 1, layer.to.channels};
      values_[node.outputs[1]] = {made, last, 0, layer.to.width - 1, true, nullptr};
    }
    if (node.outputs.size() > 2 && node.outputs[2] >= 0) {
      Refuse(node, "Y_c, the last state, cannot be used yet; accepted: Y and Y_h");
    }
  }

  // ---- arrangement

  enum class Axis { kNone, kChannels, kRows, kColumns };

  // What the dimensions of a tensor are of a value, the batch's first; those of size 1 are nothing.
  // Nothing where they are not those of an image.
  std::optional<std::vector<Axis>> AxesOf(const Node& node) const {
    const auto found = values_.find(node.inputs[0]);
    if (found == values_.end() || found->second.places) return std::nullopt;
    const Value& value = found->second;
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
      if (next == extents.size() || extents[next].size != shape[i]) return std::nullopt;
      axes.back() = extents[next++].axis;
    }
    return axes;
  }

  // Channels move behind the pixels, or before them; all else is brought to other places.
  void Transpose(const Node& node) {
    const std::vector<int64_t>& perm = node.Ints("perm");
    if (const auto axes = AxesOf(node)) {
      std::vector<Axis> moved;
      for (int64_t from : perm) {
        if ((*axes)[from] != Axis::kNone) moved.push_back((*axes)[from]);
      }
      auto is_order = [&](std::initializer_list<Axis> order) {
        size_t at = 0;
        for (Axis axis : order) at += at < moved.size() && moved[at] == axis;
        return at == moved.size();
      };
      Value value = values_.at(node.inputs[0]);
      for (const bool last : {false, true}) {
        const bool fits = last ? is_order({Axis::kRows, Axis::kColumns, Axis::kChannels})
                               : is_order({Axis::kChannels, Axis::kRows, Axis::kColumns});
        if (!fits) continue;
        value.channels_last = last;
        return Set(node, value);
      }
    }
    const Row row = RowOf(node, node.inputs[0]);
    Row moved;
    const Walk from(graph_.tensors[node.inputs[0]].shape);
    Walk(graph_.tensors[node.outputs[0]].shape).ForEach([&](const std::vector<int64_t>& index) {
      std::vector<int64_t> at(index.size());
      for (size_t d = 0; d < index.size(); ++d) at[perm[d + 1] - 1] = index[d];
      moved.push_back(row[from.PlaceOf(at)]);
    });
    SetRow(node.outputs[0], moved);
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
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const std::vector<int64_t>& starts = node.Ints("starts");
    const std::vector<int64_t>& steps = node.Ints("steps");
    const auto axes = AxesOf(node);
    std::vector<size_t> cut;  // dimensions of which something is left out, or turned
    bool is_part = axes.has_value();
    for (size_t i = 0; i < starts.size(); ++i) {
      const int64_t axis = node.Ints("axes")[i];
      if (starts[i] == 0 && node.Ints("ends")[i] == shape[axis] && steps[i] == 1) continue;
      is_part = is_part && steps[i] == 1 && (*axes)[axis] != Axis::kNone;
      cut.push_back(i);
    }
    if (cut.empty()) return Forward(node);
    if (!is_part) {
      std::vector<std::vector<int64_t>> taken(shape.size());
      for (const size_t i : cut) {
        const int64_t axis = node.Ints("axes")[i];
        for (int64_t k = 0; k < graph_.tensors[node.outputs[0]].shape[axis]; ++k) {
          taken[axis].push_back(starts[i] + k * steps[i]);
        }
      }
      return Take(node, taken, node.outputs[0]);
    }
    Value value = values_.at(node.inputs[0]);
    // Channels first: they are taken of all pixels.
    for (const bool of_channels : {true, false}) {
      for (const size_t i : cut) {
        const Axis axis = (*axes)[node.Ints("axes")[i]];
        if ((axis == Axis::kChannels) != of_channels) continue;
        value = PartOf(node, value, axis, starts[i], node.Ints("ends")[i]);
      }
    }
    Set(node, value);
  }

  // Of each dimension the places that are listed, or all of one without a list.
  void Take(const Node& node, const std::vector<std::vector<int64_t>>& taken, int output) {
    const Row row = RowOf(node, node.inputs[0]);
    std::vector<int64_t> shape = graph_.tensors[node.inputs[0]].shape;
    const Walk from(shape);
    for (size_t d = 1; d < shape.size(); ++d) {
      if (!taken[d].empty()) shape[d] = static_cast<int64_t>(taken[d].size());
    }
    CheckCount(node, Elements(shape));
    Row part;
    Walk(shape).ForEach([&](std::vector<int64_t> index) {
      for (size_t d = 0; d < index.size(); ++d) {
        if (!taken[d + 1].empty()) index[d] = taken[d + 1][index[d]];
      }
      part.push_back(row[from.PlaceOf(index)]);
    });
    SetRow(output, part);
  }

  // Places of an activation, which a Gather lists.
  void TakePlaces(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.inputs[0]].shape;
    const int64_t axis = node.Int("axis");
    std::vector<std::vector<int64_t>> taken(shape.size());
    for (const int64_t place : graph_.tensors[node.inputs[1]].ints) {
      taken[axis].push_back(place < 0 ? place + shape[axis] : place);
    }
    Take(node, taken, node.outputs[0]);
  }

  // Parts that follow each other.
  void Split(const Node& node) {
    const int64_t axis = node.Int("axis");
    const auto axes = AxesOf(node);
    if (node.outputs.size() == 1) return Forward(node);
    int64_t start = 0;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const int64_t end = start + node.Ints("split")[i];
      if (node.outputs[i] >= 0 && axes && (*axes)[axis] != Axis::kNone) {
        values_[node.outputs[i]] =
            PartOf(node, values_.at(node.inputs[0]), (*axes)[axis], start, end);
      } else if (node.outputs[i] >= 0) {
        std::vector<std::vector<int64_t>> taken(graph_.tensors[node.inputs[0]].shape.size());
        for (int64_t k = start; k < end; ++k) taken[axis].push_back(k);
        Take(node, taken, node.outputs[i]);
      }
      start = end;
    }
  }

  void AddConcat(const Node& node) {
    const std::vector<int64_t>& shape = graph_.tensors[node.outputs[0]].shape;
    const int64_t axis = node.Int("axis");
    if (!IsOfChannels(node)) {
      const std::optional<Value> first = SeenAt(node.inputs[0]);
      const bool last = first && first->channels_last && shape.size() > 2;
      const Image image =
          last ? Image{1, Elements(shape) / shape.back(), shape.back()} : ImageOf(shape);
      return Set(node, Arranged(node, Joined(node, axis), image, last));
    }
    std::vector<Value> inputs;
    Image image;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(Whole(node, AnyInput(node, static_cast<int>(i))));
      const Value& value = inputs.back();
      image = {value.image.height, value.image.width, image.channels + value.image.channels};
    }
    Layer& layer = Add(node, LayerKind::kConcat);
    layer.inputs = std::move(inputs);
    layer.from = layer.to = image;
    Give(node, layer.inputs[0].channels_last);
  }

  // A tensor as an image, or a part of one, if it is one.
  std::optional<Value> SeenAt(int tensor) const {
    const auto found = values_.find(tensor);
    if (found == values_.end()) {
      Value value;
      value.image = input_ ? *input_ : ImageOf(graph_.tensors[tensor].shape);
      value.channels_last = input_has_channels_last_;
      return value;
    }
    return found->second.places ? std::nullopt : std::optional<Value>(found->second);
  }

  // Whether a Concat puts channels of equal images side by side.
  bool IsOfChannels(const Node& node) const {
    const auto rank = static_cast<int64_t>(graph_.tensors[node.outputs[0]].shape.size());
    const std::optional<Value> first = SeenAt(node.inputs[0]);
    if (!first) return false;
    const bool last = first->channels_last && first->image.pixels() > 1;
    for (const int tensor : node.inputs) {
      const std::optional<Value> value = SeenAt(tensor);
      const bool fits =
          value && value->image.height == first->image.height &&
          value->image.width == first->image.width &&
          (value->image.pixels() == 1 || value->channels_last == first->channels_last) &&
          (!last || graph_.tensors[tensor].shape.back() == value->image.channels);
      if (!fits) return false;
    }
    return node.Int("axis") == (last ? rank - 1 : 1);
  }

  // What a Concat makes.
  Row Joined(const Node& node, int64_t axis) const {
    CheckCount(node, Elements(graph_.tensors[node.outputs[0]].shape));
    std::vector<Row> rows;
    std::vector<int64_t> widths;  // values of an input that lie side by side
    for (const int tensor : node.inputs) {
      const std::vector<int64_t>& shape = graph_.tensors[tensor].shape;
      rows.push_back(RowOf(node, tensor));
      widths.push_back(
          std::accumulate(shape.begin() + axis, shape.end(), int64_t{1}, std::multiplies<>()));
    }
    Row all;
    const auto pieces = static_cast<int64_t>(rows[0].size()) / widths[0];
    for (int64_t piece = 0; piece < pieces; ++piece) {
      for (size_t i = 0; i < rows.size(); ++i) {
        const auto from = rows[i].begin() + piece * widths[i];
        all.insert(all.end(), from, from + widths[i]);
      }
    }
    return all;
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
