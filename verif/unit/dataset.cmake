vt_unit_test(NAME dataset)
