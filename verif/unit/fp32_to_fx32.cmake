vt_block_test(NAME fp32_to_fx32 TOP vt_fp32_to_fx32 PARAMS FracBits=12)
vt_block_test(NAME fp32_to_fx32_0 FROM fp32_to_fx32 TOP vt_fp32_to_fx32 PARAMS FracBits=0)
vt_block_test(NAME fp32_to_fx32_15 FROM fp32_to_fx32 TOP vt_fp32_to_fx32 PARAMS FracBits=15)
vt_refuses(vt_fp32_to_fx32 FracBits 16 FracBits_must_be_0_to_15)
