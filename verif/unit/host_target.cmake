vt_block_test(NAME host_target TOP vt_host_target PARAMS AccessBits=6 Depth=4)
