// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Shape rule of RNN, LSTM and GRU.

#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "network/shape_rules.h"
#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

int64_t Gates(OperatorKind kind) {
  switch (kind) {
    case OperatorKind::kLstm:
      return 4;
    case OperatorKind::kGru:
      return 3;
    default:
      return 1;
  }
}

std::vector<std::string> Activations(OperatorKind kind) {
  switch (kind) {
    case OperatorKind::kLstm:
      return {"Sigmoid", "Tanh", "Tanh"};
    case OperatorKind::kGru:
      return {"Sigmoid", "Tanh"};
    default:
      return {"Tanh"};
  }
}

// Inputs 4 and up: they may say what holds anyway, and go.
void DropLengths(const Graph& graph, Node& node, int64_t time) {
  if (!HasInput(node, 4)) return;
  const Tensor& lengths = Input(graph, node, 4);
  if (lengths.ints.empty() || std::any_of(lengths.ints.begin(), lengths.ints.end(),
                                          [&](int64_t length) { return length != time; })) {
    RefuseNode(graph, node,
               "sequence lengths {}; accepted: none, or a constant of {} for each sample",
               Quote(lengths.name), time);
  }
  node.inputs[4] = -1;
}

void DropState(const Graph& graph, Node& node, size_t position, int64_t hidden) {
  if (!HasInput(node, position)) return;
  const Tensor& state = Input(graph, node, position);
  if (!state.is_parameter || state.values.empty() ||
      std::any_of(state.values.begin(), state.values.end(), [](float v) { return v != 0; })) {
    RefuseNode(graph, node, "initial state {}; accepted: none, or a constant of zeros",
               Quote(state.name));
  }
  if (state.shape.size() != 3 || state.shape[2] != hidden ||
      (state.shape[0] != 1 && state.shape[1] != 1)) {
    RefuseNode(graph, node,
               "shape mismatch: initial state {} is {}; accepted: [1,batch,{}], with layout 1 "
               "[batch,1,{}]",
               Quote(state.name), ShapeText(state.shape), hidden, hidden);
  }
  node.inputs[position] = -1;
}

}  // namespace

void InferRecurrent(Graph& graph, Node& node) {
  const int64_t layout = node.Int("layout");
  const Tensor& x = FloatData(graph, node, 0);
  const Tensor& r = ParameterInput(graph, node, 2);
  if (x.shape.size() != 3) {
    RefuseNode(graph, node, "{} is {}; accepted: batch x time x features", Quote(x.name),
               ShapeText(x.shape));
  }
  if (x.batch_axis != 1 - layout) {
    RefuseNode(graph, node,
               "layout {} takes {}, but the batch is dimension {} of {}; accepted: a Transpose "
               "before it, or the other layout",
               layout, layout == 0 ? "time x batch x features" : "batch x time x features",
               x.batch_axis, Quote(x.name));
  }
  const int64_t time = x.shape[1];
  const int64_t features = x.shape[2];
  const int64_t gates = Gates(node.kind);
  int64_t hidden = node.Int("hidden_size");
  if (hidden == 0 && r.shape.size() == 3) hidden = r.shape[2];
  if (hidden == 0) hidden = 1;
  ParameterOfShape(graph, node, 1, "W", {1, gates * hidden, features});
  ParameterOfShape(graph, node, 2, "R", {1, gates * hidden, hidden});
  if (HasInput(node, 3)) ParameterOfShape(graph, node, 3, "B", {1, 2 * gates * hidden});
  DropLengths(graph, node, time);
  DropState(graph, node, 5, hidden);
  DropState(graph, node, 6, hidden);
  if (HasInput(node, 7)) {
    RefuseNode(graph, node, "peepholes {} are not supported; accepted: none",
               Quote(Input(graph, node, 7).name));
  }
  while (node.inputs.back() < 0) node.inputs.pop_back();
  const std::vector<std::string> activations = Activations(node.kind);
  auto& named = std::get<std::vector<std::string>>(node.attributes.at("activations"));
  if (!named.empty() && named != activations) {
    RefuseNode(graph, node, "activations [{}] are not supported; accepted: [{}]",
               fmt::join(named, ","), fmt::join(activations, ","));
  }
  named = activations;
  node.attributes["hidden_size"] = hidden;
  node.attributes["layout"] = int64_t{1};
  SetShapeOf(graph, node, 0, {kBatchDim, time, 1, hidden}, layout == 0 ? 2 : 0);
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    SetShapeOf(graph, node, i, {kBatchDim, 1, hidden}, layout == 0 ? 1 : 0);
  }
}

}  // namespace vaultrain
