vt_block_test(NAME softmax_ln_rom TOP vt_softmax_ln_rom)
