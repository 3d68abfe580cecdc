vt_unit_test(NAME text_data)
