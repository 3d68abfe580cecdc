// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Fields of the 64-byte descriptors, as bit ranges. Made from the table in vaultrain/isa.h;
// do not edit.

`define VT_DESCRIPTOR_BITS          512
`define VT_LOOPS                    6
`define VT_SEMAPHORES               16
`define VT_SEMAPHORE_BITS           6
`define VT_SCALARS                  8
`define VT_TAGS                     64

`define VT_OP_LOAD                  4'd1
`define VT_OP_STORE                 4'd2
`define VT_OP_COMPUTE               4'd3
`define VT_OP_VECTOR                4'd4
`define VT_OP_SOFTMAX               4'd5
`define VT_OP_END                   4'd6

`define VT_ERROR_OPCODE             8'd1
`define VT_ERROR_RESERVED           8'd2
`define VT_ERROR_ZERO_COUNT         8'd3
`define VT_ERROR_WINDOW             8'd4
`define VT_ERROR_ALIGNMENT          8'd5
`define VT_ERROR_LEVEL              8'd6
`define VT_ERROR_ACCUMULATORS       8'd7
`define VT_ERROR_NO_END             8'd8
`define VT_ERROR_SEMAPHORE          8'd9
`define VT_ERROR_WATCHDOG           8'd10
`define VT_ERROR_ABORTED            8'd11
`define VT_ERROR_UNSUPPORTED        8'd12
`define VT_ERROR_SCRATCHPAD         8'd13

// Bits that a descriptor of each group may set.
`define VT_USED_M                   512'h0000000000000000000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffffffff03ffffffffff0000ffffffff3f0f
`define VT_USED_C                   512'h000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00ff0000ffffffff3f0f
`define VT_USED_V                   512'hffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff3fff0000ffffffff3f0f
`define VT_USED_S                   512'h00000000000000000000000000000000000000000000000000000000000000000007ffffffffffffffffffffffffffffffffffffffffffff0000ffffffff3f0f
`define VT_USED_E                   512'h0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000f

`define VT_OPCODE                   3:0
`define VT_TAG                      13:8
`define VT_WAIT                     31:16
`define VT_SIGNAL                   47:32
`define VT_DRAM_ADDR                103:64
`define VT_CONVERT                  104:104
`define VT_TRANSPOSE                105:105
`define VT_ROWS                     127:112
`define VT_ROW_ACCESSES             143:128
`define VT_DRAM_PITCH               175:144
`define VT_SPAD_ADDR                199:176
`define VT_SPAD_PITCH               223:200
`define VT_PAD_ROWS                 239:224
`define VT_COLS                     255:240
`define VT_FIRST                    64:64
`define VT_LAST                     65:65
`define VT_B_LEVEL                  68:66
`define VT_STORE_LEVEL              71:69
`define VT_BOUND                    175:80
`define VT_A_BASE                   191:176
`define VT_A_INC                    287:192
`define VT_B_BASE                   303:288
`define VT_B_INC                    399:304
`define VT_B_COL_INC                415:400
`define VT_POP_LEVEL                66:64
`define VT_USE_SCALE                67:67
`define VT_SCALAR                   70:68
`define VT_AUX_KIND                 72:71
`define VT_RELU                     73:73
`define VT_OUT_FP32                 74:74
`define VT_TAIL_LOOP                77:75
`define VT_V_BOUND                  175:80
`define VT_OUT_BASE                 199:176
`define VT_OUT_INC                  343:200
`define VT_AUX_BASE                 367:344
`define VT_AUX_INC                  511:368
`define VT_S_ROWS                   79:64
`define VT_CLASSES                  95:80
`define VT_LOGITS_ADDR              119:96
`define VT_LOGITS_PITCH             143:120
`define VT_LABELS_ADDR              167:144
`define VT_GRAD_ADDR                191:168
`define VT_GRAD_PITCH               215:192
`define VT_LOSS_ADDR                239:216
`define VT_S_SCALAR                 242:240
