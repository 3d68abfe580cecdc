// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the ONNX specification says that a graph computes: in double, node by node, one loop per
// index. Takes nodes and attributes from the reader, and nothing else from what it checks.

#ifndef VAULTRAIN_VERIF_UNIT_ONNX_DEFINITION_H_
#define VAULTRAIN_VERIF_UNIT_ONNX_DEFINITION_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "vaultrain/graph.h"

namespace vaultrain {

struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;

  int64_t size() const {
    int64_t size = 1;
    for (int64_t dim : shape) size *= dim;
    return size;
  }
};

// Channels of images; lines are images of height 1.
struct Images {
  explicit Images(const Array& array) : array(array) {
    n = array.shape[0];
    c = array.shape[1];
    h = array.shape.size() == 4 ? array.shape[2] : 1;
    w = array.shape.back();
  }
  bool Inside(int64_t y, int64_t x) const { return y >= 0 && y < h && x >= 0 && x < w; }
  double At(int64_t i, int64_t channel, int64_t y, int64_t x) const {
    return array.values[((i * c + channel) * h + y) * w + x];
  }

  const Array& array;
  int64_t n, c, h, w;
};

// Attributes of a sliding window by direction, y then x.
struct SlidingWindow {
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1};
  int64_t begin[2] = {0, 0}, end[2] = {0, 0}, out[2] = {1, 1};

  SlidingWindow(const Node& node, const Images& x, const std::vector<int64_t>& kernel_shape) {
    const int64_t in[2] = {x.h, x.w};
    const size_t rank = x.array.shape.size() - 2;
    for (size_t i = 0; i < rank; ++i) {
      const size_t d = i + 2 - rank;
      auto value = [&](const char* name, size_t at, int64_t otherwise) {
        auto found = node.attributes.find(name);
        if (found == node.attributes.end()) return otherwise;
        const auto& list = std::get<std::vector<int64_t>>(found->second);
        return list.empty() ? otherwise : list.at(at);
      };
      kernel[d] = kernel_shape.at(i);
      stride[d] = value("strides", i, 1);
      dilation[d] = value("dilations", i, 1);
      begin[d] = value("pads", i, 0);
      end[d] = value("pads", i + rank, 0);
      const int64_t reach = (kernel[d] - 1) * dilation[d] + 1;
      const std::string mode =
          node.attributes.count("auto_pad") ? node.Text("auto_pad") : std::string("NOTSET");
      if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
        out[d] = static_cast<int64_t>(
            std::ceil(static_cast<double>(in[d]) / static_cast<double>(stride[d])));
        const int64_t pad = std::max<int64_t>(0, (out[d] - 1) * stride[d] + reach - in[d]);
        (mode == "SAME_UPPER" ? begin : end)[d] = pad / 2;
        (mode == "SAME_UPPER" ? end : begin)[d] = pad - pad / 2;
        continue;
      }
      const double positions =
          static_cast<double>(in[d] + begin[d] + end[d] - reach) / static_cast<double>(stride[d]);
      const bool up = node.attributes.count("ceil_mode") && node.Int("ceil_mode") != 0;
      out[d] = static_cast<int64_t>(up ? std::ceil(positions) : std::floor(positions)) + 1;
      if (up && (out[d] - 1) * stride[d] >= in[d] + begin[d]) --out[d];
    }
  }
};

inline Array WindowResult(const Array& x, const SlidingWindow& window, int64_t channels) {
  Array y;
  y.shape = {x.shape[0], channels};
  if (x.shape.size() == 4) y.shape.push_back(window.out[0]);
  y.shape.push_back(window.out[1]);
  return y;
}

inline Array DefineConv(const Node& node, const Array& x_array, const Array& weight,
                        const Array* bias) {
  const Images x(x_array);
  const SlidingWindow s(node, x, {weight.shape.begin() + 2, weight.shape.end()});
  const int64_t group = node.Int("group");
  const int64_t maps = weight.shape[0], in_group = weight.shape[1];
  Array y = WindowResult(x_array, s, maps);
  for (int64_t n = 0; n < x.n; ++n) {
    for (int64_t m = 0; m < maps; ++m) {
      for (int64_t oy = 0; oy < s.out[0]; ++oy) {
        for (int64_t ox = 0; ox < s.out[1]; ++ox) {
          double sum = bias ? bias->values[m] : 0.0;
          for (int64_t c = 0; c < in_group; ++c) {
            for (int64_t ky = 0; ky < s.kernel[0]; ++ky) {
              for (int64_t kx = 0; kx < s.kernel[1]; ++kx) {
                const int64_t iy = oy * s.stride[0] + ky * s.dilation[0] - s.begin[0];
                const int64_t ix = ox * s.stride[1] + kx * s.dilation[1] - s.begin[1];
                if (!x.Inside(iy, ix)) continue;
                sum += x.At(n, m / (maps / group) * in_group + c, iy, ix) *
                       weight.values[((m * in_group + c) * s.kernel[0] + ky) * s.kernel[1] + kx];
              }
            }
          }
          y.values.push_back(sum);
        }
      }
    }
  }
  return y;
}

inline Array DefinePool(const Node& node, const Array& x_array) {
  using enum OperatorKind;
  const Images x(x_array);
  const bool global = node.kind == kGlobalMaxPool || node.kind == kGlobalAveragePool;
  const SlidingWindow s(node, x,
                        global
                            ? std::vector<int64_t>(x_array.shape.begin() + 2, x_array.shape.end())
                            : node.Ints("kernel_shape"));
  const bool maximum = node.kind == kMaxPool || node.kind == kGlobalMaxPool;
  const bool pads_count = node.kind == kAveragePool && node.Int("count_include_pad") != 0;
  Array y = WindowResult(x_array, s, x.c);
  for (int64_t n = 0; n < x.n; ++n) {
    for (int64_t c = 0; c < x.c; ++c) {
      for (int64_t oy = 0; oy < s.out[0]; ++oy) {
        for (int64_t ox = 0; ox < s.out[1]; ++ox) {
          double largest = -std::numeric_limits<double>::infinity(), sum = 0;
          int64_t count = 0;
          for (int64_t ky = 0; ky < s.kernel[0]; ++ky) {
            for (int64_t kx = 0; kx < s.kernel[1]; ++kx) {
              const int64_t iy = oy * s.stride[0] + ky * s.dilation[0] - s.begin[0];
              const int64_t ix = ox * s.stride[1] + kx * s.dilation[1] - s.begin[1];
              const bool inside = x.Inside(iy, ix);
              count += inside || (pads_count && iy < x.h + s.end[0] && ix < x.w + s.end[1]);
              if (!inside) continue;
              largest = std::max(largest, x.At(n, c, iy, ix));
              sum += x.At(n, c, iy, ix);
            }
          }
          y.values.push_back(maximum ? largest : sum / static_cast<double>(count));
        }
      }
    }
  }
  return y;
}

inline Array DefineProduct(const Array& x, const Array& weight, bool out_in, const Array* bias) {
  const int64_t in = x.shape[1], out = weight.shape[out_in ? 0 : 1];
  Array y;
  y.shape = {x.shape[0], out};
  for (int64_t n = 0; n < x.shape[0]; ++n) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias ? bias->values[bias->values.size() == 1 ? 0 : o] : 0.0;
      for (int64_t i = 0; i < in; ++i) {
        sum += x.values[n * in + i] * weight.values[out_in ? o * in + i : i * out + o];
      }
      y.values.push_back(sum);
    }
  }
  return y;
}

// Of operands whose shapes broadcast to the shape of the larger one.
template <typename Combine>
Array DefineElementwise(const Array& a, const Array& b, Combine combine) {
  const Array& large = a.size() >= b.size() ? a : b;
  auto value = [&](const Array& array, int64_t at) {
    int64_t place = 0, step = 1;
    for (size_t i = 1; i <= large.shape.size(); ++i) {
      const int64_t index = at % large.shape[large.shape.size() - i];
      at /= large.shape[large.shape.size() - i];
      if (i > array.shape.size()) continue;
      const int64_t dim = array.shape[array.shape.size() - i];
      if (dim > 1) place += index * step;
      step *= dim;
    }
    return array.values[place];
  };
  Array y;
  y.shape = large.shape;
  for (int64_t i = 0; i < large.size(); ++i) {
    y.values.push_back(combine(value(a, i), value(b, i)));
  }
  return y;
}

template <typename Function>
Array DefineEach(Array x, Function function) {
  for (double& value : x.values) value = function(value);
  return x;
}

// The graph's output for data [batch][..] and for parameters (by tensor) that have no values in the
// file.
inline Array Define(const Graph& graph, const Array& data, std::vector<Array> arrays = {}) {
  using enum OperatorKind;
  arrays.resize(graph.tensors.size());
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const Tensor& tensor = graph.tensors[i];
    if (!tensor.is_parameter || tensor.values.empty()) continue;
    arrays[i] = {tensor.shape, {tensor.values.begin(), tensor.values.end()}};
  }
  arrays[graph.input] = data;
  for (const Node& node : graph.nodes) {
    auto input = [&](size_t i) -> const Array& { return arrays[node.inputs[i]]; };
    const Array* third = node.inputs.size() > 2 ? &input(2) : nullptr;
    Array y;
    switch (node.kind) {
      case kGemm:
        y = DefineProduct(input(0), input(1), node.Int("transB") != 0, third);
        break;
      case kMatMul:
        y = DefineProduct(input(0), input(1), false, nullptr);
        break;
      case kConv:
        y = DefineConv(node, input(0), input(1), third);
        break;
      case kMaxPool:
      case kAveragePool:
      case kGlobalMaxPool:
      case kGlobalAveragePool:
        y = DefinePool(node, input(0));
        break;
      case kAdd:
        y = DefineElementwise(input(0), input(1), [](double a, double b) { return a + b; });
        break;
      case kMul:
        y = DefineElementwise(input(0), input(1), [](double a, double b) { return a * b; });
        break;
      case kRelu:
        y = DefineEach(input(0), [](double v) { return v > 0 ? v : 0.0; });
        break;
      case kLeakyRelu:
        y = DefineEach(input(0), [&](double v) {
          return v >= 0 ? v : double{std::get<float>(node.attributes.at("alpha"))} * v;
        });
        break;
      case kSigmoid:
        y = DefineEach(input(0), [](double v) { return 1 / (1 + std::exp(-v)); });
        break;
      case kTanh:
        y = DefineEach(input(0), [](double v) { return std::tanh(v); });
        break;
      case kIdentity:
        y = input(0);
        break;
      case kFlatten:
        y = input(0);
        y.shape = {y.shape[0], y.size() / y.shape[0]};
        break;
      case kReshape:
        y = input(0);
        y.shape.resize(1);
        for (size_t i = 1; i < graph.tensors[node.outputs[0]].shape.size(); ++i) {
          y.shape.push_back(graph.tensors[node.outputs[0]].shape[i]);
        }
        break;
      case kSoftmax: {
        y = input(0);
        for (int64_t n = 0; n < y.shape[0]; ++n) {
          double* row = y.values.data() + n * y.shape[1];
          const double largest = *std::max_element(row, row + y.shape[1]);
          double sum = 0;
          for (int64_t i = 0; i < y.shape[1]; ++i) sum += row[i] = std::exp(row[i] - largest);
          for (int64_t i = 0; i < y.shape[1]; ++i) row[i] /= sum;
        }
        break;
      }
    }
    const std::vector<int64_t>& inferred = graph.tensors[node.outputs[0]].shape;
    if (!std::equal(y.shape.begin() + 1, y.shape.end(), inferred.begin() + 1, inferred.end())) {
      throw std::logic_error(node.name + ": shape is " + ShapeText(y.shape) + ", inferred " +
                             ShapeText(inferred));
    }
    arrays[node.outputs[0]] = std::move(y);
  }
  return arrays[graph.output];
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_ONNX_DEFINITION_H_
