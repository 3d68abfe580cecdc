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
  header.Number("PAGE_BITS", kRegisterPageBits);
  header.Number("BROADCAST_PAGE", kBroadcastPage);
  header.Number("SCALARS", kRegisterScalars);
  header.Number("COUNTERS", kRegisterCounters);
  header.Number("JOB_ENTRIES", kRegisterJobEntries);
  header.Section("constant values");
  for (const std::string_view name : {"ID", "VERSION"}) {
    header.Constant(fmt::format("{}_VALUE", name), 32, RegisterOf(name).reset);
  }
  for (const RegisterPage page : {RegisterPage::kModule, RegisterPage::kNode}) {
    header.Section(fmt::format("offsets in the page of {}, and below each its fields",
                               page == RegisterPage::kModule ? "the module" : "a node"));
    for (const Register& reg : kRegisters) {
      if (reg.page != page) continue;
      header.Constant(reg.name, kRegisterPageBits, reg.offset);
      for (const RegisterField& field : reg.fields) {
        if (field.bits == 0) continue;
        header.BitRange(fmt::format("{}_{}", reg.name, field.name), field.lsb + field.bits - 1,
                        field.lsb);
      }
    }
  }
  return header.Text();
}

namespace {

bool ShowsTheVariant(const Register& reg) {
  return reg.name.starts_with("DIGEST") || reg.name == "NODES" || reg.name == "MESH" ||
         reg.name == "NODE_MASK";
}

std::string PageMarkdown(RegisterPage page) {
  std::string text = "| offset | name | access | reset | meaning |\n|---|---|---|---|---|\n";
  for (const Register& reg : kRegisters) {
    if (reg.page != page) continue;
    text += fmt::format(
        "| 0x{:03x} | {} | {} | {} | {} |\n", reg.offset, reg.name, RegisterAccessName(reg.access),
        ShowsTheVariant(reg) ? "variant" : fmt::format("0x{:08x}", reg.reset), reg.meaning);
  }
  return text;
}

}  // namespace

std::string RegistersMarkdown() {
  std::string text = fmt::format(
      "# Registers\n\n"
      "32-bit words over AXI4-Lite, in pages of {} bytes: page 0 is the module, page n + 1 is node "
      "n. What is\nwritten to page {} goes to every node; reads of that page and accesses to pages "
      "that do not exist are\nanswered with SLVERR. So are an offset that is not listed, an "
      "address that is no multiple of 4, a write to\na read-only register and a write to a locked "
      "one; they change nothing. Byte strobes are honoured.\n64-bit counters stand in two words: "
      "reading LO also keeps HI for a following read of the same page.\n\n## The module\n\n",
      1 << kRegisterPageBits, kBroadcastPage);
  text += PageMarkdown(RegisterPage::kModule);
  text += "\n## A node\n\n";
  text += PageMarkdown(RegisterPage::kNode);
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
