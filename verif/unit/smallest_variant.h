// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What makes nano a module of a few gates, for tests that build or map all of it.

#ifndef VAULTRAIN_VERIF_UNIT_SMALLEST_VARIANT_H_
#define VAULTRAIN_VERIF_UNIT_SMALLEST_VARIANT_H_

#include <string>
#include <vector>

namespace vaultrain {

inline const std::vector<std::string> kSmallest = {"array.cols=1", "array.lanes=8",
                                                   "array.align_bits=25", "array.acc_depth=32",
                                                   "scratchpad.kib=32"};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_SMALLEST_VARIANT_H_
