// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The program file (.vtp): what the compiler hands to every engine.
//
// File: a 64-byte header {magic "VTPROG\r\n", u32 version, u32 CRC-32 of all that follows the
// header, u64 bytes that follow, 32-byte variant digest, zeros}, then one CBOR map of the fields
// below. Little-endian. Checkpoints (checkpoint.h) have the same form.

#ifndef VAULTRAIN_PROGRAM_H_
#define VAULTRAIN_PROGRAM_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/digest.h"
#include "vaultrain/isa.h"
#include "vaultrain/number_format.h"

namespace vaultrain {

enum class ElementFormat { kBf16, kFp32, kU16, kFx16, kFp16 };
int BytesOf(ElementFormat format);
// "bf16", "fp32", "u16", "fx16", "fp16".
std::string_view ElementName(ElementFormat format);
// That of an operand.
ElementFormat ElementOf(NumberFormat format);

enum class TensorRole {
  kInput,       // written by the host before each step
  kLabel,       // likewise, u16 [rows]
  kConstant,    // in the image, never written
  kWeight,      // fp32 master, part of the image, updated by UP
  kActivation,  // FF results
  kLogits,      // FF result in fp32
  kGradient,    // BP results; dW if the program keeps it
  kLoss,        // fp32, one value a sample
  kState,       // fp32, what the optimiser keeps of a weight
};

// A tensor in memory, or the part of one that lies in one vault: rows `pitch_bytes` apart. Parts of
// a tensor may cover each other: then they hold the same values.
//
// Where rows are samples that are images, columns are [channel][y][x]; the channels of a pixel lie
// side by side, pixels x_pitch and y_pitch bytes apart, so that the samples of a pixel follow each
// other. Bytes between values are zero: they are the zeros around an image.
struct ProgramTensor {
  std::string name;    // unique: the tensor's, or "fc1.W[0:32,0:784]@5" for a part in vault 5
  std::string tensor;  // of which it is a part
  TensorRole role = TensorRole::kActivation;
  ElementFormat format = ElementFormat::kFp32;
  uint64_t address =
      0;  // bytes from the start of the module's memory: vault * vault bytes + offset
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t pitch_bytes = 0;
  int64_t row = 0;  // of the tensor, where the part begins
  int64_t col = 0;
  int64_t height = 1, width = 1;
  int64_t x_pitch = 0, y_pitch = 0;
  // Input whose columns are not those of a sample: which value of the sample each one holds, -1 a
  // zero.
  std::vector<int32_t> source;
  int fraction_bits = 0;  // of fx16, below the point

  int64_t pixels() const { return height * width; }
  // Bytes from `address` to a value.
  int64_t OffsetOf(int64_t r, int64_t c) const {
    const int64_t pixel = c % pixels();
    return r * pitch_bytes + pixel / width * y_pitch + pixel % width * x_pitch +
           c / pixels() * BytesOf(format);
  }
  // From the first value to the end of the last row.
  int64_t bytes() const {
    return (height - 1) * y_pitch + (width - 1) * x_pitch + rows * pitch_bytes;
  }
};

// The descriptors of one node, in the memory of its vault.
struct NodeProgram {
  uint64_t address = 0;  // of the module's memory
  std::vector<isa::Descriptor> descriptors;
};

// The descriptors as they lie in memory.
std::vector<uint8_t> DescriptorBytes(const NodeProgram& node);

// Descriptor sequences that run together, one per node: node y * mesh.x + x.
struct ProgramStream {
  std::string name;  // "train" or "infer"
  std::vector<NodeProgram> nodes;
};

// What the descriptors with one tag do together.
struct ProgramJob {
  int tag = 0;
  std::string layer;
  std::string phase;        // FF, BP, UP
  std::string data_flow;    // how the mapper placed it, in words
  uint64_t macs = 0;        // needed MACs
  uint64_t dram_bytes = 0;  // of all vaults
  uint64_t noc_bytes = 0;   // that nodes send
};

struct ProgramSegment {
  uint64_t address = 0;
  std::vector<uint8_t> bytes;
};

struct Program {
  Digest variant_digest{};
  std::string variant;
  std::string network;
  std::string partition;  // how the nodes share the work, in words
  int batch = 0;
  int classes = 0;
  uint64_t memory_bytes = 0;  // one past the highest byte used in any vault
  uint64_t macs_needed = 0;   // of one training step
  uint64_t bound_bytes = 0;   // bytes of a step in the definition of `bound`
  std::vector<ProgramTensor> tensors;
  std::vector<ProgramStream> streams;
  std::vector<ProgramJob> jobs;
  std::vector<ProgramSegment> image;  // initial memory: weights, constants, a first batch
  nlohmann::json recipe;              // resolved training recipe

  const ProgramTensor& Tensor(const std::string& name) const;  // throws std::out_of_range
  const ProgramStream& Stream(const std::string& name) const;
};

// Written atomically (temporary file in the same folder, then renamed).
void WriteProgram(const std::string& path, const Program& program);

// Refuses, naming the file and the rule: not a program file, other version, truncated, CRC
// mismatch, and a program of another variant unless expected_variant is null.
Program ReadProgram(const std::string& path, const Digest* expected_variant);

// Of all that the file of a program would hold.
Digest ProgramDigest(const Program& program);

}  // namespace vaultrain

#endif  // VAULTRAIN_PROGRAM_H_
