// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/lane_library.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace vaultrain::lanes {
namespace {

constexpr float kLog2E = 1.44269504088896341f;

void StoreRelu(Section& section, int x, bool relu, int stream) {
  relu ? section.StoreMasked(x, x, stream) : section.StoreOperand(x, stream);
}

}  // namespace

// ---- normalisation of samples

Program GroupForward(int rstd_slots, int bias_slots, bool relu) {
  constexpr int kX = 0, kMean = 1, kScale = 2, kWeight = 3, kShift = 4;
  Program program;
  program.init.LoadWide(kMean, 2).LoadWide(kScale, 2, rstd_slots);
  program.init.LoadWide(kWeight, 3).LoadWide(kShift, 3, bias_slots);
  program.init.Mul(kScale, kScale, kWeight).Mad(kShift, kMean, kScale, kShift, true);
  program.body.Mad(kX, kStreamed, kScale, kShift).TakeOperands(Taken::kA, 0);
  StoreRelu(program.body, kX, relu, 1);
  return program;
}

namespace {

// Every lane gets the sum of its `width` neighbours.
void EmitGroupSum(Section& section, int sum, int scratch, int width, int cols) {
  if (width == cols) {
    section.SumLanes(sum, sum, scratch, cols);
    return;
  }
  for (int step = 1; step < width; step *= 2) {
    section.Move(scratch, sum, LaneMode::kXor, step, GroupMode::kShiftZero, 0);
    section.Add(sum, sum, scratch);
  }
}

// Registers of sums, from what is there or from 0.
void EmitSums(Section& init, int stream, int first, int second, int slots, bool more) {
  if (more) {
    init.LoadWide(first, stream).LoadWide(second, stream, slots);
  } else {
    init.Constant(first, 0).Constant(second, 0);
  }
}

}  // namespace

Program GroupMoments(int squares_slots, bool more) {
  constexpr int kSum = 1, kSquares = 2;
  Program program;
  EmitSums(program.init, 1, kSum, kSquares, squares_slots, more);
  program.body.AddOperand(kSum, kSum, 0);
  program.body.Mad(kSquares, kStreamed, kStreamed, kSquares).TakeOperands(Taken::kAAndB, 0);
  program.final.StoreWide(kSum, 1).StoreWide(kSquares, 1, squares_slots);
  return program;
}

Program GroupStatistics(int64_t count, float epsilon, int width, int cols, int rstd_slots) {
  constexpr int kMean = 0, kSquares = 1, kShare = 2, kEpsilon = 3, kScratch = 4;
  constexpr int kZero = 15;  // never written
  Program program;
  program.init.Constant(kShare, 1 / static_cast<float>(count)).Constant(kEpsilon, epsilon);
  Section& body = program.body;
  body.LoadWide(kMean, 0).LoadWide(kSquares, 0, rstd_slots);
  EmitGroupSum(body, kMean, kScratch, width, cols);
  EmitGroupSum(body, kSquares, kScratch, width, cols);
  body.Mul(kMean, kMean, kShare).Mul(kSquares, kSquares, kShare);
  // Rounding may leave a variance below zero.
  body.Mad(kSquares, kMean, kMean, kSquares, true).Max(kSquares, kSquares, kZero);
  body.Add(kSquares, kSquares, kEpsilon).Rsqrt(kSquares, kSquares);
  body.StoreWide(kMean, 0).StoreWide(kSquares, 0, rstd_slots);
  return program;
}

Program GroupGradientSums(int products_slots, bool more) {
  constexpr int kDy = 0, kSum = 2, kProducts = 3;
  Program program;
  EmitSums(program.init, 2, kSum, kProducts, products_slots, more);
  program.body.LoadOperand(kDy, 0).Add(kSum, kSum, kDy);
  program.body.Mad(kProducts, kStreamed, kDy, kProducts).TakeOperands(Taken::kA, 1);
  program.final.StoreWide(kSum, 2).StoreWide(kProducts, 2, products_slots);
  return program;
}

Program GroupGradientCentre(int products_slots, int rstd_slots) {
  constexpr int kSum = 0, kProducts = 1;
  Program program;
  Section& body = program.body;
  body.LoadWide(kSum, 0).LoadWide(kProducts, 0, products_slots);
  body.Mad(kProducts, kStreamed, kSum, kProducts, true).TakeWide(Taken::kA, 1);
  body.MulWide(kProducts, kProducts, 1, rstd_slots);
  body.StoreWide(kProducts, 0, products_slots);
  return program;
}

Program GroupCoefficients(int64_t count, int width, int cols, int products_slots, int rstd_slots,
                          int next_slots) {
  constexpr int kSum = 0, kProducts = 1, kScale = 2, kMean = 3, kRstd = 4, kShare = 5;
  constexpr int kAllSum = 6, kAllProducts = 7, kScratch = 8;
  Program program;
  program.init.Constant(kShare, 1 / static_cast<float>(count));
  program.init.Constant(kAllSum, 0).Constant(kAllProducts, 0);
  program.body.LoadWide(kSum, 0).LoadWide(kProducts, 0, products_slots).LoadWide(kScale, 2);
  program.body.Mad(kAllSum, kSum, kScale, kAllSum);
  program.body.Mad(kAllProducts, kProducts, kScale, kAllProducts);
  Section& last = program.final;
  EmitGroupSum(last, kAllSum, kScratch, width, cols);
  EmitGroupSum(last, kAllProducts, kScratch, width, cols);
  last.LoadWide(kMean, 1).LoadWide(kRstd, 1, rstd_slots);
  // q = -rstd^2 * mean of products, r = -mean * q - rstd * mean of sums
  last.Mul(kAllSum, kAllSum, kShare).Mul(kAllSum, kAllSum, kRstd);
  last.Mul(kAllProducts, kAllProducts, kShare).Mul(kAllProducts, kAllProducts, kRstd);
  last.Mul(kAllProducts, kAllProducts, kRstd, true);
  last.Mad(kAllSum, kAllProducts, kMean, kAllSum, true, true);
  last.StoreWide(kRstd, 3).StoreWide(kAllProducts, 3, next_slots);
  last.StoreWide(kAllSum, 3, 2 * next_slots);
  return program;
}

Program GroupBackward(int next_slots, bool mask) {
  constexpr int kX = 1, kScale = 2, kQ = 3, kR = 4, kSum = 5;
  Program program;
  program.init.LoadWide(kScale, 2).LoadWide(kQ, 3).Mul(kScale, kScale, kQ);
  program.init.LoadWide(kQ, 3, next_slots).LoadWide(kR, 3, 2 * next_slots);
  Section& body = program.body;
  if (mask) body.LoadOperand(kX, 1);
  body.Mad(kSum, kX, kQ, kR);
  if (!mask) body.TakeOperands(Taken::kA, 1);
  body.Mad(kSum, kStreamed, kScale, kSum).TakeOperands(Taken::kA, 0);
  mask ? body.StoreMasked(kSum, kX, 0) : body.StoreOperand(kSum, 0);
  return program;
}

Program GroupParameterSums(int products_slots, int sums_slots, bool more) {
  constexpr int kSum = 1, kProducts = 2;
  Program program;
  EmitSums(program.init, 1, kSum, kProducts, sums_slots, more);
  program.body.AddWide(kSum, kSum, 0).AddWide(kProducts, kProducts, 0, products_slots);
  program.final.StoreWide(kSum, 1).StoreWide(kProducts, 1, sums_slots);
  return program;
}

Program BatchStatistics(int64_t count, float epsilon, float momentum, int squares_slots,
                        int variance_slots) {
  constexpr int kMean = 0, kVariance = 1, kShare = 2, kEpsilon = 3, kRunning = 4, kMomentum = 5;
  constexpr int kRest = 6, kZero = 15;  // never written
  Program program;
  program.init.Constant(kShare, 1 / static_cast<float>(count)).Constant(kEpsilon, epsilon);
  program.init.Constant(kMomentum, momentum).Constant(kRest, 1 - momentum);
  Section& body = program.body;
  body.MulWide(kMean, kShare, 0).MulWide(kVariance, kShare, 0, squares_slots);
  // Rounding may leave a variance below zero.
  body.Mad(kVariance, kMean, kMean, kVariance, true).Max(kVariance, kVariance, kZero);
  for (const int value : {kMean, kVariance}) {
    const int offset = value == kMean ? 0 : variance_slots;
    body.MulWide(kRunning, kMomentum, 1, offset);
    body.Mad(kRunning, value, kRest, kRunning).StoreWide(kRunning, 1, offset);
  }
  body.Add(kVariance, kVariance, kEpsilon).Rsqrt(kVariance, kVariance);
  body.StoreWide(kMean, 0).StoreWide(kVariance, 0, squares_slots);
  return program;
}

Program RunningStatistics(float epsilon, int variance_slots) {
  constexpr int kVariance = 0, kEpsilon = 1;
  Program program;
  program.init.Constant(kEpsilon, epsilon);
  program.body.AddWide(kVariance, kEpsilon, 0, variance_slots);
  program.body.Rsqrt(kVariance, kVariance).StoreWide(kVariance, 0, variance_slots);
  return program;
}

// ---- element by element

Program AddTensors(bool relu) {
  Program program;
  program.body.LoadOperand(0, 0).AddOperand(0, 0, 1);
  StoreRelu(program.body, 0, relu, 2);
  return program;
}

Program SubtractTensors(bool relu) {
  Program program;
  program.body.LoadOperand(1, 1).Sub(0, kStreamed, 1).TakeOperands(Taken::kA, 0);
  StoreRelu(program.body, 0, relu, 2);
  return program;
}

Program DivideTensors() {
  Program program;
  program.keeps_zeros = false;
  program.body.LoadOperand(1, 1).Recip(1, 1).MulOperand(0, 1, 0).StoreOperand(0, 2);
  return program;
}

Program DivisorBackward(bool mask) {
  constexpr int kDy = 0, kB = 1, kReciprocal = 3;
  Program program;
  program.keeps_zeros = false;
  program.body.LoadOperand(kB, 1).Recip(kReciprocal, kB).MulOperand(kDy, kReciprocal, 0);
  program.body.Mul(kDy, kStreamed, kDy, true).TakeOperands(Taken::kA, 3);
  mask ? program.body.StoreMasked(kDy, kB, 2) : program.body.StoreOperand(kDy, 2);
  return program;
}

Program NegateTensor() {
  Program program;
  program.body.LoadOperand(0, 0).Neg(0, 0).StoreOperand(0, 2);
  return program;
}

Program MultiplyTensors() {
  Program program;
  program.body.LoadOperand(0, 0).MulOperand(0, 0, 1).StoreOperand(0, 2);
  return program;
}

Program CopyTensor() {
  Program program;
  program.body.LoadOperand(0, 0).StoreOperand(0, 2);
  return program;
}

Program Masked(Program program, bool mask) {
  if (!mask) return program;
  constexpr int kX = 8;
  const uint32_t store = program.body.words().back();
  Section body;
  for (size_t i = 0; i + 1 < program.body.words().size(); ++i) body.Word(program.body.words()[i]);
  program.body = body.LoadOperand(kX, 3).StoreMasked(
      Get(store, FieldId::kA), kX, Get(store, FieldId::kStream), Get(store, FieldId::kOffset));
  return program;
}

Program Widened(const Program& program, unsigned streams) {
  constexpr int kZero = 15;
  if (streams == 0) return program;
  auto is_wide = [&](uint32_t word, FieldId stream) {
    return (streams >> Get(word, stream) & 1) != 0;
  };
  auto widen = [&](const Section& section) {
    Section wide;
    const std::vector<uint32_t>& words = section.words();
    for (size_t i = 0; i < words.size(); ++i) {
      uint32_t word = words[i];
      const auto op = static_cast<Op>(Get(word, FieldId::kOp));
      const bool writes = op != Op::kNop && op != Op::kStw && op != Op::kSto && op != Op::kStr &&
                          op != Op::kStm && op != Op::kSeed;
      if (writes && Get(word, FieldId::kDst) == kZero) {
        throw std::logic_error("the register of zero is written");
      }
      if (op == Op::kMad && Get(word, FieldId::kTaken) != 0 &&
          is_wide(word, FieldId::kTakenStream)) {
        Set(word, FieldId::kTakenWide, 1);
      }
      Op instead = op;
      switch (op) {
        case Op::kLdo:
          instead = Op::kLdw;
          break;
        case Op::kLao:
          instead = Op::kLaw;
          break;
        case Op::kLmo:
          instead = Op::kLmw;
          break;
        case Op::kSto:
        case Op::kStr:
        case Op::kStm:
          instead = Op::kStw;
          break;
        default:
          break;
      }
      if (instead != op && is_wide(word, FieldId::kStream)) {
        if (op == Op::kStm) {
          const int mask = Get(word, FieldId::kDst);
          wide.Sel(mask, mask, Get(word, FieldId::kA), kZero);
          Set(word, FieldId::kA, mask);
          Set(word, FieldId::kDst, 0);
        }
        Set(word, FieldId::kOp, static_cast<int64_t>(instead));
        Set(word, FieldId::kOffset, 2 * Get(word, FieldId::kOffset));
      }
      wide.Word(word);
      if (op == Op::kLdi && i + 1 < words.size()) wide.Word(words[++i]);
    }
    return wide;
  };
  return {widen(program.init), widen(program.body), widen(program.final)};
}

Job Widened(Job job, unsigned streams) {
  for (size_t i = 0; i < job.streams.size(); ++i) {
    if ((streams >> i & 1) == 0) continue;
    job.streams[i].base *= 2;
    for (int64_t& stride : job.streams[i].strides) stride *= 2;
  }
  return job;
}

// What is added and taken away again leaves the next multiple of the operand's last bit, while the
// number is below 2^(22 - fraction_bits); operands end far before.
Program SplitTensor(int fraction_bits) {
  constexpr int kX = 0, kHigh = 1, kPoint = 2, kShift = 3;
  Program program;
  program.init.Constant(kPoint, std::ldexp(1.5F, 23 - fraction_bits)).Constant(kShift, 65536);
  program.body.LoadWide(kX, 0).Add(kHigh, kX, kPoint).Sub(kHigh, kHigh, kPoint);
  program.body.Sub(kX, kX, kHigh).Mul(kX, kX, kShift);
  program.body.StoreOperand(kHigh, 1).StoreOperand(kX, 2);
  return program;
}

Program LeakyReluForward(float slope) {
  Program program;
  program.init.Constant(1, slope);
  program.body.LoadOperand(0, 0).Mul(2, 0, 1).Sel(0, 0, 0, 2).StoreOperand(0, 2);
  return program;
}

Program LeakyReluBackward(float slope) {
  Program program;
  program.init.Constant(1, slope);
  program.body.LoadOperand(0, 0).LoadOperand(3, 1).Mul(2, 0, 1).Sel(0, 3, 0, 2).StoreOperand(0, 2);
  return program;
}

Program AffineForward(float slope, float shift) {
  constexpr int kX = 0, kSlope = 1, kShift = 2;
  Program program;
  program.keeps_zeros = shift == 0;
  program.init.Constant(kSlope, slope).Constant(kShift, shift);
  program.body.Mad(kX, kStreamed, kSlope, kShift).TakeOperands(Taken::kA, 0);
  program.body.StoreOperand(kX, 2);
  return program;
}

Program Dropout(float rate, int seed_scalar) {
  constexpr int kX = 0, kRate = 1, kScale = 2, kKeep = 3;
  Program program;
  program.init.Scalar(kRate, seed_scalar).LoadWide(kKeep, 1).Add(kRate, kRate, kKeep).Seed(kRate);
  program.init.Constant(kRate, rate);
  program.init.Constant(kScale, 1 / (1 - rate));
  program.body.Rnd(kKeep).Ge(kKeep, kKeep, kRate).MulOperand(kX, kScale, 0);
  program.body.Mul(kX, kX, kKeep).StoreOperand(kX, 2);
  return program;
}

Program SigmoidForward() {
  const Constants constants;
  Program program;
  program.keeps_zeros = false;
  constants.SetUp(program.init);
  program.body.MulOperand(0, constants.sigmoid_scale, 0);
  EmitSigmoid(program.body, 0, constants);
  program.body.StoreOperand(0, 2);
  return program;
}

Program TanhForward() {
  const Constants constants;
  Program program;
  constants.SetUp(program.init);
  program.body.MulOperand(0, constants.tanh_scale, 0);
  EmitTanh(program.body, 0, constants);
  program.body.StoreOperand(0, 2);
  return program;
}

Program SigmoidBackward() {
  constexpr int kSlope = 0, kY = 1;
  Program program;
  program.body.LoadOperand(kY, 1).Mad(kSlope, kY, kY, kY, true);
  program.body.MulOperand(kSlope, kSlope, 0).StoreOperand(kSlope, 2);
  return program;
}

Program TanhBackward() {
  constexpr int kSlope = 0, kOne = 3;
  Program program;
  program.init.Constant(kOne, 1);
  program.body.Mad(kSlope, kStreamed, kStreamed, kOne, true).TakeOperands(Taken::kAAndB, 1);
  program.body.MulOperand(kSlope, kSlope, 0).StoreOperand(kSlope, 2);
  return program;
}

// ---- optimisers

Program OptimiserStep(const OptimiserConstants& constants, int step_scalar, int q_slots) {
  constexpr int kU = 0, kW = 1, kV = 2, kQ = 3, kRoot = 4, kStep = 5, kDecay = 6, kMomentum = 7;
  constexpr int kBeta1 = 8, kRest1 = 9, kBeta2 = 10, kRest2 = 11, kEpsilon = 12, kZero = 13;
  constexpr int kMost = 14, kLeast = 15;
  Program program;
  Section& init = program.init;
  Section& body = program.body;
  const auto constant = [&](int reg, double value) {
    init.Constant(reg, static_cast<float>(value));
  };
  init.Scalar(kStep, step_scalar);
  body.LoadWide(kU, 0);
  if (constants.clip != 0) {
    constant(kMost, constants.clip);
    constant(kLeast, -constants.clip);
    body.Min(kU, kU, kMost).Max(kU, kU, kLeast);
  }
  const bool decays = constants.decay != 0;
  if (decays) {
    constant(kDecay, constants.decay);
    body.LoadWide(kW, 2).Mad(kU, kW, kDecay, kU);
  }
  // The weight less the step; it is there already if it decayed.
  auto descend = [&](int a, int b) {
    body.Mad(kW, a, b, kW);
    if (!decays) body.TakeWide(Taken::kC, 2);
  };
  switch (constants.optimiser) {
    case Optimiser::kSgd:
      descend(kU, kStep);
      break;
    case Optimiser::kMomentum:
    case Optimiser::kNesterov:
      constant(kMomentum, constants.momentum);
      body.Mad(kV, kStreamed, kMomentum, kU).TakeWide(Taken::kA, 1).StoreWide(kV, 1);
      if (constants.optimiser == Optimiser::kNesterov) body.Mad(kV, kV, kMomentum, kU);
      descend(kV, kStep);
      break;
    case Optimiser::kAdam:
      constant(kBeta1, constants.beta1);
      constant(kRest1, 1 - constants.beta1);
      constant(kBeta2, constants.beta2);
      constant(kRest2, 1 - constants.beta2);
      constant(kEpsilon, constants.epsilon);
      constant(kZero, 0);
      body.MulWide(kV, kBeta1, 1).Mad(kV, kU, kRest1, kV).StoreWide(kV, 1);
      body.MulWide(kQ, kBeta2, 1, q_slots);
      body.Mul(kU, kU, kU).Mad(kQ, kU, kRest2, kQ).StoreWide(kQ, 1, q_slots);
      // The root of zero is zero, not zero times infinity.
      body.Rsqrt(kRoot, kQ).Mul(kRoot, kRoot, kQ).Sel(kRoot, kQ, kRoot, kZero);
      body.Add(kRoot, kRoot, kEpsilon).Recip(kRoot, kRoot).Mul(kRoot, kRoot, kV);
      descend(kRoot, kStep);
      break;
  }
  body.StoreWide(kW, 2);
  return program;
}

// ---- losses

Program MeanSquare(int values, int cols, int dz_slots) {
  constexpr int kY = 0, kTarget = 1, kSum = 2, kPlace = 3, kValues = 4, kInside = 5, kCols = 6;
  constexpr int kScale = 7, kShare = 8, kScratch = 9, kZero = 10;  // zero is never written
  const auto count = static_cast<double>(values);
  const bool ragged = values % cols != 0;
  Program program;
  Section& init = program.init;
  Section& body = program.body;
  init.Constant(kSum, 0).Constant(kScale, static_cast<float>(2 / count));
  init.Constant(kShare, static_cast<float>(1 / count));
  if (ragged) {
    // Where the lane is in the sample.
    init.Iota(kPlace).Move(kPlace, kPlace, LaneMode::kRotate, 0, GroupMode::kFixed, 0);
    init.Constant(kValues, static_cast<float>(values)).Constant(kCols, static_cast<float>(cols));
  }
  for (int slot = (values + cols - 1) / cols; slot < dz_slots; ++slot) {
    init.StoreOperand(kZero, 2, slot);
  }
  body.LoadWide(kTarget, 1).Sub(kY, kStreamed, kTarget).TakeWide(Taken::kA, 0);
  if (ragged) {
    body.Gt(kInside, kValues, kPlace).Sel(kY, kInside, kY, kZero).Add(kPlace, kPlace, kCols);
  }
  body.Mad(kSum, kY, kY, kSum).Mul(kY, kY, kScale).StoreOperand(kY, 2);
  program.final.SumLanes(kSum, kSum, kScratch, cols).Mul(kSum, kSum, kShare).StoreWide(kSum, 3);
  return program;
}

// ---- softmax

namespace {

// What lies behind the channels becomes -infinity, whose exponential is 0.
class Channels {
 public:
  Channels(int channels, int cols, Section& init) : ragged_(channels % cols != 0) {
    if (!ragged_) return;
    init.Iota(kPlace).Move(kPlace, kPlace, LaneMode::kRotate, 0, GroupMode::kFixed, 0);
    init.Constant(kChannels, static_cast<float>(channels));
    init.Constant(kCols, static_cast<float>(cols));
    init.Constant(kNothing, -std::numeric_limits<float>::infinity());
  }
  void Mask(Section& body, int x) const {
    if (!ragged_) return;
    body.Gt(kInside, kChannels, kPlace).Sel(x, kInside, x, kNothing).Add(kPlace, kPlace, kCols);
  }

 private:
  enum : int { kPlace = 8, kChannels = 9, kCols = 10, kNothing = 11, kInside = 12 };
  const bool ragged_;
};

// exp(x - maximum) of the values of stream 0.
void EmitExponential(Program& program, int channels, int cols, int x) {
  constexpr int kMaximum = 6, kScale = 7;
  const Channels inside(channels, cols, program.init);
  program.init.LoadWide(kMaximum, 1).Constant(kScale, kLog2E);
  program.body.Sub(x, kStreamed, kMaximum).TakeOperands(Taken::kA, 0);
  inside.Mask(program.body, x);
  program.body.Mul(x, x, kScale).Exp2(x, x);
}

}  // namespace

Program SoftmaxMaximum(int channels, int cols) {
  constexpr int kX = 0, kMaximum = 1, kScratch = 2;
  Program program;
  const Channels inside(channels, cols, program.init);
  program.init.Constant(kMaximum, -std::numeric_limits<float>::infinity());
  program.body.LoadOperand(kX, 0);
  inside.Mask(program.body, kX);
  program.body.Max(kMaximum, kX, kMaximum);
  program.final.MaxLanes(kMaximum, kMaximum, kScratch, cols).StoreWide(kMaximum, 1);
  return program;
}

Program SoftmaxSum(int channels, int cols, int next_slots) {
  constexpr int kX = 0, kSum = 1, kScratch = 2;
  Program program;
  program.init.Constant(kSum, 0);
  EmitExponential(program, channels, cols, kX);
  program.body.Add(kSum, kSum, kX);
  program.final.SumLanes(kSum, kSum, kScratch, cols).Recip(kSum, kSum);
  program.final.StoreWide(kSum, 1, next_slots);
  return program;
}

Program SoftmaxForward(int channels, int cols, int next_slots) {
  constexpr int kX = 0, kShare = 1;
  Program program;
  program.init.LoadWide(kShare, 1, next_slots);
  EmitExponential(program, channels, cols, kX);
  program.body.Mul(kX, kX, kShare).StoreOperand(kX, 2);
  return program;
}

Program SoftmaxGradientSum(int cols) {
  constexpr int kDy = 0, kSum = 1, kScratch = 2;
  Program program;
  program.init.Constant(kSum, 0);
  program.body.LoadOperand(kDy, 0).Mad(kSum, kStreamed, kDy, kSum).TakeOperands(Taken::kA, 1);
  program.final.SumLanes(kSum, kSum, kScratch, cols).StoreWide(kSum, 2);
  return program;
}

Program SoftmaxBackward() {
  constexpr int kX = 0, kSum = 1;
  Program program;
  program.init.LoadWide(kSum, 2);
  program.body.Sub(kX, kStreamed, kSum).TakeOperands(Taken::kA, 0);
  program.body.MulOperand(kX, kX, 1).StoreOperand(kX, 0);
  return program;
}

// ---- parts

void Constants::SetUp(Section& section) const {
  section.Constant(sigmoid_scale, -kLog2E).Constant(tanh_scale, 2 * kLog2E);
  section.Constant(one, 1).Constant(two, 2);
}

void EmitSigmoid(Section& section, int d, const Constants& constants) {
  section.Exp2(d, d).Add(d, d, constants.one).Recip(d, d);
}

// 1 - 2 / (e^2a + 1)
void EmitTanh(Section& section, int d, const Constants& constants) {
  section.Exp2(d, d).Add(d, d, constants.one).Recip(d, d);
  section.Mad(d, d, constants.two, constants.one, true);
}

// ---- jobs

std::vector<Job> RowJobs(int64_t groups, std::span<const Row> rows, int cols, int operand_bytes) {
  if (rows.size() > isa::kLaneStreams) throw std::out_of_range("too many rows");
  std::vector<Job> jobs;
  const int64_t slots_of_wide = 4 / operand_bytes;
  auto add = [&](int64_t from, int64_t count, int64_t times) {
    Job& job = jobs.emplace_back();
    job.groups = static_cast<int>(count);
    job.bounds[0] = times;
    job.level = 1;
    for (size_t s = 0; s < rows.size(); ++s) {
      if (!rows[s].used) continue;
      const int64_t step = rows[s].wide ? slots_of_wide : 1;
      job.streams[s].base =
          rows[s].base + static_cast<uint32_t>(from * step * cols * operand_bytes);
      job.streams[s].strides = {step, count * step, 0, 0};
    }
  };
  const int64_t whole = groups / isa::kLaneGroups;
  if (whole > 0) add(0, isa::kLaneGroups, whole);
  const int64_t rest = groups % isa::kLaneGroups;
  if (rest > 0) add(whole * isa::kLaneGroups, rest, 1);
  return jobs;
}

}  // namespace vaultrain::lanes
