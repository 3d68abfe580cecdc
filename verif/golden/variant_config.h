// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The golden machine of a variant.

#ifndef VAULTRAIN_GOLDEN_VARIANT_CONFIG_H_
#define VAULTRAIN_GOLDEN_VARIANT_CONFIG_H_

#include "golden/machine.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain {

golden::MachineConfig MachineConfigOf(const Variant& variant, const VaultDram& dram);

}  // namespace vaultrain

#endif  // VAULTRAIN_GOLDEN_VARIANT_CONFIG_H_
