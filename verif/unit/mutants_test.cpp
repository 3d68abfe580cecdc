// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Kernels earn trust by what they find: one line of a block is broken, and the kernel that names it
// must fail.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/kernels.h"
#include "vaultrain/output.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

struct Mutant {
  const char* file;
  const char* good;
  const char* bad;
  const char* kernel;  // must fail
  const char* variant = "nano";
};

constexpr Mutant kMutants[] = {
    {"stream/vt_compute_engine.v", "wire init = first_q &&", "wire init = (first_q || last_q) &&",
     "k_split"},
    {"vector/vt_vector_lane.v", "mask_q[4] && !positive_q[4]", "mask_q[4] && positive_q[4]",
     "activation"},
    {"dma/vt_dma_load.v", "{half, half_q}", "{half_q, half}", "dma_convert"},
    {"dma/vt_corner_turn.v", "m[SideBits-1:0] + out_lane_q", "m[SideBits-1:0] - out_lane_q",
     "dma_transpose"},
    {"vector/vt_softmax.v", "read_wide == {1'b0, label_q}", "read_wide == {1'b0, label_q} + 17'd1",
     "loss"},
    {"sequencer/vt_descriptor_check.v", "reserved ? `VT_ERROR_RESERVED",
     "reserved ? `VT_ERROR_LEVEL", "garbage"},
    {"stream/vt_compute_engine.v", "pe_a_low_o = head_meta[HalfBits+6]", "pe_a_low_o = 1'b0",
     "halves_streamed", "nano-fx32"},
    {"stream/vt_compute_engine.v", "& ~{1'b0, below_store[Loops-1:1]}", "& ~below_b",
     "halves_stationary", "nano-fx32"},
    {"dma/vt_dma_load.v", "of_value[0] ? high : of_value[1] ? low",
     "of_value[0] ? low : of_value[1] ? high", "dma_halves", "nano-fx32"},
};

// The message of the kernel on the RTL with this one fault; empty if it passes.
std::string MessageOf(const Mutant& mutant) {
  ScratchFolder folder;
  fs::copy(fs::path(VT_SOURCE_DIR) / "rtl_templates", folder.path() / "rtl",
           fs::copy_options::recursive);
  const fs::path file = folder.path() / "rtl" / mutant.file;
  std::string text = ReadFile(file);
  const size_t at = text.find(mutant.good);
  if (at == std::string::npos)
    throw std::runtime_error(std::string("no such line: ") + mutant.good);
  text.replace(at, std::string(mutant.good).size(), mutant.bad);
  WriteFile(file, text);

  kernels::KernelSetup setup;
  setup.variant = LoadVariant(mutant.variant, {}, {Resources().variants});
  setup.resources = Resources();
  setup.resources.templates = folder.path() / "rtl";
  setup.dram = LoadVaultDram(setup.variant, setup.resources);
  for (const kernels::KernelCase& one : kernels::CasesOf(setup.variant)) {
    if (one.name == mutant.kernel) return kernels::RunCase(one, setup).message;
  }
  throw std::runtime_error(std::string("no kernel ") + mutant.kernel);
}

TEST(Mutants, AreFoundByTheKernelThatNamesThem) {
  setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  const bool full = std::getenv("VAULTRAIN_FULL") != nullptr;
  for (const Mutant& mutant : kMutants) {
    const std::string message = MessageOf(mutant);
    EXPECT_NE(message, "") << mutant.file << ": " << mutant.kernel << " does not see "
                           << mutant.bad;
    // Names the element and both values.
    EXPECT_NE(message.find("golden "), std::string::npos) << message;
    EXPECT_NE(message.find("cycle "), std::string::npos) << message;
    fmt::print("{}: {}\n", mutant.file, message);
    if (!full) break;
  }
}

}  // namespace
}  // namespace vaultrain
