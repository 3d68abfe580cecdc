// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include "golden/fp32.h"
#include "unit/fp32_pipeline.h"

namespace vaultrain {
namespace {

TEST(Fp32Add, EqualsTwinUnderRandomStalls) {
  VerilatedContext context;
  Vdut dut(&context);
  CompareBinary(dut, golden::kFp32AddLatency, true, golden::Fp32Add);
}

}  // namespace
}  // namespace vaultrain
