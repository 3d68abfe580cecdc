vt_unit_test(NAME isa)
