// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/vault_traffic.h"

#include <algorithm>
#include <random>

namespace vaultrain {
namespace {

uint64_t PlaceOf(uint64_t index, const VaultRows& rows) {
  return index / rows.row * rows.pitch + index % rows.row;
}

uint64_t Draw(std::mt19937_64& random, uint64_t span) { return random() % span; }

}  // namespace

VaultTraffic SequentialReads(uint64_t count) {
  VaultTraffic traffic;
  for (uint64_t i = 0; i < count; ++i) traffic.reads.push_back({1000 + i, 0});
  return traffic;
}

VaultTraffic SequentialWrites(uint64_t count) {
  VaultTraffic traffic;
  for (uint64_t i = 0; i < count; ++i) traffic.writes.push_back({1000 + i, 0});
  return traffic;
}

VaultTraffic UpdateInPlace(uint64_t count, VaultRows rows, uint64_t lag, uint64_t slack) {
  VaultTraffic traffic;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t place = PlaceOf(i, rows);
    traffic.reads.push_back({place, i > lag + slack ? i - lag - slack : 0});
    traffic.writes.push_back({place, std::min(i + lag, count)});
  }
  return traffic;
}

VaultTraffic OptimiserStep(uint64_t count, VaultRows rows, uint64_t second, uint64_t lag,
                           uint64_t slack) {
  VaultTraffic traffic;
  const uint64_t ahead = lag + slack + rows.row;
  const uint64_t half = count / 2 / rows.row * rows.row;
  for (uint64_t i = 0; i < half; i += rows.row) {
    for (uint64_t stream = 0; stream < 2; ++stream) {
      for (uint64_t place = i; place < i + rows.row; ++place) {
        traffic.reads.push_back(
            {stream * second + PlaceOf(place, rows), place > ahead ? place - ahead : 0});
      }
    }
  }
  for (uint64_t i = 0; i < half; ++i) {
    traffic.writes.push_back(
        {PlaceOf(i, rows),
         std::min<uint64_t>(2 * (i / rows.row * rows.row + rows.row + lag), traffic.reads.size())});
  }
  return traffic;
}

VaultTraffic RandomReads(uint64_t count, uint64_t span) {
  VaultTraffic traffic;
  std::mt19937_64 random(7);
  for (uint64_t i = 0; i < count; ++i) traffic.reads.push_back({Draw(random, span), 0});
  return traffic;
}

VaultTraffic RandomUpdates(uint64_t count, uint64_t span) {
  VaultTraffic traffic;
  std::mt19937_64 random(7);
  for (uint64_t i = 0; i < count / 2; ++i) {
    traffic.reads.push_back({Draw(random, span), 0});
    traffic.writes.push_back({Draw(random, span), 0});
  }
  return traffic;
}

double RefreshShare(const DramTiming& timing) {
  return 1 - static_cast<double>(timing.tRFC) / timing.tREFI;
}

int AccessCycles(const DramTiming& timing, const DramGeometry& geometry) {
  return std::max(geometry.beats, timing.tCCD);
}

double RandomAccessCycles(const DramTiming& t, const DramGeometry& geometry, double write_share) {
  const int read = t.tRP + std::max(t.tRAS, t.tRCD + t.tRTP);
  const int write = t.tRP + std::max(t.tRAS, t.tRCD + t.tCWL + geometry.beats + t.tWR);
  const double bank = (1 - write_share) * read + write_share * write;
  return std::max({static_cast<double>(AccessCycles(t, geometry)), static_cast<double>(t.tRRD),
                   t.tFAW / 4.0, bank / geometry.banks});
}

}  // namespace vaultrain
