// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Operands for tests of fp32 arithmetic: the corners, and pairs drawn where rounding, cancellation,
// overflow and underflow happen.

#ifndef VAULTRAIN_VERIF_UNIT_FP32_CASES_H_
#define VAULTRAIN_VERIF_UNIT_FP32_CASES_H_

#include <cstdint>
#include <random>
#include <utility>

namespace vaultrain {

inline constexpr uint32_t kFp32Corners[] = {
    0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000,
    0x33800000, 0x33800001, 0x34000000, 0x3F000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001,
    0x40000000, 0x4B000001, 0x4B800000, 0x7E800000, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFE,
    0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x3F7F8000, 0x3F808000,
    0x3F818000, 0x7F7F7FFF, 0x7F7F8000, 0x1FFFFFFF, 0x20000000, 0x5F800000, 0x60000000};
inline constexpr int kFp32CornerCount = sizeof(kFp32Corners) / sizeof(kFp32Corners[0]);

// Mantissas with long runs of ones and zeros as well as plain random ones.
inline uint32_t DrawMantissa(std::mt19937& random) {
  const uint32_t m = random();
  switch (random() % 4) {
    case 0:
      return m & 0x7FFFFF;
    case 1:
      return (0x7FFFFFu << (m % 24)) & 0x7FFFFF;
    case 2:
      return (0x7FFFFFu >> (m % 24)) & 0x7FFFFF;
    default:
      return (1u << (m % 23)) ^ (m & (1u << 30) ? 0x7FFFFF : 0);
  }
}

// `sum` draws exponents close to each other, otherwise they are close to the edges of a product's
// range.
inline std::pair<uint32_t, uint32_t> DrawFp32Pair(std::mt19937& random, bool sum) {
  const uint32_t kind = random() % 16;
  if (kind == 0) {
    return {kFp32Corners[random() % kFp32CornerCount] ^ (random() & 0x80000000),
            kFp32Corners[random() % kFp32CornerCount] ^ (random() & 0x80000000)};
  }
  if (kind == 1) return {random(), random()};
  if (kind == 2) return {kFp32Corners[random() % kFp32CornerCount], random()};
  const int ea = static_cast<int>(random() % 256);
  int eb = static_cast<int>(random() % 256);
  if (sum) {
    eb = ea + static_cast<int>(random() % (kind < 8 ? 5 : 59)) - (kind < 8 ? 2 : 29);
  } else if (kind < 8) {
    eb = 127 + static_cast<int>(random() % 5) - 2 - ea;
  } else if (kind < 10) {
    eb = 382 + static_cast<int>(random() % 5) - 2 - ea;
  }
  eb = eb < 0 ? 0 : eb > 255 ? 255 : eb;
  return {(random() & 0x80000000) | static_cast<uint32_t>(ea) << 23 | DrawMantissa(random),
          (random() & 0x80000000) | static_cast<uint32_t>(eb) << 23 | DrawMantissa(random)};
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_FP32_CASES_H_
