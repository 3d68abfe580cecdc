// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "vaultrain/random.h"

namespace vaultrain {
namespace {

double Dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// Calls visit(tap, pixel) for the taps of an output pixel that lie inside the image, in the order
// ky, kx: the tap's place in the window and the pixel's in a channel.
template <typename Visit>
void ForTaps(const TrainingLayer& layer, int64_t to_pixel, Visit visit) {
  const Window& w = layer.window;
  const int64_t top = to_pixel / layer.to.width * w.stride_h - w.pad_top;
  const int64_t left = to_pixel % layer.to.width * w.stride_w - w.pad_left;
  for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
    const int64_t y = top + ky * w.dilation_h;
    if (y < 0 || y >= layer.from.height) continue;
    for (int64_t kx = 0; kx < w.kernel_w; ++kx) {
      const int64_t x = left + kx * w.dilation_w;
      if (x < 0 || x >= layer.from.width) continue;
      visit(ky * w.kernel_w + kx, y * layer.from.width + x);
    }
  }
}

// What an output pixel sees of a sample, as a row of the weights lies: [ky][kx][c].
void GatherPatch(const TrainingLayer& layer, const double* sample, int64_t to_pixel,
                 std::vector<double>& patch) {
  patch.assign(layer.in, 0.0);
  ForTaps(layer, to_pixel, [&](int64_t tap, int64_t pixel) {
    for (int64_t c = 0; c < layer.from.channels; ++c) {
      patch[tap * layer.from.channels + c] = sample[c * layer.from.pixels() + pixel];
    }
  });
}

// Calls visit(first, count) for the runs of a patch that an output sees: the channels of its group.
template <typename Visit>
void ForSeen(const TrainingLayer& layer, int64_t output, Visit visit) {
  const int64_t channels = layer.from.channels / layer.groups;
  if (layer.groups == 1) return visit(0, layer.in);
  for (int64_t tap = 0; tap < layer.window.taps(); ++tap) {
    visit(tap * layer.from.channels + output / layer.out * channels, channels);
  }
}

// Adds a patch to where it came from.
void ScatterPatch(const TrainingLayer& layer, const std::vector<double>& patch, int64_t to_pixel,
                  double* sample) {
  ForTaps(layer, to_pixel, [&](int64_t tap, int64_t pixel) {
    for (int64_t c = 0; c < layer.from.channels; ++c) {
      sample[c * layer.from.pixels() + pixel] += patch[tap * layer.from.channels + c];
    }
  });
}

// What a mean divides by.
int64_t Divisor(const TrainingLayer& layer, int64_t to_pixel) {
  if (layer.count_pad) return layer.window.taps();
  int64_t inside = 0;
  ForTaps(layer, to_pixel, [&](int64_t, int64_t) { ++inside; });
  return inside;
}

// y += factor * x
void AddScaled(double factor, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

}  // namespace

Reference::Reference(const TrainingGraph& graph, const std::vector<std::vector<float>>& parameters,
                     const Recipe& recipe)
    : graph_(graph),
      seed_(recipe.seed),
      of_weights_(OptimiserOf(recipe, false)),
      of_biases_(OptimiserOf(recipe, true)) {
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    values_.emplace_back(graph.tensors[i].elements(), 0.0);
    std::copy(parameters[i].begin(), parameters[i].end(), values_[i].begin());
    for (auto& state : state_) {
      state.emplace_back(graph.tensors[i].is_parameter() ? values_[i].size() : 0, 0.0);
    }
  }
  DrawMasks(0);
}

void Reference::DrawMasks(int64_t step) {
  for (size_t l = 0; l < graph_.layers.size(); ++l) {
    const TrainingLayer& layer = graph_.layers[l];
    if (layer.kind != LayerKind::kDropout) continue;
    Random random(seed_, fmt::format("dropout/{}/{}", layer.name, step));
    std::vector<bool>& kept = masks_[static_cast<int>(l)];
    kept.clear();
    for (int64_t i = 0; i < graph_.batch * layer.to.features(); ++i) {
      kept.push_back(random.Uniform() >= static_cast<double>(layer.ratio));
    }
  }
}

double Reference::Step(const StepData& data, double step_size) {
  double loss = Forward(data);
  BackwardAndUpdate(step_size);
  return loss;
}

double Reference::Forward(const StepData& data, bool infer) {
  trains_ = !infer;
  std::vector<double>& x = values_[graph_.input];
  for (size_t i = 0; i < x.size(); ++i) {
    const auto value = static_cast<int64_t>(i) % graph_.features;
    x[i] = data.inputs[i - static_cast<size_t>(value - graph_.InputPlace(value))];
  }
  if (graph_.loss_kind == Loss::kSoftmaxCrossEntropy) {
    std::copy(data.labels.begin(), data.labels.end(), values_[graph_.label].begin());
  } else {
    const std::vector<float> targets = TargetsOf(data, graph_.classes);
    std::copy(targets.begin(), targets.end(), values_[graph_.label].begin());
  }
  for (const TrainingOp& op : graph_.ops) {
    if (op.phase == Phase::kFeedForward) Run(op, 0);
  }
  double sum = 0;
  for (double loss : values_[graph_.loss]) sum += loss;
  return sum / static_cast<double>(graph_.batch);
}

void Reference::BackwardAndUpdate(double step_size) {
  for (const TrainingOp& op : graph_.ops) {
    if (op.phase != Phase::kFeedForward) Run(op, step_size);
  }
}

void Reference::Run(const TrainingOp& op, double step_size) {
  switch (op.kind) {
    case TrainingOpKind::kLinearForward:
      return RunForward(op);
    case TrainingOpKind::kPoolForward:
      return RunPool(op);
    case TrainingOpKind::kElementForward:
      return RunElements(op);
    case TrainingOpKind::kSoftmaxForward:
      return RunSoftmax(op);
    case TrainingOpKind::kSoftmaxBackward:
      return RunSoftmaxBackward(op);
    case TrainingOpKind::kProduct:
      return RunProduct(op);
    case TrainingOpKind::kNormaliseForward:
      return RunNormalise(op);
    case TrainingOpKind::kRecurrentForward:
      return RunRecurrent(op);
    case TrainingOpKind::kCopy:
      return RunCopy(op);
    case TrainingOpKind::kArrange:
      return RunArrange(op);
    case TrainingOpKind::kSoftmaxCrossEntropy:
      return RunLoss(op);
    case TrainingOpKind::kMeanSquare:
      return RunMeanSquare(op);
    case TrainingOpKind::kLinearBackward:
      return RunBackward(op);
    case TrainingOpKind::kPoolBackward:
      return RunPoolBackward(op);
    case TrainingOpKind::kElementBackward:
      return RunElementsBackward(op);
    case TrainingOpKind::kNormaliseBackward:
      return RunNormaliseBackward(op, step_size);
    case TrainingOpKind::kRecurrentBackward:
      return RunRecurrentBackward(op);
    case TrainingOpKind::kSumGradients:
      return RunSum(op);
    case TrainingOpKind::kLinearUpdate:
      return RunUpdate(op, step_size);
  }
}

void Reference::RunForward(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const double* x = values_[op.Tensor(Role::kX)].data();
  const double* w = values_[op.Tensor(Role::kW)].data();
  double* y = values_[op.Tensor(Role::kY)].data();
  const int bias = op.Tensor(Role::kB);
  const int64_t pixels = layer.to.pixels();
  std::vector<double> patch;
  for (int64_t i = 0; i < graph_.batch; ++i) {
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      GatherPatch(layer, x + i * layer.from.features(), pixel, patch);
      for (int64_t o = 0; o < layer.to.channels; ++o) {
        const double* row = w + o % layer.out * layer.in;
        double sum = 0;
        ForSeen(layer, o, [&](int64_t first, int64_t count) {
          sum += Dot(patch.data() + first, row + first, count);
        });
        sum += bias < 0 ? 0.0 : values_[bias][o];
        y[(i * layer.to.channels + o) * pixels + pixel] = op.relu ? std::max(sum, 0.0) : sum;
      }
    }
  }
}

void Reference::RunPool(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const bool maximum = layer.kind == LayerKind::kMaxPool;
  const int index = op.Tensor(Role::kIndex);
  const double* x = values_[op.Tensor(Role::kX)].data();
  double* y = values_[op.Tensor(Role::kY)].data();
  // A channel of a sample at a time.
  for (int64_t i = 0; i < graph_.batch * layer.to.channels; ++i) {
    const double* from = x + i * layer.from.pixels();
    for (int64_t pixel = 0; pixel < layer.to.pixels(); ++pixel) {
      const int64_t at = i * layer.to.pixels() + pixel;
      int64_t best = -1;
      double value = 0;
      ForTaps(layer, pixel, [&](int64_t tap, int64_t p) {
        if (!maximum) {
          value += from[p];
        } else if (best < 0 || from[p] > value) {
          best = tap;
          value = from[p];
        } else if (std::isnan(from[p])) {
          value = from[p];
        }
      });
      y[at] = maximum ? value : value / static_cast<double>(Divisor(layer, pixel));
      if (index >= 0) values_[index][at] = static_cast<double>(best);
    }
  }
}

void Reference::RunLoss(const TrainingOp& op) {
  const int64_t classes = graph_.classes;
  for (int64_t i = 0; i < graph_.batch; ++i) {
    const double* logits = values_[op.Tensor(Role::kLogits)].data() + i * classes;
    double* dz = values_[op.Tensor(Role::kDz)].data() + i * classes;
    auto label = static_cast<int64_t>(values_[op.Tensor(Role::kLabel)][i]);
    double largest = *std::max_element(logits, logits + classes);
    double sum = 0;
    for (int64_t j = 0; j < classes; ++j) sum += std::exp(logits[j] - largest);
    for (int64_t j = 0; j < classes; ++j) {
      dz[j] = std::exp(logits[j] - largest) / sum - (j == label ? 1.0 : 0.0);
    }
    values_[op.Tensor(Role::kLoss)][i] = std::log(sum) - (logits[label] - largest);
  }
}

void Reference::RunMeanSquare(const TrainingOp& op) {
  const std::vector<double>& y = values_[op.Tensor(Role::kLogits)];
  const std::vector<double>& target = values_[op.Tensor(Role::kLabel)];
  std::vector<double>& dz = values_[op.Tensor(Role::kDz)];
  std::vector<double>& loss = values_[op.Tensor(Role::kLoss)];
  const auto outputs = static_cast<double>(graph_.classes);
  std::fill(loss.begin(), loss.end(), 0.0);
  for (size_t i = 0; i < y.size(); ++i) {
    const double difference = y[i] - target[i];
    dz[i] = 2 * difference / outputs;
    loss[i / graph_.classes] += difference * difference / outputs;
  }
}

void Reference::RunBackward(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const double* dz = values_[op.Tensor(Role::kDz)].data();
  const double* w = values_[op.Tensor(Role::kW)].data();
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  std::fill(dx.begin(), dx.end(), 0.0);
  const int64_t pixels = layer.to.pixels();
  std::vector<double> patch;
  for (int64_t i = 0; i < graph_.batch; ++i) {
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      patch.assign(layer.in, 0.0);
      for (int64_t o = 0; o < layer.to.channels; ++o) {
        const double* row = w + o % layer.out * layer.in;
        const double factor = dz[(i * layer.to.channels + o) * pixels + pixel];
        ForSeen(layer, o, [&](int64_t first, int64_t count) {
          AddScaled(factor, row + first, patch.data() + first, count);
        });
      }
      ScatterPatch(layer, patch, pixel, dx.data() + i * layer.from.features());
    }
  }
  Mask(op);
}

void Reference::RunPoolBackward(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const double* dz = values_[op.Tensor(Role::kDz)].data();
  const int index = op.Tensor(Role::kIndex);
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  std::fill(dx.begin(), dx.end(), 0.0);
  for (int64_t i = 0; i < graph_.batch * layer.to.channels; ++i) {
    double* to = dx.data() + i * layer.from.pixels();
    for (int64_t pixel = 0; pixel < layer.to.pixels(); ++pixel) {
      const int64_t at = i * layer.to.pixels() + pixel;
      const double part = index >= 0 ? dz[at] : dz[at] / static_cast<double>(Divisor(layer, pixel));
      const double chosen = index >= 0 ? values_[index][at] : -1;
      ForTaps(layer, pixel, [&](int64_t tap, int64_t p) {
        if (chosen < 0 || static_cast<int64_t>(chosen) == tap) to[p] += part;
      });
    }
  }
  Mask(op);
}

void Reference::Mask(const TrainingOp& op) {
  if (!op.mask) return;
  const std::vector<double>& x = values_[op.Tensor(Role::kX)];
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  for (size_t i = 0; i < dx.size(); ++i) {
    if (!(x[i] > 0)) dx[i] = 0;
  }
}

namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double Apply(const TrainingLayer& layer, double x) {
  switch (layer.function) {
    case Function::kRelu:
      return std::max(x, 0.0);
    case Function::kLeakyRelu:
      return x > 0 ? x : layer.slope * x;
    case Function::kSigmoid:
      return Sigmoid(x);
    case Function::kTanh:
      return std::tanh(x);
    case Function::kAffine:
      return static_cast<double>(layer.slope) * x + static_cast<double>(layer.shift);
  }
  return x;
}

double Derivative(const TrainingLayer& layer, double x, double y) {
  switch (layer.function) {
    case Function::kRelu:
      return x > 0 ? 1 : 0;
    case Function::kLeakyRelu:
      return x > 0 ? 1 : layer.slope;
    case Function::kSigmoid:
      return y * (1 - y);
    case Function::kTanh:
      return 1 - y * y;
    case Function::kAffine:
      return layer.slope;
  }
  return 1;
}

}  // namespace

double Reference::KeptScale(int layer, size_t value) const {
  const auto ratio = static_cast<double>(graph_.layers[layer].ratio);
  return masks_.at(layer)[value] ? 1 / (1 - ratio) : 0.0;
}

void Reference::RunElements(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const std::vector<double>& x = values_[op.Tensor(Role::kX)];
  std::vector<double>& y = values_[op.Tensor(Role::kY)];
  const int other = op.Tensor(Role::kX2);
  for (size_t i = 0; i < y.size(); ++i) {
    switch (layer.kind) {
      case LayerKind::kAdd:
        y[i] = x[i] + values_[other][i];
        break;
      case LayerKind::kSubtract:
        y[i] = x[i] - values_[other][i];
        break;
      case LayerKind::kMultiply:
        y[i] = x[i] * values_[other][i];
        break;
      case LayerKind::kDivide:
        y[i] = x[i] / values_[other][i];
        break;
      case LayerKind::kDropout:
        y[i] = trains_ ? x[i] * KeptScale(op.layer, i) : x[i];
        break;
      default:
        y[i] = Apply(layer, x[i]);
        break;
    }
    if (op.relu) y[i] = std::max(y[i], 0.0);
  }
}

void Reference::RunElementsBackward(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const std::vector<double>& dz = values_[op.Tensor(Role::kDz)];
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  const std::vector<double>& x = values_[op.Tensor(Role::kX)];
  const int other = op.Tensor(Role::kX2);
  const int y = op.Tensor(Role::kY);
  for (size_t i = 0; i < dx.size(); ++i) {
    switch (layer.kind) {
      case LayerKind::kSubtract:  // by what is taken off
        dx[i] = -dz[i];
        break;
      case LayerKind::kMultiply:
        dx[i] = dz[i] * values_[other][i];
        break;
      case LayerKind::kDivide:
        dx[i] = y < 0 ? dz[i] / values_[other][i] : -dz[i] * values_[y][i] / x[i];
        break;
      case LayerKind::kDropout:
        dx[i] = dz[i] * KeptScale(op.layer, i);
        break;
      default:
        dx[i] = dz[i] * Derivative(layer, x[i], values_[y][i]);
        break;
    }
  }
  Mask(op);
}

void Reference::ForPixels(const TrainingOp& op,
                          const std::function<void(int64_t, int64_t, int64_t)>& visit) const {
  const Image& image = graph_.layers[op.layer].from;
  for (int64_t i = 0; i < graph_.batch; ++i) {
    for (int64_t pixel = 0; pixel < image.pixels(); ++pixel) {
      const int64_t first = i * image.features() + pixel;
      visit(first, first + image.features(), image.pixels());
    }
  }
}

void Reference::RunSoftmax(const TrainingOp& op) {
  const std::vector<double>& x = values_[op.Tensor(Role::kX)];
  std::vector<double>& y = values_[op.Tensor(Role::kY)];
  ForPixels(op, [&](int64_t first, int64_t end, int64_t step) {
    double largest = x[first], sum = 0;
    for (int64_t i = first; i < end; i += step) largest = std::max(largest, x[i]);
    for (int64_t i = first; i < end; i += step) sum += y[i] = std::exp(x[i] - largest);
    for (int64_t i = first; i < end; i += step) y[i] /= sum;
  });
}

void Reference::RunSoftmaxBackward(const TrainingOp& op) {
  const std::vector<double>& dz = values_[op.Tensor(Role::kDz)];
  const std::vector<double>& y = values_[op.Tensor(Role::kY)];
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  ForPixels(op, [&](int64_t first, int64_t end, int64_t step) {
    double sum = 0;
    for (int64_t i = first; i < end; i += step) sum += dz[i] * y[i];
    for (int64_t i = first; i < end; i += step) dx[i] = y[i] * (dz[i] - sum);
  });
}

void Reference::RunProduct(const TrainingOp& op) {
  const int result = op.Tensor(op.phase == Phase::kFeedForward ? Role::kY : Role::kDx);
  const int factors[] = {op.Tensor(Role::kX), op.Tensor(Role::kX2)};
  // Where row r and column c of an image's row y are.
  auto place = [&](int tensor, bool turned, int64_t y, int64_t r, int64_t c) {
    const Image& image = graph_.tensors[tensor].image;
    return ((turned ? r : c) * image.height + y) * image.width + (turned ? c : r);
  };
  const Image& to = graph_.tensors[result].image;
  const Image& left = graph_.tensors[factors[0]].image;
  const int64_t depth = op.turned[0] ? left.width : left.channels;
  for (int64_t i = 0; i < graph_.batch; ++i) {
    const double* a = values_[factors[0]].data() + i * left.features();
    const double* b = values_[factors[1]].data() + i * graph_.tensors[factors[1]].image.features();
    double* c = values_[result].data() + i * to.features();
    for (int64_t y = 0; y < to.height; ++y) {
      for (int64_t m = 0; m < to.width; ++m) {
        for (int64_t n = 0; n < to.channels; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < depth; ++k) {
            sum += a[place(factors[0], op.turned[0], y, m, k)] *
                   b[place(factors[1], op.turned[1], y, k, n)];
          }
          c[place(result, false, y, m, n)] = sum;
        }
      }
    }
  }
}

void Reference::RunSum(const TrainingOp& op) {
  std::vector<double>& dx = values_[op.Tensor(Role::kDx)];
  std::fill(dx.begin(), dx.end(), 0.0);
  for (int part : op.Tensors(Role::kPart)) {
    AddScaled(1, values_[part].data(), dx.data(), static_cast<int64_t>(dx.size()));
  }
  Mask(op);
}

void Reference::RunCopy(const TrainingOp& op) {
  const bool forward = op.phase == Phase::kFeedForward;
  const int from = op.Tensor(forward ? Role::kX : Role::kDz);
  const int to = op.Tensor(forward ? Role::kY : Role::kDx);
  const bool into = graph_.tensors[from].cols < graph_.tensors[to].cols;
  const Image& part = graph_.tensors[into ? from : to].image;
  const int64_t whole = graph_.tensors[into ? to : from].cols;
  const bool alone = graph_.layers[op.layer].kind == LayerKind::kSlice;
  if (into && alone) std::fill(values_[to].begin(), values_[to].end(), 0.0);
  for (int64_t i = 0; i < graph_.batch; ++i) {
    const int64_t at = i * whole + op.channel * part.pixels();
    const double* source = values_[from].data() + (into ? i * part.features() : at);
    std::copy(source, source + part.features(),
              values_[to].data() + (into ? at : i * part.features()));
  }
}

void Reference::RunArrange(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const int64_t count = layer.to.features();
  if (op.phase == Phase::kBackPropagation) {
    const int to = op.Tensor(Role::kDx);
    const int64_t of_sample = graph_.tensors[to].cols;
    const std::vector<double>& dz = values_[op.Tensor(Role::kDz)];
    std::fill(values_[to].begin(), values_[to].end(), 0.0);
    for (int64_t i = 0; i < graph_.batch * count; ++i) {
      const int64_t place = layer.places[i % count] - op.first_place;
      if (place >= 0 && place < of_sample) values_[to][i / count * of_sample + place] += dz[i];
    }
    return;
  }
  std::vector<double>& y = values_[op.Tensor(Role::kY)];
  for (int64_t i = 0; i < graph_.batch; ++i) {
    std::vector<double> sample;
    for (const int x : op.Tensors(Role::kX)) {
      const auto first = values_[x].begin() + i * graph_.tensors[x].cols;
      sample.insert(sample.end(), first, first + graph_.tensors[x].cols);
    }
    for (int64_t j = 0; j < count; ++j) y[i * count + j] = sample[layer.places[j]];
  }
}

// Places of the values that are normalised together.
void Reference::ForGroups(const TrainingLayer& layer,
                          const std::function<void(const std::vector<int64_t>&)>& visit) const {
  const int64_t pixels = layer.from.pixels();
  const int64_t features = layer.from.features();
  std::vector<int64_t> places;
  for (int64_t c = 0; c < layer.from.channels && layer.norm == Norm::kBatch; ++c) {
    places.clear();
    for (int64_t i = 0; i < graph_.batch * pixels; ++i) {
      places.push_back(i / pixels * features + c * pixels + i % pixels);
    }
    visit(places);
  }
  for (int64_t i = 0; i < graph_.batch && layer.norm != Norm::kBatch; ++i) {
    if (layer.norm == Norm::kSteps) {
      for (int64_t p = 0; p < pixels; ++p) {
        places.clear();
        for (int64_t c = 0; c < layer.from.channels; ++c) {
          places.push_back(i * features + c * pixels + p);
        }
        visit(places);
      }
      continue;
    }
    // Values of a group lie side by side.
    places.resize(features / layer.groups);
    for (int64_t g = 0; g < layer.groups; ++g) {
      std::iota(places.begin(), places.end(), (i * layer.groups + g) * features / layer.groups);
      visit(places);
    }
  }
}

namespace {

struct Moments {
  double mean = 0, variance = 0, rstd = 0;
};

Moments MomentsOf(const double* x, const std::vector<int64_t>& places, double epsilon) {
  Moments m;
  const auto count = static_cast<double>(places.size());
  for (const int64_t i : places) m.mean += x[i] / count;
  for (const int64_t i : places) m.variance += (x[i] - m.mean) * (x[i] - m.mean) / count;
  m.rstd = 1 / std::sqrt(m.variance + epsilon);
  return m;
}

}  // namespace

void Reference::RunNormalise(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const double* x = values_[op.Tensor(Role::kX)].data();
  double* y = values_[op.Tensor(Role::kY)].data();
  const std::vector<double>& scale = values_[op.Tensor(Role::kW)];
  const std::vector<double>& bias = values_[op.Tensor(Role::kB)];
  ForGroups(layer, [&](const std::vector<int64_t>& places) {
    Moments m = MomentsOf(x, places, layer.epsilon);
    if (layer.norm == Norm::kBatch) {
      const int64_t c = places.front() / layer.from.pixels();
      double& mean = values_[op.Tensor(Role::kMean)][c];
      double& variance = values_[op.Tensor(Role::kVariance)][c];
      if (!trains_ || layer.fixed) {
        m = {mean, variance, 1 / std::sqrt(variance + layer.epsilon)};
      } else {
        mean += (1 - layer.momentum) * (m.mean - mean);
        variance += (1 - layer.momentum) * (m.variance - variance);
      }
    }
    for (const int64_t i : places) {
      const int64_t c = i / layer.from.pixels() % layer.from.channels;
      y[i] = (x[i] - m.mean) * m.rstd * scale[c] + bias[c];
      if (op.relu) y[i] = std::max(y[i], 0.0);
    }
  });
}

void Reference::RunNormaliseBackward(const TrainingOp& op, double step_size) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const double* x = values_[op.Tensor(Role::kX)].data();
  const double* dz = values_[op.Tensor(Role::kDz)].data();
  double* dx = op.Tensor(Role::kDx) < 0 ? nullptr : values_[op.Tensor(Role::kDx)].data();
  const std::vector<double>& scale = values_[op.Tensor(Role::kW)];
  std::vector<double> of_scale(scale.size()), of_bias(scale.size());
  ForGroups(layer, [&](const std::vector<int64_t>& places) {
    Moments m = MomentsOf(x, places, layer.epsilon);
    auto channel = [&](int64_t i) { return i / layer.from.pixels() % layer.from.channels; };
    if (layer.fixed) {
      const double variance = values_[op.Tensor(Role::kVariance)][channel(places.front())];
      m = {values_[op.Tensor(Role::kMean)][channel(places.front())], variance,
           1 / std::sqrt(variance + layer.epsilon)};
    }
    double sum = 0, product = 0;
    for (const int64_t i : places) {
      const double normal = (x[i] - m.mean) * m.rstd;
      sum += dz[i] * scale[channel(i)];
      product += dz[i] * scale[channel(i)] * normal;
      of_scale[channel(i)] += dz[i] * normal;
      of_bias[channel(i)] += dz[i];
    }
    const auto n = static_cast<double>(places.size());
    if (dx == nullptr) return;  // of the network's input
    if (layer.fixed) sum = product = 0;
    for (const int64_t i : places) {
      const double normal = (x[i] - m.mean) * m.rstd;
      dx[i] = m.rstd * (dz[i] * scale[channel(i)] - sum / n - normal * product / n);
    }
  });
  Mask(op);
  Optimise(op.Tensor(Role::kW), of_scale, step_size);
  Optimise(op.Tensor(Role::kB), of_bias, step_size);
}

// Values of a sequence lie as [channel][step].
void Reference::RunRecurrent(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const int64_t hidden = layer.in;
  const int64_t gates = GatesOf(layer.cell) * hidden;
  const int64_t steps = layer.from.width;
  const int64_t in = graph_.layers[op.layer - 1].in;
  const bool resets = layer.cell == Cell::kResetGru;
  const double* x = values_[op.Tensor(Role::kX)].data();
  const double* w = values_[op.Tensor(Role::kW)].data();
  const int bias = op.Tensor(Role::kB);
  const double* u = values_[op.Tensor(Role::kU)].data();
  const int state_bias = op.Tensor(Role::kD);
  const double* v = resets ? values_[op.Tensor(Role::kV)].data() : nullptr;
  double* resets_into = resets ? values_[op.Tensor(Role::kReset)].data() : nullptr;
  double* y = values_[op.Tensor(Role::kY)].data();
  std::vector<double>& kept = cells_[op.layer];
  kept.assign(graph_.batch * steps * (gates + hidden), 0.0);
  std::vector<double> of_step(in), h(hidden), c(hidden), reset(hidden);
  for (int64_t i = 0; i < graph_.batch; ++i) {
    std::fill(h.begin(), h.end(), 0.0);
    std::fill(c.begin(), c.end(), 0.0);
    for (int64_t t = 0; t < steps; ++t) {
      double* gate = kept.data() + (i * steps + t) * (gates + hidden);
      for (int64_t k = 0; k < in; ++k) of_step[k] = x[(i * in + k) * steps + t];
      for (int64_t g = 0; g < gates; ++g) {
        const double of_x = Dot(of_step.data(), w + g * in, in) + (bias < 0 ? 0 : values_[bias][g]);
        if (resets && g >= 2 * hidden) {
          const int64_t j = g - 2 * hidden;
          if (j == 0) {
            for (int64_t k = 0; k < hidden; ++k) {
              reset[k] = gate[hidden + k] * h[k];
              if (t > 0) resets_into[(i * hidden + k) * steps + t - 1] = reset[k];
            }
          }
          gate[g] = std::tanh(of_x + Dot(reset.data(), v + j * hidden, hidden));
          continue;
        }
        double of_h =
            Dot(h.data(), u + g * hidden, hidden) + (state_bias < 0 ? 0 : values_[state_bias][g]);
        bool is_tanh = layer.cell == Cell::kRnn || g >= 3 * hidden;
        if (layer.cell == Cell::kGru && g >= 2 * hidden) {
          is_tanh = true;
          gate[g + hidden] = of_h;
          of_h *= gate[g - hidden];
        }
        gate[g] = is_tanh ? std::tanh(of_x + of_h) : Sigmoid(of_x + of_h);
      }
      for (int64_t j = 0; j < hidden; ++j) {
        if (layer.cell == Cell::kLstm) {
          c[j] = gate[2 * hidden + j] * c[j] + gate[j] * gate[3 * hidden + j];
          h[j] = gate[hidden + j] * std::tanh(c[j]);
          gate[gates + j] = c[j];
        } else if (layer.cell == Cell::kGru || resets) {
          h[j] = (1 - gate[j]) * gate[2 * hidden + j] + gate[j] * h[j];
        } else {
          h[j] = gate[j];
        }
        y[(i * hidden + j) * steps + t] = h[j];
      }
    }
  }
}

void Reference::RunRecurrentBackward(const TrainingOp& op) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const int64_t hidden = layer.in;
  const int64_t gates = GatesOf(layer.cell) * hidden;
  const int64_t steps = layer.from.width;
  const bool resets = layer.cell == Cell::kResetGru;
  const double* u = values_[op.Tensor(Role::kU)].data();
  const double* v = resets ? values_[op.Tensor(Role::kV)].data() : nullptr;
  const double* y = values_[op.Tensor(Role::kY)].data();
  const double* dy = values_[op.Tensor(Role::kDz)].data();
  const std::vector<int> dsums = op.Tensors(Role::kDx);
  const std::vector<double>& kept = cells_[op.layer];
  // By the sums, and by the parts of them that come from the state; by r h'.
  std::vector<double> dh(hidden), dc(hidden), ds(gates), of_state(gates), dreset(hidden);
  for (int64_t i = 0; i < graph_.batch; ++i) {
    std::fill(dh.begin(), dh.end(), 0.0);
    std::fill(dc.begin(), dc.end(), 0.0);
    for (int64_t t = steps - 1; t >= 0; --t) {
      const double* gate = kept.data() + (i * steps + t) * (gates + hidden);
      const double* before = gate - (gates + hidden);
      for (int64_t j = 0; j < hidden; ++j) {
        const int64_t at = (i * hidden + j) * steps + t;
        dh[j] += dy[at];
        if (layer.cell == Cell::kRnn) {
          ds[j] = dh[j] * (1 - gate[j] * gate[j]);
          dh[j] = 0;
          continue;
        }
        if (layer.cell == Cell::kGru || resets) {
          const double z = gate[j], r = gate[hidden + j], n = gate[2 * hidden + j];
          const double dn = dh[j] * (1 - z) * (1 - n * n);
          ds[j] = dh[j] * ((t > 0 ? y[at - 1] : 0) - n) * z * (1 - z);
          if (!resets) ds[hidden + j] = dn * gate[3 * hidden + j] * r * (1 - r);
          ds[2 * hidden + j] = dn;
          dh[j] *= z;
          continue;
        }
        const double in = gate[j], out = gate[hidden + j], forget = gate[2 * hidden + j];
        const double g = gate[3 * hidden + j];
        const double squashed = std::tanh(gate[gates + j]);
        dc[j] += dh[j] * out * (1 - squashed * squashed);
        ds[j] = dc[j] * g * in * (1 - in);
        ds[hidden + j] = dh[j] * squashed * out * (1 - out);
        ds[2 * hidden + j] = (t > 0 ? dc[j] * before[gates + j] : 0) * forget * (1 - forget);
        ds[3 * hidden + j] = dc[j] * in * (1 - g * g);
        dc[j] *= forget;
        dh[j] = 0;
      }
      std::fill(dreset.begin(), dreset.end(), 0.0);
      for (int64_t j = 0; j < hidden && resets; ++j) {
        const double dn = ds[2 * hidden + j];
        AddScaled(dn, v + j * hidden, dreset.data(), hidden);
        values_[dsums[2]][(i * hidden + j) * steps + t] = dn;
      }
      for (int64_t j = 0; j < hidden && resets; ++j) {
        const double r = gate[hidden + j];
        ds[hidden + j] =
            dreset[j] * (t > 0 ? y[(i * hidden + j) * steps + t - 1] : 0) * r * (1 - r);
        dh[j] += dreset[j] * r;
      }
      of_state = ds;
      for (int64_t g = 2 * hidden; g < gates && layer.cell == Cell::kGru; ++g) {
        of_state[g] *= gate[g - hidden];
      }
      for (int64_t g = 0; g < gates; ++g) {
        values_[dsums.front()][(i * gates + g) * steps + t] = ds[g];
      }
      for (int64_t g = 0; g < layer.out; ++g) {
        AddScaled(of_state[g], u + g * hidden, dh.data(), hidden);
        if (dsums.size() > 1) values_[dsums[1]][(i * layer.out + g) * steps + t] = of_state[g];
      }
    }
  }
}

void Reference::RunUpdate(const TrainingOp& op, double step_size) {
  const TrainingLayer& layer = graph_.layers[op.layer];
  const double* dz = values_[op.Tensor(Role::kDz)].data();
  const double* x = values_[op.Tensor(Role::kX)].data();
  const int64_t pixels = layer.to.pixels();
  std::vector<double> patch, dw(layer.out * layer.in), db(layer.to.channels);
  for (int64_t i = 0; i < graph_.batch; ++i) {
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      GatherPatch(layer, x + i * layer.from.features(), pixel, patch);
      for (int64_t o = 0; o < layer.to.channels; ++o) {
        double* row = dw.data() + o % layer.out * layer.in;
        const double factor = dz[(i * layer.to.channels + o) * pixels + pixel];
        ForSeen(layer, o, [&](int64_t first, int64_t count) {
          AddScaled(factor, patch.data() + first, row + first, count);
        });
        db[o] += factor;
      }
    }
  }
  Optimise(op.Tensor(Role::kW), dw, step_size);
  if (op.Tensor(Role::kB) >= 0) Optimise(op.Tensor(Role::kB), db, step_size);
}

void Reference::Optimise(int tensor, const std::vector<double>& gradient, double step_size) {
  const bool bias = graph_.tensors[tensor].kind != TensorKind::kWeight;
  const OptimiserConstants& c = bias ? of_biases_ : of_weights_;
  std::vector<double>& first = state_[0][tensor];
  std::vector<double>& second = state_[1][tensor];
  for (size_t i = 0; i < gradient.size(); ++i) {
    double& w = values_[tensor][i];
    const double g = c.clip > 0 ? std::clamp(gradient[i], -c.clip, c.clip) : gradient[i];
    const double u = g + c.decay * w;
    switch (c.optimiser) {
      case Optimiser::kSgd:
        w -= step_size * u;
        break;
      case Optimiser::kMomentum:
        first[i] = c.momentum * first[i] + u;
        w -= step_size * first[i];
        break;
      case Optimiser::kNesterov:
        first[i] = c.momentum * first[i] + u;
        w -= step_size * (u + c.momentum * first[i]);
        break;
      case Optimiser::kAdam:
        first[i] = c.beta1 * first[i] + (1 - c.beta1) * u;
        second[i] = c.beta2 * second[i] + (1 - c.beta2) * u * u;
        w -= step_size * first[i] / (std::sqrt(second[i]) + c.epsilon);
        break;
    }
  }
}

double Reference::Accuracy(const Dataset& data, const Recipe& recipe) {
  int64_t correct = 0;
  for (int64_t first = 0; first < data.size(); first += graph_.batch) {
    std::vector<uint32_t> samples(graph_.batch);
    for (int64_t i = 0; i < graph_.batch; ++i) {
      samples[i] = static_cast<uint32_t>(std::min(first + i, data.size() - 1));
    }
    StepData step = GatherStep(data, recipe, samples);
    Forward(step, true);
    for (int64_t i = 0; i < std::min(graph_.batch, data.size() - first); ++i) {
      const double* logits = values_[graph_.logits].data() + i * graph_.classes;
      correct += std::max_element(logits, logits + graph_.classes) - logits == step.labels[i];
    }
  }
  return static_cast<double>(correct) / static_cast<double>(data.size());
}

ReferenceRun TrainReference(const TrainingGraph& graph, const Recipe& recipe,
                            const TrainTest& data) {
  return TrainReference(graph, recipe, data, StartingParameters(graph, recipe));
}

ReferenceRun TrainReference(const TrainingGraph& graph, const Recipe& recipe, const TrainTest& data,
                            const std::vector<std::vector<float>>& parameters) {
  ReferenceRun run;
  Reference reference(graph, parameters, recipe);
  DataOrder order(static_cast<uint32_t>(data.train.size()), static_cast<uint32_t>(graph.batch),
                  recipe.seed);
  int64_t steps = StepCount(recipe, data.train.size());
  for (int64_t step = 0; step < steps; ++step) {
    StepData batch = GatherStep(data.train, recipe, order.Batch(step));
    reference.DrawMasks(step);
    run.loss.push_back(reference.Step(batch, StepSize(recipe, step, steps)));
  }
  if (data.test.has_classes()) run.test_accuracy = reference.Accuracy(data.test, recipe);
  return run;
}

}  // namespace vaultrain
