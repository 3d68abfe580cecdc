vt_block_test(NAME loop_nest TOP vt_loop_nest PARAMS Loops=6 BoundBits=16 Streams=2 AddrBits=24)
