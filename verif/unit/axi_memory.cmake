vt_block_test(NAME axi_memory TOP vt_axi_memory PARAMS MemBytes=64'h8000)
