// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Router of the data mesh: single-flit packets to one node, or to all others of the row, the column or the mesh.
//
// XY order: first along the row, then along the column. A cast flit goes both ways along the row from its source and
// forks north and south in every column it passes; it reaches every node of its group but the source. The branches of
// a flit leave one by one as their outputs are free. Flits of one source, cast and destination stay in order.
//
//            +-------+   +-------+   +---------+   +----------+
//   link in -| queue |---| route |---| arbiter |---| register |- link out     (4 times)
//            +-------+   +-------+   |  per    |   +----------+
//   inject  -| queue |---| route |---| output  |---|  queue   |- eject
//            +-------+   +-------+   +---------+   +----------+
//
// Latency     2 cycles a router: from link_in_* to link_out_*, from inject_* and to eject_*.
// Throughput  1 flit per cycle and output, with Depth of 4 or more.
// Bound       an input that wants an output gets it after at most 4 flits of others.
// Errors      error_o, one cycle each: a flit into a full queue and a flit for no node of the mesh, both dropped, and
//             a credit too many.

`default_nettype none
`include "vt_mesh.vh"

module vt_router #(
    parameter FlitBits = 144,  // header and what the router does not look at, at least 9
    parameter Depth    = 8,    // flits in the queue of a link, the same in all routers, at least 2
    parameter LinkRegisters = 1  // 0: link_out_* and link_in_credit_o come a cycle early, for registers outside
) (
    input  wire                  clk_i,
    input  wire                  rst_ni,

    // Where the router stands; constant. North is towards y 0, west towards x 0.
    input  wire [2:0]            my_x_i,
    input  wire [2:0]            my_y_i,
    input  wire [2:0]            last_x_i,          // of the mesh
    input  wire [2:0]            last_y_i,

    // The node's own flits.
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
    if (FlitBits <= `VT_MESH_HEADER_BITS) begin : gen_bad_flit
      vt_error_FlitBits_must_exceed_the_header u_error ();
    end
    if (Depth < 2) begin : gen_bad_depth
      vt_error_Depth_must_be_2_or_more u_error ();
    end
  endgenerate

  localparam Ports = 5;
  localparam LocalDepth = 2;
  localparam LevelBits = $clog2(Depth + 1);

  wire [Ports-1:0] present = {1'b1, my_x_i != 3'd0, my_y_i != last_y_i, my_x_i != last_x_i, my_y_i != 3'd0};

  // ---- inputs: queue, route, branches that are still to leave

  wire [Ports-1:0]          head_valid;
  wire [Ports*FlitBits-1:0] head_flit;
  wire [Ports*Ports-1:0]    request;     // [input * Ports + output]
  wire [Ports*Ports-1:0]    grant;       // [output * Ports + input]
  wire [Ports-1:0]          pop;
  wire [Ports-1:0]          nowhere;     // the head is for no node of the mesh
  wire [Ports-1:0]          in_valid = {inject_valid_i, link_in_valid_i};
  wire [Ports-1:0]          in_ready;
  wire [Ports*FlitBits-1:0] in_flit  = {inject_flit_i, link_in_flit_i};

  genvar p;
  genvar o;
  generate
    for (p = 0; p < Ports; p = p + 1) begin : gen_input
      // Turns of XY order, and none back.
      localparam [Ports-1:0] Turns = (p == `VT_PORT_NORTH) ? 5'b10100 : (p == `VT_PORT_EAST) ? 5'b11101 :
                                     (p == `VT_PORT_SOUTH) ? 5'b10001 : (p == `VT_PORT_WEST) ? 5'b10111 : 5'b11111;

      wire [LevelBits-1:0] unused_level;
      if (p == `VT_PORT_LOCAL) begin : gen_local
        wire [1:0] unused_local_level;
        vt_fifo #(
            .Width(FlitBits),
            .Depth(LocalDepth)
        ) u_queue (
            .clk_i(clk_i),
            .rst_ni(rst_ni),
            .in_valid_i(in_valid[p]),
            .in_ready_o(in_ready[p]),
            .in_data_i(in_flit[p*FlitBits+:FlitBits]),
            .out_valid_o(head_valid[p]),
            .out_ready_i(pop[p]),
            .out_data_o(head_flit[p*FlitBits+:FlitBits]),
            .level_o(unused_local_level)
        );
        assign unused_level = {LevelBits{|unused_local_level}};
      end else begin : gen_link
        vt_fifo #(
            .Width(FlitBits),
            .Depth(Depth)
        ) u_queue (
            .clk_i(clk_i),
            .rst_ni(rst_ni),
            .in_valid_i(in_valid[p]),
            .in_ready_o(in_ready[p]),
            .in_data_i(in_flit[p*FlitBits+:FlitBits]),
            .out_valid_o(head_valid[p]),
            .out_ready_i(pop[p]),
            .out_data_o(head_flit[p*FlitBits+:FlitBits]),
            .level_o(unused_level)
        );
      end

      wire [`VT_MESH_HEADER_BITS-1:0] header = head_flit[p*FlitBits+:`VT_MESH_HEADER_BITS];
      wire [1:0] cast  = header[`VT_MESH_CAST];
      wire [2:0] dst_x = header[`VT_MESH_DST_X];
      wire [2:0] dst_y = header[`VT_MESH_DST_Y];

      wire east  = dst_x > my_x_i;
      wire west  = dst_x < my_x_i;
      wire south = dst_y > my_y_i;
      wire north = dst_y < my_y_i;
      wire in_column = !east && !west;
      wire [Ports-1:0] one = {in_column && !south && !north, west, in_column && south, east, in_column && north};
      // A link's flit is also for this node and never goes back; Turns does the rest.
      wire [Ports-1:0] many = {p != `VT_PORT_LOCAL, cast[0], cast[1], cast[0], cast[1]};
      wire             is_one = cast == `VT_CAST_ONE;
      wire [Ports-1:0] branches = (is_one ? one : many) & Turns & present;

      reg  [Ports-1:0] left_q;  // branches that have left
      wire [Ports-1:0] open = branches & ~left_q;
      wire [Ports-1:0] leaves;
      for (o = 0; o < Ports; o = o + 1) begin : gen_output
        assign leaves[o] = grant[o*Ports+p];
      end

      assign request[p*Ports+:Ports] = open & {Ports{head_valid[p]}};
      assign pop[p]     = head_valid[p] && (open & ~leaves) == {Ports{1'b0}};
      assign nowhere[p] = head_valid[p] && is_one && branches == {Ports{1'b0}};

      always @(posedge clk_i) begin
        if (!rst_ni || pop[p]) left_q <= {Ports{1'b0}};
        else left_q <= left_q | leaves;
      end

      wire unused = &{1'b0, unused_level};
    end
  endgenerate

  assign inject_ready_o = in_ready[`VT_PORT_LOCAL];

  // ---- outputs: arbiter, choice, register or queue

  wire [Ports-1:0] out_room;
  wire [Ports-1:0] out_valid;
  wire [3:0]       credits_home;
  wire [3:0]       credit_error;
  wire             eject_room;
  wire [1:0]       unused_eject_level;

  generate
    for (o = 0; o < Ports; o = o + 1) begin : gen_output
      wire [Ports-1:0] wanted;
      for (p = 0; p < Ports; p = p + 1) begin : gen_input
        assign wanted[p] = request[p*Ports+o] && out_room[o];
      end

      reg [FlitBits-1:0] flit;
      integer k;
      always @* begin
        flit = {FlitBits{1'b0}};
        for (k = 0; k < Ports; k = k + 1) flit = flit | (head_flit[k*FlitBits+:FlitBits] & {FlitBits{grant[o*Ports+k]}});
      end
      assign out_valid[o] = |wanted;

      vt_round_robin #(
          .Clients(Ports)
      ) u_arbiter (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .request_i(wanted),
          .grant_o(grant[o*Ports+:Ports])
      );

      if (o == `VT_PORT_LOCAL) begin : gen_eject
        assign out_room[o] = eject_room;
        vt_fifo #(
            .Width(FlitBits),
            .Depth(LocalDepth)
        ) u_queue (
            .clk_i(clk_i),
            .rst_ni(rst_ni),
            .in_valid_i(out_valid[o]),
            .in_ready_o(eject_room),
            .in_data_i(flit),
            .out_valid_o(eject_valid_o),
            .out_ready_i(eject_ready_i),
            .out_data_o(eject_flit_o),
            .level_o(unused_eject_level)
        );
      end else begin : gen_link
        vt_credit_counter #(
            .Depth(Depth)
        ) u_credits (
            .clk_i(clk_i),
            .rst_ni(rst_ni),
            .take_i(out_valid[o]),
            .credit_i(link_out_credit_i[o]),
            .some_o(out_room[o]),
            .home_o(credits_home[o]),
            .overflow_o(credit_error[o])
        );

        if (LinkRegisters != 0) begin : gen_register
          reg                link_out_valid_q;
          reg [FlitBits-1:0] link_out_flit_q;
          always @(posedge clk_i) begin
            if (!rst_ni) link_out_valid_q <= 1'b0;
            else link_out_valid_q <= out_valid[o];
          end
          always @(posedge clk_i) begin
            if (out_valid[o]) link_out_flit_q <= flit;
          end
          assign link_out_valid_o[o] = link_out_valid_q;
          assign link_out_flit_o[o*FlitBits+:FlitBits] = link_out_flit_q;
        end else begin : gen_early
          assign link_out_valid_o[o] = out_valid[o];
          assign link_out_flit_o[o*FlitBits+:FlitBits] = flit;
        end
      end
    end
  endgenerate


  // ---- credits back, state

  reg error_q;

  generate
    if (LinkRegisters != 0) begin : gen_credit_register
      reg [3:0] link_in_credit_q;
      always @(posedge clk_i) begin
        if (!rst_ni) link_in_credit_q <= 4'd0;
        else link_in_credit_q <= pop[3:0];
      end
      assign link_in_credit_o = link_in_credit_q;
    end else begin : gen_credit_early
      assign link_in_credit_o = pop[3:0];
    end
  endgenerate

  assign error_o = error_q;
  // A flit between two routers is a credit that is not home.
  assign idle_o = head_valid == {Ports{1'b0}} && !eject_valid_o && (credits_home | ~present[3:0]) == 4'b1111;

  always @(posedge clk_i) begin
    if (!rst_ni) error_q <= 1'b0;
    else error_q <= |credit_error || |nowhere || |(link_in_valid_i & ~in_ready[3:0]);
  end

  wire unused = &{1'b0, unused_eject_level};

endmodule

`default_nettype wire
