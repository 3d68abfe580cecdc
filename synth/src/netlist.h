// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Verilog netlists in the dialect that OpenSTA reads.

#ifndef VAULTRAIN_SRC_NETLIST_H_
#define VAULTRAIN_SRC_NETLIST_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vaultrain {

// Splits each assignment to a concatenation into assignments of bits: OpenSTA 2.0.17 takes names on
// the left only. The netlist is one module that Yosys wrote with -noattr -noexpr -nohex -nostr.
std::string SplitAssignments(std::string_view netlist);

// A port of a netlist's module, or of a cell. Bits, least significant first, are names of nets,
// which are single bits: "a", "a [3]", "1'b0".
struct NetlistPort {
  std::string name;
  bool input = false;  // of the module; false in cells
  std::vector<std::string> bits;
};

struct NetlistCell {
  std::string type;
  std::string name;  // without the backslash and blank of an escaped name
  std::vector<NetlistPort> pins;
};

struct Netlist {
  std::vector<NetlistPort> ports;
  std::vector<NetlistCell> cells;
  std::vector<std::pair<std::string, std::string>> assigns;  // a net and the net that drives it
};

// Reads what SplitAssignments returns. Throws Error(kInternal) on a line of another form.
Netlist ParseNetlist(std::string_view text);

// Name of a bit of a register in the RTL from the cell that holds it, or else from a net at its
// output or behind one gate there; another cell, a port or what has none of these keeps its name.
std::string NameInRtl(const Netlist& netlist, std::string_view cell);

// Behind the name of a register in that of its cells.
inline constexpr std::string_view kRegisterSuffix = "_reg";

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_NETLIST_H_
