// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From a network's name to a program, for the commands that need one.

#ifndef VAULTRAIN_SRC_CLI_NETWORK_H_
#define VAULTRAIN_SRC_CLI_NETWORK_H_

#include <filesystem>
#include <optional>
#include <string>

#include "vaultrain/mapper.h"
#include "vaultrain/program.h"
#include "vaultrain/recipe.h"
#include "vaultrain/training_graph.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain::cli {

struct CompiledNetwork {
  std::string name;  // stem of the ONNX file
  std::filesystem::path file;
  Recipe recipe;  // with what the flags override
  TrainingGraph graph;
  Program program;
};

struct NetworkFlags {
  std::string network;
  std::optional<int> batch;
  std::optional<long> steps;
  std::optional<long> epochs;
  std::optional<uint64_t> seed;
  MapOptions mapping;
};

CompiledNetwork CompileNetwork(const Variant& variant, const VaultDram& dram,
                               const NetworkFlags& flags);

// Puts the first batch of the data set that the program makes itself into the image, and its step
// size into the recipe of the program, so that the program runs by itself.
void AddFirstBatch(CompiledNetwork& network);

}  // namespace vaultrain::cli

#endif  // VAULTRAIN_SRC_CLI_NETWORK_H_
