vt_block_test(NAME axi_memory_small TOP vt_axi_memory
              PARAMS MemBytes=64'h8000 AddrBits=40 Beats=4 ReadAccesses=1 WriteAccesses=2)
