vt_unit_test(NAME loss_curves)
set_tests_properties(loss_curves PROPERTIES TIMEOUT 36000)
