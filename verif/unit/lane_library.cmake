vt_unit_test(NAME lane_library)
