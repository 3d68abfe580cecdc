// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/moves.h"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <vector>

#include "vaultrain/graph.h"

namespace vaultrain {
namespace {

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

enum class Axis { kNone, kChannels, kRows, kColumns };

// What the dimensions of a tensor are of a value, the batch's first; those of size 1 are nothing.
// Nothing where they are not those of an image.
std::optional<std::vector<Axis>> AxesOf(const Values& values, const Node& node) {
  const Value* found = values.Find(node.inputs[0]);
  if (found == nullptr || found->places) return std::nullopt;
  const Value& value = *found;
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
  const std::vector<int64_t>& shape = values.graph().tensors[node.inputs[0]].shape;
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

// A part of a value along an axis: of the pixels, for the windows of the next layer, or channels,
// as a layer that copies them.
Value PartOf(Values& values, const Node& node, Value value, Axis axis, int64_t start, int64_t end) {
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
      const Value whole = values.Whole(node, value);
      Layer& layer = values.Add(node, LayerKind::kSlice);
      layer.inputs = {whole};
      layer.from = layer.to = value.image;
      layer.to.channels = end - start;
      layer.channel = start;
      value.layer = values.last_layer();
      value.image = layer.to;
      break;
    }
  }
  return value;
}

// Of each dimension the places that are listed, or all of one without a list.
void Take(Values& values, const Node& node, const std::vector<std::vector<int64_t>>& taken,
          int output) {
  const Values::Row row = values.RowOf(node, node.inputs[0]);
  std::vector<int64_t> shape = values.graph().tensors[node.inputs[0]].shape;
  const Walk from(shape);
  for (size_t d = 1; d < shape.size(); ++d) {
    if (!taken[d].empty()) shape[d] = static_cast<int64_t>(taken[d].size());
  }
  values.CheckCount(node, Elements(shape));
  Values::Row part;
  Walk(shape).ForEach([&](std::vector<int64_t> index) {
    for (size_t d = 0; d < index.size(); ++d) {
      if (!taken[d + 1].empty()) index[d] = taken[d + 1][index[d]];
    }
    part.push_back(row[from.PlaceOf(index)]);
  });
  values.SetRow(output, part);
}

}  // namespace

void Transpose(Values& values, const Node& node) {
  const std::vector<int64_t>& perm = node.Ints("perm");
  if (const auto axes = AxesOf(values, node)) {
    std::vector<Axis> moved;
    for (int64_t from : perm) {
      if ((*axes)[from] != Axis::kNone) moved.push_back((*axes)[from]);
    }
    auto is_order = [&](std::initializer_list<Axis> order) {
      size_t at = 0;
      for (Axis axis : order) at += at < moved.size() && moved[at] == axis;
      return at == moved.size();
    };
    Value value = *values.Find(node.inputs[0]);
    for (const bool last : {false, true}) {
      const bool fits = last ? is_order({Axis::kRows, Axis::kColumns, Axis::kChannels})
                             : is_order({Axis::kChannels, Axis::kRows, Axis::kColumns});
      if (!fits) continue;
      value.channels_last = last;
      return values.Set(node.outputs[0], value);
    }
  }
  const Values::Row row = values.RowOf(node, node.inputs[0]);
  Values::Row moved;
  const Walk from(values.graph().tensors[node.inputs[0]].shape);
  Walk(values.graph().tensors[node.outputs[0]].shape)
      .ForEach([&](const std::vector<int64_t>& index) {
        std::vector<int64_t> at(index.size());
        for (size_t d = 0; d < index.size(); ++d) at[perm[d + 1] - 1] = index[d];
        moved.push_back(row[from.PlaceOf(at)]);
      });
  values.SetRow(node.outputs[0], moved);
}

void Slice(Values& values, const Node& node) {
  const std::vector<int64_t>& shape = values.graph().tensors[node.inputs[0]].shape;
  const std::vector<int64_t>& starts = node.Ints("starts");
  const std::vector<int64_t>& steps = node.Ints("steps");
  const auto axes = AxesOf(values, node);
  std::vector<size_t> cut;  // dimensions of which something is left out, or turned
  bool is_part = axes.has_value();
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = node.Ints("axes")[i];
    if (starts[i] == 0 && node.Ints("ends")[i] == shape[axis] && steps[i] == 1) continue;
    is_part = is_part && steps[i] == 1 && (*axes)[axis] != Axis::kNone;
    cut.push_back(i);
  }
  if (cut.empty()) return values.Forward(node);
  if (!is_part) {
    std::vector<std::vector<int64_t>> taken(shape.size());
    for (const size_t i : cut) {
      const int64_t axis = node.Ints("axes")[i];
      for (int64_t k = 0; k < values.graph().tensors[node.outputs[0]].shape[axis]; ++k) {
        taken[axis].push_back(starts[i] + k * steps[i]);
      }
    }
    return Take(values, node, taken, node.outputs[0]);
  }
  Value value = *values.Find(node.inputs[0]);
  // Channels first: they are taken of all pixels.
  for (const bool of_channels : {true, false}) {
    for (const size_t i : cut) {
      const Axis axis = (*axes)[node.Ints("axes")[i]];
      if ((axis == Axis::kChannels) != of_channels) continue;
      value = PartOf(values, node, value, axis, starts[i], node.Ints("ends")[i]);
    }
  }
  values.Set(node.outputs[0], value);
}

void Split(Values& values, const Node& node) {
  const int64_t axis = node.Int("axis");
  const auto axes = AxesOf(values, node);
  if (node.outputs.size() == 1) return values.Forward(node);
  int64_t start = 0;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const int64_t end = start + node.Ints("split")[i];
    if (node.outputs[i] >= 0 && axes && (*axes)[axis] != Axis::kNone) {
      values.Set(node.outputs[i],
                 PartOf(values, node, *values.Find(node.inputs[0]), (*axes)[axis], start, end));
    } else if (node.outputs[i] >= 0) {
      std::vector<std::vector<int64_t>> taken(values.graph().tensors[node.inputs[0]].shape.size());
      for (int64_t k = start; k < end; ++k) taken[axis].push_back(k);
      Take(values, node, taken, node.outputs[i]);
    }
    start = end;
  }
}

void GatherPlaces(Values& values, const Node& node) {
  const std::vector<int64_t>& shape = values.graph().tensors[node.inputs[0]].shape;
  const int64_t axis = node.Int("axis");
  std::vector<std::vector<int64_t>> taken(shape.size());
  for (const int64_t place : values.graph().tensors[node.inputs[1]].ints) {
    taken[axis].push_back(place < 0 ? place + shape[axis] : place);
  }
  Take(values, node, taken, node.outputs[0]);
}

bool JoinsChannels(const Values& values, const Node& node) {
  const auto rank = static_cast<int64_t>(values.graph().tensors[node.outputs[0]].shape.size());
  const std::optional<Value> first = values.SeenAt(node.inputs[0]);
  if (!first) return false;
  const bool last = first->channels_last && first->image.pixels() > 1;
  for (const int tensor : node.inputs) {
    const std::optional<Value> value = values.SeenAt(tensor);
    const bool fits =
        value && value->image.height == first->image.height &&
        value->image.width == first->image.width &&
        (value->image.pixels() == 1 || value->channels_last == first->channels_last) &&
        (!last || values.graph().tensors[tensor].shape.back() == value->image.channels);
    if (!fits) return false;
  }
  return node.Int("axis") == (last ? rank - 1 : 1);
}

Values::Row Joined(const Values& values, const Node& node) {
  const int64_t axis = node.Int("axis");
  values.CheckCount(node, Elements(values.graph().tensors[node.outputs[0]].shape));
  std::vector<Values::Row> rows;
  std::vector<int64_t> widths;  // values of an input that lie side by side
  for (const int tensor : node.inputs) {
    const std::vector<int64_t>& shape = values.graph().tensors[tensor].shape;
    rows.push_back(values.RowOf(node, tensor));
    widths.push_back(
        std::accumulate(shape.begin() + axis, shape.end(), int64_t{1}, std::multiplies<>()));
  }
  Values::Row all;
  const auto pieces = static_cast<int64_t>(rows[0].size()) / widths[0];
  for (int64_t piece = 0; piece < pieces; ++piece) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto from = rows[i].begin() + piece * widths[i];
      all.insert(all.end(), from, from + widths[i]);
    }
  }
  return all;
}

Value Broadcast(Values& values, const Node& node, int position, const Image& image,
                bool channels_last) {
  const std::vector<int64_t>& to = values.graph().tensors[node.outputs[0]].shape;
  std::vector<int64_t> from = values.graph().tensors[node.inputs[position]].shape;
  from.insert(from.begin() + 1, to.size() - from.size(), 1);
  const Values::Row row = values.RowOf(node, node.inputs[position]);
  values.CheckCount(node, Elements(to));
  Values::Row all;
  const Walk walk(from);
  Walk(to).ForEach([&](std::vector<int64_t> index) {
    for (size_t d = 0; d < index.size(); ++d) index[d] = from[d + 1] == 1 ? 0 : index[d];
    all.push_back(row[walk.PlaceOf(index)]);
  });
  return values.Arranged(node, all, image, channels_last);
}

}  // namespace vaultrain
