vt_unit_test(NAME reference)
target_include_directories(reference_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
