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
  for (int opset : {6, 18}) {
    ExpectRefused(TwoLayers(),
                  [&](auto& b) { b.model.mutable_opset_import(0)->set_version(opset); },
                  {"opset " + std::to_string(opset), "7 to 17"});
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

// ---- malformed files

// Every string, number and node of a model may be exchanged for a neighbour's or an extreme.
void MutateFields(Random& random, onnx::ModelProto& model) {
  onnx::GraphProto* graph = model.mutable_graph();
  const int64_t kNumbers[] = {0, -1, 1, 2, 5, 7, 1 << 20, INT64_MAX, INT64_MIN};
  const char* kStrings[] = {
      "",     "x",       "w1",  "y1",      "z1",      "p",      "a\nb\xff\x01", "Gemm",
      "Relu", "Flatten", "Add", "Reshape", "Softmax", "MatMul", "Constant",     "Identity"};
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
      if (node->attribute_size()) node->mutable_attribute(0)->set_i(number());
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
  for (int i = 0; i < 8000; ++i) {
    onnx::ModelProto model = (i % 2 ? TwoLayers() : Reshaped()).model;
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
