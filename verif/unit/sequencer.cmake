vt_block_test(NAME sequencer TOP vt_sequencer
              PARAMS QueueDepth=4 OpBits=16 Cols=4 WordBits=256 BeatBits=64 Beats=8 MemBits=20 SpadBits=18)
