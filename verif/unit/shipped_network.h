// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Shipped networks at batch 16, compiled for one node of each operand format.

#ifndef VAULTRAIN_VERIF_UNIT_SHIPPED_NETWORK_H_
#define VAULTRAIN_VERIF_UNIT_SHIPPED_NETWORK_H_

#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "vaultrain/dataset.h"
#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/paths.h"

namespace vaultrain {

struct OperandCase {
  const char* name;
  const char* variant;
  std::vector<std::string> overrides;
};

inline const std::vector<OperandCase> kOperandCases = {
    {"bf16", "nano", {}},
    {"fp16", "nano", {"operand_format=fp16"}},
    {"fp32", "nano-fp32", {}},
    {"fx16_nearest", "nano-fx16", {"rounding=nearest"}},
    {"fx16_stochastic", "nano-fx16", {}},
    {"fx32_gradients", "nano-fx32", {}}};

struct ShippedCase {
  std::string network;
  OperandCase operands;
};

inline void PrintTo(const ShippedCase& one, std::ostream* out) {
  *out << one.network << "_" << one.operands.name;
}

// A name for GoogleTest: letters, digits and underscores.
inline std::string TestName(const ShippedCase& one) {
  std::string name = one.network + "_" + one.operands.name;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

// The formats of a network stand side by side.
inline std::vector<ShippedCase> CasesOf(const std::vector<std::string>& networks) {
  std::vector<ShippedCase> cases;
  for (const std::string& network : networks) {
    for (const OperandCase& operands : kOperandCases) cases.push_back({network, operands});
  }
  return cases;
}

// Every shipped network with VAULTRAIN_FULL, else these.
inline std::vector<std::string> NetworksOr(const std::vector<std::string>& everyday) {
  if (std::getenv("VAULTRAIN_FULL") == nullptr) return everyday;
  return ListNetworks({Resources().networks});
}

// Data as without --data, and none for the test.
struct ShippedTraining {
  Variant variant;
  VaultDram dram;
  Recipe recipe;
  TrainingGraph graph;
  TrainTest data;
  Program program;
};

inline ShippedTraining CompileShipped(const ShippedCase& one, int64_t steps) {
  const std::filesystem::path file = FindNetwork(one.network, {Resources().networks});
  ShippedTraining s;
  std::vector<std::string> overrides = one.operands.overrides;
  // The weights of a cell lie in the scratchpad, and those of 128 hidden values fill 256 KiB.
  if (one.network == "lstm" || one.network == "crnn") overrides.push_back("scratchpad.kib=1024");
  s.variant = LoadVariant(one.operands.variant, overrides, {Resources().variants});
  s.dram = LoadVaultDram(s.variant, Resources());
  s.recipe = RecipeOf(file);
  s.recipe.batch = 16;
  s.recipe.steps = steps;
  s.graph = Differentiate(ReadOnnx(file), s.recipe.batch, LossOf(s.recipe));
  s.data = LoadData(std::nullopt, s.graph, s.recipe);
  s.data.test = {};
  s.program = MapNetwork(s.variant, s.dram, s.graph, s.recipe, one.network);
  return s;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_SHIPPED_NETWORK_H_
