// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Golden model of a whole module: the nodes, and what the mesh does between them.
//
// Each node runs its own program until it waits for tokens; what it sent goes to its receivers in
// one piece. A program is right only if it gives the same result in every such order, which its
// tokens must ensure; the RTL, where everything is in flight at once, then agrees.
//
// A reduction sums fp32 values in an order that follows from the geometry alone: in every row
// towards the column of the owner, ((local + from the west) + from the east); for group kAll the
// sums of the rows then go along that column, ((row + from the north) + from the south); group
// kColumn likewise with the values of its nodes.

#ifndef VAULTRAIN_GOLDEN_MODULE_H_
#define VAULTRAIN_GOLDEN_MODULE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "golden/machine.h"

namespace vaultrain::golden {

// Where a node's program lies in its vault.
struct ProgramPlace {
  uint64_t address = 0;
  uint32_t count = 0;
};

struct ModuleResult {
  RunResult result;  // of the first node that ended badly, else of node 0
  int node = 0;
  Counts counts;  // of all nodes
};

class Module {
 public:
  // Nodes of one configuration (coordinates apart) on a mesh of columns x rows.
  Module(const MachineConfig& config, int columns, int rows);

  // Node y * columns + x.
  Machine& node(int index) { return *nodes_[static_cast<size_t>(index)]; }
  int nodes() const { return static_cast<int>(nodes_.size()); }

  // One program per node, started together. Ends when all nodes ended, or none can go on.
  ModuleResult Run(std::span<const ProgramPlace> programs);

 private:
  void Deliver(int from, Message message);
  bool ReduceReady();
  std::vector<int> GroupOf(int node, isa::Group group) const;
  std::vector<uint32_t> SumOver(const std::vector<Message>& of_node, const Message& what) const;

  int columns_;
  int rows_;
  std::vector<std::unique_ptr<Machine>> nodes_;
  std::vector<std::deque<Message>> reductions_;  // per node, in its order
};

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_GOLDEN_MODULE_H_
