vt_unit_test(NAME windows)
