vt_unit_test(NAME fp32_oracle)
