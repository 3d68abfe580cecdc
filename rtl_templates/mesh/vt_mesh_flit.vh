// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Fields of a flit of the data mesh and of one of the reduction mesh, as bit ranges. The payload, LinkBits wide, begins
// at VT_FLIT_HEAD and VT_RED_HEAD; the lowest 8 bits are what routers look at.

`define VT_FLIT_HEAD         41
`define VT_FLIT_CAST         1:0    // as GROUP of a descriptor: 0 one node, 1 row, 2 column, 3 all
`define VT_FLIT_X            4:2    // the node that it goes to, cast 0
`define VT_FLIT_Y            7:5
`define VT_FLIT_TYPE         10:8   // 0 and 1 go to the PE cluster, others to and from the host
`define VT_FLIT_POST         11:11  // a token when the payload has landed
`define VT_FLIT_SEMAPHORE    16:12  // that gets it
`define VT_FLIT_ADDR         40:17  // scratchpad byte address of the payload

`define VT_FLIT_TYPE_PUT     3'd0
`define VT_FLIT_TYPE_POST    3'd1   // a token without payload

`define VT_RED_HEAD          38
`define VT_RED_GROUP         1:0    // 1 row, 2 column, 3 all
`define VT_RED_X             4:2    // the owner of the sum
`define VT_RED_Y             7:5
`define VT_RED_POST          8:8
`define VT_RED_SEMAPHORE     13:9
`define VT_RED_ADDR          37:14
