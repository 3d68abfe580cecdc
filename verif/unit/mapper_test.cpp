// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mapper.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "unit/mapped_network.h"
#include "vaultrain/error.h"
#include "vaultrain/networks.h"

namespace vaultrain {
namespace {

Mapped MapChain(const std::vector<int>& widths, int batch,
                const std::vector<std::string>& overrides, const MapOptions& options = {}) {
  return MapGraph(ParseOnnx(MakeFullyConnected("net", widths), "net"), batch, overrides, options);
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

// Numbers near 1 in units of 2^-11, however they are rounded.
TEST(Mapper, Fx16TrainsLikeTheReference) {
  const std::vector<std::string> overrides = {"operand_format=fx16", "fraction_bits=11"};
  for (const char* rounding : {"nearest", "stochastic", "truncate"}) {
    SCOPED_TRACE(rounding);
    std::vector<std::string> all = overrides;
    all.push_back(std::string("rounding=") + rounding);
    ExpectTrainsLikeReference(MapChain({100, 40, 10}, 24, all), 3, 0.1);
    ExpectTrainsLikeReference(MapChain({96, 128, 64, 10}, 32, Mesh(2, 2, all)), 2, 0.1);
  }
}

TEST(Mapper, GradientsOfFx32TrainLikeTheReference) {
  ExpectTrainsLikeReference(MapChain({100, 40, 10}, 24, WithFx32Gradients({})), 3, 0.1, 1e-4);
  ExpectTrainsLikeReference(MapChain({100, 40, 10}, 24, WithFx32Gradients({"array.rows=2"})), 3,
                            0.1, 1e-4);
  ExpectTrainsLikeReference(MapChain({96, 128, 64, 10}, 32, Mesh(2, 2, WithFx32Gradients({}))), 2,
                            0.1, 1e-4);
}

TEST(Mapper, Fp16TrainsLikeTheReference) {
  ExpectTrainsLikeReference(MapChain({100, 40, 10}, 24, {"operand_format=fp16"}), 3, 0.01);
}

class Partitions : public testing::TestWithParam<Partition> {};

TEST_P(Partitions, TrainLikeTheReference) {
  const MapOptions options{.partition = GetParam()};
  ExpectTrainsLikeReference(MapChain({96, 128, 64, 10}, 32, Mesh(2, 2), options), 2, 0.07);
  // Layers too narrow to split, ragged widths, blocks that do not divide.
  ExpectTrainsLikeReference(MapChain({37, 192, 50, 13, 5}, 24, Mesh(3, 2), options), 2, 0.07);
  // Blocks of weights, and rows of samples, that do not fit at once.
  ExpectTrainsLikeReference(
      MapChain({500, 256, 256, 17}, 200, Mesh(4, 2, {"scratchpad.kib=128"}), options), 2, 0.07);
  ExpectTrainsLikeReference(
      MapChain({60, 128, 10}, 16, Mesh(2, 2, {"operand_format=fp32", "array.lanes=8"}), options), 2,
      1e-5);
  // One row, one column: one of the axes has one part.
  ExpectTrainsLikeReference(MapChain({64, 256, 10}, 8, Mesh(4, 1), options), 2, 0.07);
  ExpectTrainsLikeReference(
      MapChain({64, 256, 10}, 8, Mesh(1, 4, {"mesh.link_bits=256", "array.cols=8"}), options), 2,
      0.07);
}

INSTANTIATE_TEST_SUITE_P(All, Partitions,
                         testing::Values(Partition::kBatch, Partition::kOutputs,
                                         Partition::kHybrid),
                         [](const auto& info) { return std::string(PartitionName(info.param)); });

TEST(Mapper, ABatchThatDoesNotDivideTakesThePartitionThatNeedsNone) {
  const Mapped s = MapChain({64, 128, 10}, 7, Mesh(2, 2));
  EXPECT_NE(s.program.partition.find("outputs"), std::string::npos) << s.program.partition;
  ExpectTrainsLikeReference(s, 2, 0.05);
  EXPECT_THROW(MapChain({64, 128, 10}, 7, Mesh(2, 2), {.partition = Partition::kBatch}), Error);
}

TEST(Mapper, GradientsKeptOverNodesAreThoseOfOneNode) {
  const MapOptions keep{.keep_gradients = true, .partition = Partition::kHybrid};
  const Mapped s = MapChain({64, 128, 64, 10}, 16, Mesh(2, 2), keep);
  ExpectTrainsLikeReference(s, 1, 0.05);
  const WholeTensor gradient = TensorOf(s.program, "fc2.dW");
  EXPECT_EQ(gradient.rows, 64);
  EXPECT_EQ(gradient.cols, 128);
}

// Every value of every tensor lies somewhere, and no parameter in two vaults of one part.
TEST(Mapper, PartsCoverTheTensors) {
  for (Partition partition : {Partition::kBatch, Partition::kOutputs, Partition::kHybrid}) {
    const Mapped s = MapChain({96, 128, 64, 10}, 32, Mesh(2, 2), {.partition = partition});
    for (const TrainingTensor& tensor : s.graph.tensors) {
      const WholeTensor whole = TensorOf(s.program, tensor.name);
      const bool row = tensor.kind == TensorKind::kLabel || tensor.kind == TensorKind::kLoss;
      EXPECT_EQ(whole.rows, row ? 1 : tensor.rows) << tensor.name;
      EXPECT_EQ(whole.cols, row ? tensor.elements() : tensor.cols) << tensor.name;
      int64_t values = 0;
      for (const ProgramTensor* part : whole.parts) values += part->rows * part->cols;
      EXPECT_GE(values, tensor.elements()) << tensor.name;
    }
  }
}

TEST(Mapper, KeptGradientsAreWhatTheUpdateTakes) {
  const Mapped s = MapChain({40, 24, 6}, 16, {});
  const Program kept =
      MapNetwork(s.variant, s.dram, s.graph, s.recipe, "net", {.keep_gradients = true});
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

// Tokens that each engine has given another and that one has not taken, the most of them where the
// descriptors run in order.
int MostTokens(const std::vector<isa::Descriptor>& program) {
  using isa::kEngines;
  std::array<std::array<int, kEngines>, kEngines> tokens{};
  int most = 0;
  for (const isa::Descriptor& descriptor : program) {
    const auto opcode = static_cast<isa::Opcode>(descriptor.Get(isa::FieldId::kOpcode));
    if (opcode == isa::Opcode::kEnd) break;
    const auto engine = static_cast<size_t>(isa::EngineOf(opcode));
    for (size_t other = 0; other < kEngines; ++other) {
      if (descriptor.Get(isa::FieldId::kWait) >> other & 1) --tokens[other][engine];
      if (descriptor.Get(isa::FieldId::kSignal) >> other & 1)
        most = std::max(most, ++tokens[engine][other]);
    }
  }
  return most;
}

// Many small stores of a wide layer that loads of the next phase read: without a bound 55 tokens.
TEST(Mapper, TokensOnTheirWayLeaveRoomForAQueue) {
  for (const char* queue : {"16", "32"}) {
    const std::vector<std::string> overrides =
        Mesh(2, 1, {std::string("sequencer.queue=") + queue});
    for (const Partition partition : {Partition::kOutputs, Partition::kHybrid}) {
      MapOptions options;
      options.partition = partition;
      const Mapped s = MapGraph(
          ParseOnnx(MakeConvolutional("net", {1, 16, 10}, {{2, 3, 1, 1}}, {100, 10}), "net"), 34,
          overrides, options);
      for (const NodeProgram& node : s.program.Stream("train").nodes) {
        const int accepted = (1 << isa::kSemaphoreBits) - 1 - 1 - s.variant.sequencer.queue;
        EXPECT_LE(MostTokens(node.descriptors), accepted);
        EXPECT_GE(MostTokens(node.descriptors), accepted - 1) << "the bound is not tried";
      }
      ExpectTrainsLikeReference(s, 1, 0.1);
    }
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
