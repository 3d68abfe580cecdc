vt_unit_test(NAME arrange)
target_include_directories(arrange_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
