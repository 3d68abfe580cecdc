// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Table of ln(m) for m in [1, 2): a quadratic in each of 64 segments.
//
// Latency     none, combinational.
// Numerics    Segment k covers m from 1 + k/64 to 1 + (k+1)/64. With h = 1/64 and the centre a = 1 + (k + 1/2) h:
//             c0 = ln a, c1 = 1/a + h^2 / (16 a^3), c2 = -1 / (2 a^2), so that ln m = c0 + c1 u + c2 u^2 for u = m - a,
//             the cubic term economised into c1. Entries are c0 * 2^30, c1 * 2^24 and c2 * 2^16, each rounded to the
//             nearest integer, c1 and c2 in two's complement. golden::SoftmaxLnSegment evaluates the same.

`default_nettype none

module vt_softmax_ln_rom (
    input  wire [5:0]         segment_i,
    output wire [29:0]        c0_o,
    output wire signed [24:0] c1_o,
    output wire signed [15:0] c2_o
);

  // {c0, c1, c2} of a segment.
  function [70:0] entry(input [5:0] segment);
    case (segment)
      6'd0: entry = {30'h007F80AA, 25'h0FE04F2, 16'h81FA};
      6'd1: entry = {30'h017B91B0, 25'h0FA241C, 16'h85CC};
      6'd2: entry = {30'h0273D0F7, 25'h0F66122, 16'h8971};
      6'd3: entry = {30'h03685BAE, 25'h0F2BAB0, 16'h8CEE};
      6'd4: entry = {30'h04594DBC, 25'h0EF2F88, 16'h9044};
      6'd5: entry = {30'h0546C1D0, 25'h0EBBE7B, 16'h9375};
      6'd6: entry = {30'h0630D176, 25'h0E8666C, 16'h9684};
      6'd7: entry = {30'h07179524, 25'h0E52650, 16'h9972};
      6'd8: entry = {30'h07FB244C, 25'h0E1FD28, 16'h9C41};
      6'd9: entry = {30'h08DB956B, 25'h0DEEA05, 16'h9EF3};
      6'd10: entry = {30'h09B8FE10, 25'h0DBEC04, 16'hA18A};
      6'd11: entry = {30'h0A9372F2, 25'h0D9024E, 16'hA406};
      6'd12: entry = {30'h0B6B07F4, 25'h0D62C17, 16'hA66A};
      6'd13: entry = {30'h0C3FD033, 25'h0D3689D, 16'hA8B6};
      6'd14: entry = {30'h0D11DE10, 25'h0D0B72B, 16'hAAEB};
      6'd15: entry = {30'h0DE1433A, 25'h0CE1710, 16'hAD0C};
      6'd16: entry = {30'h0EAE10B6, 25'h0CB87A8, 16'hAF18};
      6'd17: entry = {30'h0F7856E6, 25'h0C90856, 16'hB111};
      6'd18: entry = {30'h10402595, 25'h0C69884, 16'hB2F8};
      6'd19: entry = {30'h11058BFA, 25'h0C437A3, 16'hB4CE};
      6'd20: entry = {30'h11C898C1, 25'h0C1E52B, 16'hB693};
      6'd21: entry = {30'h12895A14, 25'h0BFA09B, 16'hB848};
      6'd22: entry = {30'h1347DD9B, 25'h0BD6978, 16'hB9EE};
      6'd23: entry = {30'h14043087, 25'h0BB3F4B, 16'hBB86};
      6'd24: entry = {30'h14BE5F95, 25'h0B921A5, 16'hBD0F};
      6'd25: entry = {30'h15767717, 25'h0B71019, 16'hBE8C};
      6'd26: entry = {30'h162C82F3, 25'h0B50A41, 16'hBFFC};
      6'd27: entry = {30'h16E08EAA, 25'h0B30FBB, 16'hC161};
      6'd28: entry = {30'h1792A560, 25'h0B12029, 16'hC2B9};
      6'd29: entry = {30'h1842D1DA, 25'h0AF3B30, 16'hC407};
      6'd30: entry = {30'h18F11E87, 25'h0AD607B, 16'hC54A};
      6'd31: entry = {30'h199D9581, 25'h0AB8FB7, 16'hC684};
      6'd32: entry = {30'h1A484091, 25'h0A9C895, 16'hC7B3};
      6'd33: entry = {30'h1AF12932, 25'h0A80AC9, 16'hC8D9};
      6'd34: entry = {30'h1B985897, 25'h0A6560A, 16'hC9F6};
      6'd35: entry = {30'h1C3DD7A8, 25'h0A4AA13, 16'hCB0B};
      6'd36: entry = {30'h1CE1AF0C, 25'h0A306A0, 16'hCC17};
      6'd37: entry = {30'h1D83E726, 25'h0A16B71, 16'hCD1C};
      6'd38: entry = {30'h1E24881A, 25'h09FD848, 16'hCE19};
      6'd39: entry = {30'h1EC399D2, 25'h09E4CEA, 16'hCF0F};
      6'd40: entry = {30'h1F6123FA, 25'h09CC91C, 16'hCFFD};
      6'd41: entry = {30'h1FFD2E08, 25'h09B4CA9, 16'hD0E5};
      6'd42: entry = {30'h2097BF3B, 25'h099D75A, 16'hD1C7};
      6'd43: entry = {30'h2130DE9F, 25'h09868FE, 16'hD2A2};
      6'd44: entry = {30'h21C8930C, 25'h0970163, 16'hD377};
      6'd45: entry = {30'h225EE32B, 25'h095A059, 16'hD446};
      6'd46: entry = {30'h22F3D578, 25'h09445B2, 16'hD510};
      6'd47: entry = {30'h2387703F, 25'h092F144, 16'hD5D4};
      6'd48: entry = {30'h2419B9A3, 25'h091A2E3, 16'hD693};
      6'd49: entry = {30'h24AAB79D, 25'h0905A66, 16'hD74D};
      6'd50: entry = {30'h253A6FFE, 25'h08F17A7, 16'hD802};
      6'd51: entry = {30'h25C8E86E, 25'h08DDA7E, 16'hD8B3};
      6'd52: entry = {30'h26562672, 25'h08CA2C6, 16'hD95F};
      6'd53: entry = {30'h26E22F6B, 25'h08B705E, 16'hDA06};
      6'd54: entry = {30'h276D0894, 25'h08A4321, 16'hDAAA};
      6'd55: entry = {30'h27F6B70A, 25'h0891AEF, 16'hDB49};
      6'd56: entry = {30'h287F3FC6, 25'h087F7A7, 16'hDBE5};
      6'd57: entry = {30'h2906A7A4, 25'h086D92B, 16'hDC7C};
      6'd58: entry = {30'h298CF360, 25'h085BF5C, 16'hDD10};
      6'd59: entry = {30'h2A122798, 25'h084AA1D, 16'hDDA0};
      6'd60: entry = {30'h2A9648CF, 25'h0839953, 16'hDE2D};
      6'd61: entry = {30'h2B195B6C, 25'h0828CE2, 16'hDEB6};
      6'd62: entry = {30'h2B9B63B9, 25'h08184AF, 16'hDF3D};
      default: entry = {30'h2C1C65E9, 25'h08080A1, 16'hDFC0};
    endcase
  endfunction

  assign {c0_o, c1_o, c2_o} = entry(segment_i);

endmodule

`default_nettype wire
