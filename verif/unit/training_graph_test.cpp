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

// Y = A B, and where B is what a Transpose of C gives: dA = dY C, dC = dY' A.
TEST(TrainingGraph, ProductsOfActivationsAreTurnedWhereTheyAreLoaded) {
  OnnxBuilder b;
  b.Input("x", {0, 5, 3}).Counting("a.w", {3, 4}).Counting("c.w", {3, 4}).Counting("w", {25, 2});
  b.Node("MatMul", "a", {"x", "a.w"}, "a.y").Node("MatMul", "c", {"x", "c.w"}, "c.y");
  b.Node("Transpose", "turn", {"c.y"}, "c.t").WithInts("perm", {0, 2, 1});
  b.Node("MatMul", "product", {"a.y", "c.t"}, "s").Node("Flatten", "flat", {"s"}, "f");
  b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 2});
  const TrainingGraph graph = Train(b);
  std::vector<std::vector<std::string>> products;
  for (const TrainingOp& op : graph.ops) {
    if (op.kind != TrainingOpKind::kProduct) continue;
    EXPECT_EQ(op.macs, graph.batch * 5 * 4 * 5);
    const bool forward = op.phase == Phase::kFeedForward;
    products.emplace_back();
    for (const Role role : {Role::kX, Role::kX2, forward ? Role::kY : Role::kDx}) {
      products.back().push_back(graph.tensors[op.Tensor(role)].name);
    }
    for (const size_t side : {0, 1}) {
      if (op.turned.at(side)) products.back()[side] += "'";
    }
  }
  using Product = std::vector<std::string>;
  EXPECT_EQ(products, (std::vector<Product>{{"a.Y", "c.Y'", "product.Y"},
                                            {"product.dZ", "c.Y", "a.dZ"},
                                            {"product.dZ'", "a.Y", "c.dZ"}}));
  for (const TrainingLayer& layer : graph.layers) EXPECT_NE(layer.name, "turn");
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
                {"'last' (Relu)", "a ReLU follows the last layer"});
  OnnxBuilder relu_end;
  relu_end.Input("x", {0, 6}).Counting("w", {6, 2}).Node("Gemm", "fc", {"x", "w"}, "z");
  relu_end.Node("Relu", "last", {"z"}, "y").Output("y", {0, 2});
  ExpectRefused(relu_end, {"'fc' (Gemm)", "linear last layer"});
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

OnnxBuilder Recurrent(const std::string& op, int64_t gates) {
  OnnxBuilder b;
  b.Input("x", {0, 5, 3}).Counting("w", {1, gates * 2, 3}).Counting("r", {1, gates * 2, 2});
  b.Node(op, "cell", {"x", "w", "r"}, "h", {{"hidden_size", 2}, {"layout", 1}});
  return b;
}

// ---- branches

// x -> fc1 -> Relu -> r; fc2(r) + r -> Relu -> fc3.
TEST(TrainingGraph, AddsWhatSeveralUsesGiveBack) {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Counting("w1", {6, 5}).Counting("w2", {5, 5}).Counting("w3", {5, 3});
  b.Node("MatMul", "fc1", {"x", "w1"}, "z1").Node("Relu", "relu1", {"z1"}, "r");
  b.Node("MatMul", "fc2", {"r", "w2"}, "z2").Node("Add", "sum", {"z2", "r"}, "s");
  b.Node("Relu", "relu2", {"s"}, "t").Node("MatMul", "fc3", {"t", "w3"}, "y").Output("y", {0, 3});
  const TrainingGraph graph = Train(b);
  std::vector<std::string> ops;
  for (const TrainingOp& op : graph.ops) {
    std::string text = fmt::format("{} {}{}{}:", graph.layers[op.layer].name, PhaseName(op.phase),
                                   op.relu ? " relu" : "", op.mask ? " mask" : "");
    for (const Operand& operand : op.operands) {
      text += " " + graph.tensors[operand.tensor].name;
    }
    ops.push_back(text);
  }
  EXPECT_THAT(ops,
              testing::ElementsAre(
                  "fc1 FF relu: input fc1.W fc1.Y", "fc2 FF: fc1.Y fc2.W fc2.Y",
                  "sum FF relu: fc2.Y fc1.Y sum.Y", "fc3 FF: sum.Y fc3.W fc3.Y",
                  "fc3 FF: fc3.Y label loss fc3.dZ", "fc3 BP mask: fc3.dZ fc3.W sum.Y sum.dZ",
                  "fc3 UP: fc3.dZ sum.Y fc3.W", "fc2 BP: sum.dZ fc2.W fc1.Y fc1.dZ.fc2.1",
                  "fc2 UP: sum.dZ fc1.Y fc2.W", "fc1 BP mask: sum.dZ fc1.dZ.fc2.1 fc1.Y fc1.dZ",
                  "fc1 UP: fc1.dZ input fc1.W"));
}

// What a part gives back is a gradient of the whole, and a difference the same one with two signs.
TEST(TrainingGraph, CopiesPartsOfChannels) {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Counting("w", {6, 8}).Counting("f", {4, 3}).Ints("sizes", {4, 4});
  b.Node("MatMul", "fc1", {"x", "w"}, "z").Node("Split", "split", {"z", "sizes"}, "a");
  b.With("axis", 1).AlsoGives("b").Node("Sub", "sub", {"a", "b"}, "s");
  b.Node("MatMul", "fc2", {"s", "f"}, "y").Output("y", {0, 3});
  const TrainingGraph graph = Train(b);
  std::vector<std::string> ops;
  for (const TrainingOp& op : graph.ops) {
    std::string text =
        fmt::format("{} {} {}:", graph.layers[op.layer].name, PhaseName(op.phase), op.channel);
    for (const Operand& operand : op.operands) {
      text += " " + graph.tensors[operand.tensor].name;
    }
    ops.push_back(text);
  }
  EXPECT_THAT(
      ops, testing::ElementsAre(
               "fc1 FF 0: input fc1.W fc1.Y", "split FF 0: fc1.Y split.Y",
               "split_2 FF 4: fc1.Y split_2.Y", "sub FF 0: split.Y split_2.Y sub.Y",
               "fc2 FF 0: sub.Y fc2.W fc2.Y", "fc2 FF 0: fc2.Y label loss fc2.dZ",
               "fc2 BP 0: fc2.dZ fc2.W sub.Y sub.dZ", "fc2 UP 0: fc2.dZ sub.Y fc2.W",
               "sub BP 0: sub.dZ split_2.Y split_2.dZ", "split_2 BP 4: split_2.dZ fc1.dZ.split_2.0",
               "split BP 0: sub.dZ fc1.dZ.split.1",
               "fc1 BP 0: fc1.dZ.split_2.0 fc1.dZ.split.1 fc1.dZ", "fc1 UP 0: fc1.dZ input fc1.W"));
}

TEST(TrainingGraph, RefusesJoinsItCannotTrainByNode) {
  for (const char* op : {"Sub", "Div"}) {
    OnnxBuilder b;
    b.Input("x", {0, 6}).Counting("w", {6, 3}).Counting("p", {3});
    b.Node("MatMul", "fc", {"x", "w"}, "z").Node(op, "join", {"z", "p"}, "y").Output("y", {0, 3});
    ExpectRefused(b, {"'join'", "with a parameter cannot be trained yet"});
  }
  OnnxBuilder table;
  table.Input("x", {0, 3}).Counting("t", {5, 2, 2}).Ints("flat", {0, 12});
  table.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  table.Node("Gather", "embed", {"t", "x"}, "e").Node("Reshape", "flat", {"e", "flat"}, "y");
  table.Output("y", {0, 12});
  ExpectRefused(table, {"'embed'", "[5,2,2]", "[classes,values]"});
}

// Every second step of 5, of 2 values: they lie as [value][step].
TEST(TrainingGraph, BringsValuesToOtherPlaces) {
  OnnxBuilder b = Recurrent("LSTM", 4);
  b.Ints("from", {0}).Ints("to", {5}).Ints("axis", {1}).Ints("by", {2}).Ints("flat", {0, 6});
  b.Node("Slice", "every", {"h", "from", "to", "axis", "by"}, "l").Counting("f", {6, 3});
  b.Node("Reshape", "flat", {"l", "flat"}, "v").Node("MatMul", "fc", {"v", "f"}, "y");
  b.Output("y", {0, 3});
  const TrainingGraph graph = Train(b);
  ASSERT_EQ(graph.layers.size(), 4u);
  EXPECT_EQ(graph.layers[2].kind, LayerKind::kArrange);
  EXPECT_EQ(graph.layers[2].name, "fc.arranged");
  EXPECT_EQ(graph.layers[2].to, (Image{1, 1, 6}));
  EXPECT_EQ(graph.layers[2].places, (std::vector<int32_t>{0, 5, 2, 7, 4, 9}));
  // Two Transposes that undo each other, and what a layer takes as another one did.
  OnnxBuilder none;
  none.Input("x", {0, 5, 3}).Counting("w", {3, 4}).Node("MatMul", "each", {"x", "w"}, "e");
  none.Ints("to", {0, 2, 2, 5}).Ints("back", {0, 5, 4}).Counting("f", {20, 3});
  none.Node("Transpose", "t", {"e"}, "t").WithInts("perm", {0, 2, 1});
  none.Node("Reshape", "r", {"t", "to"}, "r").Node("Transpose", "u", {"r"}, "u");
  none.WithInts("perm", {0, 3, 1, 2}).Node("Reshape", "v", {"u", "back"}, "v");
  none.Node("Relu", "relu", {"v"}, "p").Node("Flatten", "flat", {"p"}, "q");
  none.Node("MatMul", "fc", {"q", "f"}, "y").Output("y", {0, 3});
  const TrainingGraph back = Train(none);
  for (const TrainingLayer& layer : back.layers) EXPECT_NE(layer.kind, LayerKind::kArrange);
}

// As PyTorch writes it: InstanceNormalization of groups between Reshapes, then Mul and Add.
TEST(TrainingGraph, FindsGroupNormalisationBetweenReshapes) {
  OnnxBuilder b;
  b.Input("x", {0, 3, 4, 4})
      .Counting("w", {8, 3, 1, 1})
      .Floats("one", {1, 1})
      .Floats("zero", {0, 0});
  b.Ints("groups", {0, 2, -1}).Ints("image", {0, 8, 4, 4});
  b.Input("scale", {8, 1, 1}).Input("bias", {8, 1, 1}).Counting("f", {8, 3});
  b.Node("Conv", "conv", {"x", "w"}, "c").Node("Reshape", "in", {"c", "groups"}, "g");
  b.Node("InstanceNormalization", "norm", {"g", "one", "zero"}, "n");
  b.Node("Reshape", "out", {"n", "image"}, "i").Node("Mul", "mul", {"i", "scale"}, "m");
  b.Node("Add", "add", {"m", "bias"}, "a").Node("Relu", "relu", {"a"}, "r");
  b.Node("GlobalAveragePool", "mean", {"r"}, "p").Node("Flatten", "flat", {"p"}, "v");
  b.Node("MatMul", "fc", {"v", "f"}, "y").Output("y", {0, 3});
  const TrainingGraph graph = Train(b);
  const TrainingLayer& norm = graph.layers[1];
  EXPECT_EQ(norm.kind, LayerKind::kNormalise);
  EXPECT_EQ(norm.groups, 2);
  EXPECT_EQ(norm.to, (Image{4, 4, 8}));
  EXPECT_TRUE(norm.relu && norm.bias);
  // Scale and bias of what are channels only there.
  OnnxBuilder of_groups;
  of_groups.Input("x", {0, 4, 2, 2}).Counting("w", {4, 4, 1, 1}).Floats("s", {2, 1});
  of_groups.Floats("b", {0, 0}).Ints("groups", {0, 2, -1}).Node("Conv", "conv", {"x", "w"}, "c");
  of_groups.Node("Reshape", "in", {"c", "groups"}, "g").Counting("f", {16, 3});
  of_groups.Node("InstanceNormalization", "norm", {"g", "s", "b"}, "n").Ints("flat", {0, 16});
  of_groups.Node("Reshape", "out", {"n", "flat"}, "v").Node("MatMul", "fc", {"v", "f"}, "y");
  const TrainingGraph arranged = Train(of_groups.Output("y", {0, 3}));
  EXPECT_EQ(arranged.layers[1].kind, LayerKind::kArrange);
  EXPECT_EQ(arranged.layers[2].to, (Image{1, 8, 2}));
  OnnxBuilder without(18);
  without.Input("x", {0, 4, 2, 2}).Counting("w", {4, 4, 1, 1}).Floats("s", {2, 1});
  without.Floats("b", {0, 0}).Node("Conv", "conv", {"x", "w"}, "c");
  without.Node("GroupNormalization", "norm", {"c", "s", "b"}, "n", {{"num_groups", 2}});
  without.Node("Flatten", "out", {"n"}, "y").Output("y", {0, 16});
  ExpectRefused(without, {"'norm'", "groups of channels"});
}

TEST(TrainingGraph, KeepsRunningStatisticsThatHaveNoGradient) {
  auto net = [](int64_t training_mode) {
    OnnxBuilder b;
    b.Input("x", {0, 6}).Counting("w", {6, 4}).Node("MatMul", "fc", {"x", "w"}, "z");
    b.Input("scale", {4}).Input("bias", {4}).Input("mean", {4}).Counting("variance", {4});
    b.Node("BatchNormalization", "norm", {"z", "scale", "bias", "mean", "variance"}, "y");
    b.With("training_mode", training_mode).Output("y", {0, 4});
    return b;
  };
  const TrainingGraph graph = Train(net(1));
  EXPECT_EQ(graph.layers[1].norm, Norm::kBatch);
  EXPECT_FLOAT_EQ(graph.layers[1].momentum, 0.9f);
  EXPECT_EQ(graph.Parameters(), 24 + 4 + 4);
  const auto start = StartingParameters(graph, DefaultRecipe());
  EXPECT_EQ(start[graph.ops[1].Tensor(Role::kMean)], std::vector<float>(4, 0.0f));
  EXPECT_EQ(start[graph.ops[1].Tensor(Role::kVariance)], (std::vector<float>{0, 1, 2, 3}));
  EXPECT_FALSE(graph.layers[1].fixed);
  const TrainingGraph fixed = Train(net(0));
  EXPECT_TRUE(fixed.layers[1].fixed);
  EXPECT_EQ(fixed.Parameters(), 24 + 4 + 4);
}

// Over the last dimension of what has its channels last.
TEST(TrainingGraph, NormalisesTheStepsOfASequence) {
  auto net = [](int64_t axis) {
    OnnxBuilder b;
    b.Input("x", {0, 5, 3}).Counting("w", {3, 4}).Node("MatMul", "each", {"x", "w"}, "e");
    b.Input("scale", axis == 1 ? std::vector<int64_t>{5, 4} : std::vector<int64_t>{4});
    b.Input("bias", axis == 1 ? std::vector<int64_t>{5, 4} : std::vector<int64_t>{4});
    b.Node("LayerNormalization", "norm", {"e", "scale", "bias"}, "n", {{"axis", axis}});
    b.Counting("f", {20, 3}).Node("Flatten", "flat", {"n"}, "v");
    b.Node("MatMul", "fc", {"v", "f"}, "y").Output("y", {0, 3});
    return b;
  };
  EXPECT_EQ(Train(net(2)).layers[1].norm, Norm::kSteps);
  const TrainingGraph all = Train(net(1));
  EXPECT_EQ(all.layers[1].kind, LayerKind::kArrange);
  EXPECT_EQ(all.layers[2].norm, Norm::kGroups);
  EXPECT_EQ(all.layers[2].to, (Image{1, 1, 20}));
}

// ---- sequences

TEST(TrainingGraph, TakesTheLastStepAsAWindow) {
  OnnxBuilder b = Recurrent("LSTM", 4);
  b.Ints("from", {-1}).Ints("to", {9}).Ints("axis", {1}).Ints("flat", {0, 2}).Counting("f", {2, 3});
  b.Node("Slice", "last", {"h", "from", "to", "axis"}, "l");
  b.Node("Reshape", "flat", {"l", "flat"}, "v").Node("MatMul", "fc", {"v", "f"}, "y");
  b.Output("y", {0, 3});
  const TrainingGraph graph = Train(b, 10);
  ASSERT_EQ(graph.layers.size(), 3u);
  EXPECT_EQ(graph.layers[1].kind, LayerKind::kRecurrent);
  EXPECT_EQ(graph.layers[2].from, (Image{1, 5, 2}));
  EXPECT_EQ(graph.layers[2].window.pad_left, -4);
  EXPECT_EQ(graph.InputSteps(), 5);
  // Values of the file are [step][feature], ours [feature][step].
  EXPECT_EQ(graph.InputPlace(1), 3);
  std::vector<std::string> ops;
  for (const TrainingOp& op : graph.ops) {
    ops.push_back(
        fmt::format("{} {} {}", graph.layers[op.layer].name, PhaseName(op.phase), op.macs));
  }
  // Sums of 8 gates from 3 inputs at 5 steps and from 2 states at 4; a batch of 10.
  EXPECT_THAT(ops,
              testing::ElementsAre("cell.h FF 1840", "fc FF 60", "fc FF 0", "fc BP 60", "fc UP 60",
                                   "cell.h BP 640", "cell UP 1200", "cell.h UP 640"));
}

// What the operations below a layer "fc" do, and with which tensors.
std::vector<std::string> OpTexts(const TrainingGraph& graph) {
  std::vector<std::string> texts;
  for (const TrainingOp& op : graph.ops) {
    if (graph.layers[op.layer].name == "fc") continue;
    std::string text =
        fmt::format("{} {} {}:", graph.layers[op.layer].name, PhaseName(op.phase), op.macs);
    for (const Operand& operand : op.operands) {
      text += " " + graph.tensors[operand.tensor].name;
    }
    texts.push_back(text);
  }
  return texts;
}

// The two biases of a GRU are two parameters, as the part of n that comes from the state is not
// only added; so are the gradients of the two sums.
TEST(TrainingGraph, KeepsBothBiasesOfAGru) {
  OnnxBuilder b = Recurrent("GRU", 3);
  b.With("linear_before_reset", 1).Counting("b", {1, 12});
  b.graph()->mutable_node(0)->add_input("b");
  b.Ints("flat", {0, 10}).Node("Reshape", "flat", {"h", "flat"}, "y");
  b.Counting("f", {10, 3}).Node("MatMul", "fc", {"y", "f"}, "z").Output("z", {0, 3});
  const TrainingGraph graph = Train(b, 10);
  EXPECT_THAT(OpTexts(graph),
              testing::ElementsAre("cell.h FF 1380: input cell.W cell.h.W cell.b cell.h.b cell.h.Y",
                                   "cell.h BP 480: cell.h.dZ cell.h.W cell.h.Y cell.dZ cell.h.dS",
                                   "cell UP 900: cell.dZ input cell.W cell.b",
                                   "cell.h UP 480: cell.h.dS cell.h.Y cell.h.W cell.h.b"));
  EXPECT_EQ(graph.tensors[graph.ops[0].Tensor(Role::kB)].start,
            (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(graph.tensors[graph.ops[0].Tensor(Role::kD)].start,
            (std::vector<float>{6, 7, 8, 9, 10, 11}));
}

// One whose state is reset before the product has U's rows for n as a layer of their own, by which
// the state goes where r has been; its biases are one.
TEST(TrainingGraph, PartsTheStatesOfAResetGru) {
  OnnxBuilder b = Recurrent("GRU", 3);
  b.Counting("b", {1, 12});
  b.graph()->mutable_node(0)->add_input("b");
  b.Ints("flat", {0, 10}).Node("Reshape", "flat", {"h", "flat"}, "y");
  b.Counting("f", {10, 3}).Node("MatMul", "fc", {"y", "f"}, "z").Output("z", {0, 3});
  const TrainingGraph graph = Train(b, 10);
  EXPECT_THAT(
      OpTexts(graph),
      testing::ElementsAre(
          "cell.h FF 1380: input cell.W cell.h.W cell.n.W cell.n.X cell.b cell.h.Y",
          "cell.h BP 480: cell.h.dZ cell.h.W cell.h.Y cell.dZ cell.h.dS cell.n.W cell.n.dZ",
          "cell UP 900: cell.dZ input cell.W cell.b", "cell.h UP 320: cell.h.dS cell.h.Y cell.h.W",
          "cell.n UP 160: cell.n.dZ cell.n.X cell.n.W"));
  const TrainingOp& forward = graph.ops[0];
  EXPECT_EQ(graph.tensors[forward.Tensor(Role::kU)].start,
            (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(graph.tensors[forward.Tensor(Role::kV)].start, (std::vector<float>{8, 9, 10, 11}));
  EXPECT_EQ(graph.tensors[forward.Tensor(Role::kB)].start,
            (std::vector<float>{6, 8, 10, 12, 14, 16}));
}

// It is a layer only where its training mode is on.
TEST(TrainingGraph, LeavesValuesOutInTrainingMode) {
  for (const bool mode : {false, true}) {
    OnnxBuilder b;
    b.Input("x", {0, 4}).Counting("w", {4, 3}).Node("MatMul", "fc", {"x", "w"}, "z");
    b.Scalar("ratio", 0.5f).BoolScalar("mode", mode);
    b.Node("Dropout", "drop", {"z", "ratio", "mode"}, "y").Output("y", {0, 3});
    const TrainingGraph graph = Train(b);
    ASSERT_EQ(graph.layers.size(), mode ? 2u : 1u);
    if (mode) {
      EXPECT_EQ(graph.layers[1].kind, LayerKind::kDropout);
      EXPECT_EQ(graph.layers[1].ratio, 0.5f);
    }
  }
}

// ---- images

// x [N,2,5,6] -> Conv -> Relu -> MaxPool -> Gemm.
OnnxBuilder Convolved() {
  OnnxBuilder b;
  b.Input("x", {0, 2, 5, 6}).Counting("wc", {3, 2, 2, 3}).Counting("bc", {3});
  b.Counting("wf", {4, 12}).Counting("bf", {4});
  b.Node("Conv", "conv", {"x", "wc", "bc"}, "c").WithInts("pads", {1, 0, 0, 1});
  b.Node("Relu", "relu", {"c"}, "r").Node("MaxPool", "pool", {"r"}, "p");
  b.WithInts("kernel_shape", {2, 3})
      .WithInts("strides", {2, 2})
      .Node("Flatten", "flat", {"p"}, "f");
  b.Node("Gemm", "fc", {"f", "wf", "bf"}, "y", {{"transB", 1}}).Output("y", {0, 4});
  return b;
}

TEST(TrainingGraph, FollowsAnImageThroughItsLayers) {
  const TrainingGraph graph = Train(Convolved());
  ASSERT_EQ(graph.layers.size(), 3u);
  const TrainingLayer& conv = graph.layers[0];
  EXPECT_EQ(conv.from, (Image{5, 6, 2}));
  EXPECT_EQ(conv.to, (Image{5, 5, 3}));
  EXPECT_EQ(conv.window, (Window{2, 3, 1, 1, 1, 1, 1, 0, 0, 1}));
  EXPECT_EQ(conv.in, 12);
  EXPECT_EQ(conv.out, 3);
  EXPECT_TRUE(conv.relu && conv.bias && !conv.IsFlat());
  const TrainingLayer& pool = graph.layers[1];
  EXPECT_EQ(pool.kind, LayerKind::kMaxPool);
  EXPECT_EQ(pool.from, conv.to);
  EXPECT_EQ(pool.to, (Image{2, 2, 3}));
  EXPECT_FALSE(pool.relu);
  const TrainingLayer& fc = graph.layers[2];
  EXPECT_EQ(fc.from, pool.to);
  EXPECT_EQ(fc.to, (Image{1, 1, 4}));
  EXPECT_EQ(fc.window, (Window{2, 2}));
  EXPECT_EQ(fc.in, 12);
  EXPECT_FALSE(fc.IsFlat());

  std::vector<std::string> ops, tensors;
  for (const TrainingOp& op : graph.ops) {
    ops.push_back(fmt::format("{} {} {}{}{}", graph.layers[op.layer].name, PhaseName(op.phase),
                              op.macs, op.relu ? " relu" : "", op.mask ? " mask" : ""));
  }
  // Of the 5 x 5 windows of 2 x 3, the first row sees 1 line and the last column 2 columns.
  const int64_t conv_macs = 4 * 3 * 2 * (1 + 4 * 2) * (4 * 3 + 2);
  EXPECT_THAT(ops, testing::ElementsAre(fmt::format("conv FF {} relu", conv_macs), "pool FF 0",
                                        "fc FF 192", "fc FF 0", "fc BP 192", "fc UP 192",
                                        "pool BP 0 mask", fmt::format("conv UP {}", conv_macs)));
  for (const TrainingTensor& t : graph.tensors) {
    tensors.push_back(fmt::format("{} {}x{} {}x{}x{}", t.name, t.rows, t.cols, t.image.height,
                                  t.image.width, t.image.channels));
  }
  EXPECT_THAT(tensors,
              testing::ElementsAre("input 4x60 5x6x2", "conv.W 3x12 1x1x0", "conv.b 1x3 1x1x0",
                                   "conv.Y 4x75 5x5x3", "pool.Y 4x12 2x2x3", "pool.I 4x12 2x2x3",
                                   "fc.W 4x12 1x1x0", "fc.b 1x4 1x1x0", "fc.Y 4x4 1x1x4",
                                   "label 4x1 1x1x1", "loss 4x1 1x1x1", "fc.dZ 4x4 1x1x4",
                                   "pool.dZ 4x12 2x2x3", "conv.dZ 4x75 5x5x3"));
  const TrainingOp& back = graph.ops[6];
  EXPECT_EQ(back.kind, TrainingOpKind::kPoolBackward);
  EXPECT_EQ(graph.tensors[back.Tensor(Role::kX)].name, "conv.Y");
  EXPECT_EQ(graph.tensors[back.Tensor(Role::kDx)].name, "conv.dZ");
  EXPECT_EQ(graph.tensors[back.Tensor(Role::kIndex)].kind, TensorKind::kIndex);
}

TEST(TrainingGraph, BringsWeightsOfImagesIntoTheOrderOfTaps) {
  const TrainingGraph graph = Train(Convolved());
  // [out][c][ky][kx] to [out][ky][kx][c].
  const std::vector<float>& conv = graph.tensors[graph.ops[0].Tensor(Role::kW)].start;
  EXPECT_EQ(conv[((2 * 2 + 1) * 3 + 2) * 2 + 1], ((2 * 2 + 1) * 2 + 1) * 3 + 2);
  EXPECT_EQ(conv[((1 * 2 + 0) * 3 + 1) * 2 + 0], ((1 * 2 + 0) * 2 + 0) * 3 + 1);
  // [out][(c,y,x)] to [out][y][x][c] of the 2 x 2 x 3 image.
  const std::vector<float>& fc = graph.tensors[graph.ops[2].Tensor(Role::kW)].start;
  EXPECT_EQ(fc[((3 * 2 + 1) * 2 + 0) * 3 + 2], 3 * 12 + 2 * 4 + 1 * 2 + 0);
}

// A row holds all channels, each with the weight to the output of that place in its own group.
TEST(TrainingGraph, HasARowForEachOutputOfAGroup) {
  OnnxBuilder b;
  b.Input("x", {0, 6, 3, 2}).Counting("w", {9, 2, 3, 2});
  b.Node("Conv", "conv", {"x", "w"}, "y", {{"group", 3}}).Output("y", {0, 9, 1, 1});
  const TrainingGraph graph = Train(b);
  const TrainingTensor& w = graph.tensors[graph.ops[0].Tensor(Role::kW)];
  EXPECT_EQ(w.rows, 3);
  EXPECT_EQ(w.cols, 3 * 2 * 6);
  EXPECT_EQ(w.fan_in, 3 * 2 * 2);
  // Of tap (2, 1) the weight from channel 4 to the second output of its group, output 7.
  EXPECT_EQ(w.start[w.cols + (2 * 2 + 1) * 6 + 4], ((7 * 2 + 0) * 3 + 2) * 2 + 1);
  EXPECT_EQ(graph.ops[0].macs, graph.batch * 9 * 2 * 6);
  EXPECT_FALSE(graph.layers[0].IsFlat());
}

TEST(TrainingGraph, TakesAnImageAsFlatWhereNoWindowSlides) {
  OnnxBuilder b;
  b.Input("x", {0, 1, 28, 28}).Counting("w", {784, 10}).Node("Flatten", "flat", {"x"}, "f");
  b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 10});
  const TrainingGraph graph = Train(b);
  EXPECT_EQ(graph.tensors[graph.input].image, (Image{1, 1, 784}));
  EXPECT_TRUE(graph.layers[0].IsFlat());
}

TEST(TrainingGraph, TakesLinesAsImagesOfHeightOne) {
  OnnxBuilder b;
  b.Input("x", {0, 3, 9}).Counting("w", {2, 3, 4}).Node("Conv", "conv", {"x", "w"}, "c");
  b.WithInts("strides", {2}).WithInts("pads", {1, 0}).WithInts("dilations", {2});
  b.Node("GlobalAveragePool", "mean", {"c"}, "y").Output("y", {0, 2, 1});
  const TrainingGraph graph = Train(b);
  EXPECT_EQ(graph.layers[0].from, (Image{1, 9, 3}));
  EXPECT_EQ(graph.layers[0].to, (Image{1, 2, 2}));
  EXPECT_EQ(graph.layers[0].window, (Window{1, 4, 1, 2, 1, 2, 0, 1, 0, 0}));
  EXPECT_EQ(graph.layers[1].kind, LayerKind::kAveragePool);
  EXPECT_EQ(graph.layers[1].window, (Window{1, 2}));
  EXPECT_EQ(graph.classes, 2);
}

TEST(TrainingGraph, PutsNoBackPropagationBeforeTheFirstWeights) {
  OnnxBuilder b;
  b.Input("x", {0, 1, 6, 6}).Counting("w", {2, 1, 3, 3});
  b.Node("MaxPool", "pool", {"x"}, "p").WithInts("kernel_shape", {2, 2});
  b.Node("Conv", "conv", {"p", "w"}, "c").Node("GlobalMaxPool", "most", {"c"}, "y");
  b.Output("y", {0, 2, 1, 1});
  std::vector<std::string> ops;
  const TrainingGraph graph = Train(b);
  for (const TrainingOp& op : graph.ops) {
    ops.push_back(fmt::format("{} {}", graph.layers[op.layer].name, PhaseName(op.phase)));
  }
  EXPECT_THAT(
      ops, testing::ElementsAre("pool FF", "conv FF", "most FF", "most FF", "most BP", "conv UP"));
  EXPECT_EQ(graph.ops[0].Tensor(Role::kIndex), -1);
}

TEST(TrainingGraph, MovesAReluBeforeTheMaximum) {
  OnnxBuilder b;
  b.Input("x", {0, 1, 6, 6}).Counting("w", {2, 1, 3, 3}).Counting("f", {8, 3});
  b.Node("Conv", "conv", {"x", "w"}, "c").Node("MaxPool", "pool", {"c"}, "p");
  b.WithInts("kernel_shape", {2, 2}).WithInts("strides", {2, 2}).Node("Relu", "relu", {"p"}, "r");
  b.Node("Flatten", "flat", {"r"}, "v").Node("MatMul", "fc", {"v", "f"}, "y").Output("y", {0, 3});
  const TrainingGraph graph = Train(b);
  EXPECT_TRUE(graph.layers[0].relu);
  EXPECT_FALSE(graph.layers[1].relu);
}

TEST(TrainingGraph, LetsALastWindowThatHangsOverCountAsPadding) {
  OnnxBuilder b;
  b.Input("x", {0, 2, 6, 6}).Counting("w", {2, 2, 1, 1}).Node("Conv", "conv", {"x", "w"}, "c");
  b.Node("AveragePool", "pool", {"c"}, "p", {{"ceil_mode", 1}});
  b.WithInts("kernel_shape", {3, 3}).WithInts("strides", {2, 2});
  b.Node("GlobalMaxPool", "most", {"p"}, "y").Output("y", {0, 2, 1, 1});
  const TrainingLayer pool = Train(b).layers[1];
  EXPECT_EQ(pool.to, (Image{3, 3, 2}));
  EXPECT_EQ(pool.window, (Window{3, 3, 2, 2, 1, 1, 0, 0, 1, 1}));
  EXPECT_FALSE(pool.count_pad);
}

TEST(TrainingGraph, RefusesImagesItCannotTrainByNode) {
  // A chain of a convolution and what `add` makes of its output "c" [N,4,4,4].
  auto after = [](auto add) {
    OnnxBuilder b;
    b.Input("x", {0, 4, 6, 6}).Counting("w", {4, 4, 3, 3}).Node("Conv", "conv", {"x", "w"}, "c");
    add(b);
    b.graph()->add_output()->set_name(b.graph()->node(b.graph()->node_size() - 1).output(0));
    return b;
  };
  ExpectRefused(after([](OnnxBuilder& b) {
                  b.Counting("k", {4, 1, 1}).Node("Mul", "scale", {"c", "k"}, "y");
                }),
                {"'scale' (Mul)", "cannot be trained yet"});
  ExpectRefused(after([](OnnxBuilder& b) { b.Node("Identity", "same", {"c"}, "y"); }),
                {"'conv'", "ends in [4,4,4]"});
  const TrainingGraph bent = Train(after([](OnnxBuilder& b) {
    b.Ints("to", {0, 4, 2, 8}).Node("Reshape", "bend", {"c", "to"}, "r");
    b.Node("GlobalMaxPool", "pool", {"r"}, "y");
  }));
  EXPECT_EQ(bent.layers[1].kind, LayerKind::kArrange);
  EXPECT_EQ(bent.layers[1].to, (Image{2, 8, 4}));
  OnnxBuilder many;
  many.Input("x", {0, 4, 300, 300}).Counting("w", {4, 4, 1, 1});
  many.Node("Conv", "conv", {"x", "w"}, "c").Ints("to", {0, 4, 9, 10000});
  many.Node("Reshape", "bend", {"c", "to"}, "r").Node("GlobalMaxPool", "pool", {"r"}, "y");
  many.Output("y", {0, 4, 1, 1});
  ExpectRefused(many, {"'pool'", "360000 values", "262144"});
  ExpectRefused(after([](OnnxBuilder& b) {
                  b.Node("GlobalAveragePool", "pool", {"c"}, "p").Counting("k", {4, 1, 1});
                  b.Node("Add", "bias", {"p", "k"}, "y");
                }),
                {"'bias'", "directly after"});
  ExpectRefused(after([](OnnxBuilder& b) {
                  b.Counting("k", {4}).Node("Add", "bias", {"c", "k"}, "y");
                }),
                {"'bias'", "'k' is [4]", "[4,1,1]"});
  ExpectRefused(after([](OnnxBuilder& b) {
                  b.Node("MaxPool", "pool", {"c"}, "y").WithInts("kernel_shape", {1, 1});
                  b.WithInts("pads", {1, 0, 0, 0});
                }),
                {"'pool'", "nothing but padding"});
  ExpectRefused(after([](OnnxBuilder& b) {
                  b.Node("AveragePool", "pool", {"c"}, "y", {{"ceil_mode", 1}});
                  b.With("count_include_pad", 1).WithInts("kernel_shape", {3, 3});
                  b.WithInts("strides", {2, 2});
                }),
                {"'pool'", "ceil_mode", "count_include_pad"});
  OnnxBuilder wide;
  wide.Input("x", {0, 2, 300, 300}).Counting("w", {2, 2, 1, 1});
  wide.Node("Conv", "conv", {"x", "w"}, "c").Node("GlobalMaxPool", "pool", {"c"}, "y");
  wide.Output("y", {0, 2, 1, 1});
  ExpectRefused(wide, {"'pool'", "90000", "65536"});
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
