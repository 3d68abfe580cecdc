vt_unit_test(NAME softmax_oracle)
