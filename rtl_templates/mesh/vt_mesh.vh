// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Flits of the two meshes: what the routers look at, in the lowest bits.

// Header, the same in both meshes. In the reduction mesh the cast is the group and the destination the owner.
`define VT_MESH_HEADER_BITS 8
`define VT_MESH_CAST  1:0
`define VT_MESH_DST_X 4:2
`define VT_MESH_DST_Y 7:5

// Casts. Bit 0: along the row; bit 1: along columns.
`define VT_CAST_ONE    2'd0
`define VT_CAST_ROW    2'd1
`define VT_CAST_COLUMN 2'd2
`define VT_CAST_ALL    2'd3

// Ports of a router, and bits of vectors over its links.
`define VT_PORT_NORTH 0
`define VT_PORT_EAST  1
`define VT_PORT_SOUTH 2
`define VT_PORT_WEST  3
`define VT_PORT_LOCAL 4
