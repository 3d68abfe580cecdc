// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What runs programs: the Verilated module with its dies, or the golden model. Both take the same
// program file and answer with the same bits.

#ifndef VAULTRAIN_DEVICE_H_
#define VAULTRAIN_DEVICE_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vaultrain/isa.h"
#include "vaultrain/paths.h"
#include "vaultrain/program.h"
#include "vaultrain/variant.h"
#include "vaultrain/vault_dram.h"

namespace vaultrain {

// Counters of a run, summed over the nodes; what an engine does not measure is 0.
struct RunCounters {
  uint64_t cycles = 0;  // of the module, start to done
  uint64_t mac_cycles = 0;
  uint64_t dram_reads = 0;  // accesses
  uint64_t dram_writes = 0;
  uint64_t dram_activates = 0;
  uint64_t dram_refreshes = 0;
  uint64_t row_misses = 0;
  uint64_t stall_a = 0;
  uint64_t stall_b = 0;
  uint64_t stall_drain = 0;
  uint64_t stall_load = 0;
  uint64_t stall_store = 0;
  uint64_t stall_send = 0;
  uint64_t noc_flits = 0;
  uint64_t ecc_corrected = 0;
  uint64_t ecc_uncorrectable = 0;
  uint64_t lane_cycles = 0;  // in which a LANES job ran
};

struct RunReport {
  isa::ErrorCode error = isa::ErrorCode::kNone;
  uint32_t error_index = 0;  // descriptor
  uint32_t error_node = 0;
  RunCounters counters;
  // When the last vector job of each tag completed on the last node.
  std::array<uint32_t, isa::kTags> job_cycles{};
};

class Device {
 public:
  virtual ~Device() = default;

  // Memory as a program starts with it, in no simulated time.
  virtual void Load(std::span<const ProgramSegment> image) = 0;
  // As the host writes it, between runs.
  virtual void Write(uint64_t address, std::span<const uint8_t> bytes) = 0;
  // What the dies hold.
  virtual void Read(uint64_t address, std::span<uint8_t> bytes) = 0;
  // Flips one bit of the 64-bit word at an address, a multiple of 8, in the dies: 0 to 63 of the
  // data, 64 to 71 of the check bits of dram.ecc. Throws Error(kInternal) where there are no dies.
  virtual void FlipBit(uint64_t address, int bit);
  virtual void SetScalar(int index, float value) = 0;
  // Where the random numbers that round start in the next runs, at first 0.
  virtual void SetSeed(uint32_t seed) = 0;
  // Runs one stream from vault memory to its end.
  virtual RunReport Run(const ProgramStream& stream) = 0;
};

// A variable of one instance, a port or a register, that an observer sees in every cycle.
struct RtlProbe {
  std::string module;  // as the RTL's source names it
  std::string scope;   // instance, or generate block: "vt_memory_module.u_node_0.u_core"
  std::string name;
  int element = -1;                // of an array; negative: none
  const uint8_t* value = nullptr;  // set by MakeRtlDevice: its bits, little-endian, with the device
};

struct RtlOptions {
  std::filesystem::path trace;  // FST file; empty: none
  uint32_t disturb = 0;  // host bursts that disturb the vault's timing: beginnings in 1024 cycles
  uint64_t seed = 1;     // of the disturbance
  uint64_t max_cycles = uint64_t{1} << 36;  // of a run, then it throws
  // Shown to `observe` in every cycle from reset on, settled, before the rising edge.
  std::vector<RtlProbe>* probes = nullptr;
  std::function<void()> observe;
};

// The shared object behind harness/device_abi.h, which is built if the cache lacks it:
// ${XDG_CACHE_HOME:-~/.cache}/vaultrain/models/DIGEST/device.so, by the digest of the RTL, the
// harness, the Verilator version and the flags. Throws Error(kToolMissing) if Verilator or the
// compiler is missing or fails.
std::filesystem::path RtlModel(const Variant& variant, const ResourcePaths& resources, bool trace,
                               const std::vector<RtlProbe>& probes = {});

// A device on that model. Runs throw Error(kInternal) if the dies see a rule broken or the module
// does not come to an end.
std::unique_ptr<Device> MakeRtlDevice(const Variant& variant, const VaultDram& dram,
                                      const ResourcePaths& resources, const RtlOptions& options);

std::unique_ptr<Device> MakeGoldenDevice(const Variant& variant, const VaultDram& dram);

// ---- comparing

struct Mismatch {
  std::string tensor;
  int64_t index = 0;  // row * cols + col
  uint32_t rtl = 0;   // bits
  uint32_t golden = 0;
};

// The first value in which two devices differ, over all tensors of a program, or nothing.
std::optional<Mismatch> CompareTensors(const Program& program, Device& rtl, Device& golden);

}  // namespace vaultrain

#endif  // VAULTRAIN_DEVICE_H_
