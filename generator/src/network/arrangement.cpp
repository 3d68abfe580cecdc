// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Shape rules of the operators that move values and compute nothing. They take any element type and
// follow the batch to wherever the file has it.

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "network/shape_rules.h"
#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// The list that a node has as an attribute before an opset, and as a constant input since; empty if
// it has none.
std::vector<int64_t> ListOf(const Graph& graph, const Node& node, const char* attribute,
                            size_t position) {
  return HasInput(node, position) ? ConstantInts(graph, node, position) : node.Ints(attribute);
}

void KeepType(Graph& graph, const Node& node) {
  for (int output : node.outputs) {
    if (output >= 0) graph.tensors[output].type = graph.tensors[node.inputs[0]].type;
  }
}

// Refuses axes that occur twice.
void CheckOnce(const Graph& graph, const Node& node, const std::vector<int64_t>& axes) {
  if (std::set<int64_t>(axes.begin(), axes.end()).size() != axes.size()) {
    RefuseNode(graph, node, "an axis occurs twice in [{}]; accepted: each once",
               fmt::join(axes, ","));
  }
}

// One axis of a Slice, as it is in the graph.
struct Range {
  int64_t start, end, step, size;
};

Range RangeOf(int64_t dim, int64_t start, int64_t end, int64_t step) {
  // ONNX counts negative places from the end, once, and clamps what is still outside.
  auto place = [&](int64_t at, int64_t least, int64_t most) {
    return std::clamp(at < 0 ? at + dim : at, least, most);
  };
  Range range = {0, 0, step, 0};
  range.start = step > 0 ? place(start, 0, dim) : place(start, 0, dim - 1);
  range.end = step > 0 ? place(end, 0, dim) : place(end, -1, dim - 1);
  const int64_t span = step > 0 ? range.end - range.start : range.start - range.end;
  const auto width =
      step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  if (span > 0) range.size = static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / width) + 1;
  return range;
}

}  // namespace

void InferFlatten(Graph& graph, Node& node) {
  const Tensor& data = AnyData(graph, node, 0);
  const int64_t axis = node.Int("axis") < 0
                           ? node.Int("axis") + static_cast<int64_t>(data.shape.size())
                           : node.Int("axis");
  if (axis != 1 || data.batch_axis != 0) {
    RefuseNode(graph, node, "axis {} mixes samples; accepted: 1", node.Int("axis"));
  }
  SetShape(graph, node, {kBatchDim, Elements(data.shape)});
  KeepType(graph, node);
}

void InferReshape(Graph& graph, Node& node) {
  const Tensor& data = AnyData(graph, node, 0);
  const Tensor& target = Input(graph, node, 1);
  if (target.type != ElementType::kInt64 || target.ints.empty() || target.shape.size() != 1) {
    RefuseNode(graph, node, "the target shape {} must be a constant list of int64",
               Quote(target.name));
  }
  const std::vector<int64_t> from = FileShape(data);
  // Dimensions up to the batch stay; those behind it hold the same values in the same order.
  const auto batch = static_cast<size_t>(data.batch_axis);
  const int64_t features = Elements({from.begin() + data.batch_axis, from.end()});
  auto refuse = [&] {
    RefuseNode(graph, node,
               "cannot reshape {} to [{}]; accepted: the batch {} (as 0, -1 or its number), then "
               "dimensions that hold {} features",
               ShapeText(from), fmt::join(target.ints, ","),
               batch == 0 ? "first" : "and what is before it", features);
  };
  std::vector<int64_t> shape = target.ints;
  if (shape.size() > 8 || shape.size() < std::max<size_t>(2, batch + 1)) refuse();
  bool wild = false;
  size_t wildcard = 0;  // behind the batch, or 0
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && node.Int("allowzero") == 0) {
      if (i >= from.size()) refuse();
      shape[i] = from[i];
      if (i <= batch) continue;
    } else if (shape[i] == -1) {
      if (wild) refuse();
      wild = true;
      if (i > batch) wildcard = i;
      continue;
    } else if (i <= batch) {
      if (shape[i] != (i == batch ? graph.file_batch : from[i]) || shape[i] == 0) refuse();
      continue;
    }
    if (shape[i] <= 0 || shape[i] > kMaxElements / known) refuse();
    known *= shape[i];
  }
  if (wildcard > 0) {
    if (features % known != 0) refuse();
    shape[wildcard] = features / known;
    known = features;
  }
  if (known != features) refuse();
  std::vector<int64_t> to = {kBatchDim};
  to.insert(to.end(), from.begin(), from.begin() + data.batch_axis);
  to.insert(to.end(), shape.begin() + data.batch_axis + 1, shape.end());
  SetShape(graph, node, std::move(to), data.batch_axis);
  KeepType(graph, node);
}

void InferConcat(Graph& graph, Node& node) {
  const Tensor& first = AnyData(graph, node, 0);
  const int64_t axis = GraphAxis(graph, node, first, node.Int("axis"));
  std::vector<int64_t> shape = first.shape;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const Tensor& other = AnyData(graph, node, i);
    std::vector<int64_t> alike = other.shape;
    if (alike.size() == shape.size()) alike[axis] = shape[axis];
    if (alike != shape || other.batch_axis != first.batch_axis || other.type != first.type) {
      RefuseNode(graph, node, "shape mismatch: {} {} does not fit {} {} along axis {}",
                 Quote(other.name), ShapeText(FileShape(other)), Quote(first.name),
                 ShapeText(FileShape(first)), node.Int("axis"));
    }
    shape[axis] += other.shape[axis];
  }
  node.attributes["axis"] = axis;
  SetShape(graph, node, std::move(shape), first.batch_axis);
  KeepType(graph, node);
}

void InferSlice(Graph& graph, Node& node) {
  constexpr int64_t kAll = std::numeric_limits<int32_t>::max();
  RefuseInputsBefore(graph, node, 10);
  const Tensor& data = AnyData(graph, node, 0);
  const std::vector<int64_t> starts = ListOf(graph, node, "starts", 1);
  const std::vector<int64_t> ends = ListOf(graph, node, "ends", 2);
  std::vector<int64_t> axes = ListOf(graph, node, "axes", 3);
  std::vector<int64_t> steps(starts.size(), 1);
  if (HasInput(node, 4)) steps = ConstantInts(graph, node, 4);
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), int64_t{0});
  }
  if (starts.empty() || starts.size() != ends.size() || starts.size() != axes.size() ||
      starts.size() != steps.size()) {
    RefuseNode(graph, node, "{} starts, {} ends, {} axes and {} steps; accepted: as many of each",
               starts.size(), ends.size(), axes.size(), steps.size());
  }
  for (int64_t& axis : axes) axis = FileAxis(graph, node, axis, data.shape.size());
  CheckOnce(graph, node, axes);
  std::vector<int64_t> shape = data.shape;
  std::map<int64_t, Range> ranges;  // by axis of the graph
  for (size_t i = 0; i < axes.size(); ++i) {
    if (steps[i] == 0) RefuseNode(graph, node, "a step is 0; accepted: others");
    // Exporters write a slice of the whole batch.
    if (axes[i] == data.batch_axis && starts[i] == 0 && ends[i] >= kAll && steps[i] == 1) continue;
    const int64_t axis = GraphAxis(graph, node, data, axes[i]);
    const Range range = RangeOf(data.shape[axis], starts[i], ends[i], steps[i]);
    if (range.size == 0) {
      RefuseNode(graph, node, "{} to {} of axis {} of {} keeps nothing; accepted: 1 or more",
                 starts[i], ends[i], axes[i], ShapeText(FileShape(data)));
    }
    ranges[axis] = range;
    shape[axis] = range.size;
  }
  std::vector<int64_t> lists[4];
  for (const auto& [axis, range] : ranges) {
    lists[0].push_back(axis);
    lists[1].push_back(range.start);
    lists[2].push_back(range.end);
    lists[3].push_back(range.step);
  }
  node.attributes["axes"] = lists[0];
  node.attributes["starts"] = lists[1];
  node.attributes["ends"] = lists[2];
  node.attributes["steps"] = lists[3];
  node.inputs.resize(1);
  SetShape(graph, node, std::move(shape), data.batch_axis);
  KeepType(graph, node);
}

void InferSplit(Graph& graph, Node& node) {
  RefuseInputsBefore(graph, node, 13);
  const Tensor data = AnyData(graph, node, 0);
  const int64_t axis = GraphAxis(graph, node, data, node.Int("axis"));
  const int64_t dim = data.shape[axis];
  const auto outputs = static_cast<int64_t>(node.outputs.size());
  std::vector<int64_t> sizes = ListOf(graph, node, "split", 1);
  const int64_t asked = node.Int("num_outputs");
  if (asked != 0 && (asked != outputs || !sizes.empty())) {
    RefuseNode(graph, node,
               "num_outputs = {} with {} outputs and {} sizes; accepted: as many outputs, no "
               "sizes",
               asked, outputs, sizes.size());
  }
  if (sizes.empty()) {
    // Since opset 18 the last may be smaller.
    const int64_t size = (dim + outputs - 1) / outputs;
    sizes.assign(outputs, size);
    sizes.back() = dim - size * (outputs - 1);
    if (sizes.back() != size && graph.opset < 18) {
      RefuseNode(graph, node, "{} does not split into {} equal parts", dim, outputs);
    }
  }
  int64_t sum = 0;
  for (int64_t size : sizes) sum += size < 1 || size > dim ? dim + 1 : size;
  if (static_cast<int64_t>(sizes.size()) != outputs || sum != dim) {
    RefuseNode(graph, node,
               "[{}] splits {} into {} outputs; accepted: sizes of 1 or more that add up",
               fmt::join(sizes, ","), dim, outputs);
  }
  for (int64_t i = 0; i < outputs; ++i) {
    std::vector<int64_t> shape = data.shape;
    shape[axis] = sizes[i];
    SetShapeOf(graph, node, i, std::move(shape), data.batch_axis);
  }
  node.attributes["axis"] = axis;
  node.attributes["split"] = sizes;
  node.inputs.resize(1);
  KeepType(graph, node);
}

std::vector<int64_t> PermOf(const Graph& graph, const Node& node, size_t rank) {
  std::vector<int64_t> perm = node.Ints("perm");
  if (perm.empty()) {
    for (size_t i = rank; i > 0; --i) perm.push_back(static_cast<int64_t>(i) - 1);
  }
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool all = perm.size() == rank;
  for (size_t i = 0; all && i < rank; ++i) all = sorted[i] == static_cast<int64_t>(i);
  if (!all) {
    RefuseNode(graph, node, "perm [{}] of {} dimensions; accepted: each of them once",
               fmt::join(perm, ","), rank);
  }
  return perm;
}

void InferTranspose(Graph& graph, Node& node) {
  const Tensor& data = AnyData(graph, node, 0);
  std::vector<int64_t> perm = PermOf(graph, node, data.shape.size());
  const int64_t batch = std::find(perm.begin(), perm.end(), data.batch_axis) - perm.begin();
  perm.erase(perm.begin() + batch);
  std::vector<int64_t> to = {0};
  for (int64_t axis : perm) to.push_back(BehindBatch(axis, data.batch_axis));
  std::vector<int64_t> shape;
  for (int64_t axis : to) shape.push_back(data.shape[axis]);
  if (std::is_sorted(to.begin(), to.end())) {
    node.kind = OperatorKind::kIdentity;
    node.attributes.clear();
  } else {
    node.attributes["perm"] = to;
  }
  SetShape(graph, node, std::move(shape), batch);
  KeepType(graph, node);
}

void InferSqueeze(Graph& graph, Node& node) {
  RefuseInputsBefore(graph, node, 13);
  const Tensor& data = AnyData(graph, node, 0);
  std::vector<int64_t> axes = ListOf(graph, node, "axes", 1);
  const std::vector<int64_t> from = FileShape(data);
  if (axes.empty()) {
    if (graph.file_batch == 1) {
      RefuseNode(graph, node, "without axes it takes the batch of 1 away; accepted: axes");
    }
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] == 1) axes.push_back(static_cast<int64_t>(i));
    }
  }
  int64_t batch = data.batch_axis;
  for (int64_t& axis : axes) {
    const int64_t in_file = FileAxis(graph, node, axis, from.size());
    axis = GraphAxis(graph, node, data, axis);
    if (data.shape[axis] != 1) {
      RefuseNode(graph, node, "dimension {} of {} is not 1", in_file, ShapeText(from));
    }
    batch -= in_file < data.batch_axis;
  }
  CheckOnce(graph, node, axes);
  std::sort(axes.begin(), axes.end());
  std::vector<int64_t> shape = data.shape;
  for (size_t i = axes.size(); i > 0; --i) shape.erase(shape.begin() + axes[i - 1]);
  node.attributes["axes"] = axes;
  node.inputs.resize(1);
  SetShape(graph, node, std::move(shape), batch);
  KeepType(graph, node);
}

void InferUnsqueeze(Graph& graph, Node& node) {
  RefuseInputsBefore(graph, node, 13);
  const Tensor& data = AnyData(graph, node, 0);
  std::vector<int64_t> axes = ListOf(graph, node, "axes", 1);
  const size_t rank = data.shape.size() + axes.size();
  if (axes.empty() || axes.size() > 8) {
    RefuseNode(graph, node, "{} axes; accepted: 1 to 8", axes.size());
  }
  for (int64_t& axis : axes) axis = FileAxis(graph, node, axis, rank);
  CheckOnce(graph, node, axes);
  std::sort(axes.begin(), axes.end());
  int64_t batch = data.batch_axis;
  for (int64_t axis : axes) batch += axis <= batch;
  std::vector<int64_t> shape = data.shape;
  for (int64_t& axis : axes) axis = BehindBatch(axis, batch);
  std::sort(axes.begin(), axes.end());
  for (int64_t axis : axes) shape.insert(shape.begin() + axis, 1);
  node.attributes["axes"] = axes;
  node.inputs.resize(1);
  SetShape(graph, node, std::move(shape), batch);
  KeepType(graph, node);
}

void InferGather(Graph& graph, Node& node) {
  const Tensor& values = Input(graph, node, 0);
  const Tensor& indices = Input(graph, node, 1);
  std::vector<int64_t> shape;
  int64_t axis, batch;
  if (values.is_data()) {
    if (indices.type != ElementType::kInt64 || indices.ints.empty()) {
      RefuseNode(graph, node, "the indices {} into an activation must be constant integers",
                 Quote(indices.name));
    }
    axis = GraphAxis(graph, node, values, node.Int("axis"));
    const int64_t in_file = FileAxis(graph, node, node.Int("axis"), values.shape.size());
    const int64_t dim = values.shape[axis];
    for (int64_t index : indices.ints) {
      if (index < -dim || index >= dim) {
        RefuseNode(graph, node, "index {} of {} values; accepted: {} to {}", index, dim, -dim,
                   dim - 1);
      }
    }
    shape = values.shape;
    shape.erase(shape.begin() + axis);
    shape.insert(shape.begin() + axis, indices.shape.begin(), indices.shape.end());
    batch = values.batch_axis;
    if (in_file < batch) batch += static_cast<int64_t>(indices.shape.size()) - 1;
  } else {
    const Tensor& table = ParameterInput(graph, node, 0);
    const Tensor& data = AnyData(graph, node, 1);
    if (data.type != ElementType::kInt64) {
      RefuseNode(graph, node, "the indices {} have element type FLOAT; accepted: INT64, INT32",
                 Quote(data.name));
    }
    if (table.shape.size() < 2) {
      RefuseNode(graph, node, "the table {} is {}; accepted: two dimensions or more",
                 Quote(table.name), ShapeText(table.shape));
    }
    axis = FileAxis(graph, node, node.Int("axis"), table.shape.size());
    if (axis != 0) {
      RefuseNode(graph, node, "attribute axis = {} of a table; accepted: 0", node.Int("axis"));
    }
    shape = data.shape;
    shape.insert(shape.end(), table.shape.begin() + 1, table.shape.end());
    batch = data.batch_axis;
  }
  node.attributes["axis"] = axis;
  SetShape(graph, node, std::move(shape), batch);
  graph.tensors[node.outputs[0]].type = values.type;
}

}  // namespace vaultrain
