vt_unit_test(NAME recipe)
