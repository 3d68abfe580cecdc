// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The first steps of the shipped networks, RTL against golden: every bit of every tensor, from the
// same program, on one node of each operand format.
//
// With VAULTRAIN_FULL every network in every format, else the first one and gradients of two
// operands a value. One of them alone:
//   VAULTRAIN_FULL=1 build/verif/rtl_networks_test --gtest_filter='*/resnet_bf16'

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "shipped_network.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

namespace vaultrain {
namespace {

constexpr int64_t kSteps = 3;

class RtlNetworks : public testing::TestWithParam<ShippedCase> {};

TEST_P(RtlNetworks, TrainBitForBitAsGolden) {
  setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  const ShippedTraining s = CompileShipped(GetParam(), kSteps);
  const auto rtl = MakeRtlDevice(s.variant, s.dram, Resources(), {});
  const auto golden = MakeGoldenDevice(s.variant, s.dram);
  const auto evaluator = MakeGoldenDevice(s.variant, s.dram);
  const TrainReport report =
      Train(s.program, s.recipe, s.data, kSteps, *rtl, golden.get(), *evaluator);
  ASSERT_EQ(report.error, isa::ErrorCode::kNone);
  if (report.mismatch) {
    const ProgramTensor& tensor = s.program.Tensor(report.mismatch->tensor);
    FAIL() << tensor.name << "[" << report.mismatch->index / tensor.cols << ", "
           << report.mismatch->index % tensor.cols << "], step " << report.mismatch_step
           << ", by cycle " << report.mismatch_cycle << ": rtl "
           << ElementValue(tensor, report.mismatch->rtl) << ", golden "
           << ElementValue(tensor, report.mismatch->golden);
  }
  EXPECT_TRUE(report.bit_exact);
  EXPECT_EQ(report.steps_compared, kSteps);
  fmt::print("{}: {} tensors equal in {} steps, {} cycles a step\n", TestName(GetParam()),
             report.tensors_compared, kSteps, report.last.counters.cycles);
}

std::vector<ShippedCase> Cases() {
  std::vector<ShippedCase> cases = CasesOf(NetworksOr({"tiny"}));
  if (std::getenv("VAULTRAIN_FULL") == nullptr) cases = {cases.front(), cases.back()};
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shipped, RtlNetworks, testing::ValuesIn(Cases()),
                         [](const auto& info) { return TestName(info.param); });

}  // namespace
}  // namespace vaultrain
