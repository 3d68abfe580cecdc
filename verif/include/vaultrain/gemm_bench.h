// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Cycles of a matrix product whose operands lie in the scratchpad, measured on the RTL of a node.

#ifndef VAULTRAIN_GEMM_BENCH_H_
#define VAULTRAIN_GEMM_BENCH_H_

#include <cstdint>
#include <string>

#include "vaultrain/gemm_plan.h"
#include "vaultrain/paths.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain {

struct GemmRun {
  GemmPlan plan;
  bool passed = false;     // equal to the golden model in every bit, and right
  std::string message;     // what went wrong; empty if nothing
  uint64_t cycles = 0;     // see MeasureGemm
  uint64_t macs = 0;       // M * N * K
  double utilisation = 0;  // of the multiply-accumulates that the array can do in these cycles
};

// Bytes of the scratchpad that operands and results take; results in the operand format, or fp32.
int64_t GemmBytes(const Variant& variant, const GemmPlan& plan, bool fp32_results);

// Runs C = A B^T on node 0, as PlanGemm has it, on the RTL and on the golden model. Operands are
// drawn from `seed`. Every byte of the result must be equal on both, and every element near the
// product in double precision.
//
// The program loads both operands, then ELEMENTS signals the semaphore that the first COMPUTE waits
// for, while all that follows is queued. The node stamps the completion of that ELEMENTS and of the
// last VECTOR, which completes when its last result is written: cycles is the difference. So it
// counts everything from the token that lets COMPUTE start, the grant and the start of the engines
// included, to the last result in the scratchpad; neither LOAD nor STORE.
//
// Throws Error(kToolMissing) if Verilator or the compiler is missing or fails; GemmBytes must fit.
GemmRun MeasureGemm(const Variant& variant, const VaultDram& dram, const GemmShape& shape,
                    bool fp32_results, uint64_t seed, const ResourcePaths& resources);

}  // namespace vaultrain

#endif  // VAULTRAIN_GEMM_BENCH_H_
