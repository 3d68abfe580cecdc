// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A network with its derivatives: the operations of one training step, for the mapper.
//
// A step works on a batch of samples and runs three phases: feed-forward (FF), back-propagation
// (BP), weight update (UP). Differentiate makes, for a chain of layers,
//
//   FF  Y  = X (*) W + b, then max(Y, 0) where relu is set
//       loss[i] = -log softmax(logits[i])[label[i]]         per sample
//       dZ = softmax(logits) - onehot(label)                per sample, not divided by the batch
//   BP  dX = gradient by X of sum(dZ * Y), then 0 where X <= 0 if mask is set
//   UP  dW = gradient by W of sum(dZ * Y), db = sum of dZ over samples and pixels
//       W, b and their state from these by the optimiser of recipe.h; sgd without decay is
//       W -= step_size * dW, b -= step_size * db
//
// with step_size = learning rate / batch, so that a step descends the mean loss; adam has its own
// (StepSize), as its quotient does not grow with the batch. Weight decay is of W only. X is the
// layer's input, Y its output, dZ the gradient of the loss by the layer's sum before the ReLU. dX
// of a layer is dZ of the one before (its mask is that layer's ReLU). A layer with no weights
// before it has no BP. A BP or UP of a layer may start once its dZ is whole; BP reads W as it was
// before UP.
//
// (*) is a convolution: Y[o][y][x] = sum over ky, kx, c of W[o][ky][kx][c] *
// X[c][y * stride + ky * dilation - pad][x * ..], X being zero outside. A fully connected layer is
// one of images of 1 x 1 or, behind an image, one whose kernel is the image. Pooling layers have no
// weights: their FF takes the maximum or the mean of each window of each channel, their BP gives
// dZ to where the maximum was (the first in the order ky, kx) or to the whole window in equal
// parts; where windows overlap, the parts add up. Taps outside the image take no part, except that
// with count_pad a mean divides by all taps. The maximum of a window that holds a NaN is NaN, its
// index that of the largest value before the first NaN, or of the first tap. Every window sees at
// least one pixel of the image.

#ifndef VAULTRAIN_TRAINING_GRAPH_H_
#define VAULTRAIN_TRAINING_GRAPH_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/graph.h"

namespace vaultrain {

struct Recipe;

enum class Phase { kFeedForward, kBackPropagation, kWeightUpdate };

// "FF", "BP", "UP".
std::string_view PhaseName(Phase phase);

enum class TensorKind {
  kInput,
  kActivation,
  kIndex,  // of the maximum in its window: ky * kernel_w + kx
  kGradient,
  kWeight,
  kBias,
  kLabel,
  kLoss
};

// Values of a sample: channels of height x width pixels.
struct Image {
  int64_t height = 1, width = 1, channels = 0;

  int64_t pixels() const { return height * width; }
  int64_t features() const { return channels * pixels(); }
  friend bool operator==(const Image&, const Image&) = default;
};

// What an output pixel sees of the input.
struct Window {
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  int64_t taps() const { return kernel_h * kernel_w; }
  friend bool operator==(const Window&, const Window&) = default;
};

enum class FormatClass {
  kOperand,  // narrow: inputs, activations, gradients
  kMaster,   // fp32: weights and biases; FF and BP read a narrow copy of weights
  kLabel,    // class, or index in a window: an integer below 65536
  kLoss,     // fp32
};

// A matrix, row-major. Rows are samples and columns their values [channel][y][x], except weights
// ([out][ky][kx][c]) and biases ([1][out]).
struct TrainingTensor {
  // Unique: "fc1.W", "fc1.b", "fc1.Y", "fc1.dZ", "pool1.I", "input", "label", "loss".
  std::string name;
  TensorKind kind = TensorKind::kInput;
  FormatClass format = FormatClass::kOperand;
  int64_t rows = 0;
  int64_t cols = 0;
  Image image;               // of a sample; where rows are samples
  std::vector<float> start;  // starting weights from the file, in this layout, or empty

  int64_t elements() const { return rows * cols; }
  bool is_parameter() const { return format == FormatClass::kMaster; }
};

enum class TrainingOpKind {
  kLinearForward,
  kPoolForward,
  kSoftmaxCrossEntropy,
  kLinearBackward,
  kPoolBackward,
  kLinearUpdate
};

// What an operation does with a tensor. Reads: kX, kW and kB (UP also writes these two), kDz of BP
// and UP, kIndex of BP, kLogits, kLabel. Writes: kY, kIndex of FF (of a maximum that has a BP),
// kLoss, kDz of the loss, kDx.
enum class Role { kX, kW, kB, kY, kIndex, kDz, kDx, kLogits, kLabel, kLoss };

struct Operand {
  Role role;
  int tensor;  // index into TrainingGraph::tensors
};

struct TrainingOp {
  Phase phase = Phase::kFeedForward;
  TrainingOpKind kind = TrainingOpKind::kLinearForward;
  int layer = 0;  // index into TrainingGraph::layers
  // MACs of the network itself, as utilisation counts them: products with the zeros around an
  // image are not among them.
  int64_t macs = 0;
  bool relu = false;  // FF: max(., 0) on the way out
  bool mask = false;  // BP: zero where kX <= 0
  std::vector<Operand> operands;

  // The tensor in a role, or -1 (kB of a layer without bias).
  int Tensor(Role role) const;
};

enum class LayerKind { kLinear, kMaxPool, kAveragePool };

struct TrainingLayer {
  std::string name;  // the node's, made of [A-Za-z0-9_.-], unique
  LayerKind kind = LayerKind::kLinear;
  Image from, to;
  Window window;
  // Of a weight matrix: values behind an output, and outputs of a pixel; 0 of pooling.
  int64_t in = 0, out = 0;
  bool relu = false;
  bool bias = false;
  bool count_pad = false;  // a mean counts the zeros around the image

  // A matrix product of samples and weights.
  bool IsFlat() const {
    return kind == LayerKind::kLinear && window.taps() == 1 && from.pixels() == 1 &&
           to.pixels() == 1;
  }
};

struct TrainingGraph {
  std::string file;  // for messages
  int64_t batch = 0;
  int64_t features = 0;  // of a sample
  int64_t classes = 0;
  std::vector<TrainingLayer> layers;  // input first
  std::vector<TrainingTensor> tensors;
  std::vector<TrainingOp> ops;  // an order in which every tensor is made before its use
  int input = -1, label = -1, logits = -1, loss = -1;  // tensors

  int64_t MacsNeeded() const;
  // Elements of all weights and biases.
  int64_t Parameters() const;
};

// Throws Error(kUnusableInput) that names the node which cannot be trained yet.
TrainingGraph Differentiate(const Graph& graph, int64_t batch);

// Starting weights, one vector per tensor (empty for those that are no parameters): the file's
// where it has them, else He-normal weights (random.h, one stream per layer) and zero biases.
std::vector<std::vector<float>> StartingParameters(const TrainingGraph& graph,
                                                   const Recipe& recipe);

}  // namespace vaultrain

#endif  // VAULTRAIN_TRAINING_GRAPH_H_
