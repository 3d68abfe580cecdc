vt_block_test(NAME scratchpad TOP vt_scratchpad PARAMS WordBits=64 Words=128 Banks=4 Granule=16)
vt_block_test(NAME scratchpad_banks8 FROM scratchpad TOP vt_scratchpad PARAMS WordBits=64 Words=256 Banks=8 Granule=64)
