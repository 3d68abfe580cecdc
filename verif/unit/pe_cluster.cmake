vt_block_test(NAME pe_cluster TOP vt_pe_cluster
              PARAMS Rows=1 Cols=4 Lanes=16 SpadBytes=16384 SpadBanks=4 AccDepth=32 MemBits=18 LinkBits=128)
