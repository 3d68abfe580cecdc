vt_unit_test(NAME estimate)
target_include_directories(estimate_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
