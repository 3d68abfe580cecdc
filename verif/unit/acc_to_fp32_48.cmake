vt_block_test(NAME acc_to_fp32_48 TOP vt_acc_to_fp32 PARAMS ManBits=48 ExpZero=276)
