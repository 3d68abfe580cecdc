// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The simulator of netlists, on netlists small enough to follow by eye.

#include "gatesim.h"

#include <gtest/gtest.h>

#include "vaultrain/error.h"
#include "vaultrain/output.h"

namespace vaultrain {
namespace {

constexpr const char* kCells = R"(
library (cells) {
  time_unit : "1ns"; capacitive_load_unit (1, pf); nom_voltage : 1.0;
  cell (BUF) { pin (A) { direction : input; } pin (Y) { direction : output; function : "A"; } }
  cell (XOR2) { pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "A ^ B"; } }
  cell (LATCH) { latch (IQ, IQN) { enable : "G"; data_in : "D"; }
    pin (G) { direction : input; } pin (D) { direction : input; }
    pin (Q) { direction : output; function : "IQ"; } }
  cell (DFFR) { ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; clear : "!RN"; }
    pin (CK) { direction : input; clock : true; } pin (D) { direction : input; }
    pin (RN) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
  cell (DFFN) { ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (CK) { direction : input; clock : true; } pin (D) { direction : input; }
    pin (QN) { direction : output; function : "IQN"; } }
  cell (GATE) { clock_gating_integrated_cell : latch_posedge_precontrol;
    pin (CK) { direction : input; clock_gate_clock_pin : true; }
    pin (E) { direction : input; clock_gate_enable_pin : true; }
    pin (TE) { direction : input; clock_gate_test_pin : true; }
    pin (Q) { direction : output; clock_gate_out_pin : true; } }
}
)";

class GateSimTest : public testing::Test {
 protected:
  GateSim Make(const std::string& netlist) {
    WriteFile(scratch_.path() / "cells.lib", kCells);
    netlist_ = ParseNetlist(netlist);
    GateSim sim(netlist_, Liberty::Read({scratch_.path() / "cells.lib"}),
                {{"vt_sram_4x2_g1_1r1w", {4, 2, 1, 0, 2}}}, {{"vt_box", {"out_o"}}});
    sim.Count(true);
    return sim;
  }

  static const GateSim::Port& Port(const std::vector<GateSim::Port>& ports,
                                   const std::string& name) {
    for (const GateSim::Port& port : ports) {
      if (port.name == name) return port;
    }
    throw std::out_of_range(name);
  }
  static void Drive(GateSim& sim, const std::string& name, uint8_t value) {
    sim.Drive(Port(sim.inputs(), name), &value);
  }
  static bool Shows(const GateSim& sim, const std::string& name, uint8_t value) {
    return sim.Shows(Port(sim.outputs(), name), &value);
  }
  const CellToggles& Of(const std::vector<CellToggles>& counts, const std::string& cell) {
    for (size_t i = 0; i < netlist_.cells.size(); ++i) {
      if (netlist_.cells[i].name == cell) return counts[i];
    }
    throw std::out_of_range(cell);
  }

  ScratchFolder scratch_;
  Netlist netlist_;
};

constexpr const char* kHazard = R"(
module hazard(a_i, y_o);
  input a_i;
  wire a_i;
  wire \first.y ;
  wire second;
  output y_o;
  wire y_o;
  BUF _0_ (
    .A(a_i),
    .Y(\first.y )
  );
  BUF _1_ (
    .A(\first.y ),
    .Y(second)
  );
  XOR2 last (
    .A(a_i),
    .B(second),
    .Y(y_o)
  );
endmodule
)";

TEST_F(GateSimTest, PathsOfUnequalLengthGlitchWithUnitDelayAlone) {
  GateSim sim = Make(kHazard);
  for (int i = 0; i < 10; ++i) {
    Drive(sim, "a_i", i % 2 == 0);
    EXPECT_EQ(sim.Settle(false), 0u);
    EXPECT_TRUE(Shows(sim, "y_o", 0));
    sim.Edge();
  }
  auto counts = sim.TakeToggles();
  EXPECT_EQ(Of(counts, "_1_").outputs[0], 10);
  EXPECT_EQ(Of(counts, "last").outputs[0], 0);
  EXPECT_EQ(Of(counts, "last").silent, 20);
  for (int i = 0; i < 10; ++i) {
    Drive(sim, "a_i", i % 2 == 0);
    EXPECT_EQ(sim.Settle(true), 2u);
    EXPECT_TRUE(Shows(sim, "y_o", 0));
    sim.Edge();
  }
  counts = sim.TakeToggles();
  EXPECT_EQ(Of(counts, "_1_").outputs[0], 10);
  EXPECT_EQ(Of(counts, "_1_").glitches[0], 0);
  EXPECT_EQ(Of(counts, "last").outputs[0], 0);
  EXPECT_EQ(Of(counts, "last").glitches[0], 20);
}

TEST_F(GateSimTest, GlitchesOfSampledCyclesStandForAll) {
  GateSim sim = Make(kHazard);
  for (int i = 0; i < 100; ++i) {
    Drive(sim, "a_i", i % 2 == 0);
    sim.Settle(i % 5 == 0);
    sim.Edge();
  }
  const auto counts = sim.TakeToggles();
  EXPECT_EQ(Of(counts, "_0_").outputs[0], 100);
  EXPECT_EQ(Of(counts, "last").glitches[0], 200);
}

TEST_F(GateSimTest, GatedFlipFlopHoldsAndItsClockIsCounted) {
  GateSim sim = Make(R"(
module gated(clk_i, en_i, d_i,
q_o, free_o);
  input clk_i;
  input en_i;
  input d_i;
  output q_o;
  output free_o;
  wire gclk;
  GATE u_gate (
    .CK(clk_i),
    .E(en_i),
    .TE(1'b0),
    .Q(gclk)
  );
  DFFR held (
    .CK(gclk),
    .D(d_i),
    .RN(1'b1),
    .Q(q_o)
  );
  DFFR running (
    .CK(clk_i),
    .D(d_i),
    .RN(1'b1),
    .Q(free_o)
  );
endmodule
)");
  uint8_t held = 0;
  for (int i = 0; i < 40; ++i) {
    const uint8_t data = i / 3 % 2, enable = i % 4 == 1;
    Drive(sim, "d_i", data);
    Drive(sim, "en_i", enable);
    sim.Settle(false);
    EXPECT_TRUE(Shows(sim, "q_o", held)) << i;
    sim.Edge();
    if (enable) held = data;
  }
  const auto counts = sim.TakeToggles();
  EXPECT_EQ(Of(counts, "held").clocks, 10);
  EXPECT_EQ(Of(counts, "u_gate").clocks, 40);
  EXPECT_EQ(Of(counts, "u_gate").passed, 10);
  EXPECT_EQ(Of(counts, "running").clocks, 40);
  EXPECT_EQ(Of(counts, "running").outputs[0], 12);
}

TEST_F(GateSimTest, MemoriesAndBoxesAnswerFromOutsideAndShowTheirPins) {
  GateSim sim = Make(R"(
module memory(clk_i, at_i, we_i, q_o, box_o);
  input clk_i;
  input [1:0] at_i;
  wire [1:0] at_i;
  input [1:0] we_i;
  wire [1:0] we_i;
  output [1:0] q_o;
  wire [1:0] q_o;
  output box_o;
  wire \box.out ;
  vt_sram_4x2_g1_1r1w \u_a.u_mem  (
    .clk_i(clk_i),
    .raddr_i(at_i),
    .rdata_o(q_o),
    .ren_i(1'b1),
    .waddr_i({ at_i[1], 1'b0 }),
    .wdata_i(at_i),
    .wen_i(we_i)
  );
  vt_box u_box (
    .in_i(at_i[0]),
    .out_o(\box.out )
  );
  assign box_o = \box.out ;
endmodule
)");
  EXPECT_EQ(Port(sim.inputs(), "out_o").box, "u_box");
  EXPECT_EQ(Port(sim.inputs(), "rdata_o").box, "u_a.u_mem");
  Drive(sim, "at_i", 2);
  Drive(sim, "we_i", 3);
  Drive(sim, "out_o", 1);
  Drive(sim, "rdata_o", 1);
  sim.Settle(false);
  EXPECT_TRUE(Shows(sim, "box_o", 1));
  EXPECT_TRUE(Shows(sim, "q_o", 1));
  EXPECT_TRUE(Shows(sim, "raddr_i", 2));
  EXPECT_TRUE(Shows(sim, "waddr_i", 2));
  EXPECT_TRUE(Shows(sim, "in_i", 0));
  sim.Edge();  // writes a word
  Drive(sim, "we_i", 1);
  sim.Settle(false);
  sim.Edge();  // writes the low bit alone
  const auto accesses = sim.TakeAccesses();
  ASSERT_EQ(accesses.size(), 1u);
  EXPECT_EQ(accesses[0].second.reads, 2u);
  EXPECT_EQ(accesses[0].second.writes, 1.5);
}

// The flip-flop behind an enable goes on from the state that it was given, whichever way its output
// shows it, and what came before does not count.
TEST_F(GateSimTest, RestoredStateIsWhereItGoesOn) {
  GateSim sim = Make(R"(
module held(clk_i, d_i, q_o, n_o);
  input clk_i;
  input d_i;
  output q_o;
  output n_o;
  wire next;
  XOR2 _0_ (
    .A(d_i),
    .B(q_o),
    .Y(next)
  );
  DFFR toggle_q_reg (
    .CK(clk_i),
    .D(next),
    .RN(1'b1),
    .Q(q_o)
  );
  DFFN same_q_reg (
    .CK(clk_i),
    .D(next),
    .QN(n_o)
  );
endmodule
)");
  EXPECT_EQ(sim.registers(), (std::vector<std::string>{"toggle_q_reg", "same_q_reg"}));
  for (const bool state : {true, false, true}) {
    sim.Count(false);
    sim.Restore(0, state);
    sim.Restore(1, state);
    Drive(sim, "d_i", 1);
    sim.Settle(false);
    EXPECT_TRUE(Shows(sim, "q_o", state));
    EXPECT_TRUE(Shows(sim, "n_o", !state));
    sim.Edge();
    sim.Count(true);
    sim.Settle(false);
    EXPECT_TRUE(Shows(sim, "q_o", !state));
    EXPECT_TRUE(Shows(sim, "n_o", state));
    sim.Edge();
    const auto counts = sim.TakeToggles();
    EXPECT_EQ(Of(counts, "toggle_q_reg").outputs[0], 1);
    EXPECT_EQ(Of(counts, "same_q_reg").outputs[0], 1);
    EXPECT_EQ(Of(counts, "toggle_q_reg").clocks, 1);
  }
}

TEST_F(GateSimTest, LatchIsRefusedByName) {
  try {
    Make(R"(
module latched(clk_i, d_i, q_o);
  input clk_i;
  input d_i;
  output q_o;
  LATCH u_latch (
    .G(clk_i),
    .D(d_i),
    .Q(q_o)
  );
endmodule
)");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cell u_latch of type LATCH is no gate, flip-flop or clock gate");
  }
}

}  // namespace
}  // namespace vaultrain
