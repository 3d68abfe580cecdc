vt_block_test(NAME compute_engine TOP vt_compute_engine
              PARAMS Rows=1 Cols=4 WordBits=32 AddrBits=13 AccDepth=32 Halves=0)
vt_block_test(NAME compute_engine_rows2 FROM compute_engine TOP vt_compute_engine
              PARAMS Rows=2 Cols=1 WordBits=32 AddrBits=10 AccDepth=8 Halves=0)
vt_block_test(NAME compute_engine_cols2 FROM compute_engine TOP vt_compute_engine
              PARAMS Rows=1 Cols=2 WordBits=32 AddrBits=10 AccDepth=16 Halves=0)
vt_block_test(NAME compute_engine_fx32 FROM compute_engine TOP vt_compute_engine
              PARAMS Rows=1 Cols=4 WordBits=32 AddrBits=13 AccDepth=32 Halves=1)
