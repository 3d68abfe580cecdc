// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "power.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <unordered_map>

namespace vaultrain {
namespace {

// Numbers between quotes, commas, blanks and line ends.
std::vector<double> Numbers(std::string_view text) {
  std::vector<double> numbers;
  const std::string copy(text);
  const char* at = copy.c_str();
  while (*at != 0) {
    char* end = nullptr;
    const double number = std::strtod(at, &end);
    if (end == at) {
      ++at;
      continue;
    }
    numbers.push_back(number);
    at = end;
  }
  return numbers;
}

std::vector<double> Complex(const LibertyGroup& group, std::string_view name) {
  for (const auto& [key, raw] : group.complex) {
    if (key == name) return Numbers(raw);
  }
  return {};
}

// Place of x between two entries of an axis, clamped: index of the lower one and share of the
// upper.
std::pair<size_t, double> Place(const std::vector<double>& axis, double x) {
  if (axis.size() < 2 || x <= axis.front()) return {0, 0};
  if (x >= axis.back()) return {axis.size() - 2, 1};
  const auto upper =
      static_cast<size_t>(std::upper_bound(axis.begin(), axis.end(), x) - axis.begin());
  return {upper - 1, (x - axis[upper - 1]) / (axis[upper] - axis[upper - 1])};
}

// A library's units and the axes of its tables.
class Tables {
 public:
  explicit Tables(const Liberty& library) : library_(library) {
    time_ = library.TimeUnit();
    farad_ = library.CapacitanceUnit();
    volt_ = library.voltage();
  }

  double farad() const { return farad_; }
  double volt() const { return volt_; }

  // Joule in a table of energy, at a slew in s and a load in F. Linear between entries, the ends
  // beyond them.
  double Energy(const LibertyGroup& group, double slew, double load) const {
    const Table& table = Find(group);
    const double unit = farad_ * volt_ * volt_;
    if (table.values.empty()) return 0;
    const size_t row = std::max<size_t>(table.axes[1].size(), 1);
    if (table.axes[0].size() * row != table.values.size()) return table.values[0] * unit;
    const double at[2] = {slew / time_, load / farad_};
    const auto [i, u] = Place(table.axes[0], at[table.load_first]);
    const auto [j, v] = Place(table.axes[1], at[!table.load_first]);
    auto value = [&, i = i, j = j](size_t down, size_t right) {
      return table.values[std::min(i + down, table.axes[0].size() - 1) * row +
                          std::min(j + right, row - 1)];
    };
    const double low = value(0, 0) * (1 - v) + value(0, 1) * v;
    const double high = value(1, 0) * (1 - v) + value(1, 1) * v;
    return (low * (1 - u) + high * u) * unit;
  }

  // Rise and fall of a group internal_power, summed.
  double BothWays(const LibertyGroup& power, double slew, double load) const {
    double sum = 0;
    for (const LibertyGroup& table : power.groups) {
      if (table.name == "power") sum += 2 * Energy(table, slew, load);
      if (table.name == "rise_power" || table.name == "fall_power") {
        sum += Energy(table, slew, load);
      }
    }
    return sum;
  }

 private:
  struct Table {
    std::vector<double> axes[2], values;
    bool load_first = false;
  };

  const Table& Find(const LibertyGroup& group) const {
    auto [place, is_new] = tables_.try_emplace(&group);
    Table& table = place->second;
    if (!is_new) return table;
    table.values = Complex(group, "values");
    table.axes[0] = Complex(group, "index_1");
    table.axes[1] = Complex(group, "index_2");
    if (const LibertyGroup* shape = library_.Template(group.args.empty() ? "" : group.args[0])) {
      table.load_first = shape->Get("variable_1").find("capacitance") != std::string_view::npos;
      if (table.axes[0].empty()) table.axes[0] = Complex(*shape, "index_1");
      if (table.axes[1].empty()) table.axes[1] = Complex(*shape, "index_2");
    }
    return table;
  }

  const Liberty& library_;
  double time_, farad_, volt_;
  mutable std::unordered_map<const LibertyGroup*, Table> tables_;  // read once
};

// What a cell type has, found once.
struct PinPower {
  std::vector<const LibertyGroup*> powers;
  double farad = 0;
};
struct TypePower {
  std::optional<CellModel> model;
  std::map<std::string, PinPower> pins;
  std::vector<std::string> names;  // of all pins, for conditions
  double leakage = 0;              // W
};

TypePower TypeOf(const Liberty& library, const std::string& type, const Tables& tables) {
  TypePower power;
  power.model = library.Model(type);
  const LibertyGroup* cell = library.Cell(type);
  if (cell == nullptr) return power;
  int conditions = 0;
  for (const LibertyGroup& group : cell->groups) {
    if (group.name == "leakage_power") {
      power.leakage += group.Number("value");
      ++conditions;
    }
    if (group.name != "pin") continue;
    for (const std::string& name : group.args) {
      PinPower& pin = power.pins[name];
      pin.farad = group.Number("capacitance") * tables.farad();
      for (const LibertyGroup& inner : group.groups) {
        if (inner.name == "internal_power") pin.powers.push_back(&inner);
      }
      power.names.push_back(name);
    }
  }
  if (conditions > 0) power.leakage /= conditions;
  if (!cell->Get("cell_leakage_power").empty()) power.leakage = cell->Number("cell_leakage_power");
  power.leakage *= library.LeakageUnit();
  return power;
}

class EnergyReader {
 public:
  EnergyReader(const Netlist& netlist, const Liberty& library, const EnergySetup& setup)
      : netlist_(netlist), library_(library), setup_(setup), tables_(library) {
    for (const auto& [left, right] : netlist.assigns) alias_[left] = right;
    for (const NetlistPort& port : netlist.ports) {
      for (const std::string& bit : port.bits) {
        if (!port.input) load_[Root(bit)] += setup.output_load_pf * 1e-12;
      }
    }
    for (const NetlistCell& cell : netlist.cells) {
      const TypePower& type = Type(cell.type);
      for (const NetlistPort& pin : cell.pins) {
        auto known = type.pins.find(pin.name);
        const double farad = type.pins.empty()
                                 ? setup.output_load_pf * 1e-12
                                 : (known == type.pins.end() ? 0 : known->second.farad);
        for (const std::string& bit : pin.bits) load_[Root(bit)] += farad;
      }
    }
  }

  CellEnergy Read(const NetlistCell& cell) {
    CellEnergy energy;
    const TypePower& type = Type(cell.type);
    if (!type.model) return energy;
    energy.leakage = type.leakage;
    std::map<std::string, bool> tied;
    std::map<std::string, std::string> nets;
    for (const NetlistPort& pin : cell.pins) {
      if (pin.bits.size() != 1) continue;
      const std::string& net = Root(pin.bits[0]);
      nets[pin.name] = net;
      if (net.starts_with("1'b")) tied[pin.name] = net == "1'b1";
    }
    const double half_v2 = tables_.volt() * tables_.volt() / 2;
    auto slew = [&](const std::string& pin) {
      if (pin == type.model->clock) return setup_.clock_slew_ns * 1e-9;
      return setup_.slew_ns(cell.name + "/" + pin) * 1e-9;
    };
    // Mean over the conditions that can hold of rise plus fall.
    auto mean = [&](const std::string& pin, double load) {
      double sum = 0, weight = 0;
      auto known = type.pins.find(pin);
      if (known == type.pins.end()) return 0.0;
      for (const LibertyGroup* power : known->second.powers) {
        const std::string related(power->Get("related_pin"));
        if (tied.count(related) > 0) continue;
        const double share = library_.ShareOf(power->Get("when"), type.names, tied);
        sum += share * tables_.BothWays(*power, slew(related.empty() ? pin : related), load);
        weight += share;
      }
      return weight > 0 ? sum / weight : 0.0;
    };
    const bool gates = type.model->kind == CellModel::Kind::kClockGate;
    for (const auto& [pin, table] : type.model->outputs) {
      auto net = nets.find(pin);
      if (net == nets.end()) continue;
      const double load = load_[net->second];
      const double both = mean(pin, load) + 2 * half_v2 * load;
      energy.toggle.push_back(gates ? 0 : both / 2);
      if (gates) energy.passed += both;
    }
    double inputs = 0;
    for (const std::string& pin : type.model->inputs) {
      if (tied.count(pin) > 0) continue;
      energy.silent += mean(pin, 0) / 2;
      ++inputs;
    }
    if (inputs > 0) energy.silent /= inputs;
    // The load of the pin itself is the driver's where that is a clock gate.
    if (const std::string& clock = type.model->clock; !clock.empty()) {
      energy.clock += mean(clock, 0);
      if (nets[clock] == "clk_i") energy.clock += 2 * half_v2 * type.pins.at(clock).farad;
    }
    return energy;
  }

 private:
  const std::string& Root(const std::string& net) const {
    const std::string* root = &net;
    for (auto found = alias_.find(*root); found != alias_.end(); found = alias_.find(*root)) {
      root = &found->second;
    }
    return *root;
  }

  const TypePower& Type(const std::string& type) {
    auto found = types_.find(type);
    if (found == types_.end()) {
      found = types_.emplace(type, TypeOf(library_, type, tables_)).first;
    }
    return found->second;
  }

  const Netlist& netlist_;
  const Liberty& library_;
  const EnergySetup& setup_;
  Tables tables_;
  std::unordered_map<std::string, std::string> alias_;
  std::unordered_map<std::string, double> load_;  // F, by net
  std::map<std::string, TypePower> types_;
};

}  // namespace

std::vector<CellEnergy> CellEnergies(const Netlist& netlist, const Liberty& library,
                                     const EnergySetup& setup) {
  EnergyReader reader(netlist, library, setup);
  std::vector<CellEnergy> energies;
  energies.reserve(netlist.cells.size());
  for (const NetlistCell& cell : netlist.cells) energies.push_back(reader.Read(cell));
  return energies;
}

SynthEnergy EnergyOf(const std::vector<CellEnergy>& cells, const std::vector<CellToggles>& counts,
                     double seconds) {
  SynthEnergy energy;
  for (size_t i = 0; i < cells.size(); ++i) {
    const CellEnergy& cell = cells[i];
    const CellToggles& count = counts[i];
    for (size_t pin = 0; pin < cell.toggle.size(); ++pin) {
      energy.logic += cell.toggle[pin] * count.outputs[pin];
      energy.glitches += cell.toggle[pin] * count.glitches[pin];
    }
    energy.logic += cell.silent * count.silent;
    energy.glitches += cell.silent * count.silent_glitches;
    energy.clock += cell.clock * count.clocks + cell.passed * count.passed;
    energy.leakage += cell.leakage * seconds;
  }
  return energy;
}

SynthEnergy EnergyAt(const std::vector<CellEnergy>& cells, double activity, double seconds) {
  SynthEnergy energy;
  for (const CellEnergy& cell : cells) {
    for (const double toggle : cell.toggle) energy.logic += toggle * activity;
    energy.clock += cell.clock + cell.passed;
    energy.leakage += cell.leakage * seconds;
  }
  return energy;
}

}  // namespace vaultrain
