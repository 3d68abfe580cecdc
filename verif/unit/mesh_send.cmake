vt_block_test(NAME mesh_send TOP vt_mesh_send PARAMS WordBits=512 LinkBits=128 SpadBits=14)
vt_block_test(NAME mesh_send_256 FROM mesh_send TOP vt_mesh_send PARAMS WordBits=512 LinkBits=256 SpadBits=13)
# One payload fills a word.
vt_block_test(NAME mesh_send_word FROM mesh_send TOP vt_mesh_send PARAMS WordBits=128 LinkBits=128 SpadBits=12)
