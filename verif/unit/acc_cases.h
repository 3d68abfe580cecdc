// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Accumulators for tests: every length of mantissa, patterns that tie, exponents over the whole
// range and near the ends of fp32's.

#ifndef VAULTRAIN_VERIF_UNIT_ACC_CASES_H_
#define VAULTRAIN_VERIF_UNIT_ACC_CASES_H_

#include <cstdint>
#include <random>

#include "golden/fp32.h"

namespace vaultrain {

// A mantissa of so many bits as vt_acc_to_fp32 takes it: below its sign inverted where negative.
inline uint64_t FoldedMantissa(int64_t mantissa, int bits) {
  const uint64_t below = (uint64_t{1} << (bits - 1)) - 1;
  return mantissa < 0 ? (~static_cast<uint64_t>(mantissa) & below) | (below + 1)
                      : static_cast<uint64_t>(mantissa);
}

inline golden::Accumulator DrawAccumulator(std::mt19937& random, int man_bits, int exp_bits,
                                           int exp_zero) {
  golden::Accumulator acc;
  acc.nan = random() % 64 == 0;
  const uint64_t wide = uint64_t{random()} << 32 | random();
  const int length = static_cast<int>(random() % static_cast<unsigned>(man_bits));
  const uint64_t mask = (uint64_t{1} << length) - 1;
  uint64_t bits = wide & mask;
  switch (random() % 4) {
    case 0:  // ties and their neighbours
      if (length > 25) {
        const int half = length - 25;
        bits = (bits >> half | uint64_t{1} << 24 | 1) << half;
        bits ^= random() % 3 == 0 ? uint64_t{random() % 8} : 0;
      }
      bits &= mask;
      break;
    case 1:
      bits = mask ^ (random() % 2 ? wide & 7 & mask : 0);
      break;
    case 2:
      bits = (uint64_t{1} << length) >> 1;
      break;
    default:
      break;
  }
  acc.mantissa = static_cast<int64_t>(bits);
  if (random() % 2) acc.mantissa = random() % 2 ? -acc.mantissa : ~acc.mantissa;
  const int range = 1 << exp_bits;
  int exponent = static_cast<int>(random() % static_cast<unsigned>(range));
  const int edge = static_cast<int>(random() % 5) - 2;
  if (random() % 4 == 0) exponent = exp_zero - 126 - length + edge;
  if (random() % 4 == 0) exponent = exp_zero + 128 - length + edge;
  acc.exponent = static_cast<uint32_t>(exponent < 0 ? 0 : exponent >= range ? range - 1 : exponent);
  return acc;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_ACC_CASES_H_
