vt_unit_test(NAME dot)
