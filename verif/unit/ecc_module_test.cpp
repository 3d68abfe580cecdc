// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Flipped bits in the dies of a whole module: training goes on with single ones, a double one ends
// the run and nothing else.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <set>

#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/trainer.h"

namespace vaultrain {
namespace {

// A device whose dies lose bits before each run.
class Losing : public Device {
 public:
  using Flips = std::function<void(Device&)>;
  Losing(Device& device, Flips flips) : device_(device), flips_(std::move(flips)) {}

  void Load(std::span<const ProgramSegment> image) override { device_.Load(image); }
  void Write(uint64_t address, std::span<const uint8_t> bytes) override {
    device_.Write(address, bytes);
  }
  void Read(uint64_t address, std::span<uint8_t> bytes) override { device_.Read(address, bytes); }
  void SetScalar(int index, float value) override { device_.SetScalar(index, value); }
  void SetSeed(uint32_t seed) override { device_.SetSeed(seed); }
  RunReport Run(const ProgramStream& stream) override {
    flips_(device_);
    RunReport report = device_.Run(stream);
    corrected += report.counters.ecc_corrected;
    uncorrectable += report.counters.ecc_uncorrectable;
    return report;
  }

  uint64_t corrected = 0;
  uint64_t uncorrectable = 0;

 private:
  Device& device_;
  Flips flips_;
};

class EccModule : public ::testing::Test {
 protected:
  static Variant EccVariant() {
    // Models live under the build folder, so that a run needs nothing from outside.
    setenv("XDG_CACHE_HOME", VT_CACHE, 1);
    return LoadVariant("nano", {"dram.ecc=on"}, {Resources().variants});
  }

  TrainReport TrainSteps(int64_t steps, Device& engine) {
    return Train(program_, recipe_, data_, steps, engine, golden_.get(), *evaluator_);
  }

  const Variant variant_ = EccVariant();
  const VaultDram dram_ = LoadVaultDram(variant_, Resources());
  const std::filesystem::path file_ = FindNetwork("tiny", {Resources().networks});
  const Recipe recipe_ = RecipeOf(file_);
  const TrainingGraph graph_ = Differentiate(ReadOnnx(file_), recipe_.batch);
  const TrainTest data_ = LoadData(std::nullopt, "digits", graph_.features, graph_.classes);
  const Program program_ = MapNetwork(variant_, dram_, graph_, recipe_, "tiny");
  const std::unique_ptr<Device> rtl_ = MakeRtlDevice(variant_, dram_, Resources(), {});
  const std::unique_ptr<Device> golden_ = MakeGoldenDevice(variant_, dram_);
  const std::unique_ptr<Device> evaluator_ = MakeGoldenDevice(variant_, dram_);
};

TEST_F(EccModule, TrainsBitExactWhileSingleBitsFlip) {
  std::mt19937_64 random(5);
  std::set<uint64_t> flipped;  // a word that nobody reads would keep its first flip
  Losing losing(*rtl_, [&](Device& device) {
    for (const ProgramSegment& segment : program_.image) {
      const uint64_t end = segment.address + segment.bytes.size();
      for (uint64_t at = segment.address / 8 * 8; at < end; at += 8) {
        if (random() % 8 != 0 || !flipped.insert(at).second) continue;
        device.FlipBit(at, static_cast<int>(random() % 72));
      }
    }
  });
  const TrainReport report = TrainSteps(2, losing);
  ASSERT_EQ(report.error, isa::ErrorCode::kNone);
  EXPECT_TRUE(report.bit_exact) << (report.mismatch ? report.mismatch->tensor : "");
  std::cout << flipped.size() << " flips, " << losing.corrected << " beats corrected\n";
  EXPECT_GT(flipped.size(), 100u);
  EXPECT_GT(losing.corrected, flipped.size() / 4);
  EXPECT_EQ(losing.uncorrectable, 0u);
}

// Each descriptor is fetched once.
TEST_F(EccModule, CountsEachCorrectedBeat) {
  const NodeProgram& node = program_.Stream("train").nodes[0];
  uint64_t flips = 0;
  Losing losing(*rtl_, [&](Device& device) {
    for (size_t d = 0; d < node.descriptors.size(); d += 3, ++flips) {
      device.FlipBit(node.address + d * isa::kDescriptorBytes + d % 4 * 8,
                     static_cast<int>(d % 72));
    }
  });
  const TrainReport report = TrainSteps(1, losing);
  EXPECT_TRUE(report.bit_exact);
  EXPECT_GT(flips, 3u);
  EXPECT_EQ(losing.corrected, flips);
  EXPECT_EQ(losing.uncorrectable, 0u);
}

TEST_F(EccModule, DoubleFlipInAnOperandEndsTheRunAndNoMore) {
  const auto weight =
      std::find_if(program_.tensors.begin(), program_.tensors.end(),
                   [](const ProgramTensor& t) { return t.role == TensorRole::kWeight; });
  ASSERT_NE(weight, program_.tensors.end());
  bool flip = true;
  Losing losing(*rtl_, [&](Device& device) {
    if (!flip) return;
    device.FlipBit(weight->address / 8 * 8, 3);
    device.FlipBit(weight->address / 8 * 8, 70);
  });
  EXPECT_EQ(TrainSteps(1, losing).error, isa::ErrorCode::kEcc);
  EXPECT_GT(losing.uncorrectable, 0u);
  EXPECT_EQ(losing.corrected, 0u);

  // The host writes the memory anew, and the module goes on.
  flip = false;
  const uint64_t before = losing.uncorrectable;
  for (const ProgramSegment& segment : program_.image) {
    losing.Write(segment.address, segment.bytes);
  }
  const TrainReport report = TrainSteps(2, losing);
  EXPECT_EQ(report.error, isa::ErrorCode::kNone);
  EXPECT_TRUE(report.bit_exact);
  EXPECT_EQ(losing.uncorrectable, before);
}

// Bytes of the host that are no whole accesses, next to a flipped bit and into another.
TEST_F(EccModule, HostWritesPartsOfWords) {
  std::mt19937_64 random(9);
  std::vector<uint8_t> expected(4096, 0);
  for (int i = 0; i < 60; ++i) {
    const uint64_t at = random() % 4000;
    std::vector<uint8_t> bytes(1 + random() % 90);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    rtl_->FlipBit(at / 64 * 64 + random() % 8 * 8, static_cast<int>(random() % 72));
    rtl_->Write(at, bytes);
    std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<int64_t>(at));
    std::vector<uint8_t> held(4096);
    rtl_->Read(0, held);
    ASSERT_EQ(held, expected) << "write " << i;
  }
}

}  // namespace
}  // namespace vaultrain
