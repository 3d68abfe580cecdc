// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/synth.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>

#include "vaultrain/error.h"
#include "vaultrain/output.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// Two flip-flops and one NAND: 2 x 96 + 24 um2 in osu018, and nothing to optimise.
constexpr const char* kTwoFlops = R"(
module vt_tiny (input wire clk_i, input wire a_i, output reg q_o);
  reg held_q;
  always @(posedge clk_i) begin
    held_q <= a_i;
    q_o <= ~(held_q & a_i);
  end
endmodule
)";

// A product of two registers: multi-bit sums, so full adders.
constexpr const char* kProduct = R"(
module vt_product (input wire clk_i, input wire [7:0] a_i, b_i, output reg [15:0] p_o);
  reg [7:0] a_q, b_q;
  always @(posedge clk_i) begin
    a_q <= a_i;
    b_q <= b_i;
    p_o <= a_q * b_q;
  end
endmodule
)";

// Two blocks of one module and a memory between them.
constexpr const char* kBlocks = R"(
module vt_half #(parameter Width = 4) (
    input wire clk_i, input wire [Width-1:0] a_i, output reg [Width-1:0] q_o);
  always @(posedge clk_i) q_o <= a_i;
endmodule
module vt_whole (input wire clk_i, input wire [7:0] a_i, input wire [3:0] at_i, output wire [7:0] q_o);
  wire [7:0] first, stored;
  vt_half #(.Width(8)) u_first (.clk_i(clk_i), .a_i(a_i), .q_o(first));
  vt_sram #(.Depth(16), .Width(8), .Granule(8)) u_mem (
      .clk_i(clk_i), .ren_i(1'b1), .raddr_i(at_i), .rdata_o(stored),
      .wen_i(1'b1), .waddr_i(at_i), .wdata_i(first));
  vt_half #(.Width(8)) u_second (.clk_i(clk_i), .a_i(stored), .q_o(q_o));
endmodule
)";

class Synth : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kDefaultLiberty)) GTEST_SKIP() << kDefaultLiberty << " is not installed";
  }

  SynthOptions Design(std::string_view verilog, const std::string& top) {
    WriteFile(scratch_.path() / "design.v", verilog);
    SynthOptions options;
    options.rtl_files = {scratch_.path() / "design.v"};
    options.top = top;
    options.use_cache = false;
    return options;
  }

  fs::path Write(const std::string& name, std::string_view bytes) {
    WriteFile(scratch_.path() / name, bytes);
    return scratch_.path() / name;
  }

  // The error that Synthesize ends with.
  static Error Refusal(const SynthOptions& options) {
    try {
      Synthesize(options);
    } catch (const Error& error) {
      return error;
    }
    return Error(ExitStatus::kDone, "no error");
  }

  ScratchFolder scratch_;
};

TEST_F(Synth, AreaOfTwoFlopsAndANandIsTheSumOfTheirCells) {
  SynthReport report = Synthesize(Design(kTwoFlops, "vt_tiny"));
  EXPECT_DOUBLE_EQ(report.area_um2, 2 * 96 + 24);
  EXPECT_DOUBLE_EQ(report.ge, 9);
  EXPECT_GT(report.slack_ns, 0);
  EXPECT_LT(report.slack_ns, 10);
  EXPECT_GT(report.power_w, 1e-6);
  EXPECT_LT(report.power_w, 1e-3);
}

TEST_F(Synth, ReportHoldsTheKeysOfTheContract) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.pe_array = "vt_tiny";
  options.lanes_per_pe_array = 2;
  options.measure_work = [](double) { return SynthWork{4, 0.5}; };
  nlohmann::json json = ToJson(Synthesize(options));
  for (const char* key :
       {"library", "clock_ns", "slack_ns", "area_um2", "ge", "ge_per_lane", "power_w",
        "gflops_per_watt", "blocks", "worst_path", "memories", "remarks"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json.size(), 12u);
  EXPECT_DOUBLE_EQ(json["ge_per_lane"], 4.5);
  // 4 MACs in 10 ns are 0.8 GFLOPS.
  double power = json["power_w"];
  EXPECT_DOUBLE_EQ(json["gflops_per_watt"]["logic"], 0.8 / power);
  EXPECT_DOUBLE_EQ(json["gflops_per_watt"]["module"], 0.8 / (power + 0.5));
}

TEST_F(Synth, MemoryIsABoxWithAreaAndTime) {
  SynthOptions options = Design(kBlocks, "vt_whole");
  options.blocks = {{"half", "vt_half"}};
  SynthReport report = Synthesize(options);
  ASSERT_EQ(report.memories.size(), 1u);
  EXPECT_EQ(report.memories[0].depth, 16);
  EXPECT_EQ(report.memories[0].width, 8);
  EXPECT_EQ(report.memories[0].instances, 1);
  // constraints/tech/osu018.toml: (128 bits x 9.3 + 20000) x 1.5.
  EXPECT_DOUBLE_EQ(report.memories[0].area_um2, (128 * 9.3 + 20000) * 1.5);
  ASSERT_EQ(report.blocks.size(), 2u);
  EXPECT_EQ(report.blocks[0].instances, 2);
  EXPECT_DOUBLE_EQ(report.blocks[0].area_um2, 2 * 8 * 96);
  EXPECT_GE(report.blocks[1].area_um2, report.memories[0].area_um2);
  // The memory's access time is inside the worst path: 10 - 0.2 - (2.0 + 4 x 0.15) at most.
  EXPECT_LT(report.slack_ns, 7.2);
}

TEST_F(Synth, SameInputGivesTheSameGates) {
  SynthOptions options = Design(kProduct, "vt_product");
  options.out_dir = scratch_.path() / "first";
  std::string first = ToJson(Synthesize(options)).dump();
  options.out_dir = scratch_.path() / "second";
  EXPECT_EQ(ToJson(Synthesize(options)).dump(), first);
  EXPECT_EQ(ReadFile(scratch_.path() / "first/vt_product.v"),
            ReadFile(scratch_.path() / "second/vt_product.v"));
}

TEST_F(Synth, CacheGivesWhatTheToolsGave) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.use_cache = true;
  setenv("XDG_CACHE_HOME", scratch_.path().c_str(), 1);
  std::string first = ToJson(Synthesize(options)).dump();
  std::string second = ToJson(Synthesize(options)).dump();
  unsetenv("XDG_CACHE_HOME");
  EXPECT_FALSE(fs::is_empty(scratch_.path() / "vaultrain/synth"));
  EXPECT_EQ(second, first);
}

TEST_F(Synth, TimingThatIsNotMetIsReported) {
  SynthOptions options = Design(kProduct, "vt_product");
  options.clock_ns = 1;
  SynthReport report = Synthesize(options);
  EXPECT_LT(report.slack_ns, 0);
  EXPECT_NE(report.worst_path.find(" -> "), std::string::npos) << report.worst_path;
}

TEST_F(Synth, GzipLibraryGivesTheSameArea) {
  std::string text = ReadFile(kDefaultLiberty);
  fs::path file = scratch_.path() / "cells.lib.gz";
  gzFile out = gzopen(file.c_str(), "wb");
  gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
  gzclose(out);
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.liberty = {file};
  EXPECT_DOUBLE_EQ(Synthesize(options).area_um2, 216);
}

TEST_F(Synth, TornLibraryIsRefusedWithItsLine) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.liberty = {Write("torn.lib", "library (torn) {\n  cell (A) {\n    area : 1;\n")};
  Error error = Refusal(options);
  EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
  EXPECT_NE(std::string(error.what()).find("torn.lib:4: the file ends inside cell (A) of line 2"),
            std::string::npos)
      << error.what();
}

TEST_F(Synth, GarbageInALibraryIsRefusedWithItsLine) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.liberty = {Write("bad.lib", "library (bad) {\n  cell (A) {\n    area = 1;\n  }\n}\n")};
  Error error = Refusal(options);
  EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
  EXPECT_NE(std::string(error.what()).find("bad.lib:3: 'area' is followed by '='"),
            std::string::npos)
      << error.what();
}

TEST_F(Synth, LibraryWithoutNandIsRefused) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.clock_ns = 1;
  options.liberty = {
      Write("few.lib",
            "library (few) {\n  cell (INV) { area : 1; pin (A) { direction : input; }\n"
            "    pin (Y) { direction : output; function : \"!A\"; } }\n}\n")};
  Error error = Refusal(options);
  EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
  EXPECT_NE(std::string(error.what()).find("NAND"), std::string::npos) << error.what();
}

TEST_F(Synth, BrokenVerilogIsRefusedWithYosysLine) {
  Error error = Refusal(Design("module vt_tiny (input wire clk_i;\nendmodule\n", "vt_tiny"));
  EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
  EXPECT_NE(std::string(error.what()).find("design.v:1"), std::string::npos) << error.what();
}

TEST_F(Synth, MissingYosysIsATool) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  std::string path = std::getenv("PATH");
  setenv("PATH", scratch_.path().c_str(), 1);
  Error error = Refusal(options);
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(error.status(), ExitStatus::kToolMissing);
  EXPECT_NE(std::string(error.what()).find("yosys"), std::string::npos) << error.what();
}

// Every library at hand goes through the whole flow.
class SynthLibraries : public Synth,
                       public testing::WithParamInterface<std::vector<const char*>> {};

TEST_P(SynthLibraries, MapTimeAndPowerAProduct) {
  const char* folder = std::getenv("VAULTRAIN_CELLS");
  if (!folder) GTEST_SKIP() << "VAULTRAIN_CELLS does not name a folder with Liberty files";
  SynthOptions options = Design(kProduct, "vt_product");
  for (const char* file : GetParam()) {
    options.liberty.push_back(fs::path(folder) / file);
    if (!fs::exists(options.liberty.back())) GTEST_SKIP() << options.liberty.back() << " is absent";
  }
  SynthReport report = Synthesize(options);
  // 32 flip-flops and an 8 x 8 multiplier.
  EXPECT_GT(report.ge, 400);
  EXPECT_LT(report.ge, 900);
  EXPECT_GT(report.slack_ns, 0) << report.worst_path;
  EXPECT_GT(report.power_w, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Cells, SynthLibraries,
    testing::Values(
        std::vector<const char*>{"nangate15/NanGate_15nm_OCL_typical_conditional_nldm.lib.gz"},
        std::vector<const char*>{"nangate15/NanGate_15nm_OCL_slow_conditional_nldm.lib.gz"},
        std::vector<const char*>{"nangate15/NanGate_15nm_OCL_fast_conditional_nldm.lib.gz"},
        std::vector<const char*>{"nangate45/nangate45_typ.lib.gz"},
        std::vector<const char*>{"asap7/asap7_simple.lib.gz", "asap7/asap7_invbuf.lib.gz",
                                 "asap7/asap7_seq.lib.gz"},
        std::vector<const char*>{"sky130hd/sky130hd_tt.lib.gz"}));

}  // namespace
}  // namespace vaultrain
