// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/fp32.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace vaultrain::golden {
namespace {

constexpr uint32_t kSign = 0x80000000;
constexpr uint32_t kInfinity = 0x7F800000;
constexpr int kMantissaBits = 24;
// Of the unit in the last place of the smallest normal number.
constexpr int kMinUlpExponent = -149;

uint32_t Magnitude(uint32_t x) { return x & ~kSign; }
bool IsNan(uint32_t x) { return Magnitude(x) > kInfinity; }
bool IsInfinity(uint32_t x) { return Magnitude(x) == kInfinity; }
bool IsZero(uint32_t x) { return Magnitude(x) < 0x00800000; }

// A finite, non-zero fp32 as mantissa * 2^exponent, the mantissa of 24 bits.
struct Parts {
  uint64_t mantissa;
  int exponent;
};

Parts Unpack(uint32_t x) {
  return {(x & 0x007FFFFF) | 0x00800000, static_cast<int>(Magnitude(x) >> 23) - 150};
}

// (-1)^negative * (magnitude + a little, if sticky) * 2^exponent, rounded. `magnitude` is not 0,
// and with sticky it has more than 24 bits.
uint32_t Round(bool negative, uint64_t magnitude, int exponent, bool sticky) {
  const uint32_t sign = negative ? kSign : 0;
  const int excess = static_cast<int>(std::bit_width(magnitude)) - kMantissaBits;
  if (excess > 0) {
    const uint64_t rest = magnitude & ((uint64_t{1} << excess) - 1);
    const uint64_t half = uint64_t{1} << (excess - 1);
    magnitude >>= excess;
    if (rest > half || (rest == half && (sticky || magnitude % 2 == 1))) ++magnitude;
  } else {
    magnitude <<= -excess;
  }
  exponent += excess;
  if (magnitude == uint64_t{1} << kMantissaBits) {
    magnitude /= 2;
    ++exponent;
  }
  if (exponent < kMinUlpExponent) return sign;
  if (exponent + kMantissaBits > 128) return sign | kInfinity;
  const uint32_t biased = static_cast<uint32_t>(exponent - kMinUlpExponent + 1);
  return sign | biased << 23 | (static_cast<uint32_t>(magnitude) & 0x007FFFFF);
}

}  // namespace

uint32_t Fp32Add(uint32_t a, uint32_t b) {
  if (IsNan(a) || IsNan(b)) return kFp32Nan;
  if (IsInfinity(a)) return IsInfinity(b) && a != b ? kFp32Nan : a;
  if (IsInfinity(b)) return b;
  if (IsZero(a) && IsZero(b)) return a & b & kSign;
  if (IsZero(a)) return b;
  if (IsZero(b)) return a;
  if (Magnitude(a) < Magnitude(b)) std::swap(a, b);
  Parts large = Unpack(a);
  Parts small = Unpack(b);
  // 36 bits of room under the larger operand; what falls off below them can no longer decide more
  // than a tie.
  constexpr int kRoom = 36;
  large.mantissa <<= kRoom;
  large.exponent -= kRoom;
  const int up = small.exponent - large.exponent;
  bool sticky = false;
  if (up >= 0) {
    small.mantissa <<= up;
  } else {
    const int down = std::min(-up, 63);
    sticky = (small.mantissa & ((uint64_t{1} << down) - 1)) != 0;
    small.mantissa >>= down;
  }
  uint64_t magnitude;
  if ((a ^ b) & kSign) {
    magnitude = large.mantissa - small.mantissa - (sticky ? 1 : 0);
  } else {
    magnitude = large.mantissa + small.mantissa;
  }
  if (magnitude == 0) return 0;
  return Round((a & kSign) != 0, magnitude, large.exponent, sticky);
}

uint32_t Fp32Mul(uint32_t a, uint32_t b) {
  const uint32_t sign = (a ^ b) & kSign;
  if (IsNan(a) || IsNan(b)) return kFp32Nan;
  if (IsInfinity(a) || IsInfinity(b)) return IsZero(a) || IsZero(b) ? kFp32Nan : sign | kInfinity;
  if (IsZero(a) || IsZero(b)) return sign;
  const Parts x = Unpack(a);
  const Parts y = Unpack(b);
  return Round(sign != 0, x.mantissa * y.mantissa, x.exponent + y.exponent, false);
}

uint32_t ScaledIntegerToFp32(int64_t mantissa, int exponent) {
  if (mantissa == 0) return 0;
  const bool negative = mantissa < 0;
  const uint64_t bits = static_cast<uint64_t>(mantissa);
  return Round(negative, negative ? uint64_t{0} - bits : bits, exponent, false);
}

bool Fp32IsPositive(uint32_t x) { return !(x & kSign) && !IsZero(x) && !IsNan(x); }

uint32_t AccToFp32(const Accumulator& acc, int exp_zero) {
  if (acc.nan) return kFp32Nan;
  return ScaledIntegerToFp32(acc.mantissa, static_cast<int>(acc.exponent) - exp_zero);
}

Accumulator AccumulatorOf(uint32_t value, int exp_zero) {
  if (IsNan(value)) return {true, 0, 0};
  if (IsZero(value)) return {};
  // Infinity is 2^128 here, which overflows back to infinity.
  const Parts parts = Unpack(value);
  const auto mantissa = static_cast<int64_t>(IsInfinity(value) ? 1u << 23 : parts.mantissa);
  return {false, static_cast<uint32_t>(parts.exponent + exp_zero),
          (value & kSign) != 0 ? -mantissa : mantissa};
}

uint32_t VectorLane(const VectorLaneInput& in, int exp_zero) {
  uint32_t y = AccToFp32(in.acc, exp_zero);
  if (in.use_scale) y = Fp32Mul(y, in.scale);
  if (in.add_aux) y = Fp32Add(y, in.aux);
  if (in.relu && !IsNan(y) && (y & kSign)) y = 0;
  if (in.mask && !in.positive) y = 0;
  return y;
}

}  // namespace vaultrain::golden
