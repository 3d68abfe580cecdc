// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/registers.h"

#include <fmt/format.h>

#include "vaultrain/verilog_header.h"

namespace vaultrain {

std::string_view RegisterAccessName(RegisterAccess access) {
  switch (access) {
    case RegisterAccess::kReadOnly:
      return "RO";
    case RegisterAccess::kReadWrite:
      return "RW";
    case RegisterAccess::kConfig:
      return "RW, locked while BUSY";
    case RegisterAccess::kWriteOneClear:
      return "W1C";
    case RegisterAccess::kPulse:
      return "pulse";
    case RegisterAccess::kWriteOnly:
      return "WO";
  }
  return "";
}

std::string RegistersVerilog() {
  VerilogHeader header(
      "Offsets and fields of the module's registers.\n"
      "\n"
      "Written from the table in generator/include/vaultrain/registers.h; edit that, then run\n"
      "VT_UPDATE=1 registers_test to write this file again.",
      "VT_REG_");
  header.Section("sizes");
  header.Number("ADDR_BITS", kRegisterAddressBits);
  header.Number("SCALARS", kRegisterScalars);
  header.Number("COUNTERS", kRegisterCounters);
  header.Number("JOB_ENTRIES", kRegisterJobEntries);
  header.Section("constant values");
  for (const std::string_view name : {"ID", "VERSION"}) {
    header.Constant(fmt::format("{}_VALUE", name), 32, RegisterOf(name).reset);
  }
  header.Section("offsets, and below each its fields");
  for (const Register& reg : kRegisters) {
    header.Constant(reg.name, kRegisterAddressBits, reg.offset);
    for (const RegisterField& field : reg.fields) {
      if (field.bits == 0) continue;
      header.BitRange(fmt::format("{}_{}", reg.name, field.name), field.lsb + field.bits - 1,
                      field.lsb);
    }
  }
  return header.Text();
}

std::string RegistersMarkdown() {
  std::string text =
      "# Registers\n\n"
      "32-bit words over AXI4-Lite. An offset that is not listed, an address that is no multiple "
      "of 4 and a\nwrite to a read-only register are answered with SLVERR and change nothing. "
      "Byte strobes are honoured.\n64-bit counters stand in two words: reading LO also keeps HI "
      "for a following read.\n\n"
      "| offset | name | access | reset | meaning |\n|---|---|---|---|---|\n";
  for (const Register& reg : kRegisters) {
    const bool variant = reg.name.starts_with("DIGEST");
    text += fmt::format("| 0x{:03x} | {} | {} | {} | {} |\n", reg.offset, reg.name,
                        RegisterAccessName(reg.access),
                        variant ? "variant" : fmt::format("0x{:08x}", reg.reset), reg.meaning);
  }
  text += "\n## Fields\n\n| register | field | bits | meaning |\n|---|---|---|---|\n";
  for (const Register& reg : kRegisters) {
    for (const RegisterField& field : reg.fields) {
      if (field.bits == 0) continue;
      const int msb = field.lsb + field.bits - 1;
      text += fmt::format(
          "| {} | {} | {} | {} |\n", reg.name, field.name,
          field.bits == 1 ? fmt::format("{}", msb) : fmt::format("{}:{}", msb, field.lsb),
          field.meaning);
    }
  }
  return text;
}

}  // namespace vaultrain
