// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "gatesim.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

constexpr const char* kClockPort = "clk_i";

[[noreturn]] void Refuse(const NetlistCell& cell, std::string_view why) {
  throw Error(ExitStatus::kInternal,
              fmt::format("cell {} of type {} {}", cell.name, cell.type, why));
}

const NetlistPort* PinOf(const NetlistCell& cell, std::string_view name) {
  for (const NetlistPort& pin : cell.pins) {
    if (pin.name == name) return &pin;
  }
  return nullptr;
}

}  // namespace

CellToggles& CellToggles::operator+=(const CellToggles& other) {
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] += other.outputs[i];
  for (size_t i = 0; i < glitches.size(); ++i) glitches[i] += other.glitches[i];
  silent += other.silent;
  silent_glitches += other.silent_glitches;
  clocks += other.clocks;
  passed += other.passed;
  return *this;
}

GateSim::GateSim(const Netlist& netlist, const Liberty& library,
                 const std::map<std::string, SramShape>& memories,
                 const std::map<std::string, std::set<std::string>>& boxes) {
  for (const auto& [left, right] : netlist.assigns) alias_[left] = right;
  for (const NetlistCell& cell : netlist.cells) {
    cells_.emplace_back();
    if (auto memory = memories.find(cell.type); memory != memories.end()) {
      AddMemory(cell, memory->second);
    } else if (auto box = boxes.find(cell.type); box != boxes.end()) {
      AddBox(cell, box->second);
    } else {
      auto model = library.Model(cell.type);
      if (!model) Refuse(cell, "is no gate, flip-flop or clock gate");
      AddCell(cell, *model);
    }
  }
  for (const NetlistPort& port : netlist.ports) {
    if (port.name == kClockPort) continue;
    (port.input ? inputs_ : outputs_).push_back({"", port.name, Nets(port.bits)});
  }
  value_.assign(net_of_.size(), 0);
  for (const auto& [name, net] : net_of_) value_[net] = name == "1'b1";
  toggles_.assign(value_.size(), 0);
  glitches_ = now_ = toggles_;
  is_pending_.assign(value_.size(), 0);
  clocks_.assign(nodes_.size(), 0);
  silent_ = silent_unit_ = clocks_;
  passes_.assign(nodes_.size(), 0);
  FindClocks(netlist);
  FindLevels(netlist);
  for (uint32_t node = 0; node < nodes_.size(); ++node) Queue(node);
  Settle(false);
}

uint32_t GateSim::Net(const std::string& name) {
  const std::string* root = &name;
  for (auto found = alias_.find(*root); found != alias_.end(); found = alias_.find(*root)) {
    root = &found->second;
  }
  return net_of_.emplace(*root, static_cast<uint32_t>(net_of_.size())).first->second;
}

std::vector<uint32_t> GateSim::Nets(const std::vector<std::string>& bits) {
  std::vector<uint32_t> nets;
  nets.reserve(bits.size());
  for (const std::string& bit : bits) nets.push_back(Net(bit));
  return nets;
}

void GateSim::AddCell(const NetlistCell& cell, const CellModel& model) {
  auto net_at = [&](const std::string& pin_name) {
    const NetlistPort* pin = PinOf(cell, pin_name);
    return pin != nullptr && pin->bits.size() == 1 ? Net(pin->bits[0]) : kNone;
  };
  Cell& own = cells_.back();
  for (const std::string& pin : model.inputs) {
    own.inputs.push_back(net_at(pin));
    if (own.inputs.back() == kNone) Refuse(cell, "has an open input");
  }
  if (!model.clock.empty()) own.clock = net_at(model.clock);
  for (const auto& [pin, table] : model.outputs) {
    const uint32_t net = net_at(pin);
    if (net == kNone) continue;
    Node node;
    node.table = table;
    node.net = net;
    node.kind = model.kind;
    node.inverted = model.inverted;
    if (node.kind == CellModel::Kind::kFlop) {
      registers_.push_back(cell.name);
      register_nodes_.push_back(static_cast<uint32_t>(nodes_.size()));
    }
    own.outputs.push_back(net);
    own.nodes.push_back(static_cast<uint32_t>(nodes_.size()));
    nodes_.push_back(node);
  }
}

void GateSim::AddBox(const NetlistCell& cell, const std::set<std::string>& driving) {
  for (const NetlistPort& pin : cell.pins) {
    if (pin.name == kClockPort) continue;
    (driving.count(pin.name) > 0 ? inputs_ : outputs_)
        .push_back({cell.name, pin.name, Nets(pin.bits)});
  }
}

void GateSim::AddMemory(const NetlistCell& cell, const SramShape& shape) {
  AddBox(cell, {"rdata_o"});
  Memory memory;
  memory.shape = shape;
  const NetlistPort *ren = PinOf(cell, "ren_i"), *wen = PinOf(cell, "wen_i");
  if (ren == nullptr || wen == nullptr) Refuse(cell, "lacks a pin of a memory");
  memory.ren = Nets(ren->bits).at(0);
  memory.wen = Nets(wen->bits);
  memories_.push_back(std::move(memory));
}

// The clock gate of each flip-flop, and an order of the gates.
void GateSim::FindClocks(const Netlist& netlist) {
  auto port = net_of_.find(kClockPort);
  const uint32_t root = port == net_of_.end() ? kNone : port->second;
  std::unordered_map<uint32_t, uint32_t> gate_of;  // by net
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    if (nodes_[node].kind == CellModel::Kind::kClockGate) gate_of[nodes_[node].net] = node;
  }
  for (size_t i = 0; i < cells_.size(); ++i) {
    for (const uint32_t node : cells_[i].nodes) {
      if (nodes_[node].kind == CellModel::Kind::kGate || cells_[i].clock == root) continue;
      auto gate = gate_of.find(cells_[i].clock);
      if (gate == gate_of.end()) Refuse(netlist.cells[i], "has a clock that is no clock");
      nodes_[node].gate = gate->second;
    }
  }
  auto depth = [&](uint32_t gate) {
    int steps = 0;
    for (; nodes_[gate].gate != kNone; gate = nodes_[gate].gate) ++steps;
    return steps;
  };
  for (const auto& [net, node] : gate_of) gates_.push_back(node);
  std::sort(gates_.begin(), gates_.end(), [&](uint32_t a, uint32_t b) {
    const int depth_a = depth(a), depth_b = depth(b);
    return depth_a != depth_b ? depth_a < depth_b : a < b;
  });
}

void GateSim::FindLevels(const Netlist& netlist) {
  // Loads by net, as one table.
  std::vector<uint32_t> counts(value_.size() + 1, 0);
  for (const Cell& cell : cells_) {
    for (const uint32_t net : cell.inputs) counts[net + 1] += cell.nodes.size();
  }
  for (size_t i = 1; i < counts.size(); ++i) counts[i] += counts[i - 1];
  load_begin_ = counts;
  loads_.resize(counts.back());
  for (const Cell& cell : cells_) {
    for (size_t pin = 0; pin < cell.inputs.size(); ++pin) {
      for (const uint32_t node : cell.nodes) {
        const auto mask = static_cast<uint8_t>(1u << pin);
        loads_[counts[cell.inputs[pin]]++] = {node, mask};
        if (value_[cell.inputs[pin]]) nodes_[node].state |= mask;
      }
    }
  }
  std::vector<uint32_t> driver(value_.size(), kNone);
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    if (nodes_[node].kind == CellModel::Kind::kGate) driver[nodes_[node].net] = node;
  }
  std::vector<uint32_t> waits(nodes_.size(), 0), ready;
  for (const Cell& cell : cells_) {
    for (const uint32_t node : cell.nodes) {
      if (nodes_[node].kind != CellModel::Kind::kGate) continue;
      for (const uint32_t net : cell.inputs) waits[node] += driver[net] != kNone;
      if (waits[node] == 0) ready.push_back(node);
    }
  }
  uint32_t last = 0;
  for (size_t i = 0; i < ready.size(); ++i) {
    const Node& node = nodes_[ready[i]];
    last = std::max(last, node.level);
    for (uint32_t at = load_begin_[node.net]; at < load_begin_[node.net + 1]; ++at) {
      Node& load = nodes_[loads_[at].node];
      if (load.kind != CellModel::Kind::kGate) continue;
      load.level = std::max(load.level, node.level + 1);
      if (--waits[loads_[at].node] == 0) ready.push_back(loads_[at].node);
    }
  }
  for (size_t i = 0; i < cells_.size(); ++i) {
    for (const uint32_t node : cells_[i].nodes) {
      if (waits[node] > 0) Refuse(netlist.cells[i], "lies in a loop without a register");
    }
  }
  levels_.resize(last + 2);
}

void GateSim::Queue(uint32_t index) {
  Node& node = nodes_[index];
  if (node.queued || node.kind == CellModel::Kind::kClockGate) return;
  node.queued = true;
  if (node.kind == CellModel::Kind::kFlop) {
    flops_.push_back(index);
  } else {
    levels_[unit_delay_ ? 0 : node.level].push_back(index);
  }
}

void GateSim::Toggle(uint32_t net) {
  value_[net] ^= 1;
  if (!unit_delay_) {
    toggles_[net] += counting_;
  } else if (now_[net]++ == 0) {
    touched_.push_back(net);
  }
  for (uint32_t at = load_begin_[net]; at < load_begin_[net + 1]; ++at) {
    nodes_[loads_[at].node].state ^= loads_[at].mask;
    Queue(loads_[at].node);
  }
}

// At the start of the next Settle.
void GateSim::Change(uint32_t net, bool value) {
  if (value == ((value_[net] ^ is_pending_[net]) != 0)) return;
  is_pending_[net] ^= 1;
  if (is_pending_[net]) pending_.push_back(net);
}

void GateSim::Drive(const Port& input, const uint8_t* bits) {
  for (size_t i = 0; i < input.nets.size(); ++i) {
    Change(input.nets[i], bits[i / 8] >> (i % 8) & 1);
  }
}

void GateSim::Restore(size_t index, bool value) {
  const uint32_t node = register_nodes_[index];
  Change(nodes_[node].net, value != nodes_[node].inverted);
  Queue(node);
}

bool GateSim::Shows(const Port& output, const uint8_t* bits) const {
  for (size_t i = 0; i < output.nets.size(); ++i) {
    if (value_[output.nets[i]] != (bits[i / 8] >> (i % 8) & 1)) return false;
  }
  return true;
}

uint64_t GateSim::Settle(bool unit_delay) {
  std::vector<uint64_t>& silent = unit_delay ? silent_unit_ : silent_;
  auto settled = [&](uint32_t index) {
    Node& node = nodes_[index];
    node.queued = false;
    const auto changed = static_cast<unsigned>(node.state ^ node.seen);
    node.seen = node.state;
    if ((node.table >> node.state & 1) != value_[node.net]) return false;
    silent[index] += counting_ * static_cast<uint64_t>(std::popcount(changed));
    return true;
  };
  unit_delay_ = unit_delay;
  settles_[unit_delay] += counting_;
  for (const uint32_t net : pending_) {
    if (!is_pending_[net]) continue;
    is_pending_[net] = 0;
    Toggle(net);
  }
  pending_.clear();
  if (!unit_delay) {
    for (auto& level : levels_) {
      for (const uint32_t node : level) {
        if (!settled(node)) Toggle(nodes_[node].net);
      }
      level.clear();
    }
    return 0;
  }
  // All gates of one moment first, then what they change.
  std::vector<uint32_t> moment, changes;
  while (!levels_[0].empty()) {
    moment.swap(levels_[0]);
    levels_[0].clear();
    changes.clear();
    for (const uint32_t node : moment) {
      if (!settled(node)) changes.push_back(nodes_[node].net);
    }
    for (const uint32_t net : changes) Toggle(net);
  }
  uint64_t glitches = 0;
  for (const uint32_t net : touched_) {
    toggles_[net] += counting_ * (now_[net] & 1);
    glitches_[net] += counting_ * (now_[net] & ~1u);
    glitches += now_[net] & ~1u;
    now_[net] = 0;
  }
  touched_.clear();
  return glitches;
}

void GateSim::Edge() {
  edges_ += counting_;
  for (const uint32_t gate : gates_) {
    const Node& node = nodes_[gate];
    passes_[gate] = (node.table >> node.state & 1) && (node.gate == kNone || passes_[node.gate]);
    clocks_[gate] += counting_ * passes_[gate];
  }
  for (Memory& memory : memories_) {
    memory.accesses.reads += counting_ * value_[memory.ren];
    for (const uint32_t enable : memory.wen) {
      memory.accesses.writes += counting_ * value_[enable] / static_cast<double>(memory.wen.size());
    }
  }
  size_t kept = 0;
  for (const uint32_t index : flops_) {
    Node& node = nodes_[index];
    if (node.gate != kNone && !passes_[node.gate]) {
      flops_[kept++] = index;
      continue;
    }
    node.queued = false;
    Change(node.net, node.table >> node.state & 1);
  }
  flops_.resize(kept);
}

std::vector<CellToggles> GateSim::TakeToggles() {
  const double all = settles_[0] + settles_[1];
  const double of_zero = settles_[0] > 0 ? all / settles_[0] : 0;
  const double of_unit = settles_[1] > 0 ? all / settles_[1] : 0;
  std::vector<CellToggles> counts(cells_.size());
  for (size_t i = 0; i < cells_.size(); ++i) {
    const Cell& cell = cells_[i];
    CellToggles& count = counts[i];
    for (const uint32_t net : cell.outputs) {
      count.outputs.push_back(toggles_[net]);
      count.glitches.push_back(glitches_[net] * of_unit);
    }
    for (const uint32_t node : cell.nodes) {
      const Node& own = nodes_[node];
      if (own.kind == CellModel::Kind::kGate) {
        // The mean of its outputs, which see the same inputs.
        const auto outputs = static_cast<double>(cell.nodes.size());
        const double silent = static_cast<double>(silent_[node]) * of_zero / outputs;
        const double unit = static_cast<double>(silent_unit_[node]) * of_unit / outputs;
        count.silent += of_zero > 0 ? silent : unit;
        if (of_zero > 0 && of_unit > 0) count.silent_glitches += unit - silent;
        continue;
      }
      for (const uint32_t net : cell.inputs) {
        count.silent += toggles_[net];
        count.silent_glitches += glitches_[net] * of_unit;
      }
      count.clocks = static_cast<double>(own.gate == kNone ? edges_ : clocks_[own.gate]);
      if (own.kind == CellModel::Kind::kClockGate) {
        count.passed = static_cast<double>(clocks_[node]);
      }
    }
  }
  std::fill(toggles_.begin(), toggles_.end(), 0);
  std::fill(glitches_.begin(), glitches_.end(), 0);
  for (auto* counts_of : {&clocks_, &silent_, &silent_unit_}) {
    std::fill(counts_of->begin(), counts_of->end(), 0);
  }
  edges_ = 0;
  settles_[0] = settles_[1] = 0;
  return counts;
}

std::vector<std::pair<SramShape, MemoryAccesses>> GateSim::TakeAccesses() {
  std::vector<std::pair<SramShape, MemoryAccesses>> counts;
  for (Memory& memory : memories_) {
    counts.emplace_back(memory.shape, memory.accesses);
    memory.accesses = {};
  }
  return counts;
}

}  // namespace vaultrain
