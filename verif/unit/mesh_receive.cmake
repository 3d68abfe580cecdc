vt_block_test(NAME mesh_receive TOP vt_mesh_receive PARAMS WordBits=512 LinkBits=128 Granule=64 SpadBits=14)
vt_block_test(NAME mesh_receive_256 FROM mesh_receive TOP vt_mesh_receive
              PARAMS WordBits=512 LinkBits=256 Granule=32 SpadBits=13)
# One payload fills a word.
vt_block_test(NAME mesh_receive_word FROM mesh_receive TOP vt_mesh_receive
              PARAMS WordBits=128 LinkBits=128 Granule=128 SpadBits=12)
