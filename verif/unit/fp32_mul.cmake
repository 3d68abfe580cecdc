vt_block_test(NAME fp32_mul TOP vt_fp32_mul)
