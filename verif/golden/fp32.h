// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Bit-exact twins of the fp32 blocks in rtl_templates/vector, in integer arithmetic.
//
// fp32 values are passed as their bit patterns. Everywhere: round to nearest, ties to
// even; subnormal operands count as zeros of their sign; a result that is below 2^-126 after
// rounding becomes a zero of its sign; a result of 2^128 or more becomes an infinity; every NaN
// result is kFp32Nan.

#ifndef VAULTRAIN_VERIF_GOLDEN_FP32_H_
#define VAULTRAIN_VERIF_GOLDEN_FP32_H_

#include <cstdint>

namespace vaultrain::golden {

inline constexpr uint32_t kFp32Nan = 0x7FC00000;

// Enabled cycles through vt_fp32_add, vt_fp32_mul, vt_acc_to_fp32 and vt_vector_lane.
inline constexpr int kFp32AddLatency = 2;
inline constexpr int kFp32MulLatency = 2;
inline constexpr int kAccToFp32Latency = 1;
inline constexpr int kVectorLaneLatency = 6;

// An exact zero is -0 only if both operands are negative zeros.
uint32_t Fp32Add(uint32_t a, uint32_t b);

uint32_t Fp32Mul(uint32_t a, uint32_t b);

// The value mantissa * 2^exponent as fp32. A mantissa of 0 gives +0.
uint32_t ScaledIntegerToFp32(int64_t mantissa, int exponent);

// True if the mask operand lets a vector lane's result pass: positive, not zero (or flushed to it),
// not a NaN.
bool Fp32IsPositive(uint32_t x);

// Accumulator of the PE array, worth mantissa * 2^(exponent - exp_zero).
struct Accumulator {
  bool nan = false;
  uint32_t exponent = 0;
  int64_t mantissa = 0;
};

uint32_t AccToFp32(const Accumulator& acc, int exp_zero);

// The accumulator that is worth an fp32 value: AccToFp32 gives it back, zero and subnormals as +0,
// any NaN as the one NaN.
Accumulator AccumulatorOf(uint32_t value, int exp_zero);

struct VectorLaneInput {
  Accumulator acc;
  bool use_scale = false;
  bool add_aux = false;
  bool relu = false;
  bool mask = false;
  bool positive = false;
  uint32_t scale = 0;
  uint32_t aux = 0;
};

// The result in fp32.
uint32_t VectorLane(const VectorLaneInput& in, int exp_zero);

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_VERIF_GOLDEN_FP32_H_
