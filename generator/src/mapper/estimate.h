// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// About how long a node takes for a program: its engines beside each other, job by job.

#ifndef VAULTRAIN_SRC_MAPPER_ESTIMATE_H_
#define VAULTRAIN_SRC_MAPPER_ESTIMATE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vaultrain/isa.h"

namespace vaultrain {

struct EstimatedJob {
  isa::Engine engine = isa::Engine::kLoad;
  int64_t cycles = 0;         // alone
  bool drains = false;        // a VECTOR of the results of the COMPUTE before it
  std::vector<size_t> after;  // jobs of other engines that end before it begins
};

struct Estimate {
  int64_t cycles = 0;  // from the first job to the end of the last
  int64_t busiest =
      0;  // what the busiest engine works, but for loads and stores, which may be spared
};

// `queue`: jobs that wait in front of an engine, beyond which none behind them is given out. The
// same on every machine. generator/README.md has it beside the RTL.
Estimate EstimateOf(const std::vector<EstimatedJob>& jobs, size_t queue);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MAPPER_ESTIMATE_H_
