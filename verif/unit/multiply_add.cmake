vt_block_test(NAME multiply_add TOP vt_multiply_add PARAMS ABits=5 BBits=4 SumBits=11)
