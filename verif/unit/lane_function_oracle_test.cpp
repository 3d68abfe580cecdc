// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Errors of the functions of the lanes, and of what lane_library.h composes of them, against MPFR.

#include <gtest/gtest.h>
#include <mpfr.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

#include "golden/lanes.h"

namespace vaultrain {
namespace {

using Function = uint32_t (*)(uint32_t);
using Reference = std::function<void(mpfr_t)>;

float Value(uint32_t bits) { return std::bit_cast<float>(bits); }

double Exactly(float x, const Reference& reference) {
  mpfr_t y;
  mpfr_init2(y, 120);
  mpfr_set_flt(y, x, MPFR_RNDN);
  reference(y);
  const double result = mpfr_get_d(y, MPFR_RNDN);
  mpfr_clear(y);
  return result;
}

// Largest |f(x) - exact| / scale(exact) over numbers near the ends of all segments and between
// them, in the binades [low, high).
double Worst(Function f, const Reference& reference, int low, int high,
             const std::function<double(double)>& scale) {
  std::mt19937 random(21);
  double worst = 0;
  auto look = [&](uint32_t bits) {
    const double exact = Exactly(Value(bits), reference);
    worst = std::max(worst, std::abs(static_cast<double>(Value(f(bits))) - exact) / scale(exact));
  };
  for (int binade = low; binade < high; ++binade) {
    const auto exponent = static_cast<uint32_t>(binade + 127) << 23;
    for (uint32_t segment = 0; segment < 64; ++segment) {
      for (uint32_t at : {0u, 1u, 0x8000u, 0x10000u, 0x18000u, 0x1FFFFu}) {
        look(exponent | segment << 17 | at);
      }
    }
  }
  for (int i = 0; i < 400000; ++i) {
    const auto exponent =
        static_cast<uint32_t>(low + 127 + static_cast<int>(random() % (high - low))) << 23;
    look(exponent | (random() & 0x7FFFFF));
  }
  return worst;
}

double Relative(double exact) { return std::abs(exact); }

void Expect(const char* name, double worst, double bound) {
  std::printf("%s: worst 2^%.2f, bound 2^%.2f\n", name, std::log2(worst), std::log2(bound));
  EXPECT_LE(worst, bound) << name;
}

TEST(LaneFunctionOracle, Exp2StaysWithinItsRelativeBound) {
  const Reference exp2 = [](mpfr_t y) { mpfr_exp2(y, y, MPFR_RNDN); };
  Expect("2^x", Worst(golden::LaneExp2, exp2, -30, 6, Relative), std::ldexp(1.0, -23));
  const Reference below = [](mpfr_t y) {
    mpfr_neg(y, y, MPFR_RNDN);
    mpfr_exp2(y, y, MPFR_RNDN);
  };
  const Function negative = [](uint32_t x) { return golden::LaneExp2(x | 0x80000000); };
  Expect("2^-x", Worst(negative, below, -30, 6, Relative), std::ldexp(1.0, -23));
}

TEST(LaneFunctionOracle, Log2StaysWithinItsBound) {
  const Reference log2 = [](mpfr_t y) { mpfr_log2(y, y, MPFR_RNDN); };
  const auto scale = [](double exact) { return std::max(1.0, std::abs(exact)); };
  Expect("log2", Worst(golden::LaneLog2, log2, -126, 127, scale), std::ldexp(1.0, -23));
}

TEST(LaneFunctionOracle, RecipStaysWithinItsRelativeBound) {
  const Reference recip = [](mpfr_t y) { mpfr_ui_div(y, 1, y, MPFR_RNDN); };
  Expect("1/x", Worst(golden::LaneRecip, recip, -126, 126, Relative), std::exp2(-22.5));
}

TEST(LaneFunctionOracle, RsqrtStaysWithinItsRelativeBound) {
  const Reference rsqrt = [](mpfr_t y) { mpfr_rec_sqrt(y, y, MPFR_RNDN); };
  Expect("1/sqrt x", Worst(golden::LaneRsqrt, rsqrt, -126, 127, Relative), std::ldexp(1.0, -23));
}

TEST(LaneFunctionOracle, PowersOfTwoAreExact) {
  for (int k = -125; k < 126; ++k) {
    const auto bits = static_cast<uint32_t>(k + 127) << 23;
    EXPECT_EQ(Value(golden::LaneExp2(std::bit_cast<uint32_t>(static_cast<float>(k)))),
              std::ldexp(1.0f, k));
    EXPECT_EQ(Value(golden::LaneLog2(bits)), static_cast<float>(k));
    EXPECT_EQ(Value(golden::LaneRecip(bits)), std::ldexp(1.0f, -k));
    if (k % 2 == 0) {
      EXPECT_EQ(Value(golden::LaneRsqrt(bits)), std::ldexp(1.0f, -k / 2));
    }
  }
}

TEST(LaneFunctionOracle, SpecialValues) {
  constexpr uint32_t kInf = 0x7F800000, kMinusInf = 0xFF800000, kNan = 0x7FC00000;
  constexpr uint32_t kMinusZero = 0x80000000, kOne = 0x3F800000, kMinusOne = 0xBF800000;
  struct Case {
    uint32_t x, exp2, log2, recip, rsqrt;
  };
  for (const Case& c :
       {Case{0, kOne, kMinusInf, kInf, kInf}, Case{kMinusZero, kOne, kMinusInf, kMinusInf, kInf},
        Case{0x00000001, kOne, kMinusInf, kInf, kInf}, Case{kInf, kInf, kInf, 0, 0},
        Case{kMinusInf, 0, kNan, kMinusZero, kNan}, Case{kOne, 0x40000000, 0, kOne, kOne},
        Case{kMinusOne, 0x3F000000, kNan, kMinusOne, kNan},
        Case{0xFFFFFFFF, kNan, kNan, kNan, kNan},
        Case{0x43000000, kInf, 0x40E00000, 0x3C000000, 0}}) {
    EXPECT_EQ(golden::LaneExp2(c.x), c.exp2) << std::hex << c.x;
    EXPECT_EQ(golden::LaneLog2(c.x), c.log2) << std::hex << c.x;
    EXPECT_EQ(golden::LaneRecip(c.x), c.recip) << std::hex << c.x;
    if (c.rsqrt == 0 && c.x != kInf) continue;  // not a power of four
    EXPECT_EQ(golden::LaneRsqrt(c.x), c.rsqrt) << std::hex << c.x;
  }
}

}  // namespace
}  // namespace vaultrain
