// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The vector unit: one job at a time, VECTOR and ELEMENTS through the drain engine, SOFTMAX through the softmax engine, on
// one scratchpad reader and one writer.
//
// Latency and throughput are those of the two engines.

`default_nettype none
`include "vt_isa.vh"

module vt_vector_unit #(
    parameter Cols       = 4,
    parameter OpBits     = 16,   // bits of an operand
    parameter GradBits   = 16,   // bits of a gradient of SOFTMAX: those of an operand, or 32
    parameter OpExp      = 8,    // exponent bits of an operand; 0: fixed point
    parameter FracBits   = 0,    // fixed point: bits below the point
    parameter Rounding   = 0,    // of results into 16-bit operands: 0 nearest, 1 stochastic, 2 truncate
    parameter WordBits   = 256,  // bits of a scratchpad word
    parameter Granule    = 64,   // bits under one write enable of the scratchpad
    parameter SpadBits   = 18,   // bits of a scratchpad byte address
    parameter AccDepth   = 256,
    parameter AccExp     = 10,
    parameter SumBits    = 29,
    parameter ExpZero    = 276,
    parameter MaxClasses = 256,
    parameter AccBits    = 1 + AccExp + SumBits,
    parameter HalfBits   = $clog2(AccDepth / 2),
    parameter WordAddr   = SpadBits - $clog2(WordBits / 8)
) (
    input  wire                           clk_i,
    input  wire                           rst_ni,

    // Job; held until job_ready_o, which tells that all results are written.
    input  wire                           job_valid_i,
    output wire                           job_ready_o,
    input  wire [`VT_DESCRIPTOR_BITS-1:0] job_i,
    input  wire [`VT_SCALARS*32-1:0]      scalars_i,
    input  wire [31:0]                    seed_i,        // of the random numbers; stable during reset

    // Accumulators.
    input  wire [1:0]                     set_full_i,
    output wire [1:0]                     set_free_o,
    output wire                           drain_o,
    output wire                           drain_half_o,
    output wire [HalfBits-1:0]            drain_index_o,
    input  wire [Cols*AccBits-1:0]        drain_data_i,

    // Scratchpad reader and writer.
    output wire                           rd_valid_o,
    input  wire                           rd_ready_i,
    output wire [WordAddr-1:0]            rd_addr_o,
    input  wire                           rd_data_valid_i,
    input  wire [WordBits-1:0]            rd_data_i,
    output wire                           wr_valid_o,
    input  wire                           wr_ready_i,
    output wire [WordAddr-1:0]            wr_addr_o,
    output wire [WordBits/Granule-1:0]    wr_mask_o,
    output wire [WordBits-1:0]            wr_data_o
);

  wire is_softmax = job_i[`VT_OPCODE] == `VT_OP_SOFTMAX;
  wire [2:0] scalar = is_softmax ? job_i[`VT_S_SCALAR] : job_i[`VT_SCALAR];
  // Registered: the first result that is scaled comes several cycles after its job.
  reg  [31:0] scale_q;
  always @(posedge clk_i) scale_q <= scalars_i[scalar*32+:32];

  wire                        drain_ready;
  wire                        drain_rd_valid;
  wire [WordAddr-1:0]         drain_rd_addr;
  wire                        drain_wr_valid;
  wire [WordAddr-1:0]         drain_wr_addr;
  wire [WordBits/Granule-1:0] drain_wr_mask;
  wire [WordBits-1:0]         drain_wr_data;
  wire                        softmax_ready;
  wire                        softmax_rd_valid;
  wire [WordAddr-1:0]         softmax_rd_addr;
  wire                        softmax_wr_valid;
  wire [WordAddr-1:0]         softmax_wr_addr;
  wire [WordBits-1:0]         softmax_wr_data;

  vt_drain_engine #(
      .Cols(Cols),
      .OpBits(OpBits),
      .WordBits(WordBits),
      .Granule(Granule),
      .SpadBits(SpadBits),
      .AccDepth(AccDepth),
      .AccExp(AccExp),
      .SumBits(SumBits),
      .ExpZero(ExpZero),
      .OpExp(OpExp),
      .FracBits(FracBits),
      .Rounding(Rounding)
  ) u_drain (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .job_valid_i(job_valid_i && !is_softmax),
      .job_ready_o(drain_ready),
      .job_i(job_i),
      .scale_i(scale_q),
      .seed_i(seed_i),
      .set_full_i(set_full_i),
      .set_free_o(set_free_o),
      .drain_o(drain_o),
      .drain_half_o(drain_half_o),
      .drain_index_o(drain_index_o),
      .drain_data_i(drain_data_i),
      .rd_valid_o(drain_rd_valid),
      .rd_ready_i(rd_ready_i),
      .rd_addr_o(drain_rd_addr),
      .rd_data_i(rd_data_i),
      .wr_valid_o(drain_wr_valid),
      .wr_ready_i(wr_ready_i),
      .wr_addr_o(drain_wr_addr),
      .wr_mask_o(drain_wr_mask),
      .wr_data_o(drain_wr_data)
  );

  vt_softmax_engine #(
      .OpBits(GradBits),
      .WordBits(WordBits),
      .SpadBits(SpadBits),
      .MaxClasses(MaxClasses),
      .OpExp(OpExp),
      .FracBits(FracBits),
      .Rounding(Rounding)
  ) u_softmax (
      .clk_i(clk_i),
      .rst_ni(rst_ni),
      .job_valid_i(job_valid_i && is_softmax),
      .job_ready_o(softmax_ready),
      .job_i(job_i),
      .scale_i(scale_q),
      .seed_i(seed_i),
      .rd_valid_o(softmax_rd_valid),
      .rd_ready_i(rd_ready_i),
      .rd_addr_o(softmax_rd_addr),
      .rd_data_valid_i(rd_data_valid_i),
      .rd_data_i(rd_data_i),
      .wr_valid_o(softmax_wr_valid),
      .wr_ready_i(wr_ready_i),
      .wr_addr_o(softmax_wr_addr),
      .wr_data_o(softmax_wr_data)
  );

  // Only one of the two is active.
  assign job_ready_o = drain_ready || softmax_ready;
  assign rd_valid_o = drain_rd_valid || softmax_rd_valid;
  assign rd_addr_o = softmax_rd_valid ? softmax_rd_addr : drain_rd_addr;
  assign wr_valid_o = drain_wr_valid || softmax_wr_valid;
  assign wr_addr_o = softmax_wr_valid ? softmax_wr_addr : drain_wr_addr;
  assign wr_mask_o = softmax_wr_valid ? {(WordBits / Granule) {1'b1}} : drain_wr_mask;
  assign wr_data_o = softmax_wr_valid ? softmax_wr_data : drain_wr_data;

endmodule

`default_nettype wire
