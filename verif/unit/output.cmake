vt_unit_test(NAME output)
target_link_libraries(output_test PRIVATE GTest::gmock)
