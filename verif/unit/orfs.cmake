vt_unit_test(NAME orfs)
target_include_directories(orfs_test PRIVATE ${CMAKE_SOURCE_DIR}/synth/src)
target_link_libraries(orfs_test PRIVATE vt_synth GTest::gmock)
