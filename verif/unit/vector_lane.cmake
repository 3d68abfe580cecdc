vt_block_test(NAME vector_lane TOP vt_vector_lane PARAMS LateOperands=0)
vt_block_test(NAME vector_lane_late FROM vector_lane TOP vt_vector_lane PARAMS LateOperands=1)
