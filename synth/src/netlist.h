// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Verilog netlists in the dialect that OpenSTA reads.

#ifndef VAULTRAIN_SRC_NETLIST_H_
#define VAULTRAIN_SRC_NETLIST_H_

#include <string>
#include <string_view>

namespace vaultrain {

// Splits each assignment to a concatenation into assignments of bits: OpenSTA 2.0.17 takes names on
// the left only. The netlist is one module that Yosys wrote with -noattr -noexpr -nohex -nostr.
std::string SplitAssignments(std::string_view netlist);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_NETLIST_H_
