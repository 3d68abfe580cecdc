// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Bit-exact twins of vt_fp32_to_operand, vt_fp32_to_fx32 and vt_noise, whose headers define them:
// operands of a variant and fp32, and the random numbers that round one into the other.

#ifndef VAULTRAIN_GOLDEN_OPERAND_H_
#define VAULTRAIN_GOLDEN_OPERAND_H_

#include <cstdint>
#include <vector>

#include "vaultrain/number_format.h"

namespace vaultrain::golden {

struct OperandFormat {
  NumberFormat number = NumberFormat::kBf16;
  int fraction_bits = 0;  // of fx16, 0 to 15

  int Bytes() const { return number == NumberFormat::kFp32 ? 4 : 2; }
};

// fp32 as operand bits; `noise`, 16 bits, counts with kStochastic only.
uint32_t ToOperand(const OperandFormat& format, uint32_t x, Rounding rounding, uint32_t noise);

// A number of fx32 as two operands of fx16, worth (high + low * 2^-16) * 2^-fraction_bits.
struct Fx32 {
  int16_t high = 0;
  int16_t low = 0;

  // In units of 2^-(fraction_bits + 16).
  int64_t Units() const { return int64_t{high} * 65536 + low; }
  friend bool operator==(const Fx32&, const Fx32&) = default;
};

// fp32 as fx32. What lies below the last bit is cut off, and the last bit of the magnitude set if
// that was not zero (rounded to odd), whatever the rounding of operands: off by less than a unit,
// to either side. Values beyond, and infinities, stick at +-0x7FFF7FFF units, the largest magnitude
// both of whose halves fit; subnormals are 0, a NaN is {-0x8000, 0}.
Fx32 ToFx32(int fraction_bits, uint32_t x);

// The value of an operand in fp32, exact. Of bf16 the bits as they are: NaN and subnormals stay;
// subnormals of fp16 are zeros of their sign.
uint32_t OperandToFp32(const OperandFormat& format, uint32_t bits);

// Whether an operand lets a vector lane's result pass: positive, not zero (or flushed to it), not a
// NaN.
bool OperandIsPositive(const OperandFormat& format, uint32_t bits);

// ---- random numbers

// Streams of the vector unit: one a column of the drain engine, one of the softmax.
inline constexpr int kSoftmaxStream = 16;

// State of a stream at its start and behind each number; never 0.
uint32_t NoiseSeed(int stream, uint32_t seed);
uint32_t NoiseStep(uint32_t state);

// A stream: each call gives the next number.
class Noise {
 public:
  explicit Noise(int stream = 0, uint32_t seed = 0) : state_(NoiseSeed(stream, seed)) {}
  uint32_t Next() {
    state_ = NoiseStep(state_);
    return state_ >> 16;
  }

 private:
  uint32_t state_;
};

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_GOLDEN_OPERAND_H_
