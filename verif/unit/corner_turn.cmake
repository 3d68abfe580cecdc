vt_block_test(NAME corner_turn TOP vt_corner_turn PARAMS Side=4 OpBits=16 MaxGroups=8)
vt_block_test(NAME corner_turn_side2 FROM corner_turn TOP vt_corner_turn PARAMS Side=2 OpBits=32 MaxGroups=16)
