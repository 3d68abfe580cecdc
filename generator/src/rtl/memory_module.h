// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The generated top, vt_memory_module: the nodes and what leads out of them.

#ifndef VAULTRAIN_SRC_RTL_MEMORY_MODULE_H_
#define VAULTRAIN_SRC_RTL_MEMORY_MODULE_H_

#include "rtl/component.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain::rtl {

Component MemoryModule(const Variant& variant, const VaultDram& dram);

}  // namespace vaultrain::rtl

#endif  // VAULTRAIN_SRC_RTL_MEMORY_MODULE_H_
