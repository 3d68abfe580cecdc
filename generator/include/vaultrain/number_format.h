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
enum class NumberFormat { kBf16, kFp32, kFx16, kFp16 };

enum class Rounding { kNearest, kStochastic, kTruncate };

// "bf16", "fp32", "fx16", "fp16".
std::string_view FormatName(NumberFormat format);
// Bits of one element: 16, 32.
int FormatBits(NumberFormat format);

// "nearest", "stochastic", "truncate".
std::string_view RoundingName(Rounding rounding);

}  // namespace vaultrain

#endif  // VAULTRAIN_NUMBER_FORMAT_H_
