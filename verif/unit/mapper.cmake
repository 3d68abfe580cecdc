vt_unit_test(NAME mapper)
