// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The layers of a network: nodes of an ONNX graph as what can be trained, in an order in which
// every input is made before its use.

#ifndef VAULTRAIN_NETWORK_LAYERS_H_
#define VAULTRAIN_NETWORK_LAYERS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "vaultrain/graph.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {

// What a layer takes: an output, or the rectangle of its pixels that begins at (top, left). What
// the nodes between make of it in another way has `places`, until a layer takes it.
struct Value {
  int layer = -1;  // that makes it; -1: the network's input
  Image image;
  int64_t top = 0, left = 0;
  // [N,..,C] in the file instead of [N,C,..].
  bool channels_last = false;
  // Of each value in the order of the file its place in the output, [channel][y][x]; of the
  // network's input that in the file. The members above but the layer then tell nothing.
  std::shared_ptr<const std::vector<int64_t>> places;
};

// A layer as found in the graph.
struct Layer {
  const Node* node = nullptr;
  LayerKind kind = LayerKind::kLinear;
  std::vector<Value> inputs;
  Image from, to;
  Window window;
  const Tensor* weight = nullptr;  // or the scale of a normalisation
  bool weight_is_out_in = false;
  // Its rows are [channel][tap], not [tap][channel].
  bool weight_has_channels_first = true;
  const Tensor* bias = nullptr;
  const Tensor* mean = nullptr;  // running statistics of a batch normalisation
  const Tensor* variance = nullptr;
  const Tensor* recurrent = nullptr;  // U of a cell
  bool relu = false;
  bool count_pad = false;
  Function function = Function::kRelu;
  float slope = 0;
  float shift = 0;
  Norm norm = Norm::kGroups;
  int64_t groups = 1;
  float epsilon = 0;
  float momentum = 0;
  bool fixed = false;
  Cell cell = Cell::kLstm;
  int64_t channel = 0;              // of kSlice: the first
  std::array<bool, 2> turned = {};  // inputs of kProduct whose columns are pixels
  // Of kArrange: of each value, [channel][y][x], the place in its inputs, one behind the other.
  std::vector<int32_t> places;
  float ratio = 0;      // of kDropout
  bool lookup = false;  // of kLinear: the input is one-hot

  bool HasParameters() const { return weight != nullptr; }
};

struct Layers {
  std::vector<Layer> layers;
  Image input;
  bool input_has_channels_last = false;
  const Node* softmax = nullptr;  // at the end, which the loss includes
};

// Throws Error(kUnusableInput) that names the node which cannot be trained yet.
Layers FindLayers(const Graph& graph);

}  // namespace vaultrain

#endif  // VAULTRAIN_NETWORK_LAYERS_H_
