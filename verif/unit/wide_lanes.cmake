vt_unit_test(NAME wide_lanes)
