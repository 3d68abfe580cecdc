// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A network with its derivatives: the operations of one training step, for the mapper.
//
// A step works on a batch of samples and runs three phases: feed-forward (FF), back-propagation
// (BP), weight update (UP). Differentiate makes, for a graph of layers,
//
//   FF  Y  = f(X), then max(Y, 0) where relu is set
//       loss[i] = -log softmax(logits[i])[label[i]]         per sample
//       dZ = softmax(logits) - onehot(label)                per sample, not divided by the batch
//   or, for the mean square, of the n outputs and targets of a sample
//       loss[i] = sum of (Y[i] - target[i])^2 / n
//       dZ = 2 (Y - target) / n
//   BP  dX = gradient by X of sum(dZ * Y), then 0 where X <= 0 if mask is set
//   UP  gradients of the layer's parameters, and from these the parameters and their state by the
//       optimiser of recipe.h; sgd without decay is W -= step_size * dW
//
// with step_size = learning rate / batch, so that a step descends the mean loss; adam has its own
// (StepSize), as its quotient does not grow with the batch. Weight decay is of W only. X is the
// layer's input, Y its output, dZ the gradient of the loss by the layer's sum before the ReLU. An
// output that several layers take has a gradient from each, which kSumGradients adds up; the mask
// of its ReLU is applied there, or where a single layer makes the gradient. Nothing goes back to
// where no parameters lie before. A BP or UP of a layer may start once its dZ is whole; BP reads W
// as it was before UP.
//
// Layers:
//
//   kLinear     Y[o][y][x] = b[o] + sum over ky, kx, c of W[j][ky][kx][c] *
//               X[c][y * stride + ky * dilation - pad][x * ..], X being zero outside. Channels and
//               outputs come in as many groups; c are those of the group of o, which is its j-th
//               output. A fully connected layer is one of images of 1 x 1 or, behind an image, one
//               whose kernel is the image; one of each step of a sequence is one of pixels. Padding
//               may be negative: pixels that no window sees.
//   kMaxPool,   the maximum or the mean of each window of each channel. BP gives dZ to where the
//   kAveragePool maximum was (the first in the order ky, kx) or to the whole window in equal parts;
//               where windows overlap, the parts add up. Taps outside the image take no part,
//               except that with count_pad a mean divides by all taps. The maximum of a window that
//               holds a NaN is NaN, its index that of the largest value before the first NaN, or of
//               the first tap. Every window sees at least one pixel of the image.
//   kAdd, kSubtract, kMultiply, kDivide   of two images, value by value.
//   kActivation  `function` of each value; leaky ReLU and its derivative take X > 0.
//   kSoftmax    exp(X - m) / sum of exp(X - m) over the channels of each pixel, m their maximum.
//   kProduct    of each sample and row of pixels the product of two matrices: in the file's terms
//               of [N,..,T,K] by [N,..,K,M], pixels of a row being rows of a matrix and channels
//               its columns, or the other way round where the operand is turned.
//   kDropout    X / (1 - ratio), or 0 where the mask of the step says so: each value with a chance
//               of `ratio`, and the same ones in BP. Without training it does nothing.
//   kNormalise  (X - mean) / sqrt(variance + epsilon) * scale[c] + b[c], by Norm of each sample
//               over all pixels of a group of neighbouring channels (group normalisation; one
//               group: layer normalisation of a vector; a channel a group: instance normalisation),
//               over the channels of each pixel (layer normalisation of steps), or each channel
//               over all pixels of all samples (batch normalisation). The last keeps a running mean
//               and variance: a step makes of each running * momentum + new * (1 - momentum), the
//               variance being that of the batch itself; when a network is not trained they stand
//               for those of the batch. With `fixed` they always do, and stay as they are.
//   kConcat     channels of several images, one after the other.
//   kSlice      channels of an image that follow each other.
//   kArrange    each value is one of the values of one or several images, whose places it tells; a
//               value that is taken several times gets the sum of its gradients.
//   kRecurrent  a cell that goes along the pixels of a row (steps of a sequence), from zeros:
//               LSTM  i, o, f, g = W x + b + U h', sigmoid of the first three and tanh of g,
//                     c = f c' + i g, h = o tanh c; rows of W, U, b in this order (ONNX's iofc)
//               GRU   z, r = sigmoid(W x + b + U h' + d), n = tanh(W x + b + r (U h' + d)),
//                     h = (1 - z) n + z h'; rows of W, U, b, d in the order z, r, n (ONNX's zrh,
//                     with linear_before_reset = 1)
//               reset GRU   the same with n = tanh(W x + b + V (r h')) and no d: ONNX's with
//                     linear_before_reset = 0, where the rows of U for n are V
//               RNN   h = tanh(W x + b + U h')
//               W and b belong to a kLinear layer before it, whose sums stay on chip: that layer
//               has UP and BP but no FF of its own. U (and d, of GRU alone) are updated like a
//               kLinear whose window sees the step before; there they have the roles kW and kB. So
//               is V, by a layer of its own before these two: r h' lies where h' does.

#ifndef VAULTRAIN_TRAINING_GRAPH_H_
#define VAULTRAIN_TRAINING_GRAPH_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/graph.h"

namespace vaultrain {

struct Recipe;

enum class Loss { kSoftmaxCrossEntropy, kMeanSquare };

// That of the recipe.
Loss LossOf(const Recipe& recipe);

enum class Phase { kFeedForward, kBackPropagation, kWeightUpdate };

// "FF", "BP", "UP".
std::string_view PhaseName(Phase phase);

enum class TensorKind {
  kInput,
  kActivation,
  kIndex,  // of the maximum in its window: ky * kernel_w + kx
  kGradient,
  kWeight,
  kBias,      // also of a normalisation
  kScale,     // of a normalisation; starts at 1
  kMean,      // running, of a batch normalisation; starts at 0
  kVariance,  // running; starts at 1
  kLabel,     // or targets
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
  kLoss,     // fp32; targets, too
};

// A matrix, row-major. Rows are samples and columns their values [channel][y][x], except weights
// ([j][ky][kx][c], j of the outputs of c's group) and biases ([1][out]).
struct TrainingTensor {
  // Unique: "fc1.W", "fc1.b", "fc1.Y", "fc1.dZ", "pool1.I", "input", "label", "loss".
  std::string name;
  TensorKind kind = TensorKind::kInput;
  FormatClass format = FormatClass::kOperand;
  int64_t rows = 0;
  int64_t cols = 0;
  Image image;               // of a sample; where rows are samples
  std::vector<float> start;  // starting weights from the file, in this layout, or empty
  int64_t fan_in = 0;        // of a weight: values that an output sees

  int64_t elements() const { return rows * cols; }
  // What the network keeps from a step to the next; all but running statistics have gradients.
  bool is_parameter() const { return format == FormatClass::kMaster; }
  bool is_trained() const {
    return is_parameter() && kind != TensorKind::kMean && kind != TensorKind::kVariance;
  }
};

enum class TrainingOpKind {
  kLinearForward,
  kPoolForward,
  kElementForward,  // kAdd, kSubtract, kMultiply, kDivide, kActivation, kDropout
  kSoftmaxForward,
  kProduct,  // kX by kX2, of which one is a gradient in BP
  kNormaliseForward,
  kRecurrentForward,
  // FF: X becomes part of Y; BP: a part of dZ becomes dX. Of kSlice the other way round; what no
  // part of dX comes from is 0.
  kCopy,
  kArrange,  // FF: values of all X become Y; BP: dX of one of them
  kSoftmaxCrossEntropy,
  kMeanSquare,
  kLinearBackward,
  kPoolBackward,
  kElementBackward,
  kSoftmaxBackward,
  kNormaliseBackward,  // with the update of scale and bias
  // dX is the gradient by W x + b; of GRU there is a second by U h' + d, of reset GRU one by U h'
  // and one by V (r h').
  kRecurrentBackward,
  kSumGradients,
  kLinearUpdate
};

// What an operation does with a tensor. Reads: kX, kX2 (second input of two; the other one in BP,
// of a kMultiply or kDivide), kW and kB (UP also writes these two), kU, kV and kD of kRecurrent,
// kDz of BP and UP, kY of BP where a derivative is a function of it, kIndex of BP, kPart (gradients
// that are summed), kLogits, kLabel. kMean and kVariance: read and written by FF. Writes: kY,
// kIndex of FF (of a maximum that has a BP), kReset of FF (r h' of reset GRU), kLoss, kDz of the
// loss, kDx.
enum class Role {
  kX,
  kX2,
  kW,
  kB,
  kMean,
  kVariance,
  kU,
  kV,
  kD,
  kY,
  kReset,
  kIndex,
  kDz,
  kDx,
  kPart,
  kLogits,
  kLabel,
  kLoss
};

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
  bool relu = false;                // FF: max(., 0) on the way out
  bool mask = false;                // BP: zero where kX <= 0
  int64_t channel = 0;              // of kCopy: where the part begins in the longer of the two
  std::array<bool, 2> turned = {};  // of kProduct: pixels are columns of the matrix, not rows
  int64_t first_place = 0;          // of kArrange in BP: values of the images before this one
  std::vector<Operand> operands;

  // The first tensor in a role, or -1 (kB of a layer without bias).
  int Tensor(Role role) const;
  std::vector<int> Tensors(Role role) const;
  bool IsLoss() const {
    return kind == TrainingOpKind::kSoftmaxCrossEntropy || kind == TrainingOpKind::kMeanSquare;
  }
};

enum class LayerKind {
  kLinear,
  kMaxPool,
  kAveragePool,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kActivation,
  kSoftmax,
  kProduct,
  kDropout,
  kNormalise,
  kConcat,
  kSlice,
  kArrange,
  kRecurrent
};
enum class Norm { kGroups, kSteps, kBatch };
enum class Function { kRelu, kLeakyRelu, kSigmoid, kTanh, kAffine };
enum class Cell { kLstm, kGru, kResetGru, kRnn };

// Rows of W for each value of h, as many as of U and V together.
inline int64_t GatesOf(Cell cell) { return cell == Cell::kLstm ? 4 : cell == Cell::kRnn ? 1 : 3; }

struct TrainingLayer {
  std::string name;  // the node's, made of [A-Za-z0-9_.-], unique
  LayerKind kind = LayerKind::kLinear;
  Image from, to;  // of kConcat, kArrange: `to` alone; of kRecurrent: h, and its sums
  Window window;
  // Columns and rows of a weight matrix: values of a window, and outputs of a pixel and group;
  // else 0.
  int64_t in = 0, out = 0;
  bool relu = false;
  bool bias = false;
  bool count_pad = false;  // a mean counts the zeros around the image
  Function function = Function::kRelu;
  float slope = 0;  // of a leaky ReLU; kAffine is slope * X + shift
  float shift = 0;
  float ratio = 0;  // of kDropout: what is left out
  Norm norm = Norm::kGroups;
  int64_t groups = 1;
  float epsilon = 0;
  float momentum = 0;  // of a running mean and variance
  bool fixed = false;  // of a batch normalisation: these stand for those of the batch
  Cell cell = Cell::kLstm;
  // Of kArrange: where each value of `to` lies in the images that it takes, one behind the other,
  // all in the order [channel][y][x].
  std::vector<int32_t> places;

  // A matrix product of samples and weights.
  bool IsFlat() const {
    return kind == LayerKind::kLinear && groups == 1 && window.taps() == 1 && from.pixels() == 1 &&
           to.pixels() == 1;
  }
};

struct TrainingGraph {
  std::string file;  // for messages
  int64_t batch = 0;
  int64_t features = 0;  // of a sample
  int64_t classes = 0;   // or outputs
  Loss loss_kind = Loss::kSoftmaxCrossEntropy;
  std::vector<TrainingLayer> layers;  // input first
  std::vector<TrainingTensor> tensors;
  std::vector<TrainingOp> ops;  // an order in which every tensor is made before its use
  bool sequence = false;        // the file has a sample's values as [pixel][channel]
  // The file has a sample as classes of steps, of which the host makes one-hot values; the first
  // layer looks rows of its weights up. That is no product of the network: its MACs are 0.
  bool one_hot = false;
  int input = -1, label = -1, logits = -1, loss = -1;  // tensors

  int64_t MacsNeeded() const;
  // Elements of all weights and biases, not of running statistics.
  int64_t Parameters() const;
  // Of the input, if it is a sequence; else 1.
  int InputSteps() const;
  // Where a value of `input` stands in a sample as the file has it.
  int64_t InputPlace(int64_t value) const;
};

// Throws Error(kUnusableInput) that names the node which cannot be trained yet.
TrainingGraph Differentiate(const Graph& graph, int64_t batch,
                            Loss loss = Loss::kSoftmaxCrossEntropy);

// Starting weights, one vector per tensor (empty for those that are no parameters): the file's
// where it has them, else He-normal weights (random.h, one stream per layer) and zero biases.
std::vector<std::vector<float>> StartingParameters(const TrainingGraph& graph,
                                                   const Recipe& recipe);

}  // namespace vaultrain

#endif  // VAULTRAIN_TRAINING_GRAPH_H_
