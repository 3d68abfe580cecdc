// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The node (rtl_templates/node/vt_node.v) as the generator sees it: its parameters, and the pins of
// its vault.

#ifndef VAULTRAIN_SRC_RTL_NODE_H_
#define VAULTRAIN_SRC_RTL_NODE_H_

#include <vector>

#include "rtl/component.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain::rtl {

// Every parameter of vt_node with the value that a variant gives it.
std::vector<Parameter> NodeParameters(const Variant& variant, const VaultDram& dram);

// The pins of a vault as ports of the top, named by VaultPortName.
PortGroup VaultPinGroup(const VaultDram& dram, int vault);

}  // namespace vaultrain::rtl

#endif  // VAULTRAIN_SRC_RTL_NODE_H_
