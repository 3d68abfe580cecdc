// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Reads Liberty cell libraries, recognises cells by what they compute, and writes the subset that
// the tools need.

#ifndef VAULTRAIN_SRC_LIBERTY_H_
#define VAULTRAIN_SRC_LIBERTY_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vaultrain {

// name (args) { attributes, complex attributes and groups }.
struct LibertyGroup {
  std::string name;
  std::vector<std::string> args;  // without quotes
  int line = 0;
  std::vector<std::pair<std::string, std::string>> attributes;  // name : value
  std::vector<std::pair<std::string, std::string>> complex;     // name (raw text of the arguments)
  std::vector<LibertyGroup> groups;

  // The last value of an attribute, or an empty text.
  std::string_view Get(std::string_view attribute) const;
  // Zero if absent.
  double Number(std::string_view attribute) const;
};

// A cell's role with its pins. Inverted outputs are marked, since self-dual adders come that way.
struct AdderCell {
  std::string cell;
  std::string inputs[3];
  std::string sum, carry;
  bool sum_inverted = false, carry_inverted = false;
  double area = 0;
};

struct ClockGateCell {
  std::string cell, clock, enable, output;
  std::vector<std::string> test;  // pins to tie low
  double area = 0;
};

// What a simulation needs of a cell: tables over the inputs, bit i for the input pattern i.
struct CellModel {
  enum class Kind { kGate, kFlop, kClockGate };
  Kind kind = Kind::kGate;
  std::vector<std::string> inputs;  // without the clock
  // A flip-flop's output behind the rising edge; a clock gate's: whether the next edge passes.
  std::vector<std::pair<std::string, uint64_t>> outputs;
  std::string clock;
  bool inverted = false;  // a flip-flop that shows the complement of its state
};

// One library as the flow sees it: several files merged, without current-source models.
class Liberty {
 public:
  // Plain or gzip files. Throws Error(kUnusableInput) naming file and line.
  static Liberty Read(const std::vector<std::filesystem::path>& files);

  const std::string& name() const { return root_.args.front(); }
  double voltage() const { return root_.Number("nom_voltage"); }
  double temperature() const { return root_.Number("nom_temperature"); }

  // In s, F and W. Energies are in CapacitanceUnit times V^2.
  double TimeUnit() const;
  double CapacitanceUnit() const;
  double LeakageUnit() const;

  // Of tables of energy; null if there is none of that name.
  const LibertyGroup* Template(std::string_view name) const;
  // The share of the patterns of all pins, some of them tied, for which a condition holds; 1 for
  // none and for one that cannot be read.
  double ShareOf(std::string_view when, const std::vector<std::string>& pins,
                 const std::map<std::string, bool>& tied) const;

  // Null if there is no such cell.
  const LibertyGroup* Cell(std::string_view name) const;
  double Area(std::string_view cell) const;
  void SetArea(std::string_view cell, double um2);

  // The smallest usable two-input NAND; throws Error(kUnusableInput) if there is none.
  std::string Nand2() const;
  // The smallest usable cells of their kind.
  std::optional<AdderCell> FullAdder() const;
  std::optional<ClockGateCell> ClockGate() const;
  std::optional<std::string> Inverter() const;
  std::optional<std::string> Xor2() const;

  // Nothing for latches, falling edges, three-state outputs and more than six inputs.
  std::optional<CellModel> Model(std::string_view cell) const;

  // Liberty text. For mapping the cells marked dont_use are left out, and those that `exclude`
  // (globs) names.
  std::string Text(bool for_mapping, const std::vector<std::string>& exclude) const;

 private:
  LibertyGroup root_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_LIBERTY_H_
