// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Draws variants over the whole table of keys.

#ifndef VAULTRAIN_VERIF_UNIT_DRAW_VARIANT_H_
#define VAULTRAIN_VERIF_UNIT_DRAW_VARIANT_H_

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include "vaultrain/variant.h"

namespace vaultrain {

// A value of the key's range; powers of two, small or large, are equally likely. Text keys keep
// their default.
inline std::string DrawValue(const VariantKey& key, std::mt19937& random) {
  if (!key.choices.empty()) return std::string(key.choices[random() % key.choices.size()]);
  if (key.type == KeyType::kText) return std::string(key.defaults.at(0));
  if (key.type == KeyType::kInteger) {
    return std::to_string(key.min + static_cast<int>(random() % (key.max - key.min + 1)));
  }
  int steps = 0;
  while (key.min << (steps + 1) <= key.max) ++steps;
  return std::to_string(key.min << (random() % (steps + 1)));
}

// Overrides of every key but the name, and those that the operand format settles: legal each by
// itself, not always together. Meshes are small, as modules are built of them, and have their
// vaults.
inline std::vector<std::string> DrawOverrides(std::mt19937& random) {
  std::vector<std::string> overrides;
  std::string format;
  std::string gradients;
  for (const VariantKey& key : VariantKeys()) {
    if (key.key == "name" || key.key == "vaults" || key.key == "mesh.x" || key.key == "mesh.y" ||
        (key.key == "fraction_bits" && format != "fx16") ||
        (key.key == "gradient_format" && format != "fx16") ||
        (key.key == "rounding" && format == "fp32")) {
      continue;
    }
    std::string value = DrawValue(key, random);
    if (key.key == "gradient_format") gradients = value;
    // What the sums of fx32 need, which is little of the range.
    if (key.key == "array.align_bits" && gradients == "fx32") {
      constexpr int kLeast = 31 + kGuardBits;
      value = std::to_string(kLeast + static_cast<int>(random() % (key.max - kLeast + 1)));
    }
    if (key.key == "operand_format") format = value;
    overrides.push_back(fmt::format("{}={}", key.key, value));
  }
  const unsigned x = 1 + random() % 2;
  const unsigned y = 1 + random() % 2;
  overrides.push_back(fmt::format("vaults={}", x * y));
  overrides.push_back(fmt::format("mesh.x={}", x));
  overrides.push_back(fmt::format("mesh.y={}", y));
  return overrides;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_DRAW_VARIANT_H_
