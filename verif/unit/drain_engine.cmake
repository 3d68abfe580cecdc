vt_block_test(NAME drain_engine TOP vt_drain_engine
              PARAMS Cols=4 OpBits=16 OpExp=8 FracBits=0 Rounding=0 WordBits=256 Granule=64 SpadBits=14 AccDepth=32 SumBits=29 ExpZero=276)
vt_block_test(NAME drain_engine_fp32 FROM drain_engine TOP vt_drain_engine
              PARAMS Cols=2 OpBits=32 OpExp=8 FracBits=0 Rounding=0 WordBits=256 Granule=32 SpadBits=13 AccDepth=16 SumBits=40 ExpZero=288)
# One result fills a word.
vt_block_test(NAME drain_engine_word FROM drain_engine TOP vt_drain_engine
              PARAMS Cols=8 OpBits=32 OpExp=8 FracBits=0 Rounding=0 WordBits=256 Granule=64 SpadBits=13 AccDepth=16 SumBits=40 ExpZero=288)
# Results rounded at random; a sum in fixed point.
vt_block_test(NAME drain_engine_stochastic FROM drain_engine TOP vt_drain_engine
              PARAMS Cols=4 OpBits=16 OpExp=8 FracBits=0 Rounding=1 WordBits=256 Granule=64 SpadBits=14 AccDepth=32
                     SumBits=29 ExpZero=276)
vt_block_test(NAME drain_engine_fx16 FROM drain_engine TOP vt_drain_engine
              PARAMS Cols=4 OpBits=16 OpExp=0 FracBits=12 Rounding=1 WordBits=256 Granule=64 SpadBits=14 AccDepth=32
                     SumBits=41 ExpZero=288)
vt_block_test(NAME drain_engine_truncate FROM drain_engine TOP vt_drain_engine
              PARAMS Cols=2 OpBits=16 OpExp=0 FracBits=9 Rounding=2 WordBits=128 Granule=32 SpadBits=13 AccDepth=16
                     SumBits=36 ExpZero=283)
vt_block_test(NAME drain_engine_fp16 FROM drain_engine TOP vt_drain_engine
              PARAMS Cols=4 OpBits=16 OpExp=5 FracBits=0 Rounding=1 WordBits=256 Granule=64 SpadBits=14 AccDepth=32
                     SumBits=29 ExpZero=276)
