// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Windows of a step, and the names by which a netlist's registers are found in the RTL.

#include "vaultrain/step_recorder.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "netlist.h"
#include "rtlil.h"

namespace vaultrain {
namespace {

constexpr uint64_t kCycles = StepRecorder::kCycles;

// One block of two instances, whose port shows the cycle of the step plus one and whose register
// shows which instance it is.
std::vector<SynthWindow> Record(uint64_t cycles, uint64_t seed = 1) {
  SynthWatch watch;
  watch.instances = {"top.u_0", "top.u_1"};
  watch.ports = {{"vt_block", "", "now_o", 32}};
  watch.registers = {{"vt_block", "", "which_q", 1}};
  StepRecorder recorder({watch}, seed);
  uint32_t now = 0;
  std::array<uint8_t, 4> shown{};
  const std::array<uint8_t, 2> which = {0, 1};
  recorder.Cycle();  // before the start: not seen
  recorder.Start({{{shown.data(), &which[0]}, {shown.data(), &which[1]}}});
  for (; now <= cycles; ++now) {
    std::memcpy(shown.data(), &now, sizeof now);
    recorder.Cycle();
  }
  return recorder.Take();
}

uint32_t First(const SignalLog& log) {
  SignalLog::Reader reader(log);
  reader.Next();
  uint32_t value = 0;
  std::memcpy(&value, reader.Value(0), sizeof value);
  return value;
}

TEST(StepRecorder, ShortStepIsSeenWhole) {
  const auto windows = Record(100 * kCycles);
  ASSERT_EQ(windows.size(), 100u);
  for (size_t i = 0; i < windows.size(); ++i) {
    EXPECT_EQ(windows[i].begin, i * kCycles);
    EXPECT_EQ(windows[i].blocks[0].ports.cycles(), kCycles + 1);
    EXPECT_EQ(First(windows[i].blocks[0].ports), windows[i].begin);  // of the cycle before
    EXPECT_EQ(windows[i].blocks[0].registers.cycles(), 1u);
  }
}

TEST(StepRecorder, LongStepIsSampledOnceInEachStratumAndInBothInstances) {
  constexpr uint64_t kSlots = 8 * StepRecorder::kMost - 8;
  const auto windows = Record(kSlots * kCycles);
  EXPECT_GE(windows.size(), StepRecorder::kMost / 2);
  EXPECT_LT(windows.size(), StepRecorder::kMost);
  constexpr uint64_t kStratum = 8 * kCycles;
  size_t seconds = 0;
  std::array<size_t, 8> places{};
  for (size_t i = 0; i < windows.size(); ++i) {
    EXPECT_EQ(windows[i].begin / kStratum, i);
    EXPECT_EQ(windows[i].begin % kCycles, 0u);
    EXPECT_EQ(First(windows[i].blocks[0].ports), windows[i].begin);
    ++places[windows[i].begin % kStratum / kCycles];
    SignalLog::Reader state(windows[i].blocks[0].registers);
    state.Next();
    seconds += *state.Value(0);
  }
  // Within five standard deviations of an even draw.
  EXPECT_NEAR(static_cast<double>(seconds), 511.5, 80);
  for (const size_t count : places) EXPECT_NEAR(static_cast<double>(count), 128, 55);
}

TEST(StepRecorder, SeedDecidesTheDraw) {
  auto begins = [](uint64_t seed) {
    std::vector<uint64_t> all;
    for (const auto& window : Record(4000 * kCycles, seed)) all.push_back(window.begin);
    return all;
  };
  EXPECT_EQ(begins(1), begins(1));
  EXPECT_NE(begins(1), begins(2));
}

TEST(RtlNames, FlatNameIsAVariableOfAnInstance) {
  const Rtlil design = Rtlil::Parse(
      "module \\vt_fifo\n  memory width 8 size 4 \\data_q\n  wire width 3 \\count_q\n"
      "  wire width 2 $0\\count_q[2:0]\nend\n"
      "module \\vt_top\n  wire width 4 \\gen_a[1].few_q[0]\n  wire width 9 \\gen_a[1].sum_q\n"
      "  cell \\vt_fifo \\gen_a[1].u_fifo\n  end\nend\n",
      "vt_top");
  auto expect = [&](const char* flat, const char* module, const char* scope, const char* name,
                    int element, int bit) {
    SCOPED_TRACE(flat);
    const RtlilBit found = design.Find("vt_top", flat);
    EXPECT_EQ(found.module, module);
    EXPECT_EQ(found.scope, scope);
    EXPECT_EQ(found.name, name);
    EXPECT_EQ(found.element, element);
    EXPECT_EQ(found.bit, bit);
  };
  expect("gen_a[1].u_fifo.data_q[3][5]", "vt_fifo", "gen_a[1].u_fifo", "data_q", 3, 5);
  expect("gen_a[1].u_fifo.count_q[2]", "vt_fifo", "gen_a[1].u_fifo", "count_q", -1, 2);
  expect("gen_a[1].sum_q[8]", "vt_top", "gen_a[1]", "sum_q", -1, 8);
  expect("gen_a[1].few_q[0][3]", "vt_top", "gen_a[1]", "few_q", 0, 3);
  expect("done_q", "vt_top", "", "done_q", -1, 0);
  EXPECT_EQ(design.PathsOf("vt_fifo"), std::vector<std::string>{"vt_top.gen_a[1].u_fifo"});
}

TEST(RtlNames, AnonymousFlipFlopIsNamedByWhatItDrives) {
  const Netlist netlist = ParseNetlist(R"(
module names(clk_i, d_i, q_o, n_o);
  input clk_i;
  input d_i;
  output q_o;
  output n_o;
  wire _0_;
  wire _9_;
  DFF _1_ (
    .CK(clk_i),
    .D(d_i),
    .Q(q_o)
  );
  DFF _2_ (
    .CK(clk_i),
    .D(q_o),
    .QN(_0_)
  );
  INV _3_ (
    .A(_0_),
    .Y(n_o)
  );
  DFF _4_ (
    .CK(clk_i),
    .D(d_i),
    .Q(_9_)
  );
endmodule
)");
  EXPECT_EQ(NameInRtl(netlist, "sum_q[3]_reg"), "sum_q[3]");
  EXPECT_EQ(NameInRtl(netlist, "d_i"), "d_i");
  EXPECT_EQ(NameInRtl(netlist, "_1_"), "q_o");
  EXPECT_EQ(NameInRtl(netlist, "_2_"), "n_o");
  EXPECT_EQ(NameInRtl(netlist, "_4_"), "_4_");
}

}  // namespace
}  // namespace vaultrain
