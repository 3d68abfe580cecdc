// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A module of 2 x 2 nodes as its host sees it: memory of all vaults, runs of all nodes, faults.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "harness/device_abi.h"
#include "src/model_build.h"
#include "test_prefix.h"
#include "vaultrain/device.h"
#include "vaultrain/isa.h"
#include "vaultrain/registers.h"

namespace vaultrain {
namespace {

constexpr int kNodes = 4;
constexpr uint32_t kStart = RegisterFieldOf("CTRL", "START").mask();
constexpr uint32_t kDone = RegisterFieldOf("STATUS", "DONE").mask();
constexpr uint32_t kBusy = RegisterFieldOf("STATUS", "BUSY").mask();
constexpr uint32_t kFreeze = RegisterFieldOf("FAULT", "FREEZE").mask();
constexpr uint64_t kProgramAt = 0x10000;  // in every vault

class Module : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TestPrefix prefix;
    const Variant variant = LoadVariant("quad", {}, {prefix.resources().variants});
    dram_ = LoadVaultDram(variant, prefix.resources());
    library_ = std::make_unique<ModelLibrary>(RtlModel(variant, prefix.resources(), false));
  }
  static void TearDownTestSuite() { library_.reset(); }

  void SetUp() override {
    library_->Find(create_, "vt_device_create");
    library_->Find(destroy_, "vt_device_destroy");
    library_->Find(error_, "vt_device_error");
    library_->Find(cycles_, "vt_device_cycles");
    library_->Find(vaults_, "vt_device_vaults");
    library_->Find(write_register_, "vt_device_write_register");
    library_->Find(read_register_, "vt_device_read_register");
    library_->Find(write_, "vt_device_write");
    library_->Find(read_, "vt_device_read");
    library_->Find(write_dies_, "vt_device_write_dies");
    library_->Find(read_dies_, "vt_device_read_dies");
    library_->Find(run_, "vt_device_run");
    device_ = create_(&dram_.timing, &dram_.geometry, 0);
    Set(kAllNodes + RegisterOffset("WINDOW_SIZE_LO"), static_cast<uint32_t>(VaultBytes()));
    Set(RegisterAddress("IRQ_ENABLE"), 3);
  }
  void TearDown() override { destroy_(device_); }

  static uint64_t VaultBytes() { return dram_.geometry.Bytes(); }

  void Set(uint32_t address, uint32_t value) {
    ASSERT_EQ(write_register_(device_, address, value), 0) << error_(device_);
  }
  uint32_t Get(uint32_t address) {
    uint32_t value = 0;
    EXPECT_EQ(read_register_(device_, address, &value), 0) << error_(device_);
    return value;
  }
  uint32_t Status() { return Get(RegisterAddress("STATUS")); }
  isa::ErrorCode NodeError(int node) {
    const uint32_t status = Get(NodePage(node) + RegisterOffset("NODE_STATUS"));
    return static_cast<isa::ErrorCode>(RegisterFieldOf("NODE_STATUS", "ERROR_CODE").Get(status));
  }
  void ExpectError(isa::ErrorCode code, uint32_t node) {
    const uint32_t status = Status();
    EXPECT_EQ(RegisterFieldOf("STATUS", "BUSY").Get(status), 0u);
    EXPECT_EQ(RegisterFieldOf("STATUS", "ERROR").Get(status), 1u);
    EXPECT_EQ(RegisterFieldOf("STATUS", "ERROR_CODE").Get(status), static_cast<uint32_t>(code));
    EXPECT_EQ(RegisterFieldOf("STATUS", "ERROR_NODE").Get(status), node);
  }

  // A program of one descriptor, in the node's vault.
  void Program(int node, const isa::Descriptor& descriptor) {
    ASSERT_EQ(write_dies_(device_, static_cast<uint64_t>(node) * VaultBytes() + kProgramAt,
                          descriptor.bytes().data(), descriptor.bytes().size()),
              0);
    Set(NodePage(node) + RegisterOffset("PROG_ADDR_LO"), kProgramAt);
    Set(NodePage(node) + RegisterOffset("PROG_COUNT"), 1);
  }
  void ProgramEnds() {
    for (int node = 0; node < kNodes; ++node) Program(node, isa::Descriptor(isa::Opcode::kEnd));
  }
  void Start() {
    Set(RegisterAddress("IRQ_STATUS"), 3);
    Set(RegisterAddress("CTRL"), kStart);
  }
  void Finish(uint64_t cycles = 100000) {
    ASSERT_EQ(run_(device_, cycles, 0, 1), 0) << error_(device_);
  }

  static inline VaultDram dram_;
  static inline std::unique_ptr<ModelLibrary> library_;
  VtDevice* device_ = nullptr;
  decltype(&vt_device_create) create_;
  decltype(&vt_device_destroy) destroy_;
  decltype(&vt_device_error) error_;
  decltype(&vt_device_cycles) cycles_;
  decltype(&vt_device_vaults) vaults_;
  decltype(&vt_device_write_register) write_register_;
  decltype(&vt_device_read_register) read_register_;
  decltype(&vt_device_write) write_;
  decltype(&vt_device_read) read_;
  decltype(&vt_device_write_dies) write_dies_;
  decltype(&vt_device_read_dies) read_dies_;
  decltype(&vt_device_run) run_;
};

TEST_F(Module, SaysHowManyNodesItHas) {
  EXPECT_EQ(vaults_(device_), kNodes);
  EXPECT_EQ(Get(RegisterAddress("NODES")), static_cast<uint32_t>(kNodes));
  EXPECT_EQ(Get(RegisterAddress("MESH")), 0x0202u);
  EXPECT_EQ(Get(RegisterAddress("NODE_MASK")), 0xfu);
}

TEST_F(Module, EveryVaultKeepsWhatTheHostWrites) {
  std::mt19937 random(11);
  constexpr uint64_t kRegion = 16384;
  // A piece of every vault, and the borders between vaults.
  std::vector<uint64_t> bases;
  for (uint64_t vault = 0; vault < kNodes; ++vault) {
    bases.push_back(vault * VaultBytes() + random() % (VaultBytes() / kRegion - 4) * kRegion +
                    2 * kRegion);
    if (vault > 0) bases.push_back(vault * VaultBytes() - kRegion / 2);
  }
  std::map<uint64_t, std::vector<uint8_t>> golden;
  for (const uint64_t base : bases) {
    std::vector<uint8_t>& bytes = golden[base];
    for (uint64_t i = 0; i < kRegion; ++i) bytes.push_back(static_cast<uint8_t>(random()));
    ASSERT_EQ(write_dies_(device_, base, bytes.data(), kRegion), 0);
  }
  for (int i = 0; i < 400; ++i) {
    const uint64_t base = bases[random() % bases.size()];
    std::vector<uint8_t>& memory = golden[base];
    const uint64_t size = 1 + (random() % 4 == 0 ? random() % 3000 : random() % 300);
    const uint64_t at = random() % (kRegion - size);
    if (random() % 2 == 0) {
      for (uint64_t b = 0; b < size; ++b) memory[at + b] = static_cast<uint8_t>(random());
      ASSERT_EQ(write_(device_, base + at, memory.data() + at, size), 0) << error_(device_);
    } else {
      std::vector<uint8_t> found(size);
      ASSERT_EQ(read_(device_, base + at, found.data(), size), 0) << error_(device_);
      ASSERT_TRUE(std::equal(found.begin(), found.end(), memory.begin() + static_cast<long>(at)))
          << "piece " << i << ", " << size << " bytes at " << base + at;
    }
  }
  ProgramEnds();
  Start();
  Finish();  // by then the last beats are in the dies
  for (const auto& [base, memory] : golden) {
    std::vector<uint8_t> found(kRegion);
    ASSERT_EQ(read_dies_(device_, base, found.data(), kRegion), 0);
    EXPECT_EQ(found, memory) << "region at " << base;
  }
}

TEST_F(Module, LongBurstsRunAtHalfABeatACycleToEveryVault) {
  constexpr uint64_t kBytes = 65536;
  std::vector<uint8_t> bytes(kBytes, 0x5a);
  for (uint64_t vault = 0; vault < kNodes; ++vault) {
    uint64_t begin = cycles_(device_);
    ASSERT_EQ(write_(device_, vault * VaultBytes(), bytes.data(), kBytes), 0);
    EXPECT_LE(cycles_(device_) - begin, kBytes / 8 * 2) << "writes to vault " << vault;
    begin = cycles_(device_);
    ASSERT_EQ(read_(device_, vault * VaultBytes(), bytes.data(), kBytes), 0);
    EXPECT_LE(cycles_(device_) - begin, kBytes / 8 * 2) << "reads of vault " << vault;
  }
}

TEST_F(Module, StartRunsTheNodesOfTheMask) {
  ProgramEnds();
  for (const uint32_t mask : {0xfu, 0x6u, 0x8u}) {
    Set(RegisterAddress("NODE_MASK"), mask);
    Start();
    Finish();
    EXPECT_EQ(Status(), kDone);
    EXPECT_GT(Get(RegisterAddress("RUN_CYCLES_LO")), 20u);
  }
  // Nodes 0 and 3 did not take part in the second run, so their counters are of the first.
  EXPECT_EQ(Get(NodePage(0) + RegisterOffset("NODE_STATUS")),
            RegisterFieldOf("NODE_STATUS", "DONE").mask());
}

TEST_F(Module, BroadcastWritesEveryNode) {
  Set(kAllNodes + RegisterOffset("SCALAR3"), 0x12345678);
  Set(NodePage(2) + RegisterOffset("SCALAR3"), 7);
  for (int node = 0; node < kNodes; ++node) {
    EXPECT_EQ(Get(NodePage(node) + RegisterOffset("SCALAR3")), node == 2 ? 7u : 0x12345678u);
  }
  uint32_t value = 0;
  EXPECT_NE(read_register_(device_, kAllNodes + RegisterOffset("SCALAR3"), &value), 0);
}

TEST_F(Module, AFailingNodeStopsItsPeers) {
  ProgramEnds();
  Program(2, isa::Descriptor(static_cast<isa::Opcode>(15)));
  // The others would wait for ever.
  for (const int node : {0, 1, 3}) Set(NodePage(node) + RegisterOffset("FAULT"), kFreeze);
  Start();
  Finish();
  ExpectError(isa::ErrorCode::kOpcode, 2);
  for (const int node : {0, 1, 3}) EXPECT_EQ(NodeError(node), isa::ErrorCode::kPeer) << node;
  // And the next run is a good one.
  Set(kAllNodes + RegisterOffset("FAULT"), 0);
  ProgramEnds();
  Start();
  Finish();
  EXPECT_EQ(Status(), kDone);
}

TEST_F(Module, AFrozenNodeEndsTheRunByWatchdog) {
  ProgramEnds();
  Set(kAllNodes + RegisterOffset("WATCHDOG"), 500);
  Set(NodePage(1) + RegisterOffset("FAULT"), kFreeze);
  Start();
  Finish();
  ExpectError(isa::ErrorCode::kWatchdog, 1);
}

TEST_F(Module, TheHostReachesMemoryDuringARun) {
  ProgramEnds();
  Set(kAllNodes + RegisterOffset("FAULT"), kFreeze);
  Start();
  std::mt19937 random(3);
  for (int i = 0; i < 40; ++i) {
    std::vector<uint8_t> bytes(1 + random() % 500);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const uint64_t address = random() % kNodes * VaultBytes() + 0x100000 + random() % 100000;
    ASSERT_EQ(write_(device_, address, bytes.data(), bytes.size()), 0) << error_(device_);
    std::vector<uint8_t> found(bytes.size());
    ASSERT_EQ(read_(device_, address, found.data(), found.size()), 0) << error_(device_);
    EXPECT_EQ(found, bytes);
  }
  EXPECT_EQ(Status(), kBusy);
  EXPECT_NE(write_register_(device_, NodePage(1) + RegisterOffset("PROG_COUNT"), 5), 0)
      << "the configuration is locked";
  Set(kAllNodes + RegisterOffset("FAULT"), 0);
  Finish();
  EXPECT_EQ(Status(), kDone);
}

TEST_F(Module, ALostCreditIsAnErrorOfTheMesh) {
  ProgramEnds();
  constexpr RegisterField kDrop = RegisterFieldOf("FAULT", "DROP_CREDIT");
  Set(NodePage(0) + RegisterOffset("FAULT"), kDrop.Put(0x2));  // what comes back from the east
  uint8_t byte = 0;
  // One access to vault 1 sends a flit that way.
  ASSERT_EQ(read_(device_, VaultBytes(), &byte, 1), 0) << error_(device_);
  EXPECT_EQ(Get(NodePage(0) + RegisterOffset("FAULT")), 0u) << "it has happened";
  Start();
  Finish();
  ExpectError(isa::ErrorCode::kMesh, 0);
  ASSERT_EQ(read_(device_, VaultBytes(), &byte, 1), 0) << "the others go on";
}

TEST_F(Module, AbortEndsEveryNode) {
  ProgramEnds();
  Set(kAllNodes + RegisterOffset("FAULT"), kFreeze);
  Start();
  Set(RegisterAddress("CTRL"), RegisterFieldOf("CTRL", "ABORT").mask());
  Finish();
  ExpectError(isa::ErrorCode::kAborted, 0);
  for (int node = 0; node < kNodes; ++node) EXPECT_EQ(NodeError(node), isa::ErrorCode::kAborted);
}

}  // namespace
}  // namespace vaultrain
