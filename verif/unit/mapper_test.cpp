// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mapper.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>

#include "golden/machine.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/networks.h"
#include "vaultrain/random.h"
#include "vaultrain/reference.h"
#include "vaultrain/tensors.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

struct Mapped {
  Variant variant;
  VaultDram dram;
  Recipe recipe;
  TrainingGraph graph;
  Program program;
};

Mapped MapChain(const std::vector<int>& widths, int batch,
                const std::vector<std::string>& overrides) {
  Mapped s;
  const fs::path root(VT_SOURCE_DIR);
  s.variant = LoadVariant("nano", overrides, {root / "generator/variants"});
  ResourcePaths resources;
  resources.constraints = root / "constraints";
  s.dram = LoadVaultDram(s.variant, resources);
  s.recipe = DefaultRecipe();
  s.recipe.batch = batch;
  s.graph = Differentiate(ParseOnnx(MakeFullyConnected("net", widths), "net"), batch);
  s.program = MapNetwork(s.variant, s.dram, s.graph, s.recipe, "net");
  return s;
}

golden::MachineConfig ConfigOf(const Mapped& s) {
  golden::MachineConfig config;
  config.rows = s.variant.array.rows;
  config.cols = s.variant.array.cols;
  config.lanes = s.variant.array.lanes;
  config.bf16 = s.variant.operand_format == NumberFormat::kBf16;
  config.align_bits = s.variant.array.align_bits;
  config.acc_depth = s.variant.array.acc_depth;
  config.softmax_classes = s.variant.vector.softmax_classes;
  config.scratchpad_bytes = static_cast<uint32_t>(s.variant.scratchpad.kib) * 1024;
  config.dram_bytes = s.dram.geometry.Bytes();
  config.data_bits = s.variant.dram.data_bits;
  return config;
}

// Trains a few steps on the golden machine beside the double-precision reference and compares every
// tensor.
void ExpectTrainsLikeReference(const Mapped& s, int steps, double tolerance) {
  golden::Machine machine(ConfigOf(s));
  for (const ProgramSegment& segment : s.program.image)
    machine.Write(segment.address, segment.bytes);
  Reference reference(s.graph, StartingParameters(s.graph, s.recipe));
  Random random(7, "mapper");
  const ProgramTensor& input = TensorOf(s.program, TensorRole::kInput);
  const ProgramTensor& label = TensorOf(s.program, TensorRole::kLabel);
  const ProgramStream& train = s.program.Stream("train");
  for (int step = 0; step < steps; ++step) {
    std::vector<float> inputs(s.graph.batch * s.graph.features);
    for (float& x : inputs) x = static_cast<float>(random.Normal());
    std::vector<uint8_t> labels;
    for (int64_t i = 0; i < s.graph.batch; ++i) labels.push_back(random.Below(s.graph.classes));
    const float step_size = 0.1f / static_cast<float>(s.graph.batch);

    machine.Write(input.address, EncodeTensor(input, inputs));
    machine.Write(label.address, EncodeLabels(label, labels));
    machine.SetScalar(kScalarStep, std::bit_cast<uint32_t>(-step_size));
    machine.SetScalar(kScalarOne, std::bit_cast<uint32_t>(1.0f));
    const golden::RunResult run = machine.Run(train.address, train.descriptors.size());
    ASSERT_TRUE(run.ok()) << "error " << static_cast<int>(run.error) << " fault "
                          << static_cast<int>(run.fault) << " at descriptor " << run.index << ": "
                          << isa::ToText(train.descriptors[run.index]);
    reference.Step(inputs, labels, step_size);

    for (size_t t = 0; t < s.graph.tensors.size(); ++t) {
      const TrainingTensor& tensor = s.graph.tensors[t];
      if (tensor.kind == TensorKind::kInput || tensor.kind == TensorKind::kLabel) continue;
      const ProgramTensor& placed = s.program.Tensor(tensor.name);
      std::vector<uint8_t> bytes(TensorBytes(placed));
      machine.Read(placed.address, bytes);
      const std::vector<float> got = DecodeTensor(placed, bytes);
      const std::vector<double>& want = reference.tensor(static_cast<int>(t));
      ASSERT_EQ(got.size(), want.size()) << tensor.name;
      // In the mean: a single activation near 0 may fall on either side of ReLU.
      double error = 0, size = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
      }
      ASSERT_LE(std::sqrt(error), tolerance * std::sqrt(size) + 1e-6)
          << tensor.name << ", step " << step;
    }
  }
}

TEST(Mapper, SmallNetTrainsLikeTheReference) {
  ExpectTrainsLikeReference(MapChain({64, 32, 10}, 32, {}), 3, 0.05);
}

TEST(Mapper, RaggedNetTrainsLikeTheReference) {
  ExpectTrainsLikeReference(MapChain({37, 21, 13, 5}, 11, {}), 3, 0.05);
}

TEST(Mapper, TilesThatDoNotFitAtOnceTrainLikeTheReference) {
  ExpectTrainsLikeReference(MapChain({300, 200, 17}, 150, {"scratchpad.kib=64"}), 2, 0.05);
}

TEST(Mapper, WideArrayTrainsLikeTheReference) {
  ExpectTrainsLikeReference(
      MapChain({100, 40, 10}, 24,
               {"array.rows=2", "array.cols=8", "array.lanes=8", "array.align_bits=25"}),
      2, 0.1);
}

TEST(Mapper, Fp32TrainsLikeTheReferenceToSixDigits) {
  ExpectTrainsLikeReference(MapChain({100, 40, 10}, 24, {"operand_format=fp32", "array.lanes=8"}),
                            2, 1e-5);
}

TEST(Mapper, KeptGradientsAreWhatTheUpdateTakes) {
  const Mapped s = MapChain({40, 24, 6}, 16, {});
  const Program kept = MapNetwork(s.variant, s.dram, s.graph, s.recipe, "net", true);
  auto device = MakeGoldenDevice(s.variant, s.dram);
  device->Load(kept.image);
  std::vector<float> inputs(16 * 40);
  Random random(3, "kept");
  for (float& x : inputs) x = static_cast<float>(random.Normal());
  const ProgramTensor& input = TensorOf(kept, TensorRole::kInput);
  device->Write(input.address, EncodeTensor(input, inputs));
  device->SetScalar(kScalarStep, -0.25f);
  device->SetScalar(kScalarOne, 1.0f);
  auto read = [&](const std::string& name) {
    const ProgramTensor& t = kept.Tensor(name);
    std::vector<uint8_t> bytes(TensorBytes(t));
    device->Read(t.address, bytes);
    return DecodeTensor(t, bytes);
  };
  for (const char* name : {"fc1.W", "fc2.W", "fc1.b", "fc2.b"}) {
    std::string gradient = name;
    gradient.insert(gradient.rfind('.') + 1, "d");
    device->Load(kept.image);
    device->Write(input.address, EncodeTensor(input, inputs));
    const std::vector<float> before = read(name);
    ASSERT_EQ(device->Run(kept.Stream("train")).error, isa::ErrorCode::kNone);
    const std::vector<float> after = read(name);
    const std::vector<float> g = read(gradient);
    double moved = 0;
    for (size_t i = 0; i < g.size(); ++i) {
      ASSERT_EQ(after[i], before[i] + -0.25f * g[i]) << name << "[" << i << "]";
      moved += std::abs(g[i]);
    }
    EXPECT_GT(moved, 0) << gradient;
  }
}

TEST(Mapper, LayerTooLargeForTheScratchpadIsRefusedByName) {
  try {
    MapChain({30000, 8, 4}, 16, {"scratchpad.kib=32"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("fc1"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("scratchpad.kib"), std::string::npos) << error.what();
  }
}

TEST(Mapper, NetworkTooLargeForTheMemoryIsRefused) {
  EXPECT_THROW(MapChain({1000, 3000, 10}, 16, {"dram.mib=8"}), Error);
}

// The wanted step: parameters move once each way as the bound counts them, inputs twice.
TEST(Mapper, TrafficOfTheShippedMlpIsNearTheBound) {
  const Mapped s = MapChain({784, 128, 10}, 32, {});
  uint64_t bytes = 0;
  for (const ProgramJob& job : s.program.jobs) bytes += job.dram_bytes;
  EXPECT_LE(bytes, s.program.bound_bytes * 112 / 100);
  EXPECT_NEAR(UtilisationBound(s.program, s.variant, s.dram), 0.64, 0.03);
}

}  // namespace
}  // namespace vaultrain
