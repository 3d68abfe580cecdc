// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "vaultrain/lane_program.h"

namespace vaultrain::golden {
namespace {

using isa::Aux;
using isa::Descriptor;
using isa::ErrorCode;
using isa::FieldId;
using isa::kLoops;
using isa::Opcode;
using Bytes = std::vector<uint8_t>;
using Loops = std::array<int64_t, kLoops>;
using Matrix = std::vector<std::vector<double>>;

constexpr uint64_t kProgram = 1 << 24;
constexpr uint64_t kVaultBytes = 1 << 26;

MachineConfig Nano() {
  MachineConfig config;
  config.dram_bytes = kVaultBytes;
  return config;
}

MachineConfig NanoFx32() {
  MachineConfig config = Nano();
  config.operand = {NumberFormat::kFx16, 12};
  config.wide_gradients = true;
  config.align_bits = 43;
  config.turn_beats = 256;
  return config;
}

// Every shape on which the programs run: one row and several, either operand format, words beyond
// an access.
std::vector<MachineConfig> Shapes() {
  std::vector<MachineConfig> shapes(4, Nano());
  shapes[1].rows = 2;
  shapes[1].cols = 8;
  shapes[1].data_bits = 128;
  shapes[2].rows = 4;
  shapes[2].cols = 16;
  shapes[3].operand.number = NumberFormat::kFp32;
  shapes[3].lanes = 8;
  shapes[3].align_bits = 48;
  // Whole rows of the programs' matrices fit the corner turn.
  for (MachineConfig& config : shapes) config.turn_beats = 256;
  return shapes;
}

std::string NameOf(const MachineConfig& c) {
  return std::to_string(c.rows) + " x " + std::to_string(c.cols) + " x " + std::to_string(c.lanes) +
         (c.OperandBytes() == 2 ? " bf16" : " fp32");
}

int64_t RoundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

uint32_t Fp32Of(double value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); }

// To the nearest bf16, ties to even, of a finite value.
uint32_t Bf16Of(double value) {
  const uint32_t bits = Fp32Of(value);
  const double below = std::bit_cast<float>(bits & 0xffff0000);
  const double above = std::bit_cast<float>((bits & 0xffff0000) + 0x10000);
  const double down = std::fabs(value - below);
  const double up = std::fabs(above - value);
  const bool odd = (bits >> 16) % 2 == 1;
  return (bits >> 16) + (up < down || (up == down && odd) ? 1 : 0);
}

double ValueOf(uint32_t bits, int bytes) {
  return std::bit_cast<float>(bytes == 2 ? bits << 16 : bits);
}

uint32_t BitsOf(double value, int bytes) { return bytes == 2 ? Bf16Of(value) : Fp32Of(value); }

// ---- descriptors

struct Move {
  uint64_t dram = 0;
  int64_t rows = 1;
  int64_t accesses = 1;
  int64_t dram_pitch = 64;
  int64_t spad = 0;
  int64_t spad_pitch = 64;
  int64_t pad_rows = 0;
  int64_t cols = 0;
  bool convert = false;
  bool transpose = false;
  int64_t half = 0;

  Descriptor Make(Opcode opcode) const {
    Descriptor d(opcode);
    d.Set(FieldId::kDramAddr, static_cast<int64_t>(dram));
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, spad);
    d.Set(FieldId::kSpadPitch, spad_pitch);
    d.Set(FieldId::kPadRows, pad_rows);
    d.Set(FieldId::kCols, cols);
    d.Set(FieldId::kConvert, convert);
    d.Set(FieldId::kTranspose, transpose);
    d.Set(FieldId::kHalf, half);
    return d;
  }
  Descriptor Load() const { return Make(Opcode::kLoad); }
  Descriptor Store() const { return Make(Opcode::kStore); }
};

struct ComputeNest {
  Loops bounds = {1, 1, 1, 1, 1, 1};
  Loops a_strides{};
  Loops b_strides{};
  int64_t a_base = 0;
  int64_t b_base = 0;
  int64_t b_col_inc = 0;
  int64_t b_level = 1;
  int64_t store_level = 1;
  bool first = true;
  bool last = true;
  bool halves = false;

  Descriptor Make() const {
    Descriptor d(Opcode::kCompute);
    d.Set(FieldId::kHalves, halves);
    const Loops a = isa::Increments(bounds, a_strides);
    const Loops b = isa::Increments(bounds, b_strides);
    for (int k = 0; k < kLoops; ++k) {
      d.Set(FieldId::kBound, bounds[k], k);
      d.Set(FieldId::kAInc, a[k], k);
      d.Set(FieldId::kBInc, b[k], k);
    }
    d.Set(FieldId::kABase, a_base);
    d.Set(FieldId::kBBase, b_base);
    d.Set(FieldId::kBColInc, b_col_inc);
    d.Set(FieldId::kBLevel, b_level);
    d.Set(FieldId::kStoreLevel, store_level);
    d.Set(FieldId::kFirst, first);
    d.Set(FieldId::kLast, last);
    return d;
  }
};

struct VectorNest {
  Loops bounds = {1, 1, 1, 1, 1, 1};
  Loops out_strides{};
  Loops aux_strides{};
  int64_t out_base = 0;
  int64_t aux_base = 0;
  int64_t pop_level = 1;
  int64_t scalar = -1;
  Aux aux = Aux::kNone;
  bool relu = false;
  bool out_fp32 = false;
  int64_t tail_loop = isa::kNoTail;

  Descriptor Make() const {
    Descriptor d(Opcode::kVector);
    const Loops out = isa::Increments(bounds, out_strides);
    const Loops in = isa::Increments(bounds, aux_strides);
    for (int k = 0; k < kLoops; ++k) {
      d.Set(FieldId::kVBound, bounds[k], k);
      d.Set(FieldId::kOutInc, out[k], k);
      d.Set(FieldId::kAuxInc, in[k], k);
    }
    d.Set(FieldId::kOutBase, out_base);
    d.Set(FieldId::kAuxBase, aux_base);
    d.Set(FieldId::kPopLevel, pop_level);
    d.Set(FieldId::kUseScale, scalar >= 0);
    d.Set(FieldId::kScalar, std::max<int64_t>(scalar, 0));
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(aux));
    d.Set(FieldId::kRelu, relu);
    d.Set(FieldId::kOutFp32, out_fp32);
    d.Set(FieldId::kTailLoop, tail_loop);
    return d;
  }
};

// ---- a node with its program

class Node {
 public:
  explicit Node(const MachineConfig& config) : machine(config), config_(config) {}

  void Add(const Descriptor& d) { program_.push_back(d); }

  RunResult Run(bool with_end = true) {
    if (with_end) Add(Descriptor(Opcode::kEnd));
    for (size_t i = 0; i < program_.size(); ++i) {
      machine.Write(kProgram + 64 * i, program_[i].bytes());
    }
    const uint32_t count = static_cast<uint32_t>(program_.size());
    program_.clear();
    return machine.Run(kProgram, count);
  }

  void RunToTheEnd() {
    const uint32_t count = static_cast<uint32_t>(program_.size());
    const RunResult result = Run();
    ASSERT_EQ(result.error, ErrorCode::kNone) << "descriptor " << result.index;
    ASSERT_EQ(result.fault, OrderFault::kNone) << "descriptor " << result.index;
    ASSERT_EQ(result.index, count);
    ASSERT_EQ(result.counts.descriptors, count + 1);
  }

  // Bytes from row to row in the vault and in the scratchpad: whole accesses and whole words.
  int64_t Pitch(int64_t cols, int bytes) const {
    return RoundUp(cols * bytes, std::max<int64_t>(64, config_.WordBytes()));
  }

  void PutMatrix(uint64_t address, const Matrix& matrix, int bytes) {
    const int64_t pitch = Pitch(static_cast<int64_t>(matrix[0].size()), bytes);
    for (size_t r = 0; r < matrix.size(); ++r) {
      Bytes row(static_cast<size_t>(pitch));
      for (size_t c = 0; c < matrix[r].size(); ++c) {
        const uint32_t bits = BitsOf(matrix[r][c], bytes);
        for (int i = 0; i < bytes; ++i) row[c * bytes + i] = static_cast<uint8_t>(bits >> (8 * i));
      }
      machine.Write(address + r * pitch, row);
    }
  }

  Matrix GetMatrix(uint64_t address, size_t rows, size_t cols, int64_t pitch, int bytes,
                   bool scratchpad) {
    Matrix matrix(rows, std::vector<double>(cols));
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < cols; ++c) {
        uint8_t b[4] = {};
        const std::span<uint8_t> to(b, static_cast<size_t>(bytes));
        const uint64_t at = address + r * pitch + c * bytes;
        scratchpad ? machine.ReadScratchpad(at, to) : machine.Read(at, to);
        matrix[r][c] =
            ValueOf(b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24, bytes);
      }
    }
    return matrix;
  }

  Machine machine;

 private:
  MachineConfig config_;
  std::vector<Descriptor> program_;
};

class Integers {
 public:
  explicit Integers(uint64_t seed) : random_(seed) {}
  int64_t Draw(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  // Small integers: every sum below is exact in any order.
  Matrix DrawMatrix(size_t rows, size_t cols) {
    Matrix matrix(rows, std::vector<double>(cols));
    for (auto& row : matrix) {
      for (double& x : row) x = static_cast<double>(Draw(-7, 7));
    }
    return matrix;
  }

 private:
  std::mt19937_64 random_;
};

// ---- whole layers against plain loops

// Sizes of a layer, none of them a multiple of anything; all tensors have a place in vault and
// scratchpad.
constexpr size_t kBatch = 11;
constexpr size_t kIn = 150;
constexpr size_t kOut = 21;

enum class Split { kNo, kTwoComputes };

void ExpectFeedForward(const MachineConfig& config, Split split, bool out_fp32) {
  SCOPED_TRACE(NameOf(config));
  Node node(config);
  Integers draw(1);
  const Matrix x = draw.DrawMatrix(kBatch, kIn);
  const Matrix w = draw.DrawMatrix(kOut, kIn);
  const Matrix bias = draw.DrawMatrix(1, kOut);
  const int bytes = config.OperandBytes();
  const int64_t word = config.WordBytes();
  const int64_t pitch = node.Pitch(kIn, bytes);
  const int64_t tiles = RoundUp(kOut, config.cols) / config.cols;
  node.PutMatrix(0x10000, x, bytes);
  node.PutMatrix(0x20000, w, 4);
  node.PutMatrix(0x40000, bias, 4);
  const int64_t spad_w = 0x10000;
  const int64_t spad_bias = 0x30000;
  const int64_t spad_y = 0x38000;
  const int out_bytes = out_fp32 ? 4 : bytes;
  const int64_t y_pitch = node.Pitch(kOut, out_bytes);
  const int64_t w_pitch = node.Pitch(kIn, 4);

  // Something for the tail to overwrite.
  node.PutMatrix(0x90000,
                 Matrix(kBatch, std::vector<double>(static_cast<size_t>(y_pitch) / 4, 1.00390625)),
                 4);
  node.Add(Move{.dram = 0x90000,
                .rows = kBatch,
                .accesses = y_pitch / 64,
                .dram_pitch = y_pitch,
                .spad = spad_y,
                .spad_pitch = y_pitch}
               .Load());
  node.Add(Move{.dram = 0x10000,
                .rows = kBatch,
                .accesses = pitch / 64,
                .dram_pitch = pitch,
                .spad = 0,
                .spad_pitch = pitch}
               .Load());
  // The master weights are fp32; the last tile is filled up with rows of zeros.
  const int64_t w_spad_pitch = config.OperandBytes() == 2 ? RoundUp(w_pitch / 2, word) : w_pitch;
  node.Add(Move{.dram = 0x20000,
                .rows = kOut,
                .accesses = w_pitch / 64,
                .dram_pitch = w_pitch,
                .spad = spad_w,
                .spad_pitch = w_spad_pitch,
                .pad_rows = tiles * config.cols - static_cast<int64_t>(kOut),
                .convert = config.OperandBytes() == 2}
               .Load());
  const int64_t bias_pitch = node.Pitch(kOut, 4);
  node.Add(Move{.dram = 0x40000,
                .accesses = bias_pitch / 64,
                .dram_pitch = bias_pitch,
                .spad = spad_bias,
                .spad_pitch = bias_pitch}
               .Load());
  const int64_t k_words = RoundUp(kIn * bytes, word) / word;
  const int64_t w_words = w_spad_pitch / word;
  ComputeNest nest;
  nest.bounds = {kBatch, k_words, tiles, 1, 1, 1};
  nest.a_strides = {pitch / word, 1, 0, 0, 0, 0};
  nest.b_strides = {0, 1, config.cols * w_words, 0, 0, 0};
  nest.b_base = spad_w / word;
  nest.b_col_inc = w_words;
  nest.store_level = 2;
  VectorNest post;
  post.bounds = {kBatch, tiles, 1, 1, 1, 1};
  post.out_strides = {y_pitch, config.cols * out_bytes, 0, 0, 0, 0};
  post.aux_strides = {0, config.cols * 4, 0, 0, 0, 0};
  post.out_base = spad_y;
  post.aux_base = spad_bias;
  post.aux = Aux::kAdd;
  post.relu = true;
  post.out_fp32 = out_fp32;
  post.tail_loop = 1;
  if (split == Split::kNo) {
    node.Add(nest.Make());
    node.Add(post.Make());
  } else {
    // One set of sums a job: a tile of outputs at a time, K in two halves.
    for (int64_t tile = 0; tile < tiles; ++tile) {
      ComputeNest half = nest;
      half.bounds = {kBatch, k_words / 2, 1, 1, 1, 1};
      half.b_base += tile * config.cols * w_words;
      half.last = false;
      node.Add(half.Make());
      half.a_base += k_words / 2;
      half.b_base += k_words / 2;
      half.bounds[1] = k_words - k_words / 2;
      half.first = false;
      half.last = true;
      node.Add(half.Make());
      VectorNest one = post;
      one.bounds[1] = 1;
      one.out_base += tile * config.cols * out_bytes;
      one.aux_base += tile * config.cols * 4;
      one.tail_loop = tile + 1 == tiles ? 1 : isa::kNoTail;
      node.Add(one.Make());
    }
  }
  node.Add(Move{.dram = 0x80000,
                .rows = kBatch,
                .accesses = y_pitch / 64,
                .dram_pitch = y_pitch,
                .spad = spad_y,
                .spad_pitch = y_pitch}
               .Store());
  node.RunToTheEnd();

  Matrix expected(kBatch, std::vector<double>(kOut));
  for (size_t b = 0; b < kBatch; ++b) {
    for (size_t o = 0; o < kOut; ++o) {
      double sum = bias[0][o];
      for (size_t k = 0; k < kIn; ++k) sum += x[b][k] * w[o][k];
      expected[b][o] = ValueOf(BitsOf(std::max(sum, 0.0), out_bytes), out_bytes);
    }
  }
  EXPECT_EQ(node.GetMatrix(0x80000, kBatch, kOut, y_pitch, out_bytes, false), expected);
  // Zeros up to the end of the word of the last results, nothing behind it.
  const size_t end =
      static_cast<size_t>(RoundUp(tiles * config.cols * out_bytes, word) / out_bytes);
  const size_t all = static_cast<size_t>(y_pitch / out_bytes);
  for (const auto& row : node.GetMatrix(0x80000, kBatch, all, y_pitch, out_bytes, false)) {
    for (size_t c = kOut; c < end; ++c) ASSERT_EQ(row[c], 0.0) << c;
    for (size_t c = end; c < all; ++c) ASSERT_NE(row[c], 0.0) << c;
  }
}

TEST(Machine, FeedForwardWithBiasAndReluEqualsPlainLoops) {
  for (const MachineConfig& config : Shapes()) {
    ExpectFeedForward(config, Split::kNo, false);
    ExpectFeedForward(config, Split::kNo, true);
  }
}

TEST(Machine, SumsGoOnInTheNextCompute) {
  for (const MachineConfig& config : Shapes()) {
    ExpectFeedForward(config, Split::kTwoComputes, false);
    ExpectFeedForward(config, Split::kTwoComputes, true);
  }
}

// X at 0x10000, dY at 0x20000 and W, in fp32, at 0x30000.
struct LayerInMemory {
  Matrix x, dy, w;
  int64_t x_pitch = 0, dy_pitch = 0, w_pitch = 0;
};
LayerInMemory PutLayer(Node& node, int bytes, uint64_t seed) {
  Integers draw(seed);
  LayerInMemory layer;
  layer.x = draw.DrawMatrix(kBatch, kIn);
  layer.dy = draw.DrawMatrix(kBatch, kOut);
  layer.w = draw.DrawMatrix(kOut, kIn);
  layer.x_pitch = node.Pitch(kIn, bytes);
  layer.dy_pitch = node.Pitch(kOut, bytes);
  layer.w_pitch = node.Pitch(kIn, 4);
  node.PutMatrix(0x10000, layer.x, bytes);
  node.PutMatrix(0x20000, layer.dy, bytes);
  node.PutMatrix(0x30000, layer.w, 4);
  return layer;
}

TEST(Machine, BackPropagationThroughTransposedWeightsAndMaskEqualsPlainLoops) {
  for (const MachineConfig& config : Shapes()) {
    SCOPED_TRACE(NameOf(config));
    Node node(config);
    const int bytes = config.OperandBytes();
    const int64_t word = config.WordBytes();
    const auto [x, dy, w, x_pitch, dy_pitch, w_pitch] = PutLayer(node, bytes, 2);
    const int64_t padded = RoundUp(kOut, word / bytes);
    const int64_t spad_dy = 0x8000;
    const int64_t spad_w = 0x10000;
    const int64_t spad_dx = 0x30000;
    node.Add(Move{.dram = 0x10000,
                  .rows = kBatch,
                  .accesses = x_pitch / 64,
                  .dram_pitch = x_pitch,
                  .spad = 0,
                  .spad_pitch = x_pitch}
                 .Load());
    node.Add(Move{.dram = 0x20000,
                  .rows = kBatch,
                  .accesses = dy_pitch / 64,
                  .dram_pitch = dy_pitch,
                  .spad = spad_dy,
                  .spad_pitch = dy_pitch}
                 .Load());
    node.Add(Move{.dram = 0x30000,
                  .rows = kOut,
                  .accesses = w_pitch / 64,
                  .dram_pitch = w_pitch,
                  .spad = spad_w,
                  .spad_pitch = padded * bytes,
                  .pad_rows = padded - static_cast<int64_t>(kOut),
                  .cols = kIn,
                  .convert = config.OperandBytes() == 2,
                  .transpose = true}
                 .Load());
    const int64_t tiles = RoundUp(kIn, config.cols) / config.cols;
    const int64_t o_words = padded * bytes / word;
    ComputeNest nest;
    nest.bounds = {kBatch, o_words, tiles, 1, 1, 1};
    nest.a_strides = {dy_pitch / word, 1, 0, 0, 0, 0};
    nest.b_strides = {0, 1, config.cols * o_words, 0, 0, 0};
    nest.a_base = spad_dy / word;
    nest.b_base = spad_w / word;
    nest.b_col_inc = o_words;
    nest.store_level = 2;
    node.Add(nest.Make());
    VectorNest post;
    post.bounds = {kBatch, tiles, 1, 1, 1, 1};
    post.out_strides = {x_pitch, config.cols * bytes, 0, 0, 0, 0};
    post.aux_strides = post.out_strides;
    post.out_base = spad_dx;
    post.aux = Aux::kMask;
    node.Add(post.Make());
    node.Add(Move{.dram = 0x80000,
                  .rows = kBatch,
                  .accesses = x_pitch / 64,
                  .dram_pitch = x_pitch,
                  .spad = spad_dx,
                  .spad_pitch = x_pitch}
                 .Store());
    node.RunToTheEnd();

    Matrix expected(kBatch, std::vector<double>(kIn));
    for (size_t b = 0; b < kBatch; ++b) {
      for (size_t k = 0; k < kIn; ++k) {
        double sum = 0;
        for (size_t o = 0; o < kOut; ++o) sum += dy[b][o] * w[o][k];
        if (x[b][k] > 0) expected[b][k] = ValueOf(BitsOf(sum, bytes), bytes);
      }
    }
    EXPECT_EQ(node.GetMatrix(0x80000, kBatch, kIn, x_pitch, bytes, false), expected);
  }
}

TEST(Machine, WeightsAreUpdatedInPlace) {
  for (const MachineConfig& config : Shapes()) {
    SCOPED_TRACE(NameOf(config));
    Node node(config);
    const int bytes = config.OperandBytes();
    const int64_t word = config.WordBytes();
    const auto [x, dy, w, x_pitch, dy_pitch, w_pitch] = PutLayer(node, bytes, 3);
    const int64_t padded = RoundUp(kBatch, word / bytes);
    const int64_t spad_x = 0x10000;
    const int64_t spad_w = 0x28000;
    Move transposed;
    transposed.rows = kBatch;
    transposed.pad_rows = padded - static_cast<int64_t>(kBatch);
    transposed.spad_pitch = padded * bytes;
    transposed.transpose = true;
    Move load_dy = transposed;
    load_dy.dram = 0x20000;
    load_dy.accesses = dy_pitch / 64;
    load_dy.dram_pitch = dy_pitch;
    load_dy.cols = kOut;
    node.Add(load_dy.Load());
    Move load_x = transposed;
    load_x.dram = 0x10000;
    load_x.accesses = x_pitch / 64;
    load_x.dram_pitch = x_pitch;
    load_x.spad = spad_x;
    load_x.cols = kIn;
    node.Add(load_x.Load());
    const Move move_w{.dram = 0x30000,
                      .rows = kOut,
                      .accesses = w_pitch / 64,
                      .dram_pitch = w_pitch,
                      .spad = spad_w,
                      .spad_pitch = w_pitch};
    node.Add(move_w.Load());
    const int64_t tiles = RoundUp(kIn, config.cols) / config.cols;
    const int64_t b_words = padded * bytes / word;
    ComputeNest nest;
    nest.bounds = {kOut, b_words, tiles, 1, 1, 1};
    nest.a_strides = {b_words, 1, 0, 0, 0, 0};
    nest.b_strides = {0, 1, config.cols * b_words, 0, 0, 0};
    nest.b_base = spad_x / word;
    nest.b_col_inc = b_words;
    nest.store_level = 2;
    node.Add(nest.Make());
    VectorNest post;
    post.bounds = {kOut, tiles, 1, 1, 1, 1};
    post.out_strides = {w_pitch, config.cols * 4, 0, 0, 0, 0};
    post.aux_strides = post.out_strides;
    post.out_base = spad_w;
    post.aux_base = spad_w;
    post.aux = Aux::kAdd;
    post.scalar = 5;
    post.out_fp32 = true;
    node.Add(post.Make());
    node.Add(move_w.Store());
    node.machine.SetScalar(5, Fp32Of(-0.125));
    node.RunToTheEnd();

    Matrix expected = w;
    for (size_t o = 0; o < kOut; ++o) {
      for (size_t k = 0; k < kIn; ++k) {
        for (size_t b = 0; b < kBatch; ++b) expected[o][k] -= 0.125 * dy[b][o] * x[b][k];
      }
    }
    EXPECT_EQ(node.GetMatrix(0x30000, kOut, kIn, w_pitch, 4, false), expected);
  }
}

// ---- nests

TEST(Machine, AnyNestWalksItsStrides) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    MachineConfig config = Nano();
    config.scratchpad_bytes = 96 * config.WordBytes();  // no power of two
    constexpr int64_t kWords = 96;
    Node node(config);
    Integers draw(seed);
    const Matrix data = draw.DrawMatrix(kWords, 16);
    for (int64_t r = 0; r < kWords; ++r) {
      Bytes row;
      for (double x : data[r]) {
        row.push_back(static_cast<uint8_t>(Bf16Of(x)));
        row.push_back(static_cast<uint8_t>(Bf16Of(x) >> 8));
      }
      node.machine.Write(static_cast<uint64_t>(r * 32), row);
    }
    node.Add(Move{.rows = 1, .accesses = kWords / 2}.Load());

    ComputeNest nest;
    nest.b_level = draw.Draw(1, 6);
    nest.store_level = draw.Draw(nest.b_level, 6);
    nest.a_base = draw.Draw(0, 15);
    nest.b_base = draw.Draw(0, 15);
    nest.b_col_inc = draw.Draw(0, 5);
    for (int k = 0; k < kLoops; ++k) {
      nest.bounds[k] = draw.Draw(1, 3);
      nest.a_strides[k] = draw.Draw(0, 6);
      if (k >= nest.b_level) nest.b_strides[k] = draw.Draw(0, 5);
    }
    int64_t sets = 1;
    int64_t entries = 1;
    for (int k = 0; k < kLoops; ++k) (k < nest.b_level ? entries : sets) *= nest.bounds[k];
    for (int k = static_cast<int>(nest.b_level); k < nest.store_level; ++k) sets /= nest.bounds[k];
    if (entries > 128) continue;
    node.Add(nest.Make());

    std::vector<Matrix> expected(sets, Matrix(entries, std::vector<double>(4)));
    Loops i{};
    for (bool more = true; more;) {
      int64_t a = nest.a_base;
      int64_t b = nest.b_base;
      int64_t set = 0;
      int64_t entry = 0;
      for (int k = kLoops - 1; k >= 0; --k) {
        a += i[k] * nest.a_strides[k];
        b += i[k] * nest.b_strides[k];
        if (k >= nest.store_level) set = set * nest.bounds[k] + i[k];
        if (k < nest.b_level) entry = entry * nest.bounds[k] + i[k];
      }
      for (int64_t c = 0; c < 4; ++c) {
        for (int l = 0; l < 16; ++l) {
          expected[set][entry][c] += data[a][l] * data[b + c * nest.b_col_inc][l];
        }
      }
      int k = 0;
      while (k < kLoops && ++i[k] == nest.bounds[k]) i[k++] = 0;
      more = k < kLoops;
    }
    // Drains one set; a descriptor each. Results follow each other, the last ones over the first.
    for (int64_t s = 0; s < sets; ++s) {
      VectorNest post;
      post.bounds = {entries, 1, 1, 1, 1, 1};
      post.out_strides = {16, 0, 0, 0, 0, 0};
      post.out_fp32 = true;
      node.Add(post.Make());
      node.Add(Move{.dram = 0x10000 + static_cast<uint64_t>(s) * 4096, .accesses = entries / 4 + 1}
                   .Store());
    }
    node.RunToTheEnd();
    for (int64_t s = 0; s < sets; ++s) {
      ASSERT_EQ(node.GetMatrix(0x10000 + s * 4096, entries, 4, 16, 4, false), expected[s])
          << "set " << s;
    }
  }
}

TEST(Machine, VectorWalksSetsAndFillsTheTailInTheChosenLoopOnly) {
  Node node(Nano());
  node.PutMatrix(0, Matrix(2, std::vector<double>(16, 1.0)), 2);
  node.Add(Move{.rows = 2, .spad = 0, .spad_pitch = 64}.Load());
  // Six sets of two entries, each 16 per column.
  ComputeNest nest;
  nest.bounds = {2, 6, 1, 1, 1, 1};
  nest.a_strides = {2, 0, 0, 0, 0, 0};
  node.Add(nest.Make());
  node.PutMatrix(4096, Matrix(8, std::vector<double>(64, 5.0)), 2);
  node.Add(Move{
      .dram = 4096, .rows = 8, .accesses = 2, .dram_pitch = 128, .spad = 0x1000, .spad_pitch = 128}
               .Load());
  VectorNest post;
  post.bounds = {2, 2, 3, 1, 1, 1};
  post.out_strides = {128, 256, 8, 0, 0, 0};
  post.out_base = 0x1000;
  post.pop_level = 1;
  post.tail_loop = 2;
  node.Add(post.Make());
  node.RunToTheEnd();
  std::vector<double> row(64, 5.0);
  for (int c = 0; c < 16; ++c) row[c] = c < 12 ? 16.0 : 0.0;
  EXPECT_EQ(node.GetMatrix(0x1000, 4, 64, 128, 2, true), Matrix(4, row));
  EXPECT_EQ(node.GetMatrix(0x1200, 4, 64, 128, 2, true), Matrix(4, std::vector<double>(64, 5.0)));
}

TEST(Machine, NotANumberReachesItsColumnsAlone) {
  Node node(Nano());
  Matrix words(8, std::vector<double>(32));
  words[0][3] = 2.0;
  words[4][3] = 4.0;
  words[5][0] = std::nan("");
  node.PutMatrix(0, words, 2);
  const uint8_t infinity[2] = {0x80, 0x7f};
  node.machine.Write(5 * 64, infinity);
  node.Add(Move{.rows = 8}.Load());
  ComputeNest nest;
  nest.b_base = 8;
  nest.b_col_inc = 2;
  node.Add(nest.Make());
  VectorNest post;
  post.out_base = 0x1000;
  post.out_fp32 = true;
  node.Add(post.Make());
  node.RunToTheEnd();
  const auto row = node.GetMatrix(0x1000, 1, 4, 16, 4, true)[0];
  EXPECT_EQ(row[0], 8.0);
  EXPECT_TRUE(std::isnan(row[1]));
  EXPECT_EQ(row[2], 0.0);
  EXPECT_EQ(row[3], 0.0);
}

TEST(Machine, OperandsWrittenAfterTheirUseAreReadAnew) {
  Node node(Nano());
  Integers draw(7);
  const Matrix old = draw.DrawMatrix(5, 16);
  const Matrix fresh = draw.DrawMatrix(5, 16);
  node.PutMatrix(0, old, 2);
  node.PutMatrix(0x1000, fresh, 2);
  auto load = [&](uint64_t from) { node.Add(Move{.dram = from, .rows = 5}.Load()); };
  // Row 0 by the others.
  auto multiply = [&](int64_t out, bool out_fp32) {
    ComputeNest nest;
    nest.b_base = 2;
    nest.b_col_inc = 2;
    node.Add(nest.Make());
    VectorNest post;
    post.out_base = out;
    post.out_fp32 = out_fp32;
    post.tail_loop = 0;
    node.Add(post.Make());
  };
  auto products = [](const std::vector<double>& a, const Matrix& rows) {
    std::vector<double> results(4);
    for (size_t c = 0; c < 4; ++c) {
      for (size_t i = 0; i < 16; ++i) results[c] += a[i] * rows[c + 1][i];
    }
    return results;
  };
  load(0);
  multiply(0x1000, true);
  load(0x1000);
  multiply(0x1020, true);
  multiply(0, false);  // over its own operand
  multiply(0x1040, true);
  node.RunToTheEnd();
  const Matrix got = node.GetMatrix(0x1000, 3, 4, 32, 4, true);
  EXPECT_EQ(got[0], products(old[0], old));
  EXPECT_EQ(got[1], products(fresh[0], fresh));
  std::vector<double> row(16);
  for (size_t c = 0; c < 4; ++c) row[c] = ValueOf(Bf16Of(got[1][c]), 2);
  EXPECT_EQ(got[2], products(row, fresh));
}

// ---- moves

TEST(Machine, TransposedLoadPutsColumnsIntoRowsAndPads) {
  Node node(Nano());
  Integers draw(4);
  const Matrix m = draw.DrawMatrix(5, 20);
  node.PutMatrix(0, m, 2);
  node.PutMatrix(0x1000, Matrix(40, std::vector<double>(32, 9.0)), 2);
  node.Add(Move{.dram = 0x1000, .rows = 40}.Load());
  node.Add(Move{.rows = 5,
                .accesses = 1,
                .spad = 8,
                .spad_pitch = 64,
                .pad_rows = 3,
                .cols = 20,
                .transpose = true}
               .Load());
  node.RunToTheEnd();
  const Matrix got = node.GetMatrix(0, 40, 32, 64, 2, true);
  for (size_t r = 0; r < 40; ++r) {
    for (size_t c = 0; c < 32; ++c) {
      double expected = 9.0;
      if (r < 20 && c >= 4 && c < 12) expected = c < 9 ? m[c - 4][r] : 0.0;
      ASSERT_EQ(got[r][c], expected) << r << ", " << c;
    }
  }
}

TEST(Machine, ScratchpadAddressesWrapAndContentsOutliveARun) {
  MachineConfig config = Nano();
  config.scratchpad_bytes = 256;
  Node node(config);
  node.PutMatrix(0, {std::vector<double>(96, 1.0)}, 2);
  node.Add(Move{.accesses = 3, .spad = 192, .spad_pitch = 64}.Load());
  node.RunToTheEnd();
  node.Add(Move{.dram = 4096, .accesses = 4, .spad = 128}.Store());
  node.RunToTheEnd();
  Matrix expected(1, std::vector<double>(128, 1.0));
  std::fill_n(expected[0].begin(), 32, 0.0);
  EXPECT_EQ(node.GetMatrix(4096, 1, 128, 256, 2, false), expected);
}

TEST(Machine, ConvertRoundsToNearestEven) {
  Node node(Nano());
  const std::vector<double> values = {1.0, 1.00390625, 1.01171875, -1.0039064, 3.0e38, 0.0};
  node.PutMatrix(0, {values}, 4);
  node.PutMatrix(0x1000, {std::vector<double>(32, 9.0)}, 2);
  node.Add(Move{.dram = 0x1000}.Load());
  node.Add(Move{.convert = true}.Load());
  node.RunToTheEnd();
  EXPECT_EQ(node.GetMatrix(0, 1, 6, 32, 2, true)[0],
            (std::vector<double>{1.0, 1.0, 1.015625, -1.0078125, ValueOf(Bf16Of(3.0e38), 2), 0.0}));
  // A row of 16 values, not more.
  const Matrix row = node.GetMatrix(0, 1, 32, 64, 2, true);
  EXPECT_EQ(row[0][15], 0.0);
  EXPECT_EQ(std::vector<double>(row[0].begin() + 16, row[0].end()), std::vector<double>(16, 9.0));
}

// Gradients of fx32 with operands of fx16: all that is lost is a unit of 2^-28 of a gradient, one
// of 2^-32 of a word of low halves, and the rounding of the sum to fp32.
TEST(Machine, GradientsOfFx32KeepTheirBits) {
  constexpr size_t kRows = 6;
  constexpr size_t kDepth = 96;
  for (const bool transpose : {false, true}) {
    const MachineConfig config = NanoFx32();
    Node node(config);
    std::mt19937 random(8);
    Matrix gradients(kRows, std::vector<double>(kDepth));
    for (auto& row : gradients) {
      for (double& g : row) {
        g = static_cast<float>(std::ldexp(static_cast<int32_t>(random()) * 0x1p-31,
                                          2 - static_cast<int>(random() % 20)));
      }
    }
    std::vector<int16_t> weights(static_cast<size_t>(config.cols) * kDepth);
    for (int16_t& w : weights) w = static_cast<int16_t>(random());
    Bytes bytes(2 * weights.size());
    std::memcpy(bytes.data(), weights.data(), bytes.size());
    node.machine.Write(0x20000, bytes);
    if (transpose) {
      // Memory has a gradient's depth as its rows.
      Matrix turned(kDepth, std::vector<double>(16));
      for (size_t r = 0; r < kRows; ++r) {
        for (size_t k = 0; k < kDepth; ++k) turned[k][r] = gradients[r][k];
      }
      node.PutMatrix(0x10000, turned, 4);
    } else {
      node.PutMatrix(0x10000, gradients, 4);
    }
    const int64_t low = 0x8000;
    const int64_t pitch = 2 * kDepth;
    const int64_t word = config.WordBytes();
    for (int64_t half : {1, 2}) {
      Move move{.dram = 0x10000,
                .rows = kRows,
                .accesses = 4 * kDepth / 64,
                .dram_pitch = 4 * kDepth,
                .spad = half == 1 ? 0 : low,
                .spad_pitch = pitch,
                .convert = true,
                .half = half};
      if (transpose) {
        move.rows = kDepth;
        move.accesses = 1;
        move.dram_pitch = 64;
        move.cols = kRows;
        move.transpose = true;
      }
      node.Add(move.Load());
    }
    node.Add(Move{.dram = 0x20000,
                  .rows = config.cols,
                  .accesses = pitch / 64,
                  .dram_pitch = pitch,
                  .spad = 0x10000,
                  .spad_pitch = pitch}
                 .Load());
    ComputeNest nest;
    nest.bounds = {kRows, pitch / word, 2, 1, 1, 1};
    nest.a_strides = {pitch / word, 1, low / word, 0, 0, 0};
    nest.b_strides = {0, 1, 0, 0, 0, 0};
    nest.b_base = 0x10000 / word;
    nest.b_col_inc = pitch / word;
    nest.store_level = 3;
    nest.halves = true;
    node.Add(nest.Make());
    VectorNest post;
    post.bounds = {kRows, 1, 1, 1, 1, 1};
    post.out_strides = {config.cols * 4, 0, 0, 0, 0, 0};
    post.out_base = 0x20000;
    post.out_fp32 = true;
    node.Add(post.Make());
    node.RunToTheEnd();
    const Matrix got = node.GetMatrix(0x20000, kRows, 4, config.cols * 4, 4, true);
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < 4; ++c) {
        long double exact = 0;
        long double bound = 0;
        for (size_t k = 0; k < kDepth; ++k) {
          const long double weight = std::ldexp(weights[c * kDepth + k], -12);
          exact += gradients[r][k] * weight;
          bound += 0x1p-28L * std::fabs(weight);
        }
        bound += 0x1p-32L * kDepth / 16 + std::fabs(exact) * 0x1p-24L;
        EXPECT_LE(std::fabs(got[r][c] - exact), bound) << r << ", " << c;
      }
    }
  }
}

// ---- softmax

TEST(Machine, SoftmaxLeavesGradientsZerosAndLosses) {
  for (const MachineConfig& config : Shapes()) {
    SCOPED_TRACE(NameOf(config));
    Node node(config);
    Integers draw(5);
    constexpr size_t kClasses = 10;
    const Matrix logits = draw.DrawMatrix(kBatch, kClasses);
    const int bytes = config.OperandBytes();
    const int64_t word = config.WordBytes();
    const int64_t pitch = node.Pitch(kClasses, 4);
    const int64_t grad_pitch = node.Pitch(kClasses, bytes);
    node.PutMatrix(0, logits, 4);
    Bytes labels(64);
    std::vector<size_t> label(kBatch);
    for (size_t r = 0; r < kBatch; ++r) {
      label[r] = static_cast<size_t>(draw.Draw(0, kClasses - 1));
      labels[2 * r] = static_cast<uint8_t>(label[r]);
    }
    node.machine.Write(0x8000, labels);
    node.PutMatrix(0x9000, Matrix(kBatch, std::vector<double>(grad_pitch / 4, 1.5)), 4);
    node.Add(Move{
        .rows = kBatch, .accesses = pitch / 64, .dram_pitch = pitch, .spad = 0, .spad_pitch = pitch}
                 .Load());
    node.Add(Move{.dram = 0x8000, .spad = 0x2000, .spad_pitch = word}.Load());
    node.Add(Move{.dram = 0x9000, .accesses = 4, .spad = 0x6000, .spad_pitch = word}.Load());
    node.Add(Move{.dram = 0x9000,
                  .rows = kBatch,
                  .accesses = grad_pitch / 64,
                  .dram_pitch = grad_pitch,
                  .spad = 0x3000,
                  .spad_pitch = grad_pitch}
                 .Load());
    Descriptor d(Opcode::kSoftmax);
    d.Set(FieldId::kSRows, kBatch);
    d.Set(FieldId::kClasses, kClasses);
    d.Set(FieldId::kLogitsPitch, pitch);
    d.Set(FieldId::kLabelsAddr, 0x2000);
    d.Set(FieldId::kGradAddr, 0x3000);
    d.Set(FieldId::kGradPitch, grad_pitch);
    d.Set(FieldId::kLossAddr, 0x6000);
    d.Set(FieldId::kSScalar, 2);
    node.Add(d);
    node.machine.SetScalar(2, Fp32Of(0.25));
    node.RunToTheEnd();

    const size_t filled = static_cast<size_t>(RoundUp(kClasses * bytes, word) / bytes);
    const Matrix grad = node.GetMatrix(0x3000, kBatch, filled, grad_pitch, bytes, true);
    const size_t losses = static_cast<size_t>(RoundUp(kBatch * 4, word) / 4);
    const Matrix loss = node.GetMatrix(0x6000, losses, 1, 4, 4, true);
    for (size_t r = kBatch; r < losses; ++r) EXPECT_EQ(loss[r][0], 0.0) << "behind the last loss";
    for (size_t r = 0; r < kBatch; ++r) {
      double sum = 0;
      for (double x : logits[r]) sum += std::exp(x);
      EXPECT_NEAR(loss[r][0], std::log(sum) - logits[r][label[r]], 1e-5);
      for (size_t c = 0; c < filled; ++c) {
        const double p = c < kClasses ? std::exp(logits[r][c]) / sum - (c == label[r]) : 0.0;
        EXPECT_NEAR(grad[r][c], 0.25 * p, c < kClasses ? 0.001 : 0.0) << r << ", " << c;
      }
    }
  }
}

// ---- programs that are refused

TEST(Machine, ProgramsEndAtEnd) {
  Node node(Nano());
  node.Add(Move{}.Load());
  RunResult result = node.Run(false);
  EXPECT_EQ(result.error, ErrorCode::kNoEnd);
  EXPECT_EQ(result.index, 1u);
  result = node.machine.Run(kProgram, 0);
  EXPECT_EQ(result.error, ErrorCode::kNoEnd);
  node.Add(Move{}.Load());
  node.Add(Descriptor(Opcode::kEnd));
  node.Add(Descriptor());  // never reached
  result = node.Run();
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.index, 1u);
}

TEST(Machine, CountsWhatItDid) {
  Node node(Nano());
  node.Add(Move{.rows = 3, .accesses = 2, .dram_pitch = 0}.Load());
  node.Add(Move{.rows = 2}.Store());
  ComputeNest nest;
  nest.bounds = {3, 5, 1, 1, 1, 1};
  node.Add(nest.Make());
  const RunResult result = node.Run();
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.counts.descriptors, 4u);
  EXPECT_EQ(result.counts.macs, 3u * 5 * 64);
  EXPECT_EQ(result.counts.dram_read_bytes, 384u);
  EXPECT_EQ(result.counts.dram_write_bytes, 128u);
}

TEST(Machine, SemaphoresCountToTheirLargestValueAndAreTakenInProgramOrder) {
  Node node(Nano());
  using isa::BitOf;
  using isa::Engine;
  auto add = [&](Opcode opcode, int64_t wait, int64_t signal) {
    Descriptor d = Move{}.Make(opcode);
    d.Set(FieldId::kWait, wait);
    d.Set(FieldId::kSignal, signal);
    node.Add(d);
  };
  const auto load = [&](int64_t wait, int64_t signal) { add(Opcode::kLoad, wait, signal); };
  const auto store = [&](int64_t wait, int64_t signal) { add(Opcode::kStore, wait, signal); };
  load(0, BitOf(Engine::kStore) | BitOf(Engine::kLanes));
  store(BitOf(Engine::kLoad), BitOf(Engine::kLoad));
  load(BitOf(Engine::kStore), 0);
  EXPECT_TRUE(node.Run().ok());

  // What an engine gave to one, no other can take.
  load(0, BitOf(Engine::kLanes));
  store(BitOf(Engine::kLoad), 0);
  RunResult result = node.Run();
  EXPECT_EQ(result.fault, OrderFault::kSemaphoreZero);
  EXPECT_EQ(result.error, ErrorCode::kNone);
  EXPECT_EQ(result.index, 1u);

  // A run starts with all at zero, whatever the last one left.
  store(BitOf(Engine::kLoad), 0);
  EXPECT_EQ(node.Run().fault, OrderFault::kSemaphoreZero);

  constexpr int kMost = (1 << isa::kSemaphoreBits) - 1;
  for (int i = 0; i < kMost; ++i) load(0, BitOf(Engine::kSend));
  EXPECT_TRUE(node.Run().ok());
  for (int i = 0; i < kMost + 1; ++i) load(0, BitOf(Engine::kSend));
  result = node.Run();
  EXPECT_EQ(result.error, ErrorCode::kSemaphore);
  EXPECT_EQ(result.index, static_cast<uint32_t>(kMost));
}

// Jobs that each touch one word of the scratchpad, and the tokens between them.
class Races : public testing::Test {
 protected:
  static constexpr int64_t kWord = 32;

  static Descriptor Load(int64_t word) {
    return Move{.dram = 0x1000, .spad = word * kWord, .spad_pitch = 32}.Load();
  }
  static Descriptor Store(int64_t word) {
    return Move{.dram = 0x2000, .spad = word * kWord}.Store();
  }
  // Copies a group from the beginning of a word to that of another.
  static lanes::Program Copy() {
    lanes::Program program;
    program.body.LoadWide(0, 0).StoreWide(0, 1);
    return program;
  }
  static Descriptor Lanes(int64_t from, int64_t to) {
    lanes::Job job;
    job.streams[0].base = static_cast<uint32_t>(from * kWord);
    job.streams[1].base = static_cast<uint32_t>(to * kWord);
    return lanes::MakeDescriptor(Copy(), 100, job);
  }
  static Descriptor Elements(int64_t from, int64_t to) {
    Descriptor d(Opcode::kElements);
    for (int k = 0; k < kLoops; ++k) d.Set(FieldId::kVBound, 1, k);
    d.Set(FieldId::kTailLoop, isa::kNoTail);
    d.Set(FieldId::kOutFp32, 1);
    d.Set(FieldId::kSrcBase, from * kWord);
    d.Set(FieldId::kOutBase, to * kWord);
    return d;
  }

  // Whether two of them race, and that the message names them.
  static bool Race(const std::vector<Descriptor>& program, uint32_t earlier = 0,
                   uint32_t later = 0) {
    MachineConfig config = Nano();
    config.check_order = true;
    Node node(config);
    // The scratchpad keeps the lane program from a run before.
    Bytes words(64);
    for (size_t i = 0; i < Copy().Words().size(); ++i) {
      for (size_t b = 0; b < 4; ++b) {
        words[4 * i + b] = static_cast<uint8_t>(Copy().Words()[i] >> (8 * b));
      }
    }
    node.machine.Write(0x1000, words);
    node.Add(Load(100));
    EXPECT_TRUE(node.Run().ok());
    for (const Descriptor& d : program) node.Add(d);
    const RunResult result = node.Run();
    EXPECT_TRUE(result.fault == OrderFault::kRace || result.ok());
    if (result.ok()) return false;
    EXPECT_EQ(result.index, later);
    EXPECT_NE(node.machine.RaceText().find("descriptors " + std::to_string(earlier) + " and " +
                                           std::to_string(later)),
              std::string::npos)
        << node.machine.RaceText();
    return true;
  }
  static bool RaceOfTwo(Descriptor a, Descriptor b) {
    const bool race = Race({a, b}, 0, 1);
    Order(a, b);
    EXPECT_FALSE(Race({a, b})) << isa::ToText(a) << isa::ToText(b);
    return race;
  }
};

TEST_F(Races, AWriteAndAnotherAccessOfTheSameBytesNeedAToken) {
  EXPECT_TRUE(RaceOfTwo(Load(0), Store(0)));
  EXPECT_TRUE(RaceOfTwo(Load(0), Lanes(0, 8)));
  EXPECT_TRUE(RaceOfTwo(Load(100), Lanes(0, 8))) << "its program";
  EXPECT_TRUE(RaceOfTwo(Lanes(0, 8), Load(0))) << "a write behind a read";
  EXPECT_TRUE(RaceOfTwo(Lanes(0, 8), Store(8)));
  EXPECT_TRUE(RaceOfTwo(Lanes(0, 8), Elements(8, 9)));
  EXPECT_TRUE(RaceOfTwo(Elements(0, 8), Lanes(8, 9)));
  EXPECT_TRUE(RaceOfTwo(Elements(0, 8), Lanes(1, 8))) << "two writes";
  EXPECT_TRUE(RaceOfTwo(Move{.spad = 64}.Store(), Move{.spad = 512}.Load())) << "in the vault";
}

TEST_F(Races, ReadsAndOtherBytesNeedNone) {
  EXPECT_FALSE(RaceOfTwo(Lanes(0, 8), Store(0)));
  EXPECT_FALSE(RaceOfTwo(Lanes(0, 8), Elements(0, 9)));
  EXPECT_FALSE(RaceOfTwo(Load(0), Lanes(2, 8)));
  // Halves of a word, which is what the wide slots of four columns are.
  Descriptor half = Elements(0, 8);
  half.Set(FieldId::kOutBase, 8 * kWord + 16);
  EXPECT_FALSE(RaceOfTwo(half, Lanes(1, 8)));
}

TEST_F(Races, TokensGoThroughOtherEngines) {
  Descriptor load = Load(0), lanes = Lanes(2, 8), store = Store(0);
  EXPECT_TRUE(Race({load, lanes, store}, 0, 2));
  Order(load, lanes);
  EXPECT_TRUE(Race({load, lanes, store}, 0, 2));
  Order(lanes, store);
  EXPECT_FALSE(Race({load, lanes, store}));
  // A token tells nothing of jobs behind the one that gave it.
  Descriptor early = Load(20);
  Descriptor late = Store(0);
  Order(early, late);
  EXPECT_TRUE(Race({early, Load(0), late}, 1, 2));
}

TEST_F(Races, SumsTellThatTheirOperandsWereRead) {
  ComputeNest nest;
  nest.bounds = {1, 1, 2, 1, 1, 1};
  nest.a_strides = {0, 0, 1, 0, 0, 0};
  nest.store_level = 2;
  nest.b_base = 50;
  VectorNest post;
  post.out_base = 80 * kWord;
  Descriptor first = post.Make(), second = post.Make(), load = Load(0), last = Load(1);
  EXPECT_TRUE(Race({nest.Make(), first, second, load}, 0, 3));
  Order(second, load);
  EXPECT_FALSE(Race({nest.Make(), first, second, load}));
  // The first set says so of no operand: the job still reads for the second.
  Descriptor early = post.Make();
  Order(early, last);
  EXPECT_TRUE(Race({nest.Make(), early, last}, 0, 2));
}

TEST(Machine, VectorWithoutSumsIsAFaultNotAHang) {
  Node node(Nano());
  node.Add(VectorNest{}.Make());
  EXPECT_EQ(node.Run().fault, OrderFault::kNoSums);

  ComputeNest nest;
  nest.bounds = {2, 1, 1, 1, 1, 1};
  VectorNest post;
  post.bounds = {3, 1, 1, 1, 1, 1};
  node.Add(nest.Make());
  node.Add(post.Make());
  RunResult result = node.Run();
  EXPECT_EQ(result.fault, OrderFault::kFewSums);
  EXPECT_EQ(result.index, 1u);

  // Without `last` nothing is handed over; what a run leaves behind is gone with it.
  nest.last = false;
  node.Add(nest.Make());
  node.Add(VectorNest{}.Make());
  EXPECT_EQ(node.Run().fault, OrderFault::kNoSums);
  nest.last = true;
  node.Add(nest.Make());
  EXPECT_TRUE(node.Run().ok());
  node.Add(VectorNest{}.Make());
  EXPECT_EQ(node.Run().fault, OrderFault::kNoSums);
}

// A descriptor in which `change` breaks one rule or several; the first of them is reported.
class Rules : public testing::Test {
 protected:
  using Change = std::vector<std::tuple<FieldId, int64_t, int>>;

  static Descriptor Valid(Opcode opcode) {
    switch (opcode) {
      case Opcode::kLoad:
      case Opcode::kStore:
        return Move{}.Make(opcode);
      case Opcode::kCompute:
        return ComputeNest{}.Make();
      case Opcode::kVector:
        return VectorNest{}.Make();
      case Opcode::kSoftmax: {
        Descriptor d(opcode);
        d.Set(FieldId::kSRows, 1);
        d.Set(FieldId::kClasses, 256);
        d.Set(FieldId::kLogitsPitch, 1024);
        d.Set(FieldId::kGradPitch, 512);
        return d;
      }
      case Opcode::kElements: {
        Descriptor d(opcode);
        for (int k = 0; k < kLoops; ++k) d.Set(FieldId::kVBound, 1, k);
        d.Set(FieldId::kTailLoop, isa::kNoTail);
        return d;
      }
      case Opcode::kSend: {
        Descriptor d(opcode);
        d.Set(FieldId::kSendKind, 1);
        d.Set(FieldId::kGroup, 3);
        d.Set(FieldId::kSendRows, 2);
        d.Set(FieldId::kRowFlits, 3);
        return d;
      }
      case Opcode::kLanes: {
        Descriptor d(opcode);
        d.Set(FieldId::kLGroups, 1);
        d.Set(FieldId::kLBody, 1);
        for (int k = 0; k < 3; ++k) d.Set(FieldId::kLBound, 1, k);
        return d;
      }
      case Opcode::kEnd:
        break;
    }
    return Descriptor(opcode);
  }

  ErrorCode CheckOf(Opcode opcode, const Change& change) const {
    Descriptor d = Valid(opcode);
    for (const auto& [field, value, index] : change) d.Set(field, value, index);
    return machine_->Check(d);
  }

  // Alone and as the error of a run that stops before the descriptor does anything.
  void Expect(ErrorCode code, Opcode opcode, const Change& change) {
    Descriptor d = Valid(opcode);
    for (const auto& [field, value, index] : change) d.Set(field, value, index);
    EXPECT_EQ(machine_->Check(d), code) << isa::ToText(d);
    const std::array<Descriptor, 3> program = {Valid(Opcode::kLoad), d, Descriptor(Opcode::kEnd)};
    for (size_t i = 0; i < 3; ++i) machine_->Write(kProgram + 64 * i, program[i].bytes());
    if (code == ErrorCode::kNone && opcode == Opcode::kVector) return;  // has no sums to take
    const RunResult result = machine_->Run(kProgram, 3);
    EXPECT_EQ(result.error, code) << isa::ToText(d);
    if (code != ErrorCode::kNone) {
      EXPECT_EQ(result.index, 1u) << isa::ToText(d);
      EXPECT_EQ(result.counts.descriptors, 1u) << isa::ToText(d);
    }
  }

  void Use(const MachineConfig& config) { machine_ = std::make_unique<Machine>(config); }

  std::unique_ptr<Machine> machine_ = std::make_unique<Machine>(Nano());
};

constexpr Opcode kAllOpcodes[] = {Opcode::kLoad,   Opcode::kStore,   Opcode::kCompute,
                                  Opcode::kVector, Opcode::kSoftmax, Opcode::kElements,
                                  Opcode::kSend,   Opcode::kLanes,   Opcode::kEnd};

TEST_F(Rules, ValidDescriptorsPass) {
  for (Opcode opcode : kAllOpcodes) EXPECT_EQ(CheckOf(opcode, {}), ErrorCode::kNone);
}

TEST_F(Rules, UnknownOpcodes) {
  for (int opcode : {0, 10, 12, 15}) {
    EXPECT_EQ(machine_->Check(Descriptor(static_cast<Opcode>(opcode))), ErrorCode::kOpcode);
  }
}

TEST_F(Rules, EveryBitOutsideTheFieldsIsReserved) {
  for (Opcode opcode : kAllOpcodes) {
    const char group = isa::FieldGroup(static_cast<int>(opcode));
    std::array<bool, 512> used{};
    for (const isa::Field& field : isa::Fields()) {
      if (!isa::HasField(group, field)) continue;
      for (int i = 0; i < field.count; ++i) {
        std::fill_n(used.begin() + field.lsb + i * field.stride, field.bits, true);
      }
    }
    // An engine has no tokens for itself.
    for (FieldId id : {FieldId::kWait, FieldId::kSignal}) {
      if (opcode == Opcode::kEnd) break;
      used[isa::Fields()[static_cast<int>(id)].lsb + static_cast<int>(isa::EngineOf(opcode))] =
          false;
    }
    for (int bit = 0; bit < 512; ++bit) {
      Descriptor d = Valid(opcode);
      d.bytes()[bit / 8] = static_cast<uint8_t>(d.bytes()[bit / 8] ^ 1 << (bit % 8));
      const bool refused = machine_->Check(d) == ErrorCode::kReserved;
      if (bit >= 4) {
        EXPECT_EQ(refused, !used[bit]) << "bit " << bit << " of " << isa::ToText(d);
      }
    }
  }
}

// What the corner turn holds, in operands of memory's rows: 32 beats of 4.
TEST_F(Rules, TransposedLoadsBeyondTheCornerTurnAreUnsupported) {
  const auto transposed = [](int64_t accesses, int64_t cols, bool convert) {
    Descriptor d =
        Move{.rows = 4, .accesses = accesses, .cols = cols, .convert = convert, .transpose = true}
            .Load();
    return d;
  };
  EXPECT_EQ(machine_->Check(transposed(4, 128, false)), ErrorCode::kNone);
  EXPECT_EQ(machine_->Check(transposed(5, 128, false)), ErrorCode::kUnsupported)
      << "a row too long";
  EXPECT_EQ(machine_->Check(transposed(4, 129, false)), ErrorCode::kUnsupported)
      << "columns beyond the row";
  EXPECT_EQ(machine_->Check(transposed(8, 128, true)), ErrorCode::kNone)
      << "converted, rows are half as long";
  EXPECT_EQ(machine_->Check(transposed(9, 128, true)), ErrorCode::kUnsupported);
}

TEST_F(Rules, ZeroCounts) {
  for (Opcode move : {Opcode::kLoad, Opcode::kStore}) {
    Expect(ErrorCode::kZeroCount, move, {{FieldId::kRows, 0, 0}});
    Expect(ErrorCode::kZeroCount, move, {{FieldId::kRowAccesses, 0, 0}});
  }
  Expect(ErrorCode::kZeroCount, Opcode::kLoad, {{FieldId::kTranspose, 1, 0}});
  for (int k = 0; k < kLoops; ++k) {
    Expect(ErrorCode::kZeroCount, Opcode::kCompute, {{FieldId::kBound, 0, k}});
    Expect(ErrorCode::kZeroCount, Opcode::kVector, {{FieldId::kVBound, 0, k}});
  }
  Expect(ErrorCode::kZeroCount, Opcode::kSoftmax, {{FieldId::kSRows, 0, 0}});
  Expect(ErrorCode::kZeroCount, Opcode::kSoftmax, {{FieldId::kClasses, 0, 0}});
}

TEST_F(Rules, Unsupported) {
  Expect(ErrorCode::kUnsupported, Opcode::kStore, {{FieldId::kConvert, 1, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kStore,
         {{FieldId::kTranspose, 1, 0}, {FieldId::kCols, 1, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kStore, {{FieldId::kPadRows, 1, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kStore, {{FieldId::kCols, 1, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kLoad, {{FieldId::kCols, 1, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kSoftmax, {{FieldId::kClasses, 257, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kVector, {{FieldId::kAuxKind, 3, 0}});
  Expect(ErrorCode::kNone, Opcode::kLoad, {{FieldId::kConvert, 1, 0}});
  MachineConfig fp32 = Nano();
  fp32.operand.number = NumberFormat::kFp32;
  fp32.align_bits = 48;
  Use(fp32);
  Expect(ErrorCode::kUnsupported, Opcode::kLoad, {{FieldId::kConvert, 1, 0}});
}

TEST_F(Rules, HalvesAreForGradientsOfFx32) {
  const FieldId half = FieldId::kHalf;
  const FieldId convert = FieldId::kConvert;
  const Change compute = {
      {FieldId::kHalves, 1, 0}, {FieldId::kStoreLevel, 2, 0}, {FieldId::kBound, 2, 1}};
  MachineConfig fx16 = NanoFx32();
  fx16.wide_gradients = false;
  Use(fx16);
  Expect(ErrorCode::kUnsupported, Opcode::kLoad, {{convert, 1, 0}, {half, 1, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kCompute, compute);
  Use(NanoFx32());
  for (int64_t h : {1, 2}) {
    Expect(ErrorCode::kNone, Opcode::kLoad, {{convert, 1, 0}, {half, h, 0}});
    Expect(ErrorCode::kUnsupported, Opcode::kLoad, {{half, h, 0}});
    Expect(ErrorCode::kUnsupported, Opcode::kStore, {{half, h, 0}});
  }
  Expect(ErrorCode::kUnsupported, Opcode::kLoad, {{convert, 1, 0}, {half, 3, 0}});
  Expect(ErrorCode::kNone, Opcode::kCompute, compute);
  Expect(ErrorCode::kLevel, Opcode::kCompute, {{FieldId::kHalves, 1, 0}, {FieldId::kBound, 2, 0}});
  for (int64_t bound : {1, 3}) {
    Change other = compute;
    other.push_back({FieldId::kBound, bound, 1});
    Expect(ErrorCode::kLevel, Opcode::kCompute, other);
  }
}

TEST_F(Rules, Levels) {
  Expect(ErrorCode::kLevel, Opcode::kCompute, {{FieldId::kBLevel, 0, 0}});
  Expect(ErrorCode::kLevel, Opcode::kCompute, {{FieldId::kBLevel, 2, 0}});
  Expect(ErrorCode::kLevel, Opcode::kCompute, {{FieldId::kStoreLevel, 0, 0}});
  Expect(ErrorCode::kLevel, Opcode::kCompute, {{FieldId::kStoreLevel, 7, 0}});
  Expect(ErrorCode::kNone, Opcode::kCompute,
         {{FieldId::kBLevel, 6, 0}, {FieldId::kStoreLevel, 6, 0}});
  Expect(ErrorCode::kNone, Opcode::kCompute, {{FieldId::kBound, 2, 5}});
  for (FieldId end : {FieldId::kFirst, FieldId::kLast}) {
    Expect(ErrorCode::kLevel, Opcode::kCompute, {{end, 0, 0}, {FieldId::kBound, 2, 5}});
    Expect(ErrorCode::kLevel, Opcode::kCompute, {{end, 0, 0}, {FieldId::kBound, 2, 1}});
    Expect(ErrorCode::kNone, Opcode::kCompute,
           {{end, 0, 0}, {FieldId::kBound, 2, 1}, {FieldId::kStoreLevel, 2, 0}});
  }
  Expect(ErrorCode::kLevel, Opcode::kVector, {{FieldId::kPopLevel, 0, 0}});
  Expect(ErrorCode::kLevel, Opcode::kVector, {{FieldId::kPopLevel, 7, 0}});
  Expect(ErrorCode::kNone, Opcode::kVector, {{FieldId::kPopLevel, 6, 0}});
}

TEST_F(Rules, AlignmentOfMoves) {
  for (Opcode move : {Opcode::kLoad, Opcode::kStore}) {
    Expect(ErrorCode::kAlignment, move, {{FieldId::kDramAddr, 32, 0}});
    Expect(ErrorCode::kAlignment, move, {{FieldId::kDramPitch, 96, 0}});
    Expect(ErrorCode::kAlignment, move, {{FieldId::kSpadAddr, 16, 0}});
    Expect(ErrorCode::kAlignment, move, {{FieldId::kSpadPitch, 48, 0}});
    Expect(ErrorCode::kNone, move, {{FieldId::kSpadAddr, 32, 0}, {FieldId::kSpadPitch, 32, 0}});
  }
  const Change transposed = {
      {FieldId::kTranspose, 1, 0}, {FieldId::kCols, 32, 0}, {FieldId::kRows, 4, 0}};
  auto with = [&](FieldId field, int64_t value) {
    Change change = transposed;
    change.emplace_back(field, value, 0);
    return change;
  };
  Expect(ErrorCode::kNone, Opcode::kLoad, transposed);
  Expect(ErrorCode::kNone, Opcode::kLoad, with(FieldId::kSpadAddr, 8));
  Expect(ErrorCode::kAlignment, Opcode::kLoad, with(FieldId::kSpadAddr, 4));
  Expect(ErrorCode::kAlignment, Opcode::kLoad, with(FieldId::kSpadPitch, 8));
  Expect(ErrorCode::kAlignment, Opcode::kLoad, with(FieldId::kPadRows, 3));
  Expect(ErrorCode::kNone, Opcode::kLoad, with(FieldId::kPadRows, 4));
}

TEST_F(Rules, AlignmentOfVectors) {
  const auto add = static_cast<int64_t>(Aux::kAdd);
  const auto mask = static_cast<int64_t>(Aux::kMask);
  Expect(ErrorCode::kNone, Opcode::kVector, {{FieldId::kOutBase, 8, 0}});
  Expect(ErrorCode::kAlignment, Opcode::kVector, {{FieldId::kOutBase, 4, 0}});
  Expect(ErrorCode::kAlignment, Opcode::kVector,
         {{FieldId::kOutBase, 8, 0}, {FieldId::kOutFp32, 1, 0}});
  Expect(ErrorCode::kNone, Opcode::kVector, {{FieldId::kAuxBase, 1, 0}});
  Expect(ErrorCode::kNone, Opcode::kVector,
         {{FieldId::kAuxKind, mask, 0}, {FieldId::kAuxBase, 8, 0}});
  Expect(ErrorCode::kAlignment, Opcode::kVector,
         {{FieldId::kAuxKind, mask, 0}, {FieldId::kAuxBase, 4, 0}});
  Expect(ErrorCode::kAlignment, Opcode::kVector,
         {{FieldId::kAuxKind, add, 0}, {FieldId::kAuxBase, 8, 0}});
  for (int k = 0; k < kLoops; ++k) {
    Expect(ErrorCode::kNone, Opcode::kVector, {{FieldId::kOutInc, -8, k}});
    Expect(ErrorCode::kAlignment, Opcode::kVector, {{FieldId::kOutInc, -4, k}});
    Expect(ErrorCode::kNone, Opcode::kVector, {{FieldId::kAuxInc, 1, k}});
    Expect(ErrorCode::kAlignment, Opcode::kVector,
           {{FieldId::kAuxKind, add, 0}, {FieldId::kAuxInc, -8, k}});
    Expect(ErrorCode::kAlignment, Opcode::kVector,
           {{FieldId::kAuxKind, mask, 0}, {FieldId::kAuxInc, -4, k}});
  }
}

TEST_F(Rules, AlignmentAndRangeOfSoftmax) {
  for (FieldId field : {FieldId::kLogitsAddr, FieldId::kLabelsAddr, FieldId::kGradAddr,
                        FieldId::kLossAddr, FieldId::kLogitsPitch, FieldId::kGradPitch}) {
    Expect(ErrorCode::kAlignment, Opcode::kSoftmax, {{field, 16, 0}});
    Expect(ErrorCode::kNone, Opcode::kSoftmax, {{field, 32, 0}});
  }
  for (FieldId field :
       {FieldId::kLogitsAddr, FieldId::kLabelsAddr, FieldId::kGradAddr, FieldId::kLossAddr}) {
    Expect(ErrorCode::kNone, Opcode::kSoftmax, {{field, 262144 - 32, 0}});
    Expect(ErrorCode::kScratchpad, Opcode::kSoftmax, {{field, 262144, 0}});
  }
}

TEST_F(Rules, Lanes) {
  Expect(ErrorCode::kNone, Opcode::kLanes, {{FieldId::kLGroups, 16, 0}});
  Expect(ErrorCode::kUnsupported, Opcode::kLanes, {{FieldId::kLGroups, 17, 0}});
  Expect(ErrorCode::kZeroCount, Opcode::kLanes, {{FieldId::kLGroups, 0, 0}});
  for (int k = 0; k < 3; ++k) {
    Expect(ErrorCode::kZeroCount, Opcode::kLanes, {{FieldId::kLBound, 0, k}});
  }
  Expect(ErrorCode::kZeroCount, Opcode::kLanes, {{FieldId::kLBody, 0, 0}});
  Expect(ErrorCode::kNone, Opcode::kLanes, {{FieldId::kLBody, 0, 0}, {FieldId::kLInit, 1, 0}});
  const Change longest = {
      {FieldId::kLInit, 63, 0}, {FieldId::kLBody, 2, 0}, {FieldId::kLFinal, 63, 0}};
  Expect(ErrorCode::kNone, Opcode::kLanes, longest);
  Change too_long = longest;
  too_long.emplace_back(FieldId::kLBody, 3, 0);
  Expect(ErrorCode::kUnsupported, Opcode::kLanes, too_long);
  for (int s = 0; s < isa::kLaneStreams; ++s) {
    Expect(ErrorCode::kNone, Opcode::kLanes, {{FieldId::kLBase, 262144 - 8, s}});
    Expect(ErrorCode::kAlignment, Opcode::kLanes, {{FieldId::kLBase, 4, s}});
    Expect(ErrorCode::kScratchpad, Opcode::kLanes, {{FieldId::kLBase, 262144, s}});
  }
  Expect(ErrorCode::kNone, Opcode::kLanes, {{FieldId::kLProgram, 8191, 0}});
  Expect(ErrorCode::kScratchpad, Opcode::kLanes, {{FieldId::kLProgram, 8192, 0}});

  Change lanes;
  auto break_lanes = [&](ErrorCode code, FieldId field, int64_t value) {
    lanes.emplace_back(field, value, 0);
    EXPECT_EQ(CheckOf(Opcode::kLanes, lanes), code);
  };
  break_lanes(ErrorCode::kScratchpad, FieldId::kLProgram, 8192);
  break_lanes(ErrorCode::kAlignment, FieldId::kLBase, 4);
  break_lanes(ErrorCode::kUnsupported, FieldId::kLGroups, 17);
  break_lanes(ErrorCode::kZeroCount, FieldId::kLBound, 0);
}

TEST_F(Rules, ScratchpadAddresses) {
  Expect(ErrorCode::kNone, Opcode::kLoad, {{FieldId::kSpadAddr, 262144 - 32, 0}});
  Expect(ErrorCode::kScratchpad, Opcode::kLoad, {{FieldId::kSpadAddr, 262144, 0}});
  Expect(ErrorCode::kScratchpad, Opcode::kStore, {{FieldId::kSpadAddr, 262144, 0}});
  for (FieldId base : {FieldId::kABase, FieldId::kBBase}) {
    Expect(ErrorCode::kNone, Opcode::kCompute, {{base, 8191, 0}});
    Expect(ErrorCode::kScratchpad, Opcode::kCompute, {{base, 8192, 0}});
  }
  Expect(ErrorCode::kScratchpad, Opcode::kVector, {{FieldId::kOutBase, 262144, 0}});
  Expect(ErrorCode::kNone, Opcode::kVector, {{FieldId::kAuxBase, 262144, 0}});
  Expect(ErrorCode::kScratchpad, Opcode::kVector,
         {{FieldId::kAuxBase, 262144, 0}, {FieldId::kAuxKind, 1, 0}});
}

TEST_F(Rules, Window) {
  machine_->SetWindow(4096, 1024);
  auto move = [&](int64_t address, int64_t rows, int64_t accesses, int64_t pitch) {
    return Change{{FieldId::kDramAddr, address, 0},
                  {FieldId::kRows, rows, 0},
                  {FieldId::kRowAccesses, accesses, 0},
                  {FieldId::kDramPitch, pitch, 0}};
  };
  for (Opcode opcode : {Opcode::kLoad, Opcode::kStore}) {
    EXPECT_EQ(CheckOf(opcode, move(4096, 1, 16, 0)), ErrorCode::kNone);
    EXPECT_EQ(CheckOf(opcode, move(4096, 1, 17, 0)), ErrorCode::kWindow);
    EXPECT_EQ(CheckOf(opcode, move(4032, 1, 1, 64)), ErrorCode::kWindow);
    EXPECT_EQ(CheckOf(opcode, move(5120, 1, 1, 64)), ErrorCode::kWindow);
    EXPECT_EQ(CheckOf(opcode, move(4096, 4, 4, 256)), ErrorCode::kNone);
    EXPECT_EQ(CheckOf(opcode, move(4160, 4, 4, 256)), ErrorCode::kWindow);
    EXPECT_EQ(CheckOf(opcode, move(4096, 65535, 1, 0xffffffc0)), ErrorCode::kWindow);
  }
  EXPECT_THROW(machine_->SetWindow(0, kVaultBytes + 1), std::out_of_range);
  EXPECT_THROW(machine_->Write(kVaultBytes, Bytes(1)), std::out_of_range);
}

TEST_F(Rules, Accumulators) {
  Expect(ErrorCode::kNone, Opcode::kCompute, {{FieldId::kBound, 128, 0}});
  Expect(ErrorCode::kAccumulators, Opcode::kCompute, {{FieldId::kBound, 129, 0}});
  Expect(ErrorCode::kNone, Opcode::kCompute, {{FieldId::kBound, 129, 1}});
  Change all;
  for (int k = 0; k < kLoops; ++k) all.emplace_back(FieldId::kBound, 65535, k);
  all.emplace_back(FieldId::kBLevel, 6, 0);
  all.emplace_back(FieldId::kStoreLevel, 6, 0);
  Expect(ErrorCode::kAccumulators, Opcode::kCompute, all);
}

// Breaks the rules from the last to the first and sees each take over.
TEST_F(Rules, AreCheckedInTheDocumentedOrder) {
  machine_->SetWindow(0, 1 << 20);
  Change load;
  auto break_load = [&](ErrorCode code, FieldId field, int64_t value) {
    load.emplace_back(field, value, 0);
    EXPECT_EQ(CheckOf(Opcode::kLoad, load), code);
  };
  break_load(ErrorCode::kWindow, FieldId::kDramAddr, 1 << 20);
  break_load(ErrorCode::kScratchpad, FieldId::kSpadAddr, 262144);
  break_load(ErrorCode::kAlignment, FieldId::kSpadPitch, 8);
  break_load(ErrorCode::kUnsupported, FieldId::kCols, 1);
  break_load(ErrorCode::kZeroCount, FieldId::kRows, 0);

  Change compute;
  auto break_compute = [&](ErrorCode code, FieldId field, int64_t value) {
    compute.emplace_back(field, value, 0);
    EXPECT_EQ(CheckOf(Opcode::kCompute, compute), code);
  };
  break_compute(ErrorCode::kAccumulators, FieldId::kBound, 129);
  break_compute(ErrorCode::kScratchpad, FieldId::kABase, 8192);
  break_compute(ErrorCode::kLevel, FieldId::kBLevel, 2);
  break_compute(ErrorCode::kZeroCount, FieldId::kBound, 0);

  Change vector;
  auto break_vector = [&](ErrorCode code, FieldId field, int64_t value) {
    vector.emplace_back(field, value, 0);
    EXPECT_EQ(CheckOf(Opcode::kVector, vector), code);
  };
  break_vector(ErrorCode::kScratchpad, FieldId::kOutBase, 262144);
  break_vector(ErrorCode::kAlignment, FieldId::kOutInc, 4);
  break_vector(ErrorCode::kLevel, FieldId::kPopLevel, 0);
  break_vector(ErrorCode::kUnsupported, FieldId::kAuxKind, 3);
  break_vector(ErrorCode::kZeroCount, FieldId::kVBound, 0);

  Descriptor d = Valid(Opcode::kLoad);
  d.Set(FieldId::kRows, 0);
  d.bytes()[0] |= 0x10;
  EXPECT_EQ(machine_->Check(d), ErrorCode::kReserved);
  d.Set(FieldId::kOpcode, 10);
  EXPECT_EQ(machine_->Check(d), ErrorCode::kOpcode);
}

TEST(Machine, ConfigurationsThatCannotBeBuiltAreRefused) {
  auto refused = [](auto change) {
    MachineConfig config = Nano();
    change(config);
    EXPECT_THROW(Machine{config}, std::invalid_argument);
  };
  refused([](MachineConfig& c) { c.rows = 0; });
  refused([](MachineConfig& c) { c.cols = 0; });
  refused([](MachineConfig& c) { c.lanes = 0; });
  refused([](MachineConfig& c) { c.acc_depth = 3; });
  refused([](MachineConfig& c) { c.scratchpad_bytes = 100; });
  refused([](MachineConfig& c) { c.scratchpad_bytes = 1 << 25; });
  refused([](MachineConfig& c) { c.data_bits = 8; });
  refused([](MachineConfig& c) { c.access_bytes = 6; });
  refused([](MachineConfig& c) { c.wide_gradients = true; });
}

// ---- speed

// In processor time; the floor holds for builds with sanitizers too.
TEST(Machine, MultipliesFast) {
  for (const MachineConfig& config : Shapes()) {
    Node node(config);
    const int64_t words = config.scratchpad_bytes / config.WordBytes();
    Integers draw(6);
    const Matrix data = draw.DrawMatrix(64, config.scratchpad_bytes / 64 / config.OperandBytes());
    node.PutMatrix(0, data, config.OperandBytes());
    node.Add(
        Move{.accesses = config.scratchpad_bytes / 64, .spad_pitch = config.WordBytes()}.Load());
    ComputeNest nest;
    nest.bounds = {64, 32, 16, 1, 1, 1};
    nest.a_strides = {32, 1, 0, 0, 0, 0};
    nest.b_strides = {0, 1, 32, 0, 0, 0};
    nest.b_base = words / 2;
    nest.b_col_inc = 32;
    nest.store_level = 2;
    VectorNest post;
    post.bounds = {64, 16, 1, 1, 1, 1};
    post.out_strides = {config.cols * 4, 0, 0, 0, 0, 0};
    post.out_base = config.scratchpad_bytes / 4 * 3;
    post.out_fp32 = true;
    for (int i = 0; i < 8; ++i) {
      node.Add(nest.Make());
      node.Add(post.Make());
    }
    const std::clock_t start = std::clock();
    const RunResult result = node.Run();
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    ASSERT_TRUE(result.ok());
    const double speed = static_cast<double>(result.counts.macs) / seconds / 1e6;
    std::printf("%-16s %6.0f MMAC/s\n", NameOf(config).c_str(), speed);
    RecordProperty(NameOf(config), static_cast<int>(speed));
    EXPECT_GT(speed, 20.0);
  }
}

}  // namespace
}  // namespace vaultrain::golden
