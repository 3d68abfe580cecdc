// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Traffic for the controller of one vault, the bounds of its rate, and the Verilated controller
// that it is measured on.

#ifndef VAULTRAIN_VAULT_TRAFFIC_H_
#define VAULTRAIN_VAULT_TRAFFIC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/vault_abi.h"
#include "vaultrain/dram_timing.h"
#include "vaultrain/paths.h"

namespace vaultrain {

struct VaultTraffic {
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  uint64_t Accesses() const { return reads.size() + writes.size(); }
};

// Rows of a matrix in memory, in accesses: `row` of them every `pitch`.
struct VaultRows {
  uint64_t row;
  uint64_t pitch;
};

VaultTraffic SequentialReads(uint64_t count);
VaultTraffic SequentialWrites(uint64_t count);
// Reads of one stream, writes in place `lag` accesses behind; reads run at most `slack` further
// ahead.
VaultTraffic UpdateInPlace(uint64_t count, VaultRows rows, uint64_t lag, uint64_t slack);
// Two read streams in turn by row, `second` accesses apart, and one write stream in place of the
// first, `lag` accesses behind: 2:1. About `count` reads.
VaultTraffic OptimiserStep(uint64_t count, VaultRows rows, uint64_t second, uint64_t lag,
                           uint64_t slack);
// Single accesses drawn over `span`.
VaultTraffic RandomReads(uint64_t count, uint64_t span);
VaultTraffic RandomUpdates(uint64_t count, uint64_t span);

// Share of the time that refresh leaves: 1 - tRFC / tREFI.
double RefreshShare(const DramTiming& timing);
// Cycles that an access holds the data pins: max(beats, tCCD).
int AccessCycles(const DramTiming& timing, const DramGeometry& geometry);
// The least cycles between single accesses of random rows on average, without refresh:
//   max(beats, tCCD, tRRD, tFAW / 4, B / banks),
// where an access occupies its bank for B = tRP + max(tRAS, tRCD + tRTP) if it reads and
// tRP + max(tRAS, tRCD + tCWL + beats + tWR) if it writes. write_share: of the accesses.
double RandomAccessCycles(const DramTiming& timing, const DramGeometry& geometry,
                          double write_share);

// vt_vault_controller with its dies, Verilated for one set of parameters.
class VaultModel {
 public:
  virtual ~VaultModel() = default;
  // On a fresh controller. Throws Error(kInternal) if data, order or a rule of the dies is broken.
  virtual VaultReport Run(const VaultTraffic& traffic) = 0;
};

// parameters: of vt_vault_controller beside its timing and geometry. Builds the model if the cache
// lacks it, as MakeRtlDevice does.
std::unique_ptr<VaultModel> MakeVaultModel(
    const DramTiming& timing, const DramGeometry& geometry,
    const std::vector<std::pair<std::string, int>>& parameters, const ResourcePaths& resources);

}  // namespace vaultrain

#endif  // VAULTRAIN_VAULT_TRAFFIC_H_
