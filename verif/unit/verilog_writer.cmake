vt_unit_test(NAME verilog_writer)
target_include_directories(verilog_writer_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_link_libraries(verilog_writer_test PRIVATE GTest::gmock)
