// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The one table of the module's registers, as the host sees them over AXI4-Lite.
//
// rtl_templates/host/vt_regs.vh, the document and the C++ constants all come from it:
//   constexpr uint32_t offset = RegisterOffset("CTRL");
//   constexpr RegisterField busy = RegisterFieldOf("STATUS", "BUSY");
// A name that the table does not know fails to compile.

#ifndef VAULTRAIN_REGISTERS_H_
#define VAULTRAIN_REGISTERS_H_

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vaultrain {

enum class RegisterAccess {
  kReadOnly,       // a write is answered with SLVERR
  kReadWrite,      // any time
  kConfig,         // read any time; a write while BUSY changes nothing and is answered with SLVERR
  kWriteOneClear,  // writing 1 to a bit clears it
  kPulse,          // writing 1 to a bit makes a pulse of one cycle; reads as 0
  kWriteOnly,      // reads as 0
};

struct RegisterField {
  std::string_view name;
  int lsb = 0;
  int bits = 0;
  std::string_view meaning;

  constexpr uint32_t mask() const {
    return static_cast<uint32_t>(((uint64_t{1} << bits) - 1) << lsb);
  }
  constexpr uint32_t Get(uint32_t word) const { return (word & mask()) >> lsb; }
  constexpr uint32_t Put(uint32_t value) const { return (value << lsb) & mask(); }
};

struct Register {
  std::string_view name;
  uint32_t offset = 0;  // bytes, a multiple of 4
  RegisterAccess access = RegisterAccess::kReadOnly;
  uint32_t reset = 0;
  std::string_view meaning;
  std::array<RegisterField, 4> fields = {};  // those with bits == 0 do not exist
};

inline constexpr int kRegisterAddressBits = 12;
inline constexpr int kRegisterScalars = 8;
inline constexpr int kRegisterJobEntries = 64;
inline constexpr int kRegisterCounters = 12;

// In ascending order of offset. DIGEST0 to 3 show the variant, so their reset value is not in the
// table.
inline constexpr auto kRegisters = std::to_array<Register>({
    {"ID", 0x000, RegisterAccess::kReadOnly, 0x5654524e,
     "\"VTRN\" in ASCII, the first letter in the most significant byte"},
    {"VERSION",
     0x004,
     RegisterAccess::kReadOnly,
     0x00000100,
     "version of this register map; software refuses a major version that it does not know",
     {{{"MAJOR", 16, 16, "changed incompatibly"},
       {"MINOR", 8, 8, "gained registers or fields"},
       {"PATCH", 0, 8, "neither"}}}},
    {"DIGEST0", 0x010, RegisterAccess::kReadOnly, 0,
     "variant digest, hexadecimal digits 0 to 7 as they are written"},
    {"DIGEST1", 0x014, RegisterAccess::kReadOnly, 0, "variant digest, digits 8 to 15"},
    {"DIGEST2", 0x018, RegisterAccess::kReadOnly, 0, "variant digest, digits 16 to 23"},
    {"DIGEST3", 0x01c, RegisterAccess::kReadOnly, 0, "variant digest, digits 24 to 31"},
    {"CTRL",
     0x020,
     RegisterAccess::kPulse,
     0,
     "commands to the sequencer",
     {{{"START", 0, 1,
        "run the program; clears STATUS, ERROR_INFO and the counters; while BUSY: SLVERR"},
       {"ABORT", 1, 1, "stop after the job under way; no effect while idle"}}}},
    {"STATUS",
     0x024,
     RegisterAccess::kReadOnly,
     0,
     "state of the last program",
     {{{"BUSY", 0, 1, "running, from START until DONE or ERROR"},
       {"DONE", 1, 1, "ended well, until the next START"},
       {"ERROR", 2, 1, "ended or refused with an error, until the next START"},
       {"ERROR_CODE", 8, 8, "code of the first error, 0 if none"}}}},
    {"ERROR_INFO", 0x028, RegisterAccess::kReadOnly, 0, "index of the offending descriptor"},
    {"IRQ_ENABLE",
     0x02c,
     RegisterAccess::kReadWrite,
     0,
     "1: the event in IRQ_STATUS raises the interrupt",
     {{{"DONE", 0, 1, "program ended well"}, {"ERROR", 1, 1, "an error came up"}}}},
    {"IRQ_STATUS",
     0x030,
     RegisterAccess::kWriteOneClear,
     0,
     "events since they were last cleared; an event in the cycle of its clearing stays",
     {{{"DONE", 0, 1, "program ended well"}, {"ERROR", 1, 1, "an error came up"}}}},
    {"WATCHDOG", 0x034, RegisterAccess::kConfig, 0,
     "cycles without progress until the sequencer gives an error; 0 is never"},
    {"PROG_ADDR_LO", 0x040, RegisterAccess::kConfig, 0,
     "byte address of the first descriptor, bits 31..0"},
    {"PROG_ADDR_HI", 0x044, RegisterAccess::kConfig, 0, "bits 63..32"},
    {"PROG_COUNT", 0x048, RegisterAccess::kConfig, 0, "descriptors in the program"},
    {"WINDOW_BASE_LO", 0x050, RegisterAccess::kConfig, 0,
     "first byte of the memory that a program may touch, bits 31..0"},
    {"WINDOW_BASE_HI", 0x054, RegisterAccess::kConfig, 0, "bits 63..32"},
    {"WINDOW_SIZE_LO", 0x058, RegisterAccess::kConfig, 0, "bytes of that window, bits 31..0"},
    {"WINDOW_SIZE_HI", 0x05c, RegisterAccess::kConfig, 0, "bits 63..32"},
    {"SCALAR0", 0x080, RegisterAccess::kConfig, 0,
     "fp32 scalar that descriptors refer to, such as the learning rate"},
    {"SCALAR1", 0x084, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"SCALAR2", 0x088, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"SCALAR3", 0x08c, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"SCALAR4", 0x090, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"SCALAR5", 0x094, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"SCALAR6", 0x098, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"SCALAR7", 0x09c, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {"CYCLES_LO", 0x100, RegisterAccess::kReadOnly, 0, "cycles from START to the end"},
    {"CYCLES_HI", 0x104, RegisterAccess::kReadOnly, 0, "bits 63..32, as of the last CYCLES_LO"},
    {"MAC_CYCLES_LO", 0x108, RegisterAccess::kReadOnly, 0, "cycles in which the PE array computed"},
    {"MAC_CYCLES_HI", 0x10c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"DRAM_READS_LO", 0x110, RegisterAccess::kReadOnly, 0, "accesses read from the dies"},
    {"DRAM_READS_HI", 0x114, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"DRAM_WRITES_LO", 0x118, RegisterAccess::kReadOnly, 0, "accesses written to the dies"},
    {"DRAM_WRITES_HI", 0x11c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"DRAM_ACTIVATES_LO", 0x120, RegisterAccess::kReadOnly, 0, "rows activated"},
    {"DRAM_ACTIVATES_HI", 0x124, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"DRAM_REFRESHES_LO", 0x128, RegisterAccess::kReadOnly, 0, "refreshes given"},
    {"DRAM_REFRESHES_HI", 0x12c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"ROW_MISSES_LO", 0x130, RegisterAccess::kReadOnly, 0,
     "accesses that found another row or none open"},
    {"ROW_MISSES_HI", 0x134, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"STALL_A_LO", 0x138, RegisterAccess::kReadOnly, 0, "cycles the array starved of operand A"},
    {"STALL_A_HI", 0x13c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"STALL_B_LO", 0x140, RegisterAccess::kReadOnly, 0, "cycles the array starved of operand B"},
    {"STALL_B_HI", 0x144, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"STALL_DRAIN_LO", 0x148, RegisterAccess::kReadOnly, 0,
     "cycles the array waited for room in the accumulators"},
    {"STALL_DRAIN_HI", 0x14c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"STALL_LOAD_LO", 0x150, RegisterAccess::kReadOnly, 0, "cycles a load waited for memory"},
    {"STALL_LOAD_HI", 0x154, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"STALL_STORE_LO", 0x158, RegisterAccess::kReadOnly, 0, "cycles a store waited for memory"},
    {"STALL_STORE_HI", 0x15c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {"JOB_INDEX",
     0x200,
     RegisterAccess::kWriteOnly,
     0,
     "entry of the table of job times that JOB_CYCLE shows",
     {{{"INDEX", 0, 6, "entry"}}}},
    {"JOB_CYCLE", 0x204, RegisterAccess::kReadOnly, 0,
     "time stamp of that entry, in cycles since START, modulo 2^32"},
});

// The register of that name. Throws std::out_of_range, at compile time where it can.
constexpr const Register& RegisterOf(std::string_view name) {
  for (const Register& reg : kRegisters) {
    if (reg.name == name) return reg;
  }
  throw std::out_of_range("no such register");
}

consteval uint32_t RegisterOffset(std::string_view name) { return RegisterOf(name).offset; }

consteval RegisterField RegisterFieldOf(std::string_view reg, std::string_view field) {
  for (const RegisterField& candidate : RegisterOf(reg).fields) {
    if (candidate.bits > 0 && candidate.name == field) return candidate;
  }
  throw std::out_of_range("no such field");
}

// The short name that documents use: RO, RW, ...
std::string_view RegisterAccessName(RegisterAccess access);

// rtl_templates/host/vt_regs.vh: VT_REG_<NAME> is an offset, VT_REG_<NAME>_<FIELD> a bit range.
std::string RegistersVerilog();

// The document for people who write software.
std::string RegistersMarkdown();

}  // namespace vaultrain

#endif  // VAULTRAIN_REGISTERS_H_
