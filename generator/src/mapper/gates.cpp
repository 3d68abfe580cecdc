// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Recurrent layers whose hidden values are no whole words: each gate gets rows up to a whole word.
//
// Their weights are zero and stay so. Sums of zero make g, n and an RNN's state zero, so that of an
// added value h and c are zero; no layer behind has a weight for it, so that what comes back is
// zero, too, and with it every gradient. The tensors of the user have no such rows (Expand).

#include "mapper/mapping.h"

namespace vaultrain {

// Whole words and columns of the array.
int64_t GateWidth(const Variant& variant, const TrainingLayer& cell) {
  int64_t multiple = std::max<int64_t>(variant.WordElements(), variant.array.cols);
  // n of a GRU begins an access of memory.
  if (cell.cell == Cell::kGru) {
    multiple = std::max<int64_t>(multiple, kAccess / (variant.OperandBits() / 8) / 2);
  }
  return RoundUp(cell.in, multiple);
}

WholeGates WithWholeGates(const TrainingGraph& graph, const Variant& variant) {
  WholeGates whole{graph, {}};
  for (const TrainingOp& op : graph.ops) {
    const bool forward = op.kind == TrainingOpKind::kRecurrentForward;
    if (!forward && op.kind != TrainingOpKind::kRecurrentBackward) continue;
    const TrainingLayer& cell = graph.layers[op.layer];
    const int64_t width = GateWidth(variant, cell);
    if (width == cell.in) continue;
    auto widened = [&](int64_t values) { return values / cell.in * width; };
    if (!forward) {
      for (const int gradient : op.Tensors(Role::kDx)) {
        TrainingTensor& t = whole.graph.tensors[gradient];
        t.cols = widened(t.cols);
        t.image.channels = widened(t.image.channels);
        whole.gates[gradient] = {cell.in, width};
      }
      continue;
    }
    for (const Role role : {Role::kW, Role::kU, Role::kV, Role::kB, Role::kD}) {
      const int parameter = op.Tensor(role);
      if (parameter < 0) continue;
      TrainingTensor& t = whole.graph.tensors[parameter];
      int64_t& values = t.kind == TensorKind::kBias ? t.cols : t.rows;
      values = widened(values);
      whole.gates[parameter] = {cell.in, width};
    }
    // The cell itself, W x + b, and of a GRU that resets its state V (r h').
    for (int back = 0; back <= (cell.cell == Cell::kResetGru ? 2 : 1); ++back) {
      TrainingLayer& layer = whole.graph.layers[op.layer - back];
      layer.out = widened(layer.out);
      layer.to.channels = widened(layer.to.channels);
    }
  }
  return whole;
}

}  // namespace vaultrain
