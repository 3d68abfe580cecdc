vt_block_test(NAME lane_function TOP vt_lane_function)
