vt_block_test(NAME pe_cluster TOP vt_pe_cluster
              PARAMS Rows=1 Cols=4 Lanes=16 ExpBits=8 ManBits=7 FracBits=0 AlignBits=24 GuardBits=0 SpadBytes=16384
                     SpadBanks=4 AccDepth=32 MemBits=18 LinkBits=128)
vt_block_test(NAME pe_cluster_fx32 FROM pe_cluster TOP vt_pe_cluster
              PARAMS Rows=1 Cols=4 Lanes=16 ExpBits=0 ManBits=15 FracBits=12 AlignBits=43 GuardBits=8 SpadBytes=16384
                     SpadBanks=4 AccDepth=32 MemBits=18 LinkBits=128)
