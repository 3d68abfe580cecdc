// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

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
  sources.merge(HarnessSources(resources));
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
    library_.Find(run_, "vt_device_run");
    library_.Find(trace_, "vt_device_trace");
    device_ = create_(&dram_.timing, &dram_.geometry, 0);
    if (!options_.trace.empty()) Check(trace_(device_, options_.trace.c_str()), "trace");
    const uint64_t bytes = dram_.geometry.Bytes();
    SetRegister("WINDOW_SIZE_LO", static_cast<uint32_t>(bytes));
    SetRegister("WINDOW_SIZE_HI", static_cast<uint32_t>(bytes >> 32));
    SetRegister("WATCHDOG", kWatchdog);
    SetRegister("IRQ_ENABLE", 3);
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
  void SetScalar(int index, float value) override {
    SetRegister(RegisterOffset("SCALAR0") + 4 * static_cast<uint32_t>(index),
                std::bit_cast<uint32_t>(value));
  }

  RunReport Run(const ProgramStream& stream) override {
    SetRegister("PROG_ADDR_LO", static_cast<uint32_t>(stream.address));
    SetRegister("PROG_ADDR_HI", static_cast<uint32_t>(stream.address >> 32));
    SetRegister("PROG_COUNT", static_cast<uint32_t>(stream.descriptors.size()));
    SetRegister("IRQ_STATUS", 3);
    SetRegister("CTRL", 1);
    Check(run_(device_, options_.max_cycles, options_.disturb, options_.seed), "run");
    RunReport report;
    const uint32_t status = Register("STATUS");
    if (RegisterFieldOf("STATUS", "ERROR").Get(status) != 0) {
      report.error =
          static_cast<isa::ErrorCode>(RegisterFieldOf("STATUS", "ERROR_CODE").Get(status));
      report.error_index = Register("ERROR_INFO");
    }
    RunCounters& c = report.counters;
    c.cycles = Counter("CYCLES_LO");
    c.mac_cycles = Counter("MAC_CYCLES_LO");
    c.dram_reads = Counter("DRAM_READS_LO");
    c.dram_writes = Counter("DRAM_WRITES_LO");
    c.dram_activates = Counter("DRAM_ACTIVATES_LO");
    c.dram_refreshes = Counter("DRAM_REFRESHES_LO");
    c.row_misses = Counter("ROW_MISSES_LO");
    c.stall_a = Counter("STALL_A_LO");
    c.stall_b = Counter("STALL_B_LO");
    c.stall_drain = Counter("STALL_DRAIN_LO");
    c.stall_load = Counter("STALL_LOAD_LO");
    c.stall_store = Counter("STALL_STORE_LO");
    for (uint32_t tag = 0; tag < report.job_cycles.size(); ++tag) {
      SetRegister("JOB_INDEX", tag);
      report.job_cycles[tag] = Register("JOB_CYCLE");
    }
    return report;
  }

 private:
  void Check(int failed, const char* what) {
    if (failed != 0)
      throw Error(ExitStatus::kInternal, fmt::format("RTL model, {}: {}", what, error_(device_)));
  }
  void SetRegister(Offset offset, uint32_t value) {
    Check(write_register_(device_, offset.value, value), "register write");
  }
  uint32_t Register(Offset offset) {
    uint32_t value = 0;
    Check(read_register_(device_, offset.value, &value), "register read");
    return value;
  }
  // Reading the low word latches the high one behind it.
  uint64_t Counter(Offset low) {
    const uint64_t value = Register(low);
    return value | uint64_t{Register(Offset(low.value + 4))} << 32;
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
  decltype(&vt_device_run) run_;
  decltype(&vt_device_trace) trace_;
};

}  // namespace

std::unique_ptr<Device> MakeRtlDevice(const Variant& variant, const VaultDram& dram,
                                      const ResourcePaths& resources, const RtlOptions& options) {
  ModelPlan plan;
  plan.label = "variant " + variant.name;
  plan.sources = ModelSources(variant, resources);
  plan.top = std::string(kTopModule);
  plan.shim = "device_shim";
  plan.trace = !options.trace.empty();
  const fs::path object = BuildModel(plan);
  return std::make_unique<RtlDevice>(object, dram, options);
}

}  // namespace vaultrain
