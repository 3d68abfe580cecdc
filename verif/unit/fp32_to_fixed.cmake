vt_block_test(NAME fp32_to_fixed TOP vt_fp32_to_fixed PARAMS FracBits=12)
vt_block_test(NAME fp32_to_fixed_0 FROM fp32_to_fixed TOP vt_fp32_to_fixed PARAMS FracBits=0)
vt_block_test(NAME fp32_to_fixed_15 FROM fp32_to_fixed TOP vt_fp32_to_fixed PARAMS FracBits=15)
vt_refuses(vt_fp32_to_fixed FracBits 16 FracBits_must_be_0_to_15)
