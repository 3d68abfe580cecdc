// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Tables of the functions of the lanes: a quadratic in each of 64 segments.
//
// Latency     none, combinational.
// Numerics    Table 0 is 2^f for f in [0, 1); for m in [1, 2), 1 is log2 m, 2 is 2 / m, 3 is 2 / sqrt m and 4 is
//             2 / sqrt(2 m). Segment k covers f, or m - 1, from k/64 to (k+1)/64. With h = 1/64 and the function F at
//             the centre a of the segment: c0 = F(a), c1 = F'(a) + F'''(a) h^2 / 32, c2 = F''(a) / 2, so that
//             F = c0 + c1 u + c2 u^2 for u = f - a or m - a, the cubic term economised into c1. Entries are c0 * 2^29,
//             c1 * 2^24 and c2 * 2^16, each rounded to the nearest integer, c1 and c2 in two's complement.
//             golden::LaneTable evaluates the same.

`default_nettype none

module vt_lane_table (
    input  wire [2:0]  table_i,    // 5 to 7: 0
    input  wire [5:0]  segment_i,
    output wire [29:0] c0_o,
    output wire [25:0] c1_o,
    output wire [17:0] c2_o
);

  // {c0, c1, c2} of a segment, a function for each table: of six bits they are faster than one of nine.
  function [73:0] table0(input [5:0] segment);
    case (segment)
      6'd0: table0 = {30'h202C7B54, 26'h0B268EC, 18'h03DD5};
      6'd1: table0 = {30'h20862BD1, 26'h0B45A44, 18'h03E81};
      6'd2: table0 = {30'h20E0D654, 26'h0B65107, 18'h03F30};
      6'd3: table0 = {30'h213C7D96, 26'h0B84D43, 18'h03FE0};
      6'd4: table0 = {30'h21992457, 26'h0BA4F08, 18'h04092};
      6'd5: table0 = {30'h21F6CD60, 26'h0BC5666, 18'h04146};
      6'd6: table0 = {30'h22557B81, 26'h0BE636B, 18'h041FC};
      6'd7: table0 = {30'h22B53191, 26'h0C07628, 18'h042B4};
      6'd8: table0 = {30'h2315F271, 26'h0C28EAC, 18'h0436E};
      6'd9: table0 = {30'h2377C108, 26'h0C4AD08, 18'h0442A};
      6'd10: table0 = {30'h23DAA046, 26'h0C6D14C, 18'h044E8};
      6'd11: table0 = {30'h243E9323, 26'h0C8FB88, 18'h045A8};
      6'd12: table0 = {30'h24A39C9F, 26'h0CB2BCD, 18'h0466A};
      6'd13: table0 = {30'h2509BFC4, 26'h0CD622D, 18'h0472E};
      6'd14: table0 = {30'h2570FFA2, 26'h0CF9EB6, 18'h047F5};
      6'd15: table0 = {30'h25D95F52, 26'h0D1E17C, 18'h048BD};
      6'd16: table0 = {30'h2642E1F9, 26'h0D42A90, 18'h04988};
      6'd17: table0 = {30'h26AD8ABF, 26'h0D67A02, 18'h04A55};
      6'd18: table0 = {30'h27195CDA, 26'h0D8CFE5, 18'h04B24};
      6'd19: table0 = {30'h27865B86, 26'h0DB2C4B, 18'h04BF6};
      6'd20: table0 = {30'h27F48A09, 26'h0DD8F46, 18'h04CC9};
      6'd21: table0 = {30'h2863EBB3, 26'h0DFF8E8, 18'h04D9F};
      6'd22: table0 = {30'h28D483DA, 26'h0E26943, 18'h04E78};
      6'd23: table0 = {30'h294655E2, 26'h0E4E06B, 18'h04F53};
      6'd24: table0 = {30'h29B96534, 26'h0E75E73, 18'h05030};
      6'd25: table0 = {30'h2A2DB546, 26'h0E9E36D, 18'h0510F};
      6'd26: table0 = {30'h2AA34995, 26'h0EC6F6D, 18'h051F1};
      6'd27: table0 = {30'h2B1A25A9, 26'h0EF0287, 18'h052D6};
      6'd28: table0 = {30'h2B924D15, 26'h0F19CCE, 18'h053BC};
      6'd29: table0 = {30'h2C0BC373, 26'h0F43E57, 18'h054A6};
      6'd30: table0 = {30'h2C868C6A, 26'h0F6E735, 18'h05592};
      6'd31: table0 = {30'h2D02ABA9, 26'h0F9977D, 18'h05680};
      6'd32: table0 = {30'h2D8024EA, 26'h0FC4F43, 18'h05772};
      6'd33: table0 = {30'h2DFEFBF3, 26'h0FF0E9E, 18'h05865};
      6'd34: table0 = {30'h2E7F3491, 26'h101D5A1, 18'h0595C};
      6'd35: table0 = {30'h2F00D2A0, 26'h104A462, 18'h05A55};
      6'd36: table0 = {30'h2F83DA02, 26'h1077AF6, 18'h05B51};
      6'd37: table0 = {30'h30084EA8, 26'h10A5975, 18'h05C4F};
      6'd38: table0 = {30'h308E348C, 26'h10D3FF2, 18'h05D51};
      6'd39: table0 = {30'h31158FB3, 26'h1102E86, 18'h05E55};
      6'd40: table0 = {30'h319E642D, 26'h1132546, 18'h05F5C};
      6'd41: table0 = {30'h3228B617, 26'h1162449, 18'h06065};
      6'd42: table0 = {30'h32B48998, 26'h1192BA6, 18'h06172};
      6'd43: table0 = {30'h3341E2E2, 26'h11C3B74, 18'h06282};
      6'd44: table0 = {30'h33D0C634, 26'h11F53CC, 18'h06394};
      6'd45: table0 = {30'h346137D9, 26'h12274C4, 18'h064AA};
      6'd46: table0 = {30'h34F33C26, 26'h1259E75, 18'h065C3};
      6'd47: table0 = {30'h3586D780, 26'h128D0F8, 18'h066DE};
      6'd48: table0 = {30'h361C0E53, 26'h12C0C64, 18'h067FD};
      6'd49: table0 = {30'h36B2E51C, 26'h12F50D2, 18'h0691F};
      6'd50: table0 = {30'h374B6061, 26'h1329E5D, 18'h06A44};
      6'd51: table0 = {30'h37E584B8, 26'h135F51C, 18'h06B6C};
      6'd52: table0 = {30'h388156C0, 26'h139552A, 18'h06C98};
      6'd53: table0 = {30'h391EDB28, 26'h13CBEA1, 18'h06DC6};
      6'd54: table0 = {30'h39BE16AB, 26'h140319B, 18'h06EF8};
      6'd55: table0 = {30'h3A5F0E10, 26'h143AE32, 18'h0702E};
      6'd56: table0 = {30'h3B01C62E, 26'h1473481, 18'h07166};
      6'd57: table0 = {30'h3BA643E6, 26'h14AC4A4, 18'h072A3};
      6'd58: table0 = {30'h3C4C8C2A, 26'h14E5EB5, 18'h073E2};
      6'd59: table0 = {30'h3CF4A3F8, 26'h15202D1, 18'h07525};
      6'd60: table0 = {30'h3D9E905B, 26'h155B114, 18'h0766C};
      6'd61: table0 = {30'h3E4A566F, 26'h1596999, 18'h077B6};
      6'd62: table0 = {30'h3EF7FB5B, 26'h15D2C7D, 18'h07904};
      default: table0 = {30'h3FA78457, 26'h160F9DD, 18'h07A55};
    endcase
  endfunction

  function [73:0] table1(input [5:0] segment);
    case (segment)
      6'd0: table1 = {30'h005BF943, 26'h16E78F0, 18'h34A30};
      6'd1: table1 = {30'h0111CD1D, 26'h168E093, 18'h34FB2};
      6'd2: table1 = {30'h01C4DFAC, 26'h163734B, 18'h354F5};
      6'd3: table1 = {30'h027545FC, 26'h15E2F2E, 18'h359FD};
      6'd4: table1 = {30'h0323142E, 26'h159126D, 18'h35ECD};
      6'd5: table1 = {30'h03CE5D82, 26'h1541B56, 18'h36368};
      6'd6: table1 = {30'h04773466, 26'h14F484F, 18'h367D1};
      6'd7: table1 = {30'h051DAA7E, 26'h14A97D3, 18'h36C0B};
      6'd8: table1 = {30'h05C1D0B5, 26'h1460876, 18'h37019};
      6'd9: table1 = {30'h0663B742, 26'h14198DD, 18'h373FD};
      6'd10: table1 = {30'h07036DB3, 26'h13D47C1, 18'h377B8};
      6'd11: table1 = {30'h07A102FA, 26'h13913EB, 18'h37B4E};
      6'd12: table1 = {30'h083C856E, 26'h134FC36, 18'h37EC1};
      6'd13: table1 = {30'h08D602D9, 26'h130FF8B, 18'h38211};
      6'd14: table1 = {30'h096D887E, 26'h12D1CE1, 18'h38541};
      6'd15: table1 = {30'h0A03231E, 26'h129533D, 18'h38853};
      6'd16: table1 = {30'h0A96DEFE, 26'h125A1B0, 18'h38B47};
      6'd17: table1 = {30'h0B28C7F2, 26'h1220758, 18'h38E20};
      6'd18: table1 = {30'h0BB8E95D, 26'h11E835C, 18'h390DE};
      6'd19: table1 = {30'h0C474E39, 26'h11B14EF, 18'h39384};
      6'd20: table1 = {30'h0CD4011D, 26'h117BB4C, 18'h39611};
      6'd21: table1 = {30'h0D5F0C3D, 26'h11475B9, 18'h39888};
      6'd22: table1 = {30'h0DE87975, 26'h1114384, 18'h39AE9};
      6'd23: table1 = {30'h0E705249, 26'h10E2403, 18'h39D35};
      6'd24: table1 = {30'h0EF69FEA, 26'h10B1693, 18'h39F6D};
      6'd25: table1 = {30'h0F7B6B3A, 26'h1081A9A, 18'h3A193};
      6'd26: table1 = {30'h0FFEBCCD, 26'h1052F83, 18'h3A3A6};
      6'd27: table1 = {30'h10809CF2, 26'h10254C0, 18'h3A5A8};
      6'd28: table1 = {30'h110113B1, 26'h0FF89CB, 18'h3A799};
      6'd29: table1 = {30'h118028CF, 26'h0FCCE20, 18'h3A97B};
      6'd30: table1 = {30'h11FDE3D3, 26'h0FA2145, 18'h3AB4D};
      6'd31: table1 = {30'h127A4C06, 26'h0F782C1, 18'h3AD11};
      6'd32: table1 = {30'h12F56876, 26'h0F4F223, 18'h3AEC6};
      6'd33: table1 = {30'h136F3FFB, 26'h0F26EFD, 18'h3B06F};
      6'd34: table1 = {30'h13E7D938, 26'h0EFF8E6, 18'h3B20A};
      6'd35: table1 = {30'h145F3A99, 26'h0ED8F7A, 18'h3B399};
      6'd36: table1 = {30'h14D56A5B, 26'h0EB3257, 18'h3B51D};
      6'd37: table1 = {30'h154A6E8D, 26'h0E8E120, 18'h3B695};
      6'd38: table1 = {30'h15BE4D0D, 26'h0E69B7D, 18'h3B802};
      6'd39: table1 = {30'h16310B8F, 26'h0E46117, 18'h3B964};
      6'd40: table1 = {30'h16A2AF9E, 26'h0E2319C, 18'h3BABC};
      6'd41: table1 = {30'h17133E9B, 26'h0E00CBC, 18'h3BC0B};
      6'd42: table1 = {30'h1782BDC0, 26'h0DDF22B, 18'h3BD50};
      6'd43: table1 = {30'h17F13222, 26'h0DBE19F, 18'h3BE8C};
      6'd44: table1 = {30'h185EA0B1, 26'h0D9DAD1, 18'h3BFC0};
      6'd45: table1 = {30'h18CB0E3B, 26'h0D7DD7D, 18'h3C0EB};
      6'd46: table1 = {30'h19367F6E, 26'h0D5E961, 18'h3C20E};
      6'd47: table1 = {30'h19A0F8D4, 26'h0D3FE3E, 18'h3C329};
      6'd48: table1 = {30'h1A0A7EDA, 26'h0D21BD6, 18'h3C43C};
      6'd49: table1 = {30'h1A7315D0, 26'h0D041EE, 18'h3C549};
      6'd50: table1 = {30'h1ADAC1E7, 26'h0CE704D, 18'h3C64E};
      6'd51: table1 = {30'h1B418735, 26'h0CCA6BC, 18'h3C74D};
      6'd52: table1 = {30'h1BA769B4, 26'h0CAE506, 18'h3C845};
      6'd53: table1 = {30'h1C0C6D44, 26'h0C92AF8, 18'h3C937};
      6'd54: table1 = {30'h1C7095AF, 26'h0C77860, 18'h3CA23};
      6'd55: table1 = {30'h1CD3E6A1, 26'h0C5CD0E, 18'h3CB08};
      6'd56: table1 = {30'h1D3663B2, 26'h0C428D4, 18'h3CBE8};
      6'd57: table1 = {30'h1D981064, 26'h0C28B84, 18'h3CCC3};
      6'd58: table1 = {30'h1DF8F021, 26'h0C0F4F4, 18'h3CD98};
      6'd59: table1 = {30'h1E59063D, 26'h0BF64FA, 18'h3CE68};
      6'd60: table1 = {30'h1EB855F9, 26'h0BDDB6C, 18'h3CF34};
      6'd61: table1 = {30'h1F16E282, 26'h0BC5824, 18'h3CFFA};
      6'd62: table1 = {30'h1F74AEF1, 26'h0BADAFB, 18'h3D0BB};
      default: table1 = {30'h1FD1BE4C, 26'h0B963CD, 18'h3D179};
    endcase
  endfunction

  function [73:0] table2(input [5:0] segment);
    case (segment)
      6'd0: table2 = {30'h3F80FE04, 26'h207E26E, 18'h1F42F};
      6'd1: table2 = {30'h3E88CB3D, 26'h2172917, 18'h1DDA0};
      6'd2: table2 = {30'h3D980F66, 26'h225C0A5, 18'h1C866};
      6'd3: table2 = {30'h3CAE7592, 26'h233B367, 18'h1B46A};
      6'd4: table2 = {30'h3BCBADC8, 26'h2410AE9, 18'h1A194};
      6'd5: table2 = {30'h3AEF6CA9, 26'h24DD00A, 18'h18FD0};
      6'd6: table2 = {30'h3A196B1F, 26'h25A0B0B, 18'h17F0A};
      6'd7: table2 = {30'h3949660B, 26'h265C396, 18'h16F31};
      6'd8: table2 = {30'h387F1E04, 26'h27100D3, 18'h16035};
      6'd9: table2 = {30'h37BA5713, 26'h27BC96B, 18'h15206};
      6'd10: table2 = {30'h36FAD87C, 26'h2862397, 18'h14498};
      6'd11: table2 = {30'h36406C81, 26'h2901527, 18'h137DE};
      6'd12: table2 = {30'h358AE036, 26'h299A38A, 18'h12BCC};
      6'd13: table2 = {30'h34DA034E, 26'h2A2D3D6, 18'h12057};
      6'd14: table2 = {30'h342DA7F3, 26'h2ABAACD, 18'h11576};
      6'd15: table2 = {30'h3385A29E, 26'h2B42CE9, 18'h10B1F};
      6'd16: table2 = {30'h32E1C9F0, 26'h2BC5E5A, 18'h1014A};
      6'd17: table2 = {30'h3241F694, 26'h2C4430E, 18'h0F7EF};
      6'd18: table2 = {30'h31A6031A, 26'h2CBDEB9, 18'h0EF07};
      6'd19: table2 = {30'h310DCBE1, 26'h2D334D5, 18'h0E68B};
      6'd20: table2 = {30'h30792EF5, 26'h2DA48A7, 18'h0DE74};
      6'd21: table2 = {30'h2FE80BFA, 26'h2E11D46, 18'h0D6BD};
      6'd22: table2 = {30'h2F5A4412, 26'h2E7B599, 18'h0CF61};
      6'd23: table2 = {30'h2ECFB9C8, 26'h2EE145E, 18'h0C859};
      6'd24: table2 = {30'h2E4850FF, 26'h2F43C2B, 18'h0C1A2};
      6'd25: table2 = {30'h2DC3EED7, 26'h2FA2F71, 18'h0BB37};
      6'd26: table2 = {30'h2D4279A3, 26'h2FFF07F, 18'h0B514};
      6'd27: table2 = {30'h2CC3D8D5, 26'h3058185, 18'h0AF34};
      6'd28: table2 = {30'h2C47F4EE, 26'h30AE493, 18'h0A995};
      6'd29: table2 = {30'h2BCEB772, 26'h3101B9D, 18'h0A433};
      6'd30: table2 = {30'h2B580AD6, 26'h315287F, 18'h09F0B};
      6'd31: table2 = {30'h2AE3DA79, 26'h31A0CFB, 18'h09A19};
      6'd32: table2 = {30'h2A721292, 26'h31ECAB9, 18'h0955C};
      6'd33: table2 = {30'h2A02A02A, 26'h3236350, 18'h090CF};
      6'd34: table2 = {30'h2995710E, 26'h327D840, 18'h08C71};
      6'd35: table2 = {30'h292A73C7, 26'h32C2AF5, 18'h08840};
      6'd36: table2 = {30'h28C19790, 26'h3305CCB, 18'h08439};
      6'd37: table2 = {30'h285ACC4C, 26'h3346F0C, 18'h0805B};
      6'd38: table2 = {30'h27F6027F, 26'h33862F1, 18'h07CA2};
      6'd39: table2 = {30'h27932B49, 26'h33C39A6, 18'h0790F};
      6'd40: table2 = {30'h27323858, 26'h33FF447, 18'h0759D};
      6'd41: table2 = {30'h26D31BE8, 26'h34393E4, 18'h0724D};
      6'd42: table2 = {30'h2675C8B7, 26'h347197F, 18'h06F1D};
      6'd43: table2 = {30'h261A3202, 26'h34A860E, 18'h06C0A};
      6'd44: table2 = {30'h25C04B81, 26'h34DDA7D, 18'h06915};
      6'd45: table2 = {30'h2568095A, 26'h35117AD, 18'h0663A};
      6'd46: table2 = {30'h25116025, 26'h3543E74, 18'h0637A};
      6'd47: table2 = {30'h24BC44E1, 26'h3574F9F, 18'h060D3};
      6'd48: table2 = {30'h2468ACF1, 26'h35A4BF1, 18'h05E44};
      6'd49: table2 = {30'h24168E19, 26'h35D3426, 18'h05BCC};
      6'd50: table2 = {30'h23C5DE76, 26'h36008F2, 18'h05969};
      6'd51: table2 = {30'h23769481, 26'h362CAFE, 18'h0571C};
      6'd52: table2 = {30'h2328A701, 26'h3657AF0, 18'h054E3};
      6'd53: table2 = {30'h22DC0D13, 26'h3681965, 18'h052BD};
      6'd54: table2 = {30'h2290BE1C, 26'h36AA6F3, 18'h050A9};
      6'd55: table2 = {30'h2246B1CF, 26'h36D242A, 18'h04EA7};
      6'd56: table2 = {30'h21FDE022, 26'h36F9194, 18'h04CB6};
      6'd57: table2 = {30'h21B64151, 26'h371EFB7, 18'h04AD5};
      6'd58: table2 = {30'h216FCDD8, 26'h3743F11, 18'h04903};
      6'd59: table2 = {30'h212A7E72, 26'h376801C, 18'h04741};
      6'd60: table2 = {30'h20E64C15, 26'h378B34E, 18'h0458D};
      6'd61: table2 = {30'h20A32FF0, 26'h37AD918, 18'h043E7};
      6'd62: table2 = {30'h2061236A, 26'h37CF1E5, 18'h0424E};
      default: table2 = {30'h20202020, 26'h37EFE1C, 18'h040C2};
    endcase
  endfunction

  function [73:0] table3(input [5:0] segment);
    case (segment)
      6'd0: table3 = {30'h3FC05F61, 26'h302F6BE, 18'h0BC4D};
      6'd1: table3 = {30'h3F434F77, 26'h308BC92, 18'h0B532};
      6'd2: table3 = {30'h3EC91474, 26'h30E4B0C, 18'h0AE76};
      6'd3: table3 = {30'h3E519367, 26'h313A508, 18'h0A812};
      6'd4: table3 = {30'h3DDCB2BD, 26'h318CD32, 18'h0A201};
      6'd5: table3 = {30'h3D6A5A31, 26'h31DC60C, 18'h09C3D};
      6'd6: table3 = {30'h3CFA72B2, 26'h32291EB, 18'h096C2};
      6'd7: table3 = {30'h3C8CE651, 26'h3273301, 18'h0918B};
      6'd8: table3 = {30'h3C21A02F, 26'h32BAB5D, 18'h08C93};
      6'd9: table3 = {30'h3BB88C6E, 26'h32FFCEF, 18'h087D7};
      6'd10: table3 = {30'h3B51981D, 26'h3342987, 18'h08354};
      6'd11: table3 = {30'h3AECB12E, 26'h33832DA, 18'h07F06};
      6'd12: table3 = {30'h3A89C669, 26'h33C1A85, 18'h07AEA};
      6'd13: table3 = {30'h3A28C759, 26'h33FE20B, 18'h076FC};
      6'd14: table3 = {30'h39C9A44B, 26'h3438AD9, 18'h0733C};
      6'd15: table3 = {30'h396C4E39, 26'h347164A, 18'h06FA5};
      6'd16: table3 = {30'h3910B6C7, 26'h34A85A2, 18'h06C35};
      6'd17: table3 = {30'h38B6D037, 26'h34DDA17, 18'h068EB};
      6'd18: table3 = {30'h385E8D61, 26'h35114CA, 18'h065C5};
      6'd19: table3 = {30'h3807E1AA, 26'h35436CF, 18'h062C0};
      6'd20: table3 = {30'h37B2C0FC, 26'h357412C, 18'h05FDB};
      6'd21: table3 = {30'h375F1FC3, 26'h35A34D8, 18'h05D13};
      6'd22: table3 = {30'h370CF2E1, 26'h35D12BC, 18'h05A69};
      6'd23: table3 = {30'h36BC2FAB, 26'h35FDBB8, 18'h057D9};
      6'd24: table3 = {30'h366CCBE1, 26'h362909E, 18'h05563};
      6'd25: table3 = {30'h361EBDAC, 26'h3653238, 18'h05306};
      6'd26: table3 = {30'h35D1FB96, 26'h367C142, 18'h050BF};
      6'd27: table3 = {30'h35867C84, 26'h36A3E74, 18'h04E8F};
      6'd28: table3 = {30'h353C37B6, 26'h36CAA78, 18'h04C74};
      6'd29: table3 = {30'h34F324BF, 26'h36F05F4, 18'h04A6D};
      6'd30: table3 = {30'h34AB3B82, 26'h3715184, 18'h04879};
      6'd31: table3 = {30'h3464742F, 26'h3738DBC, 18'h04697};
      6'd32: table3 = {30'h341EC73E, 26'h375BB2B, 18'h044C6};
      6'd33: table3 = {30'h33DA2D6C, 26'h377DA58, 18'h04307};
      6'd34: table3 = {30'h33969FBA, 26'h379EBC5, 18'h04156};
      6'd35: table3 = {30'h33541766, 26'h37BEFED, 18'h03FB5};
      6'd36: table3 = {30'h33128DEB, 26'h37DE747, 18'h03E23};
      6'd37: table3 = {30'h32D1FD00, 26'h37FD242, 18'h03C9E};
      6'd38: table3 = {30'h32925E8F, 26'h381B14B, 18'h03B26};
      6'd39: table3 = {30'h3253ACBA, 26'h38384C9, 18'h039BB};
      6'd40: table3 = {30'h3215E1D5, 26'h3854D1E, 18'h0385C};
      6'd41: table3 = {30'h31D8F863, 26'h3870AAA, 18'h03708};
      6'd42: table3 = {30'h319CEB16, 26'h388BDC7, 18'h035C0};
      6'd43: table3 = {30'h3161B4CC, 26'h38A66CB, 18'h03482};
      6'd44: table3 = {30'h3127508E, 26'h38C060A, 18'h0334F};
      6'd45: table3 = {30'h30EDB98E, 26'h38D9BD4, 18'h03225};
      6'd46: table3 = {30'h30B4EB25, 26'h38F2874, 18'h03104};
      6'd47: table3 = {30'h307CE0CF, 26'h390AC35, 18'h02FED};
      6'd48: table3 = {30'h30459630, 26'h392275D, 18'h02EDE};
      6'd49: table3 = {30'h300F070C, 26'h3939A30, 18'h02DD7};
      6'd50: table3 = {30'h2FD92F48, 26'h39504EF, 18'h02CD9};
      6'd51: table3 = {30'h2FA40AEB, 26'h39667D7, 18'h02BE2};
      6'd52: table3 = {30'h2F6F9618, 26'h397C327, 18'h02AF3};
      6'd53: table3 = {30'h2F3BCD12, 26'h3991716, 18'h02A0A};
      6'd54: table3 = {30'h2F08AC36, 26'h39A63DE, 18'h02928};
      6'd55: table3 = {30'h2ED62FFE, 26'h39BA9B2, 18'h0284D};
      6'd56: table3 = {30'h2EA454FF, 26'h39CE8C8, 18'h02779};
      6'd57: table3 = {30'h2E7317E4, 26'h39E2151, 18'h026AA};
      6'd58: table3 = {30'h2E427573, 26'h39F537C, 18'h025E1};
      6'd59: table3 = {30'h2E126A89, 26'h3A07F78, 18'h0251E};
      6'd60: table3 = {30'h2DE2F41A, 26'h3A1A570, 18'h02461};
      6'd61: table3 = {30'h2DB40F2F, 26'h3A2C591, 18'h023A8};
      6'd62: table3 = {30'h2D85B8E6, 26'h3A3E003, 18'h022F5};
      default: table3 = {30'h2D57EE72, 26'h3A4F4ED, 18'h02246};
    endcase
  endfunction

  function [73:0] table4(input [5:0] segment);
    case (segment)
      6'd0: table4 = {30'h2D143F02, 26'h34D1390, 18'h08526};
      6'd1: table4 = {30'h2CBBD056, 26'h351288B, 18'h08020};
      6'd2: table4 = {30'h2C656240, 26'h3551663, 18'h07B5D};
      6'd3: table4 = {30'h2C10E1B2, 26'h358DF1D, 18'h076D8};
      6'd4: table4 = {30'h2BBE3C98, 26'h35C849C, 18'h0728E};
      6'd5: table4 = {30'h2B6D61C7, 26'h36008A6, 18'h06E7A};
      6'd6: table4 = {30'h2B1E40F0, 26'h3636CE3, 18'h06A9A};
      6'd7: table4 = {30'h2AD0CA91, 26'h366B2DE, 18'h066EA};
      6'd8: table4 = {30'h2A84EFE8, 26'h369DC0E, 18'h06367};
      6'd9: table4 = {30'h2A3AA2E8, 26'h36CE9CF, 18'h0600E};
      6'd10: table4 = {30'h29F1D62D, 26'h36FDD6B, 18'h05CDD};
      6'd11: table4 = {30'h29AA7CF3, 26'h372B817, 18'h059D2};
      6'd12: table4 = {30'h29648B0C, 26'h3757AF6, 18'h056EA};
      6'd13: table4 = {30'h291FF4D6, 26'h378271B, 18'h05423};
      6'd14: table4 = {30'h28DCAF36, 26'h37ABD87, 18'h0517B};
      6'd15: table4 = {30'h289AAF8D, 26'h37D3F2F, 18'h04EF2};
      6'd16: table4 = {30'h2859EBB4, 26'h37FACFA, 18'h04C84};
      6'd17: table4 = {30'h281A59F3, 26'h38207C0, 18'h04A30};
      6'd18: table4 = {30'h27DBF0FD, 26'h3845051, 18'h047F6};
      6'd19: table4 = {30'h279EA7E7, 26'h386876E, 18'h045D4};
      6'd20: table4 = {30'h27627627, 26'h388ADD1, 18'h043C7};
      6'd21: table4 = {30'h2727538C, 26'h38AC428, 18'h041D0};
      6'd22: table4 = {30'h26ED3839, 26'h38CCB19, 18'h03FEE};
      6'd23: table4 = {30'h26B41CA4, 26'h38EC340, 18'h03E1E};
      6'd24: table4 = {30'h267BF98E, 26'h390AD35, 18'h03C61};
      6'd25: table4 = {30'h2644C800, 26'h3928983, 18'h03AB5};
      6'd26: table4 = {30'h260E814A, 26'h39458B2, 18'h03919};
      6'd27: table4 = {30'h25D91EFD, 26'h3961B43, 18'h0378D};
      6'd28: table4 = {30'h25A49AE7, 26'h397D1AE, 18'h03610};
      6'd29: table4 = {30'h2570EF15, 26'h3997C68, 18'h034A0};
      6'd30: table4 = {30'h253E15C9, 26'h39B1BE0, 18'h0333F};
      6'd31: table4 = {30'h250C097D, 26'h39CB07F, 18'h031EA};
      6'd32: table4 = {30'h24DAC4DE, 26'h39E3AA9, 18'h030A2};
      6'd33: table4 = {30'h24AA42C9, 26'h39FBABF, 18'h02F65};
      6'd34: table4 = {30'h247A7E4B, 26'h3A1311B, 18'h02E33};
      6'd35: table4 = {30'h244B729E, 26'h3A29E15, 18'h02D0C};
      6'd36: table4 = {30'h241D1B26, 26'h3A40201, 18'h02BF0};
      6'd37: table4 = {30'h23EF7370, 26'h3A55D2E, 18'h02ADD};
      6'd38: table4 = {30'h23C27730, 26'h3A6AFE9, 18'h029D3};
      6'd39: table4 = {30'h2396223E, 26'h3A7FA7A, 18'h028D2};
      6'd40: table4 = {30'h236A7098, 26'h3A93D27, 18'h027DA};
      6'd41: table4 = {30'h233F5E5D, 26'h3AA7834, 18'h026EA};
      6'd42: table4 = {30'h2314E7CC, 26'h3ABABDF, 18'h02602};
      6'd43: table4 = {30'h22EB0945, 26'h3ACD868, 18'h02521};
      6'd44: table4 = {30'h22C1BF44, 26'h3ADFE07, 18'h02448};
      6'd45: table4 = {30'h22990664, 26'h3AF1CF7, 18'h02375};
      6'd46: table4 = {30'h2270DB5A, 26'h3B0356C, 18'h022A9};
      6'd47: table4 = {30'h22493AF6, 26'h3B1479B, 18'h021E3};
      6'd48: table4 = {30'h22222222, 26'h3B253B5, 18'h02124};
      6'd49: table4 = {30'h21FB8DDF, 26'h3B359EB, 18'h0206A};
      6'd50: table4 = {30'h21D57B48, 26'h3B45A6B, 18'h01FB6};
      6'd51: table4 = {30'h21AFE78A, 26'h3B55561, 18'h01F08};
      6'd52: table4 = {30'h218ACFEE, 26'h3B64AF6, 18'h01E5E};
      6'd53: table4 = {30'h216631CC, 26'h3B73B55, 18'h01DBA};
      6'd54: table4 = {30'h21420A94, 26'h3B826A5, 18'h01D1A};
      6'd55: table4 = {30'h211E57C6, 26'h3B90D0B, 18'h01C80};
      6'd56: table4 = {30'h20FB16F9, 26'h3B9EEAB, 18'h01BE9};
      6'd57: table4 = {30'h20D845D1, 26'h3BACBAA, 18'h01B57};
      6'd58: table4 = {30'h20B5E207, 26'h3BBA428, 18'h01AC9};
      6'd59: table4 = {30'h2093E962, 26'h3BC7847, 18'h01A3F};
      6'd60: table4 = {30'h207259BA, 26'h3BD4825, 18'h019B9};
      6'd61: table4 = {30'h205130F8, 26'h3BE13E2, 18'h01937};
      6'd62: table4 = {30'h20306D11, 26'h3BEDB9A, 18'h018B8};
      default: table4 = {30'h20100C0A, 26'h3BF9F69, 18'h0183C};
    endcase
  endfunction

  assign {c0_o, c1_o, c2_o} = (table0(segment_i) & {74{table_i == 3'd0}}) |
      (table1(segment_i) & {74{table_i == 3'd1}}) |
      (table2(segment_i) & {74{table_i == 3'd2}}) |
      (table3(segment_i) & {74{table_i == 3'd3}}) |
      (table4(segment_i) & {74{table_i == 3'd4}});

endmodule

`default_nettype wire
