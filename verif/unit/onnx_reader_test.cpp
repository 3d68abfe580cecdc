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

// Every string, number and node of a model may be exchanged for a neighbour's or an extreme.
void MutateFields(Random& random, onnx::ModelProto& model) {
  onnx::GraphProto* graph = model.mutable_graph();
  const int64_t kNumbers[] = {0, -1, 1, 2, 5, 7, 1 << 20, INT64_MAX, INT64_MIN};
  const char* kStrings[] = {"",        "x",       "w1",           "y1",
                            "z1",      "p",       "a\nb\xff\x01", "Gemm",
                            "Relu",    "Flatten", "Add",          "Reshape",
                            "Softmax", "MatMul",  "Constant",     "Identity",
                            "Conv",    "MaxPool", "AveragePool",  "GlobalMaxPool",
                            "Mul",     "Tanh"};
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
      initialiser->set_dims(0, number());
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
  for (int i = 0; i < 12000; ++i) {
    onnx::ModelProto model = i % 3 == 0   ? TwoLayers().model
                             : i % 3 == 1 ? Reshaped().model
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
