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

const char* FormatWord(ElementFormat format) {
  switch (format) {
    case ElementFormat::kBf16:
      return "bf16";
    case ElementFormat::kFp32:
      return "fp32";
    case ElementFormat::kU16:
      return "u16";
  }
  return "";
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
      {"banks", g.banks},      {"rows", g.rows},           {"page_bytes", g.page_bytes},
      {"beats", g.beats},      {"data_bits", g.data_bits}, {"bank_rotate", g.bank_rotate},
      {"bank_low", g.bank_low}};
  for (const auto& [name, value] : geometry) text += fmt::format("geometry {} {}\n", name, value);
  return text;
}

// What a host does for one run.
std::string RunLines(const ProgramStream& stream, uint64_t window, float step_size) {
  std::string text = "\n# One training step.\n";
  auto write = [&](uint32_t offset, const char* name, uint32_t value) {
    text += fmt::format("write {:#05x} {:#010x}  # {}\n", offset, value, name);
  };
  auto low = [](uint64_t value) { return static_cast<uint32_t>(value); };
  auto high = [](uint64_t value) { return static_cast<uint32_t>(value >> 32); };
  write(RegisterOffset("WINDOW_SIZE_LO"), "WINDOW_SIZE_LO", low(window));
  write(RegisterOffset("WINDOW_SIZE_HI"), "WINDOW_SIZE_HI", high(window));
  write(RegisterOffset("WATCHDOG"), "WATCHDOG", kWatchdog);
  write(RegisterOffset("IRQ_ENABLE"), "IRQ_ENABLE", 3);
  static_assert(kScalarStep == 0 && kScalarOne == 1);
  write(RegisterOffset("SCALAR0"), "SCALAR0, -(learning rate / batch)",
        std::bit_cast<uint32_t>(-step_size));
  write(RegisterOffset("SCALAR1"), "SCALAR1, 1.0", std::bit_cast<uint32_t>(1.0f));
  write(RegisterOffset("PROG_ADDR_LO"), "PROG_ADDR_LO", low(stream.address));
  write(RegisterOffset("PROG_ADDR_HI"), "PROG_ADDR_HI", high(stream.address));
  write(RegisterOffset("PROG_COUNT"), "PROG_COUNT", low(stream.descriptors.size()));
  write(RegisterOffset("CTRL"), "CTRL, START", RegisterFieldOf("CTRL", "START").mask());
  text += fmt::format("run {}\n", kMaxCycles);
  text += fmt::format("expect {:#05x} {:#010x}  # STATUS: DONE and no error\n",
                      RegisterOffset("STATUS"), RegisterFieldOf("STATUS", "DONE").mask());
  return text;
}

std::string AsText(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

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
  std::vector<uint8_t> memory(program.memory_bytes);
  golden->Read(0, memory);
  FileTree tree;
  tree["sim/program.bin"] = AsText(memory);
  golden->SetScalar(kScalarStep, -step_size);
  golden->SetScalar(kScalarOne, 1.0f);
  if (const RunReport run = golden->Run(stream); run.error != isa::ErrorCode::kNone) {
    throw Error(ExitStatus::kInternal,
                fmt::format("the program of sim/ stops with error code {} at descriptor {}",
                            static_cast<int>(run.error), run.error_index));
  }
  golden->Read(0, memory);
  tree["sim/expected.bin"] = AsText(memory);

  std::string text = GeneratedHeader(variant, "#");
  text += fmt::format("#\n# Network {}, batch {}; sim/README.md says what the lines mean.\n",
                      program.network, program.batch);
  text += DieLines(dram);
  text += RunLines(stream, dram.geometry.Bytes(), step_size);
  text += "\n# Compared with expected.bin.\n";
  for (const ProgramTensor& tensor : program.tensors) {
    text += fmt::format("tensor {} {} {:#x} {} {} {}\n", tensor.name, FormatWord(tensor.format),
                        tensor.address, tensor.rows, tensor.cols, tensor.pitch_bytes);
  }
  tree["sim/program.txt"] = std::move(text);
  return tree;
}

}  // namespace vaultrain::cli
