// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/verilog_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "vaultrain/lint.h"
#include "vaultrain/output.h"

namespace vaultrain::rtl {
namespace {

using testing::HasSubstr;

// One of everything that a component can hold.
Component Example() {
  Component c;
  c.name = "vt_example";
  c.header = {"Joins two halves.", "", "Latency     0 cycles."};
  c.parameters = {{"Width", 8, "bits of a half"}, {"Tag", {12, "abc"}, ""}};
  c.ports = {{"", {{"clk_i", Direction::kInput, 1, ""}}},
             {"Halves in.",
              {{"low_i", Direction::kInput, 4, "least significant"},
               {"high_i", Direction::kInput, 4, ""}}},
             {"Whole out.",
              {{"whole_o", Direction::kOutput, "Width", "both halves"},
               {"bits_o", Direction::kOutput, 3, ""}}}};
  Instance leaf{"vt_leaf",
                "u_leaf",
                {{"Bits", 2, ""}},
                {{"clk_i", {Net("clk_i")}}, {"a_i", {Net("low_i", 1, 2)}}, {"q_o", {Net("leaf")}}}};
  c.sections = {
      {"join",
       {{"leaf", 2, "what the leaf makes of the middle bits"}},
       {{"whole_o", {Net("high_i"), Net("low_i")}}, {"bits_o", {Net("leaf"), Constant(1, "1")}}},
       {}},
      {"leaf", {}, {}, {leaf}}};
  return c;
}

TEST(VerilogWriter, PrintsTheExampleAsItsGolden) {
  std::string text = WriteVerilog(Example(), "// Opening.\n");
  EXPECT_EQ(text, ReadFile(VT_SOURCE_DIR "/verif/unit/fixtures/vt_example.vgold")) << text;
}

TEST(VerilogWriter, TheExamplePassesTheLintGate) {
  Component example = Example();
  example.sections[1].instances[0].module = "vt_leaf";
  Component leaf;
  leaf.name = "vt_leaf";
  leaf.header = {"Nothing."};
  leaf.parameters = {{"Bits", 2, ""}};
  leaf.ports = {{"",
                 {{"clk_i", Direction::kInput, 1, ""},
                  {"a_i", Direction::kInput, "Bits", ""},
                  {"q_o", Direction::kOutput, "Bits", ""}}}};
  leaf.sections = {{"", {}, {{"q_o", {Net("a_i")}}}, {}}};
  ScratchFolder scratch;
  WriteFile(scratch.path() / "vt_leaf.v", WriteVerilog(leaf, "//\n"));
  WriteFile(scratch.path() / "vt_example.v", WriteVerilog(example, "//\n"));
  // Tag and clk_i have no use, which is Verilator's to say.
  LintOptions options;
  options.each_module = false;
  options.tools = {"yosys", "iverilog"};
  for (const LintRow& row : LintRtl(scratch.path(), "vt_example", options)) {
    EXPECT_TRUE(row.passed) << row.tool << ": " << row.message;
  }
}

// What a component must not hold, each refused by a message that names it.
struct Wrong {
  const char* message;
  void (*spoil)(Component&);
};

class WrongComponent : public testing::TestWithParam<Wrong> {};

TEST_P(WrongComponent, IsRefused) {
  Component component = Example();
  GetParam().spoil(component);
  try {
    WriteVerilog(component, "");
    FAIL() << "not refused: " << GetParam().message;
  } catch (const std::logic_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongComponent,
    testing::Values(
        Wrong{"'reg' is no legal name", [](Component& c) { c.ports[1].ports[0].name = "reg"; }},
        Wrong{"'a-b' is no legal name", [](Component& c) { c.sections[0].wires[0].name = "a-b"; }},
        Wrong{"low_i is declared twice", [](Component& c) { c.ports[1].ports[1].name = "low_i"; }},
        Wrong{"low_i has 0 bits", [](Component& c) { c.ports[1].ports[0].bits = 0; }},
        Wrong{"no parameter Depth", [](Component& c) { c.ports[1].ports[0].bits = "Depth"; }},
        Wrong{"no net absent",
              [](Component& c) { c.sections[0].assigns[0].value = {Net("absent")}; }},
        Wrong{"low_i has 4 bits, not bit 4",
              [](Component& c) { c.sections[0].assigns[0].value = {Net("low_i", 3, 2)}; }},
        Wrong{"whole_o is given nothing",
              [](Component& c) { c.sections[0].assigns[0].value = {}; }},
        Wrong{"needs a width",
              [](Component& c) { c.sections[0].assigns[0].value = {Constant(1)}; }},
        Wrong{"port a_i is illegal or connected twice",
              [](Component& c) {
                c.sections[1].instances[0].connections.push_back({"a_i", {Net("low_i")}});
              }},
        Wrong{"parameter Bits is illegal or given twice", [](Component& c) {
                c.sections[1].instances[0].parameters.push_back({"Bits", 1, ""});
              }}));

}  // namespace
}  // namespace vaultrain::rtl
