// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <gtest/gtest.h>

#include <cstdio>

#include "unit/vault_bench.h"
#include "vaultrain/dram_timing.h"
#include "vaultrain/vault_pins.h"

#ifndef VT_DRAM_SET
#define VT_DRAM_SET "hmc1"
#define VT_PERIOD_PS 1000
#define VT_DATA_BITS 64
#endif

namespace vaultrain {
namespace {

const std::string kSource = VT_SOURCE_DIR;

struct Vault {
  DramSet set = ReadDramSet(kSource + "/constraints/dram/" VT_DRAM_SET ".toml");
  DramTiming timing = CyclesAt(set, VT_PERIOD_PS);
  DramGeometry geometry = GeometryOf(set, VT_DATA_BITS);
  Vault() { if (getenv("ROT")) geometry.bank_rotate = atoi(getenv("ROT")); }
};

uint64_t Accesses(uint64_t bytes) {
  static const uint64_t access_bytes = static_cast<uint64_t>(Vault().geometry.AccessBytes());
  return bytes / access_bytes;
}

// Accesses per slot of the data bus that refresh leaves.
double Share(const Vault& vault, uint64_t accesses, uint64_t cycles) {
  double slots = double(cycles) / std::max(vault.geometry.beats, vault.timing.tCCD);
  return double(accesses) / (slots * (1 - double(vault.timing.tRFC) / vault.timing.tREFI));
}

void ExpectShare(const char* name, const std::vector<ReadJob>& reads,
                 const std::vector<WriteJob>& writes, double least) {
  Vault vault;
  VaultBench bench(vault.timing, vault.geometry, 1);
  ASSERT_EQ(bench.Run(reads, writes, {}, 4000000), "") << name;
  double share = Share(vault, reads.size() + writes.size(), bench.cycles());
  std::printf("%-44s reads %6zu writes %6zu cycles %7llu share %.4f ACT %llu longest read %llu write %llu\n", name,
              reads.size(), writes.size(), static_cast<unsigned long long>(bench.cycles()), share,
              static_cast<unsigned long long>(bench.die().counters().act),
              static_cast<unsigned long long>(bench.longest_read()),
              static_cast<unsigned long long>(bench.longest_write()));
  EXPECT_GE(share, least) << name;
}

constexpr uint64_t kMany = 16384;

// Accesses of rows of row_bytes that lie pitch bytes apart.
uint64_t RowAccess(uint64_t index, uint64_t row_bytes, uint64_t pitch) {
  uint64_t row = Accesses(row_bytes);
  return index / row * Accesses(pitch) + index % row;
}

TEST(VaultController, SequentialReadsReachThePins) {
  std::vector<ReadJob> reads;
  for (uint64_t i = 0; i < kMany; ++i) reads.push_back({1000 + i, 0});
  ExpectShare("sequential reads", reads, {}, 0.95);
}

TEST(VaultController, SequentialWritesReachThePins) {
  std::vector<WriteJob> writes;
  for (uint64_t i = 0; i < kMany; ++i) writes.push_back({1000 + i, 0});
  ExpectShare("sequential writes", {}, writes, 0.95);
}

// Reads of one stream, writes in place `behind` bytes later; reads run at most `ahead` accesses further ahead.
void Update(const char* name, uint64_t row_bytes, uint64_t pitch, uint64_t behind, double least) {
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  uint64_t lag = Accesses(behind);
  uint64_t slack = getenv("SLACK") ? atoi(getenv("SLACK")) : 64;
  for (uint64_t i = 0; i < kMany; ++i) {
    reads.push_back({RowAccess(i, row_bytes, pitch), i > lag + slack ? i - lag - slack : 0});
    writes.push_back({RowAccess(i, row_bytes, pitch), std::min(i + lag, kMany)});
  }
  ExpectShare(name, reads, writes, least);
}

TEST(VaultController, UpdateInPlaceReachesThePins) {
  Update("1:1 contiguous, 16 KB behind", 1 << 20, 1 << 20, 16 << 10, 0.88);
  Update("1:1 contiguous, 17.2 KB behind", 1 << 20, 1 << 20, 17600, 0.88);
  Update("1:1 contiguous, 33 KB behind", 1 << 20, 1 << 20, 33 << 10, 0.88);
  Update("1:1 contiguous, 64 KB behind", 1 << 20, 1 << 20, 64 << 10, 0.88);
  Update("1:1 rows 3136 of 3136, 16 KB behind", 3136, 3136, 16 << 10, 0.88);
  Update("1:1 rows 3136 of 4096, 31360 behind", 3136, 4096, 31360, 0.88);
  Update("1:1 rows 3136 of 6272, 32 KB behind", 3136, 6272, 32 << 10, 0.88);
  Update("1:1 rows 3136 of 12544, 48 KB behind", 3136, 12544, 48 << 10, 0.88);
}

// Two read streams in turn by row, one write stream in place of the first.
void Step(const char* name, uint64_t row_bytes, uint64_t pitch, uint64_t second, uint64_t behind,
          double least) {
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  uint64_t row = Accesses(row_bytes);
  uint64_t lag = Accesses(behind);
  uint64_t count = kMany / 2 / row * row;
  uint64_t slack = getenv("SLACK") ? atoi(getenv("SLACK")) : 64;
  for (uint64_t i = 0; i < count; i += row) {
    for (uint64_t stream = 0; stream < 2; ++stream) {
      for (uint64_t k = 0; k < row; ++k) {
        uint64_t place = i + k;
        reads.push_back({stream * Accesses(second) + RowAccess(place, row_bytes, pitch),
                         place > lag + slack + row ? place - lag - slack - row : 0});
      }
    }
  }
  for (uint64_t i = 0; i < count; ++i) {
    writes.push_back(
        {RowAccess(i, row_bytes, pitch), std::min<uint64_t>(2 * (i / row * row + row + lag), reads.size())});
  }
  ExpectShare(name, reads, writes, least);
}

TEST(VaultController, OptimiserStepReachesThePins) {
  Step("2:1 rows 3136 of 3136, 16 KB behind", 3136, 3136, 8 << 20, 16 << 10, 0.90);
  Step("2:1 rows 3136 of 4096, 32 KB behind", 3136, 4096, (8 << 20) + 3136, 32 << 10, 0.90);
  Step("2:1 rows 2048, 16 KB behind", 2048, 2048, 8 << 20, 16 << 10, 0.90);
  Step("2:1 rows 512, 16 KB behind", 512, 512, 8 << 20, 16 << 10, 0.90);
  Step("2:1 rows 12544, 16 KB behind", 12544, 12544, 8 << 20, 16 << 10, 0.90);
}

TEST(VaultController, SmallRowsAndRandomAccesses) {
  std::mt19937 random(3);
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  for (uint64_t i = 0; i < kMany / 4; ++i) reads.push_back({random() % (1 << 20), 0});
  ExpectShare("random reads", reads, {}, 0.3);
  for (uint64_t i = 0; i < kMany / 4; ++i) writes.push_back({random() % (1 << 20), 0});
  ExpectShare("random reads and writes", reads, writes, 0.3);
}

}  // namespace
}  // namespace vaultrain
