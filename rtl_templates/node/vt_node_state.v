// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What a node tells the module of itself, and what ends its program, a cycle after it happened. vt_node_core has these
// registers in a module of their own: tools that build the core as one block keep no names of registers at its top.

`default_nettype none
`include "vt_isa.vh"

module vt_node_state (
    input  wire       clk_i,
    input  wire       rst_ni,
    // Idle routers of the two meshes; an error of any part of them in this node.
    input  wire       data_idle_i,
    input  wire       red_idle_i,
    input  wire       mesh_error_i,
    // Errors that end a running program: of the vault, of the mesh, of another node.
    input  wire       running_i,
    input  wire       ecc_error_i,
    input  wire       refresh_late_i,
    input  wire       peer_fault_i,
    output wire       data_idle_o,
    output wire       red_idle_o,
    output wire       mesh_error_o,
    output wire       fault_o,
    output wire [7:0] fault_code_o
);

  reg       data_idle_q;
  reg       red_idle_q;
  reg       mesh_error_q;
  reg       fault_q;
  reg [7:0] fault_code_q;

  always @(posedge clk_i) begin
    if (!rst_ni) begin
      data_idle_q  <= 1'b0;
      red_idle_q   <= 1'b0;
      mesh_error_q <= 1'b0;
      fault_q      <= 1'b0;
    end else begin
      data_idle_q  <= data_idle_i;
      red_idle_q   <= red_idle_i;
      mesh_error_q <= mesh_error_i;
      fault_q      <= running_i && (ecc_error_i || refresh_late_i || mesh_error_i || peer_fault_i);
    end
    fault_code_q <= ecc_error_i ? `VT_ERROR_ECC : refresh_late_i ? `VT_ERROR_REFRESH :
        mesh_error_i ? `VT_ERROR_MESH : `VT_ERROR_PEER;
  end

  assign data_idle_o  = data_idle_q;
  assign red_idle_o   = red_idle_q;
  assign mesh_error_o = mesh_error_q;
  assign fault_o      = fault_q;
  assign fault_code_o = fault_code_q;

endmodule

`default_nettype wire
