// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/memory_module.h"

#include <fmt/format.h>

#include "rtl/node.h"
#include "vaultrain/generate.h"

namespace vaultrain::rtl {

Component MemoryModule(const Variant& variant, const VaultDram& dram) {
  Component top;
  top.name = kTopModule;
  top.header = {
      "Intelligent memory module that trains neural networks: logic layer of a 3D-stacked memory.",
      "",
      fmt::format("{} vault, {} multiply-accumulates of {} a cycle, sums in fp32.", variant.vaults,
                  variant.MacsPerCycle(), FormatName(variant.operand_format)),
      fmt::format("Clock period {} ps; {} DRAM data bits a cycle and vault, timing set {}.",
                  variant.clock_ps, variant.dram.data_bits, variant.dram.timing),
      "Reset is synchronous and active low; every output comes from one clock.",
  };
  top.ports = NodePorts(variant, dram);

  // The one node sees the outside as it is.
  Instance node{"vt_node", "u_node", NodeParameters(variant, dram), {}};
  for (const PortGroup& group : top.ports) {
    for (const Port& port : group.ports) node.connections.push_back({port.name, {Net(port.name)}});
  }
  top.sections.push_back({"node", {}, {}, {node}});
  return top;
}

}  // namespace vaultrain::rtl
