// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Compiled together with the Verilated module Vmodule into one shared object, see device_abi.h.

#include <Vmodule.h>
#include <verilated.h>
#include <verilated_sym_props.h>
#include <verilated_syms.h>
#ifdef VT_TRACE
#include <verilated_fst_c.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "harness/axi_driver.h"
#include "harness/device_abi.h"
#include "harness/dram_die.h"
#include "harness/vault_ports.h"

namespace {

using vaultrain::AxiLiteMaster;
using vaultrain::AxiMaster;
using vaultrain::AxiRead;
using vaultrain::DramDie;
using vaultrain::kVaults;
using vaultrain::VaultPins;

// Cycles after the interrupt by which every beat has reached the dies: more than any tCWL and a
// burst.
constexpr int kBeatsBehind = 64;

// Stands in for the AXI4 driver where the data width is not 64.
template <typename Model>
class NoAxiMaster {
 public:
  explicit NoAxiMaster(Model&) {}
  void Drive() {}
  void Sample() {}
};
template <typename Model>
using MemoryPort =
    std::conditional_t<sizeof(Model::s_axi_wdata_i) == 8, AxiMaster<Model>, NoAxiMaster<Model>>;

// Ports of up to 64 bits, and the wide ones of Verilator.
template <typename Port>
void FromPort(const Port& port, uint64_t* words) {
  if constexpr (std::is_integral_v<Port>) {
    words[0] = port;
  } else {
    std::memcpy(words, &port, sizeof(Port));
  }
}
template <typename Port>
void ToPort(const uint64_t* words, Port& port) {
  if constexpr (std::is_integral_v<Port>) {
    port = static_cast<Port>(words[0]);
  } else {
    std::memcpy(&port, words, sizeof(Port));
  }
}

// Scopes by the path of instances alone: a module Verilated apart stands in a scope of its own
// name.
std::map<std::string, const VerilatedScope*> ScopesOf(VerilatedContext& context) {
  std::map<std::string, const VerilatedScope*> scopes;
  for (const auto& [name, scope] : *context.scopeNameMap()) {
    std::string path;
    for (const char* at = name; *at != '\0';) {
      const size_t length = std::strcspn(at, ".");
      const std::string part(at, length);
      if (part != "TOP" && (path.empty() || part.compare(0, 3, "vt_") != 0)) {
        path += (path.empty() ? "" : ".") + part;
      }
      at += length + (at[length] == '.');
    }
    scopes[path] = scope;
  }
  return scopes;
}

}  // namespace

struct VtDevice {
  VtDevice(const vaultrain::DramTiming& timing, const vaultrain::DramGeometry& geometry,
           uint8_t fill)
      : module(&context), vault_bytes(geometry.Bytes()), registers(module), memory(module) {
    for (int vault = 0; vault < kVaults; ++vault) dies.emplace_back(timing, geometry, fill);
    Reset();
  }

  void Reset() {
    module.rst_ni = 0;
    for (int i = 0; i < 4; ++i) Cycle();
    module.rst_ni = 1;
    for (DramDie& die : dies) die.Reset();
    Cycle();
  }

  // One clock cycle without the host's drivers.
  void Cycle() {
    module.clk_i = 0;
    module.eval();
    Edge();
  }

  // One clock cycle with both drivers.
  void HostCycle() {
    module.clk_i = 0;
    registers.Drive();
    memory.Drive();
    module.eval();
    registers.Sample();
    memory.Sample();
    Edge();
  }

  // The rising edge; then the dies answer what the pins show.
  void Edge() {
    Dump();
    if (observe) observe(observe_context);
    module.clk_i = 1;
    module.eval();
    vaultrain::ForEachVault(
        module, [this](int vault, const auto& cmd, const auto& bank, const auto& row,
                       const auto& col, const auto& wdata, const auto& wmask, auto& rdata) {
          VaultPins& p = pins[static_cast<size_t>(vault)];
          p.cmd = cmd;
          p.bank = bank;
          p.row = row;
          p.col = col;
          p.wmask = wmask;
          FromPort(wdata, p.wdata.data());
          dies[static_cast<size_t>(vault)].Tick(p);
          ToPort(p.rdata.data(), rdata);
        });
    Dump();
    ++cycles;
  }

  void Dump() {
#ifdef VT_TRACE
    if (trace) trace->dump(2 * cycles + module.clk_i);
#endif
  }

  // Bytes of the module's memory straight in the dies, piece by piece: action(die, address in its
  // vault, place in the bytes, size). Throws std::out_of_range beyond the last vault.
  template <typename Action>
  void InDies(uint64_t address, uint64_t size, Action&& action) {
    for (uint64_t at = 0; at < size;) {
      const uint64_t offset = (address + at) % vault_bytes;
      const uint64_t piece = std::min(size - at, vault_bytes - offset);
      action(dies.at((address + at) / vault_bytes), offset, at, piece);
      at += piece;
    }
  }

  // The first rule that a die saw broken, with the vault in front; empty if none.
  std::string Violation() const {
    for (size_t vault = 0; vault < dies.size(); ++vault) {
      if (dies[vault].violation()) {
        return "vault " + std::to_string(vault) + ": " + dies[vault].violation()->Text();
      }
    }
    return "";
  }

  VerilatedContext context;
  Vmodule module;
  uint64_t vault_bytes;
  std::vector<DramDie> dies;
  std::array<VaultPins, kVaults> pins{};
  AxiLiteMaster<Vmodule> registers;
  MemoryPort<Vmodule> memory;
  uint64_t cycles = 0;
  std::map<std::string, const VerilatedScope*> scopes;  // by path, once there is a probe
  void (*observe)(void*) = nullptr;
  void* observe_context = nullptr;
  std::string error;
#ifdef VT_TRACE
  std::unique_ptr<VerilatedFstC> trace;
#endif
};

namespace {

void WriteDies(VtDevice* device, uint64_t address, const uint8_t* bytes, uint64_t size) {
  device->InDies(address, size, [&](DramDie& die, uint64_t offset, uint64_t at, uint64_t piece) {
    die.Write(offset, std::span(bytes + at, piece));
  });
}
void ReadDies(VtDevice* device, uint64_t address, uint8_t* bytes, uint64_t size) {
  device->InDies(address, size, [&](DramDie& die, uint64_t offset, uint64_t at, uint64_t piece) {
    die.Read(offset, std::span(bytes + at, piece));
  });
}

// Runs `action`; an exception or a broken rule of the dies becomes the error of the device.
template <typename Action>
int Guard(VtDevice* device, Action&& action) {
  try {
    device->error.clear();
    action();
    if (std::string broken = device->Violation(); !broken.empty()) device->error = broken;
  } catch (const std::exception& e) {
    device->error = e.what();
  }
  return device->error.empty() ? 0 : 1;
}

}  // namespace

extern "C" {

VtDevice* vt_device_create(const vaultrain::DramTiming* timing,
                           const vaultrain::DramGeometry* geometry, uint8_t fill) {
  return new VtDevice(*timing, *geometry, fill);
}

void vt_device_destroy(VtDevice* device) { delete device; }

const char* vt_device_error(VtDevice* device) { return device->error.c_str(); }

uint64_t vt_device_cycles(VtDevice* device) { return device->cycles; }

int vt_device_vaults(VtDevice*) { return kVaults; }

int vt_device_write_register(VtDevice* device, uint32_t address, uint32_t data) {
  return Guard(device, [&] {
    const auto result = device->registers.Write(address, data, [&] { device->HostCycle(); });
    if (result.response != vaultrain::AxiResponse::kOkay)
      device->error = "the register refused the write";
  });
}

int vt_device_read_register(VtDevice* device, uint32_t address, uint32_t* data) {
  return Guard(device, [&] {
    const auto result = device->registers.Read(address, [&] { device->HostCycle(); });
    if (result.response != vaultrain::AxiResponse::kOkay)
      device->error = "the register refused the read";
    *data = result.data;
  });
}

int vt_device_write(VtDevice* device, uint64_t address, const uint8_t* bytes, uint64_t size) {
  return Guard(device, [&] {
    if constexpr (sizeof(Vmodule::s_axi_wdata_i) == 8) {
      device->memory.WriteMemory(address, std::span(bytes, size), [&] { device->HostCycle(); });
    } else {
      WriteDies(device, address, bytes, size);
    }
  });
}

int vt_device_read(VtDevice* device, uint64_t address, uint8_t* bytes, uint64_t size) {
  return Guard(device, [&] {
    if constexpr (sizeof(Vmodule::s_axi_wdata_i) == 8) {
      device->memory.ReadMemory(address, std::span(bytes, size), [&] { device->HostCycle(); });
    } else {
      ReadDies(device, address, bytes, size);
    }
  });
}

int vt_device_write_dies(VtDevice* device, uint64_t address, const uint8_t* bytes, uint64_t size) {
  return Guard(device, [&] { WriteDies(device, address, bytes, size); });
}

int vt_device_read_dies(VtDevice* device, uint64_t address, uint8_t* bytes, uint64_t size) {
  return Guard(device, [&] { ReadDies(device, address, bytes, size); });
}

int vt_device_flip_bits(VtDevice* device, uint64_t address, uint64_t data, uint8_t check) {
  return Guard(device, [&] {
    device->dies.at(address / device->vault_bytes).Flip(address % device->vault_bytes, data, check);
  });
}

int vt_device_run(VtDevice* device, uint64_t max_cycles, uint32_t disturb, uint64_t seed) {
  return Guard(device, [&] {
    Vmodule& module = device->module;
    const uint64_t end = device->cycles + max_cycles;
    if (disturb == 0 || sizeof(Vmodule::s_axi_wdata_i) != 8) {
      while (!module.irq_o && device->cycles < end) device->Cycle();
    } else {
      if constexpr (sizeof(Vmodule::s_axi_wdata_i) == 8) {
        std::mt19937_64 random(seed);
        while ((!module.irq_o || !device->memory.Idle()) && device->cycles < end) {
          if (!module.irq_o && device->memory.Idle() && random() % 1024 < disturb) {
            AxiRead read;
            const uint64_t pages = device->vault_bytes / 4096 * kVaults;
            read.address = random() % pages * 4096 + random() % 64 * 8;
            read.beats = 1 + static_cast<int>(random() % 64);
            device->memory.Queue(read);
          }
          device->memory.reads_done().clear();
          device->HostCycle();
        }
      }
    }
    // The last writes are commanded by then; their beats are still on the pins.
    for (int i = 0; i < kBeatsBehind; ++i) device->Cycle();
    if (!module.irq_o) device->error = "no interrupt within the cycles granted";
  });
}

int vt_device_probe(VtDevice* device, const char* scope, const char* name, int element,
                    const uint8_t** value) {
  return Guard(device, [&] {
    if (device->scopes.empty()) device->scopes = ScopesOf(device->context);
    const auto found = device->scopes.find(scope);
    const VerilatedVar* var =
        found != device->scopes.end() ? found->second->varFind(name) : nullptr;
    if (var == nullptr || (var->udims() > 0) != (element >= 0)) {
      device->error = std::string("no variable ") + scope + "." + name;
      return;
    }
    *value = static_cast<const uint8_t*>(var->datap());
    if (element >= 0)
      *value += static_cast<ptrdiff_t>(var->entSize()) * (element - var->unpacked().low());
  });
}

void vt_device_observe(VtDevice* device, void (*observe)(void*), void* context) {
  device->observe = observe;
  device->observe_context = context;
  device->Reset();
}

int vt_device_trace(VtDevice* device, const char* path) {
  return Guard(device, [&] {
#ifdef VT_TRACE
    device->context.traceEverOn(true);
    device->trace = std::make_unique<VerilatedFstC>();
    device->module.trace(device->trace.get(), 99);
    device->trace->open(path);
#else
    (void)path;
    device->error = "this model was built without tracing";
#endif
  });
}

}  // extern "C"
