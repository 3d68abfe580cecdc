// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/vault_dram.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "vaultrain/error.h"
#include "vaultrain/isa.h"

namespace vaultrain {

VaultDram LoadVaultDram(const Variant& variant, const ResourcePaths& resources) {
  std::filesystem::path folder = resources.constraints / "dram";
  std::filesystem::path file = folder / (variant.dram.timing + ".toml");
  if (!std::filesystem::exists(file)) {
    RefuseInput("variant {}: dram.timing = \"{}\" is no timing set; accepted: {}", variant.name,
                variant.dram.timing, fmt::join(ListVariants({folder}), ", "));
  }
  DramSet set = ReadDramSet(file.string());
  VaultDram dram;
  try {
    dram = {CyclesAt(set, variant.clock_ps), GeometryOf(set, variant.dram.data_bits)};
  } catch (const Error& error) {
    RefuseInput("variant {}: breaks rule dram_timing: {}", variant.name, error.what());
  }
  dram.geometry.bank_rotate = variant.dram.bank_rotate;
  dram.geometry.bank_low = variant.dram.map == "row_col_bank" ? 1 : 0;
  dram.geometry.ecc = variant.dram.ecc == "on" ? 1 : 0;
  if (dram.geometry.AccessBytes() != isa::kAccessBytes) {
    RefuseInput(
        "variant {}: breaks rule vault_access: set {} moves {} beats of dram.data_bits {}, {} "
        "bytes; "
        "accepted: {} bytes, dram.data_bits {}",
        variant.name, set.name, dram.geometry.beats, dram.geometry.data_bits,
        dram.geometry.AccessBytes(), isa::kAccessBytes,
        isa::kAccessBytes * 8 / dram.geometry.beats);
  }
  int64_t row_bytes = int64_t{dram.geometry.banks} * dram.geometry.page_bytes;
  int64_t rows = variant.VaultBytes() / row_bytes;
  if (rows > dram.geometry.rows) {
    RefuseInput(
        "variant {}: breaks rule dram_capacity: dram.mib {} in dies of set {}; accepted: up to {}",
        variant.name, variant.dram.mib, set.name, dram.geometry.Bytes() >> 20);
  }
  dram.geometry.rows = static_cast<int>(rows);
  return dram;
}

}  // namespace vaultrain
