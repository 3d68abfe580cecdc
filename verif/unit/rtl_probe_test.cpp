// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Variables of a running module of two nodes, whose cores are Verilated once for both.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "smallest_variant.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

class RtlProbes : public testing::Test {
 protected:
  void SetUp() override {
    // Models live under the build folder, so that a run needs nothing from outside.
    setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  }

  static RtlProbe At(int node, const char* module, const std::string& scope, const char* name,
                     int element = -1) {
    const std::string core = fmt::format("vt_memory_module.u_node_{}.u_core.", node);
    return {module, core + scope, name, element};
  }
  // One model serves all tests.
  static std::vector<RtlProbe> Both() {
    std::vector<RtlProbe> probes;
    for (const int node : {0, 1}) {
      probes.push_back(At(node, "vt_node_registers", "u_registers", "seed_q"));
      probes.push_back(
          At(node, "vt_perf_counters", "u_registers.u_counters.gen_counter[1]", "low_q"));
      probes.push_back(At(node, "vt_fifo", "u_mux.u_order", "ring_q", 1));
    }
    return probes;
  }
  static uint32_t Value(const RtlProbe& probe) {
    uint32_t value = 0;
    std::memcpy(&value, probe.value, sizeof value);
    return value;
  }
  static std::unique_ptr<Device> Open(std::vector<RtlProbe>& probes,
                                      std::function<void()> observe) {
    std::vector<std::string> keys = kSmallest;
    keys.insert(keys.end(), {"vaults=2", "mesh.x=2"});
    const Variant variant = LoadVariant("nano", keys, {Resources().variants});
    RtlOptions options;
    options.probes = &probes;
    options.observe = std::move(observe);
    return MakeRtlDevice(variant, LoadVaultDram(variant, Resources()), Resources(), options);
  }
};

TEST_F(RtlProbes, RegistersArraysAndGenerateBlocksOfBothNodesAreSeenInEveryCycle) {
  std::vector<RtlProbe> probes = Both();
  uint64_t cycles = 0, unequal = 0, unset = 0;
  const auto device = Open(probes, [&] {
    ++cycles;
    unequal += Value(probes[0]) != Value(probes[3]);
    unset += Value(probes[0]) == 0;
  });
  for (const RtlProbe& probe : probes) ASSERT_NE(probe.value, nullptr) << probe.scope;
  EXPECT_NE(probes[0].value, probes[3].value);
  EXPECT_NE(probes[2].value, probes[5].value);
  EXPECT_GT(cycles, 0u);
  EXPECT_EQ(unset, cycles);
  device->SetSeed(0x1234567);
  EXPECT_EQ(Value(probes[0]), 0x1234567u);
  EXPECT_EQ(Value(probes[3]), 0x1234567u);
  EXPECT_LT(unset, cycles);
  // The host's write to all nodes reaches them within a few cycles of each other.
  EXPECT_LE(unequal, 16u);
}

TEST_F(RtlProbes, ElementOfWhatIsNoArrayIsRefused) {
  std::vector<RtlProbe> probes = Both();
  probes[0].element = 0;
  try {
    Open(probes, [] {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("u_registers.seed_q"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace vaultrain
