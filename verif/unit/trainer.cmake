vt_unit_test(NAME trainer)
