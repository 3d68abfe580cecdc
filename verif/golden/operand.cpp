// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/operand.h"

#include <algorithm>
#include <bit>

#include "golden/fp32.h"

namespace vaultrain::golden {
namespace {

constexpr uint32_t kSign = 0x80000000;
constexpr uint32_t kBf16Nan = 0x7FC0;
constexpr uint32_t kInfinity = 0x7F800000;

bool IsNan(uint32_t x) { return (x & ~kSign) > kInfinity; }
bool IsZero(uint32_t x) { return (x & ~kSign) < 0x00800000; }

// `value`, a magnitude in units of 2^-below (below > 16), as a whole number.
uint64_t Whole(uint64_t value, int below, Rounding rounding, uint32_t noise) {
  const uint64_t one = uint64_t{1} << below;
  const uint64_t whole = value / one;
  const uint64_t rest = value % one;
  switch (rounding) {
    case Rounding::kNearest:
      return whole + (2 * rest > one || (2 * rest == one && whole % 2 == 1) ? 1 : 0);
    case Rounding::kStochastic:
      return whole + (((rest >> (below - 16)) + noise) >> 16);
    case Rounding::kTruncate:
      break;
  }
  return whole;
}

uint32_t ToBf16(uint32_t x, Rounding rounding, uint32_t noise) {
  if (IsNan(x)) return kBf16Nan;
  if (IsZero(x)) return (x & kSign) >> 16;
  const uint64_t magnitude = Whole(uint64_t{x & ~kSign} << 8, 24, rounding, noise);
  return (x & kSign) >> 16 | static_cast<uint32_t>(magnitude);
}

uint32_t ToFp16(uint32_t x, Rounding rounding, uint32_t noise) {
  const uint32_t sign = (x & kSign) >> 16;
  if (IsNan(x)) return 0x7E00;
  // 13 bits fall off, to which 13 of the noise are added.
  const uint64_t rounded = Whole(uint64_t{x & ~kSign} << 11, 24, rounding, noise & 0xFFF8);
  if (rounded < uint64_t{113} << 10) return sign;
  if (rounded >= uint64_t{143} << 10) return sign | 0x7C00;
  return sign | static_cast<uint32_t>(rounded - (uint64_t{112} << 10));
}

uint32_t ToFx16(uint32_t x, int fraction_bits, Rounding rounding, uint32_t noise) {
  if (IsNan(x)) return 0x8000;
  if (IsZero(x)) return 0;
  const bool negative = (x & kSign) != 0;
  // The magnitude is significand * 2^(exponent - 40) units.
  const int exponent = static_cast<int>((x & ~kSign) >> 23) - 150 + fraction_bits + 40;
  const uint64_t significand = (x & 0x007FFFFF) | 0x00800000;
  uint64_t magnitude = 0x8000;
  if (exponent < 40 - 8) {  // below 2^15
    // What is shifted out lies below half a unit of 2^-40, beside a one of 2^-17 or more.
    const uint64_t value = exponent >= 0 ? significand << exponent
                           : exponent > -24
                               ? significand >> -exponent |
                                     ((significand & ((uint64_t{1} << -exponent) - 1)) != 0 ? 1 : 0)
                               : 0;
    magnitude = Whole(value, 40, rounding, noise);
  }
  if (negative) return magnitude >= 0x8000 ? 0x8000 : (0x10000 - magnitude) & 0xFFFF;
  return magnitude >= 0x8000 ? 0x7FFF : static_cast<uint32_t>(magnitude);
}

}  // namespace

uint32_t ToOperand(const OperandFormat& format, uint32_t x, Rounding rounding, uint32_t noise) {
  switch (format.number) {
    case NumberFormat::kBf16:
      return ToBf16(x, rounding, noise);
    case NumberFormat::kFx16:
      return ToFx16(x, format.fraction_bits, rounding, noise);
    case NumberFormat::kFp16:
      return ToFp16(x, rounding, noise);
    case NumberFormat::kFp32:
      break;
  }
  return x;
}

Fx32 ToFx32(int fraction_bits, uint32_t x) {
  constexpr int64_t kMost = 0x7FFF7FFF;
  if (IsNan(x)) return {-0x8000, 0};
  if (IsZero(x)) return {};
  // The magnitude is significand * 2^exponent units.
  const int exponent = static_cast<int>((x & ~kSign) >> 23) - 150 + fraction_bits + 16;
  const int64_t significand = (x & 0x007FFFFF) | 0x00800000;
  int64_t units = 1;  // of all that lie below a unit
  if (exponent >= 8) {
    units = kMost;
  } else if (exponent >= 0) {
    units = std::min(significand << exponent, kMost);
  } else if (exponent > -24) {
    const int64_t one = int64_t{1} << -exponent;
    units = significand / one;
    if (significand % one != 0) units |= 1;
  }
  if ((x & kSign) != 0) units = -units;
  const auto low = static_cast<int16_t>(units);
  return {static_cast<int16_t>((units - low) / 65536), low};
}

uint32_t OperandToFp32(const OperandFormat& format, uint32_t bits) {
  switch (format.number) {
    case NumberFormat::kBf16:
      return bits << 16;
    case NumberFormat::kFp16: {
      const uint32_t sign = (bits & 0x8000) << 16;
      const uint32_t exponent = bits >> 10 & 0x1F;
      if (exponent == 0) return sign;
      const uint32_t moved = exponent == 0x1F ? 0xFF : exponent + 112;
      return sign | moved << 23 | (bits & 0x3FF) << 13;
    }
    case NumberFormat::kFx16:
      return ScaledIntegerToFp32(static_cast<int16_t>(bits), -format.fraction_bits);
    case NumberFormat::kFp32:
      break;
  }
  return bits;
}

bool OperandIsPositive(const OperandFormat& format, uint32_t bits) {
  return Fp32IsPositive(OperandToFp32(format, bits));
}

uint32_t NoiseSeed(int stream, uint32_t seed) {
  const uint32_t own = 0x9E3779B9u * static_cast<uint32_t>(stream + 1);
  return seed == own ? own : seed ^ own;
}

uint32_t NoiseStep(uint32_t state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ state << 5;
}

}  // namespace vaultrain::golden
