// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Twin of vt_ecc_encode and vt_ecc_decode: the (72,64) code of Hsiao, "A class of optimal minimum
// odd-weight-column SEC-DED codes", 1970, its columns made by rule. Needs the standard library
// only.

#ifndef VAULTRAIN_HARNESS_ECC_H_
#define VAULTRAIN_HARNESS_ECC_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace vaultrain {

// The check bits that count a data bit: the bytes with three ones, upward, then 0x1f rotated.
constexpr std::array<uint8_t, 64> EccColumns() {
  std::array<uint8_t, 64> columns{};
  size_t bit = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (std::popcount(byte) == 3) columns[bit++] = static_cast<uint8_t>(byte);
  }
  for (int turn = 0; turn < 8; ++turn) columns[bit++] = std::rotl(uint8_t{0x1f}, turn);
  return columns;
}

// Sums of columns, for each byte of a word and value of that byte.
constexpr std::array<std::array<uint8_t, 256>, 8> EccSums() {
  constexpr std::array<uint8_t, 64> kColumns = EccColumns();
  std::array<std::array<uint8_t, 256>, 8> sums{};
  for (size_t byte = 0; byte < 8; ++byte) {
    for (size_t value = 0; value < 256; ++value) {
      for (size_t bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) sums[byte][value] ^= kColumns[8 * byte + bit];
      }
    }
  }
  return sums;
}
inline constexpr std::array<std::array<uint8_t, 256>, 8> kEccSums = EccSums();

inline uint8_t EccEncode(uint64_t data) {
  uint8_t check = 0;
  for (size_t byte = 0; byte < 8; ++byte) check ^= kEccSums[byte][data >> (8 * byte) & 0xff];
  return check;
}

enum class EccResult : uint8_t { kClean, kCorrected, kUncorrectable };

struct EccWord {
  uint64_t data;
  EccResult result;
};

// Uncorrectable data comes back as it was.
inline EccWord EccDecode(uint64_t data, uint8_t check) {
  static constexpr std::array<uint8_t, 64> kColumns = EccColumns();
  const auto syndrome = static_cast<uint8_t>(check ^ EccEncode(data));
  if (syndrome == 0) return {data, EccResult::kClean};
  if (std::has_single_bit(syndrome)) return {data, EccResult::kCorrected};
  for (size_t bit = 0; bit < kColumns.size(); ++bit) {
    if (kColumns[bit] == syndrome) return {data ^ uint64_t{1} << bit, EccResult::kCorrected};
  }
  return {data, EccResult::kUncorrectable};
}

}  // namespace vaultrain

#endif  // VAULTRAIN_HARNESS_ECC_H_
