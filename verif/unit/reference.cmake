vt_unit_test(NAME reference)
