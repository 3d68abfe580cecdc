// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Flits between the host's port, which hangs on the node at (0, 0), and the vaults: types and fields beside those of
// vt_mesh_flit.vh. The payload is the index of an access of the vault, or one beat.

`define VT_HOST_READ        3'd2   // to a vault: read an access
`define VT_HOST_WRITE       3'd3   // to a vault: an access whose beats follow
`define VT_HOST_BEAT        3'd4   // to a vault: a beat to write
`define VT_HOST_DATA        3'd5   // to the host: a beat that was read
`define VT_HOST_ACK         3'd6   // to the host: an access is written

`define VT_HOST_FLIT_ERROR  11     // HOST_DATA: an error of ECC that cannot be corrected
`define VT_HOST_FLIT_MASK   17     // HOST_BEAT: from this bit on, 1 where a byte is written
`define VT_HOST_MASK_BITS   24
