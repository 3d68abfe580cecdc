vt_block_test(NAME fp32_add TOP vt_fp32_add)
