// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The model of the dies against the datasheet: what is allowed passes at its first allowed cycle,
// and each rule fires one cycle earlier.

#include "harness/dram_die.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

const std::string kSets = std::string(VT_SOURCE_DIR) + "/constraints/dram/";

DramTiming Timing() { return CyclesAt(ReadDramSet(kSets + "hmc1.toml"), 1000); }
DramGeometry Geometry() { return GeometryOf(ReadDramSet(kSets + "hmc1.toml"), 64); }

constexpr DramCommand kAct = DramCommand::kAct, kRd = DramCommand::kRd, kWr = DramCommand::kWr,
                      kPre = DramCommand::kPre, kPreAll = DramCommand::kPreAll,
                      kRef = DramCommand::kRef;

// Issues commands at gaps and keeps what was issued; write data is driven when the dies expect it.
class Datasheet : public ::testing::Test {
 protected:
  Datasheet() : t_(Timing()), die_(t_, Geometry()) { die_.Record(true); }

  // `gap` cycles after the command before.
  void Issue(int gap, DramCommand command, int bank = 0, int row = 0, int col = 0) {
    for (int cycle = 1; cycle < gap; ++cycle) Idle();
    VaultPins pins;
    pins.cmd = static_cast<uint8_t>(command);
    pins.bank = static_cast<uint8_t>(bank);
    pins.row = static_cast<uint32_t>(row);
    pins.col = static_cast<uint16_t>(col);
    Cycle(pins);
  }
  void Idle() {
    VaultPins pins;
    Cycle(pins);
  }
  void Cycle(VaultPins& pins) {
    for (int64_t start : bursts_) {
      int64_t beat = static_cast<int64_t>(die_.cycle()) + 1 - start;
      if (beat < 0 || beat >= Geometry().beats) continue;
      pins.wmask = 0xff;
      pins.wdata[0] = 0x1111 * static_cast<uint64_t>(beat + 1);
    }
    die_.Tick(pins);
    if (pins.cmd == static_cast<uint8_t>(kWr)) {
      bursts_.push_back(static_cast<int64_t>(die_.cycle()) + t_.tCWL);
    }
    read_.push_back(pins.rdata[0]);
  }

  void ExpectCommands(const std::vector<DramCommand>& expected) {
    std::vector<DramCommand> issued;
    for (const DramCommandRecord& record : die_.recorded()) issued.push_back(record.command);
    EXPECT_EQ(issued, expected);
  }
  void ExpectGap(size_t from, size_t to, int gap) {
    EXPECT_EQ(die_.recorded().at(to).cycle - die_.recorded().at(from).cycle, uint64_t(gap));
  }
  void ExpectClean() { EXPECT_FALSE(die_.violation()) << die_.violation()->Text(); }
  void ExpectBroken(const std::string& rule, int64_t had, int64_t needed) {
    ASSERT_TRUE(die_.violation()) << rule;
    EXPECT_EQ(die_.violation()->rule.substr(0, rule.size()), rule) << die_.violation()->Text();
    EXPECT_EQ(die_.violation()->had, had) << die_.violation()->Text();
    EXPECT_EQ(die_.violation()->needed, needed) << die_.violation()->Text();
    EXPECT_EQ(die_.violation()->cycle, die_.cycle());
    EXPECT_NE(die_.violation()->Text().find(rule), std::string::npos);
  }
  // The rule holds at `gap` and breaks one cycle earlier; Setup issues what comes before the last
  // command.
  void ExpectLeastGap(const std::string& rule, int gap, int64_t needed,
                      const std::function<void()>& setup, const std::function<void(int)>& last) {
    die_.Reset();
    bursts_.clear();
    setup();
    last(gap);
    ExpectClean();
    die_.Reset();
    bursts_.clear();
    setup();
    ExpectClean();
    last(gap - 1);
    ExpectBroken(rule, needed - 1, needed);
  }

  DramTiming t_;
  DramDie die_;
  std::vector<int64_t> bursts_;
  std::vector<uint64_t> read_;
};

TEST_F(Datasheet, ReadsAPageAtItsFastest) {
  std::vector<uint8_t> bytes(64);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  die_.Write(die_.AddressOf(3, 77, 2), bytes);
  Issue(1, kAct, 3, 77);
  Issue(t_.tRCD, kRd, 3, 77, 2);
  Issue(8, kRd, 3, 77, 3);
  Issue(t_.tRTP, kPre, 3);
  Issue(t_.tRP, kAct, 3, 78);
  ExpectClean();
  ExpectCommands({kAct, kRd, kRd, kPre, kAct});
  ExpectGap(0, 1, t_.tRCD);
  ExpectGap(3, 4, t_.tRP);
  // read_[c - 1] is what stood on the pins in cycle c.
  size_t first = die_.recorded()[1].cycle + static_cast<size_t>(t_.tCL) - 1;
  EXPECT_EQ(read_[first - 1], 0u);
  for (size_t beat = 0; beat < 8; ++beat) {
    EXPECT_EQ(read_[first + beat] & 0xff, beat * 8) << "beat " << beat;
  }
}

TEST_F(Datasheet, WritesAppearAtTheirBytes) {
  Issue(1, kAct, 1, 5);
  Issue(t_.tRCD, kWr, 1, 5, 1);
  for (int cycle = 0; cycle < 40; ++cycle) Idle();
  ExpectClean();
  std::vector<uint8_t> bytes(66);
  die_.Read(die_.AddressOf(1, 5, 1), bytes);
  for (size_t beat = 0; beat < 8; ++beat) EXPECT_EQ(bytes[beat * 8 + 1], 0x11 * (beat + 1));
  EXPECT_EQ(bytes[64], 0);
}

TEST_F(Datasheet, MaskedBytesStay) {
  Issue(1, kAct, 0, 0);
  Issue(t_.tRCD, kWr, 0, 0, 0);
  bursts_.clear();
  for (int cycle = 1; cycle < t_.tCWL; ++cycle) Idle();
  for (int beat = 0; beat < 8; ++beat) {
    VaultPins pins;
    pins.wmask = beat == 2 ? 0x81 : 0;
    pins.wdata[0] = ~uint64_t{0};
    Cycle(pins);
  }
  ExpectClean();
  std::vector<uint8_t> bytes(64);
  die_.Read(0, bytes);
  for (size_t b = 0; b < 64; ++b) EXPECT_EQ(bytes[b], b == 16 || b == 23 ? 0xff : 0) << b;
}

TEST_F(Datasheet, EveryTimingRuleFires) {
  auto open = [&] { Issue(1, kAct, 0, 1); };
  auto opened = [&] {
    open();
    Issue(t_.tRAS, DramCommand::kNop);
  };
  ExpectLeastGap("tRCD", t_.tRCD, t_.tRCD, open, [&](int gap) { Issue(gap, kRd, 0, 1); });
  ExpectLeastGap("tRCD", t_.tRCD, t_.tRCD, open, [&](int gap) { Issue(gap, kWr, 0, 1); });
  ExpectLeastGap("tRAS", t_.tRAS, t_.tRAS, open, [&](int gap) { Issue(gap, kPre, 0); });
  ExpectLeastGap("tRAS", t_.tRAS, t_.tRAS, open, [&](int gap) { Issue(gap, kPreAll); });
  ExpectLeastGap("tRRD", t_.tRRD, t_.tRRD, open, [&](int gap) { Issue(gap, kAct, 1, 1); });
  ExpectLeastGap(
      "tRP", t_.tRP, t_.tRP,
      [&] {
        opened();
        Issue(1, kPre, 0);
      },
      [&](int gap) { Issue(gap, kAct, 0, 2); });
  ExpectLeastGap(
      "tRP", t_.tRP, t_.tRP,
      [&] {
        opened();
        Issue(1, kPre, 0);
      },
      [&](int gap) { Issue(gap, kRef); });
  ExpectLeastGap(
      "tFAW", t_.tFAW - 3 * t_.tRRD, t_.tFAW,
      [&] {
        for (int bank = 0; bank < 4; ++bank) Issue(t_.tRRD, kAct, bank, 1);
      },
      [&](int gap) { Issue(gap, kAct, 4, 1); });
  ExpectLeastGap(
      "tRTP", t_.tRTP, t_.tRTP,
      [&] {
        opened();
        Issue(1, kRd, 0, 1);
      },
      [&](int gap) { Issue(gap, kPre, 0); });
  ExpectLeastGap(
      "tWR", t_.tCWL + 8 + t_.tWR, t_.tWR,
      [&] {
        opened();
        Issue(1, kWr, 0, 1);
      },
      [&](int gap) { Issue(gap, kPre, 0); });
  ExpectLeastGap(
      "tWTR", t_.tCWL + 8 + t_.tWTR, t_.tWTR,
      [&] {
        opened();
        Issue(1, kWr, 0, 1);
      },
      [&](int gap) { Issue(gap, kRd, 0, 1); });
  ExpectLeastGap(
      "tRFC", t_.tRFC, t_.tRFC, [&] { Issue(1, kRef); }, [&](int gap) { Issue(gap, kAct, 0, 1); });
  // With 8 beats an access covers tCCD; with fewer it shows.
  t_.tCCD = 10;
  die_ = DramDie(t_, Geometry());
  for (DramCommand command : {kRd, kWr}) {
    ExpectLeastGap(
        "tCCD", t_.tCCD, t_.tCCD,
        [&] {
          opened();
          Issue(1, command, 0, 1);
        },
        [&](int gap) { Issue(gap, command, 0, 1); });
  }
}

TEST_F(Datasheet, DataOfTwoAccessesMustNotOverlap) {
  Issue(1, kAct, 0, 1);
  Issue(t_.tRCD, kRd, 0, 1);
  Issue(7, kRd, 0, 1);
  ASSERT_TRUE(die_.violation());
  EXPECT_EQ(die_.violation()->rule, "data of two accesses overlap");
  die_.Reset();
  Issue(1, kAct, 0, 1);
  Issue(t_.tRCD, kRd, 0, 1);
  Issue(7, kWr, 0, 1);
  ASSERT_TRUE(die_.violation());
  EXPECT_EQ(die_.violation()->rule, "data of two accesses overlap");
}

TEST_F(Datasheet, ProtocolRulesFire) {
  struct Case {
    const char* rule;
    std::function<void()> commands;
  };
  const Case cases[] = {
      {"RD from a closed bank", [&] { Issue(1, kRd, 2, 1); }},
      {"WR to a closed bank", [&] { Issue(1, kWr, 2, 1); }},
      {"PRE of a closed bank", [&] { Issue(1, kPre, 2); }},
      {"ACT of an open bank, row",
       [&] {
         Issue(1, kAct, 2, 1);
         Issue(100, kAct, 2, 3);
       }},
      {"RD from another row than the open one",
       [&] {
         Issue(1, kAct, 2, 1);
         Issue(100, kRd, 2, 3);
       }},
      {"WR to another row than the open one",
       [&] {
         Issue(1, kAct, 2, 1);
         Issue(100, kWr, 2, 3);
       }},
      {"REF with an open bank",
       [&] {
         Issue(1, kAct, 2, 1);
         Issue(100, kRef);
       }},
      {"bank out of range", [&] { Issue(1, kAct, 8, 1); }},
      {"row out of range", [&] { Issue(1, kAct, 0, 65536); }},
      {"column out of range",
       [&] {
         Issue(1, kAct, 2, 1);
         Issue(100, kRd, 2, 1, 4);
       }},
      {"unknown command", [&] { Issue(1, static_cast<DramCommand>(7)); }},
      {"write mask outside the beats of a write",
       [&] {
         VaultPins pins;
         pins.wmask = 1;
         Cycle(pins);
       }},
  };
  for (const Case& test : cases) {
    die_.Reset();
    bursts_.clear();
    test.commands();
    ASSERT_TRUE(die_.violation()) << test.rule;
    EXPECT_EQ(die_.violation()->rule, test.rule);
  }
}

TEST_F(Datasheet, RefreshIsLateOneCycleAfterTheInterval) {
  Issue(t_.tREFI, kRef);
  Issue(t_.tREFI, kRef);
  ExpectClean();
  for (int cycle = 0; cycle < t_.tREFI; ++cycle) Idle();
  ExpectClean();
  Idle();
  ExpectBroken("tREFI", t_.tREFI + 1, t_.tREFI);
}

TEST_F(Datasheet, OnlyTheFirstViolationIsKept) {
  Issue(1, kRd, 2, 1);
  Issue(1, kWr, 3, 1);
  EXPECT_EQ(die_.violation()->rule, "RD from a closed bank");
  EXPECT_EQ(die_.violation()->Text(), "cycle 1, bank 2: RD from a closed bank, had 0, needed 1");
}

TEST(DramDie, BackdoorCrossesPagesAndRefusesTheEnd) {
  DramDie die(Timing(), Geometry(), 0xee);
  std::vector<uint8_t> in(200000), out(200002);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i * 7);
  die.Write(65536 - 33, in);
  die.Read(65536 - 34, out);
  EXPECT_EQ(out.front(), 0xee);
  EXPECT_EQ(out.back(), 0xee);
  EXPECT_TRUE(std::equal(in.begin(), in.end(), out.begin() + 1));
  EXPECT_THROW(die.Read(Geometry().Bytes() - 1, out), std::out_of_range);
  EXPECT_THROW(die.Write(Geometry().Bytes() - 1, in), std::out_of_range);
}

DramGeometry Checked() {
  DramGeometry geometry = Geometry();
  geometry.ecc = 1;
  return geometry;
}

TEST(CheckedDie, BackdoorEncodesAndCorrects) {
  DramDie die(Timing(), Checked(), 0xee);
  std::vector<uint8_t> expected(200000, 0xee), out(200000);
  std::mt19937 random(3);
  const auto area = static_cast<uint64_t>(expected.size());
  for (int i = 0; i < 300; ++i) {
    const uint64_t at = random() % (area - 100);
    std::vector<uint8_t> in(1 + random() % 99);
    for (uint8_t& byte : in) byte = static_cast<uint8_t>(random());
    // A flip that the write covers, in part, or that stands beside it.
    const uint64_t flip = (at + random() % 99) / 8 * 8;
    if (die.WrongWords(flip, 8) == 0) {
      const auto bit = static_cast<int>(random() % 72);
      die.Flip(flip, bit < 64 ? uint64_t{1} << bit : 0,
               static_cast<uint8_t>(bit < 64 ? 0 : 1 << (bit - 64)));
      ASSERT_EQ(die.WrongWords(flip, 8), 1u);
    }
    die.Write(at, in);
    std::copy(in.begin(), in.end(), expected.begin() + static_cast<int64_t>(at));
    ASSERT_EQ(die.WrongWords(at / 8 * 8, (in.size() + at % 8 + 7) / 8 * 8), 0u);
    die.Read(0, out);
    ASSERT_EQ(out, expected) << "write " << i;
  }
  EXPECT_GT(die.WrongWords(0, area), 0u);
}

TEST(CheckedDie, WordWithTwoFlipsComesAsItIs) {
  DramDie die(Timing(), Checked(), 0x11);
  die.Flip(64, 0x8001, 0);
  std::vector<uint8_t> out(24);
  die.Read(56, out);
  EXPECT_EQ(out[7], 0x11);
  EXPECT_EQ(out[8], 0x10);
  EXPECT_EQ(out[9], 0x91);
  EXPECT_EQ(out[16], 0x11);
}

TEST(CheckedDie, FlipsOfBitsThatAreNotThereAreRefused) {
  DramDie plain(Timing(), Geometry());
  EXPECT_THROW(plain.Flip(0, 0, 1), std::invalid_argument);
  EXPECT_THROW(plain.Flip(4, 1, 0), std::invalid_argument);
  EXPECT_THROW(plain.Flip(Geometry().Bytes(), 1, 0), std::out_of_range);
  DramGeometry narrow = Checked();
  narrow.data_bits = 32;
  EXPECT_THROW(DramDie(Timing(), narrow), std::invalid_argument);
}

// Check bits cross the pins above the data, as they came; a masked beat is a broken rule.
TEST(CheckedDie, PinsCarryTheCheckBits) {
  const DramTiming t = Timing();
  for (const uint64_t mask : {uint64_t{0xff}, uint64_t{0x7f}}) {
    DramDie die(t, Checked());
    std::vector<uint64_t> checks;
    for (int cycle = 1; cycle < 200; ++cycle) {
      VaultPins pins;
      if (cycle == 10) pins.cmd = static_cast<uint8_t>(kAct);
      if (cycle == 40) pins.cmd = static_cast<uint8_t>(kWr);
      if (cycle == 100) pins.cmd = static_cast<uint8_t>(kRd);
      const int beat = cycle - 40 - t.tCWL;
      if (beat >= 0 && beat < 8) {
        pins.wmask = mask;
        pins.wdata = {static_cast<uint64_t>(beat), static_cast<uint64_t>(0xa0 + beat)};
      }
      die.Tick(pins);
      if (cycle >= 100 + t.tCL && cycle < 108 + t.tCL) checks.push_back(pins.rdata[1]);
    }
    if (mask == 0xff) {
      ASSERT_FALSE(die.violation()) << die.violation()->Text();
      for (uint64_t beat = 0; beat < 8; ++beat) EXPECT_EQ(checks.at(beat), 0xa0 + beat);
    } else {
      ASSERT_TRUE(die.violation());
      EXPECT_EQ(die.violation()->rule, "write mask of a part of a beat with check bits");
    }
  }
}

TEST(DramDie, EveryAccessHasItsOwnAddress) {
  DramGeometry geometry = Geometry();
  geometry.rows = 64;
  DramDie die(Timing(), geometry);
  std::vector<bool> seen(geometry.Bytes() / 64);
  for (int bank = 0; bank < geometry.banks; ++bank) {
    for (int row = 0; row < geometry.rows; ++row) {
      for (int col = 0; col < geometry.Columns(); ++col) {
        uint64_t address = die.AddressOf(bank, row, col);
        ASSERT_EQ(address % 64, 0u);
        ASSERT_FALSE(seen.at(address / 64));
        seen[address / 64] = true;
      }
    }
  }
}

// Counts, no verdict on time: the figure is for the log.
TEST(DramDie, TicksAreCheap) {
  DramDie die(Timing(), Geometry());
  VaultPins pins;
  auto start = std::chrono::steady_clock::now();
  constexpr int kTicks = 2000000;
  for (int tick = 0; tick < kTicks; ++tick) die.Tick(pins);
  auto idle = std::chrono::steady_clock::now();
  die.Reset();
  pins.cmd = 1;
  die.Tick(pins);
  for (int tick = 0; tick < kTicks; ++tick) {
    pins.cmd = tick > 50 && tick % 8 == 0 ? 2 : 0;
    die.Tick(pins);
  }
  auto end = std::chrono::steady_clock::now();
  auto ns = [&](auto from, auto to) {
    return std::chrono::duration<double, std::nano>(to - from).count() / kTicks;
  };
  std::printf("ns per tick: idle %.1f, streaming reads %.1f\n", ns(start, idle), ns(idle, end));
  EXPECT_EQ(die.cycle(), uint64_t{kTicks} + 1);
  EXPECT_EQ(die.counters().rd, uint64_t{(kTicks - 1) / 8 - 6});
}

// ---- timing sets

TEST(DramSet, MinimumsRoundUpAndTheMaximumDown) {
  DramSet set = ReadDramSet(kSets + "hmc1.toml");
  DramTiming at_tck = CyclesAt(set, 800);
  EXPECT_EQ(at_tck.tRCD, 17);
  EXPECT_EQ(at_tck.tFAW, 27);
  EXPECT_EQ(at_tck.tRFC, 420);
  EXPECT_EQ(at_tck.tREFI, 9364);
  DramTiming at_1ghz = CyclesAt(set, 1000);
  EXPECT_EQ(at_1ghz.tRCD, 14);
  EXPECT_EQ(at_1ghz.tRRD, 4);
  EXPECT_EQ(at_1ghz.tRFC, 336);
  EXPECT_EQ(at_1ghz.tREFI, 7491);
  DramTiming at_10ns = CyclesAt(set, 10000);
  EXPECT_EQ(at_10ns.tRCD, 2);
  EXPECT_EQ(at_10ns.tWTR, 1);
}

TEST(DramSet, ShippedSetsHaveTheirGeometry) {
  EXPECT_EQ(Geometry().Bytes(), uint64_t{128} << 20);
  EXPECT_EQ(Geometry().AccessBytes(), 64);
  EXPECT_EQ(GeometryOf(ReadDramSet(kSets + "hmc2.toml"), 64).Bytes(), uint64_t{256} << 20);
  EXPECT_EQ(GeometryOf(ReadDramSet(kSets + "hbm.toml"), 256).AccessBytes(), 64);
  EXPECT_EQ(GeometryOf(ReadDramSet(kSets + "hbm.toml"), 256).Bytes(), uint64_t{512} << 20);
}

TEST(DramSet, BadFilesAreRefusedByName) {
  std::ifstream file(kSets + "hmc1.toml");
  const std::string good((std::istreambuf_iterator<char>(file)), {});
  struct Case {
    const char* find;
    const char* replace;
    const char* message;
  };
  const Case cases[] = {
      {"tRCD = 13.6", "", "timing_ns.tRCD must be a number"},
      {"tRCD = 13.6", "tRCD = -1", "timing_ns.tRCD = -1 must be above 0"},
      {"tRCD = 13.6", "tRCD = 13.6\ntRDC = 1", "timing_ns.tRDC is no key"},
      {"banks = 8", "banks = 7", "geometry.banks = 7 must be a power of two"},
      {"banks = 8", "banks = 8.5", "geometry.banks must be an integer"},
      {"[geometry]", "[size]", "size is no key"},
      {"schema = 1", "schema = 2", "schema must be 1"},
      {"name = \"hmc1\"", "", "name must be a string"},
      {"tRAS = 27.2", "tRAS = 5", "tRAS must be at least tRCD"},
      {"tREFI = 7491.2", "tREFI = 400", "tREFI must be at least twice"},
      {"tRP = 13.6", "tRP = = 3", "a timing set is a TOML file"},
  };
  std::string path = ::testing::TempDir() + "vaultrain_dram_set.toml";
  for (const Case& test : cases) {
    std::string text = good;
    size_t at = text.find(test.find);
    ASSERT_NE(at, std::string::npos) << test.find;
    text.replace(at, std::string(test.find).size(), test.replace);
    std::ofstream(path) << text;
    try {
      ReadDramSet(path);
      ADD_FAILURE() << "accepted: " << test.replace;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      EXPECT_NE(std::string(error.what()).find(test.message), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
  }
  std::remove(path.c_str());
  EXPECT_THROW(ReadDramSet(path), Error);
  EXPECT_THROW(CyclesAt(ReadDramSet(kSets + "hmc1.toml"), 100000), Error);
  EXPECT_THROW(GeometryOf(ReadDramSet(kSets + "hmc1.toml"), 48), Error);
  EXPECT_THROW(GeometryOf(ReadDramSet(kSets + "hmc1.toml"), 512), Error);
}

}  // namespace
}  // namespace vaultrain
