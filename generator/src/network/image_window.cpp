// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "network/image_window.h"

#include <algorithm>
#include <utility>

#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// One direction of an image.
struct Axis {
  int64_t in = 1, out = 1;
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t pad_begin = 0, pad_end = 0;

  int64_t span() const { return (kernel - 1) * dilation + 1; }
};

bool Has(const Node& node, const char* attribute) { return node.attributes.count(attribute) > 0; }

// The list that a node gives, of count values; or none.
const std::vector<int64_t>* List(const Graph& graph, const Node& node, const char* attribute,
                                 size_t count) {
  if (!Has(node, attribute) || node.Ints(attribute).empty()) return nullptr;
  const std::vector<int64_t>& list = node.Ints(attribute);
  if (list.size() != count) {
    RefuseNode(graph, node, "{} has {} values; accepted: {}", attribute, list.size(), count);
  }
  return &list;
}

void SetKernel(const Graph& graph, const Node& node, std::vector<Axis>& axes) {
  if (node.kind == OperatorKind::kGlobalMaxPool || node.kind == OperatorKind::kGlobalAveragePool) {
    for (Axis& axis : axes) axis.kernel = axis.in;
    return;
  }
  const std::vector<int64_t>* kernel = List(graph, node, "kernel_shape", axes.size());
  if (node.kind == OperatorKind::kConv) {
    const Tensor& weight = graph.tensors[node.inputs[1]];
    const std::vector<int64_t> shape(weight.shape.begin() + 2, weight.shape.end());
    if (kernel && *kernel != shape) {
      RefuseNode(graph, node, "kernel_shape {} differs from that of {} {}", ShapeText(*kernel),
                 Quote(weight.name), ShapeText(weight.shape));
    }
    for (size_t i = 0; i < axes.size(); ++i) axes[i].kernel = shape[i];
    return;
  }
  if (!kernel) RefuseNode(graph, node, "kernel_shape is missing");
  for (size_t i = 0; i < axes.size(); ++i) axes[i].kernel = (*kernel)[i];
}

void SetPads(const Graph& graph, const Node& node, std::vector<Axis>& axes) {
  const std::vector<int64_t>* pads = List(graph, node, "pads", 2 * axes.size());
  const std::string& mode = node.Text("auto_pad");
  if (pads && mode != "NOTSET" &&
      std::any_of(pads->begin(), pads->end(), [](int64_t pad) { return pad != 0; })) {
    RefuseNode(graph, node, "both pads and auto_pad = {}; accepted: one of them", Quote(mode));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis& axis = axes[i];
    if (pads) {
      axis.pad_begin = (*pads)[i];
      axis.pad_end = (*pads)[i + axes.size()];
    }
    if (mode != "SAME_UPPER" && mode != "SAME_LOWER") continue;
    axis.out = (axis.in + axis.stride - 1) / axis.stride;
    const int64_t pad = std::max<int64_t>((axis.out - 1) * axis.stride + axis.span() - axis.in, 0);
    axis.pad_begin = mode == "SAME_UPPER" ? pad / 2 : pad - pad / 2;
    axis.pad_end = pad - axis.pad_begin;
  }
}

// Returns whether the last position hangs over.
bool SetOutput(const Graph& graph, const Node& node, Axis& axis) {
  const int64_t room = axis.in + axis.pad_begin + axis.pad_end - axis.span();
  if (room < 0) {
    RefuseNode(graph, node, "a window of {} does not fit into {} with pads {} and {}", axis.span(),
               axis.in, axis.pad_begin, axis.pad_end);
  }
  axis.out = room / axis.stride + 1;
  const std::string& mode = node.Text("auto_pad");
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (!Has(node, "ceil_mode") || node.Int("ceil_mode") == 0 || same) return false;
  if (room % axis.stride == 0 || axis.out * axis.stride >= axis.in + axis.pad_begin) return false;
  ++axis.out;
  axis.pad_end = (axis.out - 1) * axis.stride + axis.span() - axis.in - axis.pad_begin;
  return true;
}

}  // namespace

ImageWindow WindowOf(const Graph& graph, const Node& node) {
  const Tensor& data = graph.tensors[node.inputs[0]];
  if (data.shape.size() != 3 && data.shape.size() != 4) {
    RefuseNode(graph, node, "{} is {}; accepted: images [N,C,H,W] or lines [N,C,W]",
               Quote(data.name), ShapeText(data.shape));
  }
  ImageWindow result;
  std::vector<Axis> axes;
  for (size_t i = 2; i < data.shape.size(); ++i) axes.emplace_back().in = data.shape[i];
  SetKernel(graph, node, axes);
  if (Has(node, "strides")) {
    const std::vector<int64_t>* strides = List(graph, node, "strides", axes.size());
    for (size_t i = 0; strides && i < axes.size(); ++i) axes[i].stride = (*strides)[i];
    const std::vector<int64_t>* dilations = List(graph, node, "dilations", axes.size());
    for (size_t i = 0; dilations && i < axes.size(); ++i) axes[i].dilation = (*dilations)[i];
    SetPads(graph, node, axes);
    for (Axis& axis : axes) result.hangs_over |= SetOutput(graph, node, axis);
  }
  if (axes.size() == 1) axes.insert(axes.begin(), Axis());
  const Axis& y = axes[0];
  const Axis& x = axes[1];
  const int64_t channels = data.shape[1];
  result.from = {y.in, x.in, channels};
  result.to = {
      y.out, x.out,
      node.kind == OperatorKind::kConv ? graph.tensors[node.inputs[1]].shape[0] : channels};
  result.window = {y.kernel,   x.kernel,    y.stride,    x.stride,  y.dilation,
                   x.dilation, y.pad_begin, x.pad_begin, y.pad_end, x.pad_end};
  return result;
}

TapRange TapsInside(int64_t position, int64_t size, int64_t kernel, int64_t stride,
                    int64_t dilation, int64_t pad) {
  const int64_t start = position * stride - pad;
  const int64_t first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const int64_t last = start >= size ? 0 : (size - 1 - start) / dilation + 1;
  return {std::min(first, kernel), std::max(std::min(last, kernel), std::min(first, kernel))};
}

namespace {

// Sum over i = 0 .. n-1 of floor((a * i + b) / m); a and b are not negative.
int64_t FloorSum(int64_t n, int64_t m, int64_t a, int64_t b) {
  int64_t sum = 0;
  while (n > 0) {
    sum += n * (n - 1) / 2 * (a / m) + n * (b / m);
    a %= m;
    b %= m;
    // The same points, counted by columns instead of by rows.
    const int64_t most = a * n + b;
    n = most / m;
    b = most % m;
    std::swap(a, m);
  }
  return sum;
}

// Pairs of a position and a tap, of so many each, with stride * position + dilation * tap <= limit.
int64_t PairsUpTo(int64_t limit, int64_t positions, int64_t taps, int64_t stride,
                  int64_t dilation) {
  if (limit < 0) return 0;
  const int64_t reached = std::min(positions, limit / stride + 1);  // with any tap
  const int64_t rest = limit - dilation * (taps - 1);
  const int64_t full = rest < 0 ? 0 : std::min(reached, rest / stride + 1);  // with all taps
  const int64_t last = limit - stride * (reached - 1);
  return full * taps + (reached - full) + FloorSum(reached - full, dilation, stride, last);
}

struct Line {
  int64_t size, positions, kernel, stride, dilation, pad;
};

bool SomeSeeNothing(const Line& l) {
  if ((l.positions - 1) * l.stride - l.pad >= l.size) return true;
  if (l.pad > l.dilation * (l.kernel - 1)) return true;
  // Taps further apart than the image is large may straddle it.
  for (int64_t i = 0; l.dilation > l.size && i < l.positions && i * l.stride < l.pad; ++i) {
    const TapRange taps = TapsInside(i, l.size, l.kernel, l.stride, l.dilation, l.pad);
    if (taps.first == taps.last) return true;
  }
  return false;
}

}  // namespace

// In steps of the logarithm of the sizes, which may be those of the largest images.
TapCount CountTaps(const Image& from, const Image& to, const Window& w) {
  TapCount count;
  count.all = 1;
  for (const Line& l :
       {Line{from.height, to.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top},
        Line{from.width, to.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left}}) {
    count.some_see_nothing |= SomeSeeNothing(l);
    count.all *= PairsUpTo(l.pad + l.size - 1, l.positions, l.kernel, l.stride, l.dilation) -
                 PairsUpTo(l.pad - 1, l.positions, l.kernel, l.stride, l.dilation);
  }
  return count;
}

}  // namespace vaultrain
