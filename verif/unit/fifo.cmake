vt_block_test(NAME fifo TOP vt_fifo PARAMS Depth=5)
