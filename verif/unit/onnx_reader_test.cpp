// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/networks.h"
#include "vaultrain/random.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {
namespace {

using ::testing::HasSubstr;

// The message with which a model is refused; empty if it is accepted.
std::string Refusal(const std::string& bytes) {
  try {
    ParseOnnx(bytes, "net.onnx");
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    return error.what();
  }
  return "";
}

// Refused with one line that opens with the file and holds every part.
void ExpectRefused(const std::string& bytes, const std::vector<std::string>& parts) {
  std::string message = Refusal(bytes);
  EXPECT_EQ(message.rfind("net.onnx: ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& part : parts) EXPECT_THAT(message, HasSubstr(part));
}

void ExpectRefused(OnnxBuilder builder, const std::function<void(OnnxBuilder&)>& change,
                   const std::vector<std::string>& parts) {
  change(builder);
  ExpectRefused(builder.Bytes(), parts);
}

TEST(OnnxReader, KeepsNodesShapesAndValues) {
  Graph graph = ParseOnnx(TwoLayers().Bytes(), "net.onnx");
  ASSERT_EQ(graph.nodes.size(), 5u);
  EXPECT_EQ(graph.nodes[0].name, "first");
  EXPECT_EQ(graph.nodes[0].kind, OperatorKind::kGemm);
  EXPECT_EQ(graph.nodes[0].Int("transB"), 1);
  EXPECT_EQ(ShapeText(graph.tensors[graph.input].shape), "[N,6]");
  EXPECT_EQ(ShapeText(graph.tensors[graph.output].shape), "[N,3]");
  const Tensor& weight = graph.tensors[graph.nodes[0].inputs[1]];
  EXPECT_TRUE(weight.is_parameter);
  EXPECT_EQ(weight.values[7], 7.0f);
}

TEST(OnnxReader, TakesRawDataLikeTypedData) {
  OnnxBuilder raw = TwoLayers();
  onnx::TensorProto* weight = raw.graph()->mutable_initializer(0);
  std::vector<float> values(weight->float_data().begin(), weight->float_data().end());
  weight->clear_float_data();
  weight->set_raw_data(values.data(), values.size() * sizeof(float));
  Graph graph = ParseOnnx(raw.Bytes(), "net.onnx");
  EXPECT_EQ(graph.tensors[graph.nodes[0].inputs[1]].values, values);
}

TEST(OnnxReader, SortsNodesIntoTopologicalOrder) {
  OnnxBuilder b = TwoLayers();
  b.graph()->mutable_node()->SwapElements(0, 4);
  Graph graph = ParseOnnx(b.Bytes(), "net.onnx");
  EXPECT_EQ(graph.nodes.front().name, "first");
  EXPECT_EQ(graph.nodes.back().name, "softmax");
}

TEST(OnnxReader, FoldsReshapesOfAFixedBatch) {
  Graph graph = ParseOnnx(Reshaped().Bytes(), "net.onnx");
  EXPECT_EQ(graph.file_batch, 5);
  EXPECT_EQ(ShapeText(graph.tensors[graph.nodes[2].outputs[0]].shape), "[N,2,3]");
  EXPECT_EQ(ShapeText(graph.tensors[graph.nodes[3].outputs[0]].shape), "[N,6]");
}

TEST(OnnxReader, FoldsConstantNodesAndRenamedInitialisers) {
  OnnxBuilder b;
  b.Input("x", {0, 2, 3}).Counting("w", {2, 6}).Node("Identity", "rename", {"w"}, "v");
  b.Node("Constant", "shape", {}, "s");
  onnx::AttributeProto* value = b.graph()->mutable_node(1)->add_attribute();
  value->set_name("value_ints");
  value->set_type(onnx::AttributeProto::INTS);
  value->add_ints(-1);
  value->add_ints(6);
  b.Node("Reshape", "flat", {"x", "s"}, "f");
  b.Node("Gemm", "fc", {"f", "v"}, "y", {{"transB", 1}}).Output("y", {0, 2});
  Graph graph = ParseOnnx(b.Bytes(), "net.onnx");
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_EQ(graph.tensors[graph.nodes[1].inputs[1]].values[11], 11.0f);
}

TEST(OnnxReader, TakesParametersWithoutInitialiserAsGraphInputs) {
  Graph graph = ParseOnnx(MakeFullyConnected("net", {6, 4, 3}), "net.onnx");
  const Tensor& weight = graph.tensors[graph.nodes[0].inputs[1]];
  EXPECT_TRUE(weight.is_parameter);
  EXPECT_TRUE(weight.values.empty());
  EXPECT_EQ(graph.tensors[graph.input].name, "x");
}

TEST(OnnxReader, RefusesWhatIsNoOnnxFile) {
  ExpectRefused("", {"empty"});
  ExpectRefused("module top; endmodule\n", {"not an ONNX file"});
  ExpectRefused(std::string(1000, '\0'), {"not an ONNX"});
  ExpectRefused(OnnxBuilder().Bytes(), {"graph"});
  EXPECT_THROW(ReadOnnx("/nonexistent/net.onnx"), Error);
  EXPECT_THROW(ReadOnnx("/"), Error);
}

TEST(OnnxReader, RefusesEveryTruncation) {
  std::string bytes = TwoLayers().Bytes();
  int named = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string message = Refusal(bytes.substr(0, size));
    ASSERT_NE(message, "") << "truncated to " << size << " bytes";
    named += message.find("truncated") != std::string::npos;
  }
  EXPECT_GT(named, static_cast<int>(bytes.size() * 9 / 10));
}

TEST(OnnxReader, RefusesOpsetsItDoesNotKnow) {
  for (int opset : {6, 22}) {
    ExpectRefused(TwoLayers(),
                  [&](auto& b) { b.model.mutable_opset_import(0)->set_version(opset); },
                  {"opset " + std::to_string(opset), "7 to 21"});
  }
  ExpectRefused(TwoLayers(), [](auto& b) { b.model.clear_opset_import(); }, {"no opset"});
  ExpectRefused(TwoLayers(), [](auto& b) { b.model.set_ir_version(99); }, {"IR version 99"});
}

TEST(OnnxReader, RefusesOperatorsByNameAndNode) {
  ExpectRefused(TwoLayers(), [](auto& b) { b.graph()->mutable_node(1)->set_op_type("Gelu"); },
                {"'relu'", "'Gelu'", "Gemm, MatMul"});
  ExpectRefused(TwoLayers(), [](auto& b) { b.graph()->mutable_node(1)->set_domain("com.example"); },
                {"'relu'", "'com.example'"});
}

TEST(OnnxReader, RefusesAttributesOutsideTheTable) {
  auto set = [](const char* key, int64_t value) {
    return [=](OnnxBuilder& b) {
      onnx::AttributeProto* attribute = b.graph()->mutable_node(0)->add_attribute();
      attribute->set_name(key);
      attribute->set_type(onnx::AttributeProto::INT);
      attribute->set_i(value);
    };
  };
  ExpectRefused(TwoLayers(), set("transA", 1), {"'first' (Gemm)", "transA = 1", "accepted: 0"});
  ExpectRefused(TwoLayers(), set("transC", 1), {"'transC'"});
  ExpectRefused(TwoLayers(), set("alpha", 1), {"alpha must be a float"});
  ExpectRefused(TwoLayers(),
                [](auto& b) {
                  onnx::AttributeProto* alpha = b.graph()->mutable_node(0)->add_attribute();
                  alpha->set_name("alpha");
                  alpha->set_type(onnx::AttributeProto::FLOAT);
                  alpha->set_f(0.5f);
                },
                {"alpha = 0.5", "accepted: 1"});
}

TEST(OnnxReader, RefusesDynamicDimensionsOtherThanTheBatch) {
  OnnxBuilder b;
  b.Input("x", {0, 0}).Counting("w", {6, 2}).Node("Gemm", "fc", {"x", "w"}, "y");
  ExpectRefused(b.Bytes(), {"'x'", "dimension 1 is dynamic"});
}

TEST(OnnxReader, RefusesMissingTensors) {
  ExpectRefused(TwoLayers(),
                [](auto& b) { b.graph()->mutable_initializer()->DeleteSubrange(0, 1); },
                {"'first'", "'w1'", "missing"});
}

TEST(OnnxReader, RefusesCycles) {
  ExpectRefused(TwoLayers(), [](auto& b) { b.graph()->mutable_node(0)->set_input(0, "y1"); },
                {"cycle"});
}

TEST(OnnxReader, RefusesShapesThatDoNotFit) {
  ExpectRefused(TwoLayers(), [](auto& b) { b.graph()->mutable_node(0)->clear_attribute(); },
                {"'first' (Gemm)", "shape mismatch", "6 features", "accepts 4"});
  ExpectRefused(TwoLayers(),
                [](auto& b) {
                  b.graph()
                      ->mutable_output(0)
                      ->mutable_type()
                      ->mutable_tensor_type()
                      ->mutable_shape()
                      ->mutable_dim(1)
                      ->set_dim_value(10);
                },
                {"shape mismatch", "'p'", "[N,10]", "[N,3]"});
  ExpectRefused(TwoLayers(), [](auto& b) { b.graph()->mutable_initializer(0)->add_float_data(1); },
                {"'w1'", "[4,6]", "25 values"});
  ExpectRefused(Reshaped(),
                [](auto& b) { b.graph()->mutable_initializer(1)->set_int64_data(1, 7); },
                {"'down' (Reshape)", "[5,7]"});
}

TEST(OnnxReader, RefusesMoreThanOneOutput) {
  ExpectRefused(TwoLayers(), [](auto& b) { b.Output("z1", {0, 4}); }, {"2 outputs", "one"});
  ExpectRefused(TwoLayers(), [](auto& b) { b.graph()->clear_output(); }, {"0 outputs"});
  ExpectRefused(TwoLayers(), [](auto& b) { b.Node("Relu", "dead", {"z1"}, "nowhere"); },
                {"'dead'", "leads nowhere"});
}

TEST(OnnxReader, RefusesValuesThatCannotStartATraining) {
  ExpectRefused(TwoLayers(),
                [](auto& b) { b.graph()->mutable_initializer(0)->set_float_data(3, NAN); },
                {"'w1'", "NaN"});
  ExpectRefused(
      TwoLayers(),
      [](auto& b) { b.graph()->mutable_initializer(0)->set_data_type(onnx::TensorProto::FLOAT16); },
      {"'w1'", "FLOAT16"});
  ExpectRefused(TwoLayers(),
                [](auto& b) {
                  b.graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL);
                },
                {"'w1'", "another file"});
}

TEST(OnnxReader, RefusesHugeShapesWithoutAllocatingThem) {
  ExpectRefused(MakeFullyConnected("net", {1 << 20, 1 << 20}), {"elements"});
}

// ---- windows

// x [N,4,6,7] -> Conv -> MaxPool -> AveragePool -> y, with attributes of every type.
OnnxBuilder Windows() {
  OnnxBuilder b;
  b.Input("x", {0, 4, 6, 7}).Counting("w", {6, 2, 3, 2}).Counting("b", {6});
  b.Node("Conv", "conv", {"x", "w", "b"}, "c", {{"group", 2}});
  b.WithInts("pads", {2, 1, 0, 1}).WithInts("strides", {1, 2}).WithInts("dilations", {2, 1});
  b.WithInts("kernel_shape", {3, 2});
  b.Node("MaxPool", "most", {"c"}, "m", {{"ceil_mode", 1}}).WithInts("kernel_shape", {2, 2});
  b.WithInts("strides", {3, 2}).WithInts("dilations", {1, 2});
  b.Node("AveragePool", "mean", {"m"}, "a").WithInts("kernel_shape", {2, 2});
  b.WithText("auto_pad", "SAME_LOWER").Node("Flatten", "flat", {"a"}, "f");
  b.Counting("v", {24, 3}).Node("MatMul", "fc", {"f", "v"}, "y").Output("y", {0, 3});
  return b;
}

// The shape that a node makes, by name.
std::string ShapeOf(const OnnxBuilder& b, const std::string& name) {
  const Graph graph = ParseOnnx(b.Bytes(), "net.onnx");
  for (const Node& node : graph.nodes) {
    if (node.name == name) return ShapeText(graph.tensors[node.outputs[0]].shape);
  }
  return "none";
}

TEST(OnnxReader, SlidesWindows) {
  EXPECT_EQ(ShapeOf(Windows(), "conv"), "[N,6,4,4]");
  EXPECT_EQ(ShapeOf(Windows(), "most"), "[N,6,2,2]");
  EXPECT_EQ(ShapeOf(Windows(), "mean"), "[N,6,2,2]");
}

// Rows: what auto_pad says, of which input, with kernel 3 and a stride.
TEST(OnnxReader, PadsByItself) {
  auto shape = [](const char* mode, int64_t in, int64_t stride) {
    OnnxBuilder b;
    b.Input("x", {0, 1, in}).Counting("w", {1, 1, 3}).Node("Conv", "conv", {"x", "w"}, "y");
    b.WithInts("strides", {stride}).WithText("auto_pad", mode);
    b.graph()->add_output()->set_name("y");
    return ShapeOf(b, "conv");
  };
  EXPECT_EQ(shape("NOTSET", 8, 1), "[N,1,6]");
  EXPECT_EQ(shape("VALID", 8, 3), "[N,1,2]");
  EXPECT_EQ(shape("SAME_UPPER", 8, 3), "[N,1,3]");
  EXPECT_EQ(shape("SAME_LOWER", 8, 1), "[N,1,8]");
  EXPECT_EQ(shape("SAME_UPPER", 9, 5), "[N,1,2]");
}

TEST(OnnxReader, LeavesOutAWindowThatWouldStartBehindThePads) {
  OnnxBuilder b;
  b.Input("x", {0, 1, 5}).Node("MaxPool", "pool", {"x"}, "y", {{"ceil_mode", 1}});
  b.WithInts("kernel_shape", {2}).WithInts("strides", {3}).WithInts("pads", {0, 1});
  b.graph()->add_output()->set_name("y");
  EXPECT_EQ(ShapeOf(b, "pool"), "[N,1,2]");  // a third would start at 6
}

TEST(OnnxReader, TakesActivationsAndProductsOfImages) {
  OnnxBuilder b;
  b.Input("x", {0, 2, 3, 3}).Counting("k", {2, 1, 1}).Node("Mul", "scale", {"x", "k"}, "s");
  b.Node("LeakyRelu", "leaky", {"s"}, "l").Node("Sigmoid", "sigmoid", {"l"}, "g");
  b.Node("Tanh", "tanh", {"g"}, "y").Output("y", {0, 2, 3, 3});
  EXPECT_EQ(ShapeOf(b, "tanh"), "[N,2,3,3]");
}

TEST(OnnxReader, RefusesWindowsThatDoNotFit) {
  auto node = [](int i, auto change) {
    return [i, change](OnnxBuilder& b) { change(*b.graph()->mutable_node(i)); };
  };
  auto ints = [](onnx::NodeProto& n, const std::string& name) -> onnx::AttributeProto& {
    for (onnx::AttributeProto& attribute : *n.mutable_attribute()) {
      if (attribute.name() == name) return attribute;
    }
    throw std::out_of_range(name);
  };
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "strides").set_ints(1, 0); }),
                {"'conv' (Conv)", "strides[1] = 0", "1 to 65536"});
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "pads").set_ints(2, -1); }),
                {"'conv'", "pads[2] = -1", "0 to 65536"});
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "pads").add_ints(1); }),
                {"'conv'", "pads has 5 values", "4"});
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "kernel_shape").set_ints(0, 2); }),
                {"'conv'", "kernel_shape [2,2]", "'w' [6,2,3,2]"});
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "dilations").set_ints(0, 9); }),
                {"'conv'", "a window of 19 does not fit into 6 with pads 2 and 0"});
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "group").set_i(4); }),
                {"'conv'", "4 channels in 4 group(s)", "accepts 8"});
  ExpectRefused(Windows(), node(0, [&](auto& n) { ints(n, "group").set_i(0); }),
                {"'conv'", "group = 0"});
  ExpectRefused(Windows(),
                node(0, [&](auto& n) { ints(n, "strides").set_type(onnx::AttributeProto::INT); }),
                {"'conv'", "strides must be a list of integers"});
  ExpectRefused(Windows(), node(1, [&](auto& n) { ints(n, "kernel_shape").clear_ints(); }),
                {"'most' (MaxPool)", "kernel_shape is missing"});
  ExpectRefused(Windows(), node(2, [&](auto& n) { ints(n, "auto_pad").set_s("SAME"); }),
                {"'mean' (AveragePool)", "auto_pad = 'SAME'", "NOTSET, SAME_UPPER"});
  ExpectRefused(Windows(),
                [](auto& b) {
                  b.graph()->mutable_initializer(0)->set_dims(0, 3);
                  b.graph()->mutable_initializer(0)->set_dims(1, 4);
                },
                {"'conv'", "shape mismatch"});
  ExpectRefused(Windows(),
                [](auto& b) {
                  b.graph()->mutable_initializer(1)->set_dims(0, 2);
                  b.graph()->mutable_initializer(1)->add_dims(3);
                },
                {"'conv'", "bias 'b' is [2,3]", "[6]"});
  OnnxBuilder both = Windows();
  both.graph()->mutable_node(0)->clear_attribute();
  onnx::AttributeProto* mode = both.graph()->mutable_node(0)->add_attribute();
  mode->set_name("auto_pad");
  mode->set_type(onnx::AttributeProto::STRING);
  mode->set_s("VALID");
  *both.graph()->mutable_node(0)->add_attribute() =
      ints(*Windows().graph()->mutable_node(0), "pads");
  *both.graph()->mutable_node(0)->add_attribute() =
      ints(*Windows().graph()->mutable_node(0), "group");
  ExpectRefused(both.Bytes(), {"'conv'", "both pads and auto_pad"});
  OnnxBuilder flat;
  flat.Input("x", {0, 6}).Node("GlobalMaxPool", "pool", {"x"}, "y").Output("y", {0, 6});
  ExpectRefused(flat.Bytes(), {"'pool'", "'x' is [N,6]", "[N,C,H,W]"});
}

TEST(OnnxReader, RefusesAttributesThatCameLater) {
  ExpectRefused(Windows(), [](auto& b) { b.model.mutable_opset_import(0)->set_version(9); },
                {"'most' (MaxPool)", "ceil_mode", "opset 10", "opset 9"});
  OnnxBuilder b = Windows();
  b.model.mutable_opset_import(0)->set_version(10);
  EXPECT_EQ(ShapeOf(b, "most"), "[N,6,2,2]");
}

// ---- arrangement

const Node& NodeOf(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes) {
    if (node.name == name) return node;
  }
  throw std::out_of_range(name);
}

// x of these dimensions through one node to y, which is the graph's output.
struct OneNode {
  OneNode(const std::vector<int64_t>& dims, const std::string& op,
          const std::vector<std::string>& inputs = {"x"}, int opset = 17)
      : b(opset) {
    b.Input("x", dims).Node(op, "node", inputs, "y");
    b.graph()->add_output()->set_name("y");
  }
  // Of the graph that is read; "refused: MESSAGE" if it is not.
  std::string Shape() const {
    const std::string refusal = Refusal(b.Bytes());
    return refusal.empty() ? ShapeOf(b, "node") : "refused: " + refusal;
  }
  Node Read() const { return NodeOf(ParseOnnx(b.Bytes(), "net.onnx"), "node"); }
  void ExpectRefused(const std::vector<std::string>& parts) const {
    vaultrain::ExpectRefused(b.Bytes(), parts);
  }

  OnnxBuilder b;
};

using Ints = std::vector<int64_t>;

TEST(OnnxReader, ConcatenatesActivationsBehindTheBatch) {
  OneNode concat({0, 3, 4}, "Concat", {"x", "x"});
  concat.b.With("axis", -2);
  EXPECT_EQ(concat.Shape(), "[N,6,4]");
  EXPECT_EQ(concat.Read().Int("axis"), 1);
  OneNode batch({0, 3, 4}, "Concat", {"x", "x"});
  batch.b.With("axis", 0);
  batch.ExpectRefused({"'node' (Concat)", "axis 0 of 'x' is the batch"});
  OneNode none({0, 3, 4}, "Concat", {"x", "x"});
  none.ExpectRefused({"'node' (Concat)", "attribute axis is missing"});
  OneNode outside({0, 3, 4}, "Concat", {"x", "x"});
  outside.b.With("axis", 3);
  outside.ExpectRefused({"'node' (Concat)", "axis 3 of 3 dimensions", "-3 to 2"});
}

TEST(OnnxReader, SlicesWithinSamples) {
  OneNode slice({0, 9, 7}, "Slice", {"x", "starts", "ends", "axes", "steps"});
  slice.b.Ints("starts", {-2, 1}).Ints("ends", {INT64_MIN, INT64_MAX}).Ints("axes", {1, -1});
  slice.b.Ints("steps", {-3, 2});
  EXPECT_EQ(slice.Shape(), "[N,3,3]");
  const Node node = slice.Read();
  EXPECT_EQ(node.inputs.size(), 1u);
  EXPECT_EQ(node.Ints("axes"), (Ints{1, 2}));
  EXPECT_EQ(node.Ints("starts"), (Ints{7, 1}));
  EXPECT_EQ(node.Ints("ends"), (Ints{-1, 7}));
  EXPECT_EQ(node.Ints("steps"), (Ints{-3, 2}));
}

TEST(OnnxReader, SlicesByAttributesBeforeOpset10) {
  OneNode slice({0, 9}, "Slice", {"x"}, 9);
  slice.b.WithInts("starts", {2}).WithInts("ends", {100}).WithInts("axes", {1});
  EXPECT_EQ(slice.Shape(), "[N,7]");
  slice.b.model.mutable_opset_import(0)->set_version(10);
  slice.ExpectRefused({"'node' (Slice)", "attribute starts ends with opset 9", "opset 10"});
  OneNode inputs({0, 9}, "Slice", {"x", "starts", "ends"}, 9);
  inputs.b.Ints("starts", {0}).Ints("ends", {1});
  inputs.ExpectRefused({"'node'", "3 inputs come with opset 10"});
}

TEST(OnnxReader, RefusesSlicesOfTheBatchAndOfNothing) {
  auto slice = [](const Ints& starts, const Ints& ends, const Ints& axes) {
    OneNode slice({0, 9}, "Slice", {"x", "starts", "ends", "axes"});
    slice.b.Ints("starts", starts).Ints("ends", ends).Ints("axes", axes);
    return slice;
  };
  EXPECT_EQ(slice({0, 3}, {INT64_MAX, 5}, {0, 1}).Shape(), "[N,2]");
  slice({0}, {4}, {0}).ExpectRefused({"'node' (Slice)", "axis 0 of 'x' is the batch"});
  slice({4}, {4}, {1}).ExpectRefused({"'node'", "4 to 4 of axis 1", "keeps nothing"});
  slice({4}, {5}, {2}).ExpectRefused({"'node'", "axis 2 of 2 dimensions", "-2 to 1"});
  slice({4, 1}, {5, 2}, {1, 1}).ExpectRefused({"'node'", "an axis occurs twice"});
  slice({4, 1}, {5}, {1}).ExpectRefused({"'node'", "2 starts, 1 ends"});
  OneNode step({0, 9}, "Slice", {"x", "s", "e", "a", "step"});
  step.b.Ints("s", {0}).Ints("e", {4}).Ints("a", {1}).Ints("step", {0});
  step.ExpectRefused({"'node'", "a step is 0"});
  OneNode computed({0, 9}, "Slice", {"x", "x", "x"});
  computed.ExpectRefused({"'node'", "input 1 'x' must be a constant list of integers"});
}

TEST(OnnxReader, SplitsIntoOutputsOfWhichSomeMayBeUnused) {
  OneNode split({0, 9}, "Split", {"x", "sizes"});
  split.b.With("axis", 1).Ints("sizes", {2, 4, 3});
  onnx::NodeProto* proto = split.b.graph()->mutable_node(0);
  proto->set_output(0, "unused");
  split.b.AlsoGives("y").AlsoGives("also_unused");
  const Node node = split.Read();
  EXPECT_EQ(node.Ints("split"), (Ints{2, 4, 3}));
  ASSERT_EQ(node.outputs.size(), 3u);
  EXPECT_EQ(node.outputs[0], -1);
  EXPECT_EQ(node.outputs[2], -1);
  const Graph graph = ParseOnnx(split.b.Bytes(), "net.onnx");
  EXPECT_EQ(ShapeText(graph.tensors[graph.output].shape), "[N,4]");
  split.b.graph()->mutable_initializer(0)->set_int64_data(1, 5);
  split.ExpectRefused({"'node' (Split)", "[2,5,3] splits 9 into 3 outputs"});
  OneNode equal({0, 9}, "Split", {"x"}, 13);
  equal.b.With("axis", 1).AlsoGives("z");
  equal.ExpectRefused({"'node'", "9 does not split into 2 equal parts"});
  OneNode uneven({0, 9}, "Split", {"x"}, 18);
  uneven.b.With("axis", 1).With("num_outputs", 2).AlsoGives("z");
  EXPECT_EQ(uneven.Read().Ints("split"), (Ints{5, 4}));
}

TEST(OnnxReader, TransposesWithinSamples) {
  OneNode turn({0, 3, 4, 5}, "Transpose");
  turn.b.WithInts("perm", {0, 3, 1, 2});
  EXPECT_EQ(turn.Shape(), "[N,5,3,4]");
  EXPECT_EQ(turn.Read().Ints("perm"), (Ints{0, 3, 1, 2}));
  OneNode batch({0, 3, 4}, "Transpose");
  batch.b.WithInts("perm", {1, 0, 2});
  batch.ExpectRefused({"graph output 'y' has the batch as dimension 1", "batch first"});
  for (const Ints& perm : {Ints{0, 1}, Ints{0, 1, 1}, Ints{0, 1, 3}}) {
    OneNode bad({0, 3, 4}, "Transpose");
    bad.b.WithInts("perm", perm);
    bad.ExpectRefused({"'node' (Transpose)", "of 3 dimensions", "each of them once"});
  }
}

TEST(OnnxReader, TransposesParametersAsItReads) {
  OnnxBuilder b;
  b.Input("x", {0, 3}).Counting("w", {2, 3}).Node("Transpose", "turn", {"w"}, "v");
  b.Node("MatMul", "fc", {"x", "v"}, "y").Output("y", {0, 2});
  const Graph graph = ParseOnnx(b.Bytes(), "net.onnx");
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(graph.tensors[graph.nodes[0].inputs[1]].values, (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

TEST(OnnxReader, SqueezesAndUnsqueezes) {
  OneNode squeeze({0, 1, 4, 1}, "Squeeze", {"x", "axes"});
  squeeze.b.Ints("axes", {-1, 1});
  EXPECT_EQ(squeeze.Shape(), "[N,4]");
  EXPECT_EQ(squeeze.Read().Ints("axes"), (Ints{1, 3}));
  EXPECT_EQ(OneNode({0, 1, 4, 1}, "Squeeze").Shape(), "[N,4]");
  OneNode(Ints{1, 1, 4}, "Squeeze").ExpectRefused({"'node' (Squeeze)", "the batch of 1"});
  OneNode wide({0, 1, 4}, "Squeeze", {"x"}, 11);
  wide.b.WithInts("axes", {2});
  wide.ExpectRefused({"'node' (Squeeze)", "dimension 2 of [N,1,4] is not 1"});
  OneNode unsqueeze({0, 3, 4}, "Unsqueeze", {"x", "axes"});
  unsqueeze.b.Ints("axes", {4, 1});
  EXPECT_EQ(unsqueeze.Shape(), "[N,1,3,4,1]");
  EXPECT_EQ(unsqueeze.Read().Ints("axes"), (Ints{1, 4}));
  OneNode none({0, 3}, "Unsqueeze");
  none.ExpectRefused({"'node' (Unsqueeze)", "0 axes"});
}

TEST(OnnxReader, FollowsTheBatchToOtherDimensions) {
  OnnxBuilder b;
  b.Input("x", {0, 5, 6}).Node("Transpose", "second", {"x"}, "t").WithInts("perm", {1, 0, 2});
  b.Counting("s", {6}).Node("LayerNormalization", "norm", {"t", "s"}, "n");
  b.Counting("w", {6, 8}).Node("MatMul", "product", {"n", "w"}, "p");
  b.Counting("b", {1, 8}).Node("Add", "bias", {"p", "b"}, "a").Ints("to", {0, 0, 2, -1});
  b.Node("Reshape", "shape", {"a", "to"}, "r").Ints("axes", {0});
  b.Node("Unsqueeze", "outer", {"r", "axes"}, "u").Node("Concat", "twice", {"u", "u"}, "c");
  b.With("axis", 1).Node("Transpose", "first", {"c"}, "y").WithInts("perm", {2, 0, 1, 3, 4});
  b.graph()->add_output()->set_name("y");
  const Graph graph = ParseOnnx(b.Bytes(), "net.onnx");
  EXPECT_EQ(NodeOf(graph, "second").kind, OperatorKind::kIdentity);
  EXPECT_EQ(NodeOf(graph, "first").kind, OperatorKind::kIdentity);
  EXPECT_EQ(ShapeOf(b, "norm"), "[N,5,6]");
  EXPECT_EQ(ShapeOf(b, "shape"), "[N,5,2,4]");
  EXPECT_EQ(ShapeOf(b, "outer"), "[N,1,5,2,4]");
  EXPECT_EQ(NodeOf(graph, "twice").Int("axis"), 2);
  EXPECT_EQ(ShapeText(graph.tensors[graph.output].shape), "[N,1,10,2,4]");
  auto swap_input = [](const std::string& op, const std::vector<std::string>& inputs) {
    OneNode node({0, 5, 6}, op, inputs);
    node.b.graph()->mutable_node(0)->set_input(0, "t");
    node.b.Node("Transpose", "second", {"x"}, "t").WithInts("perm", {1, 0, 2});
    return node;
  };
  swap_input("MaxPool", {"x"})
      .ExpectRefused({"'node' (MaxPool)", "'t' has the batch as dimension 1"});
  OneNode along = swap_input("Add", {"x", "b"});
  along.b.Counting("b", {5, 1, 6});
  along.ExpectRefused({"'node' (Add)", "'b' [5,1,6] does not broadcast to 't' [5,N,6]"});
}

// ---- embedding, dropout, products

TEST(OnnxReader, LooksUpRowsOfATable) {
  const Graph graph = ParseOnnx(Tokens().Bytes(), "net.onnx");
  EXPECT_EQ(graph.tensors[graph.input].type, ElementType::kInt64);
  const Node& embed = NodeOf(graph, "embed");
  EXPECT_EQ(embed.kind, OperatorKind::kGather);
  EXPECT_EQ(ShapeText(graph.tensors[embed.outputs[0]].shape), "[N,5,4]");
  EXPECT_EQ(graph.tensors[embed.outputs[0]].type, ElementType::kFloat);
  auto input = [](OnnxBuilder& b, int type) {
    b.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(type);
  };
  ExpectRefused(Tokens(), [&](auto& b) { input(b, onnx::TensorProto::FLOAT); },
                {"'embed' (Gather)", "indices 'tokens' have element type FLOAT"});
  ExpectRefused(Tokens(), [&](auto& b) { input(b, onnx::TensorProto::DOUBLE); },
                {"'tokens'", "DOUBLE", "FLOAT, INT64"});
  ExpectRefused(Tokens(), [](auto& b) { b.graph()->mutable_node(0)->set_op_type("Relu"); },
                {"'embed' (Relu)", "2 inputs"});
  OneNode relu({0, 3}, "Relu");
  input(relu.b, onnx::TensorProto::INT64);
  relu.ExpectRefused({"'node' (Relu)", "'x' has element type INT64"});
  OneNode same({0, 3}, "Identity");
  input(same.b, onnx::TensorProto::INT64);
  same.ExpectRefused({"graph output 'y' has element type INT64"});
}

TEST(OnnxReader, GathersPlacesOfASample) {
  OneNode several({0, 6, 4}, "Gather", {"x", "places"});
  several.b.Ints("places", {5, -1, 0}).With("axis", 1);
  EXPECT_EQ(several.Shape(), "[N,3,4]");
  OneNode outside({0, 6, 4}, "Gather", {"x", "places"});
  outside.b.Ints("places", {6}).With("axis", 1);
  outside.ExpectRefused({"'node' (Gather)", "index 6 of 6 values", "-6 to 5"});
  OneNode one({0, 6, 4}, "Gather", {"x", "place"});
  one.b.IntScalar("place", -2).With("axis", 1);
  const Graph graph = ParseOnnx(one.b.Bytes(), "net.onnx");
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_EQ(graph.nodes[0].kind, OperatorKind::kSlice);
  EXPECT_EQ(graph.nodes[0].Ints("starts"), Ints{4});
  EXPECT_EQ(graph.nodes[1].kind, OperatorKind::kSqueeze);
  EXPECT_EQ(ShapeText(graph.tensors[graph.output].shape), "[N,4]");
  OneNode sample({0, 6, 4}, "Gather", {"x", "place"});
  sample.b.IntScalar("place", 0);
  sample.ExpectRefused({"'node' (Gather)", "axis 0 of 'x' is the batch"});
}

TEST(OnnxReader, TellsTrainingDropoutFromOthers) {
  OneNode training({0, 3}, "Dropout", {"x", "ratio", "mode"});
  training.b.Scalar("ratio", 0.25f).BoolScalar("mode", true).AlsoGives("mask");
  EXPECT_EQ(training.Read().Float("ratio"), 0.25f);
  EXPECT_EQ(training.Read().Int("training_mode"), 1);
  EXPECT_EQ(training.Read().inputs.size(), 1u);
  EXPECT_EQ(training.Read().outputs.size(), 1u);
  OneNode plain({0, 3}, "Dropout", {"x"}, 10);
  plain.b.WithFloat("ratio", 0.75f);
  EXPECT_EQ(plain.Read().Float("ratio"), 0.75f);
  EXPECT_EQ(plain.Read().Int("training_mode"), 0);
  OneNode whole({0, 3}, "Dropout", {"x", "ratio"});
  whole.b.Scalar("ratio", 1);
  whole.ExpectRefused({"'node' (Dropout)", "ratio = 1"});
  OneNode mode({0, 3}, "Dropout", {"x", "", "mode"});
  mode.b.Scalar("mode", 1);
  mode.ExpectRefused({"'node'", "training mode 'mode' must be a constant BOOL"});
  OneNode mask({0, 3}, "Dropout", {"x"});
  mask.b.AlsoGives("mask").Node("Relu", "use", {"mask"}, "z");
  mask.ExpectRefused({"'node' (Dropout)", "output 1 'mask' is used"});
}

TEST(OnnxReader, MultipliesStacksOfMatrices) {
  OneNode by_parameter({0, 5, 4}, "MatMul", {"x", "w"});
  by_parameter.b.Counting("w", {4, 3});
  EXPECT_EQ(by_parameter.Shape(), "[N,5,3]");
  EXPECT_EQ(OneNode({0, 2, 4, 4}, "MatMul", {"x", "x"}).Shape(), "[N,2,4,4]");
  OneNode({0, 2, 5, 4}, "MatMul", {"x", "x"})
      .ExpectRefused({"'node' (MatMul)", "shape mismatch", "4 features", "accepts 5"});
  OneNode({0, 4}, "MatMul", {"x", "x"}).ExpectRefused({"'node' (MatMul)", "accepted: [N,..,K]"});
  OneNode stack({0, 5, 4}, "MatMul", {"x", "w"});
  stack.b.Counting("w", {2, 4, 3});
  stack.ExpectRefused({"'node' (MatMul)", "'w' [2,4,3]"});
  EXPECT_EQ(OneNode({0, 4}, "Sub", {"x", "x"}).Shape(), "[N,4]");
  OneNode ratio({0, 4}, "Div", {"one", "x"});
  ratio.b.Scalar("one", 1);
  EXPECT_EQ(ratio.Shape(), "[N,4]");
}

TEST(OnnxReader, TakesSoftmaxAlongOneAxis) {
  OneNode softmax({0, 5, 4}, "Softmax");
  softmax.b.With("axis", 1);
  EXPECT_EQ(softmax.Read().Int("axis"), 1);
  softmax.b.model.mutable_opset_import(0)->set_version(12);
  softmax.ExpectRefused({"'node' (Softmax)", "axis 1 before opset 13"});
  EXPECT_EQ(OneNode({0, 5, 4}, "Softmax").Read().Int("axis"), 2);
  OneNode({0, 5, 4}, "Softmax", {"x"}, 12).ExpectRefused({"axis 1 before opset 13"});
  EXPECT_EQ(OneNode({0, 5}, "Softmax", {"x"}, 12).Read().Int("axis"), 1);
}

// ---- normalisations

TEST(OnnxReader, NormalisesBatches) {
  auto norm = [](int opset) {
    OneNode norm({0, 3, 4, 4}, "BatchNormalization", {"x", "s", "b", "m", "v"}, opset);
    norm.b.Counting("s", {3}).Counting("b", {3}).Counting("m", {3}).Counting("v", {3});
    norm.b.WithFloat("epsilon", 0.001f);
    return norm;
  };
  OneNode trained = norm(15);
  trained.b.With("training_mode", 1).AlsoGives("mean").AlsoGives("variance");
  EXPECT_EQ(trained.Shape(), "[N,3,4,4]");
  EXPECT_EQ(trained.Read().Int("training_mode"), 1);
  EXPECT_EQ(trained.Read().outputs.size(), 1u);
  EXPECT_EQ(trained.Read().Float("epsilon"), 0.001f);
  EXPECT_EQ(trained.Read().Float("momentum"), 0.9f);
  EXPECT_EQ(norm(15).Read().Int("training_mode"), 0);
  EXPECT_EQ(norm(9).Read().Int("training_mode"), 0);
  OneNode older = norm(9);
  older.b.AlsoGives("mean").AlsoGives("variance").AlsoGives("a").AlsoGives("b2");
  EXPECT_EQ(older.Read().Int("training_mode"), 1);
  OneNode early = norm(13);
  early.b.With("training_mode", 1);
  early.ExpectRefused({"'node' (BatchNormalization)", "training_mode comes with opset 14"});
  OneNode spatial = norm(7);
  spatial.b.With("spatial", 0);
  spatial.ExpectRefused({"'node'", "spatial = 0"});
  OneNode wide = norm(15);
  wide.b.graph()->mutable_initializer(2)->set_dims(0, 4);
  wide.b.graph()->mutable_initializer(2)->add_float_data(0);
  wide.ExpectRefused({"'node'", "mean 'm' is [4]; accepted: [3]"});
}

TEST(OnnxReader, NormalisesInstancesGroupsAndLayers) {
  auto norm = [](const std::string& op, const Ints& parameters, int opset) {
    OneNode norm({0, 6, 4}, op, {"x", "s", "b"}, opset);
    norm.b.Counting("s", parameters).Counting("b", parameters);
    return norm;
  };
  auto groups = [&](int64_t parameters, int opset, int64_t count) {
    OneNode group = norm("GroupNormalization", {parameters}, opset);
    group.b.With("num_groups", count);
    return group;
  };
  EXPECT_EQ(norm("InstanceNormalization", {6}, 7).Shape(), "[N,6,4]");
  norm("InstanceNormalization", {4}, 7).ExpectRefused({"scale 's' is [4]; accepted: [6]"});
  EXPECT_EQ(groups(3, 18, 3).Shape(), "[N,6,4]");
  EXPECT_EQ(groups(6, 21, 3).Shape(), "[N,6,4]");
  groups(6, 20, 3).ExpectRefused({"'node' (GroupNormalization)", "is [6]; accepted: [3]"});
  groups(3, 21, 3).ExpectRefused({"is [3]; accepted: [6]"});
  groups(4, 18, 4).ExpectRefused({"'x' [N,6,4] in 4 groups"});
  groups(3, 17, 3).ExpectRefused({"'node' (GroupNormalization)", "comes with opset 18"});
  norm("GroupNormalization", {3}, 18).ExpectRefused({"attribute num_groups is missing"});
  OneNode early = groups(3, 18, 3);
  early.b.With("stash_type", 1);
  early.ExpectRefused({"stash_type comes with opset 21"});
  EXPECT_EQ(norm("LayerNormalization", {4}, 17).Read().Int("axis"), 2);
  OneNode two = norm("LayerNormalization", {6, 4}, 17);
  two.b.With("axis", 1);
  EXPECT_EQ(two.Read().Int("axis"), 1);
  norm("LayerNormalization", {6, 4}, 17).ExpectRefused({"scale 's' is [6,4]; accepted: [4]"});
  norm("LayerNormalization", {4}, 16).ExpectRefused({"comes with opset 17"});
  OneNode batch = norm("LayerNormalization", {4}, 17);
  batch.b.With("axis", 0);
  batch.ExpectRefused({"'node' (LayerNormalization)", "axis 0 of 'x' is the batch"});
}

// ---- recurrence

TEST(OnnxReader, PutsTheBatchFirstAroundRecurrence) {
  const Graph graph = ParseOnnx(Tokens().Bytes(), "net.onnx");
  const Node& lstm = NodeOf(graph, "lstm");
  EXPECT_EQ(lstm.Int("layout"), 1);
  EXPECT_EQ(lstm.Int("hidden_size"), 3);
  EXPECT_EQ(lstm.inputs.size(), 4u);  // states of zeros are gone
  ASSERT_EQ(lstm.outputs.size(), 3u);
  EXPECT_EQ(lstm.outputs[1], -1);
  EXPECT_EQ(lstm.outputs[2], -1);
  EXPECT_EQ(ShapeText(graph.tensors[lstm.inputs[0]].shape), "[N,5,4]");
  EXPECT_EQ(ShapeText(graph.tensors[lstm.outputs[0]].shape), "[N,5,1,3]");
  EXPECT_EQ(NodeOf(graph, "time_first").kind, OperatorKind::kIdentity);
  EXPECT_EQ(NodeOf(graph, "batch_first").kind, OperatorKind::kIdentity);
  EXPECT_EQ(NodeOf(graph, "squeeze").Ints("axes"), Ints{2});
  EXPECT_EQ(ShapeText(graph.tensors[NodeOf(graph, "squeeze").outputs[0]].shape), "[N,5,3]");
}

// x [N,5,4] through one recurrent node of 3 with layout 1, whose output last is y.
OneNode Recurrent(const std::string& op, int64_t gates, const std::vector<std::string>& more = {},
                  int opset = 17) {
  std::vector<std::string> inputs = {"x", "w", "r"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  OneNode node({0, 5, 4}, op, inputs, opset);
  node.b.Counting("w", {1, gates * 3, 4}).Counting("r", {1, gates * 3, 3});
  node.b.With("layout", 1);
  node.b.graph()->mutable_node(0)->set_output(0, "");
  node.b.AlsoGives("y");
  return node;
}

TEST(OnnxReader, TakesRecurrentNodesWithTheBatchFirst) {
  for (const auto& [op, gates] : {std::pair("RNN", 1), std::pair("LSTM", 4), std::pair("GRU", 3)}) {
    OneNode node = Recurrent(op, gates, {"b"});
    node.b.Counting("b", {1, 2 * gates * 3});
    const Graph graph = ParseOnnx(node.b.Bytes(), "net.onnx");
    EXPECT_EQ(ShapeText(graph.tensors[graph.output].shape), "[N,1,3]");
    EXPECT_EQ(graph.nodes[0].outputs[0], -1);
    EXPECT_EQ(graph.nodes[0].outputs.size(), std::string(op) == "LSTM" ? 3u : 2u);
    EXPECT_EQ(graph.nodes[0].Int("hidden_size"), 3);
  }
  // The last state of time first, without its direction.
  OneNode last = Recurrent("GRU", 3);
  last.b.graph()->mutable_node(0)->mutable_attribute(0)->set_i(0);
  last.b.graph()->mutable_node(0)->set_input(0, "t");
  last.b.graph()->mutable_node(0)->set_output(1, "Y_h");
  last.b.Node("Transpose", "time_first", {"x"}, "t").WithInts("perm", {1, 0, 2});
  last.b.IntScalar("zero", 0).Node("Gather", "direction", {"Y_h", "zero"}, "y", {{"axis", 0}});
  EXPECT_EQ(ShapeText(ParseOnnx(last.b.Bytes(), "net.onnx").tensors.back().shape), "[N,3]");
  OneNode reset = Recurrent("GRU", 3);
  reset.b.With("linear_before_reset", 1).WithTexts("activations", {"Sigmoid", "Tanh"});
  EXPECT_EQ(reset.Read().Int("linear_before_reset"), 1);
  OneNode lengths = Recurrent("GRU", 3, {"", "lengths"});
  lengths.b.Ints("lengths", {5, 5});
  EXPECT_EQ(lengths.Read().inputs.size(), 3u);
}

TEST(OnnxReader, RefusesRecurrenceThatNothingHereComputes) {
  auto with = [](auto change) {
    OneNode node = Recurrent("LSTM", 4);
    change(node.b);
    return node;
  };
  with([](auto& b) {
    b.WithText("direction", "bidirectional");
  }).ExpectRefused({"'node' (LSTM)", "direction = 'bidirectional'", "accepted: forward"});
  with([](auto& b) {
    b.WithTexts("activations", {"Sigmoid", "Tanh", "Relu"});
  }).ExpectRefused({"'node'", "activations[2] = 'Relu'"});
  with([](auto& b) {
    b.WithTexts("activations", {"Tanh", "Tanh", "Tanh"});
  }).ExpectRefused({"'node'", "activations [Tanh,Tanh,Tanh]", "[Sigmoid,Tanh,Tanh]"});
  with([](auto& b) { b.WithFloat("clip", 1); }).ExpectRefused({"attribute 'clip'"});
  with([](auto& b) { b.With("input_forget", 1); }).ExpectRefused({"input_forget = 1"});
  with([](auto& b) {
    b.With("hidden_size", 4);
  }).ExpectRefused({"W 'w' is [1,12,4]; accepted: [1,16,4]"});
  with([](auto& b) {
    b.graph()->mutable_node(0)->mutable_attribute(0)->set_i(0);
  }).ExpectRefused({"'node' (LSTM)", "layout 0 takes time x batch", "batch is dimension 0 of 'x'"});
  with([](auto& b) {
    b.graph()->mutable_node(0)->set_output(1, "Y_h");
  }).ExpectRefused({"'node' (LSTM)", "none of its outputs leads anywhere"});
  with([](auto& b) {
    b.model.mutable_opset_import(0)->set_version(13);
  }).ExpectRefused({"layout comes with opset 14"});
  OneNode state = Recurrent("LSTM", 4, {"", "", "h"});
  state.b.Counting("h", {2, 1, 3});
  state.ExpectRefused({"'node'", "initial state 'h'", "zeros"});
  OneNode lengths = Recurrent("LSTM", 4, {"", "lengths"});
  lengths.b.Ints("lengths", {5, 4});
  lengths.ExpectRefused({"sequence lengths 'lengths'", "constant of 5"});
  OneNode peepholes = Recurrent("LSTM", 4, {"", "", "", "", "p"});
  peepholes.b.Counting("p", {1, 9});
  peepholes.ExpectRefused({"peepholes 'p'"});
  OneNode bias = Recurrent("RNN", 1, {"b"});
  bias.b.Counting("b", {1, 3});
  bias.ExpectRefused({"'node' (RNN)", "B 'b' is [1,3]; accepted: [1,6]"});
  OneNode flat({0, 5}, "GRU", {"x", "w", "r"});
  flat.b.Counting("w", {1, 9, 5}).Counting("r", {1, 9, 3});
  flat.ExpectRefused({"'x' is [N,5]", "batch x time x features"});
}

// ---- malformed files

// Windows without groups.
OnnxBuilder Trainable() {
  OnnxBuilder b = Windows();
  b.graph()->mutable_node(0)->mutable_attribute(0)->set_i(1);
  b.graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(2);
  return b;
}

// x [N,4,6] through one node of most kinds that move values, with the batch first and second.
OnnxBuilder Arranged() {
  OnnxBuilder b;
  b.Input("x", {0, 4, 6}).Ints("s", {1, -1}).Ints("e", {9, 0}).Ints("a", {1, 2}).Ints("p", {1, -2});
  b.Node("Slice", "slice", {"x", "s", "e", "a", "p"}, "z1").Ints("axes", {1});
  b.Node("Transpose", "turn", {"z1"}, "t").WithInts("perm", {1, 2, 0}).Ints("to", {0, -1, 0});
  b.Node("Reshape", "shape", {"t", "to"}, "r").Ints("parts", {1, 2});
  b.Node("Split", "split", {"r", "parts"}, "z2").AlsoGives("y1");
  b.Node("Concat", "join", {"y1", "z2", "y1"}, "c", {{"axis", 0}});
  b.Node("Transpose", "back", {"c"}, "d").WithInts("perm", {2, 1, 0});
  b.Node("Unsqueeze", "grow", {"d", "axes"}, "g").Node("Squeeze", "shrink", {"g", "axes"}, "h");
  b.Counting("w1", {5}).Counting("b1", {5}).Node("LayerNormalization", "norm", {"h", "w1"}, "n");
  b.graph()->mutable_node(b.graph()->node_size() - 1)->add_input("b1");
  b.Node("Dropout", "drop", {"n"}, "y").AlsoGives("mask").Output("y", {0, 3, 5});
  return b;
}

// Every string, number and node of a model may be exchanged for a neighbour's or an extreme.
void MutateFields(Random& random, onnx::ModelProto& model) {
  onnx::GraphProto* graph = model.mutable_graph();
  const int64_t kNumbers[] = {0, -1, 1, 2, 5, 7, 1 << 20, INT64_MAX, INT64_MIN};
  const char* kStrings[] = {"",        "x",       "w1",           "y1",
                            "z1",      "p",       "a\nb\xff\x01", "Gemm",
                            "Relu",    "Flatten", "Add",          "Reshape",
                            "Softmax", "MatMul",  "Constant",     "Identity",
                            "Conv",    "MaxPool", "AveragePool",  "GlobalMaxPool",
                            "Mul",     "Tanh",    "Slice",        "Squeeze",
                            "LSTM",    "GRU",     "Transpose",    "Gather",
                            "Concat",  "Split",   "Dropout",      "LayerNormalization"};
  auto number = [&] { return kNumbers[random.Below(std::size(kNumbers))]; };
  auto text = [&] { return std::string(kStrings[random.Below(std::size(kStrings))]); };
  onnx::NodeProto* node = graph->mutable_node(random.Below(graph->node_size()));
  auto* initialiser = graph->mutable_initializer(random.Below(graph->initializer_size()));
  switch (random.Below(12)) {
    case 0:
      node->set_op_type(text());
      break;
    case 1:
      node->add_input(text());
      break;
    case 2:
      if (node->input_size()) node->set_input(random.Below(node->input_size()), text());
      break;
    case 3:
      node->set_output(0, text());
      break;
    case 4:
      node->set_name(text());
      break;
    case 5:
      if (node->attribute_size()) {
        auto* attribute = node->mutable_attribute(random.Below(node->attribute_size()));
        attribute->set_i(number());
        if (attribute->ints_size()) {
          attribute->set_ints(random.Below(attribute->ints_size()), number());
        }
      }
      break;
    case 6:
      if (initialiser->dims_size()) initialiser->set_dims(0, number());
      break;
    case 7:
      initialiser->set_name(text());
      break;
    case 8:
      initialiser->set_data_type(static_cast<int>(random.Below(20)));
      break;
    case 9:
      if (initialiser->int64_data_size()) initialiser->set_int64_data(0, number());
      break;
    case 10:
      *graph->add_node() = *node;
      break;
    case 11:
      graph->mutable_input(0)
          ->mutable_type()
          ->mutable_tensor_type()
          ->mutable_shape()
          ->mutable_dim(random.Below(2))
          ->set_dim_value(number());
      break;
  }
}

void MutateBytes(Random& random, std::string& bytes) {
  size_t place = random.Below(bytes.size());
  switch (random.Below(5)) {
    case 0:
      bytes[place] ^= static_cast<char>(1 << random.Below(8));
      break;
    case 1:
      bytes[place] = static_cast<char>(random.Next());
      break;
    case 2:
      bytes.erase(place, 1 + random.Below(8));
      break;
    case 3:
      bytes.insert(place, bytes.substr(random.Below(bytes.size()), random.Below(40)));
      break;
    case 4:
      bytes.resize(place + 1);
      break;
  }
}

TEST(OnnxReader, EndsInAGraphOrOneLineOnMutatedFiles) {
  const uint64_t seed = 1;
  Random random(seed, "fuzz");
  int accepted = 0, trained = 0;
  for (int i = 0; i < 20000; ++i) {
    onnx::ModelProto model = i % 5 == 0   ? TwoLayers().model
                             : i % 5 == 1 ? Reshaped().model
                             : i % 5 == 2 ? Tokens().model
                             : i % 5 == 3 ? Arranged().model
                                          : Trainable().model;
    if (i % 4 < 2) {
      for (uint64_t n = random.Below(3) + 1; n > 0; --n) MutateFields(random, model);
    }
    std::string bytes = model.SerializeAsString();
    if (i % 4 != 0) {
      for (uint64_t n = random.Below(4) + 1; n > 0 && !bytes.empty(); --n) {
        MutateBytes(random, bytes);
      }
    }
    try {
      Graph graph = ParseOnnx(bytes, "net.onnx");
      ++accepted;
      TrainingGraph training = Differentiate(graph, 4);
      ++trained;
      ASSERT_GT(training.MacsNeeded(), 0);
    } catch (const Error& error) {
      std::string message = error.what();
      ASSERT_EQ(error.status(), ExitStatus::kUnusableInput) << message;
      ASSERT_EQ(message.rfind("net.onnx: ", 0), 0u) << "seed " << seed << " case " << i;
      ASSERT_LT(message.size(), 600u) << message;
      for (unsigned char c : message) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << message;
    }
  }
  // The mutations reach behind the parser.
  EXPECT_GT(accepted, 200);
  EXPECT_GT(trained, 200);
}

}  // namespace
}  // namespace vaultrain
