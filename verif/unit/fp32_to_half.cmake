vt_block_test(NAME fp32_to_half TOP vt_fp32_to_half)
