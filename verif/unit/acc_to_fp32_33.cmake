vt_block_test(NAME acc_to_fp32_33 TOP vt_acc_to_fp32 PARAMS ManBits=33 ExpZero=300)
