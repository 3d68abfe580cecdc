// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The one table of the module's registers, as the host sees them over AXI4-Lite: page 0 is the
// module, page n + 1 is node n, and what is written to the broadcast page goes to every node.
//
// rtl_templates/host/vt_regs.vh, the document and the C++ constants all come from it:
//   constexpr uint32_t address = RegisterAddress("CTRL");
//   constexpr uint32_t in_node_2 = NodePage(2) + RegisterOffset("PROG_COUNT");
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

enum class RegisterPage { kModule, kNode };

enum class RegisterAccess {
  kReadOnly,       // a write is answered with SLVERR
  kReadWrite,      // any time
  kConfig,         // read any time; a write while the module is BUSY: SLVERR, changes nothing
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
  RegisterPage page = RegisterPage::kModule;
  std::string_view name;  // unique over both pages
  uint32_t offset = 0;    // bytes in its page, a multiple of 4
  RegisterAccess access = RegisterAccess::kReadOnly;
  uint32_t reset = 0;
  std::string_view meaning;
  std::array<RegisterField, 5> fields = {};  // those with bits == 0 do not exist
};

inline constexpr int kRegisterPageBits = 12;
inline constexpr int kRegisterAddressBits = 18;
inline constexpr uint32_t kBroadcastPage = 63;
inline constexpr int kMostNodes = 32;
inline constexpr int kRegisterScalars = 8;
inline constexpr int kRegisterJobEntries = 64;
inline constexpr int kRegisterCounters = 17;  // of a node

// The module's page, then a node's, each in ascending order of offset. The reset values of DIGEST0
// to 3, NODES, MESH and NODE_MASK are the variant's and not in the table.
inline constexpr auto kRegisters = std::to_array<Register>({
    {RegisterPage::kModule, "ID", 0x000, RegisterAccess::kReadOnly, 0x5654524e,
     "\"VTRN\" in ASCII, the first letter in the most significant byte"},
    {RegisterPage::kModule,
     "VERSION",
     0x004,
     RegisterAccess::kReadOnly,
     0x00010000,
     "version of this register map; software refuses a major version that it does not know",
     {{{"MAJOR", 16, 16, "changed incompatibly"},
       {"MINOR", 8, 8, "gained registers or fields"},
       {"PATCH", 0, 8, "neither"}}}},
    {RegisterPage::kModule, "DIGEST0", 0x010, RegisterAccess::kReadOnly, 0,
     "variant digest, hexadecimal digits 0 to 7 as they are written"},
    {RegisterPage::kModule, "DIGEST1", 0x014, RegisterAccess::kReadOnly, 0,
     "variant digest, digits 8 to 15"},
    {RegisterPage::kModule, "DIGEST2", 0x018, RegisterAccess::kReadOnly, 0,
     "variant digest, digits 16 to 23"},
    {RegisterPage::kModule, "DIGEST3", 0x01c, RegisterAccess::kReadOnly, 0,
     "variant digest, digits 24 to 31"},
    {RegisterPage::kModule,
     "CTRL",
     0x020,
     RegisterAccess::kPulse,
     0,
     "commands to the nodes",
     {{{"START", 0, 1,
        "run the programs of the nodes in NODE_MASK, all from one cycle on; clears STATUS, "
        "ERROR_INFO and the counters; SLVERR while BUSY or if NODE_MASK is empty"},
       {"ABORT", 1, 1, "stop every node after the job under way; no effect while idle"}}}},
    {RegisterPage::kModule,
     "STATUS",
     0x024,
     RegisterAccess::kReadOnly,
     0,
     "state of the last run",
     {{{"BUSY", 0, 1, "running, from START until DONE or ERROR"},
       {"DONE", 1, 1, "all nodes ended well and both meshes came to rest, until the next START"},
       {"ERROR", 2, 1, "ended or refused with an error, until the next START"},
       {"ERROR_CODE", 8, 8, "code of the first error, 0 if none"},
       {"ERROR_NODE", 16, 5, "node of the first error"}}}},
    {RegisterPage::kModule, "ERROR_INFO", 0x028, RegisterAccess::kReadOnly, 0,
     "index of the offending descriptor in the program of ERROR_NODE"},
    {RegisterPage::kModule,
     "IRQ_ENABLE",
     0x02c,
     RegisterAccess::kReadWrite,
     0,
     "1: the event in IRQ_STATUS raises the interrupt",
     {{{"DONE", 0, 1, "run ended well"}, {"ERROR", 1, 1, "run ended with an error"}}}},
    {RegisterPage::kModule,
     "IRQ_STATUS",
     0x030,
     RegisterAccess::kWriteOneClear,
     0,
     "events since they were last cleared; an event in the cycle of its clearing stays",
     {{{"DONE", 0, 1, "run ended well"}, {"ERROR", 1, 1, "run ended with an error"}}}},
    {RegisterPage::kModule, "NODES", 0x034, RegisterAccess::kReadOnly, 0,
     "nodes, each with one vault"},
    {RegisterPage::kModule,
     "MESH",
     0x038,
     RegisterAccess::kReadOnly,
     0,
     "shape of the mesh; node n stands in column n % X and row n / X",
     {{{"X", 0, 8, "columns"}, {"Y", 8, 8, "rows"}}}},
    {RegisterPage::kModule, "NODE_MASK", 0x03c, RegisterAccess::kConfig, 0,
     "bit n: START starts node n; all after reset"},
    {RegisterPage::kModule, "RUN_CYCLES_LO", 0x100, RegisterAccess::kReadOnly, 0,
     "cycles from START to the end"},
    {RegisterPage::kModule, "RUN_CYCLES_HI", 0x104, RegisterAccess::kReadOnly, 0,
     "bits 63..32, as of the last RUN_CYCLES_LO"},
    {RegisterPage::kNode,
     "NODE_STATUS",
     0x024,
     RegisterAccess::kReadOnly,
     0,
     "state of the node's last program",
     {{{"BUSY", 0, 1, "running"},
       {"DONE", 1, 1, "ended well, until the next START"},
       {"ERROR", 2, 1, "ended or refused with an error, until the next START"},
       {"ERROR_CODE", 8, 8, "code of the error, 0 if none"}}}},
    {RegisterPage::kNode, "NODE_ERROR_INFO", 0x028, RegisterAccess::kReadOnly, 0,
     "index of the offending descriptor"},
    {RegisterPage::kNode, "WATCHDOG", 0x034, RegisterAccess::kConfig, 0,
     "cycles without progress until the sequencer gives an error; 0 is never"},
    {RegisterPage::kNode, "SEED", 0x038, RegisterAccess::kConfig, 0,
     "where the random numbers that round results start in the next run; the node's place in the "
     "mesh is added"},
    {RegisterPage::kNode, "PROG_ADDR_LO", 0x040, RegisterAccess::kConfig, 0,
     "byte address of the first descriptor in the node's vault, bits 31..0"},
    {RegisterPage::kNode, "PROG_ADDR_HI", 0x044, RegisterAccess::kConfig, 0, "bits 63..32"},
    {RegisterPage::kNode, "PROG_COUNT", 0x048, RegisterAccess::kConfig, 0,
     "descriptors in the program"},
    {RegisterPage::kNode, "WINDOW_BASE_LO", 0x050, RegisterAccess::kConfig, 0,
     "first byte of the vault that a program may touch, bits 31..0"},
    {RegisterPage::kNode, "WINDOW_BASE_HI", 0x054, RegisterAccess::kConfig, 0, "bits 63..32"},
    {RegisterPage::kNode, "WINDOW_SIZE_LO", 0x058, RegisterAccess::kConfig, 0,
     "bytes of that window, bits 31..0"},
    {RegisterPage::kNode, "WINDOW_SIZE_HI", 0x05c, RegisterAccess::kConfig, 0, "bits 63..32"},
    {RegisterPage::kNode,
     "FAULT",
     0x060,
     RegisterAccess::kReadWrite,
     0,
     "faults for self-test; a lost credit comes back with a reset only",
     {{{"DROP_CREDIT", 0, 4,
        "1: the next credit from the north, east, south, west of the data mesh is lost; reads 1 "
        "until it was"},
       {"FREEZE", 8, 1, "1: the node fetches no descriptors, so it gets stuck"}}}},
    {RegisterPage::kNode, "SCALAR0", 0x080, RegisterAccess::kConfig, 0,
     "fp32 scalar that descriptors refer to, such as the learning rate"},
    {RegisterPage::kNode, "SCALAR1", 0x084, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "SCALAR2", 0x088, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "SCALAR3", 0x08c, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "SCALAR4", 0x090, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "SCALAR5", 0x094, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "SCALAR6", 0x098, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "SCALAR7", 0x09c, RegisterAccess::kConfig, 0, "fp32 scalar"},
    {RegisterPage::kNode, "CYCLES_LO", 0x100, RegisterAccess::kReadOnly, 0,
     "cycles from START to the node's end"},
    {RegisterPage::kNode, "CYCLES_HI", 0x104, RegisterAccess::kReadOnly, 0,
     "bits 63..32, as of the last CYCLES_LO"},
    {RegisterPage::kNode, "MAC_CYCLES_LO", 0x108, RegisterAccess::kReadOnly, 0,
     "cycles in which the PE array computed"},
    {RegisterPage::kNode, "MAC_CYCLES_HI", 0x10c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "DRAM_READS_LO", 0x110, RegisterAccess::kReadOnly, 0,
     "accesses read from the dies"},
    {RegisterPage::kNode, "DRAM_READS_HI", 0x114, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "DRAM_WRITES_LO", 0x118, RegisterAccess::kReadOnly, 0,
     "accesses written to the dies"},
    {RegisterPage::kNode, "DRAM_WRITES_HI", 0x11c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "DRAM_ACTIVATES_LO", 0x120, RegisterAccess::kReadOnly, 0,
     "rows activated"},
    {RegisterPage::kNode, "DRAM_ACTIVATES_HI", 0x124, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "DRAM_REFRESHES_LO", 0x128, RegisterAccess::kReadOnly, 0,
     "refreshes given"},
    {RegisterPage::kNode, "DRAM_REFRESHES_HI", 0x12c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "ROW_MISSES_LO", 0x130, RegisterAccess::kReadOnly, 0,
     "accesses that found another row or none open"},
    {RegisterPage::kNode, "ROW_MISSES_HI", 0x134, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "STALL_A_LO", 0x138, RegisterAccess::kReadOnly, 0,
     "cycles the array starved of operand A"},
    {RegisterPage::kNode, "STALL_A_HI", 0x13c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "STALL_B_LO", 0x140, RegisterAccess::kReadOnly, 0,
     "cycles the array starved of operand B"},
    {RegisterPage::kNode, "STALL_B_HI", 0x144, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "STALL_DRAIN_LO", 0x148, RegisterAccess::kReadOnly, 0,
     "cycles the array waited for room in the accumulators"},
    {RegisterPage::kNode, "STALL_DRAIN_HI", 0x14c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "STALL_LOAD_LO", 0x150, RegisterAccess::kReadOnly, 0,
     "cycles a load waited for memory"},
    {RegisterPage::kNode, "STALL_LOAD_HI", 0x154, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "STALL_STORE_LO", 0x158, RegisterAccess::kReadOnly, 0,
     "cycles a store waited for memory"},
    {RegisterPage::kNode, "STALL_STORE_HI", 0x15c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "STALL_SEND_LO", 0x160, RegisterAccess::kReadOnly, 0,
     "cycles a send waited for the mesh"},
    {RegisterPage::kNode, "STALL_SEND_HI", 0x164, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "NOC_FLITS_LO", 0x168, RegisterAccess::kReadOnly, 0,
     "flits that the cluster gave to the meshes"},
    {RegisterPage::kNode, "NOC_FLITS_HI", 0x16c, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "ECC_CORRECTED_LO", 0x170, RegisterAccess::kReadOnly, 0,
     "errors of one bit that were corrected in data read"},
    {RegisterPage::kNode, "ECC_CORRECTED_HI", 0x174, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode, "ECC_UNCORRECTABLE_LO", 0x178, RegisterAccess::kReadOnly, 0,
     "errors in data read that could not be corrected"},
    {RegisterPage::kNode, "ECC_UNCORRECTABLE_HI", 0x17c, RegisterAccess::kReadOnly, 0,
     "bits 63..32"},
    {RegisterPage::kNode, "LANE_CYCLES_LO", 0x180, RegisterAccess::kReadOnly, 0,
     "cycles in which a LANES job ran"},
    {RegisterPage::kNode, "LANE_CYCLES_HI", 0x184, RegisterAccess::kReadOnly, 0, "bits 63..32"},
    {RegisterPage::kNode,
     "JOB_INDEX",
     0x200,
     RegisterAccess::kWriteOnly,
     0,
     "entry of the table of job times that JOB_CYCLE shows",
     {{{"INDEX", 0, 6, "entry"}}}},
    {RegisterPage::kNode, "JOB_CYCLE", 0x204, RegisterAccess::kReadOnly, 0,
     "time stamp of that entry, in cycles since START, modulo 2^32"},
});

// The register of that name. Throws std::out_of_range, at compile time where it can.
constexpr const Register& RegisterOf(std::string_view name) {
  for (const Register& reg : kRegisters) {
    if (reg.name == name) return reg;
  }
  throw std::out_of_range("no such register");
}

// Bytes from the start of its page.
consteval uint32_t RegisterOffset(std::string_view name) { return RegisterOf(name).offset; }

// Where the page of a node begins.
constexpr uint32_t NodePage(int node) {
  return static_cast<uint32_t>(node + 1) << kRegisterPageBits;
}
inline constexpr uint32_t kAllNodes = kBroadcastPage << kRegisterPageBits;

// Byte address of a register of the module's page.
consteval uint32_t RegisterAddress(std::string_view name) {
  if (RegisterOf(name).page != RegisterPage::kModule) throw std::out_of_range("a node's register");
  return RegisterOf(name).offset;
}

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
