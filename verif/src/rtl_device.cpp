// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "harness/device_abi.h"
#include "model_build.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/output.h"
#include "vaultrain/registers.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// Cycles without progress that end a program.
constexpr uint32_t kWatchdog = 100000;

// Files that the shared object is built from, by name in one folder.
FileTree ModelSources(const Variant& variant, const ResourcePaths& resources) {
  FileTree sources = GenerateRtl(variant, resources);
  sources.merge(HarnessSources(variant, resources));
  return sources;
}

// A register by its name, which the compiler looks up.
struct Offset {
  template <size_t N>
  consteval Offset(const char (&name)[N]) : value(RegisterOffset(name)) {}
  constexpr Offset(uint32_t offset) : value(offset) {}
  uint32_t value;
};

class RtlDevice : public Device {
 public:
  RtlDevice(const fs::path& object, const VaultDram& dram, const RtlOptions& options)
      : library_(object), dram_(dram), options_(options) {
    library_.Find(create_, "vt_device_create");
    library_.Find(destroy_, "vt_device_destroy");
    library_.Find(error_, "vt_device_error");
    library_.Find(write_register_, "vt_device_write_register");
    library_.Find(read_register_, "vt_device_read_register");
    library_.Find(write_, "vt_device_write");
    library_.Find(write_dies_, "vt_device_write_dies");
    library_.Find(read_dies_, "vt_device_read_dies");
    library_.Find(flip_bits_, "vt_device_flip_bits");
    library_.Find(run_, "vt_device_run");
    library_.Find(trace_, "vt_device_trace");
    library_.Find(probe_, "vt_device_probe");
    library_.Find(observe_, "vt_device_observe");
    device_ = create_(&dram_.timing, &dram_.geometry, 0);
    if (options_.probes != nullptr) {
      for (RtlProbe& probe : *options_.probes) {
        Check(probe_(device_, probe.scope.c_str(), probe.name.c_str(), probe.element, &probe.value),
              "probe");
      }
      observe_(
          device_, [](void* self) { static_cast<RtlDevice*>(self)->options_.observe(); }, this);
    }
    if (!options_.trace.empty()) Check(trace_(device_, options_.trace.c_str()), "trace");
    const uint64_t bytes = dram_.geometry.Bytes();
    SetRegister(kAllNodes + RegisterOffset("WINDOW_SIZE_LO"), static_cast<uint32_t>(bytes));
    SetRegister(kAllNodes + RegisterOffset("WINDOW_SIZE_HI"), static_cast<uint32_t>(bytes >> 32));
    SetRegister(kAllNodes + RegisterOffset("WATCHDOG"), kWatchdog);
    SetRegister(RegisterAddress("IRQ_ENABLE"), 3);
  }
  ~RtlDevice() override { destroy_(device_); }

  void Load(std::span<const ProgramSegment> image) override {
    for (const ProgramSegment& segment : image) {
      Check(write_dies_(device_, segment.address, segment.bytes.data(), segment.bytes.size()),
            "load");
    }
  }
  void Write(uint64_t address, std::span<const uint8_t> bytes) override {
    Check(write_(device_, address, bytes.data(), bytes.size()), "write");
  }
  void Read(uint64_t address, std::span<uint8_t> bytes) override {
    Check(read_dies_(device_, address, bytes.data(), bytes.size()), "read");
  }
  void FlipBit(uint64_t address, int bit) override {
    const uint64_t data = bit < 64 ? uint64_t{1} << bit : 0;
    const auto check = static_cast<uint8_t>(bit < 64 ? 0 : 1 << (bit - 64));
    Check(flip_bits_(device_, address, data, check), "flip");
  }
  void SetScalar(int index, float value) override {
    SetRegister(kAllNodes + RegisterOffset("SCALAR0") + 4 * static_cast<uint32_t>(index),
                std::bit_cast<uint32_t>(value));
  }

  void SetSeed(uint32_t seed) override { SetRegister(kAllNodes + RegisterOffset("SEED"), seed); }

  RunReport Run(const ProgramStream& stream) override {
    uint32_t mask = 0;
    for (size_t n = 0; n < stream.nodes.size(); ++n) {
      const NodeProgram& node = stream.nodes[n];
      if (node.descriptors.empty()) continue;
      mask |= uint32_t{1} << n;
      const uint32_t page = NodePage(static_cast<int>(n));
      const uint64_t address = node.address % dram_.geometry.Bytes();
      SetRegister(page + RegisterOffset("PROG_ADDR_LO"), static_cast<uint32_t>(address));
      SetRegister(page + RegisterOffset("PROG_ADDR_HI"), static_cast<uint32_t>(address >> 32));
      SetRegister(page + RegisterOffset("PROG_COUNT"),
                  static_cast<uint32_t>(node.descriptors.size()));
    }
    SetRegister(RegisterAddress("NODE_MASK"), mask);
    SetRegister(RegisterAddress("IRQ_STATUS"), 3);
    SetRegister(RegisterAddress("CTRL"), RegisterFieldOf("CTRL", "START").mask());
    Check(run_(device_, options_.max_cycles, options_.disturb, options_.seed), "run");
    RunReport report;
    const uint32_t status = Register(RegisterAddress("STATUS"));
    if (RegisterFieldOf("STATUS", "ERROR").Get(status) != 0) {
      report.error =
          static_cast<isa::ErrorCode>(RegisterFieldOf("STATUS", "ERROR_CODE").Get(status));
      report.error_node = RegisterFieldOf("STATUS", "ERROR_NODE").Get(status);
      report.error_index = Register(RegisterAddress("ERROR_INFO"));
    }
    report.counters.cycles = Counter(RegisterAddress("RUN_CYCLES_LO"));
    for (size_t n = 0; n < stream.nodes.size(); ++n) {
      if (!stream.nodes[n].descriptors.empty()) AddNode(NodePage(static_cast<int>(n)), report);
    }
    return report;
  }

 private:
  // The counters of one node: sums, and the latest time of each tag.
  void AddNode(uint32_t page, RunReport& report) {
    RunCounters& c = report.counters;
    c.mac_cycles += Counter(page + RegisterOffset("MAC_CYCLES_LO"));
    c.dram_reads += Counter(page + RegisterOffset("DRAM_READS_LO"));
    c.dram_writes += Counter(page + RegisterOffset("DRAM_WRITES_LO"));
    c.dram_activates += Counter(page + RegisterOffset("DRAM_ACTIVATES_LO"));
    c.dram_refreshes += Counter(page + RegisterOffset("DRAM_REFRESHES_LO"));
    c.row_misses += Counter(page + RegisterOffset("ROW_MISSES_LO"));
    c.stall_a += Counter(page + RegisterOffset("STALL_A_LO"));
    c.stall_b += Counter(page + RegisterOffset("STALL_B_LO"));
    c.stall_drain += Counter(page + RegisterOffset("STALL_DRAIN_LO"));
    c.stall_load += Counter(page + RegisterOffset("STALL_LOAD_LO"));
    c.stall_store += Counter(page + RegisterOffset("STALL_STORE_LO"));
    c.stall_send += Counter(page + RegisterOffset("STALL_SEND_LO"));
    c.noc_flits += Counter(page + RegisterOffset("NOC_FLITS_LO"));
    c.ecc_corrected += Counter(page + RegisterOffset("ECC_CORRECTED_LO"));
    c.lane_cycles += Counter(page + RegisterOffset("LANE_CYCLES_LO"));
    c.ecc_uncorrectable += Counter(page + RegisterOffset("ECC_UNCORRECTABLE_LO"));
    for (uint32_t tag = 0; tag < report.job_cycles.size(); ++tag) {
      SetRegister(page + RegisterOffset("JOB_INDEX"), tag);
      report.job_cycles[tag] =
          std::max(report.job_cycles[tag], Register(page + RegisterOffset("JOB_CYCLE")));
    }
  }
  void Check(int failed, const char* what) {
    if (failed != 0)
      throw Error(ExitStatus::kInternal, fmt::format("RTL model, {}: {}", what, error_(device_)));
  }
  void SetRegister(uint32_t address, uint32_t value) {
    Check(write_register_(device_, address, value), "register write");
  }
  uint32_t Register(uint32_t address) {
    uint32_t value = 0;
    Check(read_register_(device_, address, &value), "register read");
    return value;
  }
  // Reading the low word latches the high one behind it.
  uint64_t Counter(uint32_t low) {
    const uint64_t value = Register(low);
    return value | uint64_t{Register(low + 4)} << 32;
  }

  ModelLibrary library_;
  VaultDram dram_;
  RtlOptions options_;
  VtDevice* device_ = nullptr;
  decltype(&vt_device_create) create_;
  decltype(&vt_device_destroy) destroy_;
  decltype(&vt_device_error) error_;
  decltype(&vt_device_write_register) write_register_;
  decltype(&vt_device_read_register) read_register_;
  decltype(&vt_device_write) write_;
  decltype(&vt_device_write_dies) write_dies_;
  decltype(&vt_device_read_dies) read_dies_;
  decltype(&vt_device_flip_bits) flip_bits_;
  decltype(&vt_device_run) run_;
  decltype(&vt_device_trace) trace_;
  decltype(&vt_device_probe) probe_;
  decltype(&vt_device_observe) observe_;
};

}  // namespace

void Device::FlipBit(uint64_t /*address*/, int /*bit*/) {
  throw Error(ExitStatus::kInternal, "this device has no dies");
}

fs::path RtlModel(const Variant& variant, const ResourcePaths& resources, bool trace,
                  const std::vector<RtlProbe>& probes) {
  ModelPlan plan;
  plan.label = "variant " + variant.name;
  plan.sources = ModelSources(variant, resources);
  plan.top = std::string(kTopModule);
  plan.harness = {"device_shim", "dram_die"};
  plan.trace = trace;
  for (const RtlProbe& probe : probes) plan.probes[probe.module].insert(probe.name);
  // Several nodes share the one core that is built, unless a trace is to show its inside.
  if (variant.vaults > 1 && !trace) plan.block = "vt_node_core";
  return BuildModel(plan);
}

std::unique_ptr<Device> MakeRtlDevice(const Variant& variant, const VaultDram& dram,
                                      const ResourcePaths& resources, const RtlOptions& options) {
  const fs::path object =
      RtlModel(variant, resources, !options.trace.empty(),
               options.probes != nullptr ? *options.probes : std::vector<RtlProbe>());
  return std::make_unique<RtlDevice>(object, dram, options);
}

}  // namespace vaultrain
