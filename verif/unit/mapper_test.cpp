// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mapper.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>

#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/networks.h"
#include "vaultrain/random.h"
#include "vaultrain/reference.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

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

// Trains a few steps on the golden machine beside the double-precision reference and compares every
// tensor.
void ExpectTrainsLikeReference(const Mapped& s, int steps, double tolerance) {
  const std::unique_ptr<Device> device = MakeGoldenDevice(s.variant, s.dram);
  device->Load(s.program.image);
  Reference reference(s.graph, StartingParameters(s.graph, s.recipe));
  Random random(7, "mapper");
  for (int step = 0; step < steps; ++step) {
    StepData batch;
    batch.inputs.resize(static_cast<size_t>(s.graph.batch * s.graph.features));
    for (float& x : batch.inputs) x = static_cast<float>(random.Normal());
    for (int64_t i = 0; i < s.graph.batch; ++i) {
      batch.labels.push_back(random.Below(s.graph.classes));
    }
    const float step_size = 0.1f / static_cast<float>(s.graph.batch);

    for (const ProgramSegment& segment : BatchSegments(s.program, batch)) {
      device->Write(segment.address, segment.bytes);
    }
    device->SetScalar(kScalarStep, -step_size);
    device->SetScalar(kScalarOne, 1.0f);
    const RunReport run = device->Run(s.program.Stream("train"));
    ASSERT_EQ(run.error, isa::ErrorCode::kNone)
        << "node " << run.error_node << " at descriptor " << run.error_index;
    reference.Step(batch.inputs, batch.labels, step_size);

    for (size_t t = 0; t < s.graph.tensors.size(); ++t) {
      const TrainingTensor& tensor = s.graph.tensors[t];
      if (tensor.kind == TensorKind::kInput || tensor.kind == TensorKind::kLabel) continue;
      const std::vector<float> got = Gather(TensorOf(s.program, tensor.name), *device);
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
  const WholeTensor input = TensorOf(kept, TensorRole::kInput);
  device->Load(Scatter(input, inputs));
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
    device->Load(Scatter(input, inputs));
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
