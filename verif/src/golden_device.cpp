// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <bit>

#include "golden/machine.h"
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
  config.bf16 = variant.operand_format == NumberFormat::kBf16;
  config.align_bits = variant.array.align_bits;
  config.acc_depth = variant.array.acc_depth;
  config.softmax_classes = variant.vector.softmax_classes;
  config.scratchpad_bytes = static_cast<uint32_t>(variant.scratchpad.kib) * 1024;
  config.dram_bytes = dram.geometry.Bytes();
  config.data_bits = variant.dram.data_bits;
  config.access_bytes = isa::kAccessBytes;
  config.turn_beats = isa::kTurnBeats;
  return config;
}

namespace {

class GoldenDevice : public Device {
 public:
  GoldenDevice(const Variant& variant, const VaultDram& dram)
      : machine_(MachineConfigOf(variant, dram)) {}

  void Load(std::span<const ProgramSegment> image) override {
    for (const ProgramSegment& segment : image) machine_.Write(segment.address, segment.bytes);
  }
  void Write(uint64_t address, std::span<const uint8_t> bytes) override {
    machine_.Write(address, bytes);
  }
  void Read(uint64_t address, std::span<uint8_t> bytes) override { machine_.Read(address, bytes); }
  void SetScalar(int index, float value) override {
    machine_.SetScalar(index, std::bit_cast<uint32_t>(value));
  }

  RunReport Run(const ProgramStream& stream) override {
    const golden::RunResult result =
        machine_.Run(stream.address, static_cast<uint32_t>(stream.descriptors.size()));
    if (result.fault != golden::OrderFault::kNone) {
      throw Error(
          ExitStatus::kInternal,
          fmt::format("stream {}: descriptor {} needs what no descriptor before it gives: {}",
                      stream.name, result.index, isa::ToText(stream.descriptors[result.index])));
    }
    RunReport report;
    report.error = result.error;
    report.error_index = result.index;
    report.counters.dram_reads = result.counts.dram_read_bytes / isa::kAccessBytes;
    report.counters.dram_writes = result.counts.dram_write_bytes / isa::kAccessBytes;
    return report;
  }

 private:
  golden::Machine machine_;
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
    // What lies behind the columns of a row is no part of the tensor.
    const int64_t bytes = BytesOf(tensor.format);
    for (int64_t i = 0; i < tensor.rows * tensor.cols; ++i) {
      const int64_t at = i / tensor.cols * tensor.pitch_bytes + i % tensor.cols * bytes;
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
