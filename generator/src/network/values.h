// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Where the values of every tensor of a network lie: in what layers make, or in its input. Nodes
// that only bring values to other places make no layer; where another layer takes values that do
// not lie as it needs them, one is added that brings them there (kArrange).

#ifndef VAULTRAIN_NETWORK_VALUES_H_
#define VAULTRAIN_NETWORK_VALUES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "network/layers.h"

namespace vaultrain {

// A shape as an image: [N,C,H,W], [N,C,W], or as a vector.
Image ImageOf(const std::vector<int64_t>& shape);

class Values {
 public:
  // The values of a tensor in the order of the file: where each lies in what layers make, or in the
  // input as the file has it.
  struct Origin {
    int layer = -1;
    int64_t place = 0;
  };
  using Row = std::vector<Origin>;

  // Adds layers that arrange values behind the others.
  Values(const Graph& graph, std::vector<Layer>& layers) : graph_(graph), layers_(layers) {}

  const Graph& graph() const { return graph_; }
  const std::optional<Image>& input() const { return input_; }
  bool input_has_channels_last() const { return input_has_channels_last_; }

  // Null: the network's input, perhaps under another shape.
  const Value* Find(int tensor) const {
    const auto found = values_.find(tensor);
    return found == values_.end() ? nullptr : &found->second;
  }
  void Set(int tensor, const Value& value) { values_[tensor] = value; }

  // The same numbers under another shape.
  void Forward(const Node& node);

  // The image that a node takes; of the network's input the first node that asks says what it is.
  Value Input(const Node& node, int position, const Image& image, bool channels_last);

  // A value whatever its image is; of the network's input a row of features.
  Value AnyInput(const Node& node, int position);

  // All that the layer makes: only the windows of Gemm and MatMul can leave pixels out.
  Value Whole(const Node& node, const Value& value);

  // A tensor as an image, or a part of one, if it is one.
  std::optional<Value> SeenAt(int tensor) const;

  // Whether an output is used as a whole and by one node alone, through reshapes.
  bool IsPrivate(const Value& value) const;

  // ---- values one by one

  // Refuses more values than can be brought to other places.
  void CheckCount(const Node& node, int64_t count) const;

  Row RowOf(const Node& node, int tensor) const;
  Row RowOf(const Value& value) const;  // not of the network's input without places

  // Values of one layer, for whatever takes them: all of it in one of its two orders, or places.
  void SetRow(int tensor, const Row& row);

  // The image of such values: a layer brings them to their places, unless they are there.
  Value Arranged(const Node& node, const Row& row, const Image& image, bool channels_last);

  // A layer that the node makes, for the caller to fill before the next is added.
  Layer& Add(const Node& node, LayerKind kind);
  int last_layer() const { return static_cast<int>(layers_.size()) - 1; }

 private:
  void DecideInput(const Row& row, const Image& image, bool channels_last);

  const Graph& graph_;
  std::vector<Layer>& layers_;
  std::map<int, Value> values_;  // of tensors that layers make
  std::optional<Image> input_;   // as the first node takes it
  bool input_has_channels_last_ = false;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_NETWORK_VALUES_H_
