vt_block_test(NAME vector_lane TOP vt_vector_lane PARAMS LateOperands=0)
