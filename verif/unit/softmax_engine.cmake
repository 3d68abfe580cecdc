vt_block_test(NAME softmax_engine TOP vt_softmax_engine PARAMS OpBits=16 WordBits=128 SpadBits=14 MaxClasses=64)
vt_block_test(NAME softmax_engine_fp32 FROM softmax_engine TOP vt_softmax_engine
              PARAMS OpBits=32 WordBits=256 SpadBits=14 MaxClasses=64)
