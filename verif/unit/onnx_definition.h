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
#include <map>
#include <numeric>
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
  if (x.shape.size() == 3) return {{x.shape[0], channels, window.out[1]}, {}};
  return {{x.shape[0], channels, window.out[0], window.out[1]}, {}};
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

// The place of an element of an array that has as many indices as index, or fewer: of the last
// ones.
inline int64_t PlaceOf(const std::vector<int64_t>& shape, const std::vector<int64_t>& index) {
  int64_t place = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    place = place * shape[i] + index[index.size() - shape.size() + i];
  }
  return place;
}

// An array whose elements are a function of their indices.
template <typename Function>
Array DefineByIndex(const std::vector<int64_t>& shape, Function function) {
  Array y;
  y.shape = shape;
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t n = y.size(); n > 0; --n) {
    y.values.push_back(function(index));
    for (size_t d = shape.size(); d > 0 && ++index[d - 1] == shape[d - 1]; --d) index[d - 1] = 0;
  }
  return y;
}

// Stacks of matrices; those of one matrix fit each.
inline Array DefineMatMul(const Array& a, const Array& b) {
  std::vector<int64_t> shape = a.shape;
  shape.back() = b.shape.back();
  return DefineByIndex(shape, [&](const std::vector<int64_t>& index) {
    double sum = 0;
    std::vector<int64_t> left = index, right = index;
    for (int64_t k = 0; k < a.shape.back(); ++k) {
      left.back() = k;
      right[right.size() - 2] = k;
      sum += a.values[PlaceOf(a.shape, left)] * b.values[PlaceOf(b.shape, right)];
    }
    return sum;
  });
}

inline Array DefineConcat(const std::vector<const Array*>& parts, int64_t axis) {
  std::vector<int64_t> shape = parts[0]->shape;
  shape[axis] = 0;
  for (const Array* part : parts) shape[axis] += part->shape[axis];
  return DefineByIndex(shape, [&](std::vector<int64_t> index) {
    size_t part = 0;
    while (index[axis] >= parts[part]->shape[axis]) index[axis] -= parts[part++]->shape[axis];
    return parts[part]->values[PlaceOf(parts[part]->shape, index)];
  });
}

// What start, step and count take along an axis.
inline Array DefineSlice(const Array& x, int64_t axis, int64_t start, int64_t step, int64_t count) {
  std::vector<int64_t> shape = x.shape;
  shape[axis] = count;
  return DefineByIndex(shape, [&](std::vector<int64_t> index) {
    index[axis] = start + index[axis] * step;
    return x.values[PlaceOf(x.shape, index)];
  });
}

inline Array DefineSlices(const Node& node, Array x) {
  for (size_t i = 0; i < node.Ints("axes").size(); ++i) {
    int64_t count = 0;
    const int64_t start = node.Ints("starts")[i], end = node.Ints("ends")[i];
    const int64_t step = node.Ints("steps")[i];
    for (int64_t at = start; step > 0 ? at < end : at > end; at += step) ++count;
    x = DefineSlice(x, node.Ints("axes")[i], start, step, count);
  }
  return x;
}

inline Array DefineTranspose(const Array& x, const std::vector<int64_t>& perm) {
  std::vector<int64_t> shape;
  for (int64_t axis : perm) shape.push_back(x.shape[axis]);
  return DefineByIndex(shape, [&](const std::vector<int64_t>& index) {
    std::vector<int64_t> from(index.size());
    for (size_t i = 0; i < index.size(); ++i) from[perm[i]] = index[i];
    return x.values[PlaceOf(x.shape, from)];
  });
}

// Indices, of any shape, take the place of an axis.
inline Array DefineGather(const Array& x, const Array& indices, int64_t axis) {
  std::vector<int64_t> shape = x.shape;
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, indices.shape.begin(), indices.shape.end());
  return DefineByIndex(shape, [&](const std::vector<int64_t>& index) {
    const auto first = index.begin() + axis;
    const auto behind = first + static_cast<int64_t>(indices.shape.size());
    const auto chosen =
        static_cast<int64_t>(indices.values[PlaceOf(indices.shape, {first, behind})]);
    std::vector<int64_t> from(index.begin(), first);
    from.push_back(chosen < 0 ? chosen + x.shape[axis] : chosen);
    from.insert(from.end(), behind, index.end());
    return x.values[PlaceOf(x.shape, from)];
  });
}

// Takes off the mean and divides by the deviation of all elements of the same set, which a function
// of the indices tells; then scale and bias, functions of the indices too.
template <typename Set, typename Scale, typename Bias>
Array DefineNormal(const Array& x, double epsilon, Set set, Scale scale, Bias bias) {
  std::map<int64_t, double> count, mean, variance;
  DefineByIndex(x.shape, [&](const std::vector<int64_t>& i) {
    mean[set(i)] += x.values[PlaceOf(x.shape, i)];
    return count[set(i)] += 1;
  });
  for (auto& [key, value] : mean) value /= count[key];
  DefineByIndex(x.shape, [&](const std::vector<int64_t>& i) {
    const double d = x.values[PlaceOf(x.shape, i)] - mean[set(i)];
    return variance[set(i)] += d * d / count[set(i)];
  });
  return DefineByIndex(x.shape, [&](const std::vector<int64_t>& i) {
    const double d = x.values[PlaceOf(x.shape, i)] - mean[set(i)];
    return scale(i) * d / std::sqrt(variance[set(i)] + epsilon) + bias(i);
  });
}

inline Array DefineNormalization(const Node& node, const Array& x, const Array& scale,
                                 const Array* bias, const Array* mean, const Array* variance) {
  using enum OperatorKind;
  using Index = std::vector<int64_t>;
  const double epsilon = node.Float("epsilon");
  if (node.kind == kLayerNormalization) {
    const int64_t axis = node.Int("axis");
    auto set = [&](const Index& i) {
      return PlaceOf({x.shape.begin(), x.shape.begin() + axis}, {i.begin(), i.begin() + axis});
    };
    return DefineNormal(
        x, epsilon, set, [&](const Index& i) { return scale.values[PlaceOf(scale.shape, i)]; },
        [&](const Index& i) { return bias ? bias->values[PlaceOf(bias->shape, i)] : 0.0; });
  }
  // Parameters per channel, or per group of channels.
  const auto parameters = scale.shape[0];
  auto of = [&](const Array& parameter) {
    return [&](const Index& i) { return parameter.values[i[1] * parameters / x.shape[1]]; };
  };
  if (node.kind == kBatchNormalization && node.Int("training_mode") == 0) {
    return DefineByIndex(x.shape, [&](const Index& i) {
      return of(scale)(i) * (x.values[PlaceOf(x.shape, i)] - of(*mean)(i)) /
                 std::sqrt(of(*variance)(i) + epsilon) +
             of(*bias)(i);
    });
  }
  auto set = [&](const Index& i) {
    if (node.kind == kBatchNormalization) return i[1];
    const int64_t groups = node.kind == kGroupNormalization ? node.Int("num_groups") : x.shape[1];
    return i[0] * groups + i[1] / (x.shape[1] / groups);
  };
  return DefineNormal(x, epsilon, set, of(scale), of(*bias));
}

// Y, Y_h and Y_c of X [N,T,I], as the equations of ONNX have them.
inline std::vector<Array> DefineRecurrent(const Node& node, const Array& x, const Array& w,
                                          const Array& r, const Array* b) {
  using enum OperatorKind;
  const int64_t batch = x.shape[0], time = x.shape[1], in = x.shape[2], hidden = r.shape[2];
  const int64_t gates = w.shape[1] / hidden;
  auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  Array y = {{batch, time, 1, hidden}, std::vector<double>(batch * time * hidden)};
  Array last_h = {{batch, 1, hidden}, {}}, last_c = last_h;
  for (int64_t n = 0; n < batch; ++n) {
    std::vector<double> h(hidden, 0), c(hidden, 0);
    for (int64_t t = 0; t < time; ++t) {
      // W x + Wb and R v + Rb of a unit in a gate.
      auto of_x = [&](int64_t gate, int64_t unit) {
        const int64_t row = gate * hidden + unit;
        double sum = b ? b->values[row] : 0.0;
        for (int64_t i = 0; i < in; ++i) {
          sum += w.values[row * in + i] * x.values[(n * time + t) * in + i];
        }
        return sum;
      };
      auto of_h = [&](int64_t gate, int64_t unit, const std::vector<double>& v) {
        const int64_t row = gate * hidden + unit;
        double sum = b ? b->values[gates * hidden + row] : 0.0;
        for (int64_t i = 0; i < hidden; ++i) sum += r.values[row * hidden + i] * v[i];
        return sum;
      };
      std::vector<double> next(hidden), reset_h(hidden);
      if (node.kind == kGru) {
        for (int64_t u = 0; u < hidden; ++u) {
          reset_h[u] = sigmoid(of_x(1, u) + of_h(1, u, h)) * h[u];
        }
      }
      for (int64_t u = 0; u < hidden; ++u) {
        auto gate = [&](int64_t g) { return of_x(g, u) + of_h(g, u, h); };
        if (node.kind == kRnn) {
          next[u] = std::tanh(gate(0));
        } else if (node.kind == kLstm) {  // gates i, o, f, c
          c[u] = sigmoid(gate(2)) * c[u] + sigmoid(gate(0)) * std::tanh(gate(3));
          next[u] = sigmoid(gate(1)) * std::tanh(c[u]);
        } else {  // gates z, r, h
          const double z = sigmoid(gate(0));
          const double of_state = node.Int("linear_before_reset") != 0
                                      ? sigmoid(gate(1)) * of_h(2, u, h)
                                      : of_h(2, u, reset_h);
          next[u] = (1 - z) * std::tanh(of_x(2, u) + of_state) + z * h[u];
        }
      }
      h = next;
      std::copy(h.begin(), h.end(), y.values.begin() + (n * time + t) * hidden);
    }
    last_h.values.insert(last_h.values.end(), h.begin(), h.end());
    last_c.values.insert(last_c.values.end(), c.begin(), c.end());
  }
  return {y, last_h, last_c};
}

// Along one axis.
inline Array DefineSoftmax(Array x, int64_t axis) {
  int64_t step = 1;
  for (size_t i = axis + 1; i < x.shape.size(); ++i) step *= x.shape[i];
  const int64_t dim = x.shape[axis];
  for (int64_t at = 0; at < x.size(); ++at) {
    if (at / step % dim != 0) continue;
    double largest = x.values[at], sum = 0;
    for (int64_t i = 0; i < dim; ++i) largest = std::max(largest, x.values[at + i * step]);
    for (int64_t i = 0; i < dim; ++i) {
      sum += x.values[at + i * step] = std::exp(x.values[at + i * step] - largest);
    }
    for (int64_t i = 0; i < dim; ++i) x.values[at + i * step] /= sum;
  }
  return x;
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
  Array y;
  y.shape.assign(std::max(a.shape.size(), b.shape.size()), 1);
  for (const Array* array : {&a, &b}) {
    const size_t before = y.shape.size() - array->shape.size();
    for (size_t i = 0; i < array->shape.size(); ++i) {
      y.shape[before + i] = std::max(y.shape[before + i], array->shape[i]);
    }
  }
  auto value = [&](const Array& array, int64_t at) {
    int64_t place = 0, step = 1;
    for (size_t i = 1; i <= y.shape.size(); ++i) {
      const int64_t index = at % y.shape[y.shape.size() - i];
      at /= y.shape[y.shape.size() - i];
      if (i > array.shape.size()) continue;
      const int64_t dim = array.shape[array.shape.size() - i];
      if (dim > 1) place += index * step;
      step *= dim;
    }
    return array.values[place];
  };
  const int64_t count =
      std::accumulate(y.shape.begin(), y.shape.end(), int64_t{1}, std::multiplies<>());
  for (int64_t i = 0; i < count; ++i) {
    y.values.push_back(combine(value(a, i), value(b, i)));
  }
  return y;
}

template <typename Function>
Array DefineEach(Array x, Function function) {
  for (double& value : x.values) value = function(value);
  return x;
}

// The outputs of a node, of those that it may have; an array is null where an input is left out.
inline std::vector<Array> DefineNode(const Graph& graph, const Node& node,
                                     const std::vector<const Array*>& inputs) {
  using enum OperatorKind;
  const Array& x = *inputs[0];
  auto input = [&](size_t i) { return i < inputs.size() ? inputs[i] : nullptr; };
  switch (node.kind) {
    case kGemm:
      return {DefineProduct(x, *input(1), node.Int("transB") != 0, input(2))};
    case kMatMul:
      return {DefineMatMul(x, *input(1))};
    case kConv:
      return {DefineConv(node, x, *input(1), input(2))};
    case kMaxPool:
    case kAveragePool:
    case kGlobalMaxPool:
    case kGlobalAveragePool:
      return {DefinePool(node, x)};
    case kAdd:
      return {DefineElementwise(x, *input(1), [](double a, double b) { return a + b; })};
    case kSub:
      return {DefineElementwise(x, *input(1), [](double a, double b) { return a - b; })};
    case kMul:
      return {DefineElementwise(x, *input(1), [](double a, double b) { return a * b; })};
    case kDiv:
      return {DefineElementwise(x, *input(1), [](double a, double b) { return a / b; })};
    case kRelu:
      return {DefineEach(x, [](double v) { return v > 0 ? v : 0.0; })};
    case kLeakyRelu:
      return {DefineEach(x, [&](double v) { return v >= 0 ? v : node.Float("alpha") * v; })};
    case kSigmoid:
      return {DefineEach(x, [](double v) { return 1 / (1 + std::exp(-v)); })};
    case kTanh:
      return {DefineEach(x, [](double v) { return std::tanh(v); })};
    case kDropout:
      if (node.Int("training_mode") != 0 && node.Float("ratio") > 0) {
        throw std::domain_error("a random generator chooses what is dropped");
      }
      return {x};
    case kIdentity:
      return {x};
    case kFlatten:
    case kReshape:
    case kSqueeze:
    case kUnsqueeze: {
      Array y = x;
      y.shape.resize(1);
      const std::vector<int64_t>& inferred = graph.tensors[node.outputs[0]].shape;
      y.shape.insert(y.shape.end(), inferred.begin() + 1, inferred.end());
      return {y};
    }
    case kSoftmax:
      return {DefineSoftmax(x, node.Int("axis"))};
    case kConcat:
      return {DefineConcat(inputs, node.Int("axis"))};
    case kSlice:
      return {DefineSlices(node, x)};
    case kSplit: {
      std::vector<Array> parts;
      int64_t start = 0;
      for (int64_t size : node.Ints("split")) {
        parts.push_back(DefineSlice(x, node.Int("axis"), start, 1, size));
        start += size;
      }
      return parts;
    }
    case kTranspose:
      return {DefineTranspose(x, node.Ints("perm"))};
    case kGather:
      return {DefineGather(x, *input(1), node.Int("axis"))};
    case kBatchNormalization:
    case kInstanceNormalization:
    case kGroupNormalization:
    case kLayerNormalization:
      return {DefineNormalization(node, x, *input(1), input(2), input(3), input(4))};
    case kRnn:
    case kLstm:
    case kGru:
      return DefineRecurrent(node, x, *input(1), *input(2), input(3));
  }
  throw std::logic_error(node.name + " has no definition");
}

// The graph's output for data [batch][..] and for parameters (by tensor) that have no values in the
// file. Throws std::domain_error for what a random generator decides.
inline Array Define(const Graph& graph, const Array& data, std::vector<Array> arrays = {}) {
  arrays.resize(graph.tensors.size());
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const Tensor& tensor = graph.tensors[i];
    if (!tensor.is_parameter) continue;
    if (!tensor.values.empty()) {
      arrays[i] = {tensor.shape, {tensor.values.begin(), tensor.values.end()}};
    } else if (!tensor.ints.empty()) {
      arrays[i] = {tensor.shape, {tensor.ints.begin(), tensor.ints.end()}};
    }
  }
  arrays[graph.input] = data;
  for (const Node& node : graph.nodes) {
    std::vector<const Array*> inputs;
    for (int input : node.inputs) inputs.push_back(input < 0 ? nullptr : &arrays[input]);
    std::vector<Array> outputs = DefineNode(graph, node, inputs);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] < 0) continue;
      Array& y = outputs.at(i);
      const std::vector<int64_t>& inferred = graph.tensors[node.outputs[i]].shape;
      if (!std::equal(y.shape.begin() + 1, y.shape.end(), inferred.begin() + 1, inferred.end())) {
        throw std::logic_error(node.name + ": shape is " + ShapeText(y.shape) + ", inferred " +
                               ShapeText(inferred));
      }
      arrays[node.outputs[i]] = std::move(y);
    }
  }
  return arrays[graph.output];
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_ONNX_DEFINITION_H_
