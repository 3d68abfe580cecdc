vt_unit_test(NAME program)
