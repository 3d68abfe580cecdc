// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "chain_draw.h"
#include "gradient_check.h"
#include "onnx_definition.h"
#include "vaultrain/networks.h"
#include "vaultrain/random.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

const fs::path kNetworks = fs::path(VT_SOURCE_DIR) / "generator/networks";

ReferenceRun TrainShipped(const std::string& name, const std::optional<fs::path>& data_directory) {
  fs::path file = FindNetwork(name, {kNetworks});
  Recipe recipe = RecipeOf(file);
  TrainingGraph graph = Differentiate(ReadOnnx(file), recipe.batch);
  return TrainReference(graph, recipe,
                        LoadData(data_directory, recipe.data_set, graph.features, graph.classes));
}

TEST(Reference, GradientsAreTheCentralDifferencesOfTheLoss) {
  TrainingGraph graph = Differentiate(ParseOnnx(MakeFullyConnected("net", {7, 6, 5, 4}), "net"), 5);
  Random random(1, "gradients");
  EXPECT_EQ(CompareGradients(graph, random), graph.Parameters());
}

TEST(Reference, GradientsOfDrawnChainsAreTheCentralDifferencesOfTheLoss) {
  const uint64_t seed = 1;
  for (int i = 0; i < 500; ++i) {
    Random random(seed, fmt::format("chain/{}", i));
    ChainDraw draw(random);
    const TrainingGraph graph = Differentiate(draw.Draw(), 3);
    SCOPED_TRACE(fmt::format("seed {} chain {}: {}", seed, i, draw.text()));
    ASSERT_EQ(CompareGradients(graph, random), graph.Parameters());
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

// Parts of channels and of pixels, one of them left out, a difference and a quotient.
OnnxBuilder Joined(Random& random) {
  OnnxBuilder b;
  b.Input("x", {0, 2, 4, 3}).Drawn("w", {7, 2, 3, 3}, random).Drawn("b", {7}, random);
  b.Node("Conv", "conv", {"x", "w", "b"}, "c").WithInts("pads", {1, 1, 1, 1});
  b.Ints("sizes", {2, 2, 1, 2}).Node("Split", "split", {"c", "sizes"}, "s1", {{"axis", 1}});
  b.AlsoGives("s2").AlsoGives("").AlsoGives("s4").Node("Relu", "relu", {"s2"}, "r");
  b.Node("Sub", "sub", {"s1", "r"}, "d").Node("Relu", "relu2", {"d"}, "e");
  b.Node("Sigmoid", "gate", {"s4"}, "g").Node("Div", "div", {"e", "g"}, "q");
  b.Node("Div", "again", {"g", "g"}, "one").Node("Sub", "less", {"q", "one"}, "l");
  b.Ints("rows", {1, 3}).Node("Split", "lines", {"l", "rows"}, "l1", {{"axis", 2}});
  b.AlsoGives("l2").Node("Flatten", "f1", {"l1"}, "u").Node("Flatten", "f2", {"l2"}, "v");
  b.Drawn("w1", {6, 3}, random).Drawn("w2", {18, 3}, random);
  b.Node("MatMul", "fc1", {"u", "w1"}, "y1").Node("MatMul", "fc2", {"v", "w2"}, "y2");
  b.Node("Sub", "end", {"y1", "y2"}, "y").Output("y", {0, 3});
  return b;
}

TEST(Reference, GradientsOfPartsDifferencesAndQuotientsAreTheCentralDifferences) {
  Random random(1, "joined");
  const TrainingGraph graph = Differentiate(ParseOnnx(Joined(random).Bytes(), "net"), 3);
  EXPECT_EQ(CompareGradients(graph, random), graph.Parameters());
}

TEST(Reference, GradientsOfTheMeanSquareAreTheCentralDifferences) {
  Random random(1, "mean square");
  for (const std::vector<int>& widths : {std::vector<int>{7, 6, 4}, {5, 1}}) {
    const Graph file = ParseOnnx(MakeFullyConnected("net", widths), "net");
    const TrainingGraph graph = Differentiate(file, 5, Loss::kMeanSquare);
    EXPECT_EQ(CompareGradients(graph, random), graph.Parameters());
  }
}

TEST(Reference, AMeanSquareTakesTargetsOrClasses) {
  const Graph file = ParseOnnx(MakeFullyConnected("net", {1, 2}), "net");
  const TrainingGraph graph = Differentiate(file, 1, Loss::kMeanSquare);
  Reference reference(graph, std::vector<std::vector<float>>(graph.tensors.size()));
  reference.tensor(graph.ops[0].Tensor(Role::kB)) = {3, 5};
  EXPECT_EQ(reference.Forward({{1}, {}, {2, 7}}), (1 + 4) / 2.0);
  EXPECT_EQ(reference.tensor(graph.ops[1].Tensor(Role::kDz)), (std::vector<double>{1, -2}));
  EXPECT_EQ(reference.Forward({{1}, {1}, {}}), (9 + 16) / 2.0);
}

TEST(Reference, GradientsThroughADropoutAreTheCentralDifferences) {
  Random random(1, "dropout");
  OnnxBuilder b;
  b.Input("x", {0, 6}).Drawn("w1", {6, 8}, random).Drawn("w2", {8, 3}, random);
  b.Scalar("ratio", 0.4f).BoolScalar("on", true);
  b.Node("MatMul", "fc1", {"x", "w1"}, "z").Node("Relu", "relu", {"z"}, "r");
  b.Node("Dropout", "drop", {"r", "ratio", "on"}, "d").Node("MatMul", "fc2", {"d", "w2"}, "y");
  b.Output("y", {0, 3});
  const TrainingGraph graph = Differentiate(ParseOnnx(b.Bytes(), "net"), 5);
  EXPECT_EQ(CompareGradients(graph, random), graph.Parameters());
}

// Tokens as ones, and as ONNX takes them.
TEST(Reference, AnEmbeddingLooksRowsUp) {
  Random random(1, "embedding");
  OnnxBuilder b;
  b.Input("x", {0, 3}).Drawn("table", {5, 4}, random).Drawn("w", {12, 3}, random);
  b.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  b.Node("Gather", "embed", {"table", "x"}, "e").Node("Tanh", "tanh", {"e"}, "t");
  b.Ints("flat", {0, 12}).Node("Reshape", "flat", {"t", "flat"}, "v");
  b.Node("MatMul", "fc", {"v", "w"}, "y").Output("y", {0, 3});
  const Graph file = ParseOnnx(b.Bytes(), "net");
  const TrainingGraph graph = Differentiate(file, 6);
  EXPECT_TRUE(graph.one_hot);
  EXPECT_EQ(graph.features, 15);
  EXPECT_EQ(graph.InputSteps(), 3);
  EXPECT_EQ(graph.MacsNeeded(), 3 * 6 * 12 * 3) << "none of the lookup";
  EXPECT_EQ(CompareGradients(graph, random), graph.Parameters());
  StepData batch;
  batch.inputs.resize(6 * 15);
  batch.labels.assign(6, 0);
  Array tokens{{6, 3}, {}};
  for (size_t i = 0; i < 6 * 3; ++i) {
    tokens.values.push_back(static_cast<double>(random.Below(5)));
    batch.inputs[i * 5 + static_cast<size_t>(tokens.values.back())] = 1;
  }
  Reference reference(graph, StartingParameters(graph, DefaultRecipe()));
  reference.Forward(batch);
  const Array defined = Define(file, tokens);
  const std::vector<double>& logits = reference.tensor(graph.logits);
  ASSERT_EQ(defined.values.size(), logits.size());
  for (size_t j = 0; j < logits.size(); ++j) EXPECT_NEAR(logits[j], defined.values[j], 1e-12);
}

// Against the second definition of the operators.
void ExpectGivesWhatOnnxDefines(const Graph& file, const TrainingGraph& graph, Random& random) {
  const StepData batch = DrawBatch(graph, random);
  Reference reference(graph, StartingParameters(graph, DefaultRecipe()));
  reference.Forward(batch);
  Array data{file.tensors[file.input].shape, {batch.inputs.begin(), batch.inputs.end()}};
  data.shape[0] = graph.batch;
  const Array defined = Define(file, data);
  const std::vector<double>& logits = reference.tensor(graph.logits);
  ASSERT_EQ(defined.values.size(), logits.size());
  for (size_t j = 0; j < logits.size(); ++j) {
    ASSERT_NEAR(logits[j], defined.values[j], 1e-12 * (1 + std::abs(logits[j]))) << j;
  }
}

TEST(Reference, PartsDifferencesAndQuotientsAreWhatOnnxDefines) {
  Random random(2, "joined");
  const Graph file = ParseOnnx(Joined(random).Bytes(), "net");
  ExpectGivesWhatOnnxDefines(file, Differentiate(file, 3), random);
}

TEST(Reference, DrawnChainsGiveWhatOnnxDefines) {
  const uint64_t seed = 2;
  for (int i = 0; i < 500; ++i) {
    Random random(seed, fmt::format("chain/{}", i));
    ChainDraw draw(random);
    const Graph file = draw.Draw();
    const TrainingGraph graph = Differentiate(file, 3);
    SCOPED_TRACE(fmt::format("seed {} chain {}: {}", seed, i, draw.text()));
    ASSERT_NO_FATAL_FAILURE(ExpectGivesWhatOnnxDefines(file, graph, random));
  }
}

TEST(Reference, AMaximumIsTheFirstOfEqualsAndNaNStays) {
  OnnxBuilder b;
  b.Input("x", {0, 2, 2, 3});
  onnx::TensorProto* w = b.Counting("w", {2, 2, 1, 1}).graph()->mutable_initializer(0);
  const float kIdentity[] = {1, 0, 0, 1};
  for (int i = 0; i < 4; ++i) w->set_float_data(i, kIdentity[i]);
  b.Node("Conv", "conv", {"x", "w"}, "c").Node("GlobalMaxPool", "pool", {"c"}, "y");
  b.Output("y", {0, 2, 1, 1});
  const TrainingGraph graph = Differentiate(ParseOnnx(b.Bytes(), "net"), 1);
  Reference reference(graph, StartingParameters(graph, DefaultRecipe()));
  const int index = graph.ops[1].Tensor(Role::kIndex);
  const std::vector<uint8_t> label = {0};

  reference.Step({{1, 3, 2, 3, 3, 0, -5, -5, -5, -5, -5, -5}, label, {}}, 0);
  EXPECT_EQ(reference.tensor(index), (std::vector<double>{1, 0}));
  const std::vector<double>& dx = reference.tensor(graph.ops[3].Tensor(Role::kDx));
  for (size_t i = 0; i < dx.size(); ++i) EXPECT_EQ(dx[i] != 0, i == 1 || i == 6) << i;

  const float nan = std::nanf("");
  reference.tensor(graph.ops[0].Tensor(Role::kW)) = {1, 0, 0, 1};
  reference.Forward({{1, 3, nan, 4, nan, 0, 0, 0, 0, 0, 0, 7}, label, {}});
  // NaN times 0 is NaN, so that both channels have it.
  EXPECT_EQ(reference.tensor(index), (std::vector<double>{1, 0}));
  for (double y : reference.tensor(graph.logits)) EXPECT_TRUE(std::isnan(y));
}

TEST(Reference, AnUntrainedUniformOutputLosesTheLogarithmOfTheClasses) {
  TrainingGraph graph = Differentiate(ParseOnnx(MakeFullyConnected("net", {3, 8}), "net"), 2);
  Reference reference(graph, std::vector<std::vector<float>>(graph.tensors.size()));
  EXPECT_NEAR(reference.Forward({std::vector<float>(6, 1.0f), {0, 5}, {}}), std::log(8.0), 1e-12);
}

// Two samples, 1 and 3 of class 0, and weights that leave the classes equal: gradients are -2 and 2
// by the weights, -1 and 1 by the biases. Each step starts from weights 1 and biases 0 again; only
// the state goes on.
class OptimiserByHand : public testing::Test {
 protected:
  void ExpectSteps(const std::string& optimiser, const std::vector<std::vector<double>>& weights,
                   const std::vector<std::vector<double>>& biases, const std::string& more = "") {
    const Recipe recipe = ParseRecipe(
        "optimiser = \"" + optimiser + "\"\nschedule = \"constant\"\nlearning_rate = 0.25\n" +
            "batch = 2\nweight_decay = 0.25\nmomentum = 0.5\nbeta1 = 0.5\nbeta2 = 0.75\n" +
            "epsilon = 0.25\n" + more,
        "by hand");
    const TrainingGraph graph =
        Differentiate(ParseOnnx(MakeFullyConnected("net", {1, 2}), "net"), recipe.batch);
    Reference reference(graph, StartingParameters(graph, recipe), recipe);
    const TrainingOp& forward = graph.ops[0];
    std::vector<double>& w = reference.tensor(forward.Tensor(Role::kW));
    std::vector<double>& b = reference.tensor(forward.Tensor(Role::kB));
    for (size_t step = 0; step < weights.size(); ++step) {
      w = {1, 1};
      b = {0, 0};
      reference.Step({{1, 3}, {0, 0}, {}},
                     static_cast<double>(StepSize(recipe, static_cast<int64_t>(step), 10)));
      for (size_t j = 0; j < 2; ++j) {
        EXPECT_NEAR(w[j], weights[step][j], 1e-7) << "weight " << j << ", step " << step;
        EXPECT_NEAR(b[j], biases[step][j], 1e-7) << "bias " << j << ", step " << step;
      }
    }
  }
};

// u = -2 + 0.5, 2 + 0.5 of the weights, with d = 0.25 * 2; s = -0.25 / 2.
TEST_F(OptimiserByHand, Sgd) {
  const std::vector<double> w = {1 + 1.5 / 8, 1 - 2.5 / 8}, b = {1.0 / 8, -1.0 / 8};
  ExpectSteps("sgd", {w, w}, {b, b});
}

// Gradients of +-2 are cut to 0.75 * 2 = 1.5, those by the biases stay; then comes the decay.
TEST_F(OptimiserByHand, SgdClipped) {
  const std::vector<double> w = {1 + 1.0 / 8, 1 - 2.0 / 8}, b = {1.0 / 8, -1.0 / 8};
  ExpectSteps("sgd", {w, w}, {b, b}, "clip_value = 0.75\n");
}

// v is u, 1.5 u, 1.75 u.
TEST_F(OptimiserByHand, Momentum) {
  ExpectSteps("momentum", {{1.1875, 0.6875}, {1.28125, 0.53125}, {1.328125, 0.453125}},
              {{0.125, -0.125}, {0.1875, -0.1875}, {0.21875, -0.21875}});
}

// One step ahead of momentum.
TEST_F(OptimiserByHand, Nesterov) {
  ExpectSteps("nesterov", {{1.28125, 0.53125}, {1.328125, 0.453125}},
              {{0.1875, -0.1875}, {0.21875, -0.21875}});
}

// Of equal gradients the corrected means are u and u^2; epsilon * B = 0.5 becomes
// 0.5 / sqrt(1 - 0.75^t): 1, then 0.7559289.
TEST_F(OptimiserByHand, Adam) {
  ExpectSteps("adam",
              {{1 + 0.25 * 1.5 / 2.5, 1 - 0.25 * 2.5 / 3.5},
               {1 + 0.25 * 1.5 / 2.2559289, 1 - 0.25 * 2.5 / 3.2559289}},
              {{0.125, -0.125}, {0.25 / 1.7559289, -0.25 / 1.7559289}});
}

TEST(Reference, TinyLearnsDrawnDigits) {
  EXPECT_GE(TrainShipped("tiny", std::nullopt).test_accuracy, 0.84);
}

TEST(Reference, OtherOptimisersTeachTinyAtLeastAsMuchAsSgd) {
  const fs::path file = FindNetwork("tiny", {kNetworks});
  Recipe recipe = RecipeOf(file);
  const TrainingGraph graph = Differentiate(ReadOnnx(file), recipe.batch);
  const TrainTest data = LoadData(std::nullopt, recipe.data_set, graph.features, graph.classes);
  const double sgd = TrainReference(graph, recipe, data).test_accuracy;
  std::cout << "sgd " << sgd << "\n";
  for (const auto& [optimiser, rate] :
       {std::pair{"momentum", 0.08}, {"nesterov", 0.08}, {"adam", 0.02}}) {
    recipe.optimiser = optimiser;
    recipe.learning_rate = rate;
    const double accuracy = TrainReference(graph, recipe, data).test_accuracy;
    std::cout << optimiser << " " << accuracy << "\n";
    EXPECT_GE(accuracy, sgd) << optimiser;
  }
}

TEST(Reference, MlpLearnsDrawnDigitsInTwoHundredSteps) {
  ReferenceRun run = TrainShipped("mlp", std::nullopt);
  EXPECT_EQ(run.loss.size(), 200u);
  EXPECT_LT(run.loss.back(), 0.2 * run.loss.front());
  EXPECT_GE(run.test_accuracy, 0.92);
}

TEST(Reference, TinyConvLearnsDrawnDigits) {
  EXPECT_GE(TrainShipped("tiny-conv", std::nullopt).test_accuracy, 0.85);
}

TEST(Reference, LeNetLearnsDrawnDigits) {
  const ReferenceRun run = TrainShipped("lenet", std::nullopt);
  EXPECT_LT(run.loss.back(), 0.2 * run.loss.front());
  EXPECT_GE(run.test_accuracy, 0.85);
}

TEST(Reference, ConvolutionsLearnDigitsInColour) {
  OnnxBuilder b;
  b.Input("x", {0, 3, 32, 32}).Input("w1", {8, 3, 5, 5}).Input("b1", {8});
  b.Input("w2", {16, 8, 3, 3}).Input("b2", {16}).Input("w3", {10, 576}).Input("b3", {10});
  b.Node("Conv", "conv1", {"x", "w1", "b1"}, "c1").WithInts("strides", {2, 2});
  b.Node("Relu", "relu1", {"c1"}, "r1");
  b.Node("Conv", "conv2", {"r1", "w2", "b2"}, "c2").WithInts("strides", {2, 2});
  b.Node("Relu", "relu2", {"c2"}, "r2").Node("Flatten", "flat", {"r2"}, "f");
  b.Node("Gemm", "fc", {"f", "w3", "b3"}, "y", {{"transB", 1}}).Output("y", {0, 10});
  Recipe recipe = ParseRecipe(
      "data_set = \"cifar\"\nbatch = 16\nsteps = 300\nlearning_rate = 0.1\n"
      "input_mean = 0.5\ninput_deviation = 0.3\n",
      "colour");
  const TrainingGraph graph = Differentiate(ParseOnnx(b.Bytes(), "colour"), recipe.batch);
  const ReferenceRun run = TrainReference(graph, recipe, LoadData(std::nullopt, "cifar", 3072, 10));
  std::cout << "test accuracy " << run.test_accuracy << "\n";
  EXPECT_GE(run.test_accuracy, 0.75);
}

TEST(Reference, MlpLearnsMnistInTwoHundredSteps) {
  const char* data = std::getenv("VAULTRAIN_DATA");
  if (!data || !fs::exists(fs::path(data) / "mnist")) {
    GTEST_SKIP() << "MNIST not at hand: set VAULTRAIN_DATA to the folder that holds mnist/";
  }
  ReferenceRun run = TrainShipped("mlp", fs::path(data) / "mnist");
  std::cout << "MNIST test accuracy " << run.test_accuracy << "\n";
  EXPECT_GE(run.test_accuracy, 0.905);
}

}  // namespace
}  // namespace vaultrain
