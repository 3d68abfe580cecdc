// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Fields and operations of lane instructions.
//
// Written from the tables in generator/include/vaultrain/lane_program.h; edit those, then run
// VT_UPDATE=1 lane_program_test to write this file again.
// Digest of the definitions: e5079e460cce89de917b6819b4a395c986af8dcd8431c1e09d091a9f8bd358c6

`ifndef VT_LANE_HEADER
`define VT_LANE_HEADER

// ---- sizes
`define VT_LANE_REGISTERS                    16

// ---- fields
`define VT_LANE_OP                           5:0
`define VT_LANE_DST                          9:6
`define VT_LANE_A                            13:10
`define VT_LANE_B                            17:14
`define VT_LANE_C                            21:18
`define VT_LANE_NEG_PRODUCT                  22
`define VT_LANE_NEG_C                        23
`define VT_LANE_ONE                          24
`define VT_LANE_NO_C                         25
`define VT_LANE_TAKEN                        27:26
`define VT_LANE_TAKEN_STREAM                 29:28
`define VT_LANE_TAKEN_WIDE                   30
`define VT_LANE_GROUP_MODE                   15:14
`define VT_LANE_LANE_MODE                    17:16
`define VT_LANE_LANE_SHIFT                   25:22
`define VT_LANE_GROUP_SHIFT                  29:26
`define VT_LANE_SCALAR                       24:22
`define VT_LANE_STREAM                       15:14
`define VT_LANE_OFFSET                       31:16
`define VT_LANE_HIGH                         31:16

// ---- operations
`define VT_LANE_OP_NOP                       6'h00
`define VT_LANE_OP_MAD                       6'h01
`define VT_LANE_OP_MAX                       6'h02
`define VT_LANE_OP_MIN                       6'h03
`define VT_LANE_OP_GT                        6'h04
`define VT_LANE_OP_GE                        6'h05
`define VT_LANE_OP_EQ                        6'h06
`define VT_LANE_OP_SEL                       6'h07
`define VT_LANE_OP_LDW                       6'h08
`define VT_LANE_OP_LDO                       6'h09
`define VT_LANE_OP_STW                       6'h0a
`define VT_LANE_OP_STO                       6'h0b
`define VT_LANE_OP_STR                       6'h0c
`define VT_LANE_OP_LDI                       6'h0d
`define VT_LANE_OP_LDH                       6'h0e
`define VT_LANE_OP_SCL                       6'h0f
`define VT_LANE_OP_MOVE                      6'h10
`define VT_LANE_OP_IOTA                      6'h11
`define VT_LANE_OP_RND                       6'h12
`define VT_LANE_OP_SEED                      6'h13
`define VT_LANE_OP_EX2                       6'h14
`define VT_LANE_OP_LG2                       6'h15
`define VT_LANE_OP_RCP                       6'h16
`define VT_LANE_OP_RSQ                       6'h17
`define VT_LANE_OP_LAW                       6'h18
`define VT_LANE_OP_LAO                       6'h19
`define VT_LANE_OP_LMW                       6'h1a
`define VT_LANE_OP_LMO                       6'h1b
`define VT_LANE_OP_STM                       6'h1c

`endif
