// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/values.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "vaultrain/graph.h"

namespace vaultrain {
namespace {

// Values of a sample that are brought to other places one by one.
constexpr int64_t kMaxArranged = 1 << 18;

}  // namespace

Image ImageOf(const std::vector<int64_t>& shape) {
  if (shape.size() == 3) return {1, shape[2], shape[1]};
  if (shape.size() == 4) return {shape[2], shape[3], shape[1]};
  return {1, 1, Elements(shape)};
}

void Values::Forward(const Node& node) {
  if (const Value* value = Find(node.inputs[0])) Set(node.outputs[0], *value);
}

Value Values::Input(const Node& node, int position, const Image& image, bool channels_last) {
  const int tensor = node.inputs[position];
  const Value* value = Find(tensor);
  if (value == nullptr) {
    if (!input_) {
      input_ = image;
      input_has_channels_last_ = channels_last;
    }
    if (*input_ == image && input_has_channels_last_ == channels_last) {
      return {-1, image, 0, 0, channels_last, nullptr};
    }
    return Arranged(node, RowOf(node, tensor), image, channels_last);
  }
  const bool same_order = value->channels_last == channels_last || value->image.pixels() == 1 ||
                          value->image.channels == 1;
  if (!value->places && value->image == image && same_order) return *value;
  return Arranged(node, RowOf(node, tensor), image, channels_last);
}

Value Values::AnyInput(const Node& node, int position) {
  const int tensor = node.inputs[position];
  const Image image = ImageOf(graph_.tensors[tensor].shape);
  const Value* value = Find(tensor);
  if (value == nullptr) {
    return Input(node, position, input_ ? *input_ : image, input_has_channels_last_);
  }
  if (!value->places) return *value;
  return Arranged(node, RowOf(node, tensor), image, false);
}

Value Values::Whole(const Node& node, const Value& value) {
  if (value.layer < 0 || value.image == layers_[value.layer].to) return value;
  return Arranged(node, RowOf(value), value.image, value.channels_last);
}

std::optional<Value> Values::SeenAt(int tensor) const {
  const Value* found = Find(tensor);
  if (found == nullptr) {
    Value value;
    value.image = input_ ? *input_ : ImageOf(graph_.tensors[tensor].shape);
    value.channels_last = input_has_channels_last_;
    return value;
  }
  return found->places ? std::nullopt : std::optional<Value>(*found);
}

bool Values::IsPrivate(const Value& value) const {
  if (value.layer < 0 || value.places || value.image != layers_[value.layer].to) return false;
  for (const auto& [tensor, other] : values_) {
    if (other.layer == value.layer && graph_.tensors[tensor].consumers.size() != 1) return false;
  }
  return true;
}

void Values::CheckCount(const Node& node, int64_t count) const {
  if (count > kMaxArranged) {
    RefuseNode(graph_, node, "brings {} values of a sample to other places; accepted: up to {}",
               count, kMaxArranged);
  }
}

Values::Row Values::RowOf(const Node& node, int tensor) const {
  const int64_t count = Elements(graph_.tensors[tensor].shape);
  if (graph_.tensors[tensor].type != ElementType::kFloat) {
    RefuseNode(graph_, node, "brings classes to other places; accepted: activations");
  }
  CheckCount(node, count);
  const Value* value = Find(tensor);
  Row row(count);
  if (value == nullptr || (value->layer < 0 && !value->places)) {
    for (int64_t i = 0; i < count; ++i) row[i].place = i;
    return row;
  }
  return RowOf(*value);
}

Values::Row Values::RowOf(const Value& value) const {
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

void Values::SetRow(int tensor, const Row& row) {
  const int layer = row.front().layer;
  for (const bool last : {false, true}) {
    if (layer < 0) break;
    const Value whole = {layer, layers_[layer].to, 0, 0, last, nullptr};
    const Row in_order = RowOf(whole);
    const bool same =
        std::equal(row.begin(), row.end(), in_order.begin(), in_order.end(),
                   [](const Origin& a, const Origin& b) { return a.place == b.place; });
    if (!same) continue;
    values_[tensor] = whole;
    return;
  }
  auto places = std::make_shared<std::vector<int64_t>>();
  for (const Origin& origin : row) places->push_back(origin.place);
  values_[tensor] = {layer, {}, 0, 0, false, std::move(places)};
}

Value Values::Arranged(const Node& node, const Row& row, const Image& image, bool channels_last) {
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

Layer& Values::Add(const Node& node, LayerKind kind) {
  Layer& layer = layers_.emplace_back();
  layer.node = &node;
  layer.kind = kind;
  return layer;
}

// The host can lay the input out as the first node takes it, where that is all of it.
void Values::DecideInput(const Row& row, const Image& image, bool channels_last) {
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

}  // namespace vaultrain
