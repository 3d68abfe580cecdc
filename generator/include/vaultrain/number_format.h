// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Number formats of operands, and how results are rounded into them.

#ifndef VAULTRAIN_NUMBER_FORMAT_H_
#define VAULTRAIN_NUMBER_FORMAT_H_

#include <string_view>

namespace vaultrain {

// fx16: 16 bits of two's complement, some of them below the point. fp16: IEEE binary16 without
// subnormals.
//
// Gradients may be fx32, 32 bits of two's complement with 16 more below the point: two operands of
// fx16, h and l, worth h + l * 2^-16. Between operations they are fp32; LOAD makes the halves, or
// in back-propagation through time a lane program.
enum class NumberFormat { kBf16, kFp32, kFx16, kFp16 };

// Bits of a sum below those of a product of fx16, where gradients are fx32: what products with low
// halves have below these is rounded to odd.
inline constexpr int kGuardBits = 8;

enum class Rounding { kNearest, kStochastic, kTruncate };

// "bf16", "fp32", "fx16", "fp16".
std::string_view FormatName(NumberFormat format);
// Bits of one element: 16, 32.
int FormatBits(NumberFormat format);

// "nearest", "stochastic", "truncate".
std::string_view RoundingName(Rounding rounding);

}  // namespace vaultrain

#endif  // VAULTRAIN_NUMBER_FORMAT_H_
