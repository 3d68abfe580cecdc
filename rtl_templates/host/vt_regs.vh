// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Offsets and fields of the module's registers.
//
// Written from the table in generator/include/vaultrain/registers.h; edit that, then run
// VT_UPDATE=1 registers_test to write this file again.
// Digest of the definitions: 5ced00c909e752a91523cd56d96784dec4dcca42a22fc1a4bc7f1339a9201c94

`ifndef VT_REG_HEADER
`define VT_REG_HEADER

// ---- sizes
`define VT_REG_ADDR_BITS                    18
`define VT_REG_PAGE_BITS                    12
`define VT_REG_BROADCAST_PAGE               63
`define VT_REG_SCALARS                      8
`define VT_REG_COUNTERS                     17
`define VT_REG_JOB_ENTRIES                  64

// ---- constant values
`define VT_REG_ID_VALUE                     32'h5654524e
`define VT_REG_VERSION_VALUE                32'h00010000

// ---- offsets in the page of the module, and below each its fields
`define VT_REG_ID                           12'h000
`define VT_REG_VERSION                      12'h004
`define VT_REG_VERSION_MAJOR                31:16
`define VT_REG_VERSION_MINOR                15:8
`define VT_REG_VERSION_PATCH                7:0
`define VT_REG_DIGEST0                      12'h010
`define VT_REG_DIGEST1                      12'h014
`define VT_REG_DIGEST2                      12'h018
`define VT_REG_DIGEST3                      12'h01c
`define VT_REG_CTRL                         12'h020
`define VT_REG_CTRL_START                   0
`define VT_REG_CTRL_ABORT                   1
`define VT_REG_STATUS                       12'h024
`define VT_REG_STATUS_BUSY                  0
`define VT_REG_STATUS_DONE                  1
`define VT_REG_STATUS_ERROR                 2
`define VT_REG_STATUS_ERROR_CODE            15:8
`define VT_REG_STATUS_ERROR_NODE            20:16
`define VT_REG_ERROR_INFO                   12'h028
`define VT_REG_IRQ_ENABLE                   12'h02c
`define VT_REG_IRQ_ENABLE_DONE              0
`define VT_REG_IRQ_ENABLE_ERROR             1
`define VT_REG_IRQ_STATUS                   12'h030
`define VT_REG_IRQ_STATUS_DONE              0
`define VT_REG_IRQ_STATUS_ERROR             1
`define VT_REG_NODES                        12'h034
`define VT_REG_MESH                         12'h038
`define VT_REG_MESH_X                       7:0
`define VT_REG_MESH_Y                       15:8
`define VT_REG_NODE_MASK                    12'h03c
`define VT_REG_RUN_CYCLES_LO                12'h100
`define VT_REG_RUN_CYCLES_HI                12'h104

// ---- offsets in the page of a node, and below each its fields
`define VT_REG_NODE_STATUS                  12'h024
`define VT_REG_NODE_STATUS_BUSY             0
`define VT_REG_NODE_STATUS_DONE             1
`define VT_REG_NODE_STATUS_ERROR            2
`define VT_REG_NODE_STATUS_ERROR_CODE       15:8
`define VT_REG_NODE_ERROR_INFO              12'h028
`define VT_REG_WATCHDOG                     12'h034
`define VT_REG_SEED                         12'h038
`define VT_REG_PROG_ADDR_LO                 12'h040
`define VT_REG_PROG_ADDR_HI                 12'h044
`define VT_REG_PROG_COUNT                   12'h048
`define VT_REG_WINDOW_BASE_LO               12'h050
`define VT_REG_WINDOW_BASE_HI               12'h054
`define VT_REG_WINDOW_SIZE_LO               12'h058
`define VT_REG_WINDOW_SIZE_HI               12'h05c
`define VT_REG_FAULT                        12'h060
`define VT_REG_FAULT_DROP_CREDIT            3:0
`define VT_REG_FAULT_FREEZE                 8
`define VT_REG_SCALAR0                      12'h080
`define VT_REG_SCALAR1                      12'h084
`define VT_REG_SCALAR2                      12'h088
`define VT_REG_SCALAR3                      12'h08c
`define VT_REG_SCALAR4                      12'h090
`define VT_REG_SCALAR5                      12'h094
`define VT_REG_SCALAR6                      12'h098
`define VT_REG_SCALAR7                      12'h09c
`define VT_REG_CYCLES_LO                    12'h100
`define VT_REG_CYCLES_HI                    12'h104
`define VT_REG_MAC_CYCLES_LO                12'h108
`define VT_REG_MAC_CYCLES_HI                12'h10c
`define VT_REG_DRAM_READS_LO                12'h110
`define VT_REG_DRAM_READS_HI                12'h114
`define VT_REG_DRAM_WRITES_LO               12'h118
`define VT_REG_DRAM_WRITES_HI               12'h11c
`define VT_REG_DRAM_ACTIVATES_LO            12'h120
`define VT_REG_DRAM_ACTIVATES_HI            12'h124
`define VT_REG_DRAM_REFRESHES_LO            12'h128
`define VT_REG_DRAM_REFRESHES_HI            12'h12c
`define VT_REG_ROW_MISSES_LO                12'h130
`define VT_REG_ROW_MISSES_HI                12'h134
`define VT_REG_STALL_A_LO                   12'h138
`define VT_REG_STALL_A_HI                   12'h13c
`define VT_REG_STALL_B_LO                   12'h140
`define VT_REG_STALL_B_HI                   12'h144
`define VT_REG_STALL_DRAIN_LO               12'h148
`define VT_REG_STALL_DRAIN_HI               12'h14c
`define VT_REG_STALL_LOAD_LO                12'h150
`define VT_REG_STALL_LOAD_HI                12'h154
`define VT_REG_STALL_STORE_LO               12'h158
`define VT_REG_STALL_STORE_HI               12'h15c
`define VT_REG_STALL_SEND_LO                12'h160
`define VT_REG_STALL_SEND_HI                12'h164
`define VT_REG_NOC_FLITS_LO                 12'h168
`define VT_REG_NOC_FLITS_HI                 12'h16c
`define VT_REG_ECC_CORRECTED_LO             12'h170
`define VT_REG_ECC_CORRECTED_HI             12'h174
`define VT_REG_ECC_UNCORRECTABLE_LO         12'h178
`define VT_REG_ECC_UNCORRECTABLE_HI         12'h17c
`define VT_REG_LANE_CYCLES_LO               12'h180
`define VT_REG_LANE_CYCLES_HI               12'h184
`define VT_REG_JOB_INDEX                    12'h200
`define VT_REG_JOB_INDEX_INDEX              5:0
`define VT_REG_JOB_CYCLE                    12'h204

`endif
