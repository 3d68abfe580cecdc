vt_unit_test(NAME branches)
target_include_directories(branches_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
