vt_unit_test(NAME generate)
target_include_directories(generate_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_link_libraries(generate_test PRIVATE GTest::gmock)
