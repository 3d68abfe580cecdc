vt_unit_test(NAME digest)
