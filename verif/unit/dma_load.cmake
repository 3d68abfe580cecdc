vt_block_test(NAME dma_load TOP vt_dma_load
              PARAMS OpBits=16 OpExp=8 FracBits=0 Rounding=0 Halves=0 WordBits=256 BeatBits=64 Beats=8 MemBits=20 SpadBits=14 QueueBeats=64 TurnBeats=16)
vt_block_test(NAME dma_load_fp32 FROM dma_load TOP vt_dma_load
              PARAMS OpBits=32 OpExp=8 FracBits=0 Rounding=0 Halves=0 WordBits=128 BeatBits=128 Beats=4 MemBits=20 SpadBits=14 QueueBeats=64 TurnBeats=8)
vt_block_test(NAME dma_load_fx16 FROM dma_load TOP vt_dma_load
              PARAMS OpBits=16 OpExp=0 FracBits=12 Rounding=1 Halves=0 WordBits=256 BeatBits=64 Beats=8 MemBits=20 SpadBits=14
                     QueueBeats=64 TurnBeats=16)
vt_block_test(NAME dma_load_truncate FROM dma_load TOP vt_dma_load
              PARAMS OpBits=16 OpExp=8 FracBits=0 Rounding=2 Halves=0 WordBits=256 BeatBits=64 Beats=8 MemBits=20 SpadBits=14
                     QueueBeats=64 TurnBeats=16)
vt_block_test(NAME dma_load_fp16 FROM dma_load TOP vt_dma_load
              PARAMS OpBits=16 OpExp=5 FracBits=0 Rounding=0 Halves=0 WordBits=256 BeatBits=64 Beats=8 MemBits=20 SpadBits=14
                     QueueBeats=64 TurnBeats=16)
vt_block_test(NAME dma_load_fx32 FROM dma_load TOP vt_dma_load
              PARAMS OpBits=16 OpExp=0 FracBits=12 Rounding=1 Halves=1 WordBits=256 BeatBits=64 Beats=8 MemBits=20
                     SpadBits=14 QueueBeats=64 TurnBeats=16)
vt_refuses(vt_dma_load Halves 1 Halves_must_be_0_or_1_and_0_but_for_fixed_point)
