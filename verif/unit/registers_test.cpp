// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/registers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "vaultrain/error.h"
#include "vaultrain/verilog_header.h"

namespace vaultrain {
namespace {

const char kHeaderPath[] = VT_SOURCE_DIR "/rtl_templates/host/vt_regs.vh";

TEST(Registers, CommittedVerilogHeaderIsTheTables) {
  const std::string text = RegistersVerilog();
  if (std::getenv("VT_UPDATE") != nullptr) std::ofstream(kHeaderPath) << text;
  std::ifstream file(kHeaderPath);
  std::stringstream committed;
  committed << file.rdbuf();
  ASSERT_TRUE(file) << kHeaderPath;
  EXPECT_EQ(committed.str(), text) << "VT_UPDATE=1 registers_test writes it again";
}

TEST(Registers, OffsetsOfAPageAscendAndAreWords) {
  uint32_t next = 0;
  RegisterPage page = RegisterPage::kModule;
  for (const Register& reg : kRegisters) {
    if (reg.page != page) {
      EXPECT_EQ(reg.page, RegisterPage::kNode) << reg.name << ": the module's page stands first";
      page = reg.page;
      next = 0;
    }
    EXPECT_GE(reg.offset, next) << reg.name;
    EXPECT_EQ(reg.offset % 4, 0u) << reg.name;
    EXPECT_LT(reg.offset, 1u << kRegisterPageBits) << reg.name;
    next = reg.offset + 4;
  }
}

TEST(Registers, NamesAreUniqueOverBothPages) {
  std::set<std::string_view> names;
  for (const Register& reg : kRegisters) EXPECT_TRUE(names.insert(reg.name).second) << reg.name;
}

TEST(Registers, PagesOfAllNodesAndTheBroadcastAreApart) {
  EXPECT_EQ(NodePage(0), 1u << kRegisterPageBits);
  EXPECT_LT(NodePage(kMostNodes - 1), kAllNodes);
  EXPECT_LE(kAllNodes + (1u << kRegisterPageBits), 1u << kRegisterAddressBits);
}

TEST(Registers, FieldsOfARegisterAreApart) {
  for (const Register& reg : kRegisters) {
    uint32_t taken = 0;
    for (const RegisterField& field : reg.fields) {
      if (field.bits == 0) continue;
      EXPECT_LE(field.lsb + field.bits, 32) << reg.name << "." << field.name;
      EXPECT_EQ(taken & field.mask(), 0u) << reg.name << "." << field.name;
      taken |= field.mask();
    }
  }
}

TEST(Registers, CountersAreAdjacentPairs) {
  constexpr uint32_t base = RegisterOffset("CYCLES_LO");
  int counters = 0;
  for (const Register& reg : kRegisters) {
    if (reg.page != RegisterPage::kNode) continue;
    if (!reg.name.ends_with("_HI") || reg.access != RegisterAccess::kReadOnly) continue;
    const std::string low = std::string(reg.name.substr(0, reg.name.size() - 3)) + "_LO";
    EXPECT_EQ(RegisterOf(low).offset, base + 8 * counters) << low;
    EXPECT_EQ(reg.offset, base + 8 * counters + 4) << reg.name;
    ++counters;
  }
  EXPECT_EQ(counters, kRegisterCounters);
  EXPECT_EQ(RegisterOffset("SCALAR7"), RegisterOffset("SCALAR0") + 4 * (kRegisterScalars - 1));
  EXPECT_EQ(RegisterFieldOf("JOB_INDEX", "INDEX").mask() + 1, unsigned{kRegisterJobEntries});
}

TEST(Registers, FieldsPutWhatTheyGet) {
  constexpr RegisterField code = RegisterFieldOf("STATUS", "ERROR_CODE");
  EXPECT_EQ(code.Put(0xab), 0xab00u);
  EXPECT_EQ(code.Get(0x12345678), 0x56u);
  EXPECT_EQ(code.Put(0x1ff), 0xff00u);
}

TEST(Registers, DocumentNamesEveryRegisterAndField) {
  const std::string text = RegistersMarkdown();
  for (const Register& reg : kRegisters) {
    EXPECT_NE(text.find("| " + std::string(reg.name) + " |"), std::string::npos) << reg.name;
    for (const RegisterField& field : reg.fields) {
      if (field.bits == 0) continue;
      const std::string row = "| " + std::string(reg.name) + " | " + std::string(field.name) + " |";
      EXPECT_NE(text.find(row), std::string::npos) << row;
    }
  }
}

TEST(VerilogHeader, RefusesWhatWouldClash) {
  VerilogHeader header("Test.", "VT_TEST_");
  header.Constant("A", 4, 15);
  EXPECT_THROW(header.Number("A", 1), Error);
  EXPECT_THROW(header.Constant("B", 4, 16), Error);
  EXPECT_THROW(header.BitRange("C", 3, 4), Error);
  header.BitRange("D", 7, 4);
  EXPECT_NE(header.Text().find("`define VT_TEST_A"), std::string::npos);
  EXPECT_NE(header.Text().find(" 4'hf\n"), std::string::npos);
  EXPECT_NE(header.Text().find(" 7:4\n"), std::string::npos);
}

}  // namespace
}  // namespace vaultrain
