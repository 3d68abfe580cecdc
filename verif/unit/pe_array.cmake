vt_block_test(NAME pe_array TOP vt_pe_array
              PARAMS Rows=1 Cols=3 Lanes=16 ManBits=7 AlignBits=24 AccDepth=32)
vt_block_test(NAME pe_array_rows4 FROM pe_array TOP vt_pe_array
              PARAMS Rows=4 Cols=2 Lanes=8 ManBits=7 AlignBits=24 AccDepth=16)
vt_block_test(NAME pe_array_fp32 FROM pe_array TOP vt_pe_array
              PARAMS Rows=2 Cols=1 Lanes=8 ManBits=23 AlignBits=36 AccDepth=16)
