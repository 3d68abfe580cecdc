// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vt_ecc_decode, with vt_ecc_encode in it, against the twin: every single and double flip.

#include "harness/ecc.h"

#include <Vdut.h>
#include <gtest/gtest.h>
#include <verilated.h>

#include <array>
#include <bit>
#include <random>
#include <set>

namespace vaultrain {
namespace {

struct Flips {
  uint64_t data = 0;
  uint8_t check = 0;
};

Flips Flip(Flips flips, int bit) {
  if (bit < 64) {
    flips.data ^= uint64_t{1} << bit;
  } else {
    flips.check ^= static_cast<uint8_t>(1 << (bit - 64));
  }
  return flips;
}

class Ecc : public ::testing::Test {
 protected:
  // What the decoder makes of a word a cycle later.
  EccWord Decode(uint64_t data, uint8_t check) {
    dut_.data_i = data;
    dut_.check_i = check;
    dut_.clk_i = 0;
    dut_.eval();
    dut_.clk_i = 1;
    dut_.eval();
    EXPECT_FALSE(dut_.corrected_o && dut_.uncorrectable_o);
    return {dut_.data_o, dut_.corrected_o       ? EccResult::kCorrected
                         : dut_.uncorrectable_o ? EccResult::kUncorrectable
                                                : EccResult::kClean};
  }
  void ExpectDecodes(uint64_t data, const Flips& flips, uint64_t out, EccResult result) {
    const uint64_t came = data ^ flips.data;
    const auto check = static_cast<uint8_t>(EccEncode(data) ^ flips.check);
    for (const EccWord& word : {Decode(came, check), EccDecode(came, check)}) {
      ASSERT_EQ(word.data, out) << std::hex << data << " with flips " << flips.data;
      ASSERT_EQ(word.result, result) << std::hex << data << " with flips " << flips.data;
    }
  }

  VerilatedContext context_;
  Vdut dut_{&context_};
  std::mt19937_64 random_{7};
};

TEST_F(Ecc, ColumnsDifferAreOddAndLoadEachCheckBitAlike) {
  std::set<uint8_t> seen;
  std::array<int, 8> ones{};
  for (uint8_t column : EccColumns()) {
    EXPECT_TRUE(seen.insert(column).second);
    EXPECT_EQ(std::popcount(column) % 2, 1);
    EXPECT_GT(std::popcount(column), 1);
    for (size_t row = 0; row < 8; ++row) ones[row] += column >> row & 1;
  }
  for (int count : ones) EXPECT_EQ(count, 26);
}

TEST_F(Ecc, CleanWordsPass) {
  for (int bit = 0; bit < 64; ++bit) {
    ExpectDecodes(uint64_t{1} << bit, {}, uint64_t{1} << bit, EccResult::kClean);
  }
  for (int i = 0; i < 1000; ++i) {
    const uint64_t data = random_();
    ExpectDecodes(data, {}, data, EccResult::kClean);
  }
}

TEST_F(Ecc, EverySingleFlipIsCorrected) {
  for (uint64_t data : {uint64_t{0}, ~uint64_t{0}, uint64_t{random_()}, uint64_t{random_()}}) {
    for (int bit = 0; bit < 72; ++bit) {
      ExpectDecodes(data, Flip({}, bit), data, EccResult::kCorrected);
    }
  }
}

TEST_F(Ecc, EveryDoubleFlipIsTold) {
  for (uint64_t data : {uint64_t{0}, ~uint64_t{0}, uint64_t{random_()}, uint64_t{random_()}}) {
    for (int one = 0; one < 72; ++one) {
      for (int two = one + 1; two < 72; ++two) {
        const Flips flips = Flip(Flip({}, one), two);
        ExpectDecodes(data, flips, data ^ flips.data, EccResult::kUncorrectable);
      }
    }
  }
}

// Beyond what the code promises both still agree.
TEST_F(Ecc, AgreesWithTheTwinOnAnyWord) {
  for (int i = 0; i < 20000; ++i) {
    const uint64_t data = random_();
    const auto check = static_cast<uint8_t>(random_());
    const EccWord rtl = Decode(data, check);
    const EccWord twin = EccDecode(data, check);
    ASSERT_EQ(rtl.data, twin.data) << std::hex << data << " " << int{check};
    ASSERT_EQ(rtl.result, twin.result) << std::hex << data << " " << int{check};
  }
}

}  // namespace
}  // namespace vaultrain
