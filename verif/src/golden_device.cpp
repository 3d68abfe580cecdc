// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <bit>

#include "golden/module.h"
#include "golden/variant_config.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/tensors.h"

namespace vaultrain {

golden::MachineConfig MachineConfigOf(const Variant& variant, const VaultDram& dram) {
  golden::MachineConfig config;
  config.rows = variant.array.rows;
  config.cols = variant.array.cols;
  config.lanes = variant.array.lanes;
  config.operand = {variant.operand_format, variant.fraction_bits};
  config.wide_gradients = variant.HasWideGradients();
  config.rounding = variant.rounding;
  config.align_bits = variant.array.align_bits;
  config.acc_depth = variant.array.acc_depth;
  config.softmax_classes = variant.vector.softmax_classes;
  config.scratchpad_bytes = static_cast<uint32_t>(variant.scratchpad.kib) * 1024;
  config.dram_bytes = dram.geometry.Bytes();
  config.data_bits = variant.dram.data_bits;
  config.access_bytes = isa::kAccessBytes;
  config.turn_beats = isa::kTurnBeats;
  config.link_bytes = variant.mesh.link_bits / 8;
  config.check_order = true;
  return config;
}

namespace {

class GoldenDevice : public Device {
 public:
  GoldenDevice(const Variant& variant, const VaultDram& dram)
      : vault_bytes_(dram.geometry.Bytes()),
        module_(MachineConfigOf(variant, dram), variant.mesh.x, variant.mesh.y) {}

  void Load(std::span<const ProgramSegment> image) override {
    for (const ProgramSegment& segment : image) Write(segment.address, segment.bytes);
  }
  void Write(uint64_t address, std::span<const uint8_t> bytes) override {
    NodeAt(address).Write(address % vault_bytes_, bytes);
  }
  void Read(uint64_t address, std::span<uint8_t> bytes) override {
    NodeAt(address).Read(address % vault_bytes_, bytes);
  }
  void SetScalar(int index, float value) override {
    for (int n = 0; n < module_.nodes(); ++n) {
      module_.node(n).SetScalar(index, std::bit_cast<uint32_t>(value));
    }
  }

  void SetSeed(uint32_t seed) override {
    for (int n = 0; n < module_.nodes(); ++n) module_.node(n).SetSeed(seed);
  }

  RunReport Run(const ProgramStream& stream) override {
    std::vector<golden::ProgramPlace> places;
    for (const NodeProgram& node : stream.nodes) {
      places.push_back(
          {node.address % vault_bytes_, static_cast<uint32_t>(node.descriptors.size())});
    }
    places.resize(static_cast<size_t>(module_.nodes()));
    const golden::ModuleResult module = module_.Run(places);
    const golden::RunResult& result = module.result;
    if (result.fault == golden::OrderFault::kRace) {
      throw Error(ExitStatus::kInternal,
                  fmt::format("stream {}, node {}: {}", stream.name, module.node,
                              module_.node(module.node).RaceText()));
    }
    if (result.fault != golden::OrderFault::kNone) {
      const auto& descriptors = stream.nodes[static_cast<size_t>(module.node)].descriptors;
      throw Error(
          ExitStatus::kInternal,
          fmt::format("stream {}, node {}: descriptor {} needs what no descriptor before "
                      "it gives (fault {}): {}",
                      stream.name, module.node, result.index, static_cast<int>(result.fault),
                      result.index < descriptors.size() ? isa::ToText(descriptors[result.index])
                                                        : "the end"));
    }
    RunReport report;
    report.error = result.error;
    report.error_index = result.index;
    report.error_node = static_cast<uint32_t>(module.node);
    report.counters.dram_reads = module.counts.dram_read_bytes / isa::kAccessBytes;
    report.counters.dram_writes = module.counts.dram_write_bytes / isa::kAccessBytes;
    return report;
  }

 private:
  // Throws std::out_of_range beyond the last vault.
  golden::Machine& NodeAt(uint64_t address) {
    const uint64_t vault = address / vault_bytes_;
    if (vault >= static_cast<uint64_t>(module_.nodes())) {
      throw std::out_of_range("address beyond the module's memory");
    }
    return module_.node(static_cast<int>(vault));
  }

  uint64_t vault_bytes_;
  golden::Module module_;
};

}  // namespace

std::unique_ptr<Device> MakeGoldenDevice(const Variant& variant, const VaultDram& dram) {
  return std::make_unique<GoldenDevice>(variant, dram);
}

std::optional<Mismatch> CompareTensors(const Program& program, Device& rtl, Device& golden) {
  std::vector<uint8_t> rtl_bytes;
  std::vector<uint8_t> golden_bytes;
  for (const ProgramTensor& tensor : program.tensors) {
    rtl_bytes.resize(TensorBytes(tensor));
    golden_bytes.resize(rtl_bytes.size());
    rtl.Read(tensor.address, rtl_bytes);
    golden.Read(tensor.address, golden_bytes);
    if (rtl_bytes == golden_bytes) continue;
    // What lies between the values is no part of the tensor.
    const int64_t bytes = BytesOf(tensor.format);
    for (int64_t i = 0; i < tensor.rows * tensor.cols; ++i) {
      const int64_t at = tensor.OffsetOf(i / tensor.cols, i % tensor.cols);
      uint32_t values[2] = {0, 0};
      for (int64_t b = 0; b < bytes; ++b) {
        values[0] |= uint32_t{rtl_bytes[at + b]} << (8 * b);
        values[1] |= uint32_t{golden_bytes[at + b]} << (8 * b);
      }
      if (values[0] != values[1]) return Mismatch{tensor.name, i, values[0], values[1]};
    }
  }
  return std::nullopt;
}

}  // namespace vaultrain
