vt_block_test(NAME descriptor_check TOP vt_descriptor_check
              PARAMS OpBits=16 Cols=4 WordBits=256 BeatBits=64 SpadBits=18 MaxClasses=256 TurnBeats=32 AccDepth=256 Halves=0
                     LinkBits=128)
vt_block_test(NAME descriptor_check_fp32 FROM descriptor_check TOP vt_descriptor_check
              PARAMS OpBits=32 Cols=2 WordBits=512 BeatBits=128 SpadBits=15 MaxClasses=100 TurnBeats=8 AccDepth=32 Halves=0
                     LinkBits=256)
vt_block_test(NAME descriptor_check_large FROM descriptor_check TOP vt_descriptor_check
              PARAMS OpBits=16 Cols=1 WordBits=128 BeatBits=32 SpadBits=21 MaxClasses=256 TurnBeats=64 AccDepth=1024 Halves=0
                     LinkBits=128)
vt_block_test(NAME descriptor_check_fx32 FROM descriptor_check TOP vt_descriptor_check
              PARAMS OpBits=16 Cols=4 WordBits=256 BeatBits=64 SpadBits=18 MaxClasses=256 TurnBeats=32 AccDepth=256
                     Halves=1 LinkBits=128)
