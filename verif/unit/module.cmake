vt_unit_test(NAME module)
