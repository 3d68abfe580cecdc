vt_block_test(NAME pe_array TOP vt_pe_array
              PARAMS Rows=1 Cols=3 Lanes=16 ExpBits=8 ManBits=7 FracBits=0 AlignBits=24 GuardBits=0 AccDepth=32)
vt_block_test(NAME pe_array_rows4 FROM pe_array TOP vt_pe_array
              PARAMS Rows=4 Cols=2 Lanes=8 ExpBits=8 ManBits=7 FracBits=0 AlignBits=24 GuardBits=0 AccDepth=16)
vt_block_test(NAME pe_array_fp32 FROM pe_array TOP vt_pe_array
              PARAMS Rows=2 Cols=1 Lanes=8 ExpBits=8 ManBits=23 FracBits=0 AlignBits=36 GuardBits=0 AccDepth=16)
vt_block_test(NAME pe_array_fx16 FROM pe_array TOP vt_pe_array
              PARAMS Rows=1 Cols=3 Lanes=16 ExpBits=0 ManBits=15 FracBits=12 AlignBits=36 GuardBits=0 AccDepth=32)
vt_block_test(NAME pe_array_fx16_rows4 FROM pe_array TOP vt_pe_array
              PARAMS Rows=4 Cols=2 Lanes=4 ExpBits=0 ManBits=15 FracBits=3 AlignBits=31 GuardBits=0 AccDepth=16)
vt_block_test(NAME pe_array_fp16 FROM pe_array TOP vt_pe_array
              PARAMS Rows=2 Cols=2 Lanes=8 ExpBits=5 ManBits=10 FracBits=0 AlignBits=25 GuardBits=0 AccDepth=16)
vt_block_test(NAME pe_array_fx32 FROM pe_array TOP vt_pe_array
              PARAMS Rows=1 Cols=3 Lanes=16 ExpBits=0 ManBits=15 FracBits=12 AlignBits=43 GuardBits=8 AccDepth=32)
vt_block_test(NAME pe_array_fx32_rows4 FROM pe_array TOP vt_pe_array
              PARAMS Rows=4 Cols=2 Lanes=4 ExpBits=0 ManBits=15 FracBits=3 AlignBits=39 GuardBits=8 AccDepth=16)
vt_refuses(vt_pe_array GuardBits 8 GuardBits_are_for_fixed_point)
