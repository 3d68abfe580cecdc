vt_block_test(NAME softmax TOP vt_softmax PARAMS MaxClasses=256)
