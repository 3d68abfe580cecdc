vt_block_test(NAME lane_table TOP vt_lane_table)
