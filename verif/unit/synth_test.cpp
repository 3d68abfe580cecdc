// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/synth.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/step_recorder.h"

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

// Two pairs of registers with a product between them that is a block of its own: the longest paths
// cross its bounds, those between the pairs are short.
constexpr const char* kPairs = R"(
module vt_times (input wire clk_i, input wire [7:0] a_i, b_i, output wire [15:0] p_o, output reg odd_o);
  assign p_o = a_i * b_i;
  always @(posedge clk_i) odd_o <= a_i[0];
endmodule
module vt_pair (input wire clk_i, input wire [7:0] a_i, b_i, output reg [15:0] p_o, output wire odd_o);
  reg [7:0] a_q, b_q;
  wire [15:0] p;
  vt_times u_times (.clk_i(clk_i), .a_i(a_q), .b_i(b_q), .p_o(p), .odd_o(odd_o));
  always @(posedge clk_i) begin
    a_q <= a_i;
    b_q <= b_i;
    p_o <= p;
  end
endmodule
module vt_pairs (input wire clk_i, input wire [7:0] a_i, b_i, output wire [15:0] p_o, output wire [1:0] odd_o);
  wire [15:0] first;
  vt_pair u_first (.clk_i(clk_i), .a_i(a_i), .b_i(b_i), .p_o(first), .odd_o(odd_o[0]));
  vt_pair u_second (.clk_i(clk_i), .a_i(first[7:0]), .b_i(first[15:8]), .p_o(p_o), .odd_o(odd_o[1]));
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

// A flip-flop, NAND, inverter and buffer whose energies do not depend on slew or load, at 1 V.
std::string PlainCells() {
  const auto table = [](const std::string& name, const char* value) {
    return fmt::format("{0} (flat) {{ values (\"{1}, {1}\", \"{1}, {1}\"); }} ", name, value);
  };
  const auto power = [&](const char* related, const char* rise, const char* fall) {
    return fmt::format("internal_power () {{ {}{}{}}} ", related, table("rise_power", rise),
                       table("fall_power", fall));
  };
  const std::string delay = table("cell_rise", "0.1") + table("cell_fall", "0.1") +
                            table("rise_transition", "0.1") + table("fall_transition", "0.1");
  const auto arc = [&](const std::string& kind) {
    return fmt::format("timing () {{ {}{}}} ", kind, delay);
  };
  const auto gate = [&](const char* name, double area, const char* function) {
    return fmt::format(
        "cell ({}) {{ area : {}; cell_leakage_power : 1; pin (A) {{ direction : input; capacitance "
        ": 0.002; }} pin (Y) {{ direction : output; function : \"{}\"; {}}} }}\n",
        name, area, function, arc("related_pin : \"A\"; "));
  };
  const std::string input =
      "direction : input; capacitance : 0.003; " + power("", "0.0002", "0.0004");
  std::string text =
      "library (plain) {\n time_unit : \"1ns\"; voltage_unit : \"1V\"; current_unit : \"1mA\";\n"
      " leakage_power_unit : \"1nW\"; pulling_resistance_unit : \"1kohm\";\n"
      " capacitive_load_unit (1, pf); nom_voltage : 1.0;\n"
      " input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;\n"
      " output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;\n"
      " slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;\n"
      " slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;\n"
      " lu_table_template (flat) { variable_1 : input_net_transition; variable_2 : "
      "total_output_net_capacitance; index_1 (\"0.01, 1\"); index_2 (\"0.001, 1\"); }\n"
      " power_lut_template (flat) { variable_1 : input_transition_time; variable_2 : "
      "total_output_net_capacitance; index_1 (\"0.01, 1\"); index_2 (\"0.001, 1\"); }\n";
  text += gate("INV", 0.5, "!A") + gate("BUF", 0.9, "A");
  text += fmt::format(
      "cell (NAND2) {{ area : 0.798; cell_leakage_power : 2; pin (A) {{ {0}}} pin (B) {{ {0}}}\n"
      "pin (Y) {{ direction : output; function : \"!(A & B)\"; {1}{2}{3}{4}}} }}\n",
      input, power("related_pin : \"A\"; ", "0.006", "0.002"),
      power("related_pin : \"B\"; ", "0.006", "0.002"), arc("related_pin : \"A\"; "),
      arc("related_pin : \"B\"; "));
  text += fmt::format(
      "cell (DFF) {{ area : 4; cell_leakage_power : 5; ff (IQ, IQN) {{ clocked_on : \"CK\"; "
      "next_state : \"D\"; }}\n"
      "pin (CK) {{ direction : input; clock : true; capacitance : 0.004; {0}}}\n"
      "pin (D) {{ direction : input; capacitance : 0.005; {1}timing () {{ related_pin : \"CK\"; "
      "timing_type : setup_rising; {2}{3}}} }}\n"
      "pin (Q) {{ direction : output; function : \"IQ\"; {4}{5}}} }}\n}}\n",
      power("", "0.01", "0.02"), power("", "0.001", "0.003"), table("rise_constraint", "0.1"),
      table("fall_constraint", "0.1"), power("related_pin : \"CK\"; ", "0.03", "0.05"),
      arc("related_pin : \"CK\"; timing_type : rising_edge; "));
  return text;
}

// A step of vt_tiny in two phases, whose input goes 1, 1, 0, 0 and so on. With `wrong` its output
// is said to differ once.
SynthStep TinyStep(const std::vector<SynthWatch>& watches, bool wrong) {
  EXPECT_EQ(watches.size(), 1u);
  EXPECT_EQ(watches[0].instances, std::vector<std::string>{"vt_tiny"});
  uint8_t a = 0, held = 0, q = 0, shown = 0;
  std::vector<const uint8_t*> values;
  for (const auto& probes : {watches[0].ports, watches[0].registers}) {
    for (const SynthProbe& probe : probes) {
      EXPECT_EQ(probe.module, "vt_tiny");
      values.push_back(probe.name == "a_i" ? &a : probe.name == "held_q" ? &held : &shown);
    }
  }
  StepRecorder recorder(watches);
  recorder.Start({{values}});
  for (int cycle = -1; cycle < 410; ++cycle) {
    a = cycle % 4 == 0 || cycle % 4 == 1;
    shown = q ^ (wrong && cycle == 190);
    recorder.Cycle();
    q = !(held & a);
    held = a;
  }
  SynthStep step;
  step.macs = 1000;
  step.spans = {{"FF", 200}, {"UP", 300}, {"FF", 400}};
  step.traffic.dram_bits = 1e6;
  step.windows = recorder.Take();
  return step;
}

TEST_F(Synth, EnergyOfKnownTogglesIsWhatThePencilSays) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.liberty = {Write("plain.lib", PlainCells())};
  options.clock_ns = 2;
  options.simulate = [](const auto& watches) { return TinyStep(watches, false); };
  const SynthReport report = Synthesize(options);
  EXPECT_TRUE(report.netlist_mismatches.empty());
  EXPECT_EQ(report.replayed, 1);  // all of a short step, so without an error
  EXPECT_EQ(report.sampling_error.logic, 0);
  ASSERT_EQ(report.phases.size(), 2u);
  EXPECT_EQ(report.phases[0].name, "FF");
  EXPECT_EQ(report.phases[0].cycles, 300u);
  EXPECT_EQ(report.phases[1].cycles, 100u);
  ASSERT_EQ(report.blocks.size(), 1u);
  ASSERT_EQ(report.blocks[0].energy.size(), 2u);
  // In four cycles each of a, held, NAND and q toggles twice, and the NAND sees two toggles, one of
  // either input, that leave it as it is. Energies in pJ; an output port weighs load_pf of
  // constraints/tech/nangate45.toml, since this NAND has the area of that library's.
  const double port_pf = 0.006;
  const double nand = 2 * ((0.006 + 0.002) / 2 + 0.005 / 2) + 2 * (0.0002 + 0.0004) / 2;
  const double flop_d = 2 * (0.001 + 0.003) / 2;
  const double held = 2 * ((0.03 + 0.05) / 2 + 0.003 / 2) + flop_d;
  const double q = 2 * ((0.03 + 0.05) / 2 + port_pf / 2) + flop_d;
  const double clock = 2 * 4 * (0.01 + 0.02 + 0.004);
  const double leakage = (2 + 2 * 5) * 1e-9 * 4 * 2e-9;
  const SynthEnergy& ff = report.blocks[0].energy[0];
  const SynthEnergy& up = report.blocks[0].energy[1];
  EXPECT_NEAR(ff.logic, 75 * (nand + held + q) * 1e-12, 0.02 * ff.logic);
  EXPECT_NEAR(up.logic, 25 * (nand + held + q) * 1e-12, 0.02 * up.logic);
  EXPECT_NEAR(ff.clock, 75 * clock * 1e-12, 1e-6 * ff.clock);
  EXPECT_NEAR(up.leakage, 25 * leakage, 1e-6 * up.leakage);
  // Inputs that leave an output alone are as many with unit delay, but for the sample.
  EXPECT_NEAR(ff.glitches, 0, 1e-3 * ff.logic);
  EXPECT_EQ(ff.memory, 0);
  const double joule = ff.Total() + up.Total();
  EXPECT_NEAR(report.power_w, joule / (400 * 2e-9), 1e-6 * report.power_w);
  EXPECT_NEAR(*report.gflops_per_watt.logic, 2e-9 * 1000 / joule, 1e-6 * 2e-9 * 1000 / joule);
  // 1 Mbit at 3.7 and 10.48 pJ.
  EXPECT_NEAR(*report.gflops_per_watt.module, 2e-9 * 1000 / (joule + 3.7e-6), 1e-6);
  EXPECT_NEAR(*report.gflops_per_watt_stack, 2e-9 * 1000 / (joule + 10.48e-6), 1e-6);
  // The same again, to the last bit.
  EXPECT_EQ(ToJson(Synthesize(options)).dump(), ToJson(report).dump());
}

TEST_F(Synth, NetlistThatDiffersFromTheRtlIsNamed) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.simulate = [](const auto& watches) { return TinyStep(watches, true); };
  EXPECT_EQ(Synthesize(options).netlist_mismatches,
            std::vector<std::string>{"vt_tiny: q_o in cycle 190"});
}

// 16 bits that take a value in one cycle of eight.
constexpr const char* kHold = R"(
module vt_hold (input wire clk_i, input wire en_i, input wire [15:0] d_i, output reg [15:0] q_o);
  always @(posedge clk_i) if (en_i) q_o <= d_i;
endmodule
)";

SynthStep HoldStep(const std::vector<SynthWatch>& watches) {
  uint32_t en = 0, d = 0, q = 0;
  std::vector<const uint8_t*> values;
  for (const auto& probes : {watches.at(0).ports, watches.at(0).registers}) {
    for (const SynthProbe& probe : probes) {
      const uint32_t& value = probe.name == "en_i" ? en : probe.name == "d_i" ? d : q;
      values.push_back(reinterpret_cast<const uint8_t*>(&value));
    }
  }
  StepRecorder recorder(watches);
  recorder.Start({{values}});
  for (int cycle = 0; cycle < 410; ++cycle) {
    en = cycle % 8 == 0 ? 1 : 0;
    d = static_cast<uint32_t>(cycle) * 40503 % 65536;
    recorder.Cycle();
    if (en != 0) q = d;
  }
  SynthStep step;
  step.macs = 1000;
  step.spans = {{"FF", 400}};
  step.windows = recorder.Take();
  return step;
}

TEST_F(Synth, RegistersThatHoldGetNoClockWhereGated) {
  const char* folder = std::getenv("VAULTRAIN_CELLS");
  if (!folder) GTEST_SKIP() << "VAULTRAIN_CELLS does not name a folder with Liberty files";
  SynthOptions options = Design(kHold, "vt_hold");
  options.liberty = {fs::path(folder) /
                     "nangate15/NanGate_15nm_OCL_typical_conditional_nldm.lib.gz"};
  if (!fs::exists(options.liberty[0])) GTEST_SKIP() << options.liberty[0] << " is absent";
  options.simulate = HoldStep;
  std::array<double, 2> clock{};
  for (const bool gated : {false, true}) {
    options.clock_gating = gated;
    const SynthReport report = Synthesize(options);
    EXPECT_TRUE(report.netlist_mismatches.empty()) << report.netlist_mismatches[0];
    EXPECT_GE(report.slack_ns, 0);
    ASSERT_EQ(report.blocks.size(), 1u);
    EXPECT_EQ(report.replayed, 1);
    clock[gated ? 1 : 0] = report.blocks[0].energy.at(0).clock;
  }
  // 16 flip-flops in each cycle; in one of eight, and the gate.
  EXPECT_LT(clock[1], 0.3 * clock[0]);
  EXPECT_GT(clock[1], clock[0] / 8);
}

TEST_F(Synth, ReportHoldsTheKeysOfTheContract) {
  SynthOptions options = Design(kTwoFlops, "vt_tiny");
  options.pe_array = "vt_tiny";
  options.lanes_per_pe_array = 2;
  nlohmann::json json = ToJson(Synthesize(options));
  for (const char* key : {"library",
                          "clock_ns",
                          "slack_ns",
                          "area_um2",
                          "ge",
                          "ge_per_lane",
                          "power_w",
                          "gflops_per_watt",
                          "blocks",
                          "worst_path",
                          "memories",
                          "remarks",
                          "gflops_per_watt_glitches",
                          "gflops_per_watt_stack",
                          "activity",
                          "phases",
                          "pj_per_mac",
                          "dram_j",
                          "netlist_mismatch",
                          "sampling_error",
                          "replayed"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json.size(), 21u);
  EXPECT_DOUBLE_EQ(json["ge_per_lane"], 4.5);
  EXPECT_EQ(json["activity"], "default");
  EXPECT_TRUE(json["gflops_per_watt"]["logic"].is_null());
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

// Wherever the files lie: vaultrain synth writes them into a new folder each time.
TEST_F(Synth, CacheGivesWhatTheToolsGave) {
  SynthOptions options = Design(kProduct, "vt_product");
  options.use_cache = true;
  setenv("XDG_CACHE_HOME", scratch_.path().c_str(), 1);
  auto kept = [&] {
    const fs::directory_iterator files(scratch_.path() / "vaultrain/synth");
    return std::distance(begin(files), end(files));
  };
  std::string first = ToJson(Synthesize(options)).dump();
  const auto results = kept();
  EXPECT_GT(results, 0);
  fs::create_directory(scratch_.path() / "elsewhere");
  options.rtl_files = {Write("elsewhere/design.v", kProduct)};
  std::string second = ToJson(Synthesize(options)).dump();
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(kept(), results);
  EXPECT_EQ(second, first);
}

TEST_F(Synth, TimingThatIsNotMetIsReported) {
  SynthOptions options = Design(kProduct, "vt_product");
  options.clock_ns = 1;
  SynthReport report = Synthesize(options);
  EXPECT_LT(report.slack_ns, 0);
  // By bits of the registers of the RTL.
  EXPECT_EQ(report.worst_path.rfind("vt_product: ", 0), 0u) << report.worst_path;
  EXPECT_NE(report.worst_path.find("_q["), std::string::npos) << report.worst_path;
  EXPECT_NE(report.worst_path.find(" -> p_o["), std::string::npos) << report.worst_path;
  EXPECT_EQ(report.worst_path.find("_reg"), std::string::npos) << report.worst_path;
}

TEST_F(Synth, TheLargestPartsThatFitAreTimedFlat) {
  SynthOptions options = Design(kPairs, "vt_pairs");
  options.blocks = {{"product", "vt_times"}, {"pair", "vt_pair"}};
  options.clock_ns = 8;
  auto told = [](const SynthReport& report) -> std::string {
    for (const std::string& remark : report.remarks) {
      if (remark.find("timed flat") != std::string::npos) return remark;
    }
    return "";
  };
  const SynthReport whole = Synthesize(options);
  EXPECT_EQ(told(whole), "");
  // Nothing fits: a path through a block does not close.
  options.max_flat_cells = 1;
  const SynthReport none = Synthesize(options);
  EXPECT_EQ(none.worst_path.rfind("vt_times: ", 0), 0u) << none.worst_path;
  EXPECT_LT(none.slack_ns, 0);
  const long cells = std::stol("0" + told(none));
  ASSERT_GT(cells, 0);
  // More than a pair, less than both.
  options.max_flat_cells = cells * 3 / 4;
  const SynthReport parts = Synthesize(options);
  EXPECT_NE(told(parts).find("vt_pair ("), std::string::npos) << told(parts);
  EXPECT_NEAR(parts.slack_ns, whole.slack_ns, 0.3);
  EXPECT_GT(parts.slack_ns, 0);
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
