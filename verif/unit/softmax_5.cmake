vt_block_test(NAME softmax_5 TOP vt_softmax PARAMS MaxClasses=5)
