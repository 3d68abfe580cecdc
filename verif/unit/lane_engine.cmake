vt_block_test(NAME lane_engine TOP vt_lane_engine
              PARAMS Cols=4 OpBits=16 OpExp=8 FracBits=0 WordBits=256 Granule=64 SpadBits=14 FunctionLanes=1)
vt_block_test(NAME lane_engine_fp32 FROM lane_engine TOP vt_lane_engine
              PARAMS Cols=2 OpBits=32 OpExp=8 FracBits=0 WordBits=512 Granule=32 SpadBits=14 FunctionLanes=1)
# A wide group fills a word; two lanes a cycle through the functions.
vt_block_test(NAME lane_engine_word FROM lane_engine TOP vt_lane_engine
             PARAMS Cols=8 OpBits=16 OpExp=8 FracBits=0 WordBits=256 Granule=128 SpadBits=15 FunctionLanes=2)
# As in the variant cube.
vt_block_test(NAME lane_engine_cube FROM lane_engine TOP vt_lane_engine
              PARAMS Cols=8 OpBits=16 OpExp=8 FracBits=0 WordBits=256 Granule=64 SpadBits=15 FunctionLanes=4)
vt_block_test(NAME lane_engine_fx16 FROM lane_engine TOP vt_lane_engine
              PARAMS Cols=4 OpBits=16 OpExp=0 FracBits=12 WordBits=256 Granule=64 SpadBits=14 FunctionLanes=1)
vt_block_test(NAME lane_engine_fp16 FROM lane_engine TOP vt_lane_engine
              PARAMS Cols=4 OpBits=16 OpExp=5 FracBits=0 WordBits=256 Granule=64 SpadBits=14 FunctionLanes=1)
