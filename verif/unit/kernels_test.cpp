// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The training kernels of vaultrain verify on shipped, odd and drawn variants.

#include "kernels/kernels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "draw_variant.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

struct OddVariant {
  const char* name;
  const char* base;
  std::vector<std::string> overrides;
};

bool IsFull() { return std::getenv("VAULTRAIN_FULL") != nullptr; }

kernels::KernelSetup SetupOf(const Variant& variant, uint64_t seed) {
  // Models live under the build folder, so that a run needs nothing from outside.
  setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  kernels::KernelSetup setup{variant, LoadVaultDram(variant, Resources()), Resources(), {}, seed};
  if (IsFull()) {
    setup.rounds = 4;
    setup.garbage = 1000;
  }
  return setup;
}

void ExpectPasses(const kernels::KernelCase& one, const kernels::KernelSetup& setup) {
  const kernels::KernelResult result = kernels::RunCase(one, setup);
  EXPECT_TRUE(result.passed) << one.name << ", seed " << setup.seed << ": " << result.message;
  EXPECT_GT(result.cycles, 0u) << one.name;
}

class Kernels : public testing::TestWithParam<OddVariant> {};

TEST_P(Kernels, LeaveTheGoldenModelsBits) {
  const Variant variant =
      LoadVariant(GetParam().base, GetParam().overrides, {Resources().variants});
  const kernels::KernelSetup setup = SetupOf(variant, 3);
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) ExpectPasses(one, setup);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, Kernels,
    testing::Values(OddVariant{"nano", "nano", {}}, OddVariant{"nano_fp32", "nano-fp32", {}},
                    OddVariant{"nano_fx16", "nano-fx16", {}},
                    OddVariant{"two_rows_of_two",
                               "nano",
                               {"array.rows=2", "array.cols=2", "array.lanes=8",
                                "scratchpad.kib=64", "array.align_bits=26", "array.acc_depth=32"}},
                    OddVariant{"sixteen_columns",
                               "nano",
                               {"array.rows=2", "array.cols=16", "scratchpad.banks=2"}}),
    [](const testing::TestParamInfo<OddVariant>& one) { return std::string(one.param.name); });

// Host reads at random, of any vault, change the timing of memory and mesh and not one bit.
TEST(Nodes, TrainTogetherInEveryPartition) {
  const Variant variant = LoadVariant("quad", {}, {Resources().variants});
  const kernels::KernelSetup setup = SetupOf(variant, 3);
  int cases = 0;
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
    if (!one.name.starts_with("train_step")) continue;
    ExpectPasses(one, setup);
    ++cases;
  }
  EXPECT_EQ(cases, 2);
}

TEST(DrawnVariants, PassTwoKernels) {
  std::mt19937 random(11);
  for (int drawn = 0; drawn < (IsFull() ? 6 : 1);) {
    const std::vector<std::string> overrides = DrawOverrides(random);
    SCOPED_TRACE(fmt::format("--set {}", fmt::join(overrides, " --set ")));
    Variant variant;
    VaultDram dram;
    try {
      variant = LoadVariant("nano", overrides, {Resources().variants});
      dram = LoadVaultDram(variant, Resources());
    } catch (const Error&) {
      continue;  // breaks a rule
    }
    ++drawn;
    const kernels::KernelSetup setup = SetupOf(variant, 5);
    for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
      if (one.name == "gemm_up" || one.name == "loss/stalls") ExpectPasses(one, setup);
    }
  }
}

}  // namespace
}  // namespace vaultrain
