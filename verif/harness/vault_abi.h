// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The small C interface of a Verilated vault controller with its dies: all that crosses the border
// of its shared object. One thread at a time per vault.

#ifndef VAULTRAIN_HARNESS_VAULT_ABI_H_
#define VAULTRAIN_HARNESS_VAULT_ABI_H_

#include <cstdint>

#include "vaultrain/dram_timing.h"

namespace vaultrain {

struct ReadJob {
  uint64_t access = 0;
  uint64_t writes_acked = 0;  // starts once that many writes are acknowledged
};

struct WriteJob {
  uint64_t access = 0;
  uint64_t reads_returned = 0;  // starts once that many reads have returned all data
};

struct VaultReport {
  uint64_t cycles = 0;  // from the first request to the last data or acknowledgement
  uint64_t longest_read = 0;
  uint64_t longest_write = 0;
  uint64_t activates = 0;
};

}  // namespace vaultrain

extern "C" {

struct VtVault;

// A controller out of reset, with empty dies. seed draws the data that is written.
VtVault* vt_vault_create(const vaultrain::DramTiming* timing,
                         const vaultrain::DramGeometry* geometry, uint32_t seed);
void vt_vault_destroy(VtVault* vault);

// Runs both lists to their ends, as fast as the controller takes them. Returns an empty text, or
// what went wrong: wrong data or order, a broken rule of the dies, or no end within cycle_limit.
const char* vt_vault_run(VtVault* vault, const vaultrain::ReadJob* reads, uint64_t read_count,
                         const vaultrain::WriteJob* writes, uint64_t write_count,
                         uint64_t cycle_limit, vaultrain::VaultReport* report);

}  // extern "C"

#endif  // VAULTRAIN_HARNESS_VAULT_ABI_H_
