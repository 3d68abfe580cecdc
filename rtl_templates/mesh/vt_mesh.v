// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A whole data mesh, Columns x Rows routers with their links, for benches.
//
// Node (x, y) has bit, or slice, y * Columns + x of every vector.

`default_nettype none

module vt_mesh #(
    parameter Columns  = 4,   // 1 to 8
    parameter Rows     = 4,   // 1 to 8
    parameter FlitBits = 64,
    parameter Depth    = 8
) (
    input  wire                             clk_i,
    input  wire                             rst_ni,

    input  wire [Columns*Rows-1:0]          inject_valid_i,
    output wire [Columns*Rows-1:0]          inject_ready_o,
    input  wire [Columns*Rows*FlitBits-1:0] inject_flit_i,
    output wire [Columns*Rows-1:0]          eject_valid_o,
    input  wire [Columns*Rows-1:0]          eject_ready_i,
    output wire [Columns*Rows*FlitBits-1:0] eject_flit_o,

    output wire [Columns*Rows-1:0]          idle_o,
    output wire [Columns*Rows-1:0]          error_o,

    // Faults: credits of a router's outputs that get lost, or come without reason. Bit 4 * node + direction.
    input  wire [4*Columns*Rows-1:0]        lose_credit_i,
    input  wire [4*Columns*Rows-1:0]        forge_credit_i
);

  localparam Nodes = Columns * Rows;

  generate
    if (Columns < 1 || Columns > 8 || Rows < 1 || Rows > 8) begin : gen_bad_shape
      vt_error_Columns_and_Rows_must_be_1_to_8 u_error ();
    end
  endgenerate

  localparam [31:0] LastX = Columns - 1;
  localparam [31:0] LastY = Rows - 1;

  wire [4*Nodes-1:0]          out_valid;
  wire [4*Nodes*FlitBits-1:0] out_flit;
  wire [4*Nodes-1:0]          out_credit;
  wire [4*Nodes-1:0]          in_valid;
  wire [4*Nodes*FlitBits-1:0] in_flit;
  wire [4*Nodes-1:0]          in_credit;

  genvar n;
  genvar d;
  generate
    for (n = 0; n < Nodes; n = n + 1) begin : gen_node
      localparam [31:0] MyX = n % Columns;
      localparam [31:0] MyY = n / Columns;

      for (d = 0; d < 4; d = d + 1) begin : gen_link
        localparam Exists = (d == 0) ? MyY != 0 : (d == 1) ? MyX != LastX : (d == 2) ? MyY != LastY : MyX != 0;
        localparam There  = (d == 0) ? n - Columns : (d == 1) ? n + 1 : (d == 2) ? n + Columns : n - 1;
        localparam Back   = 4 * There + (d + 2) % 4;  // the same link, seen from its other end
        localparam Here   = 4 * n + d;
        if (Exists) begin : gen_wire
          assign in_valid[Here] = out_valid[Back];
          assign in_flit[Here*FlitBits+:FlitBits] = out_flit[Back*FlitBits+:FlitBits];
          assign out_credit[Here] = (in_credit[Back] && !lose_credit_i[Here]) || forge_credit_i[Here];
        end else begin : gen_edge
          assign in_valid[Here] = 1'b0;
          assign in_flit[Here*FlitBits+:FlitBits] = {FlitBits{1'b0}};
          assign out_credit[Here] = 1'b0;
          wire unused = &{1'b0, out_valid[Here], out_flit[Here*FlitBits+:FlitBits], in_credit[Here],
                          lose_credit_i[Here], forge_credit_i[Here]};
        end
      end

      vt_router #(
          .FlitBits(FlitBits),
          .Depth(Depth)
      ) u_router (
          .clk_i(clk_i),
          .rst_ni(rst_ni),
          .my_x_i(MyX[2:0]),
          .my_y_i(MyY[2:0]),
          .last_x_i(LastX[2:0]),
          .last_y_i(LastY[2:0]),
          .inject_valid_i(inject_valid_i[n]),
          .inject_ready_o(inject_ready_o[n]),
          .inject_flit_i(inject_flit_i[n*FlitBits+:FlitBits]),
          .eject_valid_o(eject_valid_o[n]),
          .eject_ready_i(eject_ready_i[n]),
          .eject_flit_o(eject_flit_o[n*FlitBits+:FlitBits]),
          .link_out_valid_o(out_valid[4*n+:4]),
          .link_out_flit_o(out_flit[4*n*FlitBits+:4*FlitBits]),
          .link_out_credit_i(out_credit[4*n+:4]),
          .link_in_valid_i(in_valid[4*n+:4]),
          .link_in_flit_i(in_flit[4*n*FlitBits+:4*FlitBits]),
          .link_in_credit_o(in_credit[4*n+:4]),
          .idle_o(idle_o[n]),
          .error_o(error_o[n])
      );
    end
  endgenerate

endmodule

`default_nettype wire
