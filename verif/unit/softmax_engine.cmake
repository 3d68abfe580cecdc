vt_block_test(NAME softmax_engine TOP vt_softmax_engine PARAMS OpBits=16 OpExp=8 FracBits=0 Rounding=0 WordBits=128 SpadBits=14 MaxClasses=64)
vt_block_test(NAME softmax_engine_fp32 FROM softmax_engine TOP vt_softmax_engine
              PARAMS OpBits=32 OpExp=8 FracBits=0 Rounding=0 WordBits=256 SpadBits=14 MaxClasses=64)
vt_block_test(NAME softmax_engine_stochastic FROM softmax_engine TOP vt_softmax_engine
              PARAMS OpBits=16 OpExp=8 FracBits=0 Rounding=1 WordBits=128 SpadBits=14 MaxClasses=64)
vt_block_test(NAME softmax_engine_fx16 FROM softmax_engine TOP vt_softmax_engine
              PARAMS OpBits=16 OpExp=0 FracBits=12 Rounding=1 WordBits=128 SpadBits=14 MaxClasses=64)
vt_block_test(NAME softmax_engine_fx32 FROM softmax_engine TOP vt_softmax_engine
              PARAMS OpBits=32 OpExp=0 FracBits=12 Rounding=1 WordBits=256 SpadBits=14 MaxClasses=64)
