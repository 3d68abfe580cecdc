// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs one program on both engines, and finds the descriptor that makes them differ.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "kernels/kernels.h"
#include "vaultrain/error.h"
#include "vaultrain/tensors.h"

namespace vaultrain::kernels {
namespace {

using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

struct Pair {
  explicit Pair(const KernelSetup& setup)
      : rtl(MakeRtlDevice(setup.variant, setup.dram, setup.resources, setup.device)),
        golden(MakeGoldenDevice(setup.variant, setup.dram)) {}

  void Load(const KernelProgram& p) {
    for (Device* device : {rtl.get(), golden.get()}) {
      device->Load(p.program.image);
      for (const auto& [index, value] : p.scalars) device->SetScalar(index, value);
      device->SetSeed(p.seed);
    }
  }

  std::unique_ptr<Device> rtl, golden;
};

uint32_t ValueAt(std::span<const uint8_t> bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t b = 0; b < size && at + b < bytes.size(); ++b)
    value |= uint32_t{bytes[at + b]} << 8 * b;
  return value;
}

// The first difference of any byte of any tensor, padding included, or nothing.
std::optional<std::string> Difference(const Program& program, Pair& pair, uint64_t cycle) {
  std::vector<uint8_t> rtl, golden;
  for (const ProgramTensor& tensor : program.tensors) {
    rtl.resize(TensorBytes(tensor));
    golden.resize(rtl.size());
    pair.rtl->Read(tensor.address, rtl);
    pair.golden->Read(tensor.address, golden);
    const auto found = std::mismatch(rtl.begin(), rtl.end(), golden.begin());
    if (found.first == rtl.end()) continue;
    const size_t size = static_cast<size_t>(BytesOf(tensor.format));
    const int64_t at =
        (found.first - rtl.begin()) / static_cast<int64_t>(size) * static_cast<int64_t>(size);
    const int64_t row = at / tensor.pitch_bytes;
    const int64_t col = at % tensor.pitch_bytes / static_cast<int64_t>(size);
    return fmt::format("{}[{}, {}]{} by cycle {}: rtl {:#x}, golden {:#x}", tensor.name, row, col,
                       col >= tensor.cols ? " (padding)" : "", cycle, ValueAt(rtl, at, size),
                       ValueAt(golden, at, size));
  }
  return std::nullopt;
}

// Whether the engines differ after the first `count` descriptors: memory, then the scratchpad,
// which a second program stores behind everything else.
std::optional<std::string> DifferenceAfter(const KernelSetup& setup, const KernelProgram& p,
                                           size_t count) {
  const std::vector<Descriptor>& all = p.program.Stream("train").nodes[0].descriptors;
  const uint64_t begin = (p.program.memory_bytes + 4095) / 4096 * 4096;
  NodeProgram prefix{begin, {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)}};
  prefix.descriptors.emplace_back(Opcode::kEnd);
  Pair pair(setup);
  pair.Load(p);
  auto run = [&pair](const NodeProgram& node) {
    const ProgramSegment segment{node.address, DescriptorBytes(node)};
    for (Device* device : {pair.rtl.get(), pair.golden.get()}) device->Load({&segment, 1});
    const ProgramStream stream{"part", {node}};
    pair.golden->Run(stream);
    return pair.rtl->Run(stream);
  };
  try {
    const RunReport report = run(prefix);
    if (report.error != isa::ErrorCode::kNone) {
      return fmt::format("RTL stops with error code {} at descriptor {}",
                         static_cast<int>(report.error), report.error_index);
    }
    if (auto difference = Difference(p.program, pair, report.counters.cycles)) return difference;
    ProgramTensor dump;
    dump.name = "scratchpad, KiB";
    dump.format = ElementFormat::kU16;
    dump.address = begin + (prefix.descriptors.size() * isa::kDescriptorBytes + 4095) / 4096 * 4096;
    dump.rows = setup.variant.scratchpad.kib;
    dump.cols = 512;
    dump.pitch_bytes = 1024;
    if (dump.address + TensorBytes(dump) > setup.dram.geometry.Bytes()) return std::nullopt;
    Descriptor store(Opcode::kStore);
    store.Set(FieldId::kDramAddr, static_cast<int64_t>(dump.address));
    store.Set(FieldId::kRows, dump.rows);
    store.Set(FieldId::kRowAccesses, 1024 / isa::kAccessBytes);
    store.Set(FieldId::kDramPitch, 1024);
    store.Set(FieldId::kSpadPitch, 1024);
    run({begin, {store, Descriptor(Opcode::kEnd)}});
    Program only;
    only.tensors = {dump};
    return Difference(only, pair, report.counters.cycles);
  } catch (const Error& error) {
    return std::string(error.what());
  }
}

// Bisects for the descriptor that makes the engines differ. A prefix never ends between COMPUTE and
// its VECTOR, whose sums have nowhere to go.
std::string Bisect(const KernelSetup& setup, const KernelProgram& p) {
  if (p.program.Stream("train").nodes.size() > 1) return "several nodes, not bisected";
  const std::vector<Descriptor>& all = p.program.Stream("train").nodes[0].descriptors;
  std::vector<size_t> cuts;
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    if (static_cast<Opcode>(all[i].Get(FieldId::kOpcode)) != Opcode::kCompute)
      cuts.push_back(i + 1);
  }
  size_t low = 0, high = cuts.size();  // the cuts before low agree; those from high on differ
  std::string found = "the descriptors agree when they are run again";
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (auto difference = DifferenceAfter(setup, p, cuts[middle])) {
      found = fmt::format("first after descriptor {} of {} ({}): {}", cuts[middle] - 1, all.size(),
                          isa::ToText(all[cuts[middle] - 1]), *difference);
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return found;
}

}  // namespace

bool RunProgram(const KernelSetup& setup, const KernelProgram& p, KernelResult& result) {
  const ProgramStream& stream = p.program.Stream("train");
  std::string difference;
  try {
    Pair pair(setup);
    pair.Load(p);
    const RunReport golden = pair.golden->Run(stream);
    const RunReport rtl = pair.rtl->Run(stream);
    result.cycles += rtl.counters.cycles;
    result.macs += p.macs;
    if (rtl.error != golden.error || rtl.error != isa::ErrorCode::kNone) {
      difference = fmt::format("error code: rtl {} at descriptor {}, golden {} at {}",
                               static_cast<int>(rtl.error), rtl.error_index,
                               static_cast<int>(golden.error), golden.error_index);
    } else {
      difference = Difference(p.program, pair, rtl.counters.cycles).value_or("");
    }
  } catch (const Error& error) {
    if (error.status() == ExitStatus::kToolMissing) throw;
    difference = error.what();
  }
  if (difference.empty()) return true;
  result.passed = false;
  result.message = fmt::format("{}: {}; {}", p.program.network, difference, Bisect(setup, p));
  return false;
}

}  // namespace vaultrain::kernels
