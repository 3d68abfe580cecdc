vt_block_test(NAME host_registers TOP vt_host_registers
              PARAMS Digest=128'hba7816bf8f01cfea414140de5dae2223 EventBits=32 CounterBits=40)
