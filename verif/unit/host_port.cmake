vt_block_test(NAME host_port TOP vt_host_port PARAMS MeshX=3 MeshY=2 AccessBits=6 PortBits=9 Depth=4)
