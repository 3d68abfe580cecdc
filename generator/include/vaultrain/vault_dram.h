// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The dies of a vault as a variant uses them: its timing set at its clock, and its share of the
// capacity.

#ifndef VAULTRAIN_VAULT_DRAM_H_
#define VAULTRAIN_VAULT_DRAM_H_

#include "vaultrain/dram_timing.h"
#include "vaultrain/paths.h"
#include "vaultrain/variant.h"

namespace vaultrain {

struct VaultDram {
  DramTiming timing;      // cycles
  DramGeometry geometry;  // with as many rows as dram.mib needs
};

// Reads constraints/dram/<dram.timing>.toml. Throws Error(kUnusableInput) for a set that is not
// shipped, by rule dram_timing for a clock or data width that the set cannot serve, and by rule
// dram_capacity for a dram.mib that is more than the dies hold.
VaultDram LoadVaultDram(const Variant& variant, const ResourcePaths& resources);

}  // namespace vaultrain

#endif  // VAULTRAIN_VAULT_DRAM_H_
