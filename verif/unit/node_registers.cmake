vt_block_test(NAME node_registers TOP vt_node_registers PARAMS EventBits=32 CounterBits=40)
