vt_block_test(NAME softmax_3000 TOP vt_softmax PARAMS MaxClasses=3000)
