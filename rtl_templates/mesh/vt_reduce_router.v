// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Router of the reduction mesh: adds fp32 vectors on their way to the node that owns the sum.
//
// A collective: every node of a group (a row, a column or the mesh) injects flits with the same header and user bits, all
// nodes their common collectives in the same order, and the owner ejects the sums. Within a row they go towards the
// owner's column, within columns towards its row. A router adds to its own flit those of the neighbours that lie
// farther from the owner; which ones follows from the places of router and owner alone. The head of the local queue
// decides what is next.
//
//   inject  -| queue |------------ own flit --+                 +-----------------+
//                                             v                 v                 |
//   link in -| queue |-- next addend --> | operands | -> adder, 2 stages -> more addends? -- no --> register, eject
//
// Order       ((((own + west) + east) + north) + south), those that are expected.
// Latency     5 cycles a router from the later of inject_* and link_in_* to link_out_* with one addend, 3 more for each
//             further one; 2 cycles with none. Eject is the same.
// Throughput  1 flit per cycle with one addend or none, k cycles a flit with k, with Depth of 4 or more. When the set of
//             addends changes from one flit to the next, the adder runs empty first.
// Numerics    as vt_fp32_add, in the order above; own flits without addend pass unchanged. Bit-exact with
//             golden::Fp32Add.
// Errors      error_o, one cycle each: an addend whose header or user bits are not those of the own flit (it is added all
//             the same), an own flit for no group or for an owner outside of its group (it is dropped), a flit into a
//             full queue (dropped), a credit too many.

`default_nettype none
`include "vt_mesh.vh"

module vt_reduce_router #(
    parameter LinkBits = 128,  // bits of a flit that are summed, a multiple of 32
    parameter UserBits = 8,    // bits that go with the sum, at least 1
    parameter Depth    = 4,    // flits in a queue, the same in all routers, at least 2
    parameter LinkRegisters = 1,  // 0: link_out_* and link_in_credit_o come a cycle early, for registers outside
    parameter FlitBits = LinkBits + UserBits + 8  // {values, user, header}
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,
    input  wire                  clear_i,           // empties everything; in all routers in the same cycle

    // Where the router stands; constant. North is towards y 0, west towards x 0.
    input  wire [2:0]            my_x_i,
    input  wire [2:0]            my_y_i,
    input  wire [2:0]            last_x_i,          // of the mesh
    input  wire [2:0]            last_y_i,

    // The node's own flits in, the sums that it owns out.
    input  wire                  inject_valid_i,
    output wire                  inject_ready_o,
    input  wire [FlitBits-1:0]   inject_flit_i,
    output wire                  eject_valid_o,
    input  wire                  eject_ready_i,
    output wire [FlitBits-1:0]   eject_flit_o,

    // Links: north, east, south, west from bit 0. A credit pulse is one flit that has left the far queue.
    output wire [3:0]            link_out_valid_o,
    output wire [4*FlitBits-1:0] link_out_flit_o,
    input  wire [3:0]            link_out_credit_i,
    input  wire [3:0]            link_in_valid_i,
    input  wire [4*FlitBits-1:0] link_in_flit_i,
    output wire [3:0]            link_in_credit_o,

    output wire                  idle_o,            // no flit here and all credits home
    output wire                  error_o
);

  generate
    if (LinkBits < 32 || LinkBits % 32 != 0) begin : gen_bad_link
      vt_error_LinkBits_must_be_a_multiple_of_32 u_error ();
    end
    if (UserBits < 1 || FlitBits != LinkBits + UserBits + `VT_MESH_HEADER_BITS) begin : gen_bad_flit
      vt_error_FlitBits_must_be_LinkBits_and_UserBits_and_the_header u_error ();
    end
    if (Depth < 2) begin : gen_bad_depth
      vt_error_Depth_must_be_2_or_more u_error ();
    end
  endgenerate

  localparam Ports = 5;
  localparam Lanes = LinkBits / 32;
  localparam TagBits = UserBits + `VT_MESH_HEADER_BITS;  // what all flits of a sum have in common
  localparam LevelBits = $clog2(Depth + 1);
  localparam EjectDepth = 2;

  wire       run_n   = rst_ni && !clear_i;
  wire [3:0] present = {my_x_i != 3'd0, my_y_i != last_y_i, my_x_i != last_x_i, my_y_i != 3'd0};

  // ---- queues

  wire [Ports-1:0]           head_valid;
  wire [Ports*FlitBits-1:0]  head_flit;
  wire [Ports*LevelBits-1:0] level;
  wire [Ports-1:0]           pop;
  wire [Ports-1:0]           in_valid = {inject_valid_i, link_in_valid_i};
  wire [Ports-1:0]           in_ready;
  wire [Ports*FlitBits-1:0]  in_flit  = {inject_flit_i, link_in_flit_i};

  genvar p;
  generate
    for (p = 0; p < Ports; p = p + 1) begin : gen_input
      vt_fifo #(
          .Width(FlitBits),
          .Depth(Depth)
      ) u_queue (
          .clk_i(clk_i),
          .rst_ni(run_n),
          .in_valid_i(in_valid[p]),
          .in_ready_o(in_ready[p]),
          .in_data_i(in_flit[p*FlitBits+:FlitBits]),
          .out_valid_o(head_valid[p]),
          .out_ready_i(pop[p]),
          .out_data_o(head_flit[p*FlitBits+:FlitBits]),
          .level_o(level[p*LevelBits+:LevelBits])
      );
    end
  endgenerate

  assign inject_ready_o = in_ready[`VT_PORT_LOCAL];

  // ---- the own flit: which addends, which way

  wire                own_valid = head_valid[`VT_PORT_LOCAL];
  wire [LinkBits-1:0] own_values;
  wire [TagBits-1:0]  own_tag;
  assign {own_values, own_tag} = head_flit[`VT_PORT_LOCAL*FlitBits+:FlitBits];

  wire [1:0] group   = own_tag[`VT_MESH_CAST];
  wire [2:0] owner_x = own_tag[`VT_MESH_DST_X];
  wire [2:0] owner_y = own_tag[`VT_MESH_DST_Y];
  wire       along_row    = group[0];
  wire       along_column = group[1] && my_x_i == owner_x;

  wire illegal = group == 2'd0 || owner_x > last_x_i || owner_y > last_y_i ||
                 (group == `VT_CAST_ROW && owner_y != my_y_i) || (group == `VT_CAST_COLUMN && owner_x != my_x_i);

  wire [3:0] addends = {
    along_row && my_x_i <= owner_x, along_column && my_y_i >= owner_y,
    along_row && my_x_i >= owner_x, along_column && my_y_i <= owner_y} & present;

  wire to_east  = my_x_i < owner_x;
  wire to_west  = my_x_i > owner_x;
  wire to_south = !to_east && !to_west && my_y_i < owner_y;
  wire to_north = !to_east && !to_west && my_y_i > owner_y;
  wire [Ports-1:0] way = {!to_east && !to_west && !to_south && !to_north, to_west, to_south, to_east, to_north};

  // The next of a set of addends: west, east, north, south.
  function [3:0] next_addend(input [3:0] rest);
    next_addend = rest[`VT_PORT_WEST] ? 4'b1000 : rest[`VT_PORT_EAST] ? 4'b0010 : rest[`VT_PORT_NORTH] ? 4'b0001 :
                  rest[`VT_PORT_SOUTH] ? 4'b0100 : 4'b0000;
  endfunction

  // ---- sums on their way round: 3 places, each with the addends that it still wants

  reg  [2:0]           valid_q;
  reg  [3*4-1:0]       rest_q;
  reg  [3*Ports-1:0]   way_q;
  reg  [3*TagBits-1:0] tag_q;
  reg  [3:0]           set_q;      // addends of the sums that are on their way, the same for all
  reg  [4*LevelBits-1:0] owed_q;   // flits of each queue that they will still take

  wire [3:0] last_rest   = rest_q[2*4+:4];
  wire       again       = valid_q[2] && last_rest != 4'd0;
  wire       sum_done    = valid_q[2] && last_rest == 4'd0;
  wire       empty       = valid_q == 3'd0;

  reg  [3:0] there;                // queues that hold more than what is owed
  integer d;
  always @* begin
    for (d = 0; d < 4; d = d + 1)
      there[d] = level[d*LevelBits+:LevelBits] > owed_q[d*LevelBits+:LevelBits];
  end

  wire [Ports-1:0] room;           // outputs that take a flit
  wire sum_goes  = sum_done && |(way_q[2*Ports+:Ports] & room);
  wire advance   = !sum_done || sum_goes;
  wire start     = own_valid && !illegal && addends != 4'd0 && (addends & ~there) == 4'd0 &&
                   (empty || set_q == addends) && !again && advance;
  wire pass      = own_valid && !illegal && addends == 4'd0 && empty && |(way & room);
  wire drop      = own_valid && illegal;

  wire [3:0] rest     = again ? last_rest : addends;
  wire [3:0] taken    = next_addend(rest);
  wire       step     = advance && (start || again);
  wire [TagBits-1:0] tag = again ? tag_q[2*TagBits+:TagBits] : own_tag;

  reg [FlitBits-1:0] addend;
  always @* begin
    addend = {FlitBits{1'b0}};
    for (d = 0; d < 4; d = d + 1) addend = addend | (head_flit[d*FlitBits+:FlitBits] & {FlitBits{taken[d]}});
  end
  wire mismatch = step && addend[TagBits-1:0] != tag;

  assign pop = {start || pass || drop, taken & {4{step}}};

  always @(posedge clk_i) begin
    if (!run_n) valid_q <= 3'd0;
    else if (advance) valid_q <= {valid_q[1:0], step};
  end
  always @(posedge clk_i) begin
    if (advance) begin
      rest_q <= {rest_q[0+:2*4], rest & ~taken};
      way_q  <= {way_q[0+:2*Ports], again ? way_q[2*Ports+:Ports] : way};
      tag_q  <= {tag_q[0+:2*TagBits], tag};
    end
    if (start) set_q <= addends;
  end

  generate
    for (p = 0; p < 4; p = p + 1) begin : gen_owed
      wire more = start && addends[p] && !taken[p];
      wire less = step && again && taken[p];
      always @(posedge clk_i) begin
        if (!run_n) owed_q[p*LevelBits+:LevelBits] <= {LevelBits{1'b0}};
        else if (more) owed_q[p*LevelBits+:LevelBits] <= owed_q[p*LevelBits+:LevelBits] + 1'b1;
        else if (less) owed_q[p*LevelBits+:LevelBits] <= owed_q[p*LevelBits+:LevelBits] - 1'b1;
      end
    end
  endgenerate

  // ---- operands and adders

  reg  [LinkBits-1:0] a_q;
  reg  [LinkBits-1:0] b_q;
  wire [LinkBits-1:0] sum;
  wire [Lanes-1:0]    unused_sum_valid;

  always @(posedge clk_i) begin
    if (step) begin
      a_q <= again ? sum : own_values;
      b_q <= addend[TagBits+:LinkBits];
    end
  end

  genvar l;
  generate
    for (l = 0; l < Lanes; l = l + 1) begin : gen_lane
      vt_fp32_add u_add (
          .clk_i(clk_i),
          .rst_ni(run_n),
          .en_i(advance),
          .valid_i(valid_q[0]),
          .a_i(a_q[l*32+:32]),
          .b_i(b_q[l*32+:32]),
          .valid_o(unused_sum_valid[l]),
          .y_o(sum[l*32+:32])
      );
    end
  endgenerate

  // ---- outputs: one flit a cycle, so that the links share a register

  wire [Ports-1:0]    out_valid = (sum_goes ? way_q[2*Ports+:Ports] : {Ports{1'b0}}) | (pass ? way : {Ports{1'b0}});
  wire [FlitBits-1:0] out_flit  = pass ? {own_values, own_tag} : {sum, tag_q[2*TagBits+:TagBits]};
  wire [3:0]          credits_home;
  wire [3:0]          credit_error;
  wire [1:0]          unused_eject_level;

  generate
    for (p = 0; p < 4; p = p + 1) begin : gen_credits
      vt_credit_counter #(
          .Depth(Depth)
      ) u_credits (
          .clk_i(clk_i),
          .rst_ni(run_n),
          .take_i(out_valid[p]),
          .credit_i(link_out_credit_i[p]),
          .some_o(room[p]),
          .home_o(credits_home[p]),
          .overflow_o(credit_error[p])
      );
    end
  endgenerate

  generate
    if (LinkRegisters != 0) begin : gen_link_register
      reg [3:0]          link_out_valid_q;
      reg [FlitBits-1:0] link_out_flit_q;
      always @(posedge clk_i) begin
        if (!run_n) link_out_valid_q <= 4'd0;
        else link_out_valid_q <= out_valid[3:0];
      end
      always @(posedge clk_i) begin
        if (|out_valid[3:0]) link_out_flit_q <= out_flit;
      end
      assign link_out_valid_o = link_out_valid_q;
      assign link_out_flit_o  = {4{link_out_flit_q}};
    end else begin : gen_link_early
      assign link_out_valid_o = out_valid[3:0];
      assign link_out_flit_o  = {4{out_flit}};
    end
  endgenerate

  vt_fifo #(
      .Width(FlitBits),
      .Depth(EjectDepth)
  ) u_eject (
      .clk_i(clk_i),
      .rst_ni(run_n),
      .in_valid_i(out_valid[`VT_PORT_LOCAL]),
      .in_ready_o(room[`VT_PORT_LOCAL]),
      .in_data_i(out_flit),
      .out_valid_o(eject_valid_o),
      .out_ready_i(eject_ready_i),
      .out_data_o(eject_flit_o),
      .level_o(unused_eject_level)
  );

  // ---- credits back, state

  reg error_q;

  generate
    if (LinkRegisters != 0) begin : gen_credit_register
      reg [3:0] link_in_credit_q;
      always @(posedge clk_i) begin
        if (!run_n) link_in_credit_q <= 4'd0;
        else link_in_credit_q <= pop[3:0];
      end
      assign link_in_credit_o = link_in_credit_q;
    end else begin : gen_credit_early
      assign link_in_credit_o = pop[3:0];
    end
  endgenerate

  assign error_o = error_q;
  // A flit between two routers is a credit that is not home.
  assign idle_o = head_valid == {Ports{1'b0}} && empty && !eject_valid_o && (credits_home | ~present) == 4'b1111;

  always @(posedge clk_i) begin
    if (!run_n) error_q <= 1'b0;
    else error_q <= mismatch || drop || |credit_error || |(link_in_valid_i & ~in_ready[3:0]);
  end

  wire unused = &{1'b0, unused_sum_valid, unused_eject_level, level[`VT_PORT_LOCAL*LevelBits+:LevelBits]};

endmodule

`default_nettype wire
