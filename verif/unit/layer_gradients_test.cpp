// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Layers that are no part of drawn chains, by the reference: their gradients are the central
// differences of the loss, and what they give is what ONNX defines.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gradient_check.h"
#include "onnx_builder.h"
#include "onnx_definition.h"

namespace vaultrain {
namespace {

// A network of drawn weights that ends in "y", for a batch of 3.
void ExpectDefinedAndDifferentiated(const OnnxBuilder& builder, Random& random,
                                    double tolerance = 1e-12) {
  const Graph file = ParseOnnx(builder.Bytes(), "net");
  const TrainingGraph graph = Differentiate(file, 3);
  EXPECT_EQ(CompareGradients(graph, random), graph.Parameters());
  const StepData batch = DrawBatch(graph, random);
  Reference reference(graph, StartingParameters(graph, DefaultRecipe()));
  reference.Forward(batch);
  Array data{file.tensors[file.input].shape, {batch.inputs.begin(), batch.inputs.end()}};
  data.shape[0] = graph.batch;
  const Array defined = Define(file, data);
  const std::vector<double>& logits = reference.tensor(graph.logits);
  ASSERT_EQ(defined.values.size(), logits.size());
  for (size_t j = 0; j < logits.size(); ++j) {
    ASSERT_NEAR(logits[j], defined.values[j], tolerance * (1 + std::abs(logits[j]))) << j;
  }
}

// Two cells of 4 and 3 values over 5 steps of 3, and all steps to 3 classes.
TEST(LayerGradients, Cells) {
  struct Case {
    const char* op;
    int64_t gates;
    bool bias;
    bool reset;  // before the product
  };
  for (const Case& c :
       {Case{"RNN", 1, true, false}, Case{"LSTM", 4, true, false}, Case{"GRU", 3, true, false},
        Case{"GRU", 3, false, false}, Case{"GRU", 3, true, true}, Case{"GRU", 3, false, true}}) {
    SCOPED_TRACE(fmt::format("{}{}", c.op, c.reset ? ", reset before the product" : ""));
    Random random(5, c.op);
    OnnxBuilder b(21);
    b.Input("x", {0, 5, 3});
    std::string x = "x";
    int64_t in = 3;
    for (const int64_t hidden : {4, 3}) {
      const std::string name = fmt::format("cell{}", hidden);
      b.Drawn(name + ".w", {1, c.gates * hidden, in}, random);
      b.Drawn(name + ".r", {1, c.gates * hidden, hidden}, random);
      std::vector<std::string> inputs = {x, name + ".w", name + ".r"};
      if (c.bias) {
        b.Drawn(name + ".b", {1, 2 * c.gates * hidden}, random);
        inputs.push_back(name + ".b");
      }
      b.Node(c.op, name, inputs, name + ".y", {{"hidden_size", hidden}, {"layout", 1}});
      if (std::string(c.op) == "GRU") b.With("linear_before_reset", c.reset ? 0 : 1);
      b.Ints(name + ".to", {0, 5, hidden});
      b.Node("Reshape", name + ".shape", {name + ".y", name + ".to"}, name + ".s");
      x = name + ".s";
      in = hidden;
    }
    b.Node("Flatten", "flat", {x}, "f").Drawn("v", {15, 3}, random);
    b.Node("MatMul", "fc", {"f", "v"}, "y").Output("y", {0, 3});
    // The sum of two biases is rounded to fp32.
    const bool rounds = std::string(c.op) != "GRU" || c.reset;
    ExpectDefinedAndDifferentiated(b, random, rounds ? 1e-7 : 1e-12);
  }
}

// Attention over 4 steps, each of whose products takes one operand turned, and its sums scaled by a
// number.
TEST(LayerGradients, Attention) {
  Random random(11, "attention");
  OnnxBuilder b(21);
  b.Input("x", {0, 4, 3});
  for (const char* name : {"q", "k", "v"}) {
    b.Drawn(std::string(name) + ".w", {3, 5}, random);
    b.Node("MatMul", name, {"x", std::string(name) + ".w"}, std::string(name) + ".y");
  }
  b.Node("Transpose", "turn", {"k.y"}, "k.t").WithInts("perm", {0, 2, 1});
  b.Scalar("root", std::sqrt(5.0f)).Scalar("two", 2).Scalar("half", 0.5f);
  b.Node("MatMul", "scores", {"q.y", "k.t"}, "s").Node("Div", "scaled", {"s", "root"}, "z");
  b.Node("Softmax", "weights", {"z"}, "p", {{"axis", 2}});
  b.Node("MatMul", "values", {"p", "v.y"}, "c");
  // The transpose of what the values attend to, less a number, by the values themselves.
  b.Node("Transpose", "back", {"c"}, "c.t").WithInts("perm", {0, 2, 1});
  b.Node("Mul", "doubled", {"two", "c.t"}, "d").Node("Sub", "less", {"half", "d"}, "e");
  b.Node("MatMul", "again", {"e", "v.y"}, "g");
  b.Node("Flatten", "flat", {"g"}, "f").Drawn("w", {25, 3}, random);
  b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random, 1e-6);
}

// Two heads of 3 values each, as exporters write them; softmax along every axis.
TEST(LayerGradients, Heads) {
  Random random(13, "heads");
  OnnxBuilder b(21);
  b.Input("x", {0, 4, 3}).Ints("split", {0, 4, 2, 3}).Ints("join", {0, 4, 6});
  for (const std::string name : {"q", "k", "v"}) {
    b.Drawn(name + ".w", {3, 6}, random).Node("MatMul", name, {"x", name + ".w"}, name + ".y");
    b.Node("Reshape", name + ".split", {name + ".y", "split"}, name + ".s");
    b.Node("Transpose", name + ".heads", {name + ".s"}, name + ".h");
    b.WithInts("perm",
               name == "k" ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 2, 1, 3});
  }
  b.Node("MatMul", "scores", {"q.h", "k.h"}, "s");
  b.Node("Softmax", "last", {"s"}, "p", {{"axis", 3}});
  b.Node("Softmax", "middle", {"p"}, "p2", {{"axis", 2}});
  b.Node("Softmax", "first", {"p2"}, "p1", {{"axis", 1}});
  b.Node("MatMul", "values", {"p1", "v.h"}, "c");
  b.Node("Transpose", "back", {"c"}, "c.t").WithInts("perm", {0, 2, 1, 3});
  b.Node("Reshape", "joined", {"c.t", "join"}, "j").Drawn("o.w", {6, 3}, random);
  b.Node("MatMul", "out", {"j", "o.w"}, "o").Node("Add", "residual", {"o", "x"}, "r");
  b.Node("Flatten", "flat", {"r"}, "f").Drawn("w", {12, 3}, random);
  b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random);
}

// Channels of images of two rows, and products of each row.
TEST(LayerGradients, ProductsOfRows) {
  Random random(12, "rows");
  OnnxBuilder b(21);
  b.Input("x", {0, 2, 4, 3}).Drawn("a.w", {3, 4}, random).Drawn("b.w", {3, 5}, random);
  b.Node("MatMul", "a", {"x", "a.w"}, "a.y").Node("MatMul", "b", {"x", "b.w"}, "b.y");
  b.Node("Softmax", "p", {"a.y"}, "p.y", {{"axis", -1}});
  b.Node("MatMul", "product", {"p.y", "b.y"}, "c");
  b.Node("Flatten", "flat", {"c"}, "f").Drawn("w", {40, 3}, random);
  b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random);
}

// Each step of a sequence of 4 steps over its channels.
TEST(LayerGradients, NormalisationOfSteps) {
  Random random(6, "steps");
  OnnxBuilder b(21);
  b.Input("x", {0, 4, 3}).Drawn("w", {3, 5}, random).Node("MatMul", "each", {"x", "w"}, "e");
  b.Drawn("scale", {5}, random).Drawn("bias", {5}, random);
  b.Node("LayerNormalization", "norm", {"e", "scale", "bias"}, "n", {{"axis", 2}});
  b.Node("Relu", "relu", {"n"}, "r")
      .Node("Flatten", "flat", {"r"}, "f")
      .Drawn("v", {20, 3}, random);
  b.Node("MatMul", "fc", {"f", "v"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random);
}

TEST(LayerGradients, NormalisationOfTheBatch) {
  Random random(7, "batch");
  OnnxBuilder b(21);
  b.Input("x", {0, 2, 4, 3}).Drawn("w", {3, 2, 2, 2}, random).Node("Conv", "conv", {"x", "w"}, "c");
  b.Drawn("scale", {3}, random)
      .Drawn("bias", {3}, random)
      .Input("mean", {3})
      .Input("variance", {3});
  b.Node("BatchNormalization", "norm", {"c", "scale", "bias", "mean", "variance"}, "n");
  b.With("training_mode", 1).Node("Relu", "relu", {"n"}, "r").Node("Flatten", "flat", {"r"}, "f");
  b.Drawn("v", {18, 3}, random).Node("MatMul", "fc", {"f", "v"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random);
}

TEST(LayerGradients, NormalisationByFixedStatistics) {
  Random random(8, "fixed");
  OnnxBuilder b(21);
  b.Input("x", {0, 3, 4, 3}).Drawn("w", {2, 3, 2, 2}, random).Floats("mean", {0.25F, -0.5F, 1});
  b.Drawn("scale", {3}, random).Drawn("bias", {3}, random).Floats("variance", {0.5F, 1.5F, 2});
  b.Node("BatchNormalization", "norm", {"x", "scale", "bias", "mean", "variance"}, "n");
  b.Node("Conv", "conv", {"n", "w"}, "c").Drawn("scale2", {2}, random).Drawn("bias2", {2}, random);
  b.Floats("mean2", {0.25F, -0.5F}).Floats("variance2", {0.5F, 1.5F});
  b.Node("BatchNormalization", "norm2", {"c", "scale2", "bias2", "mean2", "variance2"}, "m");
  b.Node("Relu", "relu", {"m"}, "r").Node("Flatten", "flat", {"r"}, "f");
  b.Drawn("v", {12, 3}, random).Node("MatMul", "fc", {"f", "v"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random);
}

// Values that come from two layers and of which some come twice, and a broadcast.
TEST(LayerGradients, ValuesAtOtherPlaces) {
  Random random(9, "places");
  OnnxBuilder b(21);
  b.Input("x", {0, 4, 3}).Drawn("w", {3, 5}, random).Drawn("u", {3, 5}, random);
  b.Node("MatMul", "first", {"x", "w"}, "a").Node("MatMul", "second", {"x", "u"}, "b");
  b.Ints("places", {3, 0, 0, -2});
  b.Node("Transpose", "turn", {"a"}, "t").WithInts("perm", {0, 2, 1});  // [N,5,4]
  b.Node("Gather", "take", {"t", "places"}, "g").With("axis", 2);
  b.Node("Transpose", "back", {"g"}, "h").WithInts("perm", {0, 2, 1});  // [N,4,5]
  b.Node("Concat", "join", {"h", "b", "a"}, "j").With("axis", 1);       // [N,12,5]
  b.Ints("from", {11, 1}).Ints("to", {-99, 3}).Ints("axes", {1, 2}).Ints("steps", {-2, 1});
  b.Node("Slice", "every", {"j", "from", "to", "axes", "steps"}, "e");  // [N,6,2]
  b.Ints("one", {1}).Ints("two", {2}).Ints("axis", {2});
  b.Node("Slice", "column", {"j", "one", "two", "axis"}, "c");  // [N,12,1]
  b.Node("Mul", "product", {"c", "j"}, "p").Node("Flatten", "flat1", {"p"}, "f1");
  b.Drawn("scale", {6, 2}, random).Drawn("bias", {6, 2}, random);
  b.Node("LayerNormalization", "norm", {"e", "scale", "bias"}, "n").With("axis", 1);
  b.Node("Flatten", "flat2", {"n"}, "f2").Node("Concat", "all", {"f1", "f2"}, "f").With("axis", 1);
  b.Drawn("v", {72, 3}, random).Node("MatMul", "fc", {"f", "v"}, "y").Output("y", {0, 3});
  ExpectDefinedAndDifferentiated(b, random);
}

}  // namespace
}  // namespace vaultrain
