// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Outlines of memories for a router.

#ifndef VAULTRAIN_SRC_SRAM_OUTLINE_H_
#define VAULTRAIN_SRC_SRAM_OUTLINE_H_

#include <string>

#include "rtlil.h"
#include "technology.h"

namespace vaultrain {

// LEF of one macro: of the table's area or, snapped to site and row, a little more; as square as
// its pins let it. Inputs on the left, outputs on the right, VDD and VSS in stripes above.
std::string SramLef(const SramShape& shape, const SramTable& table, const OrfsPlatform& platform,
                    const std::string& header);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_SRAM_OUTLINE_H_
