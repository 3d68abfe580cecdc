vt_block_test(NAME acc_to_fp32 TOP vt_acc_to_fp32 PARAMS ManBits=29 ExpZero=276)
