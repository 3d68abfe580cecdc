vt_block_test(NAME dma_store TOP vt_dma_store PARAMS WordBits=256 BeatBits=64 Beats=8 MemBits=20 SpadBits=14)
vt_block_test(NAME dma_store_fp32 FROM dma_store TOP vt_dma_store
              PARAMS WordBits=128 BeatBits=128 Beats=4 MemBits=20 SpadBits=14)
vt_block_test(NAME dma_store_wide FROM dma_store TOP vt_dma_store
              PARAMS WordBits=1024 BeatBits=32 Beats=16 MemBits=20 SpadBits=14)
