// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A trained network as ONNX is the network that was trained: read again, it starts from the
// weights that the vaults held and infers the same bits.

#include "vaultrain/onnx_export.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "unit/chain_draw.h"
#include "unit/onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

onnx::ModelProto ModelOf(const std::string& bytes) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(bytes));
  return model;
}

// The graph without the values of its parameters.
std::string Skeleton(const std::string& bytes) {
  onnx::ModelProto model = ModelOf(bytes);
  model.mutable_graph()->clear_initializer();
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node()) {
    if (node.op_type() == "Constant") node.clear_attribute();
  }
  return model.SerializeAsString();
}

struct Side {
  TrainingGraph graph;
  Program program;
  std::unique_ptr<Device> device;
};

// Trains a network for three steps on drawn batches, exports it, and compares what the file gives
// with what the vaults hold.
void ExpectComesBack(const std::string& bytes, const std::string& variant_name, int64_t batch,
                     const std::string& optimiser = "sgd", double weight_decay = 0) {
  const Variant variant = LoadVariant(variant_name, {}, {Resources().variants});
  const VaultDram dram = LoadVaultDram(variant, Resources());
  Recipe recipe = DefaultRecipe();
  recipe.batch = batch;
  recipe.optimiser = optimiser;
  recipe.weight_decay = weight_decay;
  recipe.learning_rate = 0.05;
  auto side = [&](const std::string& onnx) {
    Side s;
    s.graph = Differentiate(ParseOnnx(onnx, "net.onnx"), batch);
    s.program = MapNetwork(variant, dram, s.graph, recipe, "net");
    s.device = MakeGoldenDevice(variant, dram);
    s.device->Load(s.program.image);
    return s;
  };
  Random random(3, "export");
  auto write_batch = [&](Side& s, const StepData& data) {
    for (const ProgramSegment& segment : BatchSegments(s.program, data)) {
      s.device->Write(segment.address, segment.bytes);
    }
  };
  auto draw = [&](const TrainingGraph& graph) {
    StepData data;
    data.inputs.resize(static_cast<size_t>(batch * graph.features));
    for (float& x : data.inputs) x = static_cast<float>(random.Normal());
    for (int64_t i = 0; i < batch; ++i) {
      data.labels.push_back(static_cast<uint8_t>(random.Below(graph.classes)));
    }
    return data;
  };
  Side trained = side(bytes);
  for (int step = 0; step < 3; ++step) {
    write_batch(trained, draw(trained.graph));
    SetStep(*trained.device, recipe, step, StepSize(recipe, step, 3));
    ASSERT_EQ(trained.device->Run(trained.program.Stream("train")).error, isa::ErrorCode::kNone);
  }
  const auto parameters = TrainedParameters(trained.program, *trained.device);
  const std::string exported = OnnxExport(bytes, "net.onnx", batch).With(parameters);
  EXPECT_EQ(Skeleton(exported), Skeleton(bytes));

  // The program starts with the bits that the vaults held.
  Side again = side(exported);
  size_t changed = 0;
  const auto before = StartingParameters(trained.graph, recipe);
  for (size_t i = 0; i < again.graph.tensors.size(); ++i) {
    const TrainingTensor& tensor = again.graph.tensors[i];
    if (!tensor.is_parameter()) continue;
    EXPECT_TRUE(SameBits(tensor.start, parameters.at(tensor.name))) << tensor.name;
    changed += SameBits(tensor.start, before[i]) ? 0 : 1;
  }
  EXPECT_GT(changed, 0u) << "nothing was trained";
  for (const auto& [name, values] : TrainedParameters(again.program, *again.device)) {
    EXPECT_TRUE(SameBits(values, parameters.at(name))) << name;
  }

  // And infers the same.
  const StepData data = draw(trained.graph);
  std::vector<std::vector<float>> logits;
  for (Side* s : {&trained, &again}) {
    write_batch(*s, data);
    ASSERT_EQ(s->device->Run(s->program.Stream("infer")).error, isa::ErrorCode::kNone);
    logits.push_back(Gather(TensorOf(s->program, TensorRole::kLogits), *s->device));
  }
  EXPECT_TRUE(SameBits(logits[0], logits[1]));

  // What was exported exports the same file.
  EXPECT_EQ(OnnxExport(exported, "net.onnx", batch).With(parameters), exported);
}

TEST(OnnxExport, ShippedNetworksComeBack) {
  for (const char* name : {"tiny", "tiny-conv", "lenet"}) {
    SCOPED_TRACE(name);
    ExpectComesBack(ReadFile(Resources().networks / fmt::format("{}.onnx", name)), "nano", 16);
  }
}

TEST(OnnxExport, NetworksOverSeveralVaultsComeBack) {
  ExpectComesBack(MakeFullyConnected("wide", {64, 128, 10}), "quad", 32);
  ExpectComesBack(MakeFullyConnected("wide", {64, 128, 10}), "quad", 32, "adam");
  ExpectComesBack(ReadFile(Resources().networks / "tiny-conv.onnx"), "quad", 32);
}

// Both biases of a GRU, the parts of U of one that resets its state first, and running statistics.
TEST(OnnxExport, CellsAndNormalisationsComeBack) {
  ExpectComesBack(MakeSequential("net", "LSTM", 3, 9, 32, 5), "nano", 16);
  ExpectComesBack(MakeSequential("net", "GRU", 3, 9, 32, 5), "nano", 16);
  ExpectComesBack(MakeSequential("net", "reset GRU", 3, 9, 32, 5), "nano", 16, "adam");
  ExpectComesBack(MakeSequential("net", "GRU", 3, 9, 21, 5), "nano", 16, "adam");
  ExpectComesBack(MakeNormalisedSteps("net", "GRU", 3, 9, 32, 5), "nano", 16, "momentum");
  ExpectComesBack(MakeBatchNormalised("net", {2, 6, 5}, 12, 5), "nano", 16, "adam");
  ExpectComesBack(MakeBatchNormalised("net", {2, 6, 5}, 16, 5), "quad", 32);
}

TEST(OnnxExport, BothLayoutsAndBiasesOfAddComeBack) {
  ExpectComesBack(TwoLayers().Bytes(), "nano", 4);
  ExpectComesBack(Reshaped().Bytes(), "nano", 5);
}

TEST(OnnxExport, DrawnChainsComeBack) {
  Random random(11, "export chains");
  ChainDraw draw(random);
  int mapped = 0;
  for (int i = 0; i < 24; ++i) {
    draw.Draw();
    SCOPED_TRACE(draw.text());
    try {
      // Weights of a chain whose ReLUs let nothing through decay all the same.
      ExpectComesBack(draw.bytes(), "nano", 8, "sgd", 0.01);
      ++mapped;
    } catch (const Error& error) {
      // What cannot be mapped is no matter of this test.
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput) << error.what();
    }
  }
  EXPECT_GE(mapped, 8);
}

TEST(OnnxExport, ConstantsAndRenamedParametersComeBack) {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Counting("held", {4, 6});
  b.Node("Constant", "constant", {}, "w2");
  onnx::AttributeProto* value = b.graph()->mutable_node(0)->add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  value->mutable_t()->set_data_type(onnx::TensorProto::FLOAT);
  std::vector<float> values(12, 0.25f);
  value->mutable_t()->add_dims(4);
  value->mutable_t()->add_dims(3);
  value->mutable_t()->set_raw_data(values.data(), values.size() * sizeof(float));
  b.Node("Identity", "rename", {"held"}, "w1").Node("Identity", "again", {"w1"}, "w");
  b.Node("Gemm", "first", {"x", "w"}, "z", {{"transB", 1}}).Node("Relu", "relu", {"z"}, "y");
  b.Node("Gemm", "second", {"y", "w2"}, "logits").Output("logits", {0, 3});
  ExpectComesBack(b.Bytes(), "nano", 4);
}

TEST(OnnxExport, TheSameInitialiserForTwoLayersIsRefused) {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Counting("held", {6, 6});
  b.Node("Identity", "one", {"held"}, "w1").Node("Identity", "two", {"held"}, "w2");
  b.Node("Gemm", "first", {"x", "w1"}, "y").Node("Gemm", "second", {"y", "w2"}, "logits");
  b.Output("logits", {0, 6});
  try {
    OnnxExport(b.Bytes(), "net.onnx", 4);
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    EXPECT_THAT(error.what(), HasSubstr("net.onnx: first.W and second.W both come from 'held'"));
  }
}

TEST(OnnxExport, TheProgramExportsAndGoesOnFromIt) {
  ScratchFolder work;
  const fs::path exported = work.path() / "trained.onnx";
  auto run = [&](std::vector<std::string> argv) {
    argv.insert(argv.begin(), {VT_PROGRAM, "train", "nano"});
    argv.insert(argv.end(), {"--engine", "golden"});
    return RunProcess(argv, work.path());
  };
  const ProcessResult first =
      run({"tiny", "--steps", "40", "--export", "trained.onnx", "--json", "first.json"});
  ASSERT_EQ(first.status, 0) << first.err;
  fs::copy(Resources().networks / "tiny.train.toml", work.path() / "trained.train.toml");
  const ProcessResult second =
      run({"trained.onnx", "--steps", "1", "--json", "second.json", "--export", "trained.onnx"});
  ASSERT_EQ(second.status, 0) << second.err;
  const auto before = nlohmann::json::parse(ReadFile(work.path() / "first.json"));
  const auto after = nlohmann::json::parse(ReadFile(work.path() / "second.json"));
  // The first batch is the one that the first training began with.
  EXPECT_LT(after["loss"][0], before["loss"][0].get<double>() / 2);
  // Refused before anything is trained.
  const ProcessResult refused = run({"tiny", "--steps", "1", "--export", "no/such/t.onnx"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("no/such/t.onnx"));
  EXPECT_EQ(refused.out, "");
}

}  // namespace
}  // namespace vaultrain
