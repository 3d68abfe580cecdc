vt_block_test(NAME vector_lane_late TOP vt_vector_lane PARAMS LateOperands=1)
