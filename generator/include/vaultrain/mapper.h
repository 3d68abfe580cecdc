// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The network compiler's last stage: a training graph becomes a program for one variant.

#ifndef VAULTRAIN_MAPPER_H_
#define VAULTRAIN_MAPPER_H_

#include <optional>
#include <string>
#include <string_view>

#include "vaultrain/program.h"
#include "vaultrain/recipe.h"
#include "vaultrain/training_graph.h"
#include "vaultrain/tuning.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain {

// Scalar registers that the host sets for a program.
inline constexpr int kScalarStep = 0;  // -(learning rate / batch), changes from step to step
inline constexpr int kScalarOne = 1;   // 1.0, scale of the loss gradient
inline constexpr int kScalarMask = 2;  // 1 to 2, changes from step to step: seed of dropout

// How the nodes of a module share the work of a step.
enum class Partition {
  kBatch,    // every node has its samples, and all outputs
  kOutputs,  // every node has its outputs, of all samples
  kHybrid,   // the batch over the rows of the mesh, outputs over its columns
};

// "batch", "outputs", "hybrid".
std::string_view PartitionName(Partition partition);

struct Explanation;  // explain.h

struct MapOptions {
  bool keep_gradients = false;         // also store dW and db of every layer (fp32)
  std::optional<Partition> partition;  // absent: the cheapest
  int search = 0;                      // schedules of a step that are weighed beside the first
  Tuning tuning;                       // of the first
  Explanation* explanation = nullptr;  // gets what was decided and why, if given
};

// Maps a training graph: places every tensor in the vaults, tiles every operation, and writes the
// streams "train" (one step) and "infer" (feed-forward only). The image holds the starting
// parameters and constants.
//
// Weights lie in memory once, as fp32 masters; loads round them to operands on the way to the
// scratchpad. A step then moves 12 bytes per parameter (FF reads 4, UP reads and writes 8), as much
// as with a separate bf16 copy (2 + 8 + 2), and in equal parts over both phases.
//
// Over several nodes: nodes that share outputs share their weights, block by block of rows; the
// owner of a block loads it and sends it to the others. Nodes that share samples share activations:
// each sends its outputs to the others. Gradients of weights, and partial sums of BP, are summed in
// the mesh, in the order of golden/module.h, and arrive at the owner alone. The last layer,
// one whose outputs do not divide into parts of 32, and one that follows such a layer are computed
// by every node that has the samples.
//
// Images lie with the samples of a pixel side by side, in groups as long as a word of operands: the
// loops of a COMPUTE walk windows in a tile of pixels that was loaded once, and transposed, the
// samples of a pixel are a word, so that UP walks windows, too. Products with the zeros around an
// image are left out. A first layer of few channels gets its windows from the host. Pooling runs as
// lane programs. Convolutions and pooling are shared out by samples only.
//
// A gradient that is not kept is consumed without leaving the module; keeping it costs the array
// and the memory extra work.
//
// Throws Error(kUnusableInput) that names the layer if a layer does not fit the scratchpad (a
// window of a group of samples must) or the network the vaults, and if the batch does not divide as
// the partition needs it.
Program MapNetwork(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                   const Recipe& recipe, const std::string& network,
                   const MapOptions& options = {});

// Fraction of the pins' cycles that refresh leaves: 1 - tRFC / tREFI.
double PinAvailability(const VaultDram& dram);

// min(1, cycles at peak / cycles that the pins need for program.bound_bytes).
double UtilisationBound(const Program& program, const Variant& variant, const VaultDram& dram);

}  // namespace vaultrain

#endif  // VAULTRAIN_MAPPER_H_
