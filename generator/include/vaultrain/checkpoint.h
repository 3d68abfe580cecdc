// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A training that was stopped: what it takes to go on with it, bit for bit.
//
// File: the header of a program file (program.h) with the magic "VTCKPT\r\n", then one CBOR map of
// the fields below. Little-endian. The same run leaves the same bytes.

#ifndef VAULTRAIN_CHECKPOINT_H_
#define VAULTRAIN_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "vaultrain/digest.h"
#include "vaultrain/program.h"
#include "vaultrain/recipe.h"

namespace vaultrain {

// What may not differ between a training and its continuation.
struct TrainingIdentity {
  Digest variant{};
  Digest network{};  // of the ONNX file
  Digest data{};     // of the training set
  Digest program{};  // of what the compiler made of all that
  std::string variant_name, network_name, data_name;
  std::string partition;  // as in the program
  bool keep_gradients = false;
  int64_t steps = 0;      // of the whole training
  nlohmann::json recipe;  // every key
};

TrainingIdentity IdentityOf(const Program& program, const Recipe& recipe, int64_t steps);

// Part of a parameter or of its optimiser state, as a tensor of the program.
struct CheckpointTensor {
  std::string name;
  std::vector<uint8_t> values;  // [rows][cols], little-endian, nothing between them
};

struct Checkpoint {
  TrainingIdentity identity;
  int64_t step = 0;          // steps done
  uint64_t place = 0;        // of the data order (random.h): the next step's first sample
  std::vector<double> loss;  // of each step done
  uint64_t cycles = 0;       // of all steps done, as far as an engine counted them
  int64_t steps_compared = 0;
  uint64_t tensors_compared = 0;
  std::vector<CheckpointTensor> tensors;
};

// Written atomically (temporary file in the same folder, then renamed).
void WriteCheckpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws Error(kUnusableInput) that names the file and the rule: not a checkpoint, other version,
// truncated, CRC mismatch, and one of another training than `run`. A constant learning rate may go
// on for more steps than the training was begun with.
Checkpoint ReadCheckpoint(const std::string& path, const TrainingIdentity& run);

}  // namespace vaultrain

#endif  // VAULTRAIN_CHECKPOINT_H_
