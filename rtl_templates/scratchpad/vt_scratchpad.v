// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Banked scratchpad of a PE cluster: one word wide, single-port banks, shared by all engines.
//
// Consecutive words lie in different banks, and the bank number is folded over all address digits, so that strides of
// a power of two spread as well. Each bank serves one request a cycle. The order of precedence is: streamed operand A,
// stationary operand B, results, auxiliary operand, receive, stores of the lanes, their loads, load, send, store: the
// array first, then what frees accumulators, then the mesh, which must drain, the lanes, which stand still meanwhile, and
// the memory side, whose queues can wait.
//
// Latency     read data 1 cycle after the request is taken, valid in that cycle only.
// Throughput  Banks requests per cycle, 1 per client.
// Bound       A never waits; nobody waits longer than those before it stream through its bank.

`default_nettype none

module vt_scratchpad #(
    parameter WordBits = 256,   // bits of a word
    parameter Words    = 8192,  // capacity, a power of two
    parameter Banks    = 4,     // a power of two, at least 2
    parameter Granule  = 64,    // bits under one write enable
    parameter AddrBits = $clog2(Words),
    parameter Granules = WordBits / Granule
) (
    input  wire                clk_i,
    input  wire                rst_ni,

    // Streamed operand.
    input  wire                a_valid_i,
    output wire                a_ready_o,
    input  wire [AddrBits-1:0] a_addr_i,
    output wire                a_data_valid_o,
    output wire [WordBits-1:0] a_data_o,

    // Stationary operand.
    input  wire                b_valid_i,
    output wire                b_ready_o,
    input  wire [AddrBits-1:0] b_addr_i,
    output wire                b_data_valid_o,
    output wire [WordBits-1:0] b_data_o,

    // Results of the vector unit.
    input  wire                result_valid_i,
    output wire                result_ready_o,
    input  wire [AddrBits-1:0] result_addr_i,
    input  wire [Granules-1:0] result_mask_i,
    input  wire [WordBits-1:0] result_data_i,

    // Auxiliary operand of the vector unit.
    input  wire                aux_valid_i,
    output wire                aux_ready_o,
    input  wire [AddrBits-1:0] aux_addr_i,
    output wire                aux_data_valid_o,
    output wire [WordBits-1:0] aux_data_o,

    // What the meshes bring.
    input  wire                receive_valid_i,
    output wire                receive_ready_o,
    input  wire [AddrBits-1:0] receive_addr_i,
    input  wire [Granules-1:0] receive_mask_i,
    input  wire [WordBits-1:0] receive_data_i,

    // Lane engine.
    input  wire                lane_wr_valid_i,
    output wire                lane_wr_ready_o,
    input  wire [AddrBits-1:0] lane_wr_addr_i,
    input  wire [Granules-1:0] lane_wr_mask_i,
    input  wire [WordBits-1:0] lane_wr_data_i,
    input  wire                lane_rd_valid_i,
    output wire                lane_rd_ready_o,
    input  wire [AddrBits-1:0] lane_rd_addr_i,
    output wire                lane_rd_data_valid_o,
    output wire [WordBits-1:0] lane_rd_data_o,

    // Load engine.
    input  wire                load_valid_i,
    output wire                load_ready_o,
    input  wire [AddrBits-1:0] load_addr_i,
    input  wire [Granules-1:0] load_mask_i,
    input  wire [WordBits-1:0] load_data_i,

    // Send engine.
    input  wire                send_valid_i,
    output wire                send_ready_o,
    input  wire [AddrBits-1:0] send_addr_i,
    output wire                send_data_valid_o,
    output wire [WordBits-1:0] send_data_o,

    // Store engine.
    input  wire                store_valid_i,
    output wire                store_ready_o,
    input  wire [AddrBits-1:0] store_addr_i,
    output wire                store_data_valid_o,
    output wire [WordBits-1:0] store_data_o
);

  localparam BankBits = $clog2(Banks);
  localparam RowBits = AddrBits - BankBits;
  localparam Digits = (AddrBits + BankBits - 1) / BankBits;

  generate
    if (Banks < 2 || (Banks & (Banks - 1)) != 0 || (Words & (Words - 1)) != 0) begin : gen_bad_size
      vt_error_Banks_and_Words_must_be_powers_of_two u_error ();
    end
  endgenerate

  // ---- which bank

  function [BankBits-1:0] bank_of;
    input [AddrBits-1:0] addr;
    reg [Digits*BankBits-1:0] padded;
    integer d;
    begin
      padded = {{(Digits * BankBits - AddrBits) {1'b0}}, addr};
      bank_of = {BankBits{1'b0}};
      for (d = 0; d < Digits; d = d + 1) bank_of = bank_of ^ padded[d*BankBits+:BankBits];
    end
  endfunction

  // Clients in order of precedence: 0 A, 1 B, 2 results, 3 auxiliary, 4 receive, 5 stores and 6 loads of the lanes, 7 load,
  // 8 send, 9 store.
  wire [BankBits-1:0] bank0 = bank_of(a_addr_i);
  wire [BankBits-1:0] bank1 = bank_of(b_addr_i);
  wire [BankBits-1:0] bank2 = bank_of(result_addr_i);
  wire [BankBits-1:0] bank3 = bank_of(aux_addr_i);
  wire [BankBits-1:0] bank4 = bank_of(receive_addr_i);
  wire [BankBits-1:0] bank5 = bank_of(lane_wr_addr_i);
  wire [BankBits-1:0] bank6 = bank_of(lane_rd_addr_i);
  wire [BankBits-1:0] bank7 = bank_of(load_addr_i);
  wire [BankBits-1:0] bank8 = bank_of(send_addr_i);
  wire [BankBits-1:0] bank9 = bank_of(store_addr_i);

  // One net a client: a client's valid may depend on the ready of those before it.
  assign a_ready_o = 1'b1;
  assign b_ready_o = !(a_valid_i && bank0 == bank1);
  assign result_ready_o = !((a_valid_i && bank0 == bank2) || (b_valid_i && bank1 == bank2));
  assign aux_ready_o = !((a_valid_i && bank0 == bank3) || (b_valid_i && bank1 == bank3) ||
                         (result_valid_i && bank2 == bank3));
  assign receive_ready_o = !((a_valid_i && bank0 == bank4) || (b_valid_i && bank1 == bank4) ||
                             (result_valid_i && bank2 == bank4) || (aux_valid_i && bank3 == bank4));
  assign lane_wr_ready_o = !((a_valid_i && bank0 == bank5) || (b_valid_i && bank1 == bank5) ||
                             (result_valid_i && bank2 == bank5) || (aux_valid_i && bank3 == bank5) ||
                             (receive_valid_i && bank4 == bank5));
  assign lane_rd_ready_o = !((a_valid_i && bank0 == bank6) || (b_valid_i && bank1 == bank6) ||
                             (result_valid_i && bank2 == bank6) || (aux_valid_i && bank3 == bank6) ||
                             (receive_valid_i && bank4 == bank6) || (lane_wr_valid_i && bank5 == bank6));
  assign load_ready_o = !((a_valid_i && bank0 == bank7) || (b_valid_i && bank1 == bank7) ||
                          (result_valid_i && bank2 == bank7) || (aux_valid_i && bank3 == bank7) ||
                          (receive_valid_i && bank4 == bank7) || (lane_wr_valid_i && bank5 == bank7) ||
                          (lane_rd_valid_i && bank6 == bank7));
  assign send_ready_o = !((a_valid_i && bank0 == bank8) || (b_valid_i && bank1 == bank8) ||
                          (result_valid_i && bank2 == bank8) || (aux_valid_i && bank3 == bank8) ||
                          (receive_valid_i && bank4 == bank8) || (lane_wr_valid_i && bank5 == bank8) ||
                          (lane_rd_valid_i && bank6 == bank8) || (load_valid_i && bank7 == bank8));
  assign store_ready_o = !((a_valid_i && bank0 == bank9) || (b_valid_i && bank1 == bank9) ||
                           (result_valid_i && bank2 == bank9) || (aux_valid_i && bank3 == bank9) ||
                           (receive_valid_i && bank4 == bank9) || (lane_wr_valid_i && bank5 == bank9) ||
                           (lane_rd_valid_i && bank6 == bank9) || (load_valid_i && bank7 == bank9) ||
                           (send_valid_i && bank8 == bank9));

  wire take0 = a_valid_i;
  wire take1 = b_valid_i && b_ready_o;
  wire take2 = result_valid_i && result_ready_o;
  wire take3 = aux_valid_i && aux_ready_o;
  wire take4 = receive_valid_i && receive_ready_o;
  wire take5 = lane_wr_valid_i && lane_wr_ready_o;
  wire take6 = lane_rd_valid_i && lane_rd_ready_o;
  wire take7 = load_valid_i && load_ready_o;
  wire take8 = send_valid_i && send_ready_o;
  wire take9 = store_valid_i && store_ready_o;

  // ---- banks

  wire [Banks*WordBits-1:0] bank_data;
  genvar b;
  generate
    for (b = 0; b < Banks; b = b + 1) begin : gen_bank
      wire hit0 = take0 && bank0 == b[BankBits-1:0];
      wire hit1 = take1 && bank1 == b[BankBits-1:0];
      wire hit2 = take2 && bank2 == b[BankBits-1:0];
      wire hit3 = take3 && bank3 == b[BankBits-1:0];
      wire hit4 = take4 && bank4 == b[BankBits-1:0];
      wire hit5 = take5 && bank5 == b[BankBits-1:0];
      wire hit6 = take6 && bank6 == b[BankBits-1:0];
      wire hit7 = take7 && bank7 == b[BankBits-1:0];
      wire hit8 = take8 && bank8 == b[BankBits-1:0];
      wire hit9 = take9 && bank9 == b[BankBits-1:0];
      wire [RowBits-1:0] row =
          ({RowBits{hit0}} & a_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit1}} & b_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit2}} & result_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit3}} & aux_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit4}} & receive_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit5}} & lane_wr_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit6}} & lane_rd_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit7}} & load_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit8}} & send_addr_i[AddrBits-1:BankBits]) |
          ({RowBits{hit9}} & store_addr_i[AddrBits-1:BankBits]);
      vt_sram #(
          .Depth(Words / Banks),
          .Width(WordBits),
          .Granule(Granule),
          .SinglePort(1)
      ) u_sram (
          .clk_i(clk_i),
          .ren_i(hit0 || hit1 || hit3 || hit6 || hit8 || hit9),
          .raddr_i(row),
          .rdata_o(bank_data[b*WordBits+:WordBits]),
          .wen_i(({Granules{hit2}} & result_mask_i) | ({Granules{hit4}} & receive_mask_i) |
                 ({Granules{hit5}} & lane_wr_mask_i) | ({Granules{hit7}} & load_mask_i)),
          .waddr_i(row),
          .wdata_i(hit7 ? load_data_i : hit5 ? lane_wr_data_i : hit4 ? receive_data_i : result_data_i)
      );
    end
  endgenerate

  // ---- read data

  reg [5:0] data_valid_q;
  reg [BankBits-1:0] from0_q;
  reg [BankBits-1:0] from1_q;
  reg [BankBits-1:0] from3_q;
  reg [BankBits-1:0] from6_q;
  reg [BankBits-1:0] from8_q;
  reg [BankBits-1:0] from9_q;

  always @(posedge clk_i) begin
    data_valid_q <= {take9, take8, take6, take3, take1, take0} & {6{rst_ni}};
    if (take0) from0_q <= bank0;
    if (take1) from1_q <= bank1;
    if (take3) from3_q <= bank3;
    if (take6) from6_q <= bank6;
    if (take8) from8_q <= bank8;
    if (take9) from9_q <= bank9;
  end

  assign a_data_o = bank_data[from0_q*WordBits+:WordBits];
  assign b_data_o = bank_data[from1_q*WordBits+:WordBits];
  assign aux_data_o = bank_data[from3_q*WordBits+:WordBits];
  assign lane_rd_data_o = bank_data[from6_q*WordBits+:WordBits];
  assign send_data_o = bank_data[from8_q*WordBits+:WordBits];
  assign store_data_o = bank_data[from9_q*WordBits+:WordBits];
  assign {
    store_data_valid_o, send_data_valid_o, lane_rd_data_valid_o, aux_data_valid_o, b_data_valid_o, a_data_valid_o
  } = data_valid_q;

endmodule

`default_nettype wire
