// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Table of 2^-x for x in [0, 1): a quadratic in each of 64 segments.
//
// Latency     none, combinational.
// Numerics    Segment k covers x from k/64 to (k+1)/64. With h = 1/64, the centre a = (k + 1/2) h, f = 2^-a and
//             L = ln 2: c0 = f, c1 = -L f (1 + (L h)^2 / 32), c2 = L^2 f / 2, so that 2^-x = c0 + c1 u + c2 u^2 for
//             u = x - a, the cubic term economised into c1. Entries are c0 * 2^30, c1 * 2^24 and c2 * 2^16, each
//             rounded to the nearest integer, c1 and c2 in two's complement. golden::SoftmaxExpSegment evaluates the
//             same.

`default_nettype none

module vt_softmax_exp_rom (
    input  wire [5:0]         segment_i,
    output wire [29:0]        c0_o,
    output wire signed [24:0] c1_o,
    output wire signed [15:0] c2_o
);

  // {c0, c1, c2} of a segment.
  function [70:0] entry(input [5:0] segment);
    case (segment)
      6'd0: entry = {30'h3FA78457, 25'h14F8311, 16'h3D2A};
      6'd1: entry = {30'h3EF7FB5B, 25'h15169C2, 16'h3C82};
      6'd2: entry = {30'h3E4A566F, 25'h1534B34, 16'h3BDB};
      6'd3: entry = {30'h3D9E905B, 25'h1552776, 16'h3B36};
      6'd4: entry = {30'h3CF4A3F8, 25'h156FE97, 16'h3A93};
      6'd5: entry = {30'h3C4C8C2A, 25'h158D0A5, 16'h39F1};
      6'd6: entry = {30'h3BA643E6, 25'h15A9DAE, 16'h3951};
      6'd7: entry = {30'h3B01C62E, 25'h15C65BF, 16'h38B3};
      6'd8: entry = {30'h3A5F0E10, 25'h15E28E7, 16'h3817};
      6'd9: entry = {30'h39BE16AB, 25'h15FE733, 16'h377C};
      6'd10: entry = {30'h391EDB28, 25'h161A0AF, 16'h36E3};
      6'd11: entry = {30'h388156C0, 25'h163556B, 16'h364C};
      6'd12: entry = {30'h37E584B8, 25'h1650572, 16'h35B6};
      6'd13: entry = {30'h374B6061, 25'h166B0D2, 16'h3522};
      6'd14: entry = {30'h36B2E51C, 25'h1685797, 16'h348F};
      6'd15: entry = {30'h361C0E53, 25'h169F9CE, 16'h33FF};
      6'd16: entry = {30'h3586D780, 25'h16B9784, 16'h336F};
      6'd17: entry = {30'h34F33C26, 25'h16D30C5, 16'h32E1};
      6'd18: entry = {30'h346137D9, 25'h16EC59E, 16'h3255};
      6'd19: entry = {30'h33D0C634, 25'h170561A, 16'h31CA};
      6'd20: entry = {30'h3341E2E2, 25'h171E246, 16'h3141};
      6'd21: entry = {30'h32B48998, 25'h1736A2D, 16'h30B9};
      6'd22: entry = {30'h3228B617, 25'h174EDDC, 16'h3033};
      6'd23: entry = {30'h319E642D, 25'h1766D5D, 16'h2FAE};
      6'd24: entry = {30'h31158FB3, 25'h177E8BD, 16'h2F2A};
      6'd25: entry = {30'h308E348C, 25'h1796007, 16'h2EA8};
      6'd26: entry = {30'h30084EA8, 25'h17AD346, 16'h2E28};
      6'd27: entry = {30'h2F83DA02, 25'h17C4285, 16'h2DA8};
      6'd28: entry = {30'h2F00D2A0, 25'h17DADCF, 16'h2D2A};
      6'd29: entry = {30'h2E7F3491, 25'h17F1530, 16'h2CAE};
      6'd30: entry = {30'h2DFEFBF3, 25'h18078B1, 16'h2C33};
      6'd31: entry = {30'h2D8024EA, 25'h181D85E, 16'h2BB9};
      6'd32: entry = {30'h2D02ABA9, 25'h1833442, 16'h2B40};
      6'd33: entry = {30'h2C868C6A, 25'h1848C66, 16'h2AC9};
      6'd34: entry = {30'h2C0BC373, 25'h185E0D5, 16'h2A53};
      6'd35: entry = {30'h2B924D15, 25'h1873199, 16'h29DE};
      6'd36: entry = {30'h2B1A25A9, 25'h1887EBC, 16'h296B};
      6'd37: entry = {30'h2AA34995, 25'h189C849, 16'h28F9};
      6'd38: entry = {30'h2A2DB546, 25'h18B0E49, 16'h2888};
      6'd39: entry = {30'h29B96534, 25'h18C50C6, 16'h2818};
      6'd40: entry = {30'h294655E2, 25'h18D8FCA, 16'h27A9};
      6'd41: entry = {30'h28D483DA, 25'h18ECB5E, 16'h273C};
      6'd42: entry = {30'h2863EBB3, 25'h190038C, 16'h26D0};
      6'd43: entry = {30'h27F48A09, 25'h191385D, 16'h2665};
      6'd44: entry = {30'h27865B86, 25'h19269DA, 16'h25FB};
      6'd45: entry = {30'h27195CDA, 25'h193980D, 16'h2592};
      6'd46: entry = {30'h26AD8ABF, 25'h194C2FF, 16'h252A};
      6'd47: entry = {30'h2642E1F9, 25'h195EAB8, 16'h24C4};
      6'd48: entry = {30'h25D95F52, 25'h1970F42, 16'h245F};
      6'd49: entry = {30'h2570FFA2, 25'h19830A5, 16'h23FA};
      6'd50: entry = {30'h2509BFC4, 25'h1994EEA, 16'h2397};
      6'd51: entry = {30'h24A39C9F, 25'h19A6A19, 16'h2335};
      6'd52: entry = {30'h243E9323, 25'h19B823C, 16'h22D4};
      6'd53: entry = {30'h23DAA046, 25'h19C975A, 16'h2274};
      6'd54: entry = {30'h2377C108, 25'h19DA97C, 16'h2215};
      6'd55: entry = {30'h2315F271, 25'h19EB8AA, 16'h21B7};
      6'd56: entry = {30'h22B53191, 25'h19FC4EC, 16'h215A};
      6'd57: entry = {30'h22557B81, 25'h1A0CE4A, 16'h20FE};
      6'd58: entry = {30'h21F6CD60, 25'h1A1D4CD, 16'h20A3};
      6'd59: entry = {30'h21992457, 25'h1A2D87C, 16'h2049};
      6'd60: entry = {30'h213C7D96, 25'h1A3D95E, 16'h1FF0};
      6'd61: entry = {30'h20E0D654, 25'h1A4D77D, 16'h1F98};
      6'd62: entry = {30'h20862BD1, 25'h1A5D2DE, 16'h1F41};
      default: entry = {30'h202C7B54, 25'h1A6CB8A, 16'h1EEA};
    endcase
  endfunction

  assign {c0_o, c1_o, c2_o} = entry(segment_i);

endmodule

`default_nettype wire
