// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The network compiler's last stage: a training graph becomes a program for one variant.

#ifndef VAULTRAIN_MAPPER_H_
#define VAULTRAIN_MAPPER_H_

#include <string>

#include "vaultrain/program.h"
#include "vaultrain/recipe.h"
#include "vaultrain/training_graph.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain {

// Scalar registers that the host sets for a program.
inline constexpr int kScalarStep = 0;  // -(learning rate / batch), changes from step to step
inline constexpr int kScalarOne = 1;   // 1.0, scale of the loss gradient

// Maps a training graph: places every tensor in the vault, tiles every operation, and writes the
// streams "train" (one step) and "infer" (feed-forward only). The image holds the starting
// parameters and constants.
//
// Weights lie in the vault once, as fp32 masters; loads round them to operands on the way to the
// scratchpad. A step then moves 12 bytes per parameter (FF reads 4, UP reads and writes 8), as much
// as with a separate bf16 copy (2 + 8 + 2), and in equal parts over both phases.
//
// With keep_gradients the program also stores dW and db of every layer (fp32), which a step
// otherwise consumes without their leaving the module; that costs the array and the memory extra
// work.
//
// Throws Error(kUnusableInput) that names the layer if a layer does not fit the scratchpad or the
// network the vault.
Program MapNetwork(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                   const Recipe& recipe, const std::string& network, bool keep_gradients = false);

// Fraction of the pins' cycles that refresh leaves: 1 - tRFC / tREFI.
double PinAvailability(const VaultDram& dram);

// min(1, cycles at peak / cycles that the pins need for program.bound_bytes).
double UtilisationBound(const Program& program, const Variant& variant, const VaultDram& dram);

}  // namespace vaultrain

#endif  // VAULTRAIN_MAPPER_H_
