vt_unit_test(NAME registers)
