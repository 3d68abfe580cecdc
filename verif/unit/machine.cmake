vt_unit_test(NAME machine)
