vt_unit_test(NAME operand)
