vt_unit_test(NAME random)
