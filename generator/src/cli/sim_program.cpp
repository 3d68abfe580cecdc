// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "cli/sim_program.h"

#include <fmt/format.h>

#include <bit>
#include <memory>

#include "cli/network.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/mapper.h"
#include "vaultrain/paths.h"
#include "vaultrain/registers.h"

namespace vaultrain::cli {
namespace {

// Far beyond a step of this network; without progress for kWatchdog cycles it ends before.
constexpr uint64_t kMaxCycles = 100'000'000;
constexpr uint32_t kWatchdog = 100'000;

// fx16 with its fraction bits: fx16.12.
std::string FormatWord(const ProgramTensor& tensor) {
  const std::string_view name = ElementName(tensor.format);
  if (tensor.format != ElementFormat::kFx16) return std::string(name);
  return fmt::format("{}.{}", name, tensor.fraction_bits);
}

std::string DieLines(const VaultDram& dram) {
  const DramTiming& t = dram.timing;
  const DramGeometry& g = dram.geometry;
  std::string text = "\n# The dies, in cycles and numbers.\n";
  const std::pair<const char*, int> timing[] = {
      {"tRCD", t.tRCD}, {"tRP", t.tRP},   {"tCL", t.tCL},    {"tCWL", t.tCWL}, {"tRAS", t.tRAS},
      {"tRRD", t.tRRD}, {"tFAW", t.tFAW}, {"tCCD", t.tCCD},  {"tWTR", t.tWTR}, {"tWR", t.tWR},
      {"tRTP", t.tRTP}, {"tRFC", t.tRFC}, {"tREFI", t.tREFI}};
  for (const auto& [name, cycles] : timing) text += fmt::format("timing {} {}\n", name, cycles);
  const std::pair<const char*, int> geometry[] = {
      {"banks", g.banks},           {"rows", g.rows},
      {"page_bytes", g.page_bytes}, {"beats", g.beats},
      {"data_bits", g.data_bits},   {"bank_rotate", g.bank_rotate},
      {"bank_low", g.bank_low},     {"ecc", g.ecc}};
  for (const auto& [name, value] : geometry) text += fmt::format("geometry {} {}\n", name, value);
  return text;
}

// What a host does for one run.
std::string RunLines(const ProgramStream& stream, uint64_t vault_bytes, float step_size) {
  std::string text =
      "\n# One training step; what all nodes share goes to all their pages at once.\n";
  auto write = [&](uint32_t address, const std::string& name, uint32_t value) {
    text += fmt::format("write {:#07x} {:#010x}  # {}\n", address, value, name);
  };
  auto low = [](uint64_t value) { return static_cast<uint32_t>(value); };
  auto high = [](uint64_t value) { return static_cast<uint32_t>(value >> 32); };
  write(kAllNodes + RegisterOffset("WINDOW_SIZE_LO"), "WINDOW_SIZE_LO", low(vault_bytes));
  write(kAllNodes + RegisterOffset("WINDOW_SIZE_HI"), "WINDOW_SIZE_HI", high(vault_bytes));
  write(kAllNodes + RegisterOffset("WATCHDOG"), "WATCHDOG", kWatchdog);
  static_assert(kScalarStep == 0 && kScalarOne == 1);
  write(kAllNodes + RegisterOffset("SCALAR0"), "SCALAR0, -(learning rate / batch)",
        std::bit_cast<uint32_t>(-step_size));
  write(kAllNodes + RegisterOffset("SCALAR1"), "SCALAR1, 1.0", std::bit_cast<uint32_t>(1.0f));
  uint32_t mask = 0;
  for (size_t n = 0; n < stream.nodes.size(); ++n) {
    const NodeProgram& node = stream.nodes[n];
    if (node.descriptors.empty()) continue;
    mask |= uint32_t{1} << n;
    const uint32_t page = NodePage(static_cast<int>(n));
    const uint64_t address = node.address % vault_bytes;
    write(page + RegisterOffset("PROG_ADDR_LO"), fmt::format("PROG_ADDR_LO of node {}", n),
          low(address));
    write(page + RegisterOffset("PROG_ADDR_HI"), fmt::format("PROG_ADDR_HI of node {}", n),
          high(address));
    write(page + RegisterOffset("PROG_COUNT"), fmt::format("PROG_COUNT of node {}", n),
          low(node.descriptors.size()));
  }
  write(RegisterAddress("NODE_MASK"), "NODE_MASK, the nodes with a program", mask);
  write(RegisterAddress("IRQ_ENABLE"), "IRQ_ENABLE", 3);
  write(RegisterAddress("CTRL"), "CTRL, START", RegisterFieldOf("CTRL", "START").mask());
  text += fmt::format("run {}\n", kMaxCycles);
  text += fmt::format("expect {:#07x} {:#010x}  # STATUS: DONE and no error\n",
                      RegisterAddress("STATUS"), RegisterFieldOf("STATUS", "DONE").mask());
  return text;
}

// The first `bytes` of every vault, vault after vault.
std::string VaultMemory(Device& device, int vaults, uint64_t vault_bytes, uint64_t bytes) {
  std::string text(static_cast<size_t>(vaults) * bytes, '\0');
  for (int vault = 0; vault < vaults; ++vault) {
    auto* part = reinterpret_cast<uint8_t*>(text.data()) + static_cast<size_t>(vault) * bytes;
    device.Read(static_cast<uint64_t>(vault) * vault_bytes, {part, bytes});
  }
  return text;
}

}  // namespace

FileTree SimProgram(const Variant& variant) {
  const VaultDram dram = LoadVaultDram(variant, Resources());
  NetworkFlags flags;
  flags.network = kSimNetwork;
  CompiledNetwork network = CompileNetwork(variant, dram, flags);
  AddFirstBatch(network);
  const Program& program = network.program;
  const ProgramStream& stream = program.Stream("train");
  const float step_size = program.recipe.at("step_size");

  std::unique_ptr<Device> golden = MakeGoldenDevice(variant, dram);
  golden->Load(program.image);
  const uint64_t vault_bytes = dram.geometry.Bytes();
  auto memory = [&] {
    return VaultMemory(*golden, variant.vaults, vault_bytes, program.memory_bytes);
  };
  FileTree tree;
  tree["sim/program.bin"] = memory();
  golden->SetScalar(kScalarStep, -step_size);
  golden->SetScalar(kScalarOne, 1.0f);
  if (const RunReport run = golden->Run(stream); run.error != isa::ErrorCode::kNone) {
    throw Error(ExitStatus::kInternal,
                fmt::format("the program of sim/ stops with error code {} at descriptor {}",
                            static_cast<int>(run.error), run.error_index));
  }
  tree["sim/expected.bin"] = memory();

  std::string text = GeneratedHeader(variant, "#");
  text += fmt::format("#\n# Network {}, batch {}; sim/README.md says what the lines mean.\n",
                      program.network, program.batch);
  text += DieLines(dram);
  text += fmt::format("\n# Bytes of every vault in program.bin and expected.bin.\nmemory {}\n",
                      program.memory_bytes);
  text += RunLines(stream, vault_bytes, step_size);
  text += "\n# Compared with expected.bin.\n";
  for (const ProgramTensor& tensor : program.tensors) {
    text += fmt::format("tensor {} {} {:#x} {} {} {}\n", tensor.name, FormatWord(tensor),
                        tensor.address, tensor.rows, tensor.cols, tensor.pitch_bytes);
  }
  tree["sim/program.txt"] = std::move(text);
  return tree;
}

}  // namespace vaultrain::cli
