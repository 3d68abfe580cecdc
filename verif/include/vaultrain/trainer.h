// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Trains a mapped network on a device, beside the golden model, and reports what the command line
// shows.

#ifndef VAULTRAIN_TRAINER_H_
#define VAULTRAIN_TRAINER_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vaultrain/checkpoint.h"
#include "vaultrain/dataset.h"
#include "vaultrain/device.h"
#include "vaultrain/recipe.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {

struct TrainReport {
  bool bit_exact = false;  // compared and equal; never set without a comparison
  uint64_t tensors_compared = 0;
  std::optional<Mismatch> mismatch;
  int64_t mismatch_step = 0;
  uint64_t mismatch_cycle = 0;  // of the run, when the job that makes the tensor had completed
  std::vector<double> loss;     // mean of the batch, per step, those before a resumption too
  int64_t first_step = 0;       // steps that were done before a resumption
  int64_t steps_compared = 0;   // those before a resumption too, like the tensors and the cycles
  bool interrupted = false;
  std::optional<double> test_accuracy;
  RunReport last;                                // of the last step
  uint64_t cycles = 0;                           // of all steps
  double run_seconds = 0;                        // of the engine's steps alone
  isa::ErrorCode error = isa::ErrorCode::kNone;  // the program was stopped
};

struct TrainHooks {
  std::function<void(int64_t step, double loss)> progress;  // after each step
  // Asked after each step and each batch of the test: true ends the training.
  std::function<bool()> stop;
  // Gets what a checkpoint holds apart from its identity: after every so many steps, and after the
  // last one, also when `stop` ends the training.
  std::function<void(Checkpoint)> save;
  int64_t save_every = 0;
};

// Trains `steps` steps by the recipe. `compared`, if given, runs the same program step by step;
// training ends at the first difference. The test accuracy is measured on the golden model, whose
// bits are the RTL's, from the weights that the engine left in its memory; nothing if there is no
// test set, or none with classes. With `resume` it goes on behind the steps that are done, as if it
// had done them; throws Error(kUnusableInput) if that holds other tensors than the program.
TrainReport Train(const Program& program, const Recipe& recipe, const TrainTest& data,
                  int64_t steps, Device& engine, Device* compared, Device& evaluator,
                  const TrainHooks& hooks = {}, const Checkpoint* resume = nullptr);

// Weights and biases as the dies hold them: by name, in the training graph's layout.
std::map<std::string, std::vector<float>> TrainedParameters(const Program& program, Device& device);

// Inputs and labels of a batch as the vaults hold them.
std::vector<ProgramSegment> BatchSegments(const Program& program, const StepData& data);

// What the host tells a device before a step: the step size and where random numbers start, other
// ones in each step, the same in every run of a recipe.
void SetStep(Device& device, const Recipe& recipe, int64_t step, float step_size);

// Mean of the loss tensor.
double MeanLoss(const Program& program, Device& device);

}  // namespace vaultrain

#endif  // VAULTRAIN_TRAINER_H_
