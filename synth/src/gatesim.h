// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Two-valued simulation of one netlist, which counts every toggle. What memories and boxes in it
// answer is driven from outside.
//
// A cycle is: inputs and what the last edge changed, Settle, outputs, Edge. Settle takes the gates
// level by level, each at most once (zero delay), or with a delay of one unit a gate, so that paths
// of different length glitch. Both end in the same values.

#ifndef VAULTRAIN_SRC_GATESIM_H_
#define VAULTRAIN_SRC_GATESIM_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "liberty.h"
#include "netlist.h"
#include "rtlil.h"

namespace vaultrain {

// Counts of one cell since they were last taken. What only a part of the cycles shows, glitches
// those with unit delay and silent toggles those without, is scaled to all.
struct CellToggles {
  std::vector<double> outputs;   // of each connected output, from settled value to settled value
  std::vector<double> glitches;  // beyond those
  // Of inputs that left the outputs as they were; of a flip-flop, all of its data inputs.
  double silent = 0;
  double silent_glitches = 0;
  double clocks = 0;  // edges that reached a flip-flop or a clock gate
  double passed = 0;  // edges that left a clock gate
  CellToggles& operator+=(const CellToggles& other);
};

struct MemoryAccesses {
  uint64_t reads = 0;
  double writes = 0;  // of whole words
};

class GateSim {
 public:
  // A port of the netlist, or of a box or memory in it, seen from inside.
  struct Port {
    std::string box;  // instance; empty: of the netlist
    std::string name;
    std::vector<uint32_t> nets;  // least significant first
  };

  // `memories` by module name; `boxes`: the output ports of the other black boxes. Everything
  // starts at 0 and nothing counts until Count(true). Throws Error(kInternal) where the netlist
  // cannot be simulated, naming the cell.
  GateSim(const Netlist& netlist, const Liberty& library,
          const std::map<std::string, SramShape>& memories,
          const std::map<std::string, std::set<std::string>>& boxes);

  // Driven from outside, the clock excluded: ports of the netlist, outputs of boxes and memories.
  const std::vector<Port>& inputs() const { return inputs_; }
  // What it drives: ports of the netlist, inputs of boxes and memories.
  const std::vector<Port>& outputs() const { return outputs_; }

  // Names of the flip-flops' cells.
  const std::vector<std::string>& registers() const { return registers_; }
  // The state of a register, which it shows with the next Settle. All are to be set.
  void Restore(size_t index, bool value);
  // Whether what follows counts.
  void Count(bool on) { counting_ = on ? 1 : 0; }

  // Bits least significant first, in bytes. Takes effect with Settle.
  void Drive(const Port& input, const uint8_t* bits);
  // Returns the glitches' toggles, 0 without unit delay.
  uint64_t Settle(bool unit_delay);
  // Whether a port shows these bits.
  bool Shows(const Port& output, const uint8_t* bits) const;
  // The rising edge of the clock. Its changes go on with the next Settle.
  void Edge();

  // Counts by cell of the netlist (boxes and memories stay 0), and by memory; they start again.
  std::vector<CellToggles> TakeToggles();
  std::vector<std::pair<SramShape, MemoryAccesses>> TakeAccesses();

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Node {  // one output pin
    uint64_t table = 0;
    uint32_t net = kNone;
    uint32_t level = 0;
    uint32_t gate = kNone;  // of a flip-flop: its clock gate
    uint8_t state = 0;      // pattern of the inputs
    uint8_t seen = 0;       // the one that it was settled with
    bool queued = false;
    bool inverted = false;  // of a flip-flop: shows the complement of its state
    CellModel::Kind kind = CellModel::Kind::kGate;
  };
  struct Load {
    uint32_t node;
    uint8_t mask;
  };
  struct Memory {
    SramShape shape;
    std::vector<uint32_t> wen;
    uint32_t ren = kNone;
    MemoryAccesses accesses;
  };
  struct Cell {
    std::vector<uint32_t> inputs, outputs;  // nets
    std::vector<uint32_t> nodes;
    uint32_t clock = kNone;  // net at the clock pin
  };

  uint32_t Net(const std::string& name);
  std::vector<uint32_t> Nets(const std::vector<std::string>& bits);
  void AddCell(const NetlistCell& cell, const CellModel& model);
  void AddBox(const NetlistCell& cell, const std::set<std::string>& driving);
  void AddMemory(const NetlistCell& cell, const SramShape& shape);
  void FindClocks(const Netlist& netlist);
  void FindLevels(const Netlist& netlist);
  void Queue(uint32_t node);
  void Toggle(uint32_t net);
  void Change(uint32_t net, bool value);

  std::vector<Node> nodes_;
  std::vector<Cell> cells_;
  std::vector<Memory> memories_;
  std::vector<Port> inputs_, outputs_;
  std::unordered_map<std::string, std::string> alias_;  // net to the net that drives it
  std::unordered_map<std::string, uint32_t> net_of_;
  std::vector<uint32_t> gates_;  // clock gates, those nearer to the clock first
  std::vector<uint8_t> passes_;  // by node, at this edge
  std::vector<uint8_t> value_;   // by net
  std::vector<uint32_t> load_begin_;
  std::vector<Load> loads_;
  std::vector<uint32_t> toggles_, glitches_, now_;  // by net; now_: of this Settle
  std::vector<uint32_t> touched_;
  std::vector<std::vector<uint32_t>> levels_;  // queued gates
  std::vector<uint32_t> flops_;                // queued flip-flops and clock gates
  std::vector<uint32_t> pending_;              // nets that toggle at the start of the next Settle
  std::vector<uint8_t> is_pending_;
  std::vector<uint64_t> clocks_, silent_, silent_unit_;  // by node
  std::vector<std::string> registers_;
  std::vector<uint32_t> register_nodes_;
  bool unit_delay_ = false;
  uint32_t counting_ = 0;
  uint64_t edges_ = 0;
  double settles_[2] = {};  // with zero delay, with unit delay
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_GATESIM_H_
