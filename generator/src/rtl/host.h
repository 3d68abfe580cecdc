// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The host's side (rtl_templates/host/vt_host.v) as the generator sees it: its parameters, and the
// ports that lead out of the module.

#ifndef VAULTRAIN_SRC_RTL_HOST_H_
#define VAULTRAIN_SRC_RTL_HOST_H_

#include <vector>

#include "rtl/component.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain::rtl {

// Every parameter of vt_host with the value that a variant gives it.
std::vector<Parameter> HostParameters(const Variant& variant, const VaultDram& dram);

// The ports of vt_host that are ports of the module, with their widths in a variant, in protocol
// groups; clk_i and rst_ni first.
std::vector<PortGroup> HostPorts(const Variant& variant);

}  // namespace vaultrain::rtl

#endif  // VAULTRAIN_SRC_RTL_HOST_H_
