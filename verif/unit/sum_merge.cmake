vt_block_test(NAME sum_merge TOP vt_sum_merge PARAMS SumBits=29)
vt_block_test(NAME sum_merge_fp32 FROM sum_merge TOP vt_sum_merge PARAMS SumBits=40)
