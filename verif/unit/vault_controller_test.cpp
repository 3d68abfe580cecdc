// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <regex>

#include "harness/vault_bench.h"
#include "vaultrain/dram_timing.h"
#include "vaultrain/vault_pins.h"
#include "vaultrain/vault_traffic.h"

#ifndef VT_DRAM_SET
#define VT_DRAM_SET "hmc1"
#define VT_PERIOD_PS 1000
#define VT_DATA_BITS 64
#define VT_HMC1_AT_1_NS
#endif

// As vt_vault_controller has them by default; what a client holds between reading and writing; the
// shares expected.
#ifndef VT_BATCH
#define VT_BATCH 32
#define VT_SLACK 64
#endif
#ifndef VT_LEAST_1_TO_1
#define VT_LEAST_1_TO_1 0.93
#define VT_LEAST_2_TO_1 0.95
#define VT_LEAST_SHORT 0.95
#define VT_LEAST_RANDOM 0.78
#endif

// Parameters of the controller that have another value in another configuration.
#ifndef VT_BankLow
#define VT_BankLow 0
#endif
#ifndef VT_BankRotate
#define VT_BankRotate 1
#endif
#ifndef VT_ClosePage
#define VT_ClosePage 0
#endif
#ifndef VT_Ecc
#define VT_Ecc 0
#endif
#ifndef VT_ReadQueue
#define VT_ReadQueue 32
#endif
#ifndef VT_LEAST_RANDOM_READS
#define VT_LEAST_RANDOM_READS 0.90
#endif

namespace vaultrain {
namespace {

using Bench = VaultBench<Vdut>;

const std::string kSource = VT_SOURCE_DIR;

struct Vault {
  DramSet set = ReadDramSet(kSource + "/constraints/dram/" VT_DRAM_SET ".toml");
  DramTiming timing = CyclesAt(set, VT_PERIOD_PS);
  DramGeometry geometry = Mapped(GeometryOf(set, VT_DATA_BITS));

  static DramGeometry Mapped(DramGeometry geometry) {
    geometry.bank_low = VT_BankLow;
    geometry.bank_rotate = VT_BankRotate;
    geometry.ecc = VT_Ecc;
    return geometry;
  }
};

uint64_t Accesses(uint64_t bytes) {
  static const uint64_t access_bytes = static_cast<uint64_t>(Vault().geometry.AccessBytes());
  return bytes / access_bytes;
}

// Accesses per slot of the data bus that refresh leaves.
double Share(const Vault& vault, uint64_t accesses, uint64_t cycles) {
  return double(accesses) * AccessCycles(vault.timing, vault.geometry) /
         (double(cycles) * RefreshShare(vault.timing));
}

void ExpectShare(const char* name, const VaultTraffic& traffic, double least) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  ASSERT_EQ(bench.Run(traffic.reads, traffic.writes, {}, 4000000), "") << name;
  double share = Share(vault, traffic.Accesses(), bench.cycles());
  std::printf(
      "%-44s reads %6zu writes %6zu cycles %7llu share %.4f ACT %llu longest read %llu write "
      "%llu\n",
      name, traffic.reads.size(), traffic.writes.size(),
      static_cast<unsigned long long>(bench.cycles()), share,
      static_cast<unsigned long long>(bench.die().counters().act),
      static_cast<unsigned long long>(bench.longest_read()),
      static_cast<unsigned long long>(bench.longest_write()));
  EXPECT_GE(share, least) << name;
}

constexpr uint64_t kMany = 16384;

TEST(VaultController, SequentialReadsReachThePins) {
  ExpectShare("sequential reads", SequentialReads(kMany), 0.95);
}

TEST(VaultController, SequentialWritesReachThePins) {
  ExpectShare("sequential writes", SequentialWrites(kMany), 0.95);
}

void Update(const char* name, uint64_t row_bytes, uint64_t pitch, uint64_t behind, double least) {
  ExpectShare(
      name,
      UpdateInPlace(kMany, {Accesses(row_bytes), Accesses(pitch)}, Accesses(behind), VT_SLACK),
      least);
}

TEST(VaultController, UpdateInPlaceReachesThePins) {
  Update("1:1 contiguous, 16 KB behind", 1 << 20, 1 << 20, 16 << 10, VT_LEAST_1_TO_1);
  Update("1:1 contiguous, 17.2 KB behind", 1 << 20, 1 << 20, 17600, VT_LEAST_1_TO_1);
  Update("1:1 contiguous, 33 KB behind", 1 << 20, 1 << 20, 33 << 10, VT_LEAST_1_TO_1);
  Update("1:1 contiguous, 64 KB behind", 1 << 20, 1 << 20, 64 << 10, VT_LEAST_1_TO_1);
  Update("1:1 rows 3136 of 3136, 16 KB behind", 3136, 3136, 16 << 10, VT_LEAST_1_TO_1);
  Update("1:1 rows 3136 of 4096, 31360 behind", 3136, 4096, 31360, VT_LEAST_1_TO_1);
  Update("1:1 rows 3136 of 6272, 32 KB behind", 3136, 6272, 32 << 10, VT_LEAST_1_TO_1);
  Update("1:1 rows 3136 of 12544, 48 KB behind", 3136, 12544, 48 << 10, VT_LEAST_1_TO_1);
}

void Step(const char* name, uint64_t row_bytes, uint64_t pitch, uint64_t second, uint64_t behind,
          double least) {
  ExpectShare(name,
              OptimiserStep(kMany, {Accesses(row_bytes), Accesses(pitch)}, Accesses(second),
                            Accesses(behind), VT_SLACK),
              least);
}

TEST(VaultController, OptimiserStepReachesThePins) {
  Step("2:1 rows 3136 of 3136, 16 KB behind", 3136, 3136, 8 << 20, 16 << 10, VT_LEAST_2_TO_1);
  Step("2:1 rows 3136 of 4096, 32 KB behind", 3136, 4096, (8 << 20) + 3136, 32 << 10,
       VT_LEAST_2_TO_1);
  Step("2:1 rows 2048, 16 KB behind", 2048, 2048, 8 << 20, 16 << 10, VT_LEAST_2_TO_1);
  Step("2:1 rows 512, 16 KB behind", 512, 512, 8 << 20, 16 << 10, VT_LEAST_SHORT);
  Step("2:1 rows 12544, 16 KB behind", 12544, 12544, 8 << 20, 16 << 10, VT_LEAST_2_TO_1);
}

// What README.md of the block promises: cycles in which any read, and any write, is served.
uint64_t LongestRead(const DramTiming& t, int beats) {
  uint64_t slot = static_cast<uint64_t>(t.tRCD + t.tCWL + beats + t.tWR + t.tRP + 24);
  uint64_t refresh = static_cast<uint64_t>(t.tRFC + t.tCWL + beats + t.tWR + t.tRP + 32);
  uint64_t cycles = (2 * VT_ReadQueue + 3 * (VT_BATCH + 16)) * slot;
  return cycles + (cycles / static_cast<uint64_t>(t.tREFI) + 2) * refresh;
}

struct RandomCase {
  const char* name;
  uint64_t accesses;  // addresses are drawn from so many
  uint64_t stride;
  Stalls stalls;
};

TEST(VaultController, RandomAccessesReachTheirBound) {
  Vault vault;
  const uint64_t span = vault.geometry.Bytes() / uint64_t(vault.geometry.AccessBytes());
  const double slot = AccessCycles(vault.timing, vault.geometry);
  // Thresholds are shares of the bound; ExpectShare counts slots of the pins.
  ExpectShare("random reads", RandomReads(kMany, span),
              VT_LEAST_RANDOM_READS * slot / RandomAccessCycles(vault.timing, vault.geometry, 0));
  ExpectShare("random 1:1", RandomUpdates(2 * kMany, span),
              VT_LEAST_RANDOM * slot / RandomAccessCycles(vault.timing, vault.geometry, 0.5));
}

TEST(VaultController, RandomTrafficKeepsOrderAndTiming) {
  Vault vault;
  auto page = static_cast<uint64_t>(vault.geometry.Columns());
  auto bank_span = page * static_cast<uint64_t>(vault.geometry.banks);
  const RandomCase cases[] = {
      {"all of the vault", vault.geometry.Bytes() / uint64_t(vault.geometry.AccessBytes()), 1, {}},
      {"all of the vault, stalls", 1 << 16, 1, {30, 30, 10, true}},
      {"few addresses, stalls", 64, 1, {50, 50, 5, true}},
      {"one page", page, 1, {0, 0, 0, true}},
      {"rows of few banks", 64, bank_span, {0, 0, 0, true}},
      {"slow readers", 4096, 1, {97, 10, 0, true}},
      {"slow writers", 4096, 1, {0, 97, 80, true}},
      {"slow data", 4096, 1, {0, 0, 90, true}},
  };
  for (const RandomCase& test : cases) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      std::mt19937 random(seed);
      std::vector<ReadJob> reads;
      std::vector<WriteJob> writes;
      // Runs of neighbours with jumps between them.
      uint64_t read_at = 0, write_at = 0;
      for (uint64_t i = 0; i < 1500; ++i) {
        read_at = random() % 4 == 0 ? random() : read_at + 1;
        write_at = random() % 4 == 0 ? random() : write_at + 1;
        reads.push_back({read_at % test.accesses * test.stride, 0});
        writes.push_back({write_at % test.accesses * test.stride, 0});
      }
      Bench bench(vault.timing, vault.geometry, seed);
      ASSERT_EQ(bench.Run(reads, writes, test.stalls, 4000000), "")
          << test.name << ", seed " << seed;
      EXPECT_LE(bench.longest_read(), LongestRead(vault.timing, vault.geometry.beats))
          << test.name << ", seed " << seed;
    }
  }
}

TEST(VaultController, ReadAfterAcknowledgementSeesTheWrite) {
  Vault vault;
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  for (uint64_t i = 0; i < 400; ++i) {
    uint64_t access = i * 7 % 97 * static_cast<uint64_t>(vault.geometry.Columns());
    writes.push_back({access, i});
    reads.push_back({access, i + 1});
  }
  Bench bench(vault.timing, vault.geometry, 5);
  EXPECT_EQ(bench.Run(reads, writes, {}, 400000), "");
}

TEST(VaultController, WriteIsNotStarvedByReadsOfAnOpenRow) {
  Vault vault;
  std::vector<ReadJob> reads;
  for (uint64_t i = 0; i < 4000; ++i) reads.push_back({i % 2, 0});
  for (int bank_row : {0, 1}) {  // another page of another bank, another row of the same bank
    Bench bench(vault.timing, vault.geometry, 1);
    const auto access_bytes = static_cast<uint64_t>(vault.geometry.AccessBytes());
    const uint64_t access =
        bench.die().AddressOf(bank_row != 0 ? 0 : 1, bank_row, 0) / access_bytes;
    ASSERT_EQ(bench.Run(reads, {{access, 10}}, {}, 100000), "");
    EXPECT_LE(bench.longest_write(), 1024u + 1000u);
    EXPECT_GT(bench.cycles(), 4000u * 8 * 2 / 8);
  }
}

TEST(VaultController, ReadIsNotStarvedByWritesOfAnOpenRow) {
  Vault vault;
  std::vector<WriteJob> writes;
  for (uint64_t i = 0; i < 4000; ++i) writes.push_back({i % 2, 0});
  Bench bench(vault.timing, vault.geometry, 1);
  const auto access_bytes = static_cast<uint64_t>(vault.geometry.AccessBytes());
  ASSERT_EQ(bench.Run({{bench.die().AddressOf(0, 1, 0) / access_bytes, 100},
                       {bench.die().AddressOf(1, 0, 0) / access_bytes, 1000}},
                      writes, {}, 100000),
            "");
  EXPECT_LE(bench.longest_read(), 1500u);
}

TEST(VaultController, LastWritesComeOutWhileReadsGoOn) {
  Vault vault;
  std::vector<ReadJob> reads;
  for (uint64_t i = 0; i < 6000; ++i) reads.push_back({i * 5, 0});
  std::vector<WriteJob> writes;
  for (uint64_t i = 0; i < 4; ++i) writes.push_back({900000 + i * 1000, 100});
  Bench bench(vault.timing, vault.geometry, 1);
  ASSERT_EQ(bench.Run(reads, writes, {}, 1000000), "");
  EXPECT_LE(bench.longest_write(), 1024u + 1000u);
}

TEST(VaultController, RefreshComesInEveryIntervalIdleOrBusy) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  bench.die().Record(true);
  ASSERT_EQ(bench.Wait(3 * vault.timing.tREFI), "");
  std::vector<ReadJob> reads;
  for (uint64_t i = 0; i < 4000; ++i) reads.push_back({i * 37 % 50000, 0});
  ASSERT_EQ(bench.Run(reads, {}, {}, 1000000), "");
  uint64_t last = 0;
  uint64_t most = 0;
  for (const DramCommandRecord& record : bench.die().recorded()) {
    if (record.command != DramCommand::kRef) continue;
    most = std::max(most, record.cycle - last);
    last = record.cycle;
  }
  EXPECT_GT(bench.die().counters().ref, 5u);
  EXPECT_LE(most, static_cast<uint64_t>(vault.timing.tREFI));
  EXPECT_GE(most, static_cast<uint64_t>(vault.timing.tREFI - 120));
}

// An access in the fewest cycles, command by command.
TEST(VaultController, LoneReadTakesActivateAndRead) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  bench.die().Record(true);
  const auto access_bytes = static_cast<uint64_t>(vault.geometry.AccessBytes());
  auto access = [&](int row, int col) { return bench.die().AddressOf(0, row, col) / access_bytes; };
  // Two accesses of a page, then another row of that bank.
  ASSERT_EQ(bench.Run({{access(0, 0), 0}, {access(0, 1), 0}, {access(8, 0), 0}}, {}, {}, 10000),
            "");
  std::vector<DramCommand> commands;
  for (const auto& record : bench.die().recorded()) commands.push_back(record.command);
  if (commands.back() == DramCommand::kPre) commands.pop_back();  // of a closed page
  const std::vector<DramCommand> expected = {DramCommand::kAct, DramCommand::kRd,
                                             DramCommand::kRd,  DramCommand::kPre,
                                             DramCommand::kAct, DramCommand::kRd};
  ASSERT_EQ(commands, expected);
  auto gap = [&](size_t from, size_t to) {
    return static_cast<int>(bench.die().recorded()[to].cycle - bench.die().recorded()[from].cycle);
  };
  EXPECT_EQ(gap(0, 1), vault.timing.tRCD);
  EXPECT_EQ(gap(1, 2), std::max(vault.timing.tCCD, vault.geometry.beats));
  EXPECT_LE(gap(3, 4), vault.timing.tRP + 4);
  // Where tRCD is short the data of the access before still holds the bus.
  EXPECT_EQ(gap(4, 5), std::max(vault.timing.tRCD, gap(1, 2) - gap(2, 4)));
}

// A row stays open while its bank has no other work, unless it is to close.
TEST(VaultController, IdleRowsFollowThePagePolicy) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  bench.die().Record(true);
  ASSERT_EQ(bench.Run({{0, 0}}, {{0, 1}}, {}, 10000), "");
  ASSERT_EQ(bench.Wait(vault.timing.tRAS + vault.timing.tWR), "");
  const DramCommandRecord& last = bench.die().recorded().back();
  EXPECT_EQ(last.command, VT_ClosePage != 0 ? DramCommand::kPre : DramCommand::kWr);
}

// Accesses of two rows of one bank in turn: those of the open row go first, so that each row is
// opened once for many, and the oldest access is passed by few.
TEST(VaultController, RowHitsGoFirst) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  const DramDie& die = bench.die();
  const uint64_t access_bytes = static_cast<uint64_t>(vault.geometry.AccessBytes());
  std::vector<ReadJob> reads;
  std::vector<WriteJob> writes;
  for (int i = 0; i < 400; ++i) {
    const int col = i / 2 % vault.geometry.Columns();
    reads.push_back({die.AddressOf(3, i % 2, col) / access_bytes, 0});
    writes.push_back({die.AddressOf(3, 2 + i % 2, col) / access_bytes, 0});
  }
  ASSERT_EQ(bench.Run(reads, writes, {}, 100000), "");
  EXPECT_LE(die.counters().act, 200u);
  EXPECT_LE(bench.longest_read(), LongestRead(vault.timing, vault.geometry.beats));
}

// One access of another row among those of an open one.
TEST(VaultController, OldestAccessIsPassedByFew) {
  constexpr int kBypass = 16;  // Bypass of vt_vault_controller
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  bench.die().Record(true);
  const auto access_bytes = static_cast<uint64_t>(vault.geometry.AccessBytes());
  std::vector<ReadJob> reads;
  for (int i = 0; i < 100; ++i) {
    const int row = i == 8 ? 2 : 1;
    reads.push_back(
        {bench.die().AddressOf(3, row, i % vault.geometry.Columns()) / access_bytes, 0});
  }
  ASSERT_EQ(bench.Run(reads, {}, {}, 100000), "");
  int before = 0;
  for (const DramCommandRecord& record : bench.die().recorded()) {
    if (record.command != DramCommand::kRd) continue;
    if (record.row == 2) break;
    ++before;
  }
  EXPECT_GT(before, 8);
  EXPECT_LE(before, 8 + kBypass);
}

#if VT_Ecc
constexpr int kWords = 8;  // of an access of 64 bytes

// Bits of a word and its check bits, by number.
void FlipBit(Bench& bench, uint64_t access, int word, int bit) {
  bench.Flip(access, word, bit < 64 ? uint64_t{1} << bit : 0,
             static_cast<uint8_t>(bit < 64 ? 0 : 1 << (bit - 64)));
}
void FlipTwo(Bench& bench, uint64_t access, int word, int one, int two) {
  uint64_t data = 0;
  unsigned check = 0;
  for (int bit : {one, two}) {
    data ^= bit < 64 ? uint64_t{1} << bit : 0;
    check ^= bit < 64 ? 0 : 1u << (bit - 64);
  }
  bench.Flip(access, word, data, static_cast<uint8_t>(check));
}

// Reads one access and leaves time to write it back.
void ReadAlone(Bench& bench, uint64_t access) {
  ASSERT_EQ(bench.Run({{access, 0}}, {}, {}, 10000), "") << "access " << access;
  ASSERT_EQ(bench.Wait(200), "") << "access " << access;
}

TEST(VaultControllerEcc, SingleFlipIsCorrectedCountedAndWrittenBack) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  const uint64_t size = vault.geometry.Bytes();
  for (int bit = 0; bit < 72; ++bit) {
    const auto access = static_cast<uint64_t>(bit) * 91;
    FlipBit(bench, access, bit % kWords, bit);
    ASSERT_EQ(bench.die().WrongWords(0, size), 1u) << "bit " << bit;
    ASSERT_NO_FATAL_FAILURE(ReadAlone(bench, access));
    ASSERT_EQ(bench.corrected(), static_cast<uint64_t>(bit) + 1) << "bit " << bit;
    ASSERT_EQ(bench.scrubs(), static_cast<uint64_t>(bit) + 1) << "bit " << bit;
    ASSERT_EQ(bench.die().WrongWords(0, size), 0u) << "bit " << bit;
    ASSERT_NO_FATAL_FAILURE(ReadAlone(bench, access));
    ASSERT_EQ(bench.corrected(), static_cast<uint64_t>(bit) + 1) << "bit " << bit;
  }
  EXPECT_EQ(bench.uncorrectable(), 0u);
  EXPECT_EQ(bench.die().counters().wr, 72u);
}

TEST(VaultControllerEcc, DoubleFlipIsToldAtEveryReadUntilTheWordIsWritten) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  uint64_t told = 0;
  for (int one = 0; one < 72; one += 5) {
    for (int two = one + 1; two < 72; two += 9) {
      const auto access = static_cast<uint64_t>(one * 72 + two);
      FlipTwo(bench, access, two % kWords, one, two);
      for (int again = 0; again < 2; ++again) {
        ASSERT_NO_FATAL_FAILURE(ReadAlone(bench, access));
        ASSERT_EQ(bench.uncorrectable(), ++told);
      }
      ASSERT_EQ(bench.Run({{access, 1}}, {{access, 0}}, {}, 10000), "");
      ASSERT_EQ(bench.uncorrectable(), told);
    }
  }
  EXPECT_EQ(bench.corrected(), 0u);
  EXPECT_EQ(bench.scrubs(), 0u);
}

// An access with an uncorrectable word is not written back for its correctable one.
TEST(VaultControllerEcc, NoScrubOfAnAccessWithAnUncorrectableWord) {
  Vault vault;
  for (int single : {0, 7}) {
    Bench bench(vault.timing, vault.geometry, 1);
    FlipBit(bench, 5, single, 17);
    FlipTwo(bench, 5, 3, 1, 2);
    ASSERT_NO_FATAL_FAILURE(ReadAlone(bench, 5));
    EXPECT_EQ(bench.corrected(), 1u);
    EXPECT_EQ(bench.uncorrectable(), 1u);
    EXPECT_EQ(bench.die().counters().wr, 0u);
  }
}

// Partial writes over words with flips: a single one is gone, a word that was uncorrectable stays
// so unless all of it is written; random traffic around.
TEST(VaultControllerEcc, RandomTrafficOverFlipsKeepsAllOtherData) {
  Vault vault;
  constexpr uint64_t kSpan = 256;
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Bench bench(vault.timing, vault.geometry, seed);
    for (uint64_t access = 0; access < kSpan; ++access) {
      for (int word = 0; word < kWords; ++word) {
        const int bit = static_cast<int>(random() % 72);
        switch (random() % 32) {
          case 0:
          case 1:
          case 3:
            FlipBit(bench, access, word, bit);
            break;
          case 2:
            FlipTwo(bench, access, word, bit, (bit + 1 + static_cast<int>(random() % 71)) % 72);
            break;
          default:
            break;
        }
      }
    }
    std::vector<ReadJob> reads;
    std::vector<WriteJob> writes;
    for (int i = 0; i < 1000; ++i) {
      reads.push_back({random() % kSpan, 0});
      if (i % 3 != 0) writes.push_back({random() % kSpan, 0});
    }
    const int stall = seed % 2 == 0 ? 40 : 0;
    ASSERT_EQ(bench.Run(reads, writes, {stall, stall, stall / 4, true}, 4000000), "");
    EXPECT_LE(bench.longest_read(), LongestRead(vault.timing, vault.geometry.beats));
    EXPECT_GT(bench.corrected(), 100u);
    EXPECT_GT(bench.uncorrectable(), 30u);
    EXPECT_GT(bench.scrubs(), 2u);
    // What can be corrected is, once everything was read.
    for (uint64_t access = 0; access < kSpan; ++access) {
      ASSERT_NO_FATAL_FAILURE(ReadAlone(bench, access));
    }
    const uint64_t bytes = kSpan * static_cast<uint64_t>(vault.geometry.AccessBytes());
    EXPECT_GE(bench.die().WrongWords(0, bytes), bench.BadWords());
    EXPECT_EQ(bench.die().counters().wr, writes.size() + bench.scrubs());
  }
}

// A write that lacks bytes waits for those before it, which then do not wait for their age.
TEST(VaultControllerEcc, PartialWritesComeOutWhileReadsGoOn) {
  Vault vault;
  std::vector<ReadJob> reads;
  for (uint64_t i = 0; i < 6000; ++i) reads.push_back({i * 5, 0});
  std::vector<WriteJob> writes;
  for (uint64_t i = 0; i < 16; ++i) writes.push_back({900000 + i * 1000, 100});
  Bench bench(vault.timing, vault.geometry, 1);
  ASSERT_EQ(bench.Run(reads, writes, {0, 0, 0, true}, 1000000), "");
  std::printf("last of 16 partial writes after %llu cycles\n",
              static_cast<unsigned long long>(bench.longest_write()));
  EXPECT_LE(bench.longest_write(), 16u * 800u);
}

// More errors than wait to be written back: reads go on, and later ones ask again.
TEST(VaultControllerEcc, ScrubsBeyondTheQueueAreAskedForAgain) {
  Vault vault;
  Bench bench(vault.timing, vault.geometry, 1);
  constexpr uint64_t kSpan = 128;
  const uint64_t bytes = kSpan * static_cast<uint64_t>(vault.geometry.AccessBytes());
  std::vector<ReadJob> reads;
  for (uint64_t access = 0; access < kSpan; ++access) {
    FlipBit(bench, access, static_cast<int>(access % kWords), static_cast<int>(access % 72));
    reads.push_back({access, 0});
  }
  int passes = 0;
  while (bench.die().WrongWords(0, bytes) != 0 && passes < 100) {
    ASSERT_EQ(bench.Run(reads, {}, {}, 100000), "");
    ASSERT_EQ(bench.Wait(1000), "");
    ++passes;
  }
  std::printf("%d passes to write %d accesses back\n", passes, static_cast<int>(kSpan));
  EXPECT_GT(passes, 1);
  EXPECT_EQ(bench.die().WrongWords(0, bytes), 0u);
  EXPECT_EQ(bench.scrubs(), kSpan);
  EXPECT_EQ(bench.uncorrectable(), 0u);
}
#endif

#if defined(VT_HMC1_AT_1_NS) && VT_ReadQueue == 32
std::string ControllerText() {
  std::ifstream file(kSource + "/rtl_templates/vault/vt_vault_controller.v");
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

TEST(VaultController, DefaultsAreTheSetOfHmc1AtOneNanosecond) {
  Vault vault;
  std::string text = ControllerText();
  auto parameter = [&](const std::string& name) {
    std::smatch match;
    EXPECT_TRUE(std::regex_search(text, match, std::regex("parameter " + name + " *= *(\\d+)")))
        << name;
    return match.empty() ? -1 : std::stoi(match[1]);
  };
  EXPECT_EQ(parameter("tRCD"), vault.timing.tRCD);
  EXPECT_EQ(parameter("tRP"), vault.timing.tRP);
  EXPECT_EQ(parameter("tCL"), vault.timing.tCL);
  EXPECT_EQ(parameter("tCWL"), vault.timing.tCWL);
  EXPECT_EQ(parameter("tRAS"), vault.timing.tRAS);
  EXPECT_EQ(parameter("tRRD"), vault.timing.tRRD);
  EXPECT_EQ(parameter("tFAW"), vault.timing.tFAW);
  EXPECT_EQ(parameter("tCCD"), vault.timing.tCCD);
  EXPECT_EQ(parameter("tWTR"), vault.timing.tWTR);
  EXPECT_EQ(parameter("tWR"), vault.timing.tWR);
  EXPECT_EQ(parameter("tRTP"), vault.timing.tRTP);
  EXPECT_EQ(parameter("tRFC"), vault.timing.tRFC);
  EXPECT_EQ(parameter("tREFI"), vault.timing.tREFI);
  EXPECT_EQ(parameter("Banks"), vault.geometry.banks);
  EXPECT_EQ(1 << parameter("RowBits"), vault.geometry.rows);
  EXPECT_EQ(1 << parameter("ColBits"), vault.geometry.Columns());
  EXPECT_EQ(parameter("Beats"), vault.geometry.beats);
  EXPECT_EQ(parameter("BankRotate"), vault.geometry.bank_rotate);
  EXPECT_EQ(parameter("BankLow"), vault.geometry.bank_low);
}

TEST(VaultController, PortsMatchTheTableOfVaultPins) {
  std::string text = ControllerText();
  std::regex port("(input|output)\\s+(?:wire|reg)\\s+(?:\\[(.*):0\\]\\s+)?(dram_\\w+)");
  size_t pin = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), port), end; it != end; ++it, ++pin) {
    ASSERT_LT(pin, std::size(kVaultPins)) << (*it)[3];
    // "N-1" and "n" as the table spells them: "N" and "n+1".
    std::string width = (*it)[2];
    width = width.ends_with("-1") ? width.substr(0, width.size() - 2)
                                  : std::to_string(std::stoi("0" + width) + 1);
    std::string listed(kVaultPins[pin].width);
    listed.erase(std::remove(listed.begin(), listed.end(), ' '), listed.end());
    EXPECT_EQ((*it)[3].str(), kVaultPins[pin].name);
    EXPECT_EQ((*it)[1] == "output", kVaultPins[pin].output) << (*it)[3];
    EXPECT_EQ(width, listed) << (*it)[3];
  }
  EXPECT_EQ(pin, std::size(kVaultPins));
}
#endif

}  // namespace
}  // namespace vaultrain
