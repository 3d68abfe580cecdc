// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Rows of logits for tests of the softmax: of every spread, with ties, extremes, infinities and
// NaNs.

#ifndef VAULTRAIN_VERIF_UNIT_SOFTMAX_CASES_H_
#define VAULTRAIN_VERIF_UNIT_SOFTMAX_CASES_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace vaultrain {

// Logits that are numbers, in a random spread of up to +-2^10.
inline std::vector<uint32_t> DrawLogits(std::mt19937& random, size_t classes) {
  const int spread = static_cast<int>(random() % 24) - 13;
  const bool ties = random() % 4 == 0;
  const float offset = random() % 4 == 0 ? static_cast<float>(random() % 64) - 32.0f : 0.0f;
  std::vector<uint32_t> row(classes);
  for (uint32_t& x : row) {
    float value = std::ldexp(static_cast<float>(random()) / 4294967296.0f - 0.5f, spread + 1);
    if (ties) value = std::round(value * 2) / 2;
    x = std::bit_cast<uint32_t>(value + offset);
  }
  return row;
}

// Makes some of the row special: infinities, saturating and subnormal values, any bits at all.
inline void AddSpecials(std::mt19937& random, std::vector<uint32_t>& row) {
  static constexpr uint32_t kSpecials[] = {0x7F800000, 0xFF800000, 0x00000001, 0x80000000,
                                           0x44FFFFFF, 0x45000000, 0xC4FFFFFF, 0xC5000000,
                                           0x33000000, 0x32FFFFFF, 0xB3000000, 0xB2FFFFFF,
                                           0x33C00000, 0x00800000, 0x41FFFFFF, 0xC2000000};
  const size_t count = 1 + random() % row.size();
  for (size_t i = 0; i < count; ++i) {
    uint32_t& x = row[random() % row.size()];
    x = random() % 64 == 0 ? 0x7F800000 + random() % 0x800000 : kSpecials[random() % 16];
  }
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_SOFTMAX_CASES_H_
