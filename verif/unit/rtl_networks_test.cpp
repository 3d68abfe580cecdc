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

#include "onnx_builder.h"
#include "shipped_network.h"
#include "vaultrain/random.h"
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

// Values that change places, some of them twice, and a normalisation of all of a sample.
Graph Arranged() {
  OnnxBuilder b(21);
  b.Input("x", {0, 3, 4, 3}).Input("w", {8, 3, 1, 1}).Node("Conv", "conv", {"x", "w"}, "c");
  b.Ints("blocks", {0, 2, 2, 2, 4, 3}).Ints("image", {0, 2, 8, 6});
  b.Node("Reshape", "blocks", {"c", "blocks"}, "b").Node("Transpose", "shuffle", {"b"}, "s");
  b.WithInts("perm", {0, 1, 4, 2, 5, 3}).Node("Reshape", "image", {"s", "image"}, "i");
  b.Ints("rows", {7, 0, 0, 3}).Node("Gather", "take", {"i", "rows"}, "g", {{"axis", 2}});
  b.Node("GlobalAveragePool", "mean", {"i"}, "m").Node("Mul", "scale", {"g", "m"}, "p");
  b.Input("scale", {2, 4, 6}).Input("bias", {2, 4, 6});
  b.Node("LayerNormalization", "norm", {"p", "scale", "bias"}, "n", {{"axis", 1}});
  b.Input("f", {48, 4}).Node("Flatten", "flat", {"n"}, "v").Node("MatMul", "fc", {"v", "f"}, "y");
  return ParseOnnx(b.Output("y", {0, 4}).Bytes(), "net");
}

class RtlArranged : public testing::TestWithParam<OperandCase> {};

TEST_P(RtlArranged, TrainsBitForBitAsGolden) {
  setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  const Variant variant =
      LoadVariant(GetParam().variant, GetParam().overrides, {Resources().variants});
  const VaultDram dram = LoadVaultDram(variant, Resources());
  const Recipe recipe = DefaultRecipe();
  const TrainingGraph graph = Differentiate(Arranged(), 16);
  const Program program = MapNetwork(variant, dram, graph, recipe, "net");
  StepData batch;
  Random random(7, "arranged");
  for (int64_t i = 0; i < 16 * graph.features; ++i) {
    batch.inputs.push_back(static_cast<float>(random.Normal()));
  }
  for (int i = 0; i < 16; ++i) batch.labels.push_back(static_cast<uint8_t>(random.Below(4)));
  const auto rtl = MakeRtlDevice(variant, dram, Resources(), {});
  const auto golden = MakeGoldenDevice(variant, dram);
  for (Device* device : {rtl.get(), golden.get()}) {
    device->Load(program.image);
    for (const ProgramSegment& s : BatchSegments(program, batch)) device->Write(s.address, s.bytes);
    SetStep(*device, recipe, 0, 0.01F);
    ASSERT_EQ(device->Run(program.Stream("train")).error, isa::ErrorCode::kNone);
  }
  const auto mismatch = CompareTensors(program, *rtl, *golden);
  EXPECT_FALSE(mismatch) << mismatch->tensor << " " << mismatch->index;
}

std::vector<OperandCase> Formats() {
  if (std::getenv("VAULTRAIN_FULL") != nullptr) return kOperandCases;
  return {kOperandCases.front(), kOperandCases.back()};
}

INSTANTIATE_TEST_SUITE_P(OneStep, RtlArranged, testing::ValuesIn(Formats()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace vaultrain
