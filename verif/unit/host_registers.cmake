vt_block_test(NAME host_registers TOP vt_host_registers
              PARAMS Digest=128'hba7816bf8f01cfea414140de5dae2223 MeshX=3 MeshY=2 SettleCycles=100)
