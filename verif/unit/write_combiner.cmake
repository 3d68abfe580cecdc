vt_block_test(NAME write_combiner TOP vt_write_combiner PARAMS WordBits=128 BeatBits=32 AddrBits=4)
vt_block_test(NAME write_combiner_one FROM write_combiner TOP vt_write_combiner
              PARAMS WordBits=64 BeatBits=64 AddrBits=4)
