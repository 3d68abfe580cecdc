vt_unit_test(NAME variant)
target_link_libraries(variant_test PRIVATE GTest::gmock)
