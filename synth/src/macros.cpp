// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "macros.h"

#include <fmt/format.h>

#include <cmath>

namespace vaultrain {
namespace {

std::string Bus(std::string_view name, int width, bool input, const std::string& timing) {
  return fmt::format(
      "    bus ({0}) {{ bus_type : \"bits_{1}\"; direction : {2}; capacitance : {3};\n{4}    }}\n",
      name, width, input ? "input" : "output", input ? "0.005" : "0", timing);
}

}  // namespace

double SramArea(const SramShape& shape, const SramTable& table) {
  double bits = static_cast<double>(shape.depth) * shape.width;
  double area = bits * table.um2_per_bit + table.um2_overhead;
  return shape.single_port ? area : area * table.two_port_factor;
}

double SramEnergy(const SramShape& shape, const SramTable& table, double reads, double writes) {
  return (reads * table.read_pj_per_bit + writes * table.write_pj_per_bit) * shape.width * 1e-12;
}

double SramLeakage(const SramShape& shape, const SramTable& table) {
  return static_cast<double>(shape.depth) * shape.width * table.leakage_nw_per_bit * 1e-9;
}

std::string SramLiberty(const SramShape& shape, const SramTable& table,
                        const SramLibertyExtras& extras) {
  double access =
      table.access_ns + table.access_ns_per_doubling * std::log2(std::max(shape.depth, 2));
  std::string name = shape.Module();
  std::string text = extras.comment;
  text += fmt::format(
      "library ({}) {{\n  delay_model : table_lookup;\n  time_unit : \"1ns\";\n  voltage_unit : "
      "\"1V\";\n"
      "  current_unit : \"1mA\";\n  leakage_power_unit : \"1nW\";\n  pulling_resistance_unit : "
      "\"1kohm\";\n"
      "  capacitive_load_unit (1, pf);\n"
      "  input_threshold_pct_rise : 50;\n  input_threshold_pct_fall : 50;\n"
      "  output_threshold_pct_rise : 50;\n  output_threshold_pct_fall : 50;\n"
      "  slew_lower_threshold_pct_rise : 20;\n  slew_lower_threshold_pct_fall : 20;\n"
      "  slew_upper_threshold_pct_rise : 80;\n  slew_upper_threshold_pct_fall : 80;\n",
      name);
  text += extras.library;
  std::set<int> widths = {shape.addr_bits, shape.width, shape.width / shape.granule};
  for (int width : widths) {
    text += fmt::format(
        "  type (bits_{0}) {{ base_type : array; data_type : bit; bit_width : {0}; bit_from : {1}; "
        "bit_to : 0; }}\n",
        width, width - 1);
  }
  std::string setup = fmt::format(
      "      timing () {{ related_pin : \"clk_i\"; timing_type : setup_rising;\n"
      "        rise_constraint (scalar) {{ values (\"{0}\"); }} fall_constraint (scalar) {{ values "
      "(\"{0}\"); }} }}\n",
      table.setup_ns);
  std::string clocked = fmt::format(
      "      timing () {{ related_pin : \"clk_i\"; timing_type : rising_edge;\n"
      "        cell_rise (scalar) {{ values (\"{0}\"); }} cell_fall (scalar) {{ values (\"{0}\"); "
      "}}\n"
      "        rise_transition (scalar) {{ values (\"{1}\"); }} fall_transition (scalar) {{ values "
      "(\"{1}\"); }} }}\n",
      access, access / 10);
  text += fmt::format("  cell ({}) {{\n    area : {};\n    interface_timing : true;\n", name,
                      SramArea(shape, table));
  text += extras.cell;
  text +=
      fmt::format("    pin (clk_i) {{ direction : input; clock : true; capacitance : 0.01;{} }}\n",
                  extras.clock);
  text +=
      fmt::format("    pin (ren_i) {{ direction : input; capacitance : 0.005;\n{}    }}\n", setup);
  text += Bus("raddr_i", shape.addr_bits, true, setup);
  text += Bus("rdata_o", shape.width, false, clocked);
  text += Bus("wen_i", shape.width / shape.granule, true, setup);
  text += Bus("waddr_i", shape.addr_bits, true, setup);
  text += Bus("wdata_i", shape.width, true, setup);
  return text + "  }\n}\n";
}

std::string BoxesVerilog(const MapTargets& targets) {
  std::string text =
      "(* blackbox *) module vt_fa (input a, b, c, output s, co); endmodule\n"
      "(* blackbox *) module vt_clock_gate (input clk, en, output out); endmodule\n";
  if (targets.adder) {
    const AdderCell& fa = *targets.adder;
    text += fmt::format("(* blackbox *) module {} (input {}, {}, {}, output {}, {}); endmodule\n",
                        fa.cell, fa.inputs[0], fa.inputs[1], fa.inputs[2], fa.sum, fa.carry);
  }
  if (targets.gate) {
    const ClockGateCell& gate = *targets.gate;
    text +=
        fmt::format("(* blackbox *) module {} (input {}, {}", gate.cell, gate.clock, gate.enable);
    for (const std::string& pin : gate.test) text += ", " + pin;
    text += fmt::format(", output {}); endmodule\n", gate.output);
  } else if (targets.gate_of_latch) {
    const GateOfLatch& gate = *targets.gate_of_latch;
    text +=
        fmt::format("(* blackbox *) module {} (input D, CLK, output Q); endmodule\n", gate.latch);
    text += fmt::format("(* blackbox *) module {} (input A, output Y); endmodule\n", gate.inverter);
    text +=
        fmt::format("(* blackbox *) module {} (input A, B, output Y); endmodule\n", gate.and_gate);
  }
  return text;
}

std::string MapVerilog(const MapTargets& targets) {
  std::string text = "module vt_fa (input a, b, c, output s, co);\n";
  if (targets.adder) {
    const AdderCell& fa = *targets.adder;
    text += fmt::format(
        "  wire sum, carry;\n  {} u_fa (.{}(a), .{}(b), .{}(c), .{}(sum), .{}(carry));\n"
        "  assign s = {}sum;\n  assign co = {}carry;\n",
        fa.cell, fa.inputs[0], fa.inputs[1], fa.inputs[2], fa.sum, fa.carry,
        fa.sum_inverted ? "~" : "", fa.carry_inverted ? "~" : "");
  } else {
    text += "  wire p = a ^ b;\n  assign s = p ^ c;\n  assign co = (a & b) | (c & p);\n";
  }
  text += "endmodule\nmodule vt_clock_gate (input clk, en, output out);\n";
  if (targets.gate) {
    const ClockGateCell& gate = *targets.gate;
    text += fmt::format("  {} u_gate (.{}(clk), .{}(en), .{}(out)", gate.cell, gate.clock,
                        gate.enable, gate.output);
    for (const std::string& pin : gate.test) text += fmt::format(", .{}(1'b0)", pin);
    text += ");\n";
  } else if (targets.gate_of_latch) {
    const GateOfLatch& gate = *targets.gate_of_latch;
    text += fmt::format(
        "  wire low, held;\n  {} u_low (.A(clk), .Y(low));\n  {} u_hold (.D(en), .CLK(low), "
        ".Q(held));\n"
        "  {} u_and (.A(clk), .B(held), .Y(out));\n",
        gate.inverter, gate.latch, gate.and_gate);
  }
  return text + "endmodule\n";
}

}  // namespace vaultrain
