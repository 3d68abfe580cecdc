vt_unit_test(NAME losses)
target_include_directories(losses_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
