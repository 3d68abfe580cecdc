vt_block_test(NAME ecc TOP vt_ecc_decode)
