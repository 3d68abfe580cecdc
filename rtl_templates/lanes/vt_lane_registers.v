// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Registers of the lanes: 16 of up to 16 groups of one fp32 value a lane, read at a, b and c together.
//
// Three copies of one memory, one a read port. A register that no instruction of the job has written reads as +0.
//
// Latency     values 1 cycle after read_i; they hold until the next read. A value that is written in a cycle can be read
//             in the next.
// Throughput  1 group read and 1 written per cycle.

`default_nettype none
`include "vt_isa.vh"
`include "vt_lane_isa.vh"

module vt_lane_registers #(
    parameter Cols = 4
) (
    input  wire               clk_i,
    input  wire               start_i,    // all registers are +0

    // Read. Registers that written_i names are no longer +0 from the next cycle on.
    input  wire               read_i,
    input  wire [3:0]         a_i,
    input  wire [3:0]         b_i,
    input  wire [3:0]         c_i,
    input  wire [3:0]         a_group_i,
    input  wire [3:0]         group_i,    // of b and c
    input  wire               a_zero_i,   // a is +0
    output wire [Cols*32-1:0] a_o,
    output wire [Cols*32-1:0] b_o,
    output wire [Cols*32-1:0] c_o,

    // What the registers will hold.
    input  wire               written_i,
    input  wire [3:0]         written_register_i,

    // Write, a lane an enable.
    input  wire [Cols-1:0]    write_i,
    input  wire [3:0]         write_register_i,
    input  wire [3:0]         write_group_i,
    input  wire [Cols*32-1:0] write_data_i
);

  localparam Registers = `VT_LANE_REGISTERS;
  localparam Depth = Registers * `VT_LANE_GROUPS;

  reg  [Registers-1:0] known_q;
  reg                  a_known_q;
  reg                  b_known_q;
  reg                  c_known_q;

  always @(posedge clk_i) begin
    if (start_i) known_q <= {Registers{1'b0}};
    else if (written_i) known_q[written_register_i] <= 1'b1;
    if (read_i) begin
      a_known_q <= known_q[a_i] && !a_zero_i;
      b_known_q <= known_q[b_i];
      c_known_q <= known_q[c_i];
    end
  end

  wire [Cols*32-1:0] a_data;
  wire [Cols*32-1:0] b_data;
  wire [Cols*32-1:0] c_data;
  assign a_o = a_data & {Cols * 32{a_known_q}};
  assign b_o = b_data & {Cols * 32{b_known_q}};
  assign c_o = c_data & {Cols * 32{c_known_q}};

  vt_sram #(
      .Depth(Depth),
      .Width(Cols * 32),
      .Granule(32)
  ) u_a (
      .clk_i(clk_i),
      .ren_i(read_i),
      .raddr_i({a_i, a_group_i}),
      .rdata_o(a_data),
      .wen_i(write_i),
      .waddr_i({write_register_i, write_group_i}),
      .wdata_i(write_data_i)
  );

  vt_sram #(
      .Depth(Depth),
      .Width(Cols * 32),
      .Granule(32)
  ) u_b (
      .clk_i(clk_i),
      .ren_i(read_i),
      .raddr_i({b_i, group_i}),
      .rdata_o(b_data),
      .wen_i(write_i),
      .waddr_i({write_register_i, write_group_i}),
      .wdata_i(write_data_i)
  );

  vt_sram #(
      .Depth(Depth),
      .Width(Cols * 32),
      .Granule(32)
  ) u_c (
      .clk_i(clk_i),
      .ren_i(read_i),
      .raddr_i({c_i, group_i}),
      .rdata_o(c_data),
      .wen_i(write_i),
      .waddr_i({write_register_i, write_group_i}),
      .wdata_i(write_data_i)
  );

endmodule

`default_nettype wire
