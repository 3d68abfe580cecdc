// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Builds programs for kernels by hand, without the mapper: places tensors, writes descriptors, and
// derives the semaphores from what each descriptor reads and writes.

#ifndef VAULTRAIN_VERIF_KERNELS_BUILDER_H_
#define VAULTRAIN_VERIF_KERNELS_BUILDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "vaultrain/lane_program.h"
#include "vaultrain/program.h"
#include "vaultrain/random.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain::kernels {

struct KernelProgram {
  Program program;                             // its stream is "train"
  std::vector<std::pair<int, float>> scalars;  // registers that the host sets
  uint32_t seed = 1;                           // of the random numbers that round
  uint64_t macs = 0;                           // needed
};

// Bytes of the vault or of the scratchpad that a descriptor touches.
struct Extent {
  bool dram = false;
  bool write = false;
  uint64_t begin = 0, end = 0;
};

// A tile of a tensor on its way between the vault and the scratchpad.
struct Tile {
  int tensor = 0;
  int64_t row = 0, rows = 1;
  int64_t access = 0, accesses = 1;  // of 64 bytes, within a row
  uint32_t spad = 0;
  int64_t spad_pitch = 0;
  bool convert = false;
  int half = 0;  // kept by a convert: 1 the high, 2 the low half of fx32; 0: operands
  bool transpose = false;
  int64_t pad_rows = 0;
  int64_t cols = 0;  // transposed only
};

// out[m][n] = a[m][k] * b[n][k]^T in one tile of the scratchpad; m within half the accumulators.
struct Gemm {
  int a = 0, b = 0, out = 0;
  bool a_transposed = false, b_transposed = false;  // memory holds [k][m], [k][n]
  // One of them, fp32 in memory, is multiplied in fx32: by its high halves, then its low ones.
  bool a_halves = false, b_halves = false;
  int64_t m = 1, n = 1, k = 1;
  int bias = -1;          // fp32 [1][n]
  int mask = -1;          // operands [m][n]
  bool in_place = false;  // out, fp32, is added
  bool relu = false;
  int scalar = -1;       // multiplies the sums
  int64_t k_split = 0;   // words of K of a first COMPUTE; the second goes on; 0: one COMPUTE
  unsigned reverse = 0;  // loops that run backwards: 1 m, 2 k, 4 n
};

class Builder {
 public:
  Builder(const Variant& variant, const VaultDram& dram, Random& random);

  // Rows of whole accesses and of whole words of operands, `gap` accesses apart. Starts as zeros.
  int AddTensor(const std::string& name, ElementFormat format, int64_t rows, int64_t cols,
                int64_t gap = 0);
  // The narrow format of the variant.
  ElementFormat Operand() const;
  // Of gradients.
  ElementFormat Gradient() const;
  const ProgramTensor& Tensor(int tensor) const { return result_.program.tensors[tensor]; }
  // Bytes of a row without the gap.
  int64_t RowBytes(int tensor) const { return row_bytes_[tensor]; }
  // Values into the image, `bits` by row and column.
  void Fill(int tensor, const std::function<uint32_t(int64_t row, int64_t col)>& bits);
  void FillNormal(int tensor);
  // Any bits: special values, subnormal numbers, everything.
  void FillBits(int tensor);
  void SetScalar(int index, float value) { result_.scalars.emplace_back(index, value); }

  // Word-aligned bytes of the scratchpad; old regions are used again in turn.
  uint32_t Room(uint64_t bytes);
  // Most bytes that the tiles of one Gemm may take together.
  int64_t GemmRoom() const { return spad_bytes_ / 2; }
  int64_t GemmBytes(const Gemm& gemm) const;

  void Load(const Tile& tile) { Move(tile, isa::Opcode::kLoad); }
  void Store(const Tile& tile) { Move(tile, isa::Opcode::kStore); }
  void Add(const isa::Descriptor& descriptor, std::vector<Extent> extents);
  void Multiply(const Gemm& gemm);
  // Softmax of `rows` samples of `classes` of tensor logits (fp32).
  void Softmax(int logits, int labels, int gradient, int loss, int64_t rows, int64_t classes,
               int scalar);
  // A random loop nest over the words [begin, begin + words) of the scratchpad, its results drained
  // to a new region and stored into `out`, a tensor of one row. False if the draw does not fit.
  bool RandomNest(uint32_t begin, int64_t words, int out);

  // A lane program that reads and writes what `extents` say, and nothing else.
  void RunLanes(const lanes::Program& program, const lanes::Job& job, std::vector<Extent> extents);

  // A whole tensor into a new region, plain.
  uint32_t LoadWhole(int tensor, bool convert = false, int half = 0);
  void StoreWhole(int tensor, uint32_t spad);

  // With semaphores, END and the image.
  KernelProgram Finish(const std::string& name);

  int64_t word() const { return word_; }
  int64_t word_elements() const { return variant_.WordElements(); }
  int64_t operand() const { return operand_; }
  int64_t beat() const { return variant_.dram.data_bits / 8; }
  int64_t spad_bytes() const { return spad_bytes_; }
  // Bytes of a group of operands.
  int64_t slot() const { return variant_.array.cols * operand_; }
  int64_t max_m() const { return variant_.AccHalfDepth(); }
  size_t descriptors() const { return steps_.size(); }
  bool HasHalves() const { return variant_.HasWideGradients(); }
  bool Converts(int tensor) const {
    return operand_ == 2 && Tensor(tensor).format == ElementFormat::kFp32;
  }

 private:
  struct Step {
    isa::Descriptor descriptor;
    isa::Engine engine;
    std::vector<Extent> extents;
  };

  void Move(const Tile& tile, isa::Opcode opcode);
  // An operand of `rows` rows and k columns, with zero rows up to `padded`, of halves the low ones
  // behind the high ones; returns region and pitch.
  std::pair<uint32_t, int64_t> LoadOperand(int tensor, bool transposed, int64_t rows,
                                           int64_t padded, int64_t k, bool halves);
  int64_t OperandPitch(int tensor, bool transposed, int64_t k) const;
  void AddSemaphores();

  Variant variant_;
  Random& random_;
  int64_t operand_, word_, spad_bytes_;
  uint64_t next_address_ = 0;
  uint32_t next_room_ = 0;
  int next_tag_ = 0;
  std::vector<int64_t> row_bytes_;
  std::vector<Step> steps_;
  KernelProgram result_;
};

}  // namespace vaultrain::kernels

#endif  // VAULTRAIN_VERIF_KERNELS_BUILDER_H_
