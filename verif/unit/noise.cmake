vt_block_test(NAME noise TOP vt_noise PARAMS Stream=3)
