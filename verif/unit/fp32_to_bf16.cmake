vt_block_test(NAME fp32_to_bf16 TOP vt_fp32_to_bf16)
