// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/training_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/networks.h"
#include "vaultrain/random.h"
#include "vaultrain/recipe.h"

namespace vaultrain {
namespace {

using ::testing::HasSubstr;

TrainingGraph Train(const OnnxBuilder& builder, int64_t batch = 4) {
  return Differentiate(ParseOnnx(builder.Bytes(), "net.onnx"), batch);
}

void ExpectRefused(const OnnxBuilder& builder, const std::vector<std::string>& parts) {
  try {
    Train(builder);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST(TrainingGraph, HoldsForwardLossBackwardAndUpdateOfEachLayer) {
  TrainingGraph graph = Train(TwoLayers());
  ASSERT_EQ(graph.layers.size(), 2u);
  std::vector<std::string> ops;
  for (const TrainingOp& op : graph.ops) {
    ops.push_back(fmt::format("{} {} {}{}{}", graph.layers[op.layer].name, PhaseName(op.phase),
                              op.macs, op.relu ? " relu" : "", op.mask ? " mask" : ""));
  }
  EXPECT_THAT(ops, testing::ElementsAre("first FF 96 relu", "second FF 48", "second FF 0",
                                        "second BP 48 mask", "second UP 48", "first UP 96"));
}

TEST(TrainingGraph, CountsMacsWithoutBackPropagationIntoTheInput) {
  TrainingGraph graph =
      Differentiate(ParseOnnx(MakeFullyConnected("mlp", {784, 128, 10}), "mlp.onnx"), 32);
  int64_t first = 32 * 784 * 128, second = 32 * 128 * 10;
  EXPECT_EQ(graph.MacsNeeded(), 2 * first + 3 * second);
  EXPECT_EQ(graph.Parameters(), 784 * 128 + 128 + 128 * 10 + 10);
}

TEST(TrainingGraph, MakesEveryTensorBeforeItsUse) {
  TrainingGraph graph = Train(TwoLayers());
  std::set<int> made = {graph.input, graph.label};
  std::set<std::string> names;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    EXPECT_TRUE(names.insert(graph.tensors[i].name).second) << graph.tensors[i].name;
    if (graph.tensors[i].is_parameter()) made.insert(static_cast<int>(i));
  }
  for (const TrainingOp& op : graph.ops) {
    for (const Operand& operand : op.operands) {
      bool writes = operand.role == Role::kY || operand.role == Role::kLoss ||
                    operand.role == Role::kDx ||
                    (operand.role == Role::kDz && op.phase == Phase::kFeedForward);
      if (writes) {
        EXPECT_TRUE(made.insert(operand.tensor).second) << graph.tensors[operand.tensor].name;
      } else {
        EXPECT_TRUE(made.count(operand.tensor)) << graph.tensors[operand.tensor].name;
      }
    }
  }
  EXPECT_EQ(made.size(), graph.tensors.size());
}

TEST(TrainingGraph, BringsWeightsIntoRowsOfOutputs) {
  TrainingGraph graph = Train(TwoLayers());
  const TrainingTensor& first = graph.tensors[graph.ops[0].Tensor(Role::kW)];  // [4][6] in the file
  EXPECT_EQ(first.rows, 4);
  EXPECT_EQ(first.start[1 * 6 + 2], 8.0f);
  const TrainingTensor& second =
      graph.tensors[graph.ops[1].Tensor(Role::kW)];  // [4][3] in the file
  EXPECT_EQ(second.rows, 3);
  EXPECT_EQ(second.cols, 4);
  EXPECT_EQ(second.start[2 * 4 + 1], 5.0f);
  EXPECT_EQ(graph.tensors[graph.ops[1].Tensor(Role::kB)].start[2], 2.0f);
}

TEST(TrainingGraph, TakesALayerWithoutBias) {
  TrainingGraph graph = Train(Reshaped());
  EXPECT_FALSE(graph.layers[0].bias);
  EXPECT_EQ(graph.ops[0].Tensor(Role::kB), -1);
  EXPECT_EQ(graph.ops.back().Tensor(Role::kB), -1);
}

TEST(TrainingGraph, MasksOnlyBehindARelu) {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Counting("w1", {6, 4}).Counting("w2", {4, 3});
  b.Node("MatMul", "a", {"x", "w1"}, "y").Node("MatMul", "b", {"y", "w2"}, "z");
  b.Output("z", {0, 3});
  for (const TrainingOp& op : Train(b).ops) EXPECT_FALSE(op.mask || op.relu);
}

TEST(TrainingGraph, RefusesWhatItCannotTrainByNode) {
  auto with = [](auto change) {
    OnnxBuilder b = TwoLayers();
    change(b);
    return b;
  };
  ExpectRefused(with([](OnnxBuilder& b) {  // Relu at the end
                  b.Node("Relu", "last", {"p"}, "q");
                  b.graph()->mutable_output(0)->set_name("q");
                }),
                {"softmax is accepted only at the end"});
  OnnxBuilder relu_end;
  relu_end.Input("x", {0, 6}).Counting("w", {6, 2}).Node("Gemm", "fc", {"x", "w"}, "z");
  relu_end.Node("Relu", "last", {"z"}, "y").Output("y", {0, 2});
  ExpectRefused(relu_end, {"'fc' (Gemm)", "linear last layer"});
  OnnxBuilder residual;
  residual.Input("x", {0, 6}).Counting("w", {6, 6}).Node("Gemm", "fc", {"x", "w"}, "z");
  residual.Node("Add", "sum", {"z", "x"}, "y").Output("y", {0, 6});
  ExpectRefused(residual, {"'x' has 2 uses"});
  OnnxBuilder shared;
  shared.Input("x", {0, 6}).Counting("w", {6, 6}).Node("Gemm", "one", {"x", "w"}, "z");
  shared.Node("Gemm", "two", {"z", "w"}, "y").Output("y", {0, 6});
  ExpectRefused(shared, {"'two'", "'w' is shared"});
  OnnxBuilder input_relu;
  input_relu.Input("x", {0, 6}).Node("Relu", "relu", {"x"}, "y").Output("y", {0, 6});
  ExpectRefused(input_relu, {"'relu'", "ReLU of the input"});
  OnnxBuilder nothing;
  nothing.Input("x", {0, 6}).Node("Identity", "same", {"x"}, "y").Output("y", {0, 6});
  ExpectRefused(nothing, {"no Gemm, MatMul or Conv"});
  EXPECT_THROW(Train(TwoLayers(), 0), Error);
}

TEST(TrainingGraph, StartsFromTheFileElseFromTheRecipe) {
  Recipe recipe = DefaultRecipe();
  TrainingGraph with = Train(TwoLayers());
  int w = with.ops[0].Tensor(Role::kW);
  EXPECT_EQ(StartingParameters(with, recipe)[w], with.tensors[w].start);

  TrainingGraph without =
      Differentiate(ParseOnnx(MakeFullyConnected("net", {600, 50, 3}), "net.onnx"), 4);
  std::vector<float> he = StartingParameters(without, recipe)[without.ops[0].Tensor(Role::kW)];
  ASSERT_EQ(he.size(), 600u * 50);
  double square = 0;
  for (float value : he) square += double{value} * value;
  EXPECT_NEAR(square / he.size(), 2.0 / 600, 0.02 * 2.0 / 600);
  EXPECT_EQ(StartingParameters(without, recipe)[without.ops[0].Tensor(Role::kB)],
            std::vector<float>(50, 0.0f));
  recipe.seed = 2;
  EXPECT_NE(StartingParameters(without, recipe)[without.ops[0].Tensor(Role::kW)], he);
}

}  // namespace
}  // namespace vaultrain
